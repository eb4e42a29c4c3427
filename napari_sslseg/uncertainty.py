"""Uncertainty: how unsure a prediction is, in squares of planes and class by class, so that little has to be kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

SIDE = 32  # px of a square, or more where there would be too many of them
MOST = 400_000  # squares


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """Entropies of a prediction, added up over squares.

    Parameters
    ----------
    entropy : numpy.ndarray
        (K, Z, rows, columns) float32: for each class the sum over the pixels found to be of it, each from 0 (sure) to
        1 (all classes equally probable).
    pixels : numpy.ndarray
        (K, Z, rows, columns) float32: how many there are; 0 of all classes in planes that were never predicted.
    side : int
        Side of a square in pixels.
    model : str, optional
        Which model predicted.
    """

    entropy: npt.NDArray[np.float32]
    pixels: npt.NDArray[np.float32]
    side: int
    model: str = ""

    @classmethod
    def empty(cls, classes: int, shape: tuple[int, ...], model: str = "") -> Self:
        """Begin with nothing.

        Parameters
        ----------
        classes : int
            How many classes are told apart.
        shape : tuple of int
            Spatial shape ([Z,] Y, X) of the image.
        model : str, optional
            Which model predicts.

        Returns
        -------
        Uncertainty
            Of no plane yet.
        """
        planes, height, width = (1, *shape)[-3:]
        side = SIDE
        while planes * -(-height // side) * -(-width // side) > MOST:
            side *= 2
        squares = (classes, planes, -(-height // side), -(-width // side))
        return cls(np.zeros(squares, np.float32), np.zeros(squares, np.float32), side, model)

    def add(self, z: int, top: int, probabilities: npt.NDArray[np.floating[Any]]) -> None:
        """Add rows of a plane, each of which comes once.

        Parameters
        ----------
        z : int
            The plane.
        top : int
            The first of the rows.
        probabilities : numpy.ndarray
            (K, rows, X), summing to 1 over K.
        """
        classes, height, width = probabilities.shape
        p = np.maximum(probabilities, 1e-6, dtype=np.float32)
        unsure = -(p * np.log(p)).sum(0) / np.float32(np.log(max(classes, 2)))
        found = probabilities.argmax(0)
        columns = np.arange(width) // self.side
        for first in range(top - top % self.side, top + height, self.side):
            rows = slice(max(first, top) - top, first + self.side - top)
            at = (found[rows] * self.pixels.shape[3] + columns).reshape(-1)
            squares, z_row = classes * self.pixels.shape[3], np.s_[:, z, first // self.side]
            counted = np.bincount(at, minlength=squares), np.bincount(at, unsure[rows].reshape(-1), squares)
            self.pixels[z_row] += counted[0].reshape(classes, -1)
            self.entropy[z_row] += counted[1].reshape(classes, -1)

    def forget(self, planes: Sequence[int]) -> None:
        """Take back what was added of planes.

        Parameters
        ----------
        planes : sequence of int
            Their indices.
        """
        self.entropy[:, planes] = self.pixels[:, planes] = 0

    def planes(self) -> list[int]:
        """List the planes that were predicted.

        Returns
        -------
        list of int
            Their indices.
        """
        return [int(z) for z in np.flatnonzero(self.pixels.any(axis=(0, 2, 3)))]

    def updated(self, newer: "Uncertainty") -> "Uncertainty":
        """Take over the planes that were predicted anew.

        Parameters
        ----------
        newer : Uncertainty
            Of the same image.

        Returns
        -------
        Uncertainty
            The newer one alone, if another model or other classes were predicted.
        """
        if self.model != newer.model or self.pixels.shape != newer.pixels.shape:
            return newer
        at = newer.planes()
        entropy, pixels = self.entropy.copy(), self.pixels.copy()
        entropy[:, at], pixels[:, at] = newer.entropy[:, at], newer.pixels[:, at]
        return Uncertainty(entropy, pixels, self.side, self.model)
