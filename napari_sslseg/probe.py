"""Probes: quick measures of how good an encoder's features are, without labels or on the strokes at hand."""

import hashlib
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from napari_sslseg import metrics, patches, structure, views
from napari_sslseg.encoders import Encoder
from napari_sslseg.image import Image
from napari_sslseg.job import Stop, every
from napari_sslseg.labelled import Labelled
from napari_sslseg.pixel_classifier import COARSEST
from napari_sslseg.runtime import laid_out
from napari_sslseg.structure import Structure
from napari_sslseg.surround import PLANE, Surround, windows
from napari_sslseg.volumes import Piece

CROPS, GRID = 32, 8  # crops of the probe without labels, and places along a side of each
MOST_WINDOWS = 32  # squares in which strokes are looked at; of more, some are drawn
MOST_PIXELS = 64  # of one stroke in one square
LEAST, MOST_FOLDS = 3, 5  # strokes of a class for it to be scored; parts that are left out in turn
RIDGE = 0.1  # weight of the ridge penalty; features have unit variance


class StructureProbe:
    """Dense features on crops that are drawn once, measured without labels.

    Parameters
    ----------
    images : list of Image
        The images.
    piece : Piece
        Size of a crop; of a box the middle plane is looked at.
    numbers : numpy.random.Generator
        Random numbers of its own, to draw the crops.
    """

    def __init__(self, images: list[Image], piece: Piece, numbers: np.random.Generator) -> None:
        places = [patches.anywhere(images, piece.side, numbers, piece.depth) for _ in range(CROPS)]
        self._crops = torch.stack([torch.from_numpy(patches.cut(images[p.image], p)) for p in places])
        steps = (torch.arange(GRID) + 0.5) * 2 / GRID - 1
        self._places = torch.cartesian_prod(steps, steps)
        if piece.depth:
            self._places = F.pad(self._places, (0, 1))
        self._seed = int(numbers.integers(2**62))

    def measure(self, encoder: Encoder, magnification: int = 1, stop: Stop | None = None) -> Structure | None:
        """Measure an encoder.

        Parameters
        ----------
        encoder : Encoder
            In evaluation mode.
        magnification : int, optional
            How many pixels the network sees for one pixel of the image, along a side.
        stop : Stop, optional
            To end early.

        Returns
        -------
        Structure, optional
            The parts of DSE, and the effective rank; None if stopped.
        """
        read = []
        for crops in self._crops.split(GRID):
            if stop is not None and stop.requested:
                return None
            read.append(_features(encoder, crops, self._places, magnification))
        maps = torch.cat(read).split(_used(encoder, magnification), 1)
        scaled = torch.cat([m / m.square().mean().sqrt().clamp_min(1e-6) for m in maps], 1)  # all maps weigh the same
        found = scaled.reshape(CROPS, len(self._places), -1)
        return structure.estimate(found, np.random.default_rng(self._seed))


@dataclass(frozen=True)
class Looked:
    """Labelled pixels of one square.

    Parameters
    ----------
    crop : torch.Tensor
        (1, C, [Z,] Y, X).
    places : torch.Tensor
        (1, N, 2 or 3), (x, y[, z]) from -1 to 1.
    owners : numpy.ndarray
        (N,) index of each pixel's stroke.
    targets : numpy.ndarray
        (N,) classes from 1.
    """

    crop: Tensor
    places: Tensor
    owners: npt.NDArray[np.intp]
    targets: npt.NDArray[np.uint8]


