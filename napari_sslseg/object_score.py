"""Score of objects: whole ones that were kept apart, and all in validation boxes, found or not."""

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_sslseg import instances, metrics
from napari_sslseg.annotation import Labels
from napari_sslseg.evidence import Evidence
from napari_sslseg.job import Job, Stop
from napari_sslseg.labelled import Labelled
from napari_sslseg.seen import boxes, look_at
from napari_sslseg.segmenter import Segmenter

MOST = 64  # objects kept apart that are looked at; in validation boxes all are


def score(segmenter: Segmenter, labelled: Labelled, stop: Stop, done: float = 0.0) -> Job[dict[str, Any] | None]:
    """Separate objects around those kept apart, and see how well they fit.

    Parameters
    ----------
    segmenter : Segmenter
        In evaluation mode.
    labelled : Labelled
        What there is to learn from.
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
    dict, optional
        ``score``: mean over the objects of the overlap (IoU) with the one that fits it best, 0 where none does;
        ``scores``: the same, as ``objects``; ``evidence``: as `Evidence.to_list`; ``interval``: as `Evidence.interval`;
        ``measures``: ``found``, the share of objects with an overlap above one half, and of
        validation boxes ``ap50``, ``ap`` and ``panoptic_quality``. None if no object is kept apart, or if stopped.
    """
    look = partial(_separate, segmenter, labelled, stop=stop, done=done)
    pairs: list[tuple[Labels, Labels]] = []
    fits: list[float] = []
    for number, box in boxes(labelled) if labelled.validated else ():
        if (found := (yield from look(number, box))) is None:
            return None
        truth = _whole(labelled.annotations[number].labels)[box]
        pairs.append((np.where(truth > 0, found, 0), truth))  # nothing is counted where nothing was painted
        fits += metrics.found_objects(*pairs[-1]).values()
    for number, z, value in () if labelled.validated else _kept_apart(labelled):
        plane = _whole(labelled.annotations[number].labels)[z]
        rows, columns = _around(plane == value)
        if (found := (yield from look(number, (slice(z, z + 1), rows, columns)))) is None:
            return None
        fits.append(metrics.found_objects(found[0], np.where(plane[rows, columns] == value, 2, 1))[2])
    if not fits:
        return None
    mean, evidence = float(np.mean(fits)), Evidence.of_objects(fits)
    measures = {"found": float(np.mean([v > 0.5 for v in fits]))}
    if pairs:
        precision = metrics.average_precision(pairs)
        measures |= {"ap50": precision.at_50, "ap": precision.mean, "panoptic_quality": precision.quality}
    known = {"interval": evidence.interval(), "evidence": evidence.to_list()}
    return {"score": mean, "scores": {"objects": mean}, **known, "measures": measures}


def _kept_apart(labelled: Labelled) -> list[tuple[int, int, int]]:
    """Image, plane and number of each object kept apart; of very many some, the same as long as these are the same."""
    painted = [a.labels for a in labelled.annotations]
    objects = [s for s in labelled.apart if s.value > 1]
    drawn = np.random.default_rng(0).permutation(len(objects))[:MOST]
    chosen = [objects[k] for k in np.sort(drawn)]
    return [(s.image, s.z, int(_whole(painted[s.image])[s.z][tuple(s.points[0])])) for s in chosen]


def _around(mask: npt.NDArray[np.bool_]) -> tuple[slice, slice]:
    """Rows and columns of an object, and as much around it as it is long."""
    points = np.argwhere(mask)
    low, high = points.min(0), points.max(0) + 1
    margin = int((high - low).max())
    low, high = np.maximum(low - margin, 0), np.minimum(high + margin, mask.shape)
    rows, columns = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return rows, columns


def _separate(
    segmenter: Segmenter, labelled: Labelled, number: int, box: tuple[slice, ...], *, stop: Stop, done: float
) -> Job[npt.NDArray[np.int32] | None]:
    """(Z, Y, X) objects of a box, as prediction separates them."""
    assert labelled.size is not None, "only objects have a size"
    maps = yield from look_at(segmenter, labelled, number, box, stop, done)
    if maps is None:
        return None
    spacing = (1.0, *labelled.images[number].spacing)[-3:]
    if maps.shape[1] == 1:
        return instances.separate(maps[:, 0], labelled.size, spacing[1:])[None]
    return instances.separate(maps, labelled.size, spacing)


def _whole(labels: Labels) -> Labels:
    return labels if labels.ndim == 3 else labels[None]
