"""Measuring: the objects in masks, their sizes, places and brightnesses, as a table."""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.measure import regionprops_table

from napari_sslseg.errors import LabelError, StorageError
from napari_sslseg.image import PIXEL, flattened
from napari_sslseg.io import find_files, read_image, read_labels, stem
from napari_sslseg.io.atomic import replacing
from napari_sslseg.io.files import by_stem
from napari_sslseg.job import Job, Progress, Stop

Masks = npt.NDArray[Any]
AXES = "zyx"


@dataclass(frozen=True, eq=False)
class Table:
    """Objects, one a row.

    Parameters
    ----------
    columns : dict of str to numpy.ndarray
        Values by heading: ``object``, ``class`` where there are any, the size, the frame ``t`` of a time series from 0,
        the place, the brightness.
    boxes : numpy.ndarray
        (N, 2, D) first pixel of each, and the one after the last, in data coordinates.
    numbered : numpy.ndarray
        ([Z,] Y, X) int32: which row, from 1, each pixel belongs to; 0 for none.
    """

    columns: dict[str, npt.NDArray[Any]]
    boxes: npt.NDArray[np.int64]
    numbered: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.boxes)


class Numbered(NamedTuple):
    """Objects in masks of classes.

    `numbered` ([Z,] Y, X) int32 says which object, from 1, each pixel belongs to, 0 for none; `names` of which class
    each is.
    """

    numbered: npt.NDArray[np.int32]
    names: tuple[str, ...]


def measure_objects(
    masks: Masks,
    task: str,
    *,
    spacing: tuple[float, ...] = (),
    unit: str = "pixel",
    names: Mapping[int, str] | None = None,
    channels: Masks | None = None,
    plane: int | None = None,
    axes: str = "",
) -> Table:
    """Measure the objects in masks: of classes the connected parts, touching at corners included.

    Those of a time series are measured in each frame by themselves.

    Parameters
    ----------
    masks : numpy.ndarray
        ([Z,] Y, X): 0 nothing, 1 background, 2.. classes or objects.
    task : str
        ``semantic`` or ``instance``.
    spacing : tuple of float, optional
        Pixel size ([Z,] Y, X).
    unit : str, optional
        Its unit.
    names : mapping of int to str, optional
        Names of the classes.
    channels : numpy.ndarray, optional
        (C, [Z,] Y, X): pixels of the image, to say how bright each object is on average.
    plane : int, optional
        Which plane of a stack masks of one plane are, to say where objects are.
    axes : str, optional
        Axes of the masks, such as ``TYX`` for a time series; else they are a stack if they have three.

    Returns
    -------
    Table
        Ordered by class, number and frame; places are middles, from the first pixel of the image.
    """
    deep, spacing = masks.ndim, tuple(spacing[-masks.ndim :]) or (1.0,) * masks.ndim
    timed = int(axes.startswith("T"))
    if task == "instance":
        kinds = _values(masks)
        numbered = np.where(masks > 1, np.searchsorted(kinds, masks) + 1, 0).astype(np.int32)
        if timed:
            which, numbered = _by_frame(numbered)
            kinds = kinds[which]
    else:
        kinds, numbered = _parts(masks, timed)
    pixels = None if channels is None else np.moveaxis(channels, 0, -1).astype(np.float32, copy=False)
    found = regionprops_table(
        numbered, pixels, ("label", "area", "centroid", "bbox", *(["intensity_mean"] if pixels is not None else []))
    )
    columns: dict[str, Any] = {"object": kinds if task == "instance" else found["label"]}
    if task != "instance":
        columns["class"] = np.array([(names or {}).get(int(v), f"class {v}") for v in kinds], dtype=object)
    plain = unit in PIXEL
    name, power = ("area", "²") if deep - timed == 2 else ("volume", "³")
    size = found["area"] * (1.0 if plain else float(np.prod(spacing[timed:])))
    columns[f"{name} (px)" if plain else f"{name} ({unit}{power})"] = size
    if plane is not None and deep == 2:
        columns["plane"] = np.full(len(size), plane)
    if timed:
        columns["t"] = found["bbox-0"]
    for axis, step, k in list(zip(AXES[-deep:], spacing, range(deep), strict=True))[timed:]:
        columns[f"{axis} (px)" if plain else f"{axis} ({unit})"] = found[f"centroid-{k}"] * (1.0 if plain else step)
    for c in range(0 if pixels is None else pixels.shape[-1]):
        heading = "mean brightness" if pixels is not None and pixels.shape[-1] == 1 else f"mean of channel {c + 1}"
        columns[heading] = found[f"intensity_mean-{c}"]
    boxes = np.array([[found[f"bbox-{k + n * deep}"] for k in range(deep)] for n in (0, 1)], np.int64)
    return Table(columns, boxes.transpose(2, 0, 1), numbered)


