"""Validation: how good a segmenter is on strokes kept apart, and how sure and frequent its classes should be."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from napari_sslseg import object_score, outlook
from napari_sslseg.calibration import Calibration
from napari_sslseg.decision import favour
from napari_sslseg.image import Image
from napari_sslseg.job import Job, Stop
from napari_sslseg.labelled import Labelled
from napari_sslseg.runtime import Runtime
from napari_sslseg.seen import Seen, look
from napari_sslseg.segmenter import Segmenter

MARGIN = 0.08  # IoU on a few strokes by which the network alone must be better for the pixel classifier to be left out
ENOUGH = 2  # strokes of each class kept apart, for them to speak against the pixel classifier


def telling(labelled: Labelled) -> bool:
    """Tell whether enough is kept apart to choose by: some strokes of every class.

    Parameters
    ----------
    labelled : Labelled
        What there is to learn from.

    Returns
    -------
    bool
        False where a class is hardly kept apart, and would not count in the choice.
    """
    return all(sum(s.value == v for s in labelled.apart) >= ENOUGH for v in labelled.values)


def choose(segmenter: Segmenter, labelled: Labelled, stop: Stop, done: float = 0.0) -> Job[Seen | None]:
    """Keep the pixel classifier unless enough strokes kept apart are found clearly worse with it than without.

    Parameters
    ----------
    segmenter : Segmenter
        In evaluation mode; its share is set to 0 if the network alone is better.
    labelled : Labelled
        What there is to learn from; at least one stroke is kept apart.
    stop : Stop
        To end early: the segmenter is left as it is.
    done : float, optional
        How much of the run that this is a part of is over, 0 to 1.

    Yields
    ------
    Event
        Progress.

    Returns
    -------
    Seen, optional
        What the one that is kept finds; None if stopped.
    """
    seen = yield from look(segmenter, labelled, 0.0, segmenter.share, stop=stop, done=done)
    if seen is None:
        return None
    alone, together = seen
    if telling(labelled) and alone.mean_iou() > together.mean_iou() + MARGIN:
        segmenter.share = 0.0
        return alone
    return together


@dataclass(frozen=True, eq=False)
class Validation:
    """What a segmenter is validated with.

    Parameters
    ----------
    labelled : Labelled
        What there is to learn from.
    pool : list of Image
        Images in which classes are as frequent as in those to predict.
    weight : float
        How far class frequencies count, 0 to 1.
    machine : Runtime
        Seed.
    stop : Stop
        To end early: the segmenter is left as it is.
    """

    labelled: Labelled
    pool: list[Image]
    weight: float
    machine: Runtime
    stop: Stop

    def score(self, segmenter: Segmenter, done: float) -> Job[dict[str, Any]]:
        """Choose between the network and its average with the pixel classifier, calibrate, and score.

        Parameters
        ----------
        segmenter : Segmenter
            In evaluation mode; its share and calibration are changed.
        done : float
            How much of the run is over, 0 to 1.

        Yields
        ------
        Event
            Progress.

        Returns
        -------
        dict
            ``score``, ``scores``, ``interval``, ``evidence`` and ``measures``, and what was ``chosen``; empty if
            stopped.
        """
        if self.labelled.size is not None:  # single pixels do not tell how objects fare
            return (yield from self._of_objects(segmenter, done))
        seen = yield from choose(segmenter, self.labelled, self.stop, done)
        if seen is None:
            return {}
        if self.weight > 0:
            segmenter.calibration = Calibration(seen.temperature(self.labelled))
            yield from self.expect(segmenter, done)
        chosen = {"share": segmenter.share, "calibration": segmenter.calibration.to_dict()}
        return {**seen.score(self.labelled, segmenter.calibration), "chosen": chosen}

    def _of_objects(self, segmenter: Segmenter, done: float) -> Job[dict[str, Any]]:
        """Score whole objects, or single pixels where none is kept apart."""
        found = yield from object_score.score(segmenter, self.labelled, self.stop, done)
        if found is not None:
            return found
        seen = yield from look(segmenter, self.labelled, segmenter.share, stop=self.stop, done=done)
        return seen[0].score(self.labelled) if seen else {}

    def expect(self, segmenter: Segmenter, done: float) -> Job[dict[str, float]]:
        """Let a segmenter expect classes as often as it finds them in the images, and estimate how right it is there.

        Then it favours some, so that the masks of all are as right as can be expected.

        Parameters
        ----------
        segmenter : Segmenter
            In evaluation mode; its calibration is changed.
        done : float
            How much of the run is over, 0 to 1.

        Yields
        ------
        Event
            Progress.

        Returns
        -------
        dict of str to float
            IoU to be expected in whole images by label value, as `Outlook.iou`; empty where that cannot be told.
        """
        if self.weight == 0 or self.labelled.size is not None:
            return {}
        seen = yield from outlook.look(segmenter, self.pool, self.machine.numbers(9), self.stop, done)
        if seen is None:
            return {}
        prior = tuple(share**self.weight for share in seen.frequencies)
        believed = replace(segmenter.calibration, prior=prior)
        favoured = favour(seen.believed(believed, segmenter.share))
        decided = replace(believed, prior=tuple(p * f for p, f in zip(prior, favoured, strict=True)))
        segmenter.calibration = decided
        found = seen.iou(believed, decided, segmenter.share) if self.labelled.apart else None
        return {str(v): iou for v, iou in zip(self.labelled.values, found or (), strict=bool(found))}


def restore(segmenter: Segmenter, chosen: Mapping[str, Any] | None) -> None:
    """Give a segmenter what was chosen earlier in the same run.

    Parameters
    ----------
    segmenter : Segmenter
        Changed.
    chosen : mapping, optional
        What `Validation.score` returned as ``chosen``; None if it was not reached.
    """
    if chosen is not None:
        segmenter.share = min(segmenter.share, float(chosen["share"]))
        segmenter.calibration = Calibration.from_dict(chosen["calibration"])
