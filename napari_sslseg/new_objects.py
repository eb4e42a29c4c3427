"""New objects: accepting single objects: whole or not at all, with numbers that nothing painted has.

A mask is one object, which gets a number that nothing painted in the image has; background becomes 1. An object is
left out

- if it and a painted object share more than half of the smaller of the two: then both are the same one, found and
  painted. Half of the smaller, since a stroke inside of an object is that object just as a whole outline is, and since
  a mask that swallowed several painted objects must not become a further one around them;
- if more than half of it is painted as background: somebody said that it is none;
- if it reaches beyond what is looked at, or into a validation box: half an object would teach a wrong outline.

One that touches a painted object with less than that is accepted without the pixels they share. Masks of a stack may
have been found plane by plane, each with numbers from 2 on: so an object goes on in the next plane only where both
planes have its number in the same place. In a time series each frame has objects of its own.
"""

from collections import Counter
from collections.abc import Generator, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_sslseg.accepting import Filling, Masks, Outcome, Part, Piece, clear, common, looked_up, parts
from napari_sslseg.annotation import Labels
from napari_sslseg.errors import LabelError
from napari_sslseg.regions import Region

REACH = 1024  # px: side of the window in which one connected piece of a class is searched
MOST = np.iinfo(np.uint16).max  # the greatest label that can be stored


def fill_objects(
    labels: Labels,
    masks: Masks,
    box: Part,
    regions: Iterable[Region] = (),
    *,
    above: int = 1,
    at: tuple[int, ...] | None = None,
    timed: bool = False,
) -> Filling:
    """Fill what is unlabelled with background and objects that have new numbers, a little at a time.

    Parameters
    ----------
    labels : numpy.ndarray
        ([Z,] Y, X), what is painted; read when its turn comes, and not changed here.
    masks : numpy.ndarray
        Of the same shape: 1 background, 2.. one object each, 0 where nothing was looked for.
    box : tuple of slice
        Where, one slice an axis, with start and stop.
    regions : iterable of Region, optional
        Marked boxes.
    above : int, optional
        A number that somebody is about to paint with: new ones are above it too.
    at : tuple of int, optional
        A pixel: only the object there, in all planes that it goes through.
    timed : bool, optional
        Whether planes are the frames of a time series, which objects do not go through.

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

    Raises
    ------
    LabelError
        If there are more objects than numbers; then nothing is written.
    """
    last, number = max(1, above), int(masks[at]) if at is not None else None
    for plane in labels[None] if labels.ndim == 2 else labels:
        last = max(last, int(plane.max(initial=0)))
        yield 0.0, None
    if at is not None:
        box = (*(yield from _planes(masks, at, timed)), *box[-2:])
    found = _Found(labels, masks, box, [r for r in regions if r.validation], number, timed)
    for share, part in parts(box):
        found.look(part)
        yield share / 2, None
    numbers, outcome = found.numbered(last + 1)
    pixels = 0
    for share, part in parts(box):
        values = looked_up(found.values(part, numbers, number is None), masks[part])
        values[labels[part] != 0] = 0
        clear(values, part, regions)
        written = int(np.count_nonzero(values))
        pixels += written
        yield 0.5 + share / 2, Piece(part, values) if written else None
    return Outcome(pixels, *outcome, by_object=True)


