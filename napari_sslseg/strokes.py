"""Strokes: the connected pieces of sparse labels, and which of them are kept apart for the score.

What is labelled completely has no strokes. It is cut into squares, and what is in a square is kept apart together: else
the few specks of a class beside its one large piece would be its strokes, and the score would rest on them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_sslseg.annotation import Annotation, Labels, painted, strokes
from napari_sslseg.areas import area

SQUARE = 64  # px: side of the squares into which areas are cut


@dataclass(frozen=True, eq=False)
class Stroke:
    """One connected piece of labels, or all of a class in a square of what is labelled completely.

    Parameters
    ----------
    image, z : int
        Image index and plane.
    value : int
        Its class, 1 or more; of objects 1 is background and 2 any object.
    points : numpy.ndarray
        (N, 2) pixel coordinates (y, x).
    square : tuple of int, optional
        Upper left corner (y, x) of the square, of what is in one.
    """

    image: int
    z: int
    value: int
    points: npt.NDArray[np.intp]
    square: tuple[int, int] | None = None

    @property
    def key(self) -> tuple[int, int, int, int, int]:
        """A number that stays the same while the stroke does, and an order to break ties; one for all in a square."""
        y, x = self.square or (int(v) for v in self.points[0])
        scattered = (y * 73856093 ^ x * 19349663 ^ self.z * 83492791) % 1000003
        return scattered, self.image, self.z, y, x


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
        objects = annotation.task == "instance"  # each of which stays whole
        for z in annotation.planes():
            plane = annotation.plane(z)
            for square, at in sorted(_pieces(plane, objects), key=lambda piece: tuple(piece[1][0])):
                value = int(plane[tuple(at[0])])
                yield Stroke(i, z, min(value, 2) if objects else value, at, square)


def _pieces(plane: Labels, objects: bool) -> Iterator[tuple[tuple[int, int] | None, npt.NDArray[np.intp]]]:
    """Yield the square, if it is of one, and the pixels (y, x) of each stroke of a plane."""
    for rows, columns in painted(plane):
        part, corner = plane[rows, columns], np.array([rows.start, columns.start], np.intp)
        if not objects and (full := area(part, plane.shape)).any():
            for at in _squares(part, full):
                yield _corner(at[0] + corner), at + corner
            if full.all():
                continue
            part = np.where(full, 0, part)
        numbered = strokes(part)[0]
        points = np.argwhere(numbered)
        for at in groups(numbered[tuple(points.T)]):
            yield None, points[at] + corner


def _squares(part: Labels, full: npt.NDArray[np.bool_]) -> Iterator[npt.NDArray[np.intp]]:
    """Part the pixels (y, x) of areas by square and by class; a box of what is painted begins with a square."""
    count = int(part.max()) + 1
    for top in range(0, len(part), SQUARE):
        points = np.argwhere(full[top : top + SQUARE])
        points[:, 0] += top
        for at in groups(points[:, 1] // SQUARE * count + part[tuple(points.T)]):
            yield points[at]


def _corner(point: npt.NDArray[np.intp]) -> tuple[int, int]:
    """Upper left corner of the square of a pixel."""
    y, x = (int(n) // SQUARE * SQUARE for n in point)
    return y, x


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


def cut_up(found: list[Stroke], side: int = SQUARE) -> list[Stroke]:
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

    Of what is labelled completely whole squares are kept apart, with all classes in them.

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
    keys = {v: sorted({s.key for s in found if s.value == v}) for v in sorted({s.value for s in found})}
    wanted = {v: int(np.ceil(share * len(k) - 1e-9)) if len(k) >= least else 0 for v, k in keys.items()}
    chosen = {key for value, k in keys.items() for key in k[: wanted[value]]}
    apart = set()
    for value, of_class in keys.items():
        if wanted[value]:  # of a square that is chosen all classes, but at least half of each class is left
            both = [key for key in of_class if key in chosen]
            apart |= {(value, key) for key in both[: max(wanted[value], len(of_class) // 2)]}
    return (
        [s for s in found if (s.value, s.key) not in apart],
        [s for s in found if (s.value, s.key) in apart],
    )
