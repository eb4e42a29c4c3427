"""Feedback: what the strokes of a project say of the part of an image that is looked at, right after each of them."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_sslseg import instances, model
from napari_sslseg.annotation import Labels
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
PATIENCE = 1.0  # s that strokes are looked at before it answers
AROUND = 4  # px around painted objects, more than their contours are wide, so that only an image's border is a border

Points = npt.NDArray[np.int32]  # (N, 3): y, x, value


class _Sparse:
    """The labels of one image, plane by plane, only where something is painted."""

    def __init__(self) -> None:
        self.planes: dict[int, Points] = {}

    def put(self, region: tuple[slice, ...], labels: Labels) -> set[int]:
        """Replace what is painted in a part; the planes that it touches are returned."""
        labels = labels if labels.ndim == 3 else labels[None]
        z, rows, columns = region if len(region) == 3 else (slice(0, 1), *region)
        touched = set(range(z.start, z.start + len(labels)))
        for k, plane in enumerate(labels):
            at = np.nonzero(plane)
            new = [at[0] + rows.start, at[1] + columns.start, plane[at]]
            merged: Points = np.stack(new, 1, dtype=np.int32, casting="unsafe")
            if (before := self.planes.pop(z.start + k, None)) is not None:
                y, x = before[:, 0], before[:, 1]
                outside = (y < rows.start) | (y >= rows.stop) | (x < columns.start) | (x >= columns.stop)
                merged = np.concatenate([before[outside], merged])
            if len(merged):
                self.planes[z.start + k] = merged
        return touched


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
        self._values: tuple[int, ...] = ()
        self._marked: dict[str, tuple[Region, ...]] = {}
        self._times = 1
        self._new = True  # nothing was read from the disk yet
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
            What was painted since the last question.
        reread : bool, optional
            Whether to read all labels from the disk again, before `strokes` are added.
        doubts : bool, optional
            Whether to say how unsure it is.
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
            self._read(project, entry.channels)
            self._new = False
        for stroke in strokes:
            if project.entry(stroke.image).channels == entry.channels:
                touched = self._strokes.setdefault(stroke.image, _Sparse()).put(stroke.region, stroke.labels)
                self._stale |= {(stroke.image, k) for k in touched}
        values, size = self._tell(project, live)
        times = self._times
        seen = Box(*(times * side for side in box))
        image, where = self._image(id), Where(id, z)
        if not (yield from live.look(image, where, seen, stop)):
            return nothing
        beside = size is None  # docs/benchmarks.md: contours are better without, and magnified images without guesses
        guess, part = beside and times == 1, (where, seen)
        learning = live.learn(self._image, len(values), stop, part, unlike=beside, guess=guess, patience=PATIENCE)
        if not (yield from learning) or stop.requested:
            return nothing
        found = reduce(live.probabilities(image, where, seen), times)
        unsure = _unsure(found) if doubts else None
        if size is not None:
            labels: npt.NDArray[Any] = instances.separate(found, size, (1.0, 1.0))
        else:
            labels = np.asarray(values, np.uint16)[found.argmax(0)]
        yield Progress(1.0, "done", 0.0)
        return nothing._replace(labels=labels, unsure=unsure, partly=live.partly)

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
            self._values, self._new = (), True
            self._image.cache_clear()
        return self._live

    def _magnified(self, id: str) -> Image:
        assert self._project is not None, "set by each call"
        return magnify(self._project.image(id), self._times)

    def _read(self, project: Project, channels: int) -> None:
        """Read all labels from the disk."""
        known = {(id, z) for id, sparse in self._strokes.items() for z in sparse.planes}
        self._strokes = {}
        for id in project.labelled():
            if project.entry(id).channels == channels:
                annotation = project.annotation(id)
                annotation.check(project.entry(id).shape, id)
                sparse = self._strokes[id] = _Sparse()
                for z in annotation.planes():
                    plane = annotation.plane(z)
                    sparse.put((slice(z, z + 1), *(slice(0, n) for n in plane.shape)), plane[None])
                known |= {(id, z) for z in sparse.planes}
        self._stale |= known

    def _tell(self, project: Project, live: Live) -> tuple[tuple[int, ...], instances.ObjectSize | None]:
        """Tell the classifier what is painted now: label value of each of its classes, and how large objects are."""
        every = {(id, z): p for id, sparse in self._strokes.items() for z, p in sparse.planes.items()}
        outside = {(id, z): _outside(project, id, z, p) for (id, z), p in every.items()}
        planes = {at: p for at, p in outside.items() if len(p)}
        marked = {id: project.regions(id) for id in self._strokes}
        if marked != self._marked:
            self._stale |= set(every)
            self._marked = marked
        if project.task == "semantic":
            values = tuple(sorted({int(v) for p in planes.values() for v in np.flatnonzero(np.bincount(p[:, 2]))}))
            # a class more or less renumbers them all
            stale = self._stale if values == self._values else {*planes, *self._stale}
            self._values = values
            for at in stale:
                points = planes.get(at, np.zeros((0, 3), np.int32))
                self._paint(live, at, points[:, :2], np.searchsorted(values, points[:, 2]))
            self._stale.clear()
            return values, None
        dense = {at: _dense(p, project.entry(at[0]).shape[-2:]) for at, p in planes.items()}
        painted = [d for d, _ in dense.values() if d.max(initial=0) > 1]
        size = instances.measure(painted) if painted else instances.ObjectSize(1.0, 100.0)
        width = instances.contour_width(size)
        for at in {*dense, *self._stale}:
            plane, corner = dense.get(at, (np.zeros((1, 1), np.uint16), np.zeros(2, np.int32)))
            targets = instances.to_targets(plane, width)
            places = np.argwhere(targets)
            self._paint(live, at, places + corner, targets[tuple(places.T)].astype(np.int64) - 1)
        self._stale.clear()
        return (1, 2, 3), size

    def _paint(self, live: Live, at: tuple[str, int], points: npt.NDArray[Any], targets: npt.NDArray[Any]) -> None:
        live.paint(Where(*at), points * self._times + self._times // 2, targets)


def _outside(project: Project, id: str, z: int, points: Points) -> Points:
    """Painted pixels that do not lie in validation boxes."""
    for region in project.regions(id):
        if region.validation and region.z[0] <= z < region.z[1]:
            (y, x, _), (y0, y1), (x0, x1) = points.T, region.y, region.x
            points = points[(y < y0) | (y >= y1) | (x < x0) | (x >= x1)]
    return points


def _unsure(probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.float16]:
    """How close the second best class comes to the best: one less their margin."""
    best = np.partition(probabilities, -2, axis=0)
    found: npt.NDArray[np.float16] = (1 - (best[-1] - best[-2])).astype(np.float16)
    return found


def _dense(points: Points, size: tuple[int, ...]) -> tuple[Labels, npt.NDArray[np.int32]]:
    """Labels of a box a little larger than what is painted, and its corner."""
    corner = np.maximum(points[:, :2].min(0) - AROUND, 0)
    plane = np.zeros(np.minimum(points[:, :2].max(0) + 1 + AROUND, size) - corner, np.uint16)
    plane[tuple((points[:, :2] - corner).T)] = points[:, 2]
    return plane, corner
