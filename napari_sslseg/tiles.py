"""Tiles: how a plane is covered by overlapping squares, and how what is predicted for them is blended back."""

from collections.abc import Iterator

import numpy as np

from napari_sslseg.intensity import Floats


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
    return [round(s) for s in np.linspace(0, size - tile, count)]


def layout(size: int, tile: int, overlap: int, multiple: int) -> list[tuple[int, int]]:
    """Lay tiles along one axis: as few as possible, and then as short as possible.

    Parameters
    ----------
    size : int
        Length of the axis.
    tile : int
        Greatest length of a tile.
    overlap : int
        Least overlap.
    multiple : int
        What the length of a tile is divisible by, unless it is that of the axis.

    Returns
    -------
    list of tuple of int
        Start and length of each tile.
    """
    count = len(starts(size, tile, overlap))
    length = min(size, -(-(size + (count - 1) * overlap) // count // multiple) * multiple)
    return [(start, length) for start in starts(size, length, overlap)]


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
