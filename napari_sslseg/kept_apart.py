"""Kept apart: looks at single strokes, to score a segmenter on those not learnt from and to read their columns."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_sslseg import metrics, patches, tiles
from napari_sslseg.calibration import Calibration, temperature
from napari_sslseg.encoders import Encoder, VolumeEncoder
from napari_sslseg.job import Job, Progress, Stop
from napari_sslseg.labelled import Labelled
from napari_sslseg.patches import Place, Targets
from napari_sslseg.pixel_classifier import PixelClassifier
from napari_sslseg.segmenter import Segmenter
from napari_sslseg.strokes import Stroke

MOST_WINDOWS = 160  # of all strokes together; of more, some are drawn
MOST_PIXELS = 1500  # of one square


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


@dataclass(frozen=True, eq=False)
class Seen:
    """What a segmenter says of the strokes kept apart, as if all classes were equally frequent.

    Parameters
    ----------
    even : torch.Tensor
        (N, K) probabilities, on the CPU.
    truth : numpy.ndarray
        (N,) network classes from 1.
    strokes : int
        How many strokes the pixels belong to.
    """

    even: Tensor
    truth: Targets
    strokes: int

    def score(self, labelled: Labelled, calibration: Calibration = Calibration()) -> dict[str, Any]:
        """Score it.

        Parameters
        ----------
        labelled : Labelled
            What there is to learn from.
        calibration : Calibration, optional
            What is done to the probabilities first.

        Returns
        -------
        dict
            ``score``: mean IoU over the classes; ``scores``: IoU by label value.
        """
        found = calibration(self.even).argmax(1).numpy().astype(np.uint8) + 1
        iou = metrics.count([(found, self.truth)]).iou()
        scores = {str(labelled.values[c - 1]): v for c, v in iou.items()}
        return {"score": float(np.mean(list(iou.values()))), "scores": scores}

    def temperature(self) -> float:
        """Find how sure the probabilities may be.

        Returns
        -------
        float
            As `calibration.temperature`.
        """
        return temperature(self.even.numpy(), self.truth.astype(np.int64) - 1, self.strokes)


def look(segmenter: Segmenter, labelled: Labelled) -> Seen:
    """Look at the strokes kept apart.

    Parameters
    ----------
    segmenter : Segmenter
        In evaluation mode.
    labelled : Labelled
        What there is to learn from; at least one stroke is kept apart.

    Returns
    -------
    Seen
        What is found there.
    """
    device = next(segmenter.parameters()).device
    found, truth, around = [], [], Surround.of(segmenter.network.encoder)
    for stroke in labelled.apart:
        for place, inside in windows(stroke, around):
            crop = torch.from_numpy(patches.cut(labelled.images[stroke.image], place))[None].to(device)
            even = segmenter.even(crop, False)[0]
            y, x = (stroke.points[inside] - (place.y, place.x)).T
            found.append((even[:, around.middle] if around.depth else even)[:, y, x].T.cpu())
            truth.append(_truth(labelled, stroke)[inside])
    return Seen(torch.cat(found), np.concatenate(truth), len(labelled.apart))


def choose(segmenter: Segmenter, labelled: Labelled) -> Seen:
    """Keep the pixel classifier only if the strokes kept apart are found no worse with it than without.

    Parameters
    ----------
    segmenter : Segmenter
        In evaluation mode; its share is set to 0 if the network alone is better.
    labelled : Labelled
        What there is to learn from; at least one stroke is kept apart.

    Returns
    -------
    Seen
        What the better of the two finds.
    """
    together = look(segmenter, labelled)
    if segmenter.share == 0:
        return together
    share, segmenter.share = segmenter.share, 0.0
    alone = look(segmenter, labelled)
    if alone.score(labelled)["score"] > together.score(labelled)["score"]:
        return alone
    segmenter.share = share
    return together


def _truth(labelled: Labelled, stroke: Stroke) -> Targets:
    truth: Targets = labelled.targets[stroke.image][stroke.z][tuple(stroke.points.T)]
    return truth


@dataclass(frozen=True, eq=False)
class Columns:
    """What a pixel classifier learns from.

    Parameters
    ----------
    known : torch.Tensor
        (N, F) columns.
    targets : torch.Tensor
        (N,) classes from 0.
    apart : torch.Tensor
        (N,) bool, whether the pixel's stroke is kept apart.
    """

    known: Tensor
    targets: Tensor
    apart: Tensor

    def train(self, pixels: PixelClassifier, everything: bool, stop: Stop) -> bool:
        """Fit a pixel classifier.

        Parameters
        ----------
        pixels : PixelClassifier
            Changed.
        everything : bool
            Whether to use the strokes kept apart as well.
        stop : Stop
            To end early.

        Returns
        -------
        bool
            False if there is nothing to learn from.
        """
        use = torch.ones_like(self.apart) if everything else ~self.apart
        if len(torch.unique(self.targets[use])) < 2:
            return False
        pixels.fit(self.known[use], self.targets[use], stop)
        return True


def read_columns(
    pixels: PixelClassifier,
    labelled: Labelled,
    numbers: np.random.Generator,
    stop: Stop,
    seconds: float = math.inf,
) -> Job[Columns | None]:
    """Read the columns of labelled pixels.

    Parameters
    ----------
    pixels : PixelClassifier
        Computes them.
    labelled : Labelled
        What there is to learn from.
    numbers : numpy.random.Generator
        Random numbers, to choose where there are very many pixels.
    stop : Stop
        To end early.
    seconds : float, optional
        After so long the rest is left out.

    Yields
    ------
    Event
        Progress.

    Returns
    -------
    Columns, optional
        None if stopped.
    """
    device = next(pixels.parameters()).device
    looks = [(s, False, *w) for s in labelled.train for w in windows(s)]
    looks += [(s, True, *w) for s in labelled.apart for w in windows(s)]
    looks = [looks[i] for i in numbers.permutation(len(looks))[:MOST_WINDOWS]]
    end = time.monotonic() + seconds
    known: list[Tensor] = []
    targets: list[Tensor] = []
    apart: list[Tensor] = []
    for stroke, hidden, place, inside in looks:
        if stop.requested:
            return None
        if known and time.monotonic() > end:
            break
        chosen = np.flatnonzero(inside)
        chosen = numbers.permutation(chosen)[:MOST_PIXELS]
        crop = torch.from_numpy(patches.cut(labelled.images[stroke.image], place))[None].to(device)
        known.append(pixels.columns(crop, stroke.points[chosen] - (place.y, place.x)))
        truth = torch.from_numpy(_truth(labelled, stroke)[chosen].astype(np.int64) - 1)
        targets.append(truth.to(device))
        apart.append(torch.full_like(truth, hidden, dtype=torch.bool).to(device))
        yield Progress(0.0, "looking at the labels")
    return Columns(torch.cat(known), torch.cat(targets), torch.cat(apart))
