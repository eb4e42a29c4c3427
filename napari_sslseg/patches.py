"""Where to look in images: squares of planes, read with mirrored borders."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_sslseg.image import Image
from napari_sslseg.intensity import Floats
from napari_sslseg.strokes import Stroke

Targets = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Place:
    """A square of one plane.

    Parameters
    ----------
    image : int
        Index of the image.
    z : int
        Plane.
    y, x : int
        Upper left corner; may lie outside the plane.
    side : int
        Side in pixels.
    """

    image: int
    z: int
    y: int
    x: int
    side: int


def _mirrored(start: int, side: int, size: int) -> npt.NDArray[np.intp]:
    """Indices start..start+side of an axis of `size`, mirrored at its ends as often as needed."""
    period = max(1, 2 * size - 2)
    folded = np.arange(start, start + side) % period
    return np.where(folded < size, folded, period - folded)


def cut(image: Image, place: Place) -> Floats:
    """Read a square of an image, normalised, mirrored where it leaves the plane.

    Parameters
    ----------
    image : Image
        The image.
    place : Place
        The square.

    Returns
    -------
    numpy.ndarray
        (C, side, side) float32.
    """
    rows, columns = (_mirrored(s, place.side, n) for s, n in zip((place.y, place.x), image.shape[-2:], strict=True))
    y, x = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
    part = image.normalised(place.z, y, x)
    return part[:, rows - y.start][:, :, columns - x.start]


def cut_targets(targets: Targets, place: Place) -> Targets:
    """Read a square of one plane of targets, 0 where it leaves the plane.

    Parameters
    ----------
    targets : numpy.ndarray
        (Y, X), 0 unlabelled.
    place : Place
        The square.

    Returns
    -------
    numpy.ndarray
        (side, side).
    """
    out = np.zeros((place.side, place.side), targets.dtype)
    y, x = max(0, place.y), max(0, place.x)
    part = targets[y : max(0, place.y + place.side), x : max(0, place.x + place.side)]
    out[y - place.y :, x - place.x :][: part.shape[0], : part.shape[1]] = part
    return out


def anywhere(images: list[Image], side: int, rng: np.random.Generator) -> Place:
    """Choose a square at random, large images more often than small ones.

    Parameters
    ----------
    images : list of Image
        The images.
    side : int
        Side in pixels.
    rng : numpy.random.Generator
        Random numbers.

    Returns
    -------
    Place
        Inside the plane where it fits.
    """
    sizes = np.sqrt([float(np.prod(i.shape)) for i in images])
    chosen = int(rng.choice(len(images), p=sizes / sizes.sum()))
    height, width = images[chosen].shape[-2:]
    z = int(rng.integers(images[chosen].planes))
    y, x = (int(rng.integers(min(0, n - side), max(0, n - side) + 1)) for n in (height, width))
    return Place(chosen, z, y, x, side)


def around(found: list[Stroke], value: int, side: int, rng: np.random.Generator) -> Place:
    """Choose a square that holds a labelled pixel of one class, any stroke of it as likely as any other.

    Parameters
    ----------
    found : list of Stroke
        Strokes, at least one of that class.
    value : int
        The class.
    side : int
        Side in pixels.
    rng : numpy.random.Generator
        Random numbers.

    Returns
    -------
    Place
        The labelled pixel lies in its inner two thirds.
    """
    of_class = [s for s in found if s.value == value]
    stroke = of_class[int(rng.integers(len(of_class)))]
    y, x = stroke.points[int(rng.integers(len(stroke.points)))]
    dy, dx = rng.integers(side // 6, side - side // 6, 2)
    return Place(stroke.image, stroke.z, int(y - dy), int(x - dx), side)
