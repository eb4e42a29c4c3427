"""Project: the folder that holds everything a user did. Image references, labels, checkpoints, rounds; written atomically."""

import json
import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import numpy as np
import zarr

from napari_sslseg.annotation import Annotation, LabelClass, Labels
from napari_sslseg.errors import LabelError, ProjectError
from napari_sslseg.image import Image
from napari_sslseg.io import read_image, stem
from napari_sslseg.io.atomic import storage_errors, write_text

FORMAT = "napari-sslseg project"
VERSION = 1
FILE = "project.json"
CHUNK = 512


@dataclass(frozen=True)
class ImageEntry:
    """One image of a project.

    Parameters
    ----------
    id : str
        Unique in the project; labels and predictions carry the same name.
    source : str
        Path of the file; relative paths are inside the project folder.
    axes : str
        Axes of the image, channels first, such as ``CZYX``.
    shape : tuple of int
        Spatial shape ([Z,] Y, X).
    channels : int
        Number of channels.
    spacing : tuple of float
        Pixel size.
    unit : str
        Unit of the spacing.
    """

    id: str
    source: str
    axes: str
    shape: tuple[int, ...]
    channels: int
    spacing: tuple[float, ...]
    unit: str


@dataclass(frozen=True)
class Round:
    """One training round and what came of it.

    Parameters
    ----------
    number : int
        1, 2, ...
    checkpoint : str
        File of the trained model, relative to the project folder.
    score : float, optional
        Mean IoU over the classes on held-out strokes; None where too few strokes were painted to hold any out.
    scores : dict of str to float
        IoU of each class by its name.
    held_out : int
        How many strokes the score rests on.
    pretrained : bool
        Whether the round started from a pretrained encoder of this project.
    pixels : int
        How many labelled pixels there were.
    steps : int
        How many steps were trained.
    seconds : float
        How long that took.
    finished : bool
        False where the user stopped it early.
    when : str
        ISO 8601 time at which it ended.
    """

    number: int
    checkpoint: str
    score: float | None
    scores: dict[str, float]
    held_out: int
    pretrained: bool
    pixels: int
    steps: int
    seconds: float
    finished: bool
    when: str = ""


