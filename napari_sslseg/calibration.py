"""Calibration: class probabilities made as sure as they deserve, and classes expected as often as they occur."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from torch import Tensor

COLDEST, HOTTEST = 0.02, 5.0  # temperatures
TINY = 1e-6
ENOUGH = 20000  # pixels of a class that tell a temperature; of more, every second, third, ...


@dataclass(frozen=True)
class Calibration:
    """What is done to class probabilities that come from learning as if all classes were equally frequent.

    Parameters
    ----------
    temperature : float, optional
        Above 1 makes them less sure, below 1 surer (Guo et al., ICML 2017).
    prior : tuple of float, optional
        What each class is multiplied by then; empty for nothing (Saerens et al., Neural Computation 2002).
    """

    temperature: float = 1.0
    prior: tuple[float, ...] = ()

    def __call__(self, even: Tensor) -> Tensor:
        """Calibrate.

        Parameters
        ----------
        even : torch.Tensor
            (B, K, ...) probabilities.

        Returns
        -------
        torch.Tensor
            (B, K, ...), summing to 1 over K.
        """
        if self == Calibration():
            return even
        found = even.clamp_min(TINY) ** (1 / self.temperature)
        if self.prior:
            found = found * found.new_tensor(self.prior).view(-1, *[1] * (even.ndim - 2))
        return found / found.sum(1, keepdim=True)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON.

        Returns
        -------
        dict
            ``temperature`` and ``prior``.
        """
        return {"temperature": self.temperature, "prior": list(self.prior)}

    @classmethod
    def from_dict(cls, said: Mapping[str, Any] | None) -> Self:
        """Take it from stored values; older models have none.

        Parameters
        ----------
        said : mapping, optional
            What `to_dict` returned.

        Returns
        -------
        Calibration
            The same again.
        """
        return cls(float(said["temperature"]), tuple(float(v) for v in said["prior"])) if said else cls()


def temperature(
    even: npt.NDArray[np.floating[Any]],
    truth: npt.NDArray[np.integer[Any]],
    strokes: int,
    spread: float = 2.0,
    most: float = HOTTEST,
) -> float:
    """Find how sure probabilities may be, from pixels that were not learnt from; every class weighs the same.

    The pixels of a stroke are so alike that they count as one observation. Few observations move the temperature
    little: its logarithm is expected to be normally distributed around 0.

    Parameters
    ----------
    even : numpy.ndarray
        (N, K) probabilities.
    truth : numpy.ndarray
        (N,) classes from 0.
    strokes : int
        How many strokes the pixels belong to.
    spread : float, optional
        Standard deviation of the logarithm.
    most : float, optional
        The highest temperature there is.

    Returns
    -------
    float
        The most probable temperature, from 0.02 on.
    """
    each = [np.flatnonzero(truth == k) for k in np.unique(truth)]
    some = np.sort(np.concatenate([at[:: -(-len(at) // ENOUGH)] for at in each]))
    even, truth = even[some], truth[some]
    weight = 1 / np.bincount(truth)[truth]
    weight *= strokes / weight.sum()
    logs, rows = np.log(np.maximum(even.astype(np.float64), TINY)), np.arange(len(truth))

    def surprise(log: float) -> float:
        scaled = logs / np.exp(log)
        shifted = scaled - scaled.max(1, keepdims=True)
        each = np.log(np.exp(shifted).sum(1)) - shifted[rows, truth]
        return float(weight @ each + 0.5 * (log / spread) ** 2)

    found = minimize_scalar(surprise, bounds=(np.log(COLDEST), np.log(most)), method="bounded")
    return float(np.exp(found.x))
