"""Annotation: the sparse labels of one image. 0 means that nothing was said; classes have names and colours."""

import colorsys
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.measure import label as connected_components

from napari_sslseg import vast
from napari_sslseg.errors import LabelError
from napari_sslseg.regions import Region

if TYPE_CHECKING:
    from napari_sslseg.io.on_disk import OnDisk

Labels = npt.NDArray[np.uint16]
Box = tuple[slice, slice]

BLOCK = 256  # px: side of the squares in which a plane is searched for what is painted
PIECE = 2**22  # pixels counted at once

FIRST_COLOURS = ("#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#b07aa1", "#edc948", "#76b7b2", "#ff9da7", "#9c755f")


@dataclass(frozen=True)
class LabelClass:
    """One class of a semantic annotation.

    Parameters
    ----------
    value : int
        The value painted for it, 1 or more.
    name : str
        Its name.
    colour : str
        Its colour as ``#rrggbb``.
    """

    value: int
    name: str
    colour: str

    @classmethod
    def default(cls, value: int) -> Self:
        """Make the class that a value has before anybody names it.

        Parameters
        ----------
        value : int
            The value painted for it.

        Returns
        -------
        LabelClass
            Class 1 is called background.
        """
        if value <= len(FIRST_COLOURS):
            colour = FIRST_COLOURS[value - 1]
        else:
            rgb = colorsys.hsv_to_rgb((value * 0.618034) % 1, 0.65, 0.9)
            colour = "#" + "".join(f"{round(255 * c):02x}" for c in rgb)
        return cls(value, "background" if value == 1 else f"class {value}", colour)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON.

        Returns
        -------
        dict
            value, name and colour.
        """
        return {"value": self.value, "name": self.name, "colour": self.colour}


@dataclass(frozen=True, eq=False)
class Annotation:
    """Sparse labels of one image.

    Parameters
    ----------
    labels : numpy.ndarray
        ([Z,] Y, X) unsigned integers. 0: nothing said. Semantic task: 1.. are classes.
        Instance task: 1 is background, every value from 2 on is one whole object.
    task : str
        ``semantic`` or ``instance``.
    regions : tuple of Region, optional
        Marked boxes.
    within : tuple of int, optional
        The planes that may carry labels, where that is known; all others are not looked at.
    accepted : numpy.ndarray, optional
        As `labels`, what they became where masks were accepted as they were; 0 elsewhere. Where they are something else
        by now, somebody painted.
    """

    labels: Labels
    task: str = "semantic"
    regions: tuple[Region, ...] = ()
    within: tuple[int, ...] | None = None
    accepted: "Labels | OnDisk | None" = None

    def __post_init__(self) -> None:
        if self.labels.ndim not in (2, 3) or self.labels.dtype.kind not in "ui":
            given = f"Labels of shape {self.labels.shape} and type {self.labels.dtype}"
            raise LabelError(given, "Labels are whole numbers in 2 or 3 dimensions ([Z,] Y, X)")
        if self.accepted is not None and self.accepted.shape != self.labels.shape:
            given = f"Labels of shape {self.labels.shape}, and accepted ones of shape {self.accepted.shape}"
            raise LabelError(given, "Both are of the shape of the image")

    @property
    def values(self) -> tuple[int, ...]:
        """The painted values, without 0."""
        return tuple(sorted(self.counted()))

    def counted(self) -> dict[int, int]:
        """Count the painted pixels.

        Returns
        -------
        dict of int to int
            Number of pixels of each value above 0.
        """
        total: Counter[int] = Counter()
        for z in self._within:
            total.update(count(self.plane(z)))
        return dict(total)

    @property
    def _within(self) -> tuple[int, ...]:
        """The planes to look at."""
        if self.labels.ndim == 2:
            return (0,)
        return tuple(range(len(self.labels))) if self.within is None else self.within

    def copied(self) -> Labels:
        """Copy the labels, of planes that carry some.

        Returns
        -------
        numpy.ndarray
            ([Z,] Y, X).
        """
        if self.labels.ndim == 2:
            return self.labels.copy()
        copied: Labels = vast.zeros(self.labels.shape, self.labels.dtype)
        for z in self._within:
            copied[z] = self.labels[z]
        return copied

    def check(self, shape: tuple[int, ...], name: str = "the image") -> None:
        """Raise LabelError unless these labels fit an image.

        Parameters
        ----------
        shape : tuple of int
            Spatial shape ([Z,] Y, X) of the image.
        name : str, optional
            Name of the image for the message.
        """
        if tuple(self.labels.shape) != tuple(shape):
            raise LabelError(
                f"The labels of {name} have shape {tuple(self.labels.shape)}",
                f"The image has spatial shape {tuple(shape)}, and both must be the same",
                "Paint on the image itself, or resample the labels with nearest-neighbour interpolation",
            )

    def completed(self) -> Self:
        """Label as background what nobody painted in boxes that are labelled completely.

        Returns
        -------
        Annotation
            This one, if there is no such box.
        """
        boxes = [r.slices(self.labels.ndim) for r in self.regions if r.complete]
        if not boxes:
            return self
        labels = self.copied()
        for box in boxes:
            labels[box][labels[box] == 0] = 1
        if self.within is None or labels.ndim == 2:
            return replace(self, labels=labels)
        marked = {z for box in boxes for z in range(*box[0].indices(len(labels)))}
        return replace(self, labels=labels, within=tuple(sorted({*self.within, *marked})))

    def by_hand(self) -> Self:
        """Leave out what was accepted, but for that in validation boxes, which are said to be right.

        Returns
        -------
        Annotation
            This one, if nothing was accepted.
        """
        if self.accepted is None:
            return self
        labels, planes = self.copied(), self._within
        for z in planes:
            plane, accepted = labels if labels.ndim == 2 else labels[z], self.accepted_plane(z)
            for box in painted(accepted):
                plane[box][plane[box] == accepted[box]] = 0
        for region in self.validated:
            labels[region] = self.labels[region]
        return replace(self, labels=labels, within=planes, accepted=None)

    def parted(self) -> tuple[Self, Self]:
        """Part what is in validation boxes from the rest.

        Returns
        -------
        Annotation
            What lies outside of all of them.
        Annotation
            What lies in one of them.
        """
        outside, inside = self.copied(), vast.zeros(self.labels.shape, self.labels.dtype)
        for box in self.validated:
            outside[box], inside[box] = 0, self.labels[box]
        return replace(self, labels=outside), replace(self, labels=inside)

    @property
    def validated(self) -> list[tuple[slice, ...]]:
        """Where the validation boxes are in the labels."""
        return [r.slices(self.labels.ndim) for r in self.regions if r.validation]

    def planes(self) -> tuple[int, ...]:
        """List the planes that carry labels.

        Returns
        -------
        tuple of int
            Plane indices; (0,) for a labelled 2-D image.
        """
        return tuple(z for z in self._within if self.plane(z).any())

    def plane(self, z: int) -> Labels:
        """Return one plane.

        Parameters
        ----------
        z : int
            Plane index.

        Returns
        -------
        numpy.ndarray
            (Y, X).
        """
        return self.labels if self.labels.ndim == 2 else self.labels[z]

    def accepted_plane(self, z: int) -> Labels:
        """Return what was accepted of one plane.

        Parameters
        ----------
        z : int
            Plane index.

        Returns
        -------
        numpy.ndarray
            (Y, X), 0 where nothing was; all 0 if nothing was accepted.
        """
        if self.accepted is None:
            return np.zeros_like(self.plane(z))
        found: Labels = np.asarray(self.accepted if self.labels.ndim == 2 else self.accepted[z])
        return found


def count(labels: npt.NDArray[np.integer[Any]]) -> dict[int, int]:
    """Count the painted pixels by value, in pieces, since labels may be much larger than what is painted.

    Parameters
    ----------
    labels : numpy.ndarray
        Labels of any shape, 0 unlabelled.

    Returns
    -------
    dict of int to int
        Number of pixels of each value above 0.
    """
    found: dict[int, int] = {}
    flat = labels.reshape(-1)
    for start in range(0, flat.size, PIECE):
        piece = flat[start : start + PIECE]
        if piece.any():
            for value, pixels in zip(*np.unique(piece, return_counts=True), strict=True):
                found[int(value)] = found.get(int(value), 0) + int(pixels)
    found.pop(0, None)
    return found


def painted(plane: Labels) -> list[Box]:
    """Find where a plane is painted.

    Parameters
    ----------
    plane : numpy.ndarray
        (Y, X) labels, 0 unlabelled.

    Returns
    -------
    list of tuple of slice
        Boxes that hold all that is painted and do not touch each other, so that each stroke lies in one of them.
    """
    starts = np.arange(0, plane.shape[1], BLOCK)
    rows = [plane[y : y + BLOCK].any(axis=0) for y in range(0, plane.shape[0], BLOCK)]
    blocks = np.array([np.logical_or.reduceat(row, starts) for row in rows])
    while True:
        found = ndimage.find_objects(ndimage.label(blocks, np.ones((3, 3)))[0])
        filled = np.zeros_like(blocks)
        for box in found:
            filled[box] = True
        if (filled == blocks).all():
            break
        blocks = filled
    return [(_scaled(y, plane.shape[0]), _scaled(x, plane.shape[1])) for y, x in found]


def _scaled(blocks: slice, size: int) -> slice:
    return slice(blocks.start * BLOCK, min(size, blocks.stop * BLOCK))


def strokes(plane: Labels) -> tuple[npt.NDArray[np.int32], int]:
    """Number the strokes of one plane: connected pixels (8 neighbours) of one value.

    Parameters
    ----------
    plane : numpy.ndarray
        (Y, X) labels, 0 unlabelled.

    Returns
    -------
    numpy.ndarray
        (Y, X) stroke numbers, 1.. ; 0 unlabelled.
    int
        How many strokes there are.
    """
    numbered, count = connected_components(plane, background=0, connectivity=2, return_num=True)
    return numbered.astype(np.int32), int(count)
