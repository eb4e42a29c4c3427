"""Kept apart: looks at single strokes, to score a segmenter on those not learnt from and to read their columns."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_sslseg import metrics, patches, tiles
from napari_sslseg.job import Job, Progress, Stop
from napari_sslseg.labelled import Labelled
from napari_sslseg.patches import Place, Targets
from napari_sslseg.pixel_classifier import PixelClassifier
from napari_sslseg.segmenter import Segmenter
from napari_sslseg.strokes import Stroke

WINDOW = 256  # px: side of the squares in which strokes are looked at
MARGIN = 32  # px: pixels of a stroke closer to the edge of a square are read from the next one
MOST_WINDOWS = 160  # of all strokes together; of more, some are drawn
MOST_PIXELS = 1500  # of one square


def windows(stroke: Stroke) -> Iterator[tuple[Place, npt.NDArray[np.bool_]]]:
    """Cover a stroke with squares.

    Parameters
    ----------
    stroke : Stroke
        The stroke.

    Yields
    ------
    Place
        A square.
    numpy.ndarray
        (N,) bool, which pixels of the stroke to read from it; each pixel comes once.
    """
    low, high = stroke.points.min(0), stroke.points.max(0) + 1
    inner = WINDOW - 2 * MARGIN
    rows, columns = (tiles.starts(int(h - a), inner, 0) for a, h in zip(low, high, strict=True))
    seen = np.zeros(len(stroke.points), bool)
    for y in rows:
        for x in columns:
            place = Place(stroke.image, stroke.z, int(low[0]) + y - MARGIN, int(low[1]) + x - MARGIN, WINDOW)
            at = stroke.points - (place.y, place.x)
            inside = ((at >= MARGIN) & (at < WINDOW - MARGIN)).all(1) & ~seen
            seen |= inside
            if inside.any():
                yield place, inside


def score(segmenter: Segmenter, labelled: Labelled) -> dict[str, Any]:
    """Score a segmenter on the strokes kept apart.

    Parameters
    ----------
    segmenter : Segmenter
        In evaluation mode.
    labelled : Labelled
        What there is to learn from; at least one stroke is kept apart.

    Returns
    -------
    dict
        ``score``: mean IoU over the classes; ``scores``: IoU by label value.
    """
    pairs = []
    device = next(segmenter.parameters()).device
    for stroke in labelled.apart:
        found = np.zeros(len(stroke.points), np.uint8)
        for place, inside in windows(stroke):
            crop = torch.from_numpy(patches.cut(labelled.images[stroke.image], place))[None].to(device)
            classes = segmenter.probabilities(crop, False)[0].argmax(0).cpu().numpy() + 1
            found[inside] = classes[tuple((stroke.points[inside] - (place.y, place.x)).T)]
        pairs.append((found, _truth(labelled, stroke)))
    iou = metrics.count(pairs).iou()
    scores = {str(labelled.values[c - 1]): v for c, v in iou.items()}
    return {"score": float(np.mean(list(iou.values()))), "scores": scores}


def choose(segmenter: Segmenter, labelled: Labelled) -> dict[str, Any]:
    """Keep the pixel classifier only if the strokes kept apart are found no worse with it than without.

    Parameters
    ----------
    segmenter : Segmenter
        In evaluation mode; its share is set to 0 if the network alone is better.
    labelled : Labelled
        What there is to learn from; at least one stroke is kept apart.

    Returns
    -------
    dict
        The better `score` of the two.
    """
    together = score(segmenter, labelled)
    if segmenter.share == 0:
        return together
    share, segmenter.share = segmenter.share, 0.0
    alone = score(segmenter, labelled)
    if alone["score"] > together["score"]:
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
