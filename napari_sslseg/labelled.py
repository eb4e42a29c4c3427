"""Labelled: sparse labels checked and turned into what a network learns from, and what it is scored on."""

import zlib
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from napari_sslseg import instances
from napari_sslseg.annotation import Annotation, Labels, count, painted
from napari_sslseg.drawn import draw, joined
from napari_sslseg.errors import LabelError
from napari_sslseg.image import Image
from napari_sslseg.job import Stop, every
from napari_sslseg.patches import Targets
from napari_sslseg.strokes import Stroke, cut_up, find_strokes, hold_out


@dataclass(frozen=True, eq=False)
class Labelled:
    """What there is to learn from.

    Parameters
    ----------
    images : list of Image
        Labelled images.
    targets : list of dict
        For each image its labelled planes, without what is in validation boxes: (Y, X) of 0 unlabelled, 1.. network
        classes.
    train, apart : list of Stroke
        Strokes to learn from, and those kept apart for the score: some whole strokes, or all in validation boxes. Of
        accepted masks some pixels are learnt from, and none is kept apart.
    values : tuple of int
        The label value of each network class; of objects (1, 2, 3): background, core, contour.
    size : ObjectSize, optional
        Sizes of painted objects.
    truths : list of dict
        As `targets`, with what is in validation boxes.
    annotations : list of Annotation
        What was painted on each image.
    """

    images: list[Image]
    targets: list[dict[int, Targets]]
    train: list[Stroke]
    apart: list[Stroke]
    values: tuple[int, ...]
    size: instances.ObjectSize | None
    truths: list[dict[int, Targets]]
    annotations: list[Annotation]

    @property
    def validated(self) -> bool:
        """Whether those kept apart lie in validation boxes, and are never learnt from."""
        return any(a.validated for a in self.annotations)

    @property
    def kept_apart(self) -> str:
        """What the score rests on; scores are only comparable if it is the same."""
        marked = [(n, str(r)) for n, a in enumerate(self.annotations) for r in a.regions if r.validation]
        return "strokes" if not marked else f"boxes {zlib.crc32(repr(marked).encode()):08x}"

    @property
    def strokes(self) -> list[Stroke]:
        """All strokes that may be learnt from in the end."""
        return self.train if self.validated else [*self.train, *self.apart]


def collect(pairs: list[tuple[Image, Annotation]], share: float, stop: Stop | None = None) -> Labelled:
    """Check the labels and turn them into targets.

    Parameters
    ----------
    pairs : list of (Image, Annotation)
        Images and their labels; images without a label are left out.
    share : float
        Share of the strokes of each class to keep apart.
    stop : Stop, optional
        To end early; looked at at every plane.

    Returns
    -------
    Labelled
        What there is to learn from.

    Raises
    ------
    LabelError
        If there are fewer than two classes, or classes that cannot be learnt.
    StoppedError
        If it was stopped.
    """
    whole = [(i, a.completed()) for i, a in pairs]
    used = [(i, a) for i, a in whole if a.planes()]
    task = pairs[0][1].task if pairs else "semantic"
    by_hand, accepted = draw([a for _, a in used], stop)
    used = [(i, joined(by_hand[k], [s for s in accepted if s.image == k])) for k, (i, _) in enumerate(used)]
    parted = _parted([a for _, a in used])
    present = sorted({v for a, _ in parted for z in every(stop, a.planes()) for v in count(a.plane(z))})
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
    train = list(every(stop, find_strokes([a for a, _ in (_parted(by_hand) if accepted else parted)])))
    apart = cut_up(list(every(stop, find_strokes([inside for _, inside in parted]))))
    if not apart:
        train, apart = hold_out(train, share)
    train += accepted
    size = None
    if task == "instance":
        size = instances.measure(a.plane(z) for a, _ in parted for z in every(stop, a.planes()))
        width = instances.contour_width(size)
        truths = [{z: instances.to_targets(a.plane(z), width) for z in every(stop, a.planes())} for _, a in used]
        present = [1, 2, 3]
    else:
        _only_learnt({v for _, inside in parted for v in inside.values} - set(present))
        table = np.zeros(max(present) + 1, np.uint8)
        table[present] = np.arange(1, len(present) + 1)
        truths = [{z: _looked_up(table, a.plane(z)) for z in every(stop, a.planes())} for _, a in used]
    targets = [_outside(t, outside) for t, (outside, _) in zip(truths, parted, strict=True)]
    return Labelled([i for i, _ in used], targets, train, apart, tuple(present), size, truths, [a for _, a in used])


def _looked_up(table: npt.NDArray[np.uint8], plane: Labels) -> Targets:
    """Translate the labels of a plane; where nothing is painted no memory is touched."""
    targets = np.zeros(plane.shape, np.uint8)
    for box in painted(plane):
        targets[box] = table[plane[box]]
    return targets


def _parted(annotations: list[Annotation]) -> list[tuple[Annotation, Annotation]]:
    """What lies outside of validation boxes, and inside."""
    nothing = [
        replace(a, labels=np.zeros((1,) * a.labels.ndim, a.labels.dtype), within=None, accepted=None)
        for a in annotations
    ]
    return [a.parted() if a.validated else (a, none) for a, none in zip(annotations, nothing, strict=True)]


def _only_learnt(values: set[int]) -> None:
    """Refuse classes that are painted nowhere but in validation boxes."""
    if values:
        raise LabelError(
            f"Class {min(values)} is painted in validation boxes only",
            "What is in them is never learnt from, so a class has to be painted elsewhere too",
            "Paint a few strokes of it outside of them, or unmark a box",
        )


def _outside(planes: dict[int, Targets], outside: Annotation) -> dict[int, Targets]:
    """Targets without those in validation boxes; planes of which nothing is left are left out."""
    if not outside.validated:
        return planes
    return {z: plane * (outside.plane(z) > 0) for z, plane in planes.items() if outside.plane(z).any()}
