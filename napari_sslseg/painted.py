"""Painted: what is painted on the images of a project: its classes, labels, and marked boxes."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_sslseg import vast
from napari_sslseg.annotation import Annotation, LabelClass, Labels
from napari_sslseg.catalogue import Catalogue
from napari_sslseg.contents import Contents, ImageEntry, joined
from napari_sslseg.errors import LabelError, ProjectError
from napari_sslseg.io.on_disk import OnDisk
from napari_sslseg.label_shelf import LabelShelf
from napari_sslseg.regions import Region


class Painted(Catalogue):
    """Images, and what is painted on them.

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
        self._accepted = LabelShelf(path / "accepted", np.uint16)

    # ---------------------------------------------------------------- what labels mean
    @property
    def task(self) -> str:
        """``semantic`` or ``instance``."""
        return self._contents.task

    @property
    def classes(self) -> tuple[LabelClass, ...]:
        """The classes, by value; class 1 is the background."""
        return self._contents.classes

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
        return Annotation(self.labels(id), self.task, self.regions(id), self.painted_planes(id), self.accepted(id))

    def accepted(self, id: str) -> OnDisk | None:
        """Say what became labels since masks were accepted; where labels are something else by now, somebody painted.

        Parameters
        ----------
        id : str
            Image id.

        Returns
        -------
        OnDisk, optional
            ([Z,] Y, X), 0 where nothing was accepted; None if nothing was at all.
        """
        found = self._accepted.opened(id, np.uint16)
        return found if found is not None and found.shape == self._kept(id).shape else None

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

    def note_accepted(self, id: str, values: Labels, region: tuple[slice, ...]) -> None:
        """Note what became labels since masks were accepted; it counts for as long as the labels are the same.

        Parameters
        ----------
        id : str
            Image id.
        values : numpy.ndarray
            What was accepted, of the shape of `region`; 0 where nothing was.
        region : tuple of slice
            Where.
        """
        self._accepted.write(self._kept(id), values, region, np.zeros_like(values))

    def merge_accepted(self, id: str, value: int, into: int) -> None:
        """Keep in mind that labels were accepted which now have another value.

        Parameters
        ----------
        id : str
            Image id.
        value, into : int
            What they were, and what they are.
        """
        accepted = self._accepted.read(id)
        if accepted is not None and (chosen := accepted == value).any():
            (box,) = ndimage.find_objects(chosen.view(np.uint8))
            self._accepted.write(self._kept(id), np.where(chosen, into, accepted)[box], box, accepted[box])

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


def _check_values(classes: Iterable[LabelClass]) -> None:
    values = sorted(c.value for c in classes)
    if len(set(values)) != len(values) or any(v < 1 for v in values):
        raise LabelError(f"The class values are {values}", "Each is a different whole number from 1 on")
