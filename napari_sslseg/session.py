"""Session: what the user is doing now, the one mutable object: project, image, class to paint with, running job."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from psygnal import Signal

from napari_sslseg.annotation import LabelClass
from napari_sslseg.contents import ImageEntry, Round
from napari_sslseg.errors import LabelError, ProjectError, UserError
from napari_sslseg.image import Image
from napari_sslseg.job import Event, run
from napari_sslseg.merging import merge_classes
from napari_sslseg.project import Project
from napari_sslseg.settings import RuntimeConfig
from napari_sslseg.stages import Activity, Tally, predicted_rounds, train_time

FEWEST = 2  # classes that there must be


class Seen(NamedTuple):
    """What was announced of a project."""

    images: tuple[ImageEntry, ...]
    task: str
    classes: tuple[LabelClass, ...]
    rounds: tuple[Round, ...]
    used: Round | None
    pretrained: Path | None


def _seen(project: Project) -> Seen:
    said = project.images, project.task, project.classes, project.rounds
    return Seen(*said, project.current_round, project.pretrained)


def _ids(project: Project) -> frozenset[str]:
    return frozenset(e.id for e in project.images)


class Session:
    """What the user is doing now, changed in the main thread only; every change is announced by a signal."""

    project_changed = Signal()
    images_changed = Signal()
    current_changed = Signal()
    chosen_changed = Signal()
    classes_changed = Signal()
    labels_changed = Signal(str)  # what is painted on this image is on disk
    labels_rewritten = Signal(str)  # the labels on disk were changed by something else than the brush
    rounds_changed = Signal()
    activity_changed = Signal(str)  # the job of this step began, is stopping or ended
    event = Signal(str, object)  # step, event

    def __init__(self) -> None:
        self.project: Project | None = None
        self.current: str | None = None
        self.chosen = 1  # value of the class to paint with; 0 is the eraser
        self.runtime = RuntimeConfig()
        self.activities: dict[str, Activity] = {}
        self.tally = Tally()
        self.predicted: dict[str, int] = {}
        self.learnt: frozenset[str] = frozenset()  # ids of the images when the last pretraining began
        self.train_began = 0.0
        self._seen: Seen | None = None

    # ---------------------------------------------------------------- the project
    def open(self, project: Project | None) -> None:
        """Work on another project.

        Parameters
        ----------
        project : Project, optional
            The project; None for none.
        """
        if self.running is not None:
            raise ProjectError(
                f"A job runs in the step {self.running!r}",
                "Another project can be opened when it is done",
                "Press Stop, or wait",
            )
        self.project = project
        self.current = project.images[0].id if project and project.images else None
        self.activities.clear()
        self.predicted = predicted_rounds(project) if project else {}
        self.tally = Tally.of(project) if project else Tally()
        self.learnt = _ids(project) if project and project.pretrained else frozenset()
        self.train_began = train_time(project) if project else 0.0
        self._seen = _seen(project) if project else None
        self.project_changed.emit()

    def refresh(self) -> None:
        """Take in what other windows and commands changed in the project since, and announce it."""
        if self.project is not None:
            self.project.refresh()
            self._announce()
            self.rewritten({id: self.project.annotation(id).counted() for id in self.project.relabelled()})

    def _announce(self) -> None:
        """Announce what was changed, here or elsewhere: with each change here comes what others changed since."""
        was, now = self._seen, _seen(self.needed_project)
        self._seen = now
        if was is None or was == now:
            return
        if was.images != now.images:
            self._images_differ([e.id for e in was.images], [e.id for e in now.images])
        if (was.task, was.classes) != (now.task, now.classes):
            self.classes_changed.emit()
        if (was.rounds, was.used, was.pretrained) != (now.rounds, now.used, now.pretrained):
            if was.pretrained != now.pretrained:
                self.learnt = _ids(self.needed_project)
            if len(was.rounds) < len(now.rounds):
                self.train_began = max(self.train_began, train_time(self.needed_project))
            self.rounds_changed.emit()

    def _images_differ(self, was: list[str], now: list[str]) -> None:
        project, gone = self.needed_project, [id for id in was if id not in now]
        for id in gone:
            self.tally.counts.pop(id, None)
            self.tally.written = time.time()
            self.predicted.pop(id, None)
        for id in now:
            if id in project.labelled() and id not in self.tally.counts:  # it was taken out before
                self.set_counts(id, project.annotation(id).counted(), time.time())
            if project.predicted(id):
                self.predicted.setdefault(id, 0)
        if self.current in gone:
            self.select(now[min(was.index(self.current), len(now) - 1)] if now else None)
        self.images_changed.emit()
        for id in gone:
            self.labels_changed.emit(id)

    @property
    def needed_project(self) -> Project:
        """The project; a ProjectError where there is none."""
        if self.project is None:
            raise ProjectError("There is no project yet", "Open an image first", "Drag an image into the viewer")
        return self.project

    # ---------------------------------------------------------------- images
    def add_file(self, path: Path, axes: str | None = None, **said: Any) -> ImageEntry:
        """Use an image file.

        Parameters
        ----------
        path : Path
            The file; it stays where it is.
        axes : str, optional
            One letter an axis of its array, instead of what the file says.
        **said : object
            ``spacing`` and ``unit``, instead of what the file says.

        Returns
        -------
        ImageEntry
            Its entry in the project.
        """
        return self._added(self.needed_project.add_file(path, axes, **said))

    def add_image(self, image: Image, was: str | None = None) -> ImageEntry:
        """Use an image that is only in memory; the project keeps a copy.

        Parameters
        ----------
        image : Image
            The image.
        was : str, optional
            Id of an image that was taken out and is this one.

        Returns
        -------
        ImageEntry
            Its entry in the project.
        """
        return self._added(self.needed_project.add_image(image, was))

    def set_spacing(self, id: str, spacing: tuple[float, ...], unit: str) -> None:
        """Say how large the pixels of an image are.

        Parameters
        ----------
        id : str
            The image.
        spacing : tuple of float
            Pixel size ([Z,] Y, X).
        unit : str
            Unit of `spacing`.
        """
        self._added(self.needed_project.set_spacing(id, spacing, unit))

    def set_axes(self, id: str, image: Image, file: Path | None = None, read_as: str | None = None) -> None:
        """Say what the axes of an image are, on which nothing lies yet.

        Parameters
        ----------
        id : str
            The image.
        image : Image
            Its pixels, with other axes.
        file : Path, optional
            Its file, where that gives the image when it is read; a copy is kept if not given.
        read_as : str, optional
            Axes of the array in the file, instead of what the file says.
        """
        self._added(self.needed_project.set_axes(id, image, file, read_as))

    def _added(self, entry: ImageEntry) -> ImageEntry:
        self._announce()
        if self.current is None:
            self.select(entry.id)
        return entry

    def take_out(self, id: str) -> None:
        """Work without an image from now on; its labels stay on disk, and come back with it.

        Parameters
        ----------
        id : str
            Its id.
        """
        self.needed_project.take_out(id)
        self._announce()

    def select(self, id: str | None) -> None:
        """Make an image the current one.

        Parameters
        ----------
        id : str, optional
            Its id.
        """
        if id != self.current:
            self.current = id
            self.current_changed.emit()

    # ---------------------------------------------------------------- classes and labels
    def choose(self, value: int) -> None:
        """Choose the class to paint with.

        Parameters
        ----------
        value : int
            Its value; 0 for the eraser.
        """
        if value != self.chosen:
            self.chosen = value
            self.chosen_changed.emit()

    def add_class(self, name: str | None = None) -> LabelClass:
        """Add a class with the next free value.

        Parameters
        ----------
        name : str, optional
            Its name.

        Returns
        -------
        LabelClass
            The class.
        """
        new = self.needed_project.add_class(name)
        self._announce()
        return new

    def change_class(self, value: int, *, name: str | None = None, colour: str | None = None) -> None:
        """Rename or recolour a class.

        Parameters
        ----------
        value : int
            The class.
        name : str, optional
            Its new name.
        colour : str, optional
            Its new colour ``#rrggbb``.
        """
        old, known = self._class(value), self.needed_project.classes
        name = (name or "").strip() or old.name
        if any(c.name == name and c.value != value for c in known):
            raise LabelError(f"There is a class {name!r} already", "Every class has a name of its own")
        new = replace(old, name=name, colour=colour or old.colour)
        self._set_classes((new if c.value == value else c for c in known), known)

    def remove_class(self, value: int) -> None:
        """Remove a class; its painted pixels become unlabelled in all images.

        Parameters
        ----------
        value : int
            The class.
        """
        project, gone = self.needed_project, self._class(value)
        if len(project.classes) <= FEWEST:
            raise LabelError(f"{gone.name} is one of {len(project.classes)} classes", "At least two classes are needed")
        painted = [id for id, counts in self.tally.counts.items() if counts.get(value)]
        self.rewritten(run(merge_classes(project, value, 0, ids=painted)))
        known = project.classes
        self._set_classes((c for c in known if c.value != value), known)

    def rewritten(self, changed: Mapping[str, Mapping[int, int]]) -> None:
        """Note that labels on the disk were changed by something else than the brush.

        Parameters
        ----------
        changed : mapping of str to mapping of int to int
            Of each image that was changed, the painted pixels by value.
        """
        for id, counts in changed.items():
            self.set_counts(id, counts, time.time())
            self.labels_rewritten.emit(id)

    def _class(self, value: int) -> LabelClass:
        for known in self.needed_project.classes:
            if known.value == value:
                return known
        raise LabelError(f"There is no class {value}", "Choose one of the class table")

    def _set_classes(self, classes: Iterable[LabelClass], before: Iterable[LabelClass]) -> None:
        self.needed_project.set_classes(classes, before)
        self._announce()

    def set_task(self, task: str) -> None:
        """Choose between classes of pixels and objects.

        Parameters
        ----------
        task : str
            ``semantic`` or ``instance``.
        """
        self.needed_project.set_task(task)
        self._announce()

    def set_counts(self, id: str, counts: Mapping[int, int], when: float) -> None:
        """Note how much is painted on an image, after its labels were written.

        Parameters
        ----------
        id : str
            The image.
        counts : mapping of int to int
            Painted pixels by value.
        when : float
            When they were written, in seconds since 1970.
        """
        if not self.needed_project.holds(id):  # it was taken out meanwhile
            return
        self.tally.counts[id] = dict(counts)
        self.tally.written = max(self.tally.written, when)
        self.labels_changed.emit(id)

    # ---------------------------------------------------------------- the running job
    def use_round(self, number: int) -> None:
        """Predict with a round from now on, until there is a newer one.

        Parameters
        ----------
        number : int
            Its number.
        """
        self.needed_project.use_round(number)
        self._announce()

    @property
    def _newest_used(self) -> bool:
        """Whether the latest round predicts: one that was stopped early may not."""
        rounds = self.needed_project.rounds
        return bool(rounds) and rounds[-1] is self.needed_project.current_round

    @property
    def running(self) -> str | None:
        """The step whose job runs; None while none does."""
        return next((step for step, activity in self.activities.items() if activity.running), None)

    def begin(self, step: str) -> None:
        """Note that the job of a step begins.

        Parameters
        ----------
        step : str
            One of `STEPS`, or ``denoise``, which belongs to none.
        """
        if self.running is not None:
            raise UserError(
                f"A job runs already in the step {self.running!r}", "One job runs at a time", "Stop it first"
            )
        self.activities[step] = Activity(images=_ids(self.needed_project))
        self.activity_changed.emit(step)

    def hear(self, event: Event) -> None:
        """Take in an event of the running job.

        Parameters
        ----------
        event : Event
            The event.
        """
        step = self.running
        if step is None:
            return
        self.activities[step].hear(event)
        self.event.emit(step, event)

    def ask_stop(self) -> None:
        """Note that the running job was asked to stop."""
        if self.running is not None:
            self.activities[self.running].stopping = True
            self.activity_changed.emit(self.running)

    def end(self, message: str = "", *, failed: bool = False) -> None:
        """Note that the running job ended; what it made is in the project.

        Parameters
        ----------
        message : str, optional
            What to tell the user of it.
        failed : bool, optional
            Whether it made nothing: it ended in an error, or was stopped too soon.
        """
        step = self.running
        if step is None:
            return
        activity = self.activities[step]
        activity.running = activity.stopping = False
        activity.progress = None
        if message:
            activity.messages.append(message)
        if step == "learn" and not failed:
            self.learnt = activity.images
        if step == "train" and not failed and self._newest_used:
            self.train_began = activity.began
        if self._seen is not None:  # what this job made is not news from elsewhere
            made = _seen(self.needed_project)
            self._seen = self._seen._replace(rounds=made.rounds, used=made.used, pretrained=made.pretrained)
        self.rounds_changed.emit()
        self.activity_changed.emit(step)
