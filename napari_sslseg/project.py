"""Project: the folder that holds all a user did: image references, labels, checkpoints, rounds; written atomically."""

import threading
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from napari_sslseg import vast
from napari_sslseg.annotation import Annotation, LabelClass, Labels
from napari_sslseg.contents import FILE, Contents, ImageEntry, Round
from napari_sslseg.errors import LabelError, ProjectError
from napari_sslseg.image import Image
from napari_sslseg.io import read_image
from napari_sslseg.io.atomic import storage_errors
from napari_sslseg.overlay import Box
from napari_sslseg.regions import Region
from napari_sslseg.shelves import ImageShelf, LabelShelf, free_id


class Project:
    """A project folder; use `create`, `open` or `open_or_create`.

    Parameters
    ----------
    path : Path
        The folder.
    contents : Contents
        What its ``project.json`` says.
    """

    def __init__(self, path: Path, contents: Contents) -> None:
        self.path = path
        self._contents = contents
        self._lock = threading.RLock()
        self._images = ImageShelf(path)
        self._labels = LabelShelf(path / "labels", np.uint16)
        self._predictions = LabelShelf(path / "predictions", np.uint32)

    # ---------------------------------------------------------------- the folder
    @classmethod
    def create(cls, path: str | Path, task: str = "semantic") -> Self:
        """Make a new project in a folder that is empty or does not exist.

        Parameters
        ----------
        path : str or Path
            The folder.
        task : str, optional
            ``semantic`` or ``instance``.

        Returns
        -------
        Project
            The project.
        """
        path = Path(path)
        with storage_errors(path):
            taken = path.is_file() or (path.is_dir() and any(not p.name.startswith(".") for p in path.iterdir()))
        if taken:
            raise ProjectError(f"{path} is not empty", "A new project needs a folder of its own", "Choose another name")
        contents = Contents(task)
        contents.write(path)
        return cls(path, contents)

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Open an existing project.

        Parameters
        ----------
        path : str or Path
            The folder.

        Returns
        -------
        Project
            The project.
        """
        return cls(Path(path), Contents.read(Path(path)))

    @classmethod
    def open_or_create(cls, path: str | Path, task: str = "semantic") -> Self:
        """Open the project at a path, or make one there.

        Parameters
        ----------
        path : str or Path
            The folder.
        task : str, optional
            Task of a new project.

        Returns
        -------
        Project
            The project.
        """
        return cls.open(path) if (Path(path) / FILE).exists() else cls.create(path, task)

    def _change(self, **values: Any) -> None:
        """Write the changed contents; memory follows only after the disk has them."""
        with self._lock:
            changed = replace(self._contents, **values)
            changed.write(self.path)
            self._contents = changed

    # ---------------------------------------------------------------- what it says
    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.path.resolve().name

    @property
    def task(self) -> str:
        """``semantic`` or ``instance``."""
        return self._contents.task

    @property
    def classes(self) -> tuple[LabelClass, ...]:
        """The classes, by value; class 1 is the background."""
        return self._contents.classes

    @property
    def images(self) -> tuple[ImageEntry, ...]:
        """The images."""
        return self._contents.images

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

    def set_classes(self, classes: Iterable[LabelClass]) -> None:
        """Replace the class table.

        Parameters
        ----------
        classes : iterable of LabelClass
            Unique values from 1 on.
        """
        ordered = tuple(sorted(classes, key=lambda c: c.value))
        values = [c.value for c in ordered]
        if len(set(values)) != len(values) or any(v < 1 for v in values):
            raise LabelError(f"The class values are {values}", "Each is a different whole number from 1 on")
        self._change(classes=ordered)

    # ---------------------------------------------------------------- images
    def entry(self, id: str) -> ImageEntry:
        """Find one image by its id.

        Parameters
        ----------
        id : str
            The id.

        Returns
        -------
        ImageEntry
            The image's entry.
        """
        for entry in self.images:
            if entry.id == id:
                return entry
        known = ", ".join(e.id for e in self.images[:8]) or "none yet"
        raise ProjectError(f"The project has no image {id!r}", f"Its images: {known}")

    def add_file(
        self,
        path: str | Path,
        axes: str | None = None,
        *,
        spacing: tuple[float, ...] | None = None,
        unit: str | None = None,
    ) -> ImageEntry:
        """Refer to an image file; the file stays where it is and is not copied.

        Parameters
        ----------
        path : str or Path
            The file.
        axes : str, optional
            One letter an axis of its array, instead of what the file says.
        spacing : tuple of float, optional
            Pixel size ([Z,] Y, X), instead of what the file says.
        unit : str, optional
            Unit of `spacing`.

        Returns
        -------
        ImageEntry
            Its entry; the one it had, if it was added before or was moved since.
        """
        path = Path(path).resolve()
        with self._lock:
            for entry in self.images:
                if self._images.place(entry) == path:
                    return entry
            image = read_image(path, axes)
            image = replace(image, spacing=spacing or image.spacing, unit=unit or image.unit)
            return self._add(image, path, axes)

    def add_image(self, image: Image) -> ImageEntry:
        """Copy an image that exists only in memory into the project.

        Parameters
        ----------
        image : Image
            The image.

        Returns
        -------
        ImageEntry
            Its entry.
        """
        with self._lock:
            return self._add(image, None)

    def _add(self, image: Image, file: Path | None, read_as: str | None = None) -> ImageEntry:
        """Add an image, of a file or to be copied; a file that was moved keeps its id, labels and predictions."""
        moved = self._images.moved(image, self.images) if file else None
        entry = self._images.put(moved.id if moved else free_id(image.name, self.images), image, file, read_as)
        self._change(images=tuple(entry if e == moved else e for e in self.images) + (() if moved else (entry,)))
        return entry

    def image(self, id: str) -> Image:
        """Open an image; its pixels are read when they are needed.

        Parameters
        ----------
        id : str
            Its id.

        Returns
        -------
        Image
            The image.

        Raises
        ------
        ProjectError
            If its file was moved, or changed its shape since it was added.
        """
        return self._images.get(self.entry(id))

    def named(self, ids: Iterable[str] | None = None) -> list[Image]:
        """Open images under their ids, by which what is made of them is known.

        Parameters
        ----------
        ids : iterable of str, optional
            The images; all if not given.

        Returns
        -------
        list of Image
            The images, with their ids for names.
        """
        wanted = [e.id for e in self.images] if ids is None else ids
        return [replace(self.image(id), name=self.entry(id).id) for id in wanted]

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

    def write_labels(self, id: str, labels: npt.NDArray[Any], region: tuple[slice, ...] | None = None) -> None:
        """Write labels, or a part of them; only the chunks of that part are touched, each one atomically.

        Parameters
        ----------
        id : str
            Image id.
        labels : numpy.ndarray
            Whole numbers 0 to 65535: ([Z,] Y, X), or the shape of `region`.
        region : tuple of slice, optional
            Where the part belongs; all of the image if not given.
        """
        with self._lock:
            self._labels.write(self.entry(id), labels, region)

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
        with self._lock:
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
        return self._labels.planes(self.entry(id).id)

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

    def set_regions(self, id: str, regions: Iterable[Region]) -> None:
        """Replace the marked boxes of an image.

        Parameters
        ----------
        id : str
            Image id.
        regions : iterable of Region
            Boxes inside the image.
        """
        entry, found = self.entry(id), tuple(regions)
        for region in found:
            region.check(entry.shape, id)
        with self._lock:
            self._change(regions={**self._contents.regions, id: found})

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
            The round; its time is filled in.

        Returns
        -------
        Round
            The round as stored.
        """
        with self._lock:
            stored = replace(round, when=datetime.now(UTC).isoformat(timespec="seconds"))
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
        return self.rounds[-1].number + 1 if self.rounds else 1
