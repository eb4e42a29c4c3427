"""Likeness: whether two images are the same pixels in the same order, or the same ones in another order."""

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_sslseg.errors import StoppedError
from napari_sslseg.image import Image
from napari_sslseg.job import Clock, Job, Stop

BLOCK = 64  # px: side of what is looked at to find the same pixels in another order


def alike(one: Image, other: Image, stop: Stop) -> Job[bool]:
    """Compare all pixels of two images, plane by plane, until one differs.

    Parameters
    ----------
    one, other : Image
        The images; their names and pixel sizes do not matter.
    stop : Stop
        Looked at before each plane.

    Yields
    ------
    Progress
        How much is compared.

    Returns
    -------
    bool
        Whether they are the same, with the same axes.

    Raises
    ------
    StoppedError
        If it was stopped.
    """
    if (one.axes, one.rgb, one.data.shape) != (other.axes, other.rgb, other.data.shape):
        return False
    clock = Clock()
    for z in range(one.planes):
        if stop.requested:
            raise StoppedError(f"Copying {other.name} was stopped", "There is nothing to keep", "Start it again")
        if not _same(one.read(z), other.read(z)):
            return False
        if (event := clock.event(f"comparing {other.name}", (z + 1) / one.planes)) is not None:
            yield event
    return True


def turned(one: Image, other: Image) -> bool:
    """Tell whether an image is another one of the same shape, with its axes in another order.

    Parameters
    ----------
    one, other : Image
        The images; a block in the middle of them is looked at.

    Returns
    -------
    bool
        False where the block is the same in both orders.
    """
    if one.data.shape != other.data.shape:
        return False
    middle = tuple(slice(max(0, (n - BLOCK) // 2), (n + BLOCK) // 2) for n in one.data.shape)
    a, b = np.asarray(one.data[middle]), np.asarray(other.data[middle])
    orders = [o for o in itertools.permutations(range(a.ndim)) if one.data.transpose(o).shape == one.data.shape]
    return not _same(a, b) and any(_same(a.transpose(order), b) for order in orders)


def _same(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> bool:
    return np.array_equal(a, b, equal_nan=a.dtype.kind == "f" and b.dtype.kind == "f")
