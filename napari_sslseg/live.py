"""Live: what is looked at is described once, and a linear classifier is learnt anew after each stroke."""

import math
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from napari_sslseg import linear, lot
from napari_sslseg.encoders import Encoder
from napari_sslseg.image import Floats, Image
from napari_sslseg.job import Job, Progress, Stop
from napari_sslseg.overlay import Box
from napari_sslseg.pixel_classifier import PixelClassifier, by_size, enlarged, read
from napari_sslseg.runtime import Runtime, laid_out
from napari_sslseg.tile_cache import TileCache

TILE = 576  # px: greatest side of the part of a plane that is described at once
MARGIN = 32  # px around it that are looked at too
PLANE_PIXELS, CLASS_PIXELS = 400, 1000  # of each class that are learnt from: of one plane, of all
MOST = 64  # tiles in which they lie, about
BESIDE = 1500  # pixels of what is looked at whose class is guessed
VIEWS = 64  # tiles of which these are remembered
PIECE = 16384  # px of a map that are weighed at once

Points = npt.NDArray[np.intp]


class Where(NamedTuple):
    """A plane of an image."""

    image: str
    z: int


@dataclass(eq=False)
class Painted:
    """The labelled pixels of a plane that are learnt from.

    Parameters
    ----------
    points : numpy.ndarray
        (N, 2) pixels (y, x) of the image that the network sees.
    targets : numpy.ndarray
        (N,) classes from 0.
    rank : numpy.ndarray
        (N,) numbers as good as random that depend on the place alone.
    turn : numpy.ndarray
        (N,) of too many pixels those of the lowest turn are used, and remain so when others are added.
    known : dict of int to numpy.ndarray
        What is known of single pixels, by rank.
    """

    points: Points
    targets: npt.NDArray[np.int64]
    rank: lot.Ranks
    turn: lot.Ranks
    known: dict[int, Floats] = field(default_factory=dict)

    def those_known(self, pixels: Points) -> Points:
        """Leave out those of which nothing is known yet.

        Parameters
        ----------
        pixels : numpy.ndarray
            (M,) indices of pixels.

        Returns
        -------
        numpy.ndarray
            Those of them that are known, in their order.
        """
        return np.array([k for k in pixels.tolist() if int(self.rank[k]) in self.known], np.intp)

    def columns(self, pixels: Points) -> list[Floats]:
        """Tell what is known of pixels.

        Parameters
        ----------
        pixels : numpy.ndarray
            (M,) indices of pixels that are known.

        Returns
        -------
        list of numpy.ndarray
            M times (F,) values.
        """
        return [self.known[int(self.rank[k])] for k in pixels]


