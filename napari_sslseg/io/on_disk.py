"""OnDisk: numbers on disk that can be read like an array in memory: slicing reads that part, and nothing else."""

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_sslseg.io.lazy import LazyArray


class OnDisk:
    """An array on disk. One of its planes can be shown as another one, which is in memory alone.

    Parameters
    ----------
    source : LazyArray
        ([Z,] Y, X).
    dtype : dtype
        As what its elements are read.
    """

    def __init__(self, source: LazyArray, dtype: npt.DTypeLike) -> None:
        self._source, self.dtype = source, np.dtype(dtype)
        self.shape, self.ndim, self.size = source.shape, source.ndim, source.size
        self._instead: tuple[int, Any] | None = None  # a plane, and what is shown there

    def __len__(self) -> int:
        return self.shape[0]

    def show(self, z: int, plane: npt.NDArray[Any] | None) -> None:
        """Show a plane as another one from now on, and all others as they are on the disk.

        Parameters
        ----------
        z : int
            The plane; 0 where there is one only.
        plane : numpy.ndarray, optional
            (Y, X); None to show all as they are.
        """
        self._instead = None if plane is None else (z, plane.astype(self.dtype, copy=False))

    def __getitem__(self, key: Any) -> npt.NDArray[Any]:
        """Read a part.

        Parameters
        ----------
        key : int, slice, or tuple of these
            As of an array in memory; no lists.

        Returns
        -------
        numpy.ndarray
            A copy.
        """
        key = key if isinstance(key, tuple) else (key,)
        if ... in key:
            at, rest = key.index(...), self.ndim + 1 - len(key)
            key = (*key[:at], *(slice(None),) * rest, *key[at + 1 :])
        if self._instead is None:
            return self._read(key)
        if self.ndim == 2:
            return np.array(self._instead[1][key])
        (z, plane), (first, *rest) = self._instead, key
        chosen = range(len(self))[first]
        if chosen == z:
            return np.array(plane[tuple(rest)])
        found = self._read(key)
        if not isinstance(chosen, int) and z in chosen:
            found[chosen.index(z)] = plane[tuple(rest)]
        return found

    def _read(self, key: tuple[Any, ...]) -> npt.NDArray[Any]:
        found: npt.NDArray[Any] = np.asarray(self._source[key], self.dtype)
        return found

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """Read all of it."""
        return np.asarray(self[(slice(None),) * self.ndim], dtype)


__all__ = ["OnDisk"]
