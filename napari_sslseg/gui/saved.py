"""Saved: what is on the disk of the labels of a layer, as far as this window knows; tiles of zeros take no room."""

import itertools
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from napari_sslseg.io.chunks import CHUNK

Labels = npt.NDArray[np.uint16]
Region = tuple[slice, ...]


class Saved:
    """Remembers labels, so that only what changed since is written and strokes of others stay.

    napari's brush writes through views, so what a pixel was is not told when it changes.

    Parameters
    ----------
    labels : numpy.ndarray
        ([Z,] Y, X) what is on the disk.
    boxes : iterable of tuple of slice
        Where something may be painted in them.
    """

    def __init__(self, labels: Labels, boxes: Iterable[Region]) -> None:
        self._tiles: dict[tuple[int, ...], Labels] = {}
        for box in boxes:
            self.swap(box, labels[box])

    def swap(self, region: Region, labels: Labels) -> Labels:
        """Remember other labels in a region.

        Parameters
        ----------
        region : tuple of slice
            The region, with start and stop.
        labels : numpy.ndarray
            What is there from now on.

        Returns
        -------
        numpy.ndarray
            What was there.
        """
        before = np.zeros(labels.shape, np.uint16)
        for at, inside, part in _tiles(region):
            tile = self._tiles.get(at)
            if tile is not None:
                before[part] = tile[inside]
            elif labels[part].any():
                tile = self._tiles[at] = np.zeros((1,) * (len(at) - 2) + (CHUNK, CHUNK), np.uint16)
            if tile is not None:
                tile[inside] = labels[part]
                if not tile.any():
                    del self._tiles[at]
        return before


def _tiles(region: Region) -> Iterator[tuple[tuple[int, ...], Region, Region]]:
    """Go through the tiles that a region touches: which, where the region is in it, and where it is in the region."""
    sides = [1] * (len(region) - 2) + [CHUNK, CHUNK]
    spans = [range(r.start // n, -(-r.stop // n)) for r, n in zip(region, sides, strict=True)]
    for at in itertools.product(*spans):
        low = [max(r.start, k * n) for r, k, n in zip(region, at, sides, strict=True)]
        high = [min(r.stop, (k + 1) * n) for r, k, n in zip(region, at, sides, strict=True)]
        inside = tuple(slice(a - k * n, b - k * n) for a, b, k, n in zip(low, high, at, sides, strict=True))
        yield at, inside, tuple(slice(a - r.start, b - r.start) for a, b, r in zip(low, high, region, strict=True))