class StrokeProbe:
    """A linear classifier of labelled pixels, scored on whole strokes that are left out in turn.

    Parameters
    ----------
    labelled : Labelled
        Strokes; those kept apart for the score of training are not looked at.
    numbers : numpy.random.Generator
        Random numbers of its own, to choose where there are very many pixels.
    around : Surround, optional
        How much around strokes the encoders see.
    stop : Stop, optional
        To end early, with `StoppedError`.
    """

    def __init__(
        self,
        labelled: Labelled,
        numbers: np.random.Generator,
        around: Surround = PLANE,
        stop: Stop | None = None,
    ) -> None:
        self._strokes = labelled.train
        self._windows = list(every(stop, _windows(labelled, numbers, around, stop)))

    @classmethod
    def make(
        cls,
        labelled: Labelled,
        numbers: np.random.Generator,
        around: Surround = PLANE,
        stop: Stop | None = None,
    ) -> Self | None:
        """Build a probe if there are strokes enough.

        Parameters
        ----------
        labelled : Labelled
            Strokes.
        numbers : numpy.random.Generator
            Random numbers of its own.
        around : Surround, optional
            How much around strokes the encoders see.
        stop : Stop, optional
            To end early.

        Returns
        -------
        StrokeProbe, optional
            None if fewer than two classes have three strokes.

        Raises
        ------
        StoppedError
            If it was stopped.
        """
        probe = cls(labelled, numbers, around, stop)
        return probe if probe._folds(len(probe._windows)) is not None else None

    @property
    def digest(self) -> str:
        """A text that changes when the strokes do."""
        found = hashlib.sha256()
        for window in self._windows:
            found.update(window.crop.numpy().tobytes() + window.places.numpy().tobytes() + window.targets.tobytes())
        return found.hexdigest()

    def measure(
        self, encoders: list[Encoder], magnification: int = 1, *, stop: Stop | None = None, seconds: float = math.inf
    ) -> list[tuple[float, ...]] | None:
        """Measure encoders on the same pixels.

        Parameters
        ----------
        encoders : list of Encoder
            In evaluation mode.
        magnification : int, optional
            How many pixels the network sees for one pixel of the image, along a side.
        stop : Stop, optional
            To end early.
        seconds : float, optional
            After so long the rest of the strokes is left out.

        Returns
        -------
        list of tuple of float, optional
            Of each encoder, mean IoU over the classes of each part that was left out, 0 to 1; None if stopped, or if
            there was no time to look at strokes enough.
        """
        end = time.monotonic() + seconds
        columns: list[list[Tensor]] = [[] for _ in encoders]
        for window in self._windows:
            if stop is not None and stop.requested:
                return None
            if time.monotonic() > end:
                break
            for found, encoder in zip(columns, encoders, strict=True):
                found.append(_features(encoder, window.crop, window.places, magnification))
        count = len(columns[0])
        folds = self._folds(count)
        if folds is None:
            return None
        targets = np.concatenate([w.targets for w in self._windows[:count]])
        part = np.concatenate([folds[w.owners] for w in self._windows[:count]])
        return [_scores(torch.cat(c).double(), targets, part) for c in columns]

    def _folds(self, count: int) -> npt.NDArray[np.intp] | None:
        """The part of each stroke that the first `count` squares hold; -1 for one that is always learnt from."""
        seen = np.unique(np.concatenate([np.zeros(0, int), *(w.owners for w in self._windows[:count])]))
        by_class: dict[int, list[int]] = {}
        for k in sorted(seen.tolist(), key=lambda k: self._strokes[k].key):
            by_class.setdefault(self._strokes[k].value, []).append(k)
        scored = [found for found in by_class.values() if len(found) >= LEAST]
        if len(scored) < 2:
            return None
        parts = min(MOST_FOLDS, *(len(found) for found in scored))
        folds = np.full(len(self._strokes), -1)
        for found in scored:
            folds[found] = np.arange(len(found)) % parts
        return folds


@torch.no_grad()
def _features(encoder: Encoder, crops: Tensor, places: Tensor, magnification: int) -> Tensor:
    """(B N, F): what the maps say at places of crops, on the CPU."""
    device = next(encoder.parameters()).device
    maps = encoder(laid_out(crops.to(device)))[: len(_used(encoder, magnification))]
    read = views.at(maps, places.expand(len(crops), -1, -1).to(device)).cpu()
    return torch.nan_to_num(read, 0.0, 0.0, 0.0)  # of a run that went astray


def _used(encoder: Encoder, magnification: int) -> list[int]:
    """Channels of the maps that are looked at, those of the pixel classifier."""
    return [c for c, s in zip(encoder.channels, encoder.strides, strict=True) if s <= COARSEST * magnification]


def _windows(labelled: Labelled, numbers: np.random.Generator, around: Surround, stop: Stop | None) -> Iterator[Looked]:
    """Squares that hold strokes, all strokes of a plane read together."""
    looks = list(every(stop, windows(labelled.train, around)))
    for i in numbers.permutation(len(looks))[:MOST_WINDOWS]:
        look = looks[i]
        mixed = numbers.permutation(len(look.points))
        each = [mixed[look.owners[mixed] == k][:MOST_PIXELS] for k in np.unique(look.owners)]
        look = look.only(np.concatenate(each))
        at = torch.from_numpy((look.points + 0.5) * 2 / look.place.side - 1).float().flip(-1)
        if around.depth:
            at = F.pad(at, (0, 1), value=(around.middle + 0.5) * 2 / around.depth - 1)
        yield Looked(look.crop(labelled), at[None], look.owners, look.truth(labelled, around))


def _scores(known: Tensor, targets: npt.NDArray[np.uint8], part: npt.NDArray[np.intp]) -> tuple[float, ...]:
    """Mean IoU on each part, classified by what the others say."""
    truth, scores = torch.from_numpy(targets.astype(np.int64) - 1), []
    for k in range(int(part.max()) + 1):
        apart = torch.from_numpy(part == k)
        found = _classify(known[~apart], truth[~apart], known[apart]).numpy() + 1
        own = targets[part == k]
        iou = metrics.count([(found, own)]).iou()
        scores.append(float(np.mean([iou[v] for v in np.unique(own).tolist()])))
    return tuple(scores)


def _classify(known: Tensor, truth: Tensor, others: Tensor) -> Tensor:
    """Classify features by ridge regression on indicators of the classes, which all weigh the same."""
    values, own = truth.unique(return_inverse=True)
    weight = (1 / torch.bincount(own).double())[own] / len(values)
    mean = weight @ known
    spread = (weight @ (known - mean).square()).sqrt().clamp_min(1e-6)
    x, y = (known - mean) / spread, torch.eye(len(values), dtype=known.dtype)[own] - 1 / len(values)
    gram = (x * weight[:, None]).T @ x + RIDGE * torch.eye(x.shape[1], dtype=x.dtype)
    solved: Tensor = torch.linalg.solve(gram, (x * weight[:, None]).T @ y)
    found: Tensor = values[((others - mean) / spread @ solved).argmax(1)]
    return found
