"""Merging: what is painted as one class becomes another one, in all images, on the disk."""

from collections.abc import Iterable

import numpy as np
from scipy import ndimage

from napari_sslseg.annotation import count
from napari_sslseg.job import Job, Progress, Stop
from napari_sslseg.project import Project


def merge_classes(
    project: Project, value: int, into: int, *, ids: Iterable[str] | None = None, stop: Stop | None = None
) -> Job[dict[str, dict[int, int]]]:
    """Give all pixels that are painted as one class to another one; the class itself stays in the table.

    Parameters
    ----------
    project : Project
        The project.
    value : int
        The class whose pixels are given away.
    into : int
        The class that gets them; 0 makes them unlabelled.
    ids : iterable of str, optional
        The images; all that are labelled if not given.
    stop : Stop, optional
        To end early; an image is changed whole or not at all.

    Yields
    ------
    Event
        Progress.

    Returns
    -------
    dict of str to dict of int to int
        Of each image that was changed, the painted pixels by value.
    """
    changed: dict[str, dict[int, int]] = {}
    ids = project.labelled() if ids is None else list(ids)
    for k, id in enumerate(ids):
        if stop is not None and stop.requested:
            break
        yield Progress(k / len(ids), f"image {k + 1} of {len(ids)}")
        labels = project.labels(id)
        chosen = labels == value
        if not chosen.any():
            continue
        (box,) = ndimage.find_objects(chosen.view(np.uint8))
        before = labels[box].copy()
        labels[chosen] = into
        project.write_labels(id, labels[box], box, before)
        project.merge_accepted(id, value, into)
        changed[id] = count(labels)
    yield Progress(1.0, "done")
    return changed