class _Found:
    """The objects of a box, followed from plane to plane: how large each is, and what speaks against it."""

    def __init__(
        self, labels: Labels, masks: Masks, box: Part, guards: Sequence[Region], number: int | None, timed: bool
    ) -> None:
        self._labels, self._masks, self._box, self._guards = labels, masks, box, guards
        self._number, self._timed = number, timed
        self._tracks: dict[int, dict[int, int]] = {}  # by plane: which object each number is
        self._sizes: Counter[int] = Counter()
        self._shared: Counter[tuple[int, int]] = Counter()  # pixels of an object with a painted value
        self._painted: Counter[int] = Counter()
        self._cut: set[int] = set()
        self._guarded: set[int] = set()
        self._count = 0
        self._table: tuple[int, Labels] = (-1, np.zeros(0, np.uint16))  # a plane, and what its numbers become

    def look(self, part: Part) -> None:
        """Look at the next part, which lies in one plane."""
        z = part[0].start if len(part) == 3 else 0
        masks, labels = self._masks[part], self._labels[part]
        self._painted.update(_counted(labels[labels > 1]))
        objects = masks > 1 if self._number is None else masks == self._number
        if not objects.any():
            return
        tracks = self._tracks.setdefault(z, {})
        if not self._timed:
            self._follow(part, masks, objects, tracks, self._tracks.get(z - 1, {}))
        counts = _counted(masks[objects])
        for k, n in counts.items():
            if k not in tracks:
                tracks[k], self._count = self._count, self._count + 1
            self._sizes[tracks[k]] += n
        both = objects & (labels > 0)
        for code, n in _counted(masks[both].astype(np.int64) << 16 | labels[both]).items():
            self._shared[tracks[code >> 16], code & MOST] += n
        self._cut.update(tracks[int(k)] for k in np.unique(self._edges(part, masks)) if k in tracks)
        for region in self._guards:
            inside = common(region, part)
            if inside is not None:
                self._guarded.update(tracks[int(k)] for k in np.unique(masks[inside]) if k in tracks)

    def _follow(self, part: Part, masks: Masks, objects: Any, tracks: dict[int, int], before: dict[int, int]) -> None:
        """Let numbers that the plane before has in the same place stand for the same objects."""
        if before:
            earlier = self._masks[(slice(part[0].start - 1, part[0].stop - 1), *part[1:])]
            for k in np.unique(masks[objects & (masks == earlier)]):
                if int(k) in before:
                    old, new = tracks.get(int(k)), before[int(k)]
                    tracks[int(k)] = new
                    if old is not None and old != new:
                        self._join(old, new)

    def _join(self, old: int, new: int) -> None:
        """Only a later part of the plane says that an object is one of the plane before."""
        self._sizes[new] += self._sizes.pop(old, 0)
        for track, value in [pair for pair in self._shared if pair[0] == old]:
            self._shared[new, value] += self._shared.pop((track, value))
        for group in (self._cut, self._guarded):
            if old in group:
                group.add(new)

    def _edges(self, part: Part, masks: Masks) -> npt.NDArray[Any]:
        """The outermost pixels of the box in a part, but for those at the edge of the image."""
        sides = []
        for axis, first, last in ((-2, np.s_[..., :1, :], np.s_[..., -1:, :]), (-1, np.s_[..., :1], np.s_[..., -1:])):
            if 0 < self._box[axis].start == part[axis].start:
                sides.append(masks[first].reshape(-1))
            if part[axis].stop == self._box[axis].stop < self._masks.shape[axis]:
                sides.append(masks[last].reshape(-1))
        return np.concatenate(sides) if sides else masks[..., :0, :].reshape(-1)

    def numbered(self, first: int) -> tuple[dict[int, int], tuple[int, int, int, int]]:
        """Give numbers to the objects that are accepted; count these, and those left out and why."""
        same = {
            track
            for (track, value), n in self._shared.items()
            if 2 * n > (self._sizes[track] if value == 1 else min(self._sizes[track], self._painted[value]))
        }
        covered: Counter[int] = Counter()
        for (track, _), n in self._shared.items():
            covered[track] += n
        found = set(self._sizes)
        guarded = found & self._guarded
        cut = (found & self._cut) - guarded
        painted = (found & same) - guarded - cut
        left = sorted(t for t in found - guarded - cut - painted if covered[t] < self._sizes[t])
        if left and first + len(left) - 1 > MOST:
            raise LabelError(
                f"There are {len(left)} objects, and the first free number is {first}",
                f"Numbers go up to {MOST}",
                "Accept fewer of them",
            )
        return {t: first + i for i, t in enumerate(left)}, (len(left), len(painted), len(cut), len(guarded))

    def values(self, part: Part, numbers: dict[int, int], background: bool) -> Labels:
        """What each number in the masks of a part becomes."""
        z = part[0].start if len(part) == 3 else 0
        if self._table[0] != z:
            tracks = self._tracks.get(z, {})
            values = np.zeros(max(tracks, default=1) + 1, np.uint16)
            for k, track in tracks.items():
                values[k] = numbers.get(track, 0)
            values[1] = int(background)
            self._table = z, values
        return self._table[1]


def piece_around(masks: Masks, at: tuple[int, ...]) -> tuple[Part, npt.NDArray[np.bool_]]:
    """Find the connected pixels (8 neighbours) of one class around a pixel, in its plane.

    Parameters
    ----------
    masks : numpy.ndarray
        ([Z,] Y, X) classes.
    at : tuple of int
        The pixel.

    Returns
    -------
    tuple of slice
        A box around them in the plane.
    numpy.ndarray
        Which pixels of the box they are.

    Raises
    ------
    LabelError
        If they reach further than can be searched at once.
    """
    side, (y, x), shape = REACH // 4, at[-2:], masks.shape[-2:]
    while True:
        box = tuple(slice(max(0, p - side // 2), min(n, p + side // 2)) for p, n in zip((y, x), shape, strict=True))
        numbered, _ = ndimage.label(masks[at[:-2] + box] == masks[at], np.ones((3, 3)))
        wanted = numbered == numbered[y - box[0].start, x - box[1].start]
        ends = ((box[0].start, wanted[0]), (shape[0] - box[0].stop, wanted[-1]))
        sides = ((box[1].start, wanted[:, 0]), (shape[1] - box[1].stop, wanted[:, -1]))
        if not any(beyond and line.any() for beyond, line in (*ends, *sides)):
            return box, wanted
        if side >= REACH:
            raise LabelError(
                f"This piece reaches further than {REACH // 2} px", "One object is smaller", "Accept what you see"
            )
        side *= 2


def _planes(masks: Masks, at: tuple[int, ...], timed: bool) -> Generator[tuple[float, None], None, Part]:
    """Find the planes of an object: its own, and others as long as it goes on in the same place."""
    if masks.ndim == 2:
        return ()
    if timed:
        return (slice(at[0], at[0] + 1),)
    number, first, last = masks[at], at[0], at[0]
    for step in (-1, 1):
        z, here = at[0], masks[at[0]] == number
        while 0 <= z + step < len(masks):
            there = masks[z + step] == number
            if not (here & there).any():
                break
            z, here = z + step, there
            first, last = min(first, z), max(last, z)
            yield 0.0, None
    return (slice(first, last + 1),)


def _counted(values: npt.NDArray[Any]) -> dict[int, int]:
    if values.size and values.max() < 2**20:
        counts = np.bincount(values)
        found = np.flatnonzero(counts)
        counts = counts[found]
    else:
        found, counts = np.unique(values, return_counts=True)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))
