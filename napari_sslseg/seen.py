"""Seen: what a segmenter says of single pixels, of strokes kept apart or of whole boxes, and how right that is."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_sslseg import metrics
from napari_sslseg.atlas import relative
from napari_sslseg.calibration import HOTTEST, Calibration, temperature
from napari_sslseg.evidence import Evidence
from napari_sslseg.job import Job, Progress, Stop, until
from napari_sslseg.labelled import Labelled
from napari_sslseg.patches import Targets
from napari_sslseg.segmenter import Segmenter
from napari_sslseg.strokes import Stroke
from napari_sslseg.surround import Surround, Window, windows

LOOKING = "looking at what is kept apart for the score"
MOST = 64  # squares with strokes kept apart that are looked at; all of a validation box is


@dataclass(frozen=True, eq=False)
class Seen:
    """What a segmenter says of some pixels, as if all classes were equally frequent.

    Parameters
    ----------
    even : torch.Tensor
        (N, K) probabilities, on the CPU.
    expected : torch.Tensor
        (N, K) what they are multiplied by for the places of the pixels.
    truth : numpy.ndarray
        (N,) network classes from 1.
    owners : numpy.ndarray
        (N,) number of each pixel's stroke.
    places : numpy.ndarray
        (N, 4) image, z, y, x of each pixel.
    """

    even: Tensor
    expected: Tensor
    truth: Targets
    owners: npt.NDArray[np.intp]
    places: npt.NDArray[np.intp]

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
            ``score``: mean IoU over the classes; ``scores``: IoU by label value; ``evidence``: as `Evidence.to_list`;
            ``interval``: as `Evidence.interval`; ``measures``: ``dice`` by label value, ``calibration_error``, and of
            validation boxes ``hausdorff`` by label value, in the unit of the images.
        """
        weighed = calibration(self.even) * self.expected
        found = _classes(weighed)
        counts = metrics.count([(found, self.truth)])
        iou, named = counts.iou(), {c: str(v) for c, v in enumerate(labelled.values, 1)}
        evidence = Evidence.of_strokes(found, self.truth, self.owners)
        sure = (weighed / weighed.sum(1, keepdim=True)).numpy()
        measures = {
            "dice": {named[c]: v for c, v in counts.dice().items()},
            "calibration_error": metrics.calibration_error(sure, self.truth.astype(np.int64) - 1),
            "hausdorff": {named[c]: v for c, v in metrics.mean_hausdorff95(self._in_boxes(labelled, found)).items()},
        }
        scores = {named[c]: v for c, v in iou.items()}
        score = float(np.mean(list(iou.values())))
        known = {"interval": evidence.interval(), "evidence": evidence.to_list()}
        return {"score": score, "scores": scores, **known, "measures": measures}

    def mean_iou(self) -> float:
        """Score it with nothing done to the probabilities.

        Returns
        -------
        float
            Mean IoU over the classes.
        """
        return float(np.mean(list(metrics.count([(_classes(self.even * self.expected), self.truth)]).iou().values())))

    def _in_boxes(self, labelled: Labelled, found: Targets) -> Iterator[tuple[Targets, Targets, tuple[float, ...]]]:
        """Of each validation box what is found, what is true, and the pixel size."""
        for number, box in boxes(labelled):
            low, high = np.array([(s.start, s.stop) for s in box]).T
            at = (self.places[:, 0] == number) & np.all((self.places[:, 1:] >= low) & (self.places[:, 1:] < high), 1)
            prediction, truth = np.zeros((2, *(high - low)), np.uint8)
            inside = tuple((self.places[at, 1:] - low).T)
            prediction[inside], truth[inside] = found[at], self.truth[at]
            yield prediction, truth, (1.0, *labelled.images[number].spacing)[-3:]

    def temperature(self, labelled: Labelled) -> float:
        """Find how sure the probabilities may be.

        Strokes are painted where masks were wrong, so that what was learnt seems less sure by them than it is anywhere
        else: they never make it less sure. What is in validation boxes, or labelled completely, may.

        Parameters
        ----------
        labelled : Labelled
            What there is to learn from.

        Returns
        -------
        float
            As `calibration.temperature`; at most 1 by strokes.
        """
        truth, strokes = self.truth.astype(np.int64) - 1, len(np.unique(self.owners))
        anywhere = labelled.validated or all(s.square is not None for s in labelled.apart)
        return temperature(self.even.numpy(), truth, strokes, most=HOTTEST if anywhere else 1.0)


def _classes(weighed: Tensor) -> Targets:
    """(N,) network classes from 1 that are the most probable of (N, K)."""
    found: Targets = weighed.argmax(1).numpy().astype(np.uint8) + 1
    return found


