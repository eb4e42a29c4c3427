"""Where to look in images: squares of planes or boxes of volumes, read with mirrored borders."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_sslseg.image import Image
from napari_sslseg.intensity import Floats
from napari_sslseg.strokes import Stroke

Targets = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Place:
    """A square of one plane, or a box of a volume.

    Parameters
    ----------
    image : int
        Index of the image.
    z : int
        Plane; of a box the first one, which may lie outside the volume.
    y, x : int
        Upper left corner; may lie outside the plane.
    side : int
        Side in pixels.
    depth : int, optional
        Planes of a box; 0 for a square.
    """

    image: int
    z: int
    y: int
    x: int
    side: int
    depth: int = 0


def mirrored(start: int, side: int, size: int) -> npt.NDArray[np.intp]:
    """Mirror an axis at its ends as often as needed.

    Parameters
    ----------
    start, side : int
        What is read, from where and how much.
    size : int
        Length of the axis.

    Returns
    -------
    numpy.ndarray
        (side,) indices.
    """
    period = max(1, 2 * size - 2)
    folded = np.arange(start, start + side) % period
    return np.where(folded < size, folded, period - folded)


def cut(image: Image, place: Place) -> Floats:
    """Read a square or box of an image, normalised, mirrored where it leaves the image.

    Parameters
    ----------
    image : Image
        The image.
    place : Place
        The square, or the box.

    Returns
    -------
    numpy.ndarray
        (C, [depth,] side, side) float32.
    """
    rows, columns = (mirrored(s, place.side, n) for s, n in zip((place.y, place.x), image.shape[-2:], strict=True))
    y, x = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
    if not place.depth:
        return image.normalised(place.z, y, x)[:, rows - y.start][:, :, columns - x.start]
    planes = mirrored(place.z, place.depth, image.planes)
    z = slice(int(planes.min()), int(planes.max()) + 1)
    part = image.normalised(z, y, x)[:, planes - z.start]
    return part[:, :, rows - y.start][..., columns - x.start]


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


def cut_sparse(targets: Mapping[int, Targets], place: Place) -> Targets:
    """Read a square or box of targets of which only some planes are there, 0 where nothing is.

    Parameters
    ----------
    targets : mapping of int to numpy.ndarray
        (Y, X) by plane, 0 unlabelled.
    place : Place
        The square, whose plane must be there, or the box.

    Returns
    -------
    numpy.ndarray
        ([depth,] side, side).
    """
    if not place.depth:
        return cut_targets(targets[place.z], place)
    out = np.zeros((place.depth, place.side, place.side), np.uint8)
    for k in range(place.depth):
        if (plane := targets.get(place.z + k)) is not None:
            out[k] = cut_targets(plane, place)
    return out


def anywhere(images: list[Image], side: int, rng: np.random.Generator, depth: int = 0) -> Place:
    """Choose a square or box at random, large images more often than small ones.

    Parameters
    ----------
    images : list of Image
        The images.
    side : int
        Side in pixels.
    rng : numpy.random.Generator
        Random numbers.
    depth : int, optional
        Planes of a box; 0 for a square.

    Returns
    -------
    Place
        Inside the image where it fits.
    """
    sizes = np.sqrt([float(np.prod(i.shape)) for i in images])
    chosen = int(rng.choice(len(images), p=sizes / sizes.sum()))
    height, width = images[chosen].shape[-2:]
    z = _start(images[chosen].planes, depth or 1, rng)
    y, x = (_start(n, side, rng) for n in (height, width))
    return Place(chosen, z, y, x, side, depth)


def _start(size: int, length: int, rng: np.random.Generator) -> int:
    return int(rng.integers(min(0, size - length), max(0, size - length) + 1))


def around(found: list[Stroke], value: int, side: int, rng: np.random.Generator, depth: int = 0) -> Place:
    """Choose a square or box that holds a labelled pixel of one class, any stroke of it as likely as any other.

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
    depth : int, optional
        Planes of a box; 0 for a square.

    Returns
    -------
    Place
        The labelled pixel lies in its inner two thirds.
    """
    of_class = [s for s in found if s.value == value]
    stroke = of_class[int(rng.integers(len(of_class)))]
    y, x = stroke.points[int(rng.integers(len(stroke.points)))]
    dy, dx = rng.integers(side // 6, side - side // 6, 2)
    z = stroke.z - int(rng.integers(depth // 6, depth - depth // 6)) if depth else stroke.z
    return Place(stroke.image, z, int(y - dy), int(x - dx), side, depth)
