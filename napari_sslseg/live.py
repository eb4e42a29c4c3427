"""Live: what is looked at is described once, and a linear classifier is learnt anew after each stroke."""

import math
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

from napari_sslseg import linear
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
        (N,) numbers as good as random that depend on the place alone: of too many pixels those of the lowest rank are
        used, and remain so when others are added.
    known : dict of int to numpy.ndarray
        What is known of single pixels, by rank.
    """

    points: Points
    targets: npt.NDArray[np.int64]
    rank: npt.NDArray[np.uint64]
    known: dict[int, Floats] = field(default_factory=dict)


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
    def paint(self, where: Where, points: Points, targets: npt.NDArray[np.integer[Any]]) -> None:
        """Say what is painted on a plane now; what was said of it before is forgotten.

        Parameters
        ----------
        where : Where
            The plane.
        points : numpy.ndarray
            (N, 2) pixels (y, x) of the image that the network sees.
        targets : numpy.ndarray
            (N,) classes from 0.
        """
        rank = _rank(points, where)
        order = np.argsort(rank)
        few = np.concatenate([order[targets[order] == c][:PLANE_PIXELS] for c in np.unique(targets)] or [order])
        before = self._painted.pop(where, None)
        if len(few):
            known = before.known if before is not None else {}
            kept = {int(r): known[int(r)] for r in rank[few] if int(r) in known}
            self._painted[where] = Painted(points[few], targets[few].astype(np.int64), rank[few], kept)

    def learn(
        self,
        images: Callable[[str], Image],
        classes: int,
        stop: Stop,
        seen: tuple[Where, Box] | None = None,
        *,
        guess: bool = True,
    ) -> Job[bool]:
        """Learn from all that is painted.

        Parameters
        ----------
        images : callable
            From the name of an image to the image that the network sees.
        classes : int
            How many classes there are.
        stop : Stop
            Looked at before every tile.
        seen : (Where, Box), optional
            A part of a plane that was looked at: by what its image differs from those with strokes, and these from each
            other, classes are told apart less. The same strokes and the same part give the same classes.
        guess : bool, optional
            Whether what it is sure of in that part is learnt from too, labelled or not.

        Yields
        ------
        Event
            Progress, where strokes have to be looked at first.

        Returns
        -------
        bool
            Whether there was something to learn from, two classes at least, and no stop.
        """
        chosen = self._chosen()
        known: list[Floats] = []
        for where, pixels in chosen:
            painted = self._painted[where]
            missing = np.array([k for k in pixels if int(painted.rank[k]) not in painted.known], np.intp)
            if len(missing) and not (yield from self._read(images(where.image), where, painted, missing, stop)):
                return False
            known += [painted.known[int(painted.rank[k])] for k in pixels]
        targets = np.concatenate([self._painted[w].targets[p] for w, p in chosen] or [np.zeros(0, np.int64)])
        if len(np.unique(targets)) < 2:
            self.head = None
            return False
        before = self.head if self.classes == classes else None
        self.classes = classes
        others = self._unlabelled(images, *seen) if seen is not None and guess else None
        looks = self._looks(images, chosen, *seen) if seen is not None else None
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

    def _chosen(self) -> list[tuple[Where, Points]]:
        """Which labelled pixels of each plane to learn from: of each class those of the lowest rank."""
        limits: dict[int, int] = {}
        every = list(self._painted.values())
        ranks = np.concatenate([p.rank for p in every] or [np.zeros(0, np.uint64)])
        targets = np.concatenate([p.targets for p in every] or [np.zeros(0, np.int64)])
        for c in np.unique(targets):
            of_class = np.sort(ranks[targets == c])
            limits[int(c)] = int(of_class[min(len(of_class), CLASS_PIXELS) - 1])
        found = []
        for where, painted in self._painted.items():
            most = np.array([limits[int(t)] for t in painted.targets], np.uint64)
            found.append((where, np.flatnonzero(painted.rank <= most)))
        return found

    def _read(self, image: Image, where: Where, painted: Painted, missing: Points, stop: Stop) -> Job[bool]:
        """Describe labelled pixels, tile by tile."""
        size = image.shape[-2:]
        y, x = painted.points[missing].T
        for tile in _tiles_of(size, painted.points[missing]):
            here = missing[(y >= tile.top) & (y < tile.bottom) & (x >= tile.left) & (x < tile.right)]
            if stop.requested:
                return False
            yield Progress(0.0, "looking at the strokes")
            corner = np.array(tile.grown(MARGIN, size)[:2])
            columns = self._columns(self._maps(image, where, tile), painted.points[here] - corner)
            painted.known.update(zip(map(int, painted.rank[here]), columns, strict=True))
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


def _cuts(size: int) -> list[tuple[int, int]]:
    ends = [round(e) for e in np.linspace(0, size, math.ceil(size / TILE) + 1)]
    return list(pairwise(ends))


def _rank(points: Points, where: Where) -> npt.NDArray[np.uint64]:
    """Mix places into numbers that are all different within a plane (the finaliser of SplitMix64, Steele 2014)."""
    y, x = points.astype(np.uint64).T
    plane = np.uint64((where.z << 52 ^ zlib.crc32(where.image.encode()) << 16) % 2**64)
    mixed: npt.NDArray[np.uint64] = (y << np.uint64(32)) ^ x ^ plane
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    return mixed
