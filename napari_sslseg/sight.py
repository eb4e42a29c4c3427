"""Sight: what a network sees of a plane, as colours and as features to compare; knows neither torch nor Qt."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_sslseg.overlay import Box

ROWS = 64  # of features, compared at once: they are widened to single precision only for that
REACH = 1  # features around a place that stand for it: one alone may lie on an edge by accident


@dataclass(frozen=True, eq=False)
class Sight:
    """What a network sees of a part of a plane, one feature for each square of `step` × `step` pixels.

    Parameters
    ----------
    image : str
        Id of the image.
    z : int
        The plane.
    box : Box
        The part of it, in pixels.
    step : int
        Side of the squares in pixels.
    colours : numpy.ndarray
        (h, w, 3) uint8: what is alike has like colours.
    features : numpy.ndarray
        (h, w, D) float16, each of length 1.
    steps : int, optional
        Steps of a pretraining that goes on, after which it saw this; None if it is no state of one.
    """

    image: str
    z: int
    box: Box
    step: int
    colours: npt.NDArray[np.uint8]
    features: npt.NDArray[np.float16]
    steps: int | None = None

    def covers(self, image: str, z: int, y: float, x: float) -> bool:
        """Tell whether a pixel was looked at.

        Parameters
        ----------
        image : str
            Id of the image.
        z : int
            The plane.
        y, x : float
            The pixel.

        Returns
        -------
        bool
            Whether it was.
        """
        top, left, bottom, right = self.box
        return (image, z) == (self.image, self.z) and top <= round(y) < bottom and left <= round(x) < right

    def alike(self, y: float, x: float) -> npt.NDArray[np.float32]:
        """Compare everything with one pixel.

        Parameters
        ----------
        y, x : float
            The pixel, which must lie in the box.

        Returns
        -------
        numpy.ndarray
            (h, w) cosine of the features with those around the pixel, -1 to 1.
        """
        height, width, length = self.features.shape
        row = min((round(y) - self.box.top) // self.step, height - 1)
        column = min((round(x) - self.box.left) // self.step, width - 1)
        rows, columns = (slice(max(0, at - REACH), at + REACH + 1) for at in (row, column))
        example = self.features[rows, columns].reshape(-1, length).astype(np.float32).mean(0)
        example /= max(float(np.linalg.norm(example)), 1e-6)
        found = np.empty((height, width), np.float32)
        for start in range(0, height, ROWS):
            found[start : start + ROWS] = self.features[start : start + ROWS].astype(np.float32) @ example
        return found
