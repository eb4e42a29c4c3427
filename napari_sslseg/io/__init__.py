"""Reading and writing image files: find them, open them as an Image, read and write labels and probabilities."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from napari_sslseg.errors import ImageError, LabelError
from napari_sslseg.image import Image
from napari_sslseg.io import dicom, nifti, npy, png, tiff, zarr_format
from napari_sslseg.io.files import SUFFIXES, check_file, find_files, is_dicom, is_medical, is_zarr, stem, suffix

__all__ = [
    "SUFFIXES",
    "find_files",
    "read_image",
    "read_labels",
    "stem",
    "write_channels",
    "write_image",
    "write_labels",
]


class Format(Protocol):
    """What the module of a file format offers."""

    def read(self, path: Path, axes: str | None = None) -> Image:
        """Open a file as an Image.

        Parameters
        ----------
        path : pathlib.Path
            The file.
        axes : str, optional
            One letter an axis.

        Returns
        -------
        Image
            The image.
        """

    def write(self, path: Path, data: npt.NDArray[Any], axes: str, spacing: Mapping[str, float], unit: str) -> None:
        """Write an array.

        Parameters
        ----------
        path : pathlib.Path
            The file.
        data : numpy.ndarray
            The array.
        axes : str
            One letter an axis.
        spacing : mapping of str to float
            Pixel size by axis.
        unit : str
            Unit of `spacing`.
        """


FORMATS: dict[str, Format] = {
    ".tif": tiff,
    ".tiff": tiff,
    ".png": png,
    ".jpg": png,
    ".jpeg": png,
    ".npy": npy,
    ".dcm": dicom,
    ".nii": nifti,
    ".nii.gz": nifti,
    ".zarr": zarr_format,
}


def read_image(path: Path, axes: str | None = None) -> Image:
    """Open an image file; what is large is read later, piece by piece.

    Parameters
    ----------
    path : pathlib.Path
        TIFF, OME-TIFF, PNG, JPEG, npy, NIfTI, DICOM (a file, or the folder of a series), zarr or OME-Zarr.
    axes : str, optional
        One letter an axis (T, C, S, Z, Y, X), instead of what the file says.

    Returns
    -------
    Image
        (C, [Z,] Y, X) in the type of the file, named after it, with the pixel size that the file states.

    Raises
    ------
    ImageError
        If the file does not exist, is of no known format, is damaged, or holds what an Image cannot be.
    """
    path = Path(path)
    check_file(path)
    return _format(path).read(path, axes)


def read_labels(path: Path) -> npt.NDArray[Any]:
    """Read a label file whole.

    Parameters
    ----------
    path : pathlib.Path
        A file of any format but JPEG; a palette PNG gives the stored numbers.

    Returns
    -------
    numpy.ndarray
        ([Z,] Y, X) unsigned integers.

    Raises
    ------
    ImageError
        If the file cannot be read.
    LabelError
        If its values are negative or no whole numbers, it has several channels, or it is a JPEG.
    """
    path = Path(path)
    check_file(path)
    if suffix(path) in (".jpg", ".jpeg"):
        raise LabelError(
            f"{path} is a JPEG", "JPEG changes pixel values, so they are no labels any more", "Save them as PNG or TIFF"
        )
    image = png.read(path, indices=True) if _format(path) is png else _format(path).read(path, None)
    if image.channels != 1:
        what = "colours" if image.rgb else "channels"
        raise LabelError(
            f"{path} has {image.channels} {what}",
            "Labels are one whole number a pixel: 0 unlabelled, 1, 2, ... the classes",
            "Save the label numbers, not their colours",
        )
    labels = np.asarray(image.data[0])
    if labels.dtype.kind == "f" and not (np.isfinite(labels) & (labels == np.floor(labels))).all():
        raise LabelError(
            f"{path} holds numbers that are not whole ({labels.dtype})",
            "Labels are whole numbers",
            "This may be an image or a probability map; choose the label file",
        )
    if labels.dtype.kind == "u":
        return labels
    return _smallest(labels, str(path))


def write_labels(
    path: Path,
    labels: npt.NDArray[Any],
    *,
    spacing: tuple[float, ...] = (),
    unit: str = "pixel",
    like: Path | None = None,
    axes: str = "",
) -> None:
    """Write labels in the smallest unsigned type that holds them; whole or not at all.

    Parameters
    ----------
    path : pathlib.Path
        The file; its suffix names the format. TIFF is compressed without loss; PNG takes 2-D labels up to 65535.
    labels : numpy.ndarray
        ([Z,] Y, X) whole numbers from 0.
    spacing : tuple of float, optional
        Pixel size ([Z,] Y, X).
    unit : str, optional
        Unit of `spacing`.
    like : pathlib.Path, optional
        File of their image; if it is NIfTI or DICOM and the labels are NIfTI, they lie in the same place.
    axes : str, optional
        Their axes: ``YX``, ``ZYX``, or ``TYX`` for those of a time series; else they are a stack if they have three.

    Raises
    ------
    LabelError
        If the labels are negative, above 4294967295, or more than the format holds.
    StorageError
        If the disk is full or the place may not be written to.
    ImageError
        If the format is unknown.
    """
    path, labels = Path(path), np.asarray(labels)
    if labels.ndim not in (2, 3) or labels.dtype.kind not in "uib" or not labels.size:
        given = f"The labels for {path.name} have shape {labels.shape} and type {labels.dtype}"
        raise LabelError(given, "Labels are whole numbers in 2 or 3 dimensions ([Z,] Y, X)")
    axes, small = axes or "ZYX"[-labels.ndim :], _smallest(labels, path.name)
    _write(path, small, axes, _by_axis(axes, spacing), unit, like)


def write_channels(
    path: Path,
    data: npt.NDArray[Any],
    *,
    spacing: tuple[float, ...] = (),
    unit: str = "pixel",
    like: Path | None = None,
    axes: str = "",
) -> None:
    """Write probabilities, one channel a class; whole or not at all.

    Parameters
    ----------
    path : pathlib.Path
        The file; its suffix, of TIFF, NIfTI, npy or zarr, names the format.
    data : numpy.ndarray
        (K, [Z,] Y, X) float; written as float32.
    spacing : tuple of float, optional
        Pixel size ([Z,] Y, X).
    unit : str, optional
        Unit of `spacing`.
    like : pathlib.Path, optional
        File of their image; if it is NIfTI or DICOM and the probabilities are NIfTI, they lie in the same place.
    axes : str, optional
        Axes of each channel, as in `write_labels`.

    Raises
    ------
    ImageError
        If the format holds no real numbers, or the data has another number of dimensions.
    StorageError
        If the disk is full or the place may not be written to.
    """
    path, data = Path(path), np.asarray(data, np.float32)
    if data.ndim not in (3, 4) or not data.size:
        raise ImageError(
            f"The channels for {path.name} have shape {data.shape}", "They are (K, [Z,] Y, X), none of them 0"
        )
    if _format(path) is png:
        raise ImageError(f"{path.name} cannot hold probabilities", "They are real numbers", "Write .tif, .npy or .zarr")
    axes = axes or "ZYX"[1 - data.ndim :]
    _write(path, data, "C" + axes, _by_axis(axes, spacing), unit, like)


def write_image(path: Path, image: Image, *, like: Path | None = None) -> None:
    """Write the pixels of an image as real numbers; whole or not at all.

    Parameters
    ----------
    path : pathlib.Path
        The file; its suffix, of TIFF, NIfTI, npy or zarr, names the format.
    image : Image
        The image; written as float32, without an axis for a single channel.
    like : pathlib.Path, optional
        A file of the same image; if it is NIfTI or DICOM and what is written is NIfTI, it lies in the same place.

    Raises
    ------
    ImageError
        If the format holds no real numbers.
    StorageError
        If the disk is full or the place may not be written to.
    """
    path = Path(path)
    if _format(path) is png:
        raise ImageError(f"{path.name} cannot hold this image", "Its pixels are real numbers", "Write .tif or .npy")
    pixels, axes = np.asarray(image.data, np.float32), image.axes
    pixels, axes = (pixels[0], axes[1:]) if image.channels == 1 else (pixels, axes)
    _write(path, pixels, axes, _by_axis(image.axes[1:], image.spacing), image.unit, like)


def _write(
    path: Path, data: npt.NDArray[Any], axes: str, sizes: Mapping[str, float], unit: str, like: Path | None
) -> None:
    if _format(path) is nifti:
        nifti.write(path, data, axes, sizes, unit, placed=_placed(like) if like is not None else None)
    else:
        _format(path).write(path, data, axes, sizes, unit)


def _format(path: Path) -> Format:
    known = suffix(path).removeprefix(".ome")
    if known:
        return FORMATS[known]
    if is_dicom(path) or (path.is_dir() and not is_zarr(path)):
        return dicom
    if path.is_dir():
        return zarr_format
    raise ImageError(f"{path} has no known suffix", f"Known are {', '.join(SUFFIXES)}")


def _placed(path: Path) -> nifti.Placed | None:
    """Where an image lies in the patient, if its file says so."""
    if not is_medical(path):
        return None
    if _format(path) is nifti:
        return nifti.placed(path)
    affine = dicom.affine(path)
    return nifti.Placed(affine) if affine is not None else None


def _by_axis(axes: str, spacing: tuple[float, ...]) -> dict[str, float]:
    if spacing and (len(spacing) != len(axes) or not all(s > 0 for s in spacing)):
        raise ImageError(f"The spacing is {spacing}", f"It is one number above 0 for each of {', '.join(axes)}")
    known = zip(axes, spacing, strict=False)
    return {axis: float(s) for axis, s in known if axis != "T" or s != 1}  # of times 1 says that nothing is known


def _smallest(labels: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
    """Convert whole numbers to the smallest unsigned type that holds them."""
    low, high = labels.min(), labels.max()
    if low < 0 or high > np.iinfo(np.uint32).max:
        raise LabelError(f"{name} has values from {low} to {high}", "Labels go from 0 to 4294967295")
    kinds = (np.uint8, np.uint16, np.uint32)
    return labels.astype(next(k for k in kinds if high <= np.iinfo(k).max), copy=False)
