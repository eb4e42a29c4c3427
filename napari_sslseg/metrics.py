"""Scores of masks against the truth: overlap and distance of classes, precision and quality of objects."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Labels = npt.NDArray[Any]
THRESHOLDS = tuple(float(t) for t in np.arange(0.5, 1.0, 0.05))


@dataclass(frozen=True, eq=False)
class Counts:
    """Pixels of each class, added up over images.

    Parameters
    ----------
    overlap, predicted, true : dict of int to int
        By class value: pixels of the class in both, in the prediction, in the truth.
    """

    overlap: dict[int, int]
    predicted: dict[int, int]
    true: dict[int, int]

    def iou(self) -> dict[int, float]:
        """Intersection over union of each class that occurs (Jaccard 1912).

        Returns
        -------
        dict of int to float
            0 to 1 by class value.
        """
        return {v: n / (self.predicted[v] + self.true[v] - n) for v, n in self._present()}

    def dice(self) -> dict[int, float]:
        """Dice coefficient of each class that occurs (Dice 1945).

        Returns
        -------
        dict of int to float
            0 to 1 by class value.
        """
        return {v: 2 * n / (self.predicted[v] + self.true[v]) for v, n in self._present()}

    def _present(self) -> list[tuple[int, int]]:
        return [(v, n) for v, n in sorted(self.overlap.items()) if self.predicted[v] + self.true[v]]


def count(pairs: list[tuple[Labels, Labels]]) -> Counts:
    """Count the pixels of each class where the truth says something.

    Parameters
    ----------
    pairs : list of (numpy.ndarray, numpy.ndarray)
        Prediction and truth of the same shape; where the truth is 0 nothing is counted.

    Returns
    -------
    Counts
        Added up over the pairs.
    """
    overlap: dict[int, int] = {}
    predicted: dict[int, int] = {}
    true: dict[int, int] = {}
    for prediction, truth in pairs:
        said = truth > 0
        p, t = prediction[said], truth[said]
        for value in np.union1d(p, t).astype(int).tolist():
            overlap[value] = overlap.get(value, 0) + int(((p == value) & (t == value)).sum())
            predicted[value] = predicted.get(value, 0) + int((p == value).sum())
            true[value] = true.get(value, 0) + int((t == value).sum())
    return Counts(overlap, predicted, true)


@dataclass(frozen=True)
class Precision:
    """Average precision of objects.

    Parameters
    ----------
    mean : float
        Mean over the overlap thresholds 0.5, 0.55, .., 0.95.
    at_50 : float
        At the threshold 0.5.
    predicted, true : int
        How many objects there are.
    quality : float
        Panoptic quality (Kirillov et al., CVPR 2019).
    """

    mean: float
    at_50: float
    predicted: int
    true: int
    quality: float


def average_precision(pairs: list[tuple[Labels, Labels]]) -> Precision:
    """Match objects one to one by overlap and count hits: TP / (TP + FP + FN), as in the 2018 Data Science Bowl.

    Parameters
    ----------
    pairs : list of (numpy.ndarray, numpy.ndarray)
        Prediction and truth of the same shape; 0 and 1 are background, every other value is one object.

    Returns
    -------
    Precision
        Over all objects of all pairs. Without any object on either side it is 1.
    """
    hits, agreed = np.zeros(len(THRESHOLDS)), 0.0
    predicted = true = 0
    for prediction, truth in pairs:
        found = overlaps(prediction, truth)
        predicted, true = predicted + found.predicted, true + found.true
        hits += [(found.iou > t).sum() for t in THRESHOLDS]  # above 0.5 a match is unique
        agreed += float(found.iou[found.iou > 0.5].sum())
    total = predicted + true - hits
    precision = np.divide(hits, total, out=np.ones_like(hits), where=total > 0)
    quality = 2 * agreed / (predicted + true) if predicted + true else 1.0
    return Precision(float(precision.mean()), float(precision[0]), predicted, true, quality)


class Overlaps(NamedTuple):
    """Pairs of a predicted and a true object that have a pixel in common.

    Parameters
    ----------
    rows, columns : numpy.ndarray
        (N,) which predicted and which true object, from 0 in the order of their values.
    iou : numpy.ndarray
        (N,) intersection over union, above 0 to 1.
    predicted, true : int
        How many objects there are.
    """

    rows: npt.NDArray[np.intp]
    columns: npt.NDArray[np.intp]
    iou: npt.NDArray[np.float64]
    predicted: int
    true: int


def overlaps(prediction: Labels, truth: Labels) -> Overlaps:
    """Intersection over union of the predicted with the true objects that they overlap.

    Parameters
    ----------
    prediction, truth : numpy.ndarray
        Same shape; 0 and 1 are background, every other value is one object.

    Returns
    -------
    Overlaps
        Ordered by predicted and then by true object.
    """
    p, t = _rank(prediction), _rank(truth)
    mine, theirs = np.bincount(p, minlength=1), np.bincount(t, minlength=1)
    shared = (p > 0) & (t > 0)
    pairs, both = np.unique(p[shared] * len(theirs) + t[shared], return_counts=True)
    rows, columns = np.divmod(pairs, len(theirs))
    iou = both / (mine[rows] + theirs[columns] - both)
    return Overlaps(rows - 1, columns - 1, iou, len(mine) - 1, len(theirs) - 1)


def hausdorff95(prediction: Labels, truth: Labels, value: int, spacing: tuple[float, ...]) -> float | None:
    """How far the outlines of a class lie apart, the farthest 5 % of each left out (Huttenlocher et al. 1993).

    Parameters
    ----------
    prediction, truth : numpy.ndarray
        ([Z,] Y, X) classes, of the same shape. Where the truth is 0 nothing is known, and neither there nor at the
        border of the array is an outline.
    value : int
        The class.
    spacing : tuple of float
        Pixel size ([Z,] Y, X).

    Returns
    -------
    float, optional
        In the unit of `spacing`; None where one of the two has no outline.
    """
    known = truth > 0
    found, true = _outline(prediction == value, known), _outline(truth == value, known)
    if not found.any() or not true.any():
        return None
    there = ndimage.distance_transform_edt(~true, sampling=spacing)[found]
    back = ndimage.distance_transform_edt(~found, sampling=spacing)[true]
    return float(max(np.percentile(there, 95), np.percentile(back, 95)))


def mean_hausdorff95(triples: Iterable[tuple[Labels, Labels, tuple[float, ...]]]) -> dict[int, float]:
    """Average how far outlines lie apart over images or boxes, class by class.

    Parameters
    ----------
    triples : iterable of (numpy.ndarray, numpy.ndarray, tuple of float)
        Prediction, truth and pixel size, as of `hausdorff95`.

    Returns
    -------
    dict of int to float
        By class value; without those that have no outline anywhere.
    """
    apart: dict[int, list[float]] = {}
    for prediction, truth, spacing in triples:
        for value in np.unique(truth[truth > 0]).astype(int).tolist():
            if (distance := hausdorff95(prediction, truth, value, spacing)) is not None:
                apart.setdefault(value, []).append(distance)
    return {value: float(np.mean(found)) for value, found in sorted(apart.items())}


def _outline(mask: npt.NDArray[np.bool_], known: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Known pixels of a mask that touch a known pixel outside it."""
    edge: npt.NDArray[np.bool_] = mask & known & ndimage.binary_dilation(~mask & known)
    return edge


