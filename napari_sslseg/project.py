"""Project: the folder that holds all a user did: image references, labels, checkpoints, rounds; written atomically."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_sslseg import vast
from napari_sslseg.annotation import Annotation, LabelClass, Labels
from napari_sslseg.catalogue import Catalogue
from napari_sslseg.contents import Contents, ImageEntry, Round, joined
from napari_sslseg.errors import LabelError, ProjectError
from napari_sslseg.image import Image
from napari_sslseg.io.on_disk import OnDisk
from napari_sslseg.job import Job, Stop, run
from napari_sslseg.overlay import Box
from napari_sslseg.regions import Region
from napari_sslseg.shelves import LabelShelf


class Project(Catalogue):
    """A project folder; use `create`, `open` or `open_or_create`.

    Parameters
    ----------
    path : Path
        The folder.
    contents : Contents
        What its ``project.json`` says.
    """

    def __init__(self, path: Path, contents: Contents) -> None:
        super().__init__(path, contents)
        self._labels = LabelShelf(path / "labels", np.uint16)
        self._predictions = LabelShelf(path / "predictions", np.uint32)

    # ---------------------------------------------------------------- what it says
    @property
    def task(self) -> str:
        """``semantic`` or ``instance``."""
        return self._contents.task

    @property
    def classes(self) -> tuple[LabelClass, ...]:
        """The classes, by value; class 1 is the background."""
        return self._contents.classes

    @property
    def rounds(self) -> tuple[Round, ...]:
        """The training rounds so far, oldest first."""
        return self._contents.rounds

    @property
    def pretrained(self) -> Path | None:
        """Checkpoint of the pretrained encoder; None before pretraining."""
        return self.path / self._contents.pretrained if self._contents.pretrained else None

    @property
    def current_round(self) -> Round | None:
        """The round that predicts: the latest, unless an earlier one was chosen; None before training."""
        latest = self.rounds[-1] if self.rounds else None
        return next((r for r in self.rounds if r.number == self._contents.used), latest)

    @property
    def trained(self) -> Path | None:
        """Checkpoint of the round that predicts; None before training."""
        return self.path / self.current_round.checkpoint if self.current_round else None

    def set_task(self, task: str) -> None:
        """Choose between classes of pixels and objects.

        Parameters
        ----------
        task : str
            ``semantic`` or ``instance``.
        """
        if task not in ("semantic", "instance"):
            raise ProjectError(f"Task {task!r}", "The task is 'semantic' or 'instance'")
        self._change(task=task)

    def set_classes(self, classes: Iterable[LabelClass], before: Iterable[LabelClass] | None = None) -> None:
        """Replace the class table; classes stay that another window or command added to it meanwhile.

        Parameters
        ----------
        classes : iterable of LabelClass
            Unique values from 1 on.
        before : iterable of LabelClass, optional
            The class table from which they were made; as it was last read if not given.

        Raises
        ------
        LabelError
            If two have the same value, or somebody else changed the same class in another way.
        """
        given, before = tuple(classes), self.classes if before is None else tuple(before)
        _check_values(given)
        with self._newest():
            mixed = joined(self.classes, given, before)
            for new in set(given) - set(before):
                other = next((c for c in mixed if c != new and (c.value == new.value or c.name == new.name)), None)
                if other is not None and other not in given:
                    raise LabelError(
                        f"Class {other.value}, {other.name!r}, was added or changed meanwhile, elsewhere",
                        f"It stands in the way of class {new.value}, {new.name!r}",
                        "Look at the classes as they are now, and try again",
                    )
            _check_values(mixed)
            self._change(classes=tuple(sorted(mixed, key=lambda c: c.value)))

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

        Raises
        ------
        LabelError
            If there is a class of that name.
        """
        with self._newest():
            if any(c.name == name for c in self.classes):
                raise LabelError(f"There is a class {name!r} already", "Every class has a name of its own")
            new = LabelClass.default(max((c.value for c in self.classes), default=0) + 1)
            new = replace(new, name=name) if name else new
            self._change(classes=(*self.classes, new))
            return new

    # ---------------------------------------------------------------- axes
    def set_axes(self, id: str, image: Image, file: Path | None = None, read_as: str | None = None) -> ImageEntry:
        """Say what the axes of an image are, as long as nothing lies on it that has its shape.

        Parameters
        ----------
        id : str
            Its id, which it keeps.
        image : Image
            Its pixels, with other axes.
        file : Path, optional
            Its file, where that gives the image when it is read; a copy is kept if not given.
        read_as : str, optional
            Axes of the array in the file, instead of what the file says.

        Returns
        -------
        ImageEntry
            Its entry from now on.

        Raises
        ------
        ProjectError
            If something was painted, boxed or predicted on it.
        """
        return run(self.change_axes(id, image, file, read_as))

    def change_axes(
        self, id: str, image: Image, file: Path | None = None, read_as: str | None = None, *, stop: Stop | None = None
    ) -> Job[ImageEntry]:
        """Do what `set_axes` does as a job, for an image whose copying takes long; a copy that it had is removed.

        Parameters
        ----------
        id : str
            Its id.
        image : Image
            Its pixels, with other axes.
        file : Path, optional
            Its file, where that gives the image when it is read; a copy is made if not given.
        read_as : str, optional
            Axes of the array in the file.
        stop : Stop, optional
            Looked at several times a second.

        Yields
        ------
        Progress
            How much is copied.

        Returns
        -------
        ImageEntry
            Its entry from now on.

        Raises
        ------
        ProjectError
            If something was painted, boxed or predicted on it.
        StoppedError
            If it was stopped; then the project is as it was.
        """
        self.refresh()
        self.check_bare(id)

        def name(copy: Path | None) -> tuple[ImageEntry, ImageEntry]:
            self.check_bare(id)
            known = self.entry(id)
            if copy is not None:
                new = self._images.keep(id, image, copy, beside=True)
            else:
                assert file is not None, "else a copy was made"
                new = self._images.refer(id, image, file, read_as)
            if new.shape != known.shape:
                self._labels.drop_empty(id)
            return known, new

        return (yield from self._copied(image if file is None else None, name, stop or Stop()))

    def check_bare(self, id: str) -> None:
        """Check that nothing lies on an image that has its shape.

        Parameters
        ----------
        id : str
            Its id.

        Raises
        ------
        ProjectError
            If something was painted, boxed or predicted on it.
        """
        lies = {"strokes": self.painted_boxes(id), "boxes": self.regions(id), "masks": self.predicted(id)}
        if found := [name for name, there in lies.items() if there]:
            raise ProjectError(
                f"{id} has {' and '.join(found)}, which lie on its pixels as they are ordered now",
                "Other axes can be given to an image without any",
                "Take it out and use it again with other axes: what was painted comes back if it still fits",
            )

    # ---------------------------------------------------------------- labels
    def labelled(self) -> tuple[str, ...]:
        """List the images that have a label file, even if all was erased in it.

        Returns
        -------
        tuple of str
            Image ids.
        """
        return tuple(e.id for e in self.images if self._labels.place(e.id).exists())

    def labels(self, id: str) -> Labels:
        """Read the labels of an image.

        Parameters
        ----------
        id : str
            Image id.

        Returns
        -------
        numpy.ndarray
            ([Z,] Y, X) uint16, 0 where nothing was painted.
        """
        entry, found = self.entry(id), self._labels.read(id)
        return vast.zeros(entry.shape, np.uint16) if found is None else found

    def write_labels(
        self,
        id: str,
        labels: npt.NDArray[Any],
        region: tuple[slice, ...] | None = None,
        before: npt.NDArray[Any] | None = None,
    ) -> None:
        """Write labels, or a part of them; only the chunks of that part are touched, each one atomically.

        Of an image that was taken out, too: what is painted is kept.

        Parameters
        ----------
        id : str
            Image id.
        labels : numpy.ndarray
            Whole numbers 0 to 65535: ([Z,] Y, X), or the shape of `region`.
        region : tuple of slice, optional
            Where the part belongs; all of the image if not given.
        before : numpy.ndarray, optional
            What they were when they were read: only pixels that differ are written, so that strokes stay which another
            window or command wrote since then. All are written if not given.
        """
        self._labels.write(self._kept(id), labels, region, before)

    def _kept(self, id: str) -> ImageEntry:
        """Find an image, or one that was taken out."""
        return next((e for e in self.left if e.id == id), None) or self.entry(id)

    def relabelled(self) -> tuple[str, ...]:
        """List the images whose labels another window or command wrote since they were read here.

        Returns
        -------
        tuple of str
            Image ids; also those whose labels were never read here.
        """
        return self._labels.changed(e.id for e in self.images)

    # ---------------------------------------------------------------- predictions
    def prediction(self, id: str) -> npt.NDArray[Any] | None:
        """Read the latest masks of an image.

        Parameters
        ----------
        id : str
            Image id.

        Returns
        -------
        numpy.ndarray, optional
            ([Z,] Y, X) uint32, 0 in planes never predicted; None if nothing was predicted.
        """
        return self._predictions.read(id)

    def masks(self, id: str) -> OnDisk | None:
        """Open the latest masks of an image, which may be larger than memory; what is asked for is read then.

        Parameters
        ----------
        id : str
            Image id.

        Returns
        -------
        OnDisk, optional
            ([Z,] Y, X) uint32 of objects, uint16 of classes, as they are on the disk; None if nothing was predicted.
        """
        return self._predictions.opened(id, np.uint32 if self.task == "instance" else np.uint16)

    def masked(self, id: str) -> str:
        """Name what the masks of an image are now.

        Parameters
        ----------
        id : str
            Image id.

        Returns
        -------
        str
            Another one after each writing.
        """
        return self._predictions.version(id)

    def masked_boxes(self, id: str) -> list[tuple[slice, ...]]:
        """Say in which parts of an image there may be masks, without reading any.

        Parameters
        ----------
        id : str
            Image id.

        Returns
        -------
        list of tuple of slice
            Boxes ([Z,] Y, X), with start and stop.
        """
        return self._predictions.boxes(id)

    def greatest(self, id: str, planes: tuple[int, ...] | None = None, box: Box | None = None) -> int:
        """Find the greatest number in the masks of an image, piece by piece.

        Parameters
        ----------
        id : str
            Image id.
        planes : tuple of int, optional
            Planes whose part is left out; all if not given.
        box : Box, optional
            The part that is left out; none if not given.

        Returns
        -------
        int
            0 if nothing was predicted.
        """
        masks, most = self.masks(id), 0
        for place in self.masked_boxes(id) if masks is not None else ():
            assert masks is not None, "there are boxes"
            part = masks[place]
            if box is not None and (planes is None or place[0].start in planes):
                rows, columns = (
                    slice(max(0, b.start - p.start), max(0, b.stop - p.start))
                    for b, p in zip(box.slices, place[-2:], strict=True)
                )
                part[..., rows, columns] = 0
            most = max(most, int(part.max()))
        return most

    def predicted(self, id: str) -> bool:
        """Tell whether an image has masks.

        Parameters
        ----------
        id : str
            Image id.

        Returns
        -------
        bool
            Whether at least one of its planes was predicted.
        """
        return self._predictions.place(id).exists()

    def write_prediction(
        self, id: str, labels: npt.NDArray[Any], planes: tuple[int, ...] | None = None, box: Box | None = None
    ) -> None:
        """Keep the masks of an image.

        Parameters
        ----------
        id : str
            Image id.
        labels : numpy.ndarray
            ([Z,] Y, X), of these planes and this part alone.
        planes : tuple of int, optional
            The planes to write; all if not given.
        box : Box, optional
            The part of them to write; all of it if not given.
        """
        entry = self.entry(id)
        part = (box or Box(0, 0, *entry.shape[-2:])).slices
        if planes is None:
            self._predictions.write(entry, labels, (*(slice(0, n) for n in entry.shape[:-2]), *part))
        for k, z in enumerate(planes or ()):
            self._predictions.write(entry, labels[k : k + 1], (slice(z, z + 1), *part))

    def annotation(self, id: str) -> Annotation:
        """Read the labels of an image as an annotation of this project's task.

        Parameters
        ----------
        id : str
            Image id.

        Returns
        -------
        Annotation
            The labels.
        """
        return Annotation(self.labels(id), self.task, self.regions(id), self.painted_planes(id))

    def painted_planes(self, id: str) -> tuple[int, ...]:
        """Say which planes of an image may be painted on, without reading any.

        Parameters
        ----------
        id : str
            Image id.

        Returns
        -------
        tuple of int
            In order; none if nothing was painted yet, then (0,) for an image of one plane.
        """
        return self._labels.planes(self._kept(id).id)

    def painted_boxes(self, id: str) -> list[tuple[slice, ...]]:
        """Say in which parts of an image something may be painted, without reading any.

        Parameters
        ----------
        id : str
            Image id.

        Returns
        -------
        list of tuple of slice
            Boxes ([Z,] Y, X), with start and stop.
        """
        return self._labels.boxes(self._kept(id).id)

    # ---------------------------------------------------------------- marked boxes
    def regions(self, id: str) -> tuple[Region, ...]:
        """List the marked boxes of an image.

        Parameters
        ----------
        id : str
            Image id.

        Returns
        -------
        tuple of Region
            In the order in which they were marked.
        """
        return self._contents.regions.get(self.entry(id).id, ())

    def set_regions(self, id: str, regions: Iterable[Region], before: Iterable[Region] | None = None) -> None:
        """Replace the marked boxes of an image; boxes stay that another window or command marked meanwhile.

        Parameters
        ----------
        id : str
            Image id.
        regions : iterable of Region
            Boxes inside the image.
        before : iterable of Region, optional
            The boxes from which they were made; as they were last read if not given.
        """
        entry, given, before = self.entry(id), tuple(regions), self.regions(id) if before is None else tuple(before)
        for region in given:
            region.check(entry.shape, id)
        with self._newest():
            mixed = joined(self._contents.regions.get(id, ()), given, before)
            self._change(regions={**self._contents.regions, id: mixed})

    # ---------------------------------------------------------------- what was learned
    def set_pretrained(self, checkpoint: Path) -> None:
        """Make a checkpoint the one that training starts from.

        Parameters
        ----------
        checkpoint : Path
            A file inside the project folder.
        """
        self._change(pretrained=checkpoint.relative_to(self.path).as_posix())

    def add_round(self, round: Round) -> Round:
        """Append a training round, which predicts from now on.

        Parameters
        ----------
        round : Round
            The round; its time is filled in, and the next number where another window or command has used its own.

        Returns
        -------
        Round
            The round as stored.
        """
        with self._newest():
            taken = any(r.number == round.number for r in self.rounds)
            number = self.next_round() if taken else round.number
            stored = replace(round, number=number, when=datetime.now(UTC).isoformat(timespec="seconds"))
            self._change(rounds=(*self.rounds, stored), used=None)
            return stored

    def use_round(self, number: int) -> None:
        """Predict with a round from now on, until there is a newer one; the others stay.

        Parameters
        ----------
        number : int
            Its number.

        Raises
        ------
        ProjectError
            If there is no such round, or its model is gone.
        """
        with self._newest():
            found = next((r for r in self.rounds if r.number == number), None)
            if found is None:
                raise ProjectError(
                    f"{self.name} has no round {number}",
                    "It has " + (", ".join(str(r.number) for r in self.rounds) or "not been trained yet"),
                )
            if not (self.path / found.checkpoint).is_file():
                raise ProjectError(f"The model of round {number} is gone", f"{self.path / found.checkpoint} is needed")
            self._change(used=None if found is self.rounds[-1] else number)

    def next_round(self) -> int:
        """Return the number of the next round.

        Returns
        -------
        int
            1 for the first.
        """
        self.refresh()
        return max((r.number for r in self.rounds), default=0) + 1


def _check_values(classes: Iterable[LabelClass]) -> None:
    values = sorted(c.value for c in classes)
    if len(set(values)) != len(values) or any(v < 1 for v in values):
        raise LabelError(f"The class values are {values}", "Each is a different whole number from 1 on")
