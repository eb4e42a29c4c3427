"""Feedback: what the strokes of a project say of the part of an image that is looked at, right after each of them."""

import math
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from napari_sslseg import instances, model
from napari_sslseg.annotation import Annotation, Labels, painted, strokes
from napari_sslseg.image import Image
from napari_sslseg.job import Job, Notice, Progress, Stop
from napari_sslseg.live import Live, Where
from napari_sslseg.magnify import magnification, magnify, reduce
from napari_sslseg.overlay import Box, Overlay, Stroke
from napari_sslseg.project import Project
from napari_sslseg.regions import Region
from napari_sslseg.runtime import Runtime
from napari_sslseg.settings import FinetuneConfig, RuntimeConfig

IMAGES = 32  # kept at hand
AROUND = 4  # px around painted objects, more than their contours are wide, so that only an image's border is a border

READING = "reading the labels"
NOTHING = np.zeros((0, 2), np.intp), np.zeros(0, np.intp), np.zeros(0, np.intp)

Numbers = npt.NDArray[np.int32]  # of strokes
Points = npt.NDArray[np.int32]  # (N, 4): y, x, value, number of the stroke
Indices = npt.NDArray[np.intp]
Targets = tuple[Indices, Indices, Indices]  # (N, 2) y, x, (N,) classes from 0, (N,) numbers of the strokes


class _Sparse:
    """The labels of one image, plane by plane, only where something is painted, and by which stroke."""

    def __init__(self) -> None:
        self.planes: dict[int, Points] = {}

    def put(self, region: tuple[slice, ...], labels: Labels, numbers: int | Numbers) -> set[int]:
        """Replace what is painted in a part, by strokes of these numbers; the planes that it touches are returned.

        Pixels whose label is what it was are of the stroke that they were of.
        """
        labels = labels if labels.ndim == 3 else labels[None]
        z, rows, columns = region if len(region) == 3 else (slice(0, 1), *region)
        touched = set(range(z.start, z.start + len(labels)))
        for k, plane in enumerate(labels):
            at = np.nonzero(plane)
            new = [at[0] + rows.start, at[1] + columns.start, plane[at], np.broadcast_to(numbers, plane.shape)[at]]
            merged: Points = np.stack(new, 1, dtype=np.int32, casting="unsafe")
            if (before := self.planes.pop(z.start + k, None)) is not None:
                y, x = before[:, 0], before[:, 1]
                outside = (y < rows.start) | (y >= rows.stop) | (x < columns.start) | (x >= columns.stop)
                _keep(before[~outside], merged)
                merged = np.concatenate([before[outside], merged])
            if len(merged):
                self.planes[z.start + k] = merged
        return touched

    def read(self, annotation: Annotation, z: int, number: int) -> int:
        """Replace a plane, the new strokes of which count from `number`; return how many strokes it has."""
        before, count = self.planes.pop(z, None), 0
        for box, labels, numbers in _read_strokes(annotation, z):
            self.put((slice(z, z + 1), *box), labels[None], numbers + (number + count - 1) * (numbers > 0))
            count += int(numbers.max(initial=0))
        if before is not None and z in self.planes:
            _keep(before, self.planes[z])
        return count


def _read_strokes(annotation: Annotation, z: int) -> Iterator[tuple[tuple[slice, slice], Labels, Numbers]]:
    """Parts of a plane in which something is painted, their labels, and the stroke of each pixel; 0 where accepted."""
    plane, accepted = annotation.plane(z), annotation.accepted_plane(z)
    for box in painted(plane):
        labels = plane[box]
        yield box, labels, strokes(np.where(labels == accepted[box], 0, labels))[0]


def _keep(before: Points, now: Points) -> None:
    """Give pixels that are as before the strokes that they were of."""
    if not len(before):
        return
    old, new = ((points[:, 0].astype(np.int64) << 32) | points[:, 1] for points in (before, now))
    order = np.argsort(old)
    at = order[np.searchsorted(old, new, sorter=order).clip(max=len(old) - 1)]
    same = (old[at] == new) & (before[at, 2] == now[:, 2])
    now[same, 3] = before[at[same], 3]


