"""Accepting: what of predicted masks becomes labels: only what nobody painted.

What is accepted fills pixels that are unlabelled; a painted pixel stays what it is, whatever the masks say. Classes
that were accepted before, and nobody painted over, become what the masks say now. Nothing is accepted in validation
boxes: labels that are masks themselves would make the score of these masks lie.
"""

import zlib
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from napari_sslseg.annotation import Labels
from napari_sslseg.regions import Region

PIECE = 2**18  # px that are looked at in one go, which takes some 10 ms
Part = tuple[slice, ...]
Masks = npt.NDArray[np.unsignedinteger[Any]]


class Piece(NamedTuple):
    """What becomes labels in a part of an image: `values` has the shape of `part`, 0 where nothing does.

    `before` is what was accepted there earlier; 0, or None in all of the part, where nothing was labelled.
    """

    part: Part
    values: Labels
    before: Labels | None = None

    def over(self, now: Labels) -> Labels:
        """Say what labels become, where they are what they were before.

        Parameters
        ----------
        now : numpy.ndarray
            Labels of the part.

        Returns
        -------
        numpy.ndarray
            The labels then; what was painted there since stays.
        """
        before = np.zeros_like(self.values) if self.before is None else self.before
        return np.where((self.values != before) & (now == before), self.values, now)


@dataclass(frozen=True)
class Outcome:
    """What was accepted, and what was left out.

    Parameters
    ----------
    pixels : int
        Pixels that are labelled now.
    objects : int
        Objects among them; 0 where classes are painted.
    painted : int
        Objects left out since somebody painted them, or background in their place.
    cut : int
        Objects left out since they reach beyond what is looked at.
    guarded : int
        Pixels, or objects where these are painted, left out since they lie in a validation box.
    by_object : bool
        Whether objects are painted, and not classes.
    replaced : int
        Pixels among them that had been accepted as another class.
    """

    pixels: int = 0
    objects: int = 0
    painted: int = 0
    cut: int = 0
    guarded: int = 0
    by_object: bool = False
    replaced: int = 0

    def __str__(self) -> str:
        what = f"{self.objects:,} object{'s' * (self.objects != 1)}, " if self.objects else ""
        left = [f"{self.painted:,} painted already"] if self.painted else []
        left += [f"{self.cut:,} not wholly in view"] if self.cut else []
        left += [f"{self.guarded:,} px in check boxes"] if self.guarded and not self.by_object else []
        left += [f"{self.guarded:,} in check boxes"] if self.guarded and self.by_object else []
        if self.pixels:
            some = f", {self.replaced:,} of them" if self.replaced < self.pixels else ""
            anew = f"{some} in place of what was accepted before" if self.replaced else ""
            said = f"Accepted {what}{self.pixels:,} px{anew}"
        else:
            said = "Nothing was accepted" if left else "Nothing to accept: all of it is painted or accepted"
        return "\n".join([said, f"Left out: {left[0]}", *left[1:]]) if left else said


Filling = Generator[tuple[float, Piece | None], None, Outcome]


def fill_classes(
    labels: Labels,
    masks: Masks,
    box: Part,
    known: Iterable[int],
    regions: Iterable[Region] = (),
    wanted: npt.NDArray[np.bool_] | None = None,
    accepted: Any = None,
) -> Filling:
    """Fill what nobody painted with classes, a little at a time.

    Parameters
    ----------
    labels : numpy.ndarray
        ([Z,] Y, X), what is painted; read when its turn comes, and not changed here.
    masks : numpy.ndarray
        Of the same shape, the classes that were found; 0 where nothing was looked for.
    box : tuple of slice
        Where, one slice an axis, with start and stop.
    known : iterable of int
        The classes that there are.
    regions : iterable of Region, optional
        Marked boxes.
    wanted : numpy.ndarray, optional
        (Y, X) bool of the size of a `box` in one plane: only these pixels.
    accepted : array-like, optional
        As `labels`, what they became where masks were accepted before.

    Yields
    ------
    float
        The share that is done, 0 to 1.
    Piece, optional
        What to write next.

    Returns
    -------
    Outcome
        What was accepted.
    """
    classes = np.zeros(max(known := list(known), default=0) + 1, np.uint16)
    classes[known] = known
    pixels, replaced, kept = 0, 0, 0
    for share, part in parts(box):
        values = looked_up(classes, masks[part])
        if wanted is not None:
            rows = slice(part[-2].start - box[-2].start, part[-2].stop - box[-2].start)
            values *= wanted[rows].reshape(values.shape)
        now = labels[part]
        painted = (now != 0) & ((now != accepted[part]) if accepted is not None else True)
        values[painted | (now == values)] = 0
        kept += clear(values, part, regions)
        before = np.where(values != 0, now, 0)
        found, changed = (int(np.count_nonzero(v)) for v in (values, before))
        pixels, replaced = pixels + found, replaced + changed
        yield share, Piece(part, values, before if changed else None) if found else None
    return Outcome(pixels, guarded=kept, replaced=replaced)


