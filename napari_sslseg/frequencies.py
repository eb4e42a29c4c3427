"""Class frequencies: how much of the images each class covers, while it has an even share of the strokes."""

import numpy as np
import torch

from napari_sslseg import patches
from napari_sslseg.calibration import Calibration
from napari_sslseg.image import Image
from napari_sslseg.job import Job, Progress, Stop
from napari_sslseg.segmenter import Segmenter

CROPS, SIDE = 24, 256  # pieces that are looked at, and their side in pixels


def estimate(
    segmenter: Segmenter, images: list[Image], numbers: np.random.Generator, stop: Stop, done: float = 0.0
) -> Job[tuple[float, ...] | None]:
    """Predict pieces of images, labelled or not, and average the probabilities.

    This is one step of the estimation of Saerens et al. (Neural Computation 2002) from even frequencies. Going on to
    its end loses rare classes where the segmenter is not well calibrated, as after a few strokes.

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
    tuple of float, optional
        The share of each class, summing to 1; None if stopped.
    """
    calibration = Calibration(segmenter.calibration.temperature)
    device = next(segmenter.parameters()).device
    multiple = segmenter.network.multiple
    piece = segmenter.network.piece(images, -(-SIDE // multiple) * multiple)
    total = np.zeros(segmenter.network.classes)
    for _ in range(CROPS):
        if stop.requested:
            return None
        place = patches.anywhere(images, piece.side, numbers, piece.depth)
        crop = torch.from_numpy(patches.cut(images[place.image], place))[None].to(device)
        found = calibration(segmenter.even(crop, False))[0].cpu().numpy()
        if segmenter.atlas is not None:
            found = segmenter.atlas.weigh(found, segmenter.atlas.around(images[place.image], place))
        total += found.mean(tuple(range(1, found.ndim)))
        yield Progress(done, "finding how frequent the classes are")
    return tuple((total / total.sum()).tolist())