def number_objects(masks: Masks, names: Mapping[int, str], axes: str = "") -> Numbered:
    """Number the objects in masks of classes as `measure_objects` does, and measure nothing.

    Parameters
    ----------
    masks : numpy.ndarray
        ([Z,] Y, X): 0 nothing, 1 background, 2.. classes.
    names : mapping of int to str
        Names of the classes.
    axes : str, optional
        Axes of the masks, as in `measure_objects`.

    Returns
    -------
    Numbered
        The objects.
    """
    kinds, numbered = _parts(masks, int(axes.startswith("T")))
    return Numbered(numbered, tuple(names.get(int(v), f"class {v}") for v in kinds))


def _by_frame(numbered: npt.NDArray[np.int32]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """Number what each object is in each frame: which object it is of, and the pixels of each from 1."""
    frames, there = len(numbered), numbered > 0
    codes = (numbered.astype(np.int64) - 1) * frames + np.arange(frames)[:, None, None]
    found, where = np.unique(codes[there], return_inverse=True)
    result = np.zeros_like(numbered)
    result[there] = where + 1
    return found // frames, result


def _parts(masks: Masks, timed: int = 0) -> tuple[Masks, npt.NDArray[np.int32]]:
    """The class of each connected part of a class but the first, and the parts numbered from 1."""
    numbered = np.zeros(masks.shape, np.int32)
    touching = np.ones((3,) * masks.ndim)
    if timed:  # frames before and after are no neighbours
        touching[[0, 2]] = 0
    kinds: list[int] = []
    for value in _values(masks):
        parts, count = ndimage.label(masks == value, touching)
        numbered[parts > 0] = parts[parts > 0] + len(kinds)
        kinds += [int(value)] * count
    return np.array(kinds, np.int64), numbered


def _values(masks: Masks) -> npt.NDArray[Any]:
    """The values from 2 on. Counting is faster than sorting, but takes room for every number up to the largest."""
    large = masks.max(initial=0) > masks.size
    values = np.unique(masks) if large else np.flatnonzero(np.bincount(masks.reshape(-1)))
    return values[values > 1]


def write_table(path: Path, tables: Mapping[str, Table]) -> None:
    """Write tables as one file of values separated by commas, whole or not at all.

    Parameters
    ----------
    path : Path
        The file; replaced if it exists.
    tables : mapping of str to Table
        Tables by name of their image, which becomes the first column.
    """
    headings = list(dict.fromkeys(h for t in tables.values() for h in t.columns))
    with replacing(path) as unfinished, unfinished.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", *headings])
        for name, table in tables.items():
            for row in range(len(table)):
                writer.writerow([name, *(shown(table.columns[h][row]) if h in table.columns else "" for h in headings)])


def measure_files(
    masks: Iterable[str | Path], out: Path, images: Iterable[str | Path] = (), task: str = "semantic", *, stop: Stop
) -> Job[int]:
    """Measure the objects in files of masks, and write one table of all.

    Parameters
    ----------
    masks : iterable of str or Path
        Label files and folders.
    out : Path
        The CSV file to write.
    images : iterable of str or Path, optional
        Image files and folders, of the same names; without them no brightness is measured.
    task : str, optional
        ``semantic`` or ``instance``.
    stop : Stop
        To end early; then nothing is written.

    Yields
    ------
    Event
        Progress.

    Returns
    -------
    int
        How many objects there are.

    Raises
    ------
    LabelError
        If masks have no image of their name and shape, or two files of masks have one name.
    ImageError
        If two images have one name.
    StorageError
        If the file is there already.
    """
    if out.exists():
        raise StorageError(f"{out} exists already", "Nothing is written over", "Choose another name")
    files, known = find_files(masks), by_stem(find_files(images)) if images else None
    tables: dict[str, Table] = {}
    for k, path in enumerate(files):
        if stop.requested:
            return 0
        if path.name in tables:
            raise LabelError(
                f"Two files of masks are called {path.name}",
                "The table tells objects apart by the names of their files",
                "Rename one, or write a table of each",
            )
        labels, channels = read_labels(path), None
        if known is not None and stem(path) not in known:
            raise LabelError(f"The masks {path.name} belong to no image", f"There are: {', '.join(list(known)[:8])}")
        image = read_image(path if known is None else known[stem(path)])
        labels = flattened(labels, image.shape)
        if image.shape != labels.shape:
            raise LabelError(f"The masks {path.name} have shape {labels.shape}", f"Their image has shape {image.shape}")
        if known is not None:
            channels = np.asarray(image.data)
        lying: dict[str, Any] = {"spacing": image.spacing, "unit": image.unit, "axes": image.axes[1:]}
        tables[path.name] = measure_objects(labels, task, channels=channels, **lying)
        yield Progress((k + 1) / len(files), path.name)
    write_table(out, tables)
    return sum(map(len, tables.values()))


def shown(value: Any) -> str:
    """Write a value as a table shows it.

    Parameters
    ----------
    value : object
        A name or a number.

    Returns
    -------
    str
        Numbers with six digits at most.
    """
    return str(value) if isinstance(value, str | int | np.integer) else f"{value:.6g}"


__all__ = ["Numbered", "Table", "measure_files", "measure_objects", "number_objects", "shown", "write_table"]
