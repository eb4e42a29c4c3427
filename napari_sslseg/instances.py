"""From objects to what a network learns (background, core, contour), and from its probabilities back to objects."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_sslseg.absorbing import fill_holes
from napari_sslseg.annotation import Box, Labels, count, painted
from napari_sslseg.dynamics import basins

BACKGROUND, CORE, CONTOUR = 1, 2, 3
GROUND = 0.45  # less background than this is object; below even, since two of the three classes are object
RISE = 0.6  # by how much core leads more in an object, over contour and half the background, than on the way to another
LEAST, FLOOR = 0.1, -0.5  # least lead in the middle of an object, and the lead that counts as the least on such a way
STEEP = 9.0  # how many times as much that rise is at one end of `apart` as at the other
DOUBT = 0.08  # an object has a place where no more than this is background
SURE = 0.1  # least share of the objects that have; of fewer, the network is too unsure to tell


@dataclass(frozen=True)
class ObjectSize:
    """How large the painted objects are.

    Parameters
    ----------
    least, median : float
        Area in pixels of one plane.
    solid : bool, optional
        Whether none of them has a hole; older models do not tell.
    """

    least: float
    median: float
    solid: bool = False

    def reduced(self, times: float) -> "ObjectSize":
        """Return the size in an image from which this one was enlarged.

        Parameters
        ----------
        times : float
            Magnification of Y and X.

        Returns
        -------
        ObjectSize
            Smaller by its square.
        """
        return replace(self, least=self.least / times**2, median=self.median / times**2)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON.

        Returns
        -------
        dict
            The parameters.
        """
        return asdict(self)


def measure(planes: Iterable[Labels]) -> ObjectSize:
    """Measure the painted objects.

    Parameters
    ----------
    planes : iterable of numpy.ndarray
        (Y, X) labels: 0 unlabelled, 1 background, 2.. objects.

    Returns
    -------
    ObjectSize
        Their sizes.
    """
    return together(sizes(plane) for plane in planes)


class Sizes(NamedTuple):
    """The areas of the objects of a plane in pixels, and whether none of them has a hole."""

    areas: tuple[float, ...]
    solid: bool


def sizes(plane: Labels) -> Sizes:
    """Measure the painted objects of a plane.

    Parameters
    ----------
    plane : numpy.ndarray
        (Y, X) labels: 0 unlabelled, 1 background, 2.. objects.

    Returns
    -------
    Sizes
        Of each of them.
    """
    return Sizes(tuple(float(pixels) for value, pixels in count(plane).items() if value > 1), _solid(plane))


def together(planes: Iterable[Sizes]) -> ObjectSize:
    """Tell how large the objects of several planes are.

    Parameters
    ----------
    planes : iterable of Sizes
        Those of each; one object at least.

    Returns
    -------
    ObjectSize
        Their sizes.
    """
    every = list(planes)
    areas = [area for plane in every for area in plane.areas]
    return ObjectSize(min(areas), float(np.median(areas)), all(plane.solid for plane in every))


def _solid(plane: Labels) -> bool:
    """Whether no object has a hole."""
    boxes = _boxes(plane)
    inside = (plane[box] == value for value, box in boxes.items() if value > 1)
    return not any((ndimage.binary_fill_holes(mask) & ~mask).any() for mask in inside)


def contour_width(size: ObjectSize) -> int:
    """How many pixels of an object are its contour: an eighth of its diameter, 1 to 3.

    Parameters
    ----------
    size : ObjectSize
        Sizes of the painted objects.

    Returns
    -------
    int
        Pixels.
    """
    diameter = 2 * np.sqrt(size.median / np.pi)
    return int(np.clip(round(diameter / 8), 1, 3))


