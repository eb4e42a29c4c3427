"""Doubts: where predicted masks are unsure, pixel by pixel, read from the disk when it is looked at."""

from typing import Any

import numpy as np
import numpy.typing as npt
import zarr

from napari_sslseg import originals
from napari_sslseg.io.lazy import LazyArray
from napari_sslseg.io.memory import remembered
from napari_sslseg.project import Project

Key = tuple[slice | int, ...]


class Doubts:
    """How close the second best class comes to the best, of an image or a stack; only what is asked for is read.

    Parameters
    ----------
    shares : array
        (K, Z, Y, X) uint8, 255 for certain; 0 of all classes where that was not kept.
    deep : bool
        Whether the image is a stack.
    """

    def __init__(self, shares: Any, deep: bool) -> None:
        self._shares = remembered(shares)
        self.shape: tuple[int, ...] = tuple(shares.shape[1 if deep else 2 :])
        self.ndim, self.dtype = len(self.shape), np.dtype(np.float32)

    def __getitem__(self, key: Key) -> npt.NDArray[np.float32]:
        """Read a part.

        Parameters
        ----------
        key : tuple of slice or int
            One an axis, forwards.

        Returns
        -------
        numpy.ndarray
            0 (sure, or not known) to 1 (two classes are equally probable).
        """
        z: slice | int = key[0] if self.ndim == 3 else 0
        if isinstance(z, int):
            return self._plane(z, key[-2:])
        planes = range(*z.indices(self.shape[0]))
        size = [1 if isinstance(k, int) else len(range(*k.indices(n))) for k, n in zip(key, self.shape, strict=True)]
        found = np.zeros(size, np.float32)
        for at, z in enumerate(planes):
            found[at] = self._plane(z, key[-2:]).reshape(size[1:])
        return found[tuple(0 if isinstance(k, int) else slice(None) for k in key)]

    def _plane(self, z: int, part: Key) -> npt.NDArray[np.float32]:
        best = second = np.zeros((), np.uint8)
        for k in range(self._shares.shape[0]):
            share = self._shares[(k, z, *part)]
            best, second = np.maximum(best, share), np.maximum(second, np.minimum(best, share))
        found = (255 - (best - second)).astype(np.float32) / np.float32(255)
        return np.where(best > 0, found, np.float32(0))


def planes(project: Project, id: str) -> tuple[int, ...]:
    """List the planes of an image of whose masks it is known how sure they are.

    Parameters
    ----------
    project : Project
        The project.
    id : str
        Image id.

    Returns
    -------
    tuple of int
        Their indices, in order; none where that was not kept.
    """
    return originals.kept(project, id)[1]


def doubts(project: Project, id: str) -> LazyArray | None:
    """Say where the masks of an image are unsure, as they were predicted.

    Parameters
    ----------
    project : Project
        The project.
    id : str
        Image id.

    Returns
    -------
    LazyArray, optional
        ([Z,] Y, X) float32 in 0 to 1: how close the second best class comes to the best; 0 in planes of which that was
        not kept. None where it was kept of none.
    """
    place, known = originals.kept(project, id)
    if place is None or not known:
        return None
    return LazyArray(Doubts(zarr.open_array(place, mode="r"), len(project.entry(id).shape) == 3), place)


__all__ = ["Doubts", "doubts", "planes"]
