"""Areas: parts of a plane that are labelled completely, where there are no strokes to tell apart."""

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_sslseg.annotation import Labels

LEAST = 8  # px: of smaller planes all labels are strokes
SIDE = 48  # px: squares of this side, wholly labelled, make an area; a brush that wide is rarely painted with


def area(part: Labels, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Find what is labelled completely.

    Parameters
    ----------
    part : numpy.ndarray
        (Y, X) labels of a part of a plane, 0 unlabelled.
    shape : tuple of int
        (Y, X) of the plane.

    Returns
    -------
    numpy.ndarray
        (Y, X) bool, pixels that lie in a wholly labelled square of 48 pixels, or of half the shorter side of a smaller
        plane.
    """
    side = min(SIDE, min(shape) // 2)
    filled = part > 0
    if side < LEAST or np.count_nonzero(filled) < side**2:
        return np.zeros_like(filled)
    inner = ndimage.minimum_filter(filled, side, mode="constant", cval=False)
    back = -1 if side % 2 == 0 else 0  # an even square has no middle: its pixel is the other one on the way back
    found: npt.NDArray[np.bool_] = ndimage.maximum_filter(inner, side, mode="constant", cval=False, origin=back)
    return found
