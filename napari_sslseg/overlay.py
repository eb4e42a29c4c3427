"""Overlay: what is asked and answered while somebody paints; knows neither torch nor Qt."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from napari_sslseg.annotation import Labels


class Box(NamedTuple):
    """A part of a plane in pixels, ends not included."""

    top: int
    left: int
    bottom: int
    right: int

    def within(self, size: tuple[int, ...]) -> "Box":
        """Leave out what lies beyond a plane.

        Parameters
        ----------
        size : tuple of int
            Rows and columns of the plane.

        Returns
        -------
        Box
            Without a pixel if nothing of it lies in the plane.
        """
        height, width = size
        return Box(max(0, self.top), max(0, self.left), min(height, self.bottom), min(width, self.right))

    def grown(self, margin: int, size: tuple[int, ...]) -> "Box":
        """Add a margin, as far as the plane goes.

        Parameters
        ----------
        margin : int
            Pixels on each side.
        size : tuple of int
            Rows and columns of the plane.

        Returns
        -------
        Box
            The larger part.
        """
        return Box(self.top - margin, self.left - margin, self.bottom + margin, self.right + margin).within(size)

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns."""
        return slice(self.top, self.bottom), slice(self.left, self.right)


class Stroke(NamedTuple):
    """What is painted on a part of an image.

    `region` has one slice an axis, with start and stop; `labels` are all labels in it, 0 where nothing is painted.
    """

    image: str
    region: tuple[slice, ...]
    labels: Labels


class Overlay(NamedTuple):
    """What is found in a part of a plane.

    `image` is its id, `z` the plane, `box` the part. `labels` (h, w) are classes from 1, or 1 background and 2..
    objects; None while there is too little to learn from. `unsure` (h, w) in 0 to 1, where it was asked for, says how
    close the second best class comes to the best. `known` (0 to 1) is the share of the strokes that there was
    time to look at; the next question goes on with the others.
    """

    image: str
    z: int
    box: Box
    labels: npt.NDArray[Any] | None = None
    unsure: npt.NDArray[np.float16] | None = None
    known: float = 1.0
