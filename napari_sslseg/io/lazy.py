"""LazyArray: an array on disk, seen with its axes in another order; only the part that is asked for is read."""

import types
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_sslseg.io.memory import Remembered, remembered
from napari_sslseg.io.reading import reading

SMALL = 64 * 2**20  # bytes: an image up to this size is read whole when opened, which makes every later read fast


class LazyArray:
    """A view of an array on disk. Slicing it gives another view; ``numpy.asarray`` reads the pixels of a view.

    A Dask array of a 100 GB volume takes a third of a second for each crop, because its graph has a task for each of
    half a million chunks; this one goes straight to the few chunks under the crop, and remembers those used last.

    Parameters
    ----------
    source : array
        What reads pixels when sliced, such as a zarr array or a NumPy memory map.
    path : pathlib.Path
        Its file, for messages.
    """

    def __init__(self, source: Any, path: Path) -> None:
        self._source, self._path = remembered(source), path
        self._where: tuple[range | int, ...] = tuple(range(n) for n in source.shape)
        self._order: tuple[int | None, ...] = tuple(range(source.ndim))
        self.dtype: np.dtype[Any] = np.dtype(source.dtype).newbyteorder("=")

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        return tuple(1 if axis is None else len(self._range(axis)) for axis in self._order)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self._order)

    @property
    def path(self) -> Path:
        """Its file."""
        return self._path

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def nbytes(self) -> int:
        """Bytes in memory if all of it were read."""
        return self.size * self.dtype.itemsize

    @property
    def decoded(self) -> int:
        """Bytes that must be decoded to read it; more than `nbytes` where chunks are larger than the part."""
        if not isinstance(self._source, Remembered):
            return self.nbytes
        return self._source.decoded([range(w, w + 1) if isinstance(w, int) else w for w in self._where])

    def __repr__(self) -> str:
        return f"LazyArray({self._path.name}, shape={self.shape}, dtype={self.dtype})"

    def __len__(self) -> int:
        return self.shape[0]

    def transpose(self, *axes: Any) -> "LazyArray":
        """Put the axes in another order; nothing is read.

        Parameters
        ----------
        *axes : int or sequence of int
            The axes in their new order; without any they are reversed.

        Returns
        -------
        LazyArray
            The view.
        """
        order = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes
        order = tuple(order) or tuple(range(self.ndim))[::-1]
        if sorted(order) != list(range(self.ndim)):
            raise ValueError(f"Axes {order} are not an order of {self.ndim} axes")
        return self._view(self._where, tuple(self._order[axis] for axis in order))

    def __getitem__(self, key: Any) -> "LazyArray":
        where, order, axis = list(self._where), list[int | None](), 0
        for part in self._expand(key if isinstance(key, tuple) else (key,)):
            if part is None:
                order.append(None)
                continue
            at, axis = self._order[axis], axis + 1
            inside = range(1) if at is None else self._range(at)
            chosen = inside[part if isinstance(part, slice) else int(part)]
            if isinstance(chosen, range):
                order.append(at)
                if at is None and len(chosen) != 1:
                    raise IndexError("An axis of length 1 cannot be cut to nothing")
            if at is not None:
                where[at] = chosen
        return self._view(tuple(where), tuple(order))

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """Read the pixels.

        Raises
        ------
        ImageError
            If the file is damaged at this place or has gone.
        """
        kept = [axis for axis, where in enumerate(self._where) if isinstance(where, range)]
        with reading(self._path, "image"):
            pixels = np.asarray(self._source[tuple(_ascending(where) for where in self._where)])
        backwards = [isinstance(w, range) and w.step < 0 for w in self._where]
        pixels = pixels[tuple(slice(None, None, -1 if backwards[axis] else 1) for axis in kept)]
        pixels = pixels.transpose([kept.index(axis) for axis in self._order if axis is not None])
        for position, axis in enumerate(self._order):
            if axis is None:
                pixels = np.expand_dims(pixels, position)
        return np.asarray(pixels, self.dtype if dtype is None else dtype)

    def _range(self, axis: int) -> range:
        where = self._where[axis]
        assert isinstance(where, range)
        return where

    def _view(self, where: tuple[range | int, ...], order: tuple[int | None, ...]) -> "LazyArray":
        view = LazyArray(self._source, self._path)
        view._where, view._order = where, order
        return view

    def _expand(self, key: tuple[Any, ...]) -> list[Any]:
        """Write out ``...`` and missing slices."""
        for part in key:
            if not isinstance(part, (int, np.integer, slice, types.NoneType, types.EllipsisType)):
                raise IndexError(
                    f"An image on disk is cut with whole numbers and slices, not with {type(part).__name__}"
                )
        given = sum(part is not None and part is not ... for part in key)
        if given > self.ndim or sum(part is ... for part in key) > 1:
            raise IndexError(f"Too many indices for an array of {self.ndim} axes")
        rest = [slice(None)] * (self.ndim - given)
        if not any(part is ... for part in key):
            return [*key, *rest]
        at = next(i for i, part in enumerate(key) if part is ...)
        return [*key[:at], *rest, *key[at + 1 :]]


def _ascending(where: range | int) -> slice | int:
    if isinstance(where, int):
        return where
    forwards = where if where.step > 0 else where[::-1]
    return slice(forwards.start, forwards.stop, forwards.step) if len(forwards) else slice(0, 0)
