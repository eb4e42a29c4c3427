"""Score of objects: whole ones that were kept apart, and all in validation boxes, found or not."""

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_sslseg import instances, metrics
from napari_sslseg.annotation import Labels
from napari_sslseg.evidence import Evidence
from napari_sslseg.labelled import Labelled
from napari_sslseg.seen import boxes, look_at
from napari_sslseg.segmenter import Segmenter


def score(segmenter: Segmenter, labelled: Labelled) -> dict[str, Any] | None:
    """Separate objects around those kept apart, and see how well they fit.

    Parameters
    ----------
    segmenter : Segmenter
        In evaluation mode.
    labelled : Labelled
        What there is to learn from.

    Returns
    -------
    dict, optional
        ``score``: mean over the objects of the overlap (IoU) with the one that fits it best, 0 where none does;
        ``scores``: the same, as ``objects``; ``evidence``: as `Evidence.to_list`; ``interval``: as `Evidence.interval`;
        ``measures``: ``found``, the share of objects with an overlap above one half, and of
        validation boxes ``ap50``, ``ap`` and ``panoptic_quality``. None if no object is kept apart.
    """
    pairs = _in_boxes(segmenter, labelled) if labelled.validated else []
    fits = [v for pair in pairs for v in metrics.found_objects(*pair).values()]
    if not labelled.validated:
        fits = [_fit(segmenter, labelled, *known) for known in _kept_apart(labelled)]
    if not fits:
        return None
    mean, evidence = float(np.mean(fits)), Evidence.of_objects(fits)
    measures = {"found": float(np.mean([v > 0.5 for v in fits]))}
    if pairs:
        precision = metrics.average_precision(pairs)
        measures |= {"ap50": precision.at_50, "ap": precision.mean, "panoptic_quality": precision.quality}
    known = {"interval": evidence.interval(), "evidence": evidence.to_list()}
    return {"score": mean, "scores": {"objects": mean}, **known, "measures": measures}


def _in_boxes(segmenter: Segmenter, labelled: Labelled) -> list[tuple[Labels, Labels]]:
    """Found and painted objects of each validation box; nothing is counted where nothing was painted."""
    pairs = []
    for number, box in boxes(labelled):
        truth = _whole(labelled.annotations[number].labels)[box]
        found = _separate(segmenter, labelled, number, box)
        pairs.append((np.where(truth > 0, found, 0), truth))
    return pairs


def _kept_apart(labelled: Labelled) -> list[tuple[int, int, int]]:
    """Image, plane and number of each object kept apart."""
    painted = [a.labels for a in labelled.annotations]
    objects = [s for s in labelled.apart if s.value > 1]
    return [(s.image, s.z, int(_whole(painted[s.image])[s.z][tuple(s.points[0])])) for s in objects]


def _fit(segmenter: Segmenter, labelled: Labelled, number: int, z: int, value: int) -> float:
    """Overlap of one object with the one found that fits it best."""
    plane = _whole(labelled.annotations[number].labels)[z]
    points = np.argwhere(plane == value)
    low, high = points.min(0), points.max(0) + 1
    margin = int((high - low).max())  # as much around it as it is long
    low, high = np.maximum(low - margin, 0), np.minimum(high + margin, plane.shape)
    rows, columns = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    found = _separate(segmenter, labelled, number, (slice(z, z + 1), rows, columns))[0]
    return metrics.found_objects(found, np.where(plane[rows, columns] == value, 2, 1))[2]


def _separate(segmenter: Segmenter, labelled: Labelled, number: int, box: tuple[slice, ...]) -> npt.NDArray[np.int32]:
    """(Z, Y, X) objects of a box, as prediction separates them."""
    assert labelled.size is not None, "only objects have a size"
    maps, spacing = look_at(segmenter, labelled, number, box), (1.0, *labelled.images[number].spacing)[-3:]
    if maps.shape[1] == 1:
        return instances.separate(maps[:, 0], labelled.size, spacing[1:])[None]
    return instances.separate(maps, labelled.size, spacing)


def _whole(labels: Labels) -> Labels:
    return labels if labels.ndim == 3 else labels[None]