class Live:
    """Classes of what is looked at, while it is painted on.

    Parameters
    ----------
    encoder : Encoder
        Looks at planes; a copy of it is kept.
    machine : Runtime
        Device.
    magnification : int, optional
        How many pixels the network sees for one pixel of the image, along a side.
    cache : TileCache, optional
        Where descriptions are kept; a new one in memory and on disk if not given.

    Attributes
    ----------
    head : Linear or None
        What tells classes apart; None until there is something to learn from.
    classes : int
        How many classes it tells apart.
    known : float
        Share of the labelled pixels that there was time to look at; the next learning goes on with the others.
    """

    def __init__(
        self, encoder: Encoder, machine: Runtime, magnification: int = 1, cache: TileCache | None = None
    ) -> None:
        self._describer = PixelClassifier(encoder, 1, magnification).to(machine.device).eval()
        self._machine = machine
        self._cache = cache or TileCache()
        self._painted: dict[Where, Painted] = {}
        self._means: dict[tuple[Where, Box], Floats] = {}  # of the columns of tiles
        self._beside = lru_cache(VIEWS)(self._anywhere)
        self.head: linear.Linear | None = None
        self.classes = 0
        self.known = 1.0

    # ---------------------------------------------------------------- what is seen
    def look(self, image: Image, where: Where, box: Box, stop: Stop) -> Job[bool]:
        """Describe a part of a plane, unless that was done before.

        Parameters
        ----------
        image : Image
            The image.
        where : Where
            Its name, under which the description is kept, and the plane.
        box : Box
            The part.
        stop : Stop
            Looked at before every tile; those that are done are kept.

        Yields
        ------
        Event
            Progress.

        Returns
        -------
        bool
            Whether all of it is described.
        """
        wanted = [t for t in _tiles(image.shape[-2:], box) if (where, t) not in self._cache]
        for k, tile in enumerate(wanted):
            if stop.requested:
                return False
            yield Progress(k / len(wanted), "looking at the image")
            self._cache[where, tile] = self._describe(image, where.z, tile)
        return True

    def _maps(self, image: Image, where: Where, tile: Box) -> list[Tensor]:
        found = self._cache.get((where, tile))
        if found is None:
            found = self._cache[where, tile] = self._describe(image, where.z, tile)
        return found

    @torch.inference_mode()
    def _describe(self, image: Image, z: int, tile: Box) -> list[Tensor]:
        around = tile.grown(MARGIN, image.shape[-2:])
        pixels = image.normalised(z, slice(around.top, around.bottom), slice(around.left, around.right))
        crop = laid_out(self._machine.place(torch.from_numpy(pixels)[None]))
        return [m[0].clamp(-6e4, 6e4).half().cpu() for m in self._describer.maps(self._describer.grown(crop))]

    # ---------------------------------------------------------------- what is painted
    def paint(
        self,
        where: Where,
        points: Points,
        targets: npt.NDArray[np.integer[Any]],
        strokes: npt.NDArray[np.integer[Any]] | None = None,
    ) -> None:
        """Say what is painted on a plane now; what was said of it before is forgotten.

        Parameters
        ----------
        where : Where
            The plane.
        points : numpy.ndarray
            (N, 2) pixels (y, x) of the image that the network sees.
        targets : numpy.ndarray
            (N,) classes from 0.
        strokes : numpy.ndarray, optional
            (N,) a number of the stroke, from 0, by which each was painted; all by one if not given. Of too many pixels
            strokes take turns, so that one that corrects a mass of accepted labels counts for as much as they.
        """
        before = self._painted.pop(where, None)
        if not len(points):
            return
        rank = lot.rank(points, where.z << 52 ^ zlib.crc32(where.image.encode()) << 16)
        groups = targets
        if strokes is not None:
            number = np.cumsum(np.bincount(strokes) > 0) - 1  # without those that are painted over
            groups = number[strokes] * (targets.max() + 1) + targets
        at, turn = lot.turns(rank, groups, PLANE_PIXELS)
        of_class = [np.flatnonzero(targets[at] == c) for c in np.flatnonzero(np.bincount(targets[at]))]
        few = np.concatenate([lot.lowest(turn, of_one, PLANE_PIXELS) for of_one in of_class])
        few = few[np.argsort(rank[at[few]])]  # where all are used it makes no difference who painted them
        at, turn = at[few], turn[few]
        known = before.known if before is not None else {}
        kept = {int(r): known[int(r)] for r in rank[at] if int(r) in known}
        self._painted[where] = Painted(points[at], targets[at].astype(np.int64), rank[at], turn, kept)

    def learn(
        self,
        images: Callable[[str], Image],
        classes: int,
        stop: Stop,
        seen: tuple[Where, Box] | None = None,
        *,
        unlike: bool = True,
        guess: bool = True,
        patience: float = math.inf,
    ) -> Job[bool]:
        """Learn from all that is painted.

        Where it is painted in very many tiles, pixels in some of them are learnt from: in what was looked at, and in
        others drawn by lot, the same ones each time.

        Parameters
        ----------
        images : callable
            From the name of an image to the image that the network sees.
        classes : int
            How many classes there are.
        stop : Stop
            Looked at before every tile.
        seen : (Where, Box), optional
            A part of a plane that was looked at. The same strokes and the same part give the same classes.
        unlike : bool, optional
            Whether classes are told apart less by what the image of that part differs in from those with strokes, and
            these from each other.
        guess : bool, optional
            Whether what it is sure of in that part is learnt from too, labelled or not.
        patience : float, optional
            Seconds after which strokes that were not looked at yet are left for the next time, those far from what was
            looked at, unless only one class is known by then.

        Yields
        ------
        Event
            Progress, where strokes have to be looked at first.

        Returns
        -------
        bool
            Whether there was something to learn from, two classes at least, and no stop.
        """
        chosen = self._chosen(seen)
        if not (yield from self._read(images, chosen, seen and seen[0], stop, patience)):
            return False
        chosen = [(where, self._painted[where].those_known(pixels)) for where, pixels in chosen]
        known = [c for where, pixels in chosen for c in self._painted[where].columns(pixels)]
        targets = np.concatenate([self._painted[w].targets[p] for w, p in chosen] or [np.zeros(0, np.int64)])
        if len(np.unique(targets)) < 2:
            self.head = None
            return False
        before = self.head if self.classes == classes else None
        self.classes = classes
        others = self._unlabelled(images, *seen) if seen is not None and guess else None
        looks = self._looks(images, chosen, *seen) if seen is not None and unlike else None
        columns = np.stack(known).astype(np.float32)
        self.head = linear.fit(columns, targets, classes, unlabelled=others, images=looks, before=before)
        return True

    def _looks(
        self, images: Callable[[str], Image], chosen: list[tuple[Where, Points]], where: Where, box: Box
    ) -> Floats:
        """(I, F) mean columns of each image, over its tiles with strokes and those that a part touches."""
        tiles = {(where, t) for t in _tiles(images(where.image).shape[-2:], box)}
        for plane, pixels in chosen:
            size, painted = images(plane.image).shape[-2:], self._painted[plane].points[pixels]
            tiles |= {(plane, t) for t in _tiles_of(size, painted)}
        found: dict[str, list[Floats]] = {}
        for plane, tile in sorted(tiles):
            found.setdefault(plane.image, []).append(self._mean(images, plane, tile))
        return np.stack([np.mean(means, 0) for means in found.values()])

    def _mean(self, images: Callable[[str], Image], where: Where, tile: Box) -> Floats:
        if (where, tile) not in self._means:
            maps = self._maps(images(where.image), where, tile)
            self._means[where, tile] = torch.cat([m.float().mean((1, 2)) for m in maps]).numpy()
        return self._means[where, tile]

    def _unlabelled(self, images: Callable[[str], Image], where: Where, box: Box) -> Floats:
        """Columns of pixels of the tiles that a part touches, as many of each."""
        tiles = list(_tiles(images(where.image).shape[-2:], box))
        each = -(-BESIDE // len(tiles))
        return np.concatenate([self._beside(images, where, t, each) for t in tiles]).astype(np.float32)

    def _anywhere(self, images: Callable[[str], Image], where: Where, tile: Box, count: int) -> npt.NDArray[np.float16]:
        """Columns of pixels of a tile, always the same ones."""
        image = images(where.image)
        numbers = np.random.default_rng([where.z, *tile])
        points = np.stack(
            [numbers.integers(tile.top, tile.bottom, count), numbers.integers(tile.left, tile.right, count)], 1
        )
        corner = np.array(tile.grown(MARGIN, image.shape[-2:])[:2])
        return self._columns(self._maps(image, where, tile), points - corner)

    def _chosen(self, seen: tuple[Where, Box] | None) -> list[tuple[Where, Points]]:
        """Which labelled pixels of each plane to learn from: of each class those of the lowest turn."""
        planes = list(self._painted)
        every = [self._painted[where] for where in planes]
        turns = np.concatenate([p.turn for p in every] or [np.zeros(0, np.uint64)])
        targets = np.concatenate([p.targets for p in every] or [np.zeros(0, np.int64)])
        whose = np.repeat(np.arange(len(every)), [len(p.rank) for p in every])
        places = np.concatenate([p.points for p in every] or [np.zeros((0, 2), np.intp)])
        looked_at = np.zeros(len(turns), bool)
        if seen is not None and seen[0] in self._painted:
            (top, left, bottom, right), (y, x) = seen[1], places.T
            looked_at = (y >= top) & (y < bottom) & (x >= left) & (x < right) & (whose == planes.index(seen[0]))
        used = lot.in_few(np.column_stack([whose, places // TILE]), turns, targets, looked_at, MOST)
        for c in np.unique(targets):
            of_class = used & (targets == c)
            used &= ~of_class
            used[lot.lowest(turns, np.flatnonzero(of_class), CLASS_PIXELS)] = True
        parts = np.split(used, np.cumsum([len(p.rank) for p in every])[:-1]) if every else []
        return [(where, np.flatnonzero(part)) for where, part in zip(planes, parts, strict=True)]

    def _read(
        self,
        images: Callable[[str], Image],
        chosen: list[tuple[Where, Points]],
        near: Where | None,
        stop: Stop,
        patience: float,
    ) -> Job[bool]:
        """Describe labelled pixels, tile by tile, first those of planes near to the one that is looked at."""
        wanted: list[tuple[Where, Box, Points]] = []
        classes: set[int] = set()
        for where, pixels in sorted(chosen, key=lambda plane: _far(plane[0], near)):
            painted = self._painted[where]
            known = painted.those_known(pixels)
            classes |= set(painted.targets[known].tolist())
            missing = np.setdiff1d(pixels, known)
            y, x = painted.points[missing].T
            for tile in _tiles_of(images(where.image).shape[-2:], painted.points[missing]) if len(missing) else ():
                inside = (y >= tile.top) & (y < tile.bottom) & (x >= tile.left) & (x < tile.right)
                wanted.append((where, tile, missing[inside]))
        every, left = sum(len(pixels) for _, pixels in chosen), sum(len(here) for *_, here in wanted)
        began = time.monotonic()
        for k, (where, tile, here) in enumerate(wanted):
            if stop.requested:
                return False
            if k and time.monotonic() - began > patience and len(classes) > 1:
                break
            yield Progress(1 - left / every, "looking at the strokes")
            image, painted = images(where.image), self._painted[where]
            corner = np.array(tile.grown(MARGIN, image.shape[-2:])[:2])
            columns = self._columns(self._maps(image, where, tile), painted.points[here] - corner)
            painted.known.update(zip(map(int, painted.rank[here]), columns, strict=True))
            classes |= set(painted.targets[here].tolist())
            left -= len(here)
        self.known = 1 - left / max(1, every)
        return True

    @torch.inference_mode()
    def _columns(self, maps: list[Tensor], points: Points) -> npt.NDArray[np.float16]:
        found: npt.NDArray[np.float16] = read([m[None].float() for m in maps], points).half().numpy()
        return found

    # ---------------------------------------------------------------- what is found
    @torch.inference_mode()
    def probabilities(self, image: Image, where: Where, box: Box) -> Floats:
        """Compute class probabilities of a part of a plane, as if all classes were equally frequent.

        Parameters
        ----------
        image : Image
            The image.
        where : Where
            Its name and the plane.
        box : Box
            The part.

        Returns
        -------
        numpy.ndarray
            (K, h, w) float32, summing to 1 over K.
        """
        assert self.head is not None, "it has learnt"
        found = np.empty((self.classes, box.bottom - box.top, box.right - box.left), np.float32)
        weight, bias = torch.from_numpy(self.head.weight), torch.from_numpy(self.head.bias)
        size = image.shape[-2:]
        for tile in _tiles(size, box):
            maps, around = self._maps(image, where, tile), tile.grown(MARGIN, size)
            part = Box(*np.maximum(tile[:2], box[:2]).tolist(), *np.minimum(tile[2:], box[2:]).tolist())
            kinds = weight.split([len(m) for m in maps], 1)
            *coarse, fine = (_weighed(m, kind) for m, kind in zip(maps, kinds, strict=True))
            total = enlarged(fine + bias[None, :, None, None], by_size(coarse))
            rows = slice(part.top - around.top, part.bottom - around.top)
            columns = slice(part.left - around.left, part.right - around.left)
            target = found[:, part.top - box.top : part.bottom - box.top, part.left - box.left : part.right - box.left]
            target[...] = F.softmax(total[0, :, rows, columns], 0).numpy()
        return found


def _weighed(half: Tensor, weight: Tensor) -> Tensor:
    """Weighted sums of (C, h, w) maps as (1, K, h, w), in pieces that fit the cache of a processor."""
    flat, found = half.reshape(len(half), -1), torch.empty(len(weight), half[0].numel())
    for start in range(0, flat.shape[1], PIECE):
        torch.mm(weight, flat[:, start : start + PIECE].float(), out=found[:, start : start + PIECE])
    return found.view(1, len(weight), *half.shape[1:])


def _tiles(size: tuple[int, ...], box: Box) -> Iterator[Box]:
    """The tiles of a plane that a box touches; a plane is always cut in the same way."""
    rows, columns = (_cuts(n) for n in size)
    for top, bottom in rows:
        for left, right in columns:
            if top < box.bottom and bottom > box.top and left < box.right and right > box.left:
                yield Box(top, left, bottom, right)


def _tiles_of(size: tuple[int, ...], points: Points) -> Iterator[Box]:
    """The tiles of a plane in which pixels lie."""
    rows, columns = (_cuts(n) for n in size)
    ends = [np.array([last for _, last in cuts]) for cuts in (rows, columns)]
    at = np.stack([np.searchsorted(e, p, side="right") for e, p in zip(ends, points.T, strict=True)], 1)
    for row, column in np.unique(at, axis=0):
        (top, bottom), (left, right) = rows[row], columns[column]
        yield Box(top, left, bottom, right)


def _far(where: Where, near: Where | None) -> tuple[bool, int, str]:
    """How far a plane is from another one, to sort by."""
    if near is None:
        return False, where.z, where.image
    same = where.image == near.image
    return not same, abs(where.z - near.z) if same else where.z, where.image


def _cuts(size: int) -> list[tuple[int, int]]:
    ends = [round(e) for e in np.linspace(0, size, math.ceil(size / TILE) + 1)]
    return list(pairwise(ends))
