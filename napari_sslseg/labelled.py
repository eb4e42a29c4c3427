"""Labelled: sparse labels checked and turned into what a network learns from, and what it is scored on."""

from dataclasses import dataclass

import numpy as np

from napari_sslseg import instances
from napari_sslseg.annotation import Annotation
from napari_sslseg.errors import LabelError
from napari_sslseg.image import Image
from napari_sslseg.patches import Targets
from napari_sslseg.strokes import Stroke, find_strokes, hold_out


@dataclass(frozen=True, eq=False)
class Labelled:
    """What there is to learn from.

    Parameters
    ----------
    images : list of Image
        Labelled images.
    targets : list of dict
        For each image its labelled planes: (Y, X) of 0 unlabelled, 1.. network classes.
    train, apart : list of Stroke
        Strokes to learn from, and those kept apart for the score.
    values : tuple of int
        The label value of each network class; of objects (1, 2, 3): background, core, contour.
    size : ObjectSize, optional
        Sizes of painted objects.
    """

    images: list[Image]
    targets: list[dict[int, Targets]]
    train: list[Stroke]
    apart: list[Stroke]
    values: tuple[int, ...]
    size: instances.ObjectSize | None


def collect(pairs: list[tuple[Image, Annotation]], share: float) -> Labelled:
    """Check the labels and turn them into targets.

    Parameters
    ----------
    pairs : list of (Image, Annotation)
        Images and their labels; images without a label are left out.
    share : float
        Share of the strokes of each class to keep apart.

    Returns
    -------
    Labelled
        What there is to learn from.
    """
    used = [(i, a) for i, a in pairs if a.planes()]
    task = pairs[0][1].task if pairs else "semantic"
    present = sorted({v for _, a in used for v in a.values})
    if task == "instance" and present and not (present[0] == 1 and len(present) > 1):
        raise LabelError(
            f"The labels hold {'no background' if present[0] != 1 else 'no object'}",
            "Objects need some background strokes (value 1) and at least one whole object (value 2 or more)",
            "Paint what is missing and train again",
        )
    if len(present) < 2:
        raise LabelError(
            "Nothing is labelled yet" if not present else f"Only one class is labelled (value {present[0]})",
            "At least two classes are needed, one of which may be the background",
            "Paint a few strokes of each class",
        )
    if task == "semantic" and len(present) > 255:
        raise LabelError(f"The labels hold {len(present)} classes", "At most 255 classes can be told apart")
    train, apart = hold_out(find_strokes([a for _, a in used]), share)
    size = None
    if task == "instance":
        size = instances.measure([a.plane(z) for _, a in used for z in a.planes()])
        width = instances.contour_width(size)
        targets = [{z: instances.to_targets(a.plane(z), width) for z in a.planes()} for _, a in used]
        present = [1, 2, 3]
    else:
        table = np.zeros(max(present) + 1, np.uint8)
        table[present] = np.arange(1, len(present) + 1)
        targets = [{z: table[a.plane(z)] for z in a.planes()} for _, a in used]
    return Labelled([i for i, _ in used], targets, train, apart, tuple(present), size)
