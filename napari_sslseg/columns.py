"""Columns: what a pixel classifier learns from, read at the labelled pixels."""

import math
import time
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_sslseg import patches
from napari_sslseg.image import Image
from napari_sslseg.job import Job, Progress, Stop, until
from napari_sslseg.labelled import Labelled
from napari_sslseg.patches import Place
from napari_sslseg.pixel_classifier import PixelClassifier
from napari_sslseg.styles import Others
from napari_sslseg.surround import PLANE, windows

MOST_WINDOWS = 160  # of all strokes together; of more, some are drawn
MOST_PIXELS = 6000  # of one square
BESIDE = 2000  # pixels without a label, of the squares around strokes
SQUARES, PIXELS = 16, 125  # that are looked at anywhere, and pixels of each


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
    others : Others, optional
        Further pixels, whose labels are not looked at.
    """

    known: Tensor
    targets: Tensor
    apart: Tensor
    others: Others | None

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
        others = replace(self.others, labelled=self.others.labelled[use]) if self.others else None
        pixels.fit(self.known[use], self.targets[use], stop, others)
        return True

    def joined(self, columns: Tensor, images: Tensor) -> "Columns":
        """Add further pixels without a label to those there are.

        Parameters
        ----------
        columns : torch.Tensor
            (M, F).
        images : torch.Tensor
            (M,) index of the image of each.

        Returns
        -------
        Columns
            Those and these.
        """
        before = self.others
        assert before is not None, "they were read"
        both = torch.cat([before.columns, columns]), torch.cat([before.images, images])
        return replace(self, others=replace(before, columns=both[0], images=both[1]))


def read_columns(
    pixels: PixelClassifier,
    labelled: Labelled,
    numbers: np.random.Generator,
    stop: Stop,
    seconds: float = math.inf,
    guessed: bool = True,
) -> Job[Columns | None]:
    """Read the columns of labelled pixels, and of others in the squares that are looked at for them.

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
    guessed : bool, optional
        Whether to learn from others of whose class the classifier is sure.

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
    looks = list(until(stop, windows([*labelled.train, *labelled.apart])))
    if stop.requested:
        return None
    looks = [looks[i] for i in numbers.permutation(len(looks))[:MOST_WINDOWS]]
    end, more = time.monotonic() + seconds, -(-BESIDE // max(1, len(looks)))
    known: list[Tensor] = []
    others: list[Tensor] = []
    images: list[tuple[int, int]] = []  # of each square: which image, and how many pixels
    targets: list[Tensor] = []
    apart: list[Tensor] = []
    for look in looks:
        if stop.requested:
            return None
        if known and time.monotonic() > end:
            break
        look = look.only(numbers.permutation(len(look.points))[:MOST_PIXELS])
        further = _anywhere(look.place, labelled.images[look.place.image], more, numbers)
        found = pixels.columns(look.crop(labelled).to(device), np.concatenate([look.points, further]))
        known.append(found[: len(look.points)])
        others.append(found[len(look.points) :])
        images.append((look.place.image, len(look.points)))
        targets.append(torch.from_numpy(look.truth(labelled).astype(np.int64) - 1).to(device))
        apart.append(torch.from_numpy(look.owners >= len(labelled.train)).to(device))
        yield Progress(0.0, "looking at the labels")
    if stop.requested:
        return None
    of, counts = torch.tensor(images, device=device).T
    beside = Others(torch.cat(others), of.repeat_interleave(more), of.repeat_interleave(counts), guessed)
    return Columns(torch.cat(known), torch.cat(targets), torch.cat(apart), beside)


def read_anywhere(
    pixels: PixelClassifier,
    images: list[Image],
    numbers: np.random.Generator,
    stop: Stop,
    seconds: float = math.inf,
) -> Job[tuple[Tensor, Tensor] | None]:
    """Read the columns of pixels anywhere in images, in some squares.

    Parameters
    ----------
    pixels : PixelClassifier
        Computes them.
    images : list of Image
        Images, labelled or not.
    numbers : numpy.random.Generator
        Random numbers, to choose them.
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
    tuple of torch.Tensor, optional
        (M, F) columns and (M,) index of the image of each; None if stopped.
    """
    device, end = next(pixels.parameters()).device, time.monotonic() + seconds
    found: list[Tensor] = []
    of: list[int] = []
    while len(found) < SQUARES and (not found or time.monotonic() < end):
        if stop.requested:
            return None
        place = patches.anywhere(images, PLANE.side, numbers)
        image = images[place.image]
        crop = torch.from_numpy(patches.cut(image, place))[None].to(device)
        found.append(pixels.columns(crop, _anywhere(place, image, PIXELS, numbers)))
        of.append(place.image)
        yield Progress(0.0, "looking at the images")
    return torch.cat(found), torch.tensor(of, device=device).repeat_interleave(PIXELS)


def _anywhere(place: Place, image: Image, count: int, numbers: np.random.Generator) -> npt.NDArray[np.intp]:
    """Draw (count, 2) pixels (y, x) of a square that do not lie outside of the image."""
    ends = zip((place.y, place.x), image.shape[-2:], strict=True)
    axes = [numbers.integers(max(0, -a), min(place.side, n - a), count, np.intp) for a, n in ends]
    return np.stack(axes, 1)
