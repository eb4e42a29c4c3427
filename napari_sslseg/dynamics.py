"""Dynamics: a landscape parted into the basins of those tops that rise high enough above the passes between them."""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.morphology import local_maxima
from skimage.segmentation import watershed

Landscape = npt.NDArray[np.float32]
Numbers = npt.NDArray[Any]


def basins(landscape: Landscape, mask: npt.NDArray[np.bool_], *, rise: float, floor: float, least: float) -> Numbers:
    """Give each pixel the number of the top that it belongs to.

    A top counts if it rises by `rise` above the pass to any higher one (its dynamics: Grimaud, SPIE 1992). The result
    is that of a watershed seeded at the h-maxima; here all basins are flooded once and then joined from the highest
    pass down, which takes a fifth of the time.

    Parameters
    ----------
    landscape : numpy.ndarray
        ([Z,] Y, X) float32 heights.
    mask : numpy.ndarray
        ([Z,] Y, X) bool: where to look.
    rise : float
        How high a top is above the pass to a higher one, at least; above 0.
    floor : float
        Passes that are lower are taken to be as high as this.
    least : float
        Height of the lowest top, those left out that others have taken in.

    Returns
    -------
    numpy.ndarray
        ([Z,] Y, X) int: 0 outside the mask and where no top counts, else from 1, not without gaps.
    """
    around = np.pad(np.where(mask, landscape, -np.inf), 1, constant_values=-np.inf)  # so that a plain has a top too
    highest = local_maxima(around)[(slice(1, -1),) * mask.ndim] & mask
    tops, _ = ndimage.label(highest, np.ones((3,) * mask.ndim))
    flooded = watershed(-landscape, tops, mask=mask)
    count = int(flooded.max(initial=0))
    peaks = np.full(count + 1, -np.inf, np.float32)
    np.maximum.at(peaks, flooded.reshape(-1), landscape.reshape(-1))
    owners = _joined(peaks, *_passes(flooded, landscape, count), rise, floor)
    owners[peaks[owners] < least] = 0
    owners[0] = 0
    found: Numbers = owners[flooded]
    return found


def _passes(flooded: Numbers, landscape: Landscape, count: int) -> tuple[Numbers, Numbers, Landscape]:
    """Pairs of basins that touch, and the highest pass between them, from the highest down."""
    codes, heights = [], []
    for axis in range(flooded.ndim):
        after, before = (np.moveaxis(flooded, axis, 0)[s] for s in (np.s_[1:], np.s_[:-1]))
        higher, lower = (np.moveaxis(landscape, axis, 0)[s] for s in (np.s_[1:], np.s_[:-1]))
        meet = (after != before) & (after > 0) & (before > 0)
        one, other = after[meet].astype(np.int64), before[meet].astype(np.int64)
        codes.append(np.minimum(one, other) * (count + 1) + np.maximum(one, other))
        heights.append(np.minimum(higher[meet], lower[meet]))
    code, height = np.concatenate(codes), np.concatenate(heights)
    order = np.argsort(-height, kind="stable")
    pairs, first = np.unique(code[order], return_index=True)
    down = np.argsort(first)
    return (*np.divmod(pairs[down], count + 1), height[order][first[down]])


def _joined(peaks: Landscape, one: Numbers, other: Numbers, passes: Landscape, rise: float, floor: float) -> Numbers:
    """The basin that each one belongs to in the end: that of a higher top, unless its own rises high enough."""
    parents = list(range(len(peaks)))

    def root(k: int) -> int:
        while parents[k] != k:
            parents[k] = parents[parents[k]]
            k = parents[k]
        return k

    heights = peaks.tolist()
    for a, b, height in zip(one.tolist(), other.tolist(), np.maximum(passes, floor).tolist(), strict=True):
        low, high = sorted((root(a), root(b)), key=lambda k: (heights[k], -k))
        if heights[low] - height < rise:
            parents[low] = high
    return np.array([root(k) for k in range(len(parents))])


__all__ = ["basins"]
