"""Channels: arrays that are the channels of one image, put together where they are read, and nowhere else."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_sslseg.io.lazy import LazyArray


class _Channels:
    """What reads a part of several arrays at once."""

    def __init__(self, parts: Sequence[Any]) -> None:
        self._parts = tuple(parts)
        self.shape = (len(self._parts), *(int(n) for n in parts[0].shape))
        self.ndim, self.dtype = len(self.shape), np.result_type(*(part.dtype for part in parts))

    def __getitem__(self, key: tuple[slice | int, ...]) -> npt.NDArray[Any]:
        which, inside = key[0], key[1:]
        if isinstance(which, int):
            return np.asarray(self._parts[which][inside], self.dtype)
        read = [np.asarray(part[inside], self.dtype) for part in self._parts[which]]
        return np.stack(read) if read else np.zeros((0, *self.shape[1:]), self.dtype)[(slice(None), *inside)]


def joined(parts: Sequence[Any], name: str) -> LazyArray:
    """Make one array of several of the same shape; nothing is read or copied.

    Parameters
    ----------
    parts : sequence of array
        The channels: of NumPy, of Dask, or anything that slices into NumPy.
    name : str
        Name of the image, for messages.

    Returns
    -------
    LazyArray
        (C, ...), of a type that holds what is in all of them.
    """
    return LazyArray(_Channels(parts), Path(name))


__all__ = ["joined"]
