"""Linear: multinomial logistic regression, which has one best answer, so that the same strokes give the same masks."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import cholesky, solve_triangular
from scipy.optimize import minimize
from threadpoolctl import ThreadpoolController

from napari_sslseg.intensity import Floats

PENALTY = 0.1  # of squared weights, against the mean loss of a pixel
SPREAD = 0.01  # how much more of weights along what differs between images, for a difference of one standard deviation
STEPS = 200
TOLERANCE = 3e-4  # greatest slope that is left
SURE, ROUNDS = 0.8, 2  # least probability of a guess that is learnt from, and how often guesses are made
GUESSED = 1.0  # what all guesses weigh, against all labels


@dataclass(frozen=True, eq=False)
class Linear:
    """Class scores as a weighted sum of features.

    Parameters
    ----------
    weight : numpy.ndarray
        (K, F) float32, for features as they are.
    bias : numpy.ndarray
        (K,) float32.
    earlier : tuple of Linear, optional
        What it was before it learnt from its own guesses, each time.
    """

    weight: Floats
    bias: Floats
    earlier: tuple["Linear", ...] = ()

    def __call__(self, known: Floats) -> Floats:
        """Compute class scores.

        Parameters
        ----------
        known : numpy.ndarray
            (N, F) features.

        Returns
        -------
        numpy.ndarray
            (N, K) logits.
        """
        found: Floats = known @ self.weight.T + self.bias
        return found


def fit(
    known: Floats,
    targets: npt.NDArray[np.integer[Any]],
    classes: int,
    *,
    unlabelled: Floats | None = None,
    images: Floats | None = None,
    before: Linear | None = None,
    penalty: float = PENALTY,
) -> Linear:
    """Learn from labelled pixels, every class weighing the same, and then from what it is sure of in others.

    Parameters
    ----------
    known : numpy.ndarray
        (N, F) float32 features.
    targets : numpy.ndarray
        (N,) classes from 0.
    classes : int
        K; a class without a pixel is never found.
    unlabelled : numpy.ndarray, optional
        (M, F) float32 features of pixels without a label. Their classes are guessed; those of which it is sure are
        learnt from too (Lee 2013), a class by the root of how often it is found; and once more.
    images : numpy.ndarray, optional
        (I, F) float32 mean features of images. Weights cost more along what differs between these, so that an image in
        which only one class is painted does not stand for that class (within-class covariance normalisation, Hatch et
        al. 2006, with images for speakers' channels).
    before : Linear, optional
        What was learnt from nearly the same pixels; it makes learning faster and changes the result by no more than the
        tolerance.
    penalty : float, optional
        Of squared weights of standardised features, against the mean loss.

    Returns
    -------
    Linear
        What minimises penalised cross-entropy, to within a tolerance.
    """
    with _threads().limit(limits=1, user_api="blas"):  # several would wait for each other in hundreds of small products
        problem = _Problem(known, targets, classes, penalty, images)
        steps = (*before.earlier, before) if before is not None else ()
        found = [problem.solve(None, problem.table(steps[0] if steps else None))]
        if unlabelled is not None and len(unlabelled):
            others = problem.even(unlabelled)
            for turn in range(1, 1 + ROUNDS):
                start = problem.table(steps[turn]) if turn < len(steps) else found[-1]
                found.append(problem.solve(problem.guess(found[-1], others), start))
        *earlier, last = (problem.linear(t) for t in found)
        return Linear(last.weight, last.bias, tuple(earlier))


class _Problem:
    """Labelled pixels in coordinates in which the loss curves alike in all directions, so that a few steps will do."""

    def __init__(
        self,
        known: Floats,
        targets: npt.NDArray[np.integer[Any]],
        classes: int,
        penalty: float,
        images: Floats | None = None,
    ) -> None:
        self._present, self._targets = np.unique(targets, return_inverse=True)
        self._classes = classes
        self._mean, self._deviation = known.mean(0), np.maximum(known.std(0), 1e-4)
        self._each = (1 / np.bincount(self._targets) / len(self._present))[self._targets].astype(np.float32)
        standard = (known - self._mean) / self._deviation
        curving = 0.25 * (standard.T * self._each) @ standard
        cost = penalty * np.eye(len(self._mean), dtype=np.float32)
        if images is not None and len(images) > 1:
            apart = (images - images.mean(0)) / self._deviation
            cost += SPREAD / len(images) * apart.T @ apart
        self._root = cholesky(curving + cost, check_finite=False)
        self._cost = self._turned(self._turned(cost).T)  # of weights in these coordinates
        self._even = self._turned(standard)

    def even(self, known: Floats) -> Floats:
        """Features in these coordinates."""
        return self._turned((known - self._mean) / self._deviation)

    def _turned(self, standard: Floats) -> Floats:
        found: Floats = solve_triangular(self._root, standard.T, trans="T", check_finite=False).T
        return found

    def guess(self, table: Floats, others: Floats) -> tuple[Floats, npt.NDArray[np.intp], Floats]:
        """Features, classes and weights of those pixels of whose class it is sure."""
        chance = np.exp(_logits(others, table))
        chance /= chance.sum(1, keepdims=True)
        sure = chance.max(1) >= SURE
        targets = chance[sure].argmax(1)
        often = np.bincount(targets, minlength=len(self._present))
        share = np.sqrt(often) / max(1.0, np.sqrt(often).sum())
        each = (GUESSED * share / np.maximum(often, 1))[targets]
        return others[sure], targets, each.astype(np.float32)

    def solve(self, guessed: tuple[Floats, npt.NDArray[np.intp], Floats] | None, start: Floats) -> Floats:
        """Minimise the loss: (1 + F, K') biases and weights of the classes that there are."""
        even, targets, each, cost = self._even, self._targets, self._each, self._cost
        if guessed is not None:
            even, targets = np.concatenate([even, guessed[0]]), np.concatenate([targets, guessed[1]])
            each = np.concatenate([each, guessed[2]])
            each = each / each.sum()
        truth = np.eye(len(self._present), dtype=np.float32)[targets]

        def loss(flat: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
            table = flat.reshape(start.shape).astype(np.float32)
            logits = _logits(even, table)
            chance = np.exp(logits)
            total = chance.sum(1, keepdims=True)
            wrong = (chance / total - truth) * each[:, None]
            pull = cost @ table[1:]
            slope = even.T @ wrong + pull
            value = float(each @ (np.log(total[:, 0]) - (logits * truth).sum(1)))
            value += float((pull * table[1:]).sum()) / 2
            return value, np.concatenate([wrong.sum(0, keepdims=True), slope]).reshape(-1).astype(np.float64)

        options = {"maxiter": STEPS, "gtol": TOLERANCE, "ftol": 0.0}
        found = minimize(loss, start.reshape(-1), jac=True, method="L-BFGS-B", options=options).x
        table: Floats = found.reshape(start.shape).astype(np.float32)
        return table

    def table(self, before: Linear | None) -> Floats:
        """What was learnt before in these coordinates; 0 where nothing was."""
        start = np.zeros((len(self._mean) + 1, len(self._present)), np.float32)
        if before is not None and before.weight.shape == (self._classes, len(self._mean)):
            present = self._present
            start[0] = np.nan_to_num(before.bias[present], neginf=0) + before.weight[present] @ self._mean
            start[1:] = self._root @ (before.weight[present] * self._deviation).T
        return start

    def linear(self, table: Floats) -> Linear:
        """The same for features as they are."""
        weight = np.zeros((self._classes, len(self._mean)), np.float32)
        bias = np.full(self._classes, -np.inf, np.float32)
        weight[self._present] = solve_triangular(self._root, table[1:], check_finite=False).T / self._deviation
        bias[self._present] = table[0] - weight[self._present] @ self._mean
        return Linear(weight, bias)


def _logits(even: Floats, table: Floats) -> Floats:
    """Class scores, of which the greatest of each pixel is 0."""
    found: Floats = even @ table[1:] + table[0]
    found -= found.max(1, keepdims=True)
    return found


@cache
def _threads() -> ThreadpoolController:
    return ThreadpoolController()
