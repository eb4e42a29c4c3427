"""Enclosed: the unpainted area inside of a painted outline, and whether it is one."""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_sslseg.errors import LabelError

FIRST, LAST = 64, 1024  # px: how far around the place is looked at first, and at most
LARGEST = 1 / 4  # of a plane: what is larger has leaked through a gap
LARGEST_AT_BORDER = 1 / 10  # of a plane, where its border closes an outline


def enclosed(plane: npt.NDArray[np.integer[Any]], y: int, x: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Find the unpainted area around a place that paint closes in, or paint and the border of the image.

    A line that is one pixel wide closes an area even where it runs diagonally.

    Parameters
    ----------
    plane : numpy.ndarray
        (Y, X) labels, 0 where nothing is painted.
    y, x : int
        The place.

    Returns
    -------
    rows, columns : numpy.ndarray
        The pixels of the area.

    Raises
    ------
    LabelError
        If the place is painted already or outside of the image, or if nothing closes its area in.
    """
    height, width = plane.shape
    if not (0 <= y < height and 0 <= x < width):
        raise LabelError("This is outside of the image", "Click inside of an outline")
    if plane[y, x]:
        raise LabelError("This is painted already", "Only what is unpainted is filled", "Click inside of an outline")
    reach = FIRST
    while True:
        top, left = max(0, y - reach), max(0, x - reach)
        window = plane[top : y + reach + 1, left : x + reach + 1]
        pieces, _ = ndimage.label(window == 0)
        inside = pieces == pieces[y - top, x - left]
        sides = [(inside[0], top == 0), (inside[-1], y + reach + 1 >= height)]
        sides += [(inside[:, 0], left == 0), (inside[:, -1], x + reach + 1 >= width)]
        at_border = any(side.any() for side, border in sides if border)
        largest = plane.size * (LARGEST_AT_BORDER if at_border else LARGEST)
        goes_on = any(side.any() for side, border in sides if not border)
        if np.count_nonzero(inside) > largest or (goes_on and reach >= LAST):
            raise LabelError(
                "Nothing is filled: no outline closes this area in, or it is too large",
                f"At most {LARGEST:.0%} of the image are filled, and {LARGEST_AT_BORDER:.0%} at its border",
                "Close the gap with the brush, or paint a few strokes inside",
            )
        if not goes_on:
            rows, columns = np.nonzero(inside)
            return rows + top, columns + left
        reach *= 2
