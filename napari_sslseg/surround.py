"""Surround: the squares, or boxes of a volume, in which single strokes are looked at."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_sslseg import patches, tiles
from napari_sslseg.encoders import Encoder, VolumeEncoder
from napari_sslseg.labelled import Labelled
from napari_sslseg.patches import Place, Targets
from napari_sslseg.strokes import Stroke, groups


@dataclass(frozen=True)
class Surround:
    """How much around a stroke is looked at.

    Parameters
    ----------
    side : int
        Side of the squares or boxes in pixels.
    margin : int
        Pixels of a stroke closer to the edge of a square than this are read from the next one.
    depth : int, optional
        Planes of a box; 0 for squares.
    """

    side: int
    margin: int
    depth: int = 0

    @classmethod
    def of(cls, encoder: Encoder) -> Self:
        """Choose what an encoder needs to see.

        Parameters
        ----------
        encoder : Encoder
            Looks at planes or at volumes.

        Returns
        -------
        Surround
            Squares or boxes.
        """
        if not isinstance(encoder, VolumeEncoder):
            return cls(PLANE.side, PLANE.margin)
        deep = encoder.depth_strides[-1]
        return cls(BOX.side, BOX.margin, -(-BOX.depth // deep) * deep)

    @property
    def middle(self) -> int:
        """Which plane of a box is that of the stroke."""
        return self.depth // 2


PLANE, BOX = Surround(256, 32), Surround(64, 16, 16)  # as many voxels as pixels, so that a look takes about as long


@dataclass(frozen=True, eq=False)
class Window:
    """A square or box with pixels of strokes in it.

    Parameters
    ----------
    place : Place
        Where it is.
    points : numpy.ndarray
        (N, 2) pixels (y, x) in it.
    owners : numpy.ndarray
        (N,) index of each pixel's stroke.
    """

    place: Place
    points: npt.NDArray[np.intp]
    owners: npt.NDArray[np.intp]

    @property
    def absolute(self) -> npt.NDArray[np.intp]:
        """(N, 2) pixels (y, x) of the plane."""
        result: npt.NDArray[np.intp] = self.points + np.array([self.place.y, self.place.x], np.intp)
        return result

    def only(self, chosen: npt.NDArray[np.intp]) -> Self:
        """Leave out the other pixels.

        Parameters
        ----------
        chosen : numpy.ndarray
            Indices of pixels.

        Returns
        -------
        Window
            With these pixels.
        """
        return replace(self, points=self.points[chosen], owners=self.owners[chosen])

    def crop(self, labelled: Labelled) -> Tensor:
        """Read the image.

        Parameters
        ----------
        labelled : Labelled
            Where the strokes come from.

        Returns
        -------
        torch.Tensor
            (1, C, [Z,] side, side), normalised, on the CPU.
        """
        return torch.from_numpy(patches.cut(labelled.images[self.place.image], self.place))[None]

    def truth(self, labelled: Labelled, around: Surround = PLANE) -> Targets:
        """Read the labels.

        Parameters
        ----------
        labelled : Labelled
            Where the strokes come from.
        around : Surround, optional
            How much around strokes is looked at.

        Returns
        -------
        numpy.ndarray
            (N,) network classes from 1.
        """
        plane = labelled.truths[self.place.image][self.place.z + around.middle]
        found: Targets = plane[tuple(self.absolute.T)]
        return found


def windows(strokes: list[Stroke], around: Surround = PLANE) -> Iterator[Window]:
    """Cover strokes with squares or boxes, all strokes of a plane together.

    Parameters
    ----------
    strokes : list of Stroke
        The strokes.
    around : Surround, optional
        How much around them is looked at.

    Yields
    ------
    Window
        Squares, or boxes in whose middle plane the strokes lie; each pixel comes once.
    """
    planes: dict[tuple[int, int], list[int]] = {}
    for k, stroke in enumerate(strokes):
        planes.setdefault((stroke.image, stroke.z), []).append(k)
    for (image, z), members in planes.items():
        points = np.concatenate([strokes[k].points for k in members])
        owners = np.repeat(members, [len(strokes[k].points) for k in members])
        for y, x, inside in _cover(points, around):
            place = Place(image, z - around.middle, y, x, around.side, around.depth)
            yield Window(place, points[inside] - np.array([y, x], np.intp), owners[inside])


def _cover(points: npt.NDArray[np.intp], around: Surround) -> Iterator[tuple[int, int, npt.NDArray[np.intp]]]:
    """Upper left corners of squares, and which points to read from each: every point from the first that holds it."""
    step, low = around.side - 2 * around.margin, points.min(0)
    starts = [np.array(tiles.starts(int(n), step, 0)) for n in points.max(0) + 1 - low]
    rows, columns = (np.searchsorted(s + step, at, "right") for s, at in zip(starts, (points - low).T, strict=True))
    cells = rows * len(starts[1]) + columns
    for inside in groups(cells):
        at = divmod(int(cells[inside[0]]), len(starts[1]))
        top, left = (int(a + s[k]) - around.margin for a, s, k in zip(low, starts, at, strict=True))
        yield top, left, inside