@dataclass(frozen=True)
class Contents:
    """What ``project.json`` says.

    Parameters
    ----------
    task : str
        ``semantic`` or ``instance``.
    classes : tuple of LabelClass
        The classes, by value.
    images : tuple of ImageEntry
        The images.
    pretrained : str, optional
        Checkpoint of the pretrained encoder, relative to the folder.
    rounds : tuple of Round
        The training rounds so far.
    """

    task: str = "semantic"
    classes: tuple[LabelClass, ...] = (LabelClass.default(1), LabelClass.default(2))
    images: tuple[ImageEntry, ...] = ()
    pretrained: str | None = None
    rounds: tuple[Round, ...] = ()


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
        self._memory: dict[str, Image] = {}

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
        if path.is_file() or (path.is_dir() and any(path.iterdir())):
            raise ProjectError(f"{path} is not empty", "A new project needs a folder of its own", "Choose another name")
        project = cls(path, Contents(task=task))
        project._save()
        return project

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
        path = Path(path)
        file = path / FILE
        if not file.is_file():
            raise ProjectError(
                f"{path} has no {FILE}", "A project is a folder with that file", "Pretrain or train with --project to make one"
            )
        try:
            raw = json.loads(file.read_text(encoding="utf-8"))
            known = raw["format"] == FORMAT and isinstance(raw["version"], int)
        except (ValueError, KeyError, TypeError) as error:
            raise ProjectError(f"{file} cannot be read ({error})", "It must be the file this program wrote") from error
        if not known:
            raise ProjectError(f"{file} is not a {FORMAT}", f"Its format must be {FORMAT!r}")
        if raw["version"] > VERSION:
            raise ProjectError(
                f"{path} was written by a newer version (project format {raw['version']})",
                f"This version reads formats up to {VERSION}",
                "Update with: pip install -U napari-sslseg",
            )
        try:
            return cls(path, _contents(raw))
        except (KeyError, TypeError) as error:
            raise ProjectError(f"{file} lacks {error}", "It must be the file this program wrote") from error

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

    def _save(self) -> None:
        raw = {"format": FORMAT, "version": VERSION, **asdict(self._contents)}
        write_text(self.path / FILE, json.dumps(raw, indent=1, ensure_ascii=False))

    def _change(self, **values: Any) -> None:
        """Write the changed contents; memory follows only after the disk has them."""
        with self._lock:
            before = self._contents
            self._contents = replace(before, **values)
            try:
                self._save()
            except BaseException:
                self._contents = before
                raise

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
    def trained(self) -> Path | None:
        """Checkpoint of the latest round; None before training."""
        return self.path / self.rounds[-1].checkpoint if self.rounds else None

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

    def add_file(self, path: str | Path) -> ImageEntry:
        """Refer to an image file; the file stays where it is and is not copied.

        Parameters
        ----------
        path : str or Path
            The file.

        Returns
        -------
        ImageEntry
            Its entry; the one it had, if it was added before.
        """
        path = Path(path).resolve()
        for entry in self.images:
            if self._locate(entry) == path:
                return entry
        return self._add(read_image(path), str(path), stem(path))

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
        id = self._free_id(image.name)
        source = f"images/{id}.zarr"
        with storage_errors(self.path):
            array = zarr.create_array(
                self.path / source, shape=image.data.shape, dtype=image.data.dtype, chunks=_chunks(image.data.shape)
            )
            for z in range(image.planes):
                array[(slice(None), z) if image.data.ndim == 4 else slice(None)] = image.read(z)
            array.attrs.update(axes=image.axes, spacing=list(image.spacing), unit=image.unit, rgb=image.rgb)
        return self._add(image, source, id)

    def _add(self, image: Image, source: str, id: str) -> ImageEntry:
        with self._lock:
            id = self._free_id(id)
            self._memory[id] = image
            entry = ImageEntry(id, source, image.axes, image.shape, image.channels, image.spacing, image.unit)
            self._change(images=(*self.images, entry))
            return entry

    def _free_id(self, wanted: str) -> str:
        wanted = "".join(c if c.isalnum() or c in " -_." else "_" for c in wanted).strip(" .") or "image"
        taken, id, n = {e.id for e in self.images}, wanted, 2
        while id in taken:
            id, n = f"{wanted}-{n}", n + 1
        return id

    def _locate(self, entry: ImageEntry) -> Path:
        return (self.path / entry.source).resolve()

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
        """
        if id not in self._memory:
            entry = self.entry(id)
            path = self._locate(entry)
            if not path.exists():
                raise ProjectError(
                    f"The image file {path} is gone", "The project refers to it and holds no copy", "Put it back, or remove the image"
                )
            self._memory[id] = read_copy(path, id) if path.is_relative_to(self.path.resolve()) else read_image(path)
        return self._memory[id]

    # ---------------------------------------------------------------- labels
    def labelled(self) -> tuple[str, ...]:
        """List the images that have a label file, even if all was erased in it.

        Returns
        -------
        tuple of str
            Image ids.
        """
        return tuple(e.id for e in self.images if self._labels_path(e.id).exists())

    def _labels_path(self, id: str) -> Path:
        return self.path / "labels" / f"{id}.zarr"

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
        entry = self.entry(id)
        if not self._labels_path(id).exists():
            return np.zeros(entry.shape, np.uint16)
        return np.asarray(zarr.open_array(self._labels_path(id), mode="r")[...], np.uint16)

    def write_labels(self, id: str, labels: np.ndarray[Any, Any], region: tuple[slice, ...] | None = None) -> None:
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
        if labels.size and int(labels.max()) > np.iinfo(np.uint16).max:
            raise LabelError(f"The labels of {id} go up to {int(labels.max())}", "Values up to 65535 can be stored")
        self._write(self._labels_path(id), id, labels, region, "uint16")

    def _write(
        self, path: Path, id: str, labels: np.ndarray[Any, Any], region: tuple[slice, ...] | None, dtype: str
    ) -> None:
        entry = self.entry(id)
        if region is None:
            Annotation(labels).check(entry.shape, id)
        with self._lock, storage_errors(self.path):
            if not path.exists():
                zarr.create_array(path, shape=entry.shape, dtype=dtype, chunks=_chunks(entry.shape), fill_value=0)
            zarr.open_array(path, mode="r+")[region or (slice(None),) * labels.ndim] = labels.astype(dtype)

    # ---------------------------------------------------------------- predictions
    def _prediction_path(self, id: str) -> Path:
        return self.path / "predictions" / f"{id}.zarr"

    def prediction(self, id: str) -> np.ndarray[Any, Any] | None:
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
        path = self._prediction_path(id)
        return np.asarray(zarr.open_array(path, mode="r")[...]) if path.exists() else None

    def write_prediction(self, id: str, labels: np.ndarray[Any, Any], planes: tuple[int, ...] | None = None) -> None:
        """Keep the masks of an image.

        Parameters
        ----------
        id : str
            Image id.
        labels : numpy.ndarray
            ([Z,] Y, X).
        planes : tuple of int, optional
            The planes to write; all if not given.
        """
        path = self._prediction_path(id)
        if planes is None:
            self._write(path, id, labels, None, "uint32")
        else:
            for z in planes:
                self._write(path, id, labels[z : z + 1], (slice(z, z + 1), slice(None), slice(None)), "uint32")

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
        return Annotation(self.labels(id), self.task)

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
        """Append a training round.

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
            self._change(rounds=(*self.rounds, stored))
            return stored

    def next_round(self) -> int:
        """Return the number of the next round.

        Returns
        -------
        int
            1 for the first.
        """
        return self.rounds[-1].number + 1 if self.rounds else 1


def _chunks(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (1,) * (len(shape) - 2) + tuple(min(CHUNK, n) for n in shape[-2:])


def _contents(raw: dict[str, Any]) -> Contents:
    images = [dict(i, shape=tuple(i["shape"]), spacing=tuple(i["spacing"])) for i in raw["images"]]
    return Contents(
        raw["task"],
        tuple(LabelClass(**c) for c in raw["classes"]),
        tuple(ImageEntry(**i) for i in images),
        raw["pretrained"],
        tuple(Round(**r) for r in raw["rounds"]),
    )


def read_copy(path: Path, name: str) -> Image:
    """Open the copy of an image that a project keeps.

    Parameters
    ----------
    path : Path
        The zarr folder inside the project.
    name : str
        Name of the image.

    Returns
    -------
    Image
        The image, read lazily.
    """
    import dask.array

    array = zarr.open_array(path, mode="r")
    said: dict[str, Any] = dict(array.attrs)
    return Image(
        dask.array.from_zarr(array), tuple(said["spacing"]), said["unit"], name, said["axes"], bool(said["rgb"])
    )
