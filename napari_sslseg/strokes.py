"""Strokes: the connected pieces of sparse labels, and which of them are kept apart for the score."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_sslseg.annotation import Annotation, Labels, painted, strokes


@dataclass(frozen=True, eq=False)
class Stroke:
    """One connected piece of labels.

    Parameters
    ----------
    image, z : int
        Image index and plane.
    value : int
        Its class, 1 or more; of objects 1 is background and 2 any object.
    points : numpy.ndarray
        (N, 2) pixel coordinates (y, x).
    """

    image: int
    z: int
    value: int
    points: npt.NDArray[np.intp]

    @property
    def key(self) -> tuple[int, int, int, int]:
        """A number that stays the same while the stroke does, and an order to break ties."""
        y, x = (int(v) for v in self.points[0])
        scattered = (y * 73856093 ^ x * 19349663 ^ self.z * 83492791) % 1000003
        return scattered, self.image, y, x


def find_strokes(annotations: list[Annotation]) -> Iterator[Stroke]:
    """Go through the strokes of all annotations.

    Parameters
    ----------
    annotations : list of Annotation
        One an image.

    Yields
    ------
    Stroke
        In order of image, plane and place.
    """
    for i, annotation in enumerate(annotations):
        for z in annotation.planes():
            plane = annotation.plane(z)
            parts = [piece for box in painted(plane) for piece in _pieces(plane[box], (box[0].start, box[1].start))]
            for at in sorted(parts, key=lambda points: tuple(points[0])):
                value = int(plane[tuple(at[0])])
                yield Stroke(i, z, min(value, 2) if annotation.task == "instance" else value, at)


def _pieces(part: Labels, corner: tuple[int, int]) -> Iterator[npt.NDArray[np.intp]]:
    """Yield the pixels (y, x) of each stroke of a part of a plane, counted from the corner of the plane."""
    numbered = strokes(part)[0]
    points = np.argwhere(numbered)
    for at in groups(numbered[tuple(points.T)]):
        yield points[at] + corner


def groups(keys: npt.NDArray[np.integer[Any]]) -> list[npt.NDArray[np.intp]]:
    """Sort places by key.

    Parameters
    ----------
    keys : numpy.ndarray
        (N,) numbers.

    Returns
    -------
    list of numpy.ndarray
        Indices of the places of each number that occurs, in their order; the least number first.
    """
    order = np.argsort(keys, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(keys[order])) + 1) if len(order) else []


def cut_up(found: list[Stroke], side: int = 64) -> list[Stroke]:
    """Cut large pieces, such as those of a part that is labelled completely, so that there are several of a class.

    Parameters
    ----------
    found : list of Stroke
        Strokes.
    side : int, optional
        They are cut along a grid of squares of this side in pixels.

    Returns
    -------
    list of Stroke
        Strokes that lie in one square each.
    """
    pieces = []
    for stroke in found:
        row, column = (stroke.points // side).T
        square = row * (int(column.max()) + 1) + column
        pieces += [replace(stroke, points=stroke.points[at]) for at in groups(square)]
    return pieces


def hold_out(found: list[Stroke], share: float, least: int = 4) -> tuple[list[Stroke], list[Stroke]]:
    """Keep some whole strokes of each class apart, the same ones for as long as they exist.

    Parameters
    ----------
    found : list of Stroke
        All strokes.
    share : float
        Share of the strokes of each class to keep apart.
    least : int, optional
        A class with fewer strokes than this keeps all for training.

    Returns
    -------
    list of Stroke
        Strokes to train on.
    list of Stroke
        Strokes kept apart.
    """
    apart: set[int] = set()
    for value in {s.value for s in found}:
        of_class = sorted((s.key, k) for k, s in enumerate(found) if s.value == value)
        if len(of_class) >= least:
            apart |= {k for _, k in of_class[: int(np.ceil(share * len(of_class) - 1e-9))]}
    return [s for k, s in enumerate(found) if k not in apart], [s for k, s in enumerate(found) if k in apart]
