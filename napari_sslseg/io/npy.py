"""NumPy's npy files: one array without a description of its axes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_sslseg.image import Image
from napari_sslseg.io.atomic import replacing
from napari_sslseg.io.layout import image_from
from napari_sslseg.io.lazy import LazyArray
from napari_sslseg.io.reading import reading


def read(path: Path, axes: str | None = None) -> Image:
    """Open an npy file; a large one is mapped into memory.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    axes : str, optional
        One letter an axis; without it they are guessed from the shape.

    Returns
    -------
    Image
        The image.

    Raises
    ------
    ImageError
        If the file is damaged, holds Python objects, or an array that cannot be an Image.
    """
    with reading(path, "npy"):
        array = np.lib.format.open_memmap(path, mode="r")  # refuses pickled objects, which could run code
    return image_from(LazyArray(array, path) if array.ndim else array, path, axes)


def write(path: Path, data: npt.NDArray[Any], axes: str, spacing: Mapping[str, float], unit: str) -> None:
    """Write an npy file; whole or not at all.

    Parameters
    ----------
    path : pathlib.Path
        The file; replaced if it exists.
    data : numpy.ndarray
        Any array.
    axes : str
        Not stored: npy has no place for it.
    spacing : mapping of str to float
        Not stored.
    unit : str
        Not stored.

    Raises
    ------
    StorageError
        If the disk is full or the place may not be written to.
    """
    with replacing(path, data.nbytes) as temporary, temporary.open("wb") as file:
        np.save(file, data, allow_pickle=False)
