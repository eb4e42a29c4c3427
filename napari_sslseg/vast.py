"""Vast arrays: zeros that take room only where something is written, and from where on masks are not held in memory."""

import math
import mmap
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_sslseg.errors import StorageError

MOST = 2**28  # pixels of masks that are held in memory, where they take up to 1 GiB; of more, they are on the disk
NORESERVE = 0x4000  # Linux: room is given page by page when it is written to, and not promised before


def large(shape: Sequence[int]) -> bool:
    """Tell whether masks are so large that they are written as they come, and read from the disk where one looks.

    Parameters
    ----------
    shape : sequence of int
        Their shape.

    Returns
    -------
    bool
        Whether they are.
    """
    return math.prod(shape) > MOST


def zeros(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Make an array of zeros.

    Parameters
    ----------
    shape : tuple of int
        Its shape.
    dtype : dtype
        Type of its elements, of numbers.

    Returns
    -------
    numpy.ndarray
        The array.

    Raises
    ------
    StorageError
        If this system does not lend so much.
    """
    try:
        return np.zeros(shape, dtype)
    except MemoryError as error:
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        try:
            if not sys.platform.startswith("linux"):
                raise OSError from error
            room = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | NORESERVE)
        except OSError:
            raise StorageError(
                f"Masks or labels of {'×'.join(map(str, shape))} pixels would take {size / 2**30:.0f} GiB",
                "This system does not lend so much memory, not even where nothing is painted",
                "Work on a part of the image: draw a rectangle, and choose that only this region is used",
            ) from error
        return np.frombuffer(room, dtype).reshape(shape)


def free() -> float:
    """Say how much memory can be written to before the system takes it back from somebody.

    Returns
    -------
    float
        Bytes: what is available on Linux, what is there at all elsewhere; infinite where the system does not tell.
    """
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024.0
    except OSError:
        pass
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):
        return float("inf")


__all__ = ["free", "large", "zeros"]
