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
STEPS = 200
TOLERANCE = 3e-4  # greatest slope that is left


@dataclass(frozen=True, eq=False)
class Linear:
    """Class scores as a weighted sum of features.

    Parameters
    ----------
    weight : numpy.ndarray
        (K, F) float32, for features as they are.
    bias : numpy.ndarray
        (K,) float32.
    """

    weight: Floats
    bias: Floats

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
    before: Linear | None = None,
    penalty: float = PENALTY,
) -> Linear:
    """Learn from labelled pixels, every class weighing the same.

    Parameters
    ----------
    known : numpy.ndarray
        (N, F) float32 features.
    targets : numpy.ndarray
        (N,) classes from 0.
    classes : int
        K; a class without a pixel is never found.
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
        return _fitted(known, targets, classes, before, penalty)


def _fitted(
    known: Floats, targets: npt.NDArray[np.integer[Any]], classes: int, before: Linear | None, penalty: float
) -> Linear:
    present, targets = np.unique(targets, return_inverse=True)
    mean, deviation = known.mean(0), np.maximum(known.std(0), 1e-4)
    standard = (known - mean) / deviation
    each = (1 / np.bincount(targets) / len(present))[targets].astype(np.float32)
    truth = np.eye(len(present), dtype=np.float32)[targets]
    # features are correlated: in coordinates in which the loss curves alike in all directions, a few steps will do
    curving = 0.25 * (standard.T * each) @ standard + penalty * np.eye(len(mean), dtype=np.float32)
    root = cholesky(curving, check_finite=False)
    even = solve_triangular(root, standard.T, trans="T", check_finite=False).T

    def loss(flat: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        table = flat.reshape(len(mean) + 1, -1).astype(np.float32)
        logits = even @ table[1:] + table[0]
        logits -= logits.max(1, keepdims=True)
        chance = np.exp(logits)
        total = chance.sum(1, keepdims=True)
        wrong = (chance / total - truth) * each[:, None]
        weight = solve_triangular(root, table[1:], check_finite=False)
        slope = even.T @ wrong + solve_triangular(root, penalty * weight, trans="T", check_finite=False)
        value = float(each @ (np.log(total[:, 0]) - (logits * truth).sum(1))) + penalty / 2 * float((weight**2).sum())
        return value, np.concatenate([wrong.sum(0, keepdims=True), slope]).reshape(-1).astype(np.float64)

    start = np.zeros((len(mean) + 1, len(present)))
    if before is not None and before.weight.shape == (classes, len(mean)):
        start[0] = np.nan_to_num(before.bias[present], neginf=0) + before.weight[present] @ mean
        start[1:] = root @ (before.weight[present] * deviation).T
    options = {"maxiter": STEPS, "gtol": TOLERANCE, "ftol": 0.0}
    table = minimize(loss, start.reshape(-1), jac=True, method="L-BFGS-B", options=options).x.reshape(start.shape)
    weight, bias = np.zeros((classes, len(mean)), np.float32), np.full(classes, -np.inf, np.float32)
    weight[present] = solve_triangular(root, table[1:], check_finite=False).T / deviation
    bias[present] = table[0] - weight[present] @ mean
    return Linear(weight, bias)


@cache
def _threads() -> ThreadpoolController:
    return ThreadpoolController()
