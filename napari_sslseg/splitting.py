"""Splitting: single objects from a mask of one class, where they touch; needs no network."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.morphology import local_maxima, reconstruction
from skimage.segmentation import watershed

from napari_sslseg.errors import LabelError, StorageError
from napari_sslseg.io import find_files, read_image, read_labels, write_labels
from napari_sslseg.job import Job, Progress, Stop
from napari_sslseg.settings import NECK

BLUR = 1.0  # px: outlines are smoothed by so much, of which each pixel's step would else be a neck


def split(mask: npt.NDArray[np.bool_], spacing: tuple[float, ...], neck: float = NECK) -> npt.NDArray[np.int32]:
    """Cut a mask at its necks: a watershed of the distance to its border, from its tops (Soille and Vincent 1990).

    A top counts if, on the way to a higher one, the distance falls below `neck` times its own. So it does not matter
    how large objects are.

    Parameters
    ----------
    mask : numpy.ndarray
        ([Z,] Y, X) bool.
    spacing : tuple of float
        Pixel size ([Z,] Y, X).
    neck : float, optional
        0 cuts nowhere but leaves connected parts, nearly 1 cuts everywhere.

    Returns
    -------
    numpy.ndarray
        ([Z,] Y, X): 1 outside of the mask, 2.. one object each.
    """
    whole, _ = ndimage.label(mask, ndimage.generate_binary_structure(mask.ndim, mask.ndim))
    if neck <= 0 or not mask.any():
        return _numbered(whole)
    step = min(spacing)
    deep = ndimage.distance_transform_edt(mask, sampling=[s / step for s in spacing])
    deep = ndimage.gaussian_filter(deep, [BLUR * step / s for s in spacing])
    height = np.log(np.maximum(deep, 0.25))
    fall = -np.log(min(neck, 0.999))
    tops = local_maxima(reconstruction(height - fall, height, method="dilation")) & mask
    seeds, count = ndimage.label(tops, np.ones((3,) * mask.ndim))
    found = watershed(-height, seeds, mask=mask)
    lost = mask & (found == 0)  # parts without a top of their own, such as single pixels
    found[lost] = ndimage.label(lost)[0][lost] + count
    return _numbered(found)


def _split_frames(mask: npt.NDArray[np.bool_], spacing: tuple[float, ...], neck: float) -> npt.NDArray[np.int32]:
    """Cut each frame of a time series by itself; no two objects of any frames have one number."""
    objects, last = np.ones(mask.shape, np.int32), 1
    for frame, cut in zip(mask, objects, strict=True):
        cut[frame] = split(frame, spacing[1:], neck)[frame] + np.int32(last - 1)
        last = max(last, int(cut.max()))
    return objects


def _numbered(objects: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.int32]:
    """Objects from 2 on, 1 for what is none."""
    result: npt.NDArray[np.int32] = objects.astype(np.int32) + np.int32(1)
    return result


def split_files(
    paths: Iterable[str | Path], value: int, out: Path, neck: float = NECK, stop: Stop | None = None
) -> Job[list[Path]]:
    """Split one class of label files, such as predicted masks, into objects.

    Parameters
    ----------
    paths : iterable of str or Path
        Label files and folders.
    value : int
        The class.
    out : Path
        Folder to write to: files of the same names, in which 1 is background and each object has a number from 2 on; of
        a time series each frame has objects of its own.
    neck : float, optional
        As in `split`.
    stop : Stop, optional
        To end early; files that are written stay.

    Yields
    ------
    Event
        Progress.

    Returns
    -------
    list of Path
        The files that were written.

    Raises
    ------
    LabelError
        If no file holds the class; then nothing is written.
    StorageError
        If a file of that name is there already, or two files have one name; then nothing is written.
    """
    stop, sources = stop or Stop(), dict[Path, Path]()
    for path in find_files(paths):
        target = out / path.name
        if target.exists():
            raise StorageError(f"{target} exists already", "Nothing is written over", "Choose another folder")
        if target in sources:
            raise StorageError(f"Two files would be written to {target}", "Each needs a name of its own", "Rename one")
        sources[target] = path
    if not any(stop.requested or (read_labels(path) == value).any() for path in sources.values()):
        raise LabelError(f"No file holds class {value}", "It is the value that was painted for it")
    written: list[Path] = []
    for target, path in sources.items():
        if stop.requested:
            break
        labels, image = read_labels(path), read_image(path)
        spacing, axes = image.spacing[-labels.ndim :], image.axes[-labels.ndim :]
        objects = (_split_frames if "T" in axes else split)(labels == value, spacing, neck)
        write_labels(target, objects, spacing=spacing, unit=image.unit, like=path, axes=axes)
        written.append(target)
        yield Progress(len(written) / len(sources), path.name)
    return written


__all__ = ["NECK", "split", "split_files"]