def to_targets(plane: Labels, width: int) -> npt.NDArray[np.uint8]:
    """Turn painted objects into classes of pixels.

    Parameters
    ----------
    plane : numpy.ndarray
        (Y, X) labels: 0 unlabelled, 1 background, 2.. objects.
    width : int
        Width of the contour inside each object, in pixels.

    Returns
    -------
    numpy.ndarray
        (Y, X): 0 unlabelled, 1 background, 2 core, 3 contour. At the border of the image there is no contour.
    """
    out = np.zeros(plane.shape, np.uint8)
    for value, box in _boxes(plane).items():
        if value == 1:
            out[box][plane[box] == 1] = BACKGROUND
            continue
        grown = tuple(slice(max(0, s.start - width), s.stop + width) for s in box)
        inside = plane[grown] == value
        core = ndimage.binary_erosion(inside, iterations=width, border_value=1)
        part = out[grown]
        part[inside] = np.where(core[inside], CORE, CONTOUR)
    return out


def _boxes(plane: Labels) -> dict[int, Box]:
    """The box of each painted value, found where something is painted."""
    found: dict[int, Box] = {}
    for part in painted(plane):
        for value, box in enumerate(ndimage.find_objects(plane[part].astype(np.int32)), start=1):
            if box is not None:
                moved = [slice(p.start + b.start, p.start + b.stop) for p, b in zip(part, box, strict=True)]
                known = found.get(value, moved)
                y, x = (slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(known, moved, strict=True))
                found[value] = (y, x)
    return found


def separate(
    probabilities: npt.NDArray[np.floating[Any]], size: ObjectSize, spacing: tuple[float, ...], apart: float = 0.5
) -> npt.NDArray[np.int32]:
    """Find objects by a watershed from their cores, leave out those that are sure nowhere, and fill their holes.

    Parameters
    ----------
    probabilities : numpy.ndarray
        (3, [Z,] Y, X): background, core, contour.
    size : ObjectSize
        Sizes of the painted objects; much smaller pieces are dropped, and holes filled if they have none.
    spacing : tuple of float
        Pixel size ([Z,] Y, X), so that a stack is smoothed alike in all directions.
    apart : float, optional
        0 to 1: the greater, the fewer objects grow together, and the more are cut.

    Returns
    -------
    numpy.ndarray
        ([Z,] Y, X): 1 background, 2.. objects.
    """
    p = probabilities.astype(np.float32)
    diameter = 2 * np.sqrt(size.median / np.pi)
    sigma = np.clip(0.06 * diameter, 0.5, 3.0)
    sigmas = [sigma * spacing[-1] / s for s in spacing]
    landscape = ndimage.gaussian_filter(p[1] - p[2] - 0.5 * p[0], sigmas)
    ground = ndimage.gaussian_filter(p[0], [s / 2 for s in sigmas])
    small = size.least / 4 if p.ndim == 3 else size.least / 4 * np.sqrt(size.least) / 2 * spacing[-1] / spacing[0]
    rise = RISE * STEEP ** (0.5 - apart)
    found = basins(landscape, ground < GROUND, rise=rise, floor=FLOOR, least=LEAST)
    found = _sure(_drop(found, small), ground)
    _, numbered = np.unique(found, return_inverse=True)
    objects: npt.NDArray[np.int32] = numbered.reshape(found.shape).astype(np.int32) + np.int32(1)
    return fill_holes(objects) if size.solid else objects


def _sure(labels: npt.NDArray[Any], ground: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
    """Set objects to 0 that may be background all over, unless nearly all may."""
    numbers = np.flatnonzero(np.bincount(labels.reshape(-1)))
    numbers = numbers[numbers > 0]
    if not len(numbers):
        return labels
    sure = np.asarray(ndimage.minimum(ground, labels, numbers)) <= DOUBT
    if sure.mean() < SURE:
        return labels
    kept = np.zeros(labels.max() + 1, bool)
    kept[numbers[sure]] = True
    return np.where(kept[labels], labels, 0)


def _drop(labels: npt.NDArray[Any], least: float) -> npt.NDArray[Any]:
    """Set pieces of fewer than `least` pixels to 0."""
    areas = np.bincount(labels.reshape(-1))
    areas[0] = 0
    return np.where(areas[labels] >= least, labels, 0)


__all__ = ["ObjectSize", "contour_width", "measure", "separate", "to_targets"]
