"""PNG and JPEG files, through Pillow."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.Image

from napari_sslseg.errors import ImageError, LabelError
from napari_sslseg.image import Image
from napari_sslseg.io.atomic import replacing
from napari_sslseg.io.layout import image_from
from napari_sslseg.io.reading import reading

GREY = {"1": "L", "LA": "L", "La": "L", "L": "L"}  # Pillow's modes that are read as one channel of 8 bit


def read(path: Path, axes: str | None = None, *, indices: bool = False) -> Image:
    """Read a PNG or JPEG file; opacity is dropped, 16-bit values are kept.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    axes : str, optional
        One letter an axis, ``YX`` or ``YXS``.
    indices : bool, optional
        Whether a palette image is read as the numbers stored in it, as label files want, and not as its colours.

    Returns
    -------
    Image
        One channel, or red, green and blue.

    Raises
    ------
    ImageError
        If the file is no such image, or is damaged.
    """
    with reading(path, "PNG or JPEG"):
        try:
            with PIL.Image.open(path) as picture:
                pixels = _pixels(picture, path, indices)
        except PIL.Image.DecompressionBombError as error:
            raise ImageError(
                f"{path} is very large", "A PNG or JPEG can only be read whole", "Convert it to OME-Zarr or tiled TIFF"
            ) from error
    return image_from(pixels, path, axes, declared="YXS" if pixels.ndim == 3 else "YX")


def write(path: Path, data: npt.NDArray[Any], axes: str, spacing: Mapping[str, float], unit: str) -> None:
    """Write a grey PNG of 8 or 16 bit; whole or not at all.

    Parameters
    ----------
    path : pathlib.Path
        The file; replaced if it exists.
    data : numpy.ndarray
        (Y, X) uint8 or uint16.
    axes : str
        ``YX``.
    spacing : mapping of str to float
        Not stored: PNG has no place for it.
    unit : str
        Not stored.

    Raises
    ------
    LabelError
        If the data has more dimensions or larger values than a PNG can hold, or the file is named as JPEG.
    StorageError
        If the disk is full or the place may not be written to.
    """
    if path.suffix.lower() != ".png":
        raise LabelError(f"{path.name} would be a JPEG", "JPEG changes pixel values", "Write .tif, .png, .npy or .zarr")
    if axes != "YX" or data.dtype not in (np.uint8, np.uint16):
        raise LabelError(
            f"The data for {path.name} has the axes {axes}, the type {data.dtype} and values up to {data.max()}",
            "A PNG holds one plane of whole numbers up to 65535",
            "Write .tif, .npy or .zarr",
        )
    with replacing(path, data.nbytes) as temporary:
        PIL.Image.fromarray(data).save(temporary, format="PNG")


def _pixels(picture: Any, path: Path, indices: bool) -> npt.NDArray[Any]:
    mode = picture.mode
    if mode == "P" and indices:
        return np.asarray(picture)
    if mode in GREY:
        return np.asarray(picture.convert(GREY[mode]))
    if mode.startswith("I"):  # 16 bit, which some versions of Pillow open as 32
        return np.asarray(picture).astype(np.uint16)
    if picture.format == "PNG" and ";16" in str(picture.tile[0][3]):  # Pillow would halve 16-bit colours to 8
        import imagecodecs

        return np.asarray(imagecodecs.png_decode(path.read_bytes()))
    return np.asarray(picture.convert("RGB"))
