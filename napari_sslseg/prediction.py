"""Prediction: what a model says of one image, in the values that a user paints or in those of the image."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_sslseg.overlay import Box
from napari_sslseg.uncertainty import Uncertainty


@dataclass(frozen=True, eq=False)
class Prediction:
    """Masks of one image and, if asked for, how probable each class is.

    Parameters
    ----------
    image : str
        Id or name of the image.
    labels : numpy.ndarray
        ([Z,] Y, X). Semantic: 1 background, 2.. classes. Instance: 1 background, 2.. one object each. With `planes`
        given, Z holds only these; with `box`, Y and X only that part.
    classes : tuple of str
        Name of each channel of `probabilities`.
    probabilities : numpy.ndarray, optional
        (K, [Z,] Y, X) float16 or float32 in 0 to 1, summing to 1 over K; the same planes and part.
    planes : tuple of int, optional
        The planes that were predicted; None for all.
    uncertainty : Uncertainty, optional
        How unsure it is, in squares; None of a part.
    box : Box, optional
        The part of each of these planes that was predicted; None for all of it.
    written : bool, optional
        Whether the masks were handed on as they came, since all of them take much room; then `labels` is empty.
    """

    image: str
    labels: npt.NDArray[Any]
    classes: tuple[str, ...] = ()
    probabilities: npt.NDArray[np.floating[Any]] | None = None
    planes: tuple[int, ...] | None = None
    uncertainty: Uncertainty | None = None
    box: Box | None = None
    written: bool = False

    def place(self, axes: int) -> tuple[Any, ...]:
        """Say where in an array of the whole image it belongs.

        Parameters
        ----------
        axes : int
            2 for (Y, X), 3 for (Z, Y, X).

        Returns
        -------
        tuple
            An index, under which the array has the shape of `labels`.
        """
        part = self.box.slices if self.box is not None else (slice(None), slice(None))
        if axes == 2:
            return part
        return (slice(None) if self.planes is None else list(self.planes), *part)


@dataclass(frozen=True, eq=False)
class Denoised:
    """One image without its noise.

    Parameters
    ----------
    image : str
        Id or name of the image.
    pixels : numpy.ndarray
        (C, [Z,] Y, X) float32, in the units of the image; what is brighter or darker than 99.9 % of its pixels is
        clipped. With `planes` given, Z holds only these.
    planes : tuple of int, optional
        The planes that were denoised; None for all.
    """

    image: str
    pixels: npt.NDArray[np.float32]
    planes: tuple[int, ...] | None = None
