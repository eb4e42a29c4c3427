"""Where to look in images, and how predictions of overlapping tiles are blended back."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_sslseg.annotation import Annotation, strokes
from napari_sslseg.image import Floats, Image

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


@dataclass(frozen=True, eq=False)
class Stroke:
    """One connected piece of labels.

    Parameters
    ----------
    image, z : int
        Image index and plane.
    value : int
        Its class, 1 or more; of objects 1 is background and 2 any object.
    points : numpy.ndarray
        (N, 2) pixel coordinates (y, x).
    """

    image: int
    z: int
    value: int
    points: npt.NDArray[np.intp]

    @property
    def key(self) -> tuple[int, int, int, int]:
        """A number that stays the same while the stroke does, and an order to break ties."""
        y, x = (int(v) for v in self.points[0])
        scattered = (y * 73856093 ^ x * 19349663 ^ self.z * 83492791) % 1000003
        return scattered, self.image, y, x


def find_strokes(annotations: list[Annotation]) -> list[Stroke]:
    """List the strokes of all annotations.

    Parameters
    ----------
    annotations : list of Annotation
        One an image.

    Returns
    -------
    list of Stroke
        In order of image, plane and place.
    """
    found = []
    for i, annotation in enumerate(annotations):
        for z in annotation.planes():
            plane = annotation.plane(z)
            numbered, count = strokes(plane)
            if not count:
                continue
            points = np.argwhere(numbered)
            number = numbered[tuple(points.T)]
            order = np.argsort(number, kind="stable")
            ends = np.searchsorted(number[order], np.arange(1, count + 2))
            for a, b in zip(ends, ends[1:], strict=False):
                at = points[order[a:b]]
                value = int(plane[tuple(at[0])])
                found.append(Stroke(i, z, min(value, 2) if annotation.task == "instance" else value, at))
    return found


def hold_out(found: list[Stroke], share: float, least: int = 4) -> tuple[list[Stroke], list[Stroke]]:
    """Keep some whole strokes of each class apart, the same ones for as long as they exist.

    Parameters
    ----------
    found : list of Stroke
        All strokes.
    share : float
        Share of the strokes of each class to keep apart.
    least : int, optional
        A class with fewer strokes than this keeps all for training.

    Returns
    -------
    list of Stroke
        Strokes to train on.
    list of Stroke
        Strokes kept apart.
    """
    apart: set[int] = set()
    for value in {s.value for s in found}:
        of_class = sorted((s.key, k) for k, s in enumerate(found) if s.value == value)
        if len(of_class) >= least:
            apart |= {k for _, k in of_class[: int(np.ceil(share * len(of_class) - 1e-9))]}
    return [s for k, s in enumerate(found) if k not in apart], [s for k, s in enumerate(found) if k in apart]


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


def starts(size: int, tile: int, overlap: int) -> list[int]:
    """Where tiles begin along one axis so that they cover it and overlap at least so much.

    Parameters
    ----------
    size : int
        Length of the axis.
    tile : int
        Length of a tile.
    overlap : int
        Least overlap.

    Returns
    -------
    list of int
        Starts, evenly spread; the last tile ends at the end.
    """
    if size <= tile:
        return [0]
    count = int(np.ceil((size - overlap) / (tile - overlap)))
    return [int(round(s)) for s in np.linspace(0, size - tile, count)]


def window(height: int, width: int, overlap: int) -> Floats:
    """Weights of a tile's pixels when tiles are averaged: 1 inside, falling towards its edges.

    Parameters
    ----------
    height, width : int
        Size of the tile.
    overlap : int
        Width of the falling part.

    Returns
    -------
    numpy.ndarray
        (height, width) float32 above 0.
    """
    sides = []
    for size in (height, width):
        from_edge = np.minimum(np.arange(size), np.arange(size)[::-1]) + 1.0
        sides.append(np.minimum(1, from_edge / (overlap + 1)))
    return np.outer(*sides).astype(np.float32)


class Blend:
    """Averages overlapping tiles of one plane row by row of tiles, so that a band is all it holds in memory.

    Parameters
    ----------
    channels : int
        Channels of the tiles.
    height, width : int
        Size of the plane.
    overlap : int
        How far tiles overlap.
    """

    def __init__(self, channels: int, height: int, width: int, overlap: int) -> None:
        self.height, self.width, self.overlap = height, width, overlap
        self._sum = np.zeros((channels, 0, width), np.float32)
        self._weight = np.zeros((0, width), np.float32)
        self._top = 0

    def add(self, tile: Floats, y: int, x: int) -> None:
        """Add one tile; tiles come in order of y.

        Parameters
        ----------
        tile : numpy.ndarray
            (channels, h, w).
        y, x : int
            Its upper left corner.
        """
        h, w = tile.shape[-2:]
        missing = y + h - self._top - self._sum.shape[1]
        if missing > 0:
            self._sum = np.pad(self._sum, ((0, 0), (0, missing), (0, 0)))
            self._weight = np.pad(self._weight, ((0, missing), (0, 0)))
        weights = window(h, w, self.overlap)
        at = np.s_[y - self._top : y - self._top + h, x : x + w]
        self._sum[:, at[0], at[1]] += tile * weights
        self._weight[at] += weights

    def finished(self, below: int) -> Iterator[tuple[int, Floats]]:
        """Take out the rows that no later tile touches.

        Parameters
        ----------
        below : int
            Where the next row of tiles begins; the height of the plane after the last.

        Yields
        ------
        int
            First row.
        numpy.ndarray
            (channels, rows, width) averages.
        """
        rows = below - self._top
        if rows > 0:
            yield self._top, self._sum[:, :rows] / self._weight[:rows]
            self._sum, self._weight, self._top = self._sum[:, rows:].copy(), self._weight[rows:].copy(), below