def boxes(labelled: Labelled) -> Iterator[tuple[int, tuple[slice, ...]]]:
    """List the validation boxes, of a time series each frame of them.

    Parameters
    ----------
    labelled : Labelled
        What there is to learn from.

    Yields
    ------
    int
        Index of the image.
    tuple of slice
        Z, Y, X.
    """
    for number, annotation in enumerate(labelled.annotations):
        for planes, *sides in (r.slices(3) for r in annotation.regions if r.validation):
            frames = range(planes.start, planes.stop) if labelled.images[number].timed else ()
            for depth in [slice(t, t + 1) for t in frames] or [planes]:
                yield number, (depth, *sides)


def look(
    segmenter: Segmenter, labelled: Labelled, *shares: float, stop: Stop, done: float = 0.0
) -> Job[list[Seen] | None]:
    """Look at the strokes kept apart, or at some of very many: the same ones in each round, while the strokes are.

    Parameters
    ----------
    segmenter : Segmenter
        In evaluation mode.
    labelled : Labelled
        What there is to learn from; at least one stroke is kept apart.
    *shares : float
        Weights of the pixel classifier.
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
    list of Seen, optional
        What is found there, for each share; None if stopped.
    """
    around, atlas = Surround.of(segmenter.network.encoder), segmenter.atlas
    truth, expected, owners, places = [], [], [], []
    found: list[list[Tensor]] = [[] for _ in shares]
    for window in _some(labelled, around, stop):
        if stop.requested:
            return None
        yield Progress(done, LOOKING)
        image = labelled.images[window.place.image]
        crop = window.crop(labelled)
        for known, each in zip(found, _at(segmenter, crop, window.points, around, shares), strict=True):
            known.append(each)
        truth.append(window.truth(labelled, around))
        owners.append(window.owners)
        voxels = np.insert(window.absolute, 0, window.place.z + around.middle, 1)
        classes = len(labelled.values)
        at = (
            atlas.at(relative(voxels, image.shape, image.timed))
            if atlas
            else np.ones((len(voxels), classes), np.float32)
        )
        expected.append(torch.from_numpy(at))
        places.append(np.insert(voxels, 0, window.place.image, 1))
    said, weights, whose, where = np.concatenate(truth), torch.cat(expected), np.concatenate(owners), places
    return [Seen(torch.cat(known), weights, said, whose, np.concatenate(where)) for known in found]


def _some(labelled: Labelled, around: Surround, stop: Stop) -> list[Window]:
    """Squares of strokes kept apart, drawn by lot where there are many, each class in at least one."""
    every = list(until(stop, windows(labelled.apart, around)))
    if stop.requested or labelled.validated or len(every) <= MOST:
        return every
    order = np.random.default_rng(0).permutation(len(every)).tolist()
    held = {k: {labelled.apart[n].value for n in np.unique(every[k].owners)} for k in order}
    chosen = set(order[:MOST])
    for value in set().union(*held.values()):
        chosen.add(next(k for k in order if value in held[k]))
    return [every[k] for k in sorted(chosen)]


def look_at(
    segmenter: Segmenter, labelled: Labelled, number: int, box: tuple[slice, ...], stop: Stop, done: float = 0.0
) -> Job[npt.NDArray[np.float32] | None]:
    """Look at all of a box of an image.

    Parameters
    ----------
    segmenter : Segmenter
        In evaluation mode.
    labelled : Labelled
        Holds the images.
    number : int
        Index of the image.
    box : tuple of slice
        Z, Y, X; inside the image.
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
    numpy.ndarray, optional
        (K, Z, Y, X) probabilities, as if all classes were equally frequent; None if stopped.
    """
    around = Surround.of(segmenter.network.encoder)
    planes, rows, columns = box
    points = np.argwhere(np.ones((rows.stop - rows.start, columns.stop - columns.start), bool))
    points += np.array([rows.start, columns.start])
    strokes = [Stroke(number, z, 1, points) for z in range(planes.start, planes.stop)]
    result = np.zeros((len(labelled.values), *(s.stop - s.start for s in box)), np.float32)
    for window in windows(strokes, around):
        if stop.requested:
            return None
        yield Progress(done, LOOKING)
        (known,) = _at(segmenter, window.crop(labelled), window.points, around, (segmenter.share,))
        y, x = (window.absolute - np.array([rows.start, columns.start])).T
        result[:, window.place.z + around.middle - planes.start, y, x] = known.numpy().T
    return result


def _at(
    segmenter: Segmenter, crop: Tensor, points: npt.NDArray[np.intp], around: Surround, shares: tuple[float, ...]
) -> Iterator[Tensor]:
    """(N, K) probabilities at points of a square or of the middle plane of a box, on the CPU, for each share."""
    y, x = points.T
    crop = crop.to(next(segmenter.parameters()).device)
    for (even,) in segmenter.mixed(crop, False, *shares):
        yield (even[:, around.middle] if around.depth else even)[:, y, x].T.cpu()
