"""Lot: which of very many pixels are looked at, drawn by their places alone, so that the same ones are drawn again."""

from typing import Any

import numpy as np
import numpy.typing as npt

Places = npt.NDArray[np.integer[Any]]
Ranks = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.intp]


def rank(points: Places, plane: int) -> Ranks:
    """Mix places into numbers that are all different within a plane (the finaliser of SplitMix64, Steele 2014).

    Parameters
    ----------
    points : numpy.ndarray
        (N, 2) pixels (y, x).
    plane : int
        A number of the plane, another one for each; 64 bits of it count.

    Returns
    -------
    numpy.ndarray
        (N,) numbers as good as random.
    """
    y, x = points.astype(np.uint64).T
    mixed: Ranks = (y << np.uint64(32)) ^ x ^ np.uint64(plane % 2**64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    return mixed


def likely(ranks: Ranks, groups: npt.NDArray[np.integer[Any]], most: int | npt.NDArray[np.integer[Any]]) -> Indices:
    """Leave out pixels that will not be among those of the lowest ranks of their group, without sorting any.

    Parameters
    ----------
    ranks : numpy.ndarray
        (N,) numbers of the pixels, as good as random.
    groups : numpy.ndarray
        (N,) the group of each, from 0.
    most : int or numpy.ndarray
        How many of a group may be drawn, or of each.

    Returns
    -------
    numpy.ndarray
        Indices of four times as many, about, of groups that have more; that they are too few is as good as impossible.
    """
    bound = np.minimum(4.0 * most / np.maximum(np.bincount(groups), 1), 1.0) * 2.0**64
    return np.flatnonzero(ranks <= bound[groups])


def turns(ranks: Ranks, groups: npt.NDArray[np.integer[Any]], most: int) -> tuple[Indices, Ranks]:
    """Let groups of pixels take turns, so that a small one is heard beside a very large one.

    Parameters
    ----------
    ranks : numpy.ndarray
        (N,) numbers of the pixels, as good as random.
    groups : numpy.ndarray
        (N,) the group of each, from 0.
    most : int
        How many of a group may be drawn.

    Returns
    -------
    numpy.ndarray
        (M,) indices of pixels that may be drawn: of each group at least as many as may be, if it has them.
    numpy.ndarray
        (M,) their turns: the first of each group before the second of any, those of a turn in no order.
    """
    at = likely(ranks, groups, most)
    at = at[np.lexsort((ranks[at], groups[at]))]
    groups = groups[at]
    turn = np.arange(len(at)) - np.searchsorted(groups, groups)
    return at, (turn.astype(np.uint64) << np.uint64(32)) | (ranks[at] >> np.uint64(32))


def lowest(ranks: Ranks, at: Indices, count: int) -> Indices:
    """Draw some of the pixels.

    Parameters
    ----------
    ranks : numpy.ndarray
        (N,) their ranks, or turns.
    at : numpy.ndarray
        (M,) indices of those to draw from.
    count : int
        How many at most.

    Returns
    -------
    numpy.ndarray
        Indices of those of the lowest rank, in its order.
    """
    if len(at) > count:
        at = at[np.argpartition(ranks[at], count)[:count]]
    return at[np.argsort(ranks[at])]


def in_few(
    cells: Places, ranks: Ranks, targets: npt.NDArray[np.int64], first: npt.NDArray[np.bool_], most: int
) -> npt.NDArray[np.bool_]:
    """Draw cells, and tell which pixels lie in them; a cell with more pixels is the likelier one.

    Parameters
    ----------
    cells : numpy.ndarray
        (N, 3) plane, row and column of the cell of each pixel.
    ranks : numpy.ndarray
        (N,) their ranks, or turns.
    targets : numpy.ndarray
        (N,) their classes.
    first : numpy.ndarray
        (N,) whether its cell is drawn before others.
    most : int
        How many cells, and as many more as it takes for each class to be in one of them.

    Returns
    -------
    numpy.ndarray
        (N,) whether a pixel lies in one of them.
    """
    _, whose = np.unique(cells, axis=0, return_inverse=True)
    whose = whose.reshape(-1)  # of NumPy 2.0 it is of another shape
    count = int(whose.max(initial=-1)) + 1
    if count <= most:
        return np.ones(len(cells), bool)
    lot = np.full(count, np.iinfo(np.uint64).max)
    np.minimum.at(lot, whose, ranks)
    lot[whose[first]] = 0
    order = np.argsort(lot, kind="stable")
    place = np.empty(count, np.intp)
    place[order] = np.arange(count)
    chosen = place < most
    for c in np.unique(targets):
        chosen[order[place[whose[targets == c]].min()]] = True
    found: npt.NDArray[np.bool_] = chosen[whose]
    return found
