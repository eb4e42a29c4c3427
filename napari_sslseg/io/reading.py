"""Turns whatever a decoder raises over a damaged file into one error that names the file and says what to do."""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zipfile import BadZipFile

from napari_sslseg.errors import ImageError

# What tifffile, imagecodecs, zarr, Pillow and NumPy raise over files that are cut short, mislabelled or damaged.
DAMAGED = (
    OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, RuntimeError, EOFError, SyntaxError,
    AssertionError, ArithmeticError, BadZipFile, struct.error, zlib.error,
)  # fmt: skip


@contextmanager
def reading(path: Path, kind: str) -> Iterator[None]:
    """Translate the errors of reading one file.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    kind : str
        What it should be, such as ``TIFF``.

    Raises
    ------
    ImageError
        In place of any error a decoder raises.
    """
    try:
        yield
    except PermissionError as error:
        raise ImageError(f"There is no permission to read {path}", "A readable file is needed") from error
    except FileNotFoundError as error:
        raise ImageError(f"{path} is gone or incomplete ({error})", "All of it must stay where it was") from error
    except MemoryError as error:
        raise ImageError(
            f"{path} does not fit into memory",
            "Such an image is read piece by piece",
            "Convert it to OME-Zarr or tiled TIFF",
        ) from error
    except DAMAGED as error:
        raise unreadable(path, kind, str(error) or type(error).__name__) from error


def unreadable(path: Path, kind: str, reason: str) -> ImageError:
    """Make the error of a file that is not what its name says.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    kind : str
        What it should be, such as ``TIFF``.
    reason : str
        What is wrong with it; only the first line is kept.

    Returns
    -------
    ImageError
        The error, to be raised.
    """
    words = " ".join(reason.split())[:200].rstrip(".")
    return ImageError(
        f"{path} cannot be read as {kind} ({words})",
        "A complete, undamaged file is needed",
        "Copy it again from where it came, or save it anew in the program that wrote it",
    )
