"""Absorbing: parts of masks, such as specks and holes, given to what lies around them."""

from typing import Any

import numpy as np
import numpy.typing as npt
from skimage.measure import label

Masks = npt.NDArray[Any]


def absorb(masks: Masks, parts: npt.NDArray[Any], least: float, *, inside: bool = False) -> Masks:
    """Give small parts the value that most pixels around them have.

    Parameters
    ----------
    masks : numpy.ndarray
        ([Z,] Y, X) values from 1.
    parts : numpy.ndarray
        ([Z,] Y, X): the number of the part that each pixel belongs to; 0 for none.
    least : float
        Parts of fewer pixels are given away.
    inside : bool, optional
        Only those that lie wholly inside one value and away from the border of the image.

    Returns
    -------
    numpy.ndarray
        Masks of the same shape and type.
    """
    small = np.bincount(parts.reshape(-1)) < least
    small[0] = False
    if inside:  # the largest of them is soon out of the way
        for axis in range(parts.ndim):
            small[np.take(parts, [0, -1], axis)] = False
    ring = [(1, 1)] * masks.ndim
    numbers, values = np.pad(parts, ring).reshape(-1), np.pad(masks, ring).reshape(-1)
    steps = np.cumprod([1, *(n + 2 for n in masks.shape[:0:-1])])
    around, most = np.concatenate([steps, -steps]), int(values.max()) + 1
    left = np.flatnonzero(small[numbers])
    while len(left):
        near = (left[:, None] + around).reshape(-1)
        owner, other = np.repeat(numbers[left], len(around)).astype(np.int64), numbers[near]
        asked = other != owner if inside else (values[near] > 0) & ~small[other]
        pairs, votes = np.unique(owner[asked] * most + values[near[asked]], return_counts=True)
        part, value = np.divmod(pairs, most)
        if inside:
            single = np.bincount(part, minlength=len(small))[part] == 1
            part, value, votes = part[single], value[single], votes[single]
        order = np.argsort(votes, kind="stable")
        winner = np.zeros(len(small), masks.dtype)
        winner[part[order]] = value[order]
        won = winner[numbers[left]]
        values[left[won > 0]] = won[won > 0]
        small[winner > 0] = False
        if inside or not (won > 0).any():
            break
        left = left[won == 0]
    within = tuple(slice(1, -1) for _ in masks.shape)
    return values.reshape([n + 2 for n in masks.shape])[within].copy()


def fill_holes(objects: Masks) -> Masks:
    """Give what lies wholly inside one object to it.

    Parameters
    ----------
    objects : numpy.ndarray
        ([Z,] Y, X): 1 background, 2.. objects.

    Returns
    -------
    numpy.ndarray
        Objects without holes.
    """
    return absorb(objects, label(objects == 1, connectivity=1), np.inf, inside=True)


__all__ = ["absorb", "fill_holes"]