@dataclass(frozen=True)
class Kept:
    """What was accepted in a part, packed, to take it back and bring it back.

    Parameters
    ----------
    part : tuple of slice
        Where.
    packed : bytes
        The values.
    packed_before : bytes, optional
        What was accepted there earlier.
    """

    part: Part
    packed: bytes
    packed_before: bytes | None = None

    @classmethod
    def of(cls, piece: Piece) -> Self:
        """Pack what is written.

        Parameters
        ----------
        piece : Piece
            What is written.

        Returns
        -------
        Kept
            Some hundredths of its size.
        """
        before = None if piece.before is None else _packed(piece.before)
        return cls(piece.part, _packed(piece.values), before)

    def piece(self, *, back: bool) -> Piece:
        """Unpack it.

        Parameters
        ----------
        back : bool
            Whether it is taken back, or brought back.

        Returns
        -------
        Piece
            What to write then.
        """
        shape = tuple(s.stop - s.start for s in self.part)
        values, before = (
            np.frombuffer(zlib.decompress(p), np.uint16).reshape(shape) if p is not None else np.zeros(shape, np.uint16)
            for p in (self.packed, self.packed_before)
        )
        return Piece(self.part, before, values) if back else Piece(self.part, values, before)

    def after(self, now: Labels, *, back: bool) -> Labels:
        """Say what the labels of the part become; what was painted there since stays.

        Parameters
        ----------
        now : numpy.ndarray
            Labels of the part.
        back : bool
            Whether it is taken back, or brought back.

        Returns
        -------
        numpy.ndarray
            The labels then.
        """
        return self.piece(back=back).over(now)


def _packed(values: Labels) -> bytes:
    return zlib.compress(values.tobytes(), 1)


def parts(box: Part) -> Iterator[tuple[float, Part]]:
    """Cut a box into parts of one plane and not too many rows.

    Parameters
    ----------
    box : tuple of slice
        One slice an axis, with start and stop.

    Yields
    ------
    float
        The share of the box that is done after this part, 0 to 1.
    tuple of slice
        The part.
    """
    planes: Sequence[Part] = [()] if len(box) == 2 else [(slice(z, z + 1),) for z in range(box[0].start, box[0].stop)]
    rows, columns = box[-2], box[-1]
    step = max(1, PIECE // max(1, columns.stop - columns.start))
    tops = range(rows.start, rows.stop, step)
    for k, plane in enumerate(planes):
        for j, top in enumerate(tops):
            share = (k + (j + 1) / len(tops)) / len(planes)
            yield share, (*plane, slice(top, min(rows.stop, top + step)), columns)


def looked_up(values: Labels, masks: Masks) -> Labels:
    """Replace each number of masks.

    Parameters
    ----------
    values : numpy.ndarray
        What 0, 1, 2 and so on become.
    masks : numpy.ndarray
        Any shape; a number that is not in the table becomes 0.

    Returns
    -------
    numpy.ndarray
        Of the shape of `masks`.
    """
    result: Labels = values.take(masks, mode="clip") if len(values) else np.zeros(masks.shape, np.uint16)
    result[masks >= len(values)] = 0
    return result


def common(region: Region, part: Part) -> Part | None:
    """Say where a region is in a part.

    Parameters
    ----------
    region : Region
        A box of the image.
    part : tuple of slice
        A part of the image.

    Returns
    -------
    tuple of slice, optional
        Counted from the first pixel of the part; None if they have nothing in common.
    """
    common = [
        slice(max(r.start, p.start) - p.start, min(r.stop, p.stop) - p.start)
        for r, p in zip(region.slices(len(part)), part, strict=True)
    ]
    return tuple(common) if all(c.stop > c.start for c in common) else None


def clear(values: Labels, part: Part, regions: Iterable[Region]) -> int:
    """Leave out what lies in validation boxes, in place.

    Parameters
    ----------
    values : numpy.ndarray
        What is about to be written in a part.
    part : tuple of slice
        The part.
    regions : iterable of Region
        Marked boxes.

    Returns
    -------
    int
        How many pixels were left out.
    """
    count = 0
    for region in regions:
        inside = common(region, part) if region.validation else None
        if inside is not None:
            count += int(np.count_nonzero(values[inside]))
            values[inside] = 0
    return count
