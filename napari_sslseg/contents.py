"""Contents: what ``project.json`` says of a project, its task, classes, images and rounds; read and written whole."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

from napari_sslseg.annotation import LabelClass
from napari_sslseg.errors import ProjectError
from napari_sslseg.io.atomic import write_text
from napari_sslseg.regions import Region

FORMAT = "napari-sslseg project"
VERSION = 1
FILE = "project.json"

T = TypeVar("T")


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
    read_as : str, optional
        Axes of the array in the file, where the user said other ones than the file does.
    """

    id: str
    source: str
    axes: str
    shape: tuple[int, ...]
    channels: int
    spacing: tuple[float, ...]
    unit: str
    read_as: str | None = None

    @property
    def timed(self) -> bool:
        """Whether it is a time series, each frame of which stands by itself."""
        return "T" in self.axes


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
    interval : tuple of float, optional
        Between which values the score lies, had other strokes been kept apart (95 %); None if that cannot be told.
    measures : dict
        More scores. Of classes: by name ``dice``, ``expected_iou`` in whole images (as `Outlook.iou`) and ``hausdorff``
        (of validation boxes, in the unit of the images), and the ``calibration_error``. Of objects: the share
        ``found``, and in validation boxes ``ap50``, ``ap`` and ``panoptic_quality``.
    kept_apart : str
        What the score rests on; only scores for which it is the same can be compared.
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
    interval: tuple[float, float] | None = None
    measures: dict[str, Any] = field(default_factory=dict)
    kept_apart: str = "strokes"

    @property
    def expected(self) -> float | None:
        """Mean IoU to be expected in whole images; None where that cannot be told, or boxes tell it."""
        found = self.measures.get("expected_iou")
        return sum(found.values()) / len(found) if found and self.kept_apart == "strokes" else None


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
    used : int, optional
        Number of the round that predicts; None for the latest.
    regions : dict of str to tuple of Region
        Boxes marked by the user, by image id.
    left : tuple of ImageEntry
        Images that were taken out; their labels are kept under their ids.
    """

    task: str = "semantic"
    classes: tuple[LabelClass, ...] = (LabelClass.default(1), LabelClass.default(2))
    images: tuple[ImageEntry, ...] = ()
    pretrained: str | None = None
    rounds: tuple[Round, ...] = ()
    used: int | None = None
    regions: dict[str, tuple[Region, ...]] = field(default_factory=dict)
    left: tuple[ImageEntry, ...] = ()

    @classmethod
    def parse(cls, text: bytes, file: Path) -> Self:
        """Take in the text of a file.

        Parameters
        ----------
        text : bytes
            What it holds.
        file : Path
            The file, for messages.

        Returns
        -------
        Contents
            What it says.

        Raises
        ------
        ProjectError
            If it is damaged, or a newer version wrote it.
        """
        try:
            raw = json.loads(text)
            if raw["format"] != FORMAT:
                raise ProjectError(f"{file} is not a {FORMAT}", f"Its format must be {FORMAT!r}")
            if int(raw["version"]) > VERSION:
                raise ProjectError(
                    f"{file.parent} was written by a newer version (project format {raw['version']})",
                    f"This version reads formats up to {VERSION}",
                    "Update with: pip install -U napari-sslseg",
                )
            return cls._from_dict(raw)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ProjectError(
                f"{file} is damaged ({type(error).__name__}: {error})",
                "It must be the file this program wrote",
                "Restore it from a backup; the labels in the folder beside it are untouched",
            ) from error

    @classmethod
    def _from_dict(cls, raw: dict[str, Any]) -> Self:
        return cls(
            raw["task"],
            tuple(LabelClass(**c) for c in raw["classes"]),
            _entries(raw["images"]),
            raw["pretrained"],
            tuple(Round(**{**r, "interval": tuple(r.get("interval") or ()) or None}) for r in raw["rounds"]),
            raw.get("used"),
            {id: tuple(Region.from_dict(r) for r in found) for id, found in raw.get("regions", {}).items()},
            _entries(raw.get("left", [])),
        )

    def text(self) -> str:
        """Say the same as text.

        Returns
        -------
        str
            What the file of the project holds.
        """
        raw = {"format": FORMAT, "version": VERSION, **vars(self)}
        return json.dumps(raw, indent=1, ensure_ascii=False, default=vars)


class ContentsFile:
    """The file of a project, which other windows and commands write too; only what is new in it is taken in.

    Parameters
    ----------
    folder : Path
        The project folder.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._known: tuple[bytes, Contents] | None = None

    def read(self) -> Contents:
        """Read it.

        Returns
        -------
        Contents
            What it says; the same object as long as it holds the same.

        Raises
        ------
        ProjectError
            If there is no such file, it is damaged, or a newer version wrote it.
        """
        try:
            text = self.path.read_bytes()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise ProjectError(
                f"{self.path.parent} has no {FILE}",
                "A project is a folder with that file",
                "Pretrain or train with --project to make one",
            ) from error
        except PermissionError as error:
            raise ProjectError(f"There is no permission to read {self.path}", "A readable project is needed") from error
        if self._known is None or self._known[0] != text:
            self._known = text, Contents.parse(text, self.path)
        return self._known[1]

    def write(self, contents: Contents) -> None:
        """Write it, whole or not at all.

        Parameters
        ----------
        contents : Contents
            What it will say.

        Raises
        ------
        StorageError
            If the disk is full or the place may not be written to.
        """
        text = contents.text()
        write_text(self.path, text)
        self._known = text.encode(), contents


def joined(now: Iterable[T], given: Iterable[T], before: Iterable[T]) -> tuple[T, ...]:
    """Make the changes of one to what another one changed meanwhile.

    Parameters
    ----------
    now : iterable
        What there is now.
    given : iterable
        What one made of it.
    before : iterable
        What it was when that one read it.

    Returns
    -------
    tuple
        What both added, without what either took away; `given` where nobody else changed anything.
    """
    now, given, before = tuple(now), tuple(given), tuple(before)
    if now == before:
        return given
    kept = (x for x in now if x in given or x not in before)
    return (*kept, *(x for x in given if x not in before and x not in now))


def _entries(raw: list[dict[str, Any]]) -> tuple[ImageEntry, ...]:
    return tuple(ImageEntry(**{**i, "shape": tuple(i["shape"]), "spacing": tuple(i["spacing"])}) for i in raw)