class _Plane(NamedTuple):
    """What is painted on a plane, but for validation boxes."""

    points: Points
    values: tuple[int, ...]
    corner: npt.NDArray[np.int32]
    objects: Labels | None  # in a box from `corner` on, a little larger than what is painted
    sizes: instances.Sizes | None

    @classmethod
    def of(cls, points: Points, size: tuple[int, ...], objects: bool) -> "_Plane":
        values = tuple(np.flatnonzero(np.bincount(points[:, 2])).tolist())
        corner = np.maximum(points[:, :2].min(0) - AROUND, 0)
        if not objects:
            return cls(points, values, corner, None, None)
        plane = np.zeros(np.minimum(points[:, :2].max(0) + 1 + AROUND, size) - corner, np.uint16)
        plane[tuple((points[:, :2] - corner).T)] = points[:, 2]
        return cls(points, values, corner, plane, instances.sizes(plane))

    def targets(self, values: tuple[int, ...], width: int | None) -> Targets:
        """Which pixels are of which of the classes that are learnt, contours so wide, and of which stroke."""
        if self.objects is None or width is None:
            targets = np.searchsorted(values, self.points[:, 2])
            return self.points[:, :2].astype(np.intp), targets, self.points[:, 3].astype(np.intp)
        classes = instances.to_targets(self.objects, width)
        places = np.argwhere(classes)
        at = tuple(places.T)
        numbers = np.zeros(classes.shape, np.intp)
        numbers[tuple((self.points[:, :2] - self.corner).T)] = self.points[:, 3]
        return places + self.corner, np.searchsorted(values, classes[at]), numbers[at]


