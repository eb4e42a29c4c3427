"""Magnification: very small images are enlarged before a network sees them, and its answer is brought back to size."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_sslseg.annotation import Annotation, Labels
from napari_sslseg.image import Floats, Image

SMALL = 96  # px: planes with a shorter side are enlarged
GREATEST = 4


def magnification(images: list[Image]) -> int:
    """Choose by how much to enlarge images so that the shorter side of a typical plane has about `SMALL` pixels.

    Parameters
    ----------
    images : list of Image
        The images.

    Returns
    -------
    int
        1 for no change, at most 4.
    """
    side = float(np.median([min(i.shape[-2:]) for i in images]))
    return int(np.clip(np.ceil(SMALL / side), 1, GREATEST))


def magnify(image: Image, times: int) -> Image:
    """Enlarge the planes of an image by linear interpolation.

    Parameters
    ----------
    image : Image
        The image; read whole if `times` is above 1.
    times : int
        Magnification of Y and X.

    Returns
    -------
    Image
        The image itself for 1.
    """
    if times == 1:
        return image
    pixels = np.asarray(image.data)
    factors = (1,) * (pixels.ndim - 2) + (times, times)
    kind = pixels.dtype if pixels.dtype.kind == "f" else np.float32
    larger = ndimage.zoom(pixels.astype(kind), factors, order=1, mode="nearest", grid_mode=True)
    spacing = (*image.spacing[:-2], *(s / times for s in image.spacing[-2:]))
    return replace(image, data=larger, spacing=spacing)


def magnify_labels(labels: Labels, times: int) -> Labels:
    """Enlarge labels by repeating pixels.

    Parameters
    ----------
    labels : numpy.ndarray
        ([Z,] Y, X).
    times : int
        Magnification of Y and X.

    Returns
    -------
    numpy.ndarray
        ([Z,] times Y, times X).
    """
    return labels if times == 1 else labels.repeat(times, -2).repeat(times, -1)


def magnified(annotation: Annotation, times: int) -> Annotation:
    """Enlarge what was painted, and its regions.

    Parameters
    ----------
    annotation : Annotation
        Labels of an image.
    times : int
        Magnification of Y and X.

    Returns
    -------
    Annotation
        Labels of the enlarged image.
    """
    if times == 1:
        return annotation
    regions, accepted = tuple(r.magnified(times) for r in annotation.regions), annotation.accepted
    larger = None if accepted is None else magnify_labels(np.asarray(accepted), times)
    return replace(annotation, labels=magnify_labels(annotation.labels, times), regions=regions, accepted=larger)


def reduce(maps: Floats, times: int) -> Floats:
    """Bring maps back to size by averaging.

    Parameters
    ----------
    maps : numpy.ndarray
        (K, times Y, times X).
    times : int
        Magnification.

    Returns
    -------
    numpy.ndarray
        (K, Y, X).
    """
    if times == 1:
        return maps
    k, height, width = maps.shape
    result: npt.NDArray[np.float32] = maps.reshape(k, height // times, times, width // times, times).mean((2, 4))
    return result
