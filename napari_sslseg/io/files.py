"""Which image files there are: known suffixes, names without them, and the files of a folder in natural order."""

import difflib
import re
from collections.abc import Iterable
from pathlib import Path

from napari_sslseg.errors import ImageError

SUFFIXES = (
    *(".ome.tif", ".ome.tiff", ".ome.zarr", ".tif", ".tiff", ".png", ".jpg", ".jpeg", ".npy", ".nii.gz", ".nii"),
    *(".dcm", ".zarr"),
)


def suffix(path: Path) -> str:
    """Tell the image suffix of a file name.

    Parameters
    ----------
    path : pathlib.Path
        The file; it need not exist.

    Returns
    -------
    str
        The longest of SUFFIXES that it ends in, in lower case; empty if there is none.
    """
    name = path.name.lower()
    return next((s for s in SUFFIXES if name.endswith(s) and name != s), "")


def stem(path: Path) -> str:
    """Tell the name of an image: its file name without the suffix of its format.

    Parameters
    ----------
    path : pathlib.Path
        The file; it need not exist.

    Returns
    -------
    str
        Such as ``a`` for ``folder/a.ome.tif``.
    """
    known = suffix(path)
    if known:
        return path.name[: -len(known)]
    # folders and files of DICOM are often named by numbers with points
    return path.name if path.is_dir() or path.suffix[1:].isdigit() else path.stem


def find_files(paths: Iterable[str | Path]) -> list[Path]:
    """List the image files among files and folders; folders are not searched deeper.

    Parameters
    ----------
    paths : iterable of str or pathlib.Path
        Files and folders; a folder that holds a zarr array, or a DICOM series, counts as a file.

    Returns
    -------
    list of pathlib.Path
        Each file once, in natural order: ``a2.tif`` before ``a10.tif``.

    Raises
    ------
    ImageError
        If a path does not exist, a file is of no known format, or a folder holds no image.
    """
    found: dict[Path, Path] = {}
    for path in map(Path, paths):
        for file in [path] if is_single(path) or not path.is_dir() else _inside(path):
            check_file(file)
            found.setdefault(file.resolve(), file)
    return sorted(found.values(), key=_natural)


def by_stem(files: Iterable[Path]) -> dict[str, Path]:
    """Find files by their names without suffix, by which an image and what was made of it belong together.

    Parameters
    ----------
    files : iterable of pathlib.Path
        The files.

    Returns
    -------
    dict of str to pathlib.Path
        The files by their stems.

    Raises
    ------
    ImageError
        If two have one stem.
    """
    found: dict[str, Path] = {}
    for file in files:
        other = found.setdefault(stem(file), file)
        if other != file:
            raise ImageError(
                f"{other} and {file} are both called {stem(file)!r}",
                "Files belong together by their names without suffix",
                "Leave one of them out, or rename it",
            )
    return found


def check_file(path: Path) -> None:
    """Make sure that there is an image file of a known format.

    Parameters
    ----------
    path : pathlib.Path
        A file, or a folder that is a zarr or a DICOM series.

    Raises
    ------
    ImageError
        If it does not exist, is of no known format, or has a name that is not text.
    """
    if not _is_text(str(path.absolute())):
        raise ImageError(
            f"The name {str(path)!r} is not text: it has bytes that are not UTF-8",
            "A project and tables keep names as text",
            "Rename the file or folder",
        )
    if not path.exists():
        raise ImageError(f"{path} does not exist", "An existing file or folder is needed", _nearest(path))
    if not (suffix(path) or is_single(path) or is_dicom(path)):
        raise ImageError(
            f"{path} is of no format that can be read",
            f"Images are {_listed()}",
            "Save it as TIFF in the program that wrote it",
        )


def is_zarr(path: Path) -> bool:
    """Tell whether a path is a zarr folder, by its name or by what it holds.

    Parameters
    ----------
    path : pathlib.Path
        The path.

    Returns
    -------
    bool
        Whether it is one.
    """
    marks = ("zarr.json", ".zarray", ".zgroup")
    return path.is_dir() and (suffix(path).endswith(".zarr") or any((path / mark).is_file() for mark in marks))


def is_dicom(path: Path) -> bool:
    """Tell whether a file is DICOM, by its name or by how it begins; many have no suffix.

    Parameters
    ----------
    path : pathlib.Path
        The path.

    Returns
    -------
    bool
        Whether it is one; never of hidden files, nor of one that only lists others.
    """
    if path.name.startswith(".") or path.name.upper() == "DICOMDIR" or not path.is_file():
        return False
    if suffix(path) or path.suffix.lower() in (".txt", ".xml", ".json", ".csv"):
        return suffix(path) == ".dcm"
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def is_single(path: Path) -> bool:
    """Tell whether a folder is one image: a zarr, or the files of a DICOM series and no other images.

    Parameters
    ----------
    path : pathlib.Path
        The path.

    Returns
    -------
    bool
        Whether it is one.
    """
    if is_zarr(path) or not path.is_dir():
        return is_zarr(path)
    files = list(path.iterdir())
    return any(map(is_dicom, files)) and all(suffix(p) in ("", ".dcm") for p in files)


def is_medical(path: Path) -> bool:
    """Tell whether an image lies somewhere in a patient, so that what is made of it is written as NIfTI.

    Parameters
    ----------
    path : pathlib.Path
        The file or folder.

    Returns
    -------
    bool
        Whether it is NIfTI or DICOM.
    """
    if path.is_dir():
        return is_single(path) and not is_zarr(path)
    return suffix(path) in (".nii", ".nii.gz") or is_dicom(path)


def _inside(folder: Path) -> list[Path]:
    visible = [p for p in folder.iterdir() if not p.name.startswith(".")]
    files = [p for p in visible if is_single(p) or (p.is_file() and suffix(p))]
    if not files:
        other = f" (there are {len(visible)} other files or folders)" if visible else ""
        raise ImageError(
            f"The folder {folder} holds no image{other}",
            f"It is searched, without its subfolders, for {_listed()}",
            "Name the folder in which the images lie",
        )
    return files


def _is_text(name: str) -> bool:
    """Whether a name is one everywhere; Linux takes any bytes, and Python then writes them as lone surrogates."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _nearest(path: Path) -> str:
    folder = next((p for p in path.absolute().parents if p.is_dir()), None)
    if folder is None:
        return ""
    if folder != path.absolute().parent:
        missing = path.absolute().relative_to(folder).parts[0]
        near = difflib.get_close_matches(missing, [p.name for p in folder.iterdir() if p.is_dir()], 1)
        return f"There is no folder {missing} in {folder}" + (f"; did you mean {near[0]}?" if near else "")
    near = difflib.get_close_matches(path.name, [p.name for p in folder.iterdir()], 1)
    return f"Did you mean {near[0]}?" if near else f"Nothing in {folder} has a similar name"


def _listed() -> str:
    return ", ".join(SUFFIXES[:-1]) + " or " + SUFFIXES[-1]


def _natural(path: Path) -> list[tuple[int, int, str]]:
    """Order that counts the numbers within a name."""
    parts = re.split(r"(\d+)", str(path))
    return [(0, int(p), p) if p.isdigit() and p.isascii() else (1, 0, p.lower()) for p in parts]
