"""Drawn: of labels that were accepted masks so many are learnt from that strokes beside them are heard."""

from collections import Counter
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from napari_sslseg import lot
from napari_sslseg.annotation import Annotation, Labels, painted
from napari_sslseg.job import Stop, every
from napari_sslseg.strokes import Stroke, find_strokes, groups

SIDE = 256  # px of the squares from which they are drawn
SHARE, MASS = 0.3, 10000  # three pixels are drawn for ten that are painted by hand, as many as are if these are many
SQUARES, PIXELS = 16, 300  # that are drawn at least, of each class, however little is painted by hand


def draw(annotations: list[Annotation], stop: Stop | None = None) -> tuple[list[Annotation], list[Stroke]]:
    """Draw by lot from what was accepted, of each class fewer pixels than are painted by hand, where these are few.

    Parameters
    ----------
    annotations : list of Annotation
        One an image.
    stop : Stop, optional
        To end early; looked at at every plane.

    Returns
    -------
    list of Annotation
        What was painted by hand; of objects everything.
    list of Stroke
        What is drawn, one for each class and square; always the same while the labels are.

    Raises
    ------
    StoppedError
        If it was stopped.
    """
    by_hand = [replace(a, accepted=None) if a.task == "instance" else a.by_hand() for a in annotations]
    taken = [(k, z) for k, a in enumerate(annotations) if a.accepted is not None for z in a.planes()]
    if not taken:
        return by_hand, []
    strokes, pixels = Counter[int](), Counter[int]()
    for stroke in every(stop, find_strokes(by_hand)):
        strokes[stroke.value] += 1
        pixels[stroke.value] += len(stroke.points)
    wanted = np.full(np.iinfo(np.uint16).max + 1, PIXELS)
    for value, n in pixels.items():
        wanted[value] = max(PIXELS, round(n * min(1.0, max(SHARE, n / MASS))))
    candidates: list[Stroke] = []
    for k, z in every(stop, taken):
        candidates += _differing(k, z, annotations[k].plane(z), by_hand[k].plane(z), wanted)
    found: list[Stroke] = []
    for value in sorted({s.value for s in candidates}):
        of_class = [s for s in candidates if s.value == value]
        found += _drawn(of_class, max(SQUARES, strokes[value]), int(wanted[value]))
    return by_hand, found


def joined(annotation: Annotation, drawn: list[Stroke]) -> Annotation:
    """Add what is drawn to what was painted by hand.

    Parameters
    ----------
    annotation : Annotation
        What was painted by hand on an image.
    drawn : list of Stroke
        What is drawn from that image.

    Returns
    -------
    Annotation
        Both.
    """
    if not drawn:
        return annotation
    labels = annotation.copied()
    for stroke in drawn:
        plane = labels if labels.ndim == 2 else labels[stroke.z]
        plane[tuple(stroke.points.T)] = stroke.value
    return replace(annotation, labels=labels)


def _differing(image: int, z: int, plane: Labels, by_hand: Labels, wanted: npt.NDArray[np.int64]) -> list[Stroke]:
    """What of a plane was accepted, by class and square; of many more than are wanted those of the lowest ranks."""
    found = []
    for rows, columns in painted(plane):
        points = np.argwhere(plane[rows, columns] != by_hand[rows, columns]) + np.array([rows.start, columns.start])
        values = plane[tuple(points.T)].astype(np.intp)
        likely = lot.likely(_rank(points, image, z), values, wanted[: values.max(initial=-1) + 1])
        points, values = points[likely], values[likely]
        y, x = points.T // SIDE
        down, across = (n // SIDE + 1 for n in plane.shape)
        for at in groups((values * down + y) * across + x):
            found.append(Stroke(image, z, int(values[at[0]]), points[at]))
    return found


def _drawn(squares: list[Stroke], most: int, pixels: int) -> list[Stroke]:
    """Some squares of a class, and some pixels of each; squares with more of them are the likelier ones."""
    ranks = [_rank(s.points, s.image, s.z) for s in squares]
    chosen = sorted(range(len(squares)), key=lambda k: int(ranks[k].min()))[:most]
    every_rank = np.concatenate([ranks[k] for k in chosen])
    whose = np.repeat(np.arange(len(chosen)), [len(ranks[k]) for k in chosen])
    points = np.concatenate([squares[k].points for k in chosen])
    used = np.sort(lot.lowest(every_rank, np.arange(len(points)), pixels))
    parts = [used[at] for at in groups(whose[used])]
    return [replace(squares[chosen[whose[part[0]]]], points=points[part]) for part in parts]


def _rank(points: npt.NDArray[np.intp], image: int, z: int) -> lot.Ranks:
    return lot.rank(points, (image << 40) ^ z)
