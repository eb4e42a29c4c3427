"""Blocks: how a volume is covered by overlapping boxes, and how what is predicted for them is blended back."""

from collections.abc import Callable, Iterator

import numpy as np

from napari_sslseg import tiles
from napari_sslseg.intensity import Floats
from napari_sslseg.volumes import Piece


def blended(
    zs: tuple[int, ...],
    shape: tuple[int, ...],
    piece: Piece,
    overlap: int,
    multiples: tuple[int, int],
    compute: Callable[[int, int, int, Piece], Floats],
) -> Iterator[tuple[float, int, int, Floats | None]]:
    """Cover planes of a volume with boxes and average what is computed for them, slab by slab.

    In memory it holds the planes that two slabs share, and a band of one slab.

    Parameters
    ----------
    zs : tuple of int
        Planes that are wanted; half a box before the first and after the last is looked at too.
    shape : tuple of int
        Size of the volume (Z, Y, X).
    piece : Piece
        Greatest size of a box.
    overlap : int
        How far boxes overlap along Y and X, at most a quarter of a side; along Z it is a quarter of the depth.
    multiples : tuple of int
        What planes and sides of boxes are divisible by.
    compute : callable
        From the first plane, row and column of a box and its size to (K, depth, side, side) values. Boxes may reach
        beyond the volume.

    Yields
    ------
    float
        Share of the boxes that are done, 0 to 1.
    int
        A plane of those wanted.
    int
        The first row of it that is finished.
    numpy.ndarray, optional
        (K, rows, X) averages; None after a box that finishes nothing.
    """
    first, last = max(0, min(zs) - piece.depth // 2), min(shape[0], max(zs) + 1 + piece.depth // 2)
    wanted, overlap, shared = set(zs), min(overlap, piece.side // 4), piece.depth // 4
    slabs = [(first + z, depth) for z, depth in tiles.layout(last - first, piece.depth, shared, multiples[0])]
    rows, columns = (tiles.layout(n, piece.side, overlap, multiples[1]) for n in shape[1:])
    boxes, done, seam = len(slabs) * len(rows) * len(columns), 0, _Seam(shape[1:])
    for (z, depth), after in zip(slabs, [*(z for z, _ in slabs[1:]), last], strict=True):
        weight = _ramp(depth, shared)
        blend: tiles.Blend | None = None
        for (y, high), below in zip(rows, [*(y for y, _ in rows[1:]), shape[1]], strict=True):
            for x, wide in columns:
                deep, side = (-(-n // m) * m for n, m in zip((depth, max(high, wide)), multiples, strict=True))
                found = compute(z, y, x, Piece(side, deep))[:, :depth, :high, :wide]
                blend = blend or tiles.Blend(len(found) * depth, shape[1], shape[2], overlap)
                blend.add(found.reshape(-1, high, wide), y, x)
                done += 1
                yield done / boxes, z, 0, None
            for top, band in blend.finished(below) if blend else ():
                averages = seam.joined(band.reshape(-1, depth, *band.shape[1:]), weight, top, after - z)
                yield from ((done / boxes, k, top, averages[:, k - z]) for k in range(z, after) if k in wanted)
        seam.close(weight, after - z)


class _Seam:
    """Weighted sums of the last planes of a slab, to which the next slab will add its own."""

    def __init__(self, plane: tuple[int, ...]) -> None:
        self._plane = plane
        self._sums: Floats | None = None  # of the slab before
        self._next: Floats | None = None  # of this slab, filled band by band
        self._weights = np.zeros(0, np.float32)

    def joined(self, band: Floats, weight: Floats, top: int, finished: int) -> Floats:
        """Add a band (K, planes, rows, X) to what the slab before left, and average its first `finished` planes."""
        sums, weights = band * weight[:, None, None], weight.copy()
        at = np.s_[top : top + band.shape[2]]
        if self._sums is not None:
            held = self._sums.shape[1]
            sums[:, :held] += self._sums[:, :, at]
            weights[:held] += self._weights
        if finished < band.shape[1]:
            if self._next is None:
                self._next = np.zeros((len(band), band.shape[1] - finished, *self._plane), np.float32)
            self._next[:, :, at] = sums[:, finished:]
        averages: Floats = sums[:, :finished] / weights[:finished, None, None]
        return averages

    def close(self, weight: Floats, finished: int) -> None:
        """End a slab: what it did not finish waits for the next one."""
        weights = weight.copy()
        weights[: len(self._weights)] += self._weights
        self._sums, self._next, self._weights = self._next, None, weights[finished:]


def _ramp(length: int, overlap: int) -> Floats:
    """Weights of the planes of a slab: 1 inside, falling towards its ends."""
    from_end = np.minimum(np.arange(length), np.arange(length)[::-1]) + 1.0
    return np.minimum(1, from_end / (overlap + 1)).astype(np.float32)
