"""Outlook: what a segmenter says of pixels anywhere in the images; how often classes occur, how right masks will be."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from napari_sslseg import patches
from napari_sslseg.calibration import Calibration
from napari_sslseg.decision import Doubles, expected_iou
from napari_sslseg.image import Image
from napari_sslseg.job import Job, Progress, Stop
from napari_sslseg.segmenter import Segmenter

CROPS, SIDE = 24, 256  # pieces that are looked at, and their side in pixels
APART = 8  # px between those that are kept, along Y and X


@dataclass(frozen=True, eq=False)
class Outlook:
    """What is said of pixels anywhere in the images, labelled or not.

    Parameters
    ----------
    frequencies : tuple of float
        Share of each class, summing to 1, if all are expected equally.
    alone : torch.Tensor
        (N, K) probabilities of the network for some of the pixels, as if all classes were equally frequent.
    beside : torch.Tensor, optional
        (N, K) those of the pixel classifier; None without one.
    places : torch.Tensor
        (N, K) what they are multiplied by for the places of the pixels; (1, K) if these do not matter.
    """

    frequencies: tuple[float, ...]
    alone: Tensor
    beside: Tensor | None
    places: Tensor

    def believed(self, calibration: Calibration, share: float) -> Doubles:
        """Say how probable each class is for these pixels.

        Parameters
        ----------
        calibration : Calibration
            What is done to the average of both.
        share : float
            Weight of the pixel classifier in it, 0 to 1; without one not used.

        Returns
        -------
        numpy.ndarray
            (N, K), summing to 1 over K.
        """
        both = self.alone if self.beside is None else (1 - share) * self.alone + share * self.beside
        weighed = (calibration(both) * self.places).double()
        found: Doubles = (weighed / weighed.sum(1, keepdim=True)).numpy()
        return found

    def iou(self, believed: Calibration, decided: Calibration, share: float) -> tuple[float, ...] | None:
        """Estimate the IoU of each class in whole images, of which no label is needed.

        The mean of two estimates: what the masks have if each pixel is as probably right as it seems (Li et al., MICCAI
        2022), mostly too high after a few strokes; and how well the masks of the network and of the pixel classifier
        agree with each other (Jiang et al., ICLR 2022), mostly too low for their average.

        Parameters
        ----------
        believed : Calibration
            What makes probabilities of the average of both.
        decided : Calibration
            After what the most probable class of a pixel is that of the mask.
        share : float
            Weight of the pixel classifier in it, 0 to 1.

        Returns
        -------
        tuple of float, optional
            Of each class, 0 to 1; None without a pixel classifier.
        """
        if self.beside is None:
            return None
        masks, mine, other = (self.believed(decided, s).argmax(1) for s in (share, 0.0, 1.0))
        sure = expected_iou(self.believed(believed, share), masks)
        alike = [
            _iou(((mine == k) & (other == k)).sum(), (mine == k).sum(), (other == k).sum()) for k in range(len(sure))
        ]
        return tuple((float(a) + b) / 2 for a, b in zip(sure, alike, strict=True))


def _iou(both: float, one: float, other: float) -> float:
    return float(both / max(one + other - both, 1e-9))


def look(
    segmenter: Segmenter, images: list[Image], numbers: np.random.Generator, stop: Stop, done: float = 0.0
) -> Job[Outlook | None]:
    """Predict pieces of images, labelled or not.

    The frequencies are one step of the estimation of Saerens et al. (Neural Computation 2002) from even ones. Going on
    to its end loses rare classes where the segmenter is not well calibrated, as after a few strokes.

    Parameters
    ----------
    segmenter : Segmenter
        In evaluation mode; of its calibration the temperature is used, and not the prior.
    images : list of Image
        Images to look at.
    numbers : numpy.random.Generator
        Random numbers, to choose the pieces.
    stop : Stop
        To end early.
    done : float, optional
        How much of the run that this is a part of is over, 0 to 1.

    Yields
    ------
    Event
        Progress.

    Returns
    -------
    Outlook, optional
        What is said of them; None if stopped.
    """
    calibration = Calibration(segmenter.calibration.temperature)
    device = next(segmenter.parameters()).device
    multiple = segmenter.network.multiple
    piece = segmenter.network.piece(images, -(-SIDE // multiple) * multiple)
    shares = (segmenter.share, 0.0, 1.0) if segmenter.pixels is not None and segmenter.share else (0.0, 0.0)
    total = np.zeros(segmenter.network.classes)
    kept: list[list[Tensor]] = [[] for _ in shares]
    places = [torch.ones(1, segmenter.network.classes)] if segmenter.atlas is None else []
    for _ in range(CROPS):
        if stop.requested:
            return None
        place = patches.anywhere(images, piece.side, numbers, piece.depth)
        crop = torch.from_numpy(patches.cut(images[place.image], place))[None].to(device)
        said = [even[0].cpu() for even in segmenter.mixed(crop, False, *shares)]
        found = calibration(said[0][None])[0].numpy()
        if segmenter.atlas is not None:
            around = segmenter.atlas.around(images[place.image], place)
            found = segmenter.atlas.weigh(found, around)
            places.append(_thinned(torch.from_numpy(around)))
        total += found.mean(tuple(range(1, found.ndim)))
        for views, each in zip(kept, said, strict=True):
            views.append(_thinned(each))
        yield Progress(done, "finding how frequent the classes are")
    _, alone, *beside = (torch.cat(views) for views in kept)
    return Outlook(tuple((total / total.sum()).tolist()), alone, beside[0] if beside else None, torch.cat(places))


def _thinned(views: Tensor) -> Tensor:
    """(N, K) some of the pixels of (K, [Z,] Y, X)."""
    return views[..., ::APART, ::APART].flatten(1).T.clone()