def calibration_error(
    probabilities: npt.NDArray[np.floating[Any]], truth: npt.NDArray[np.integer[Any]], bins: int = 15
) -> float:
    """Expected calibration error: how far the probability of what is chosen is from how often it is right.

    Every class weighs the same, so that it does not hang on how much of each was painted (Guo et al., ICML 2017).

    Parameters
    ----------
    probabilities : numpy.ndarray
        (N, K).
    truth : numpy.ndarray
        (N,) classes from 0.
    bins : int, optional
        Into how many steps of equal width probabilities are sorted.

    Returns
    -------
    float
        0 to 1.
    """
    weight = 1 / np.bincount(truth)[truth]
    weight /= weight.sum()
    sure, right = probabilities.max(1), probabilities.argmax(1) == truth
    step = np.minimum((sure * bins).astype(int), bins - 1)
    gap = np.bincount(step, weight * (sure - right), minlength=bins)
    return float(np.abs(gap).sum())


def found_objects(prediction: Labels, truth: Labels) -> dict[int, float]:
    """Say how well each true object is found.

    Parameters
    ----------
    prediction, truth : numpy.ndarray
        Same shape; 0 and 1 are background, every other value is one object.

    Returns
    -------
    dict of int to float
        By the object's value: intersection over union with the predicted object that fits it best, 0 to 1.
    """
    numbers = np.unique(truth[truth > 1]).astype(int).tolist()
    found, best = overlaps(prediction, truth), np.zeros(len(numbers))
    np.maximum.at(best, found.columns, found.iou)
    return dict(zip(numbers, best.tolist(), strict=True))


def _rank(labels: Labels) -> npt.NDArray[np.intp]:
    """Object numbers 1..n, flat, with 0 for background."""
    objects = np.where(labels > 1, labels, 0).reshape(-1)
    ranked = np.unique(np.append(objects, 0), return_inverse=True)[1]
    return ranked[:-1].reshape(-1).astype(np.intp)