class Feedback:
    """Live mode of a project: it remembers what it has seen and read, and is asked again after each stroke.

    What is remembered is for one project, pretrained encoder, task and set of images; if these change, all begins anew.

    Parameters
    ----------
    config : FinetuneConfig, optional
        Which encoder describes the images, and with which weights, where none was pretrained.
    """

    def __init__(self, config: FinetuneConfig | None = None) -> None:
        self._config = config or FinetuneConfig()
        self._key: tuple[Any, ...] = ()
        self._live: Live | None = None
        self._strokes: dict[str, _Sparse] = {}
        self._stale: set[tuple[str, int]] = set()
        self._known: dict[tuple[str, int], _Plane] = {}
        self._told: tuple[tuple[int, ...], int | None] = (), None  # label values, and how wide contours are
        self._size: instances.ObjectSize | None = None
        self._marked: dict[str, tuple[Region, ...]] = {}
        self._times = 1
        self._new = True  # nothing was read from the disk yet
        self._count = 1  # the next number of a stroke; what was accepted has 0
        self._project: Project | None = None
        self._image = lru_cache(IMAGES)(self._magnified)

    def refresh(
        self,
        project: Project,
        *,
        id: str,
        z: int,
        box: Box,
        strokes: Iterable[Stroke] = (),
        reread: bool = False,
        doubts: bool = False,
        patience: float = math.inf,
        runtime: RuntimeConfig | None = None,
        stop: Stop | None = None,
    ) -> Job[Overlay]:
        """Learn from all strokes and say what is where.

        Parameters
        ----------
        project : Project
            The project; its labels are read from the disk the first time.
        id : str
            The image that is looked at.
        z : int
            Its plane.
        box : Box
            The part of it; what lies outside the image is left out.
        strokes : iterable of Stroke, optional
            What was painted since the last question. Each counts for as much as another, however many pixels it labels.
        reread : bool, optional
            Whether to read all labels from the disk again, before `strokes` are added.
        doubts : bool, optional
            Whether to say how unsure it is.
        patience : float, optional
            Seconds for which strokes are looked at that are new to it, before it answers.
        runtime : RuntimeConfig, optional
            Device and seed.
        stop : Stop, optional
            To end early; what is known by then is kept, and the overlay is without labels.

        Yields
        ------
        Event
            Progress, where something has to be looked at for the first time; a notice if the pretrained encoder cannot
            be used.

        Returns
        -------
        Overlay
            What is found.

        Raises
        ------
        LabelError
            If labels are not of the shape of their image.
        """
        stop = stop or Stop()
        entry = project.entry(id)
        box = box.within(entry.shape[-2:])
        nothing, self._project = Overlay(id, z, box), project
        live = yield from self._begin(project, id, runtime or RuntimeConfig())
        if reread or self._new:
            self._new = True
            if not (yield from self._read(project, entry.channels, stop)):
                return nothing
            self._new = False
        for stroke in strokes:
            if project.entry(stroke.image).channels == entry.channels:
                sparse = self._strokes.setdefault(stroke.image, _Sparse())
                self._stale |= {(stroke.image, z) for z in sparse.put(stroke.region, stroke.labels, self._count)}
                self._count += 1
        values = yield from self._tell(project, live, stop)
        if values is None:
            return nothing
        size, times = self._size, self._times
        seen = Box(*(times * side for side in box))
        image, where = self._image(id), Where(id, z)
        if not (yield from live.look(image, where, seen, stop)):
            return nothing
        beside = size is None  # docs/benchmarks.md: contours are better without, and magnified images without guesses
        guess, part = beside and times == 1, (where, seen)
        learning = live.learn(self._image, len(values), stop, part, unlike=beside, guess=guess, patience=patience)
        if not (yield from learning) or stop.requested:
            return nothing
        found = reduce(live.probabilities(image, where, seen), times)
        unsure = _unsure(found) if doubts else None
        if size is not None:
            labels: npt.NDArray[Any] = instances.separate(found, size, (1.0, 1.0))
        else:
            labels = np.asarray(values, np.uint16)[found.argmax(0)]
        yield Progress(1.0, "done", 0.0)
        return nothing._replace(labels=labels, unsure=unsure, known=live.known)

    def _begin(self, project: Project, id: str, runtime: RuntimeConfig) -> Job[Live]:
        channels = project.entry(id).channels
        like = [e.id for e in project.images if e.channels == channels]
        read = [(e.source, e.read_as, e.axes) for e in project.images if e.channels == channels]
        key = (project.path, project.pretrained, project.task, channels, like, read, runtime)
        if self._live is None or key != self._key:
            yield Progress(0.0, "loading the encoder")
            machine = Runtime.make(runtime)
            config = self._config
            start = str(project.pretrained) if project.pretrained else model.resolve(config.start, config.encoder)
            if model.dimensions(start, config.encoder) == 3:
                yield Notice(
                    "The pretrained encoder looks at volumes; for feedback while painting, one of planes is used."
                )
                start = model.resolve(config.start, config.encoder)
            encoder = model.build(start, config.encoder, channels, machine).encoder
            self._times = magnification([project.image(e) for e in like])
            self._live, self._key = Live(encoder, machine, self._times), key
            self._strokes.clear()
            self._stale.clear()
            self._known.clear()
            self._told, self._new = ((), None), True
            self._image.cache_clear()
        return self._live

    def _magnified(self, id: str) -> Image:
        assert self._project is not None, "set by each call"
        return magnify(self._project.image(id), self._times)

    def _read(self, project: Project, channels: int, stop: Stop) -> Job[bool]:
        """Read all labels from the disk, unless stopped."""
        gone = {(id, z) for id, sparse in self._strokes.items() for z in sparse.planes}
        self._stale |= gone
        for id in project.labelled():
            if project.entry(id).channels == channels:
                annotation = project.annotation(id)
                annotation.check(project.entry(id).shape, id)
                for z in annotation.planes():
                    if stop.requested:
                        return False
                    yield Progress(0.0, READING)
                    self._count += self._strokes.setdefault(id, _Sparse()).read(annotation, z, self._count)
                    self._stale.add((id, z))
                    gone.discard((id, z))
        for id, z in gone:
            self._strokes[id].planes.pop(z, None)
        self._strokes = {id: sparse for id, sparse in self._strokes.items() if sparse.planes}
        return True

    def _tell(self, project: Project, live: Live, stop: Stop) -> Job[tuple[int, ...] | None]:
        """Tell the classifier what is painted now: label value of each of its classes; None if stopped."""
        marked = {id: project.regions(id) for id in self._strokes}
        if marked != self._marked:
            self._stale |= {(id, z) for id, sparse in self._strokes.items() for z in sparse.planes}
            self._marked = marked
        for k, (id, z) in enumerate(sorted(self._stale)):
            if stop.requested:
                return None
            if k:  # more than one stroke
                yield Progress(0.0, READING)
            points = self._strokes[id].planes.get(z) if id in self._strokes else None
            if points is not None and len(points := _outside(project, id, z, points)):
                self._known[id, z] = _Plane.of(points, project.entry(id).shape[-2:], project.task == "instance")
            else:
                self._known.pop((id, z), None)
        planes, width = self._known.values(), None
        if project.task == "instance":
            values: tuple[int, ...] = (instances.BACKGROUND, instances.CORE, instances.CONTOUR)
            found = [p.sizes for p in planes if p.sizes is not None and p.sizes.areas]
            self._size = instances.together(found) if found else instances.ObjectSize(1.0, 100.0)
            width = instances.contour_width(self._size)
        else:
            values, self._size = tuple(sorted({v for p in planes for v in p.values})), None
        # a class more or less renumbers them all, and another width is another contour of all objects
        renew = self._stale if (values, width) == self._told else {*self._known, *self._stale}
        self._told = (), None  # whatever is painted by then, if it is stopped
        for k, at in enumerate(sorted(renew)):
            if stop.requested:
                return None
            if k:
                yield Progress(0.0, READING)
            places, targets, by = self._known[at].targets(values, width) if at in self._known else NOTHING
            live.paint(Where(*at), places * self._times + self._times // 2, targets, by)
        self._stale.clear()
        self._told = values, width
        return values


def _outside(project: Project, id: str, z: int, points: Points) -> Points:
    """Painted pixels that do not lie in validation boxes."""
    for region in project.regions(id):
        if region.validation and region.z[0] <= z < region.z[1]:
            y, x, (y0, y1), (x0, x1) = points[:, 0], points[:, 1], region.y, region.x
            points = points[(y < y0) | (y >= y1) | (x < x0) | (x >= x1)]
    return points


def _unsure(probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.float16]:
    """How close the second best class comes to the best: one less their margin."""
    best = np.partition(probabilities, -2, axis=0)
    found: npt.NDArray[np.float16] = (1 - (best[-1] - best[-2])).astype(np.float16)
    return found
