"""Surround: the squares, or boxes of a volume, in which single strokes are looked at."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from napari_sslseg import tiles
from napari_sslseg.encoders import Encoder, VolumeEncoder
from napari_sslseg.patches import Place
from napari_sslseg.strokes import Stroke


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


def windows(stroke: Stroke, around: Surround = PLANE) -> Iterator[tuple[Place, npt.NDArray[np.bool_]]]:
    """Cover a stroke with squares or boxes.

    Parameters
    ----------
    stroke : Stroke
        The stroke.
    around : Surround, optional
        How much around it is looked at.

    Yields
    ------
    Place
        A square; or a box, in whose middle plane the stroke lies.
    numpy.ndarray
        (N,) bool, which pixels of the stroke to read from it; each pixel comes once.
    """
    side, margin = around.side, around.margin
    low, high = stroke.points.min(0), stroke.points.max(0) + 1
    inner = side - 2 * margin
    rows, columns = (tiles.starts(int(h - a), inner, 0) for a, h in zip(low, high, strict=True))
    seen = np.zeros(len(stroke.points), bool)
    for y in rows:
        for x in columns:
            top, left = int(low[0]) + y - margin, int(low[1]) + x - margin
            place = Place(stroke.image, stroke.z - around.middle, top, left, side, around.depth)
            at = stroke.points - (place.y, place.x)
            inside = ((at >= margin) & (at < side - margin)).all(1) & ~seen
            seen |= inside
            if inside.any():
                yield place, inside
