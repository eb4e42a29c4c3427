"""Files behind refined masks: the masks as they were predicted, and how probable each class is."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_sslseg import vast
from napari_sslseg.instances import ObjectSize
from napari_sslseg.io import chunks
from napari_sslseg.io.atomic import remove, write_text
from napari_sslseg.job import Stop
from napari_sslseg.label_shelf import LabelShelf
from napari_sslseg.overlay import Box
from napari_sslseg.project import Project
from napari_sslseg.refining import Known

MOST = 2**29  # bytes of probabilities that are kept of one image, before they are packed

Masks = npt.NDArray[Any]


# -------------------------------------------------------------------- how probable each class is
class Shares:
    """Takes in what is predicted, image by image, and keeps it.

    Parameters
    ----------
    project : Project
        The project.
    values : sequence of int
        Value of each class.
    size : dict, optional
        Sizes of the painted objects, where objects are looked for.
    planes : dict of str to tuple of int, optional
        The planes that are predicted, by image; all of an image that is not named.
    """

    def __init__(
        self,
        project: Project,
        values: Sequence[int],
        size: dict[str, float] | None,
        planes: dict[str, tuple[int, ...]] | None,
    ) -> None:
        self._project, self._asked = project, dict(planes or {})
        self._said = {"values": [int(v) for v in values], "size": size}
        self._id: str | None = None
        self._planes: dict[int, npt.NDArray[np.uint8]] = {}  # of that image

    def take(self, id: str, z: int, top: int, band: npt.NDArray[np.floating[Any]]) -> None:
        """Take in rows of a plane; another image than before means that the one before is done.

        Parameters
        ----------
        id : str
            Image id.
        z : int
            The plane.
        top : int
            The first of the rows.
        band : numpy.ndarray
            (K, rows, X) in 0 to 1.
        """
        if id != self._id:
            self._store()
            self._id = id
        shape = self._shape(id)
        if shape[0] * shape[2] * shape[3] * self._count(id) <= MOST:
            if z not in self._planes:
                self._planes[z] = np.zeros((shape[0], *shape[2:]), np.uint8)
            self._planes[z][:, top : top + band.shape[1]] = np.rint(band * np.float32(255))

    def keep(self, id: str, planes: tuple[int, ...] | None = None) -> None:
        """Keep what was taken in of an image: its masks are new, and refined ones have no original any more.

        Parameters
        ----------
        id : str
            An image that is done.
        planes : tuple of int, optional
            Those of its planes that are done, if it was stopped; all if not given.
        """
        if planes is not None:
            self._asked[id] = planes
        if id == self._id:
            self._planes = {z: plane for z, plane in self._planes.items() if planes is None or z in planes}
            self._store()
        forget(self._project, id, None if self._all(id) else self._asked[id])

    def _shape(self, id: str) -> tuple[int, ...]:
        return (len(self._said["values"] or ()), *(1, *self._project.entry(id).shape)[-3:])

    def _count(self, id: str) -> int:
        return len(self._asked.get(id) or range(self._shape(id)[1]))

    def _all(self, id: str) -> bool:
        return self._count(id) == self._shape(id)[1]

    def _store(self) -> None:
        if self._id is None:
            return
        id, planes, self._id, self._planes = self._id, self._planes, None, {}
        place, about = _shares(self._project, id), _about(self._project, id)
        before = _read(about)
        alike = before is not None and all(before.get(k) == v for k, v in self._said.items())
        if self._all(id) or not planes or not alike:
            about.unlink(missing_ok=True)
            remove(place)
        if planes:
            if not place.exists():
                chunks.create(place, self._shape(id), np.uint8)
            for z, plane in planes.items():
                chunks.write(place, plane[:, None], (slice(None), slice(z, z + 1), slice(None), slice(None)))
            large = vast.large(self._shape(id)[1:])  # of larger ones objects are of a plane
            through = self._all(id) and not large and not self._project.entry(id).timed
            write_text(about, json.dumps({**self._said, "whole": through}))


def known(project: Project, id: str, z: int | None) -> Known:
    """Read what is known of the masks of an image or one of its planes.

    Parameters
    ----------
    project : Project
        The project.
    id : str
        Image id.
    z : int, optional
        The plane; all of a stack if not given.

    Returns
    -------
    Known
        Without probabilities where they were not kept.
    """
    entry, said, place = project.entry(id), _fitting(project, id), _shares(project, id)
    spacing = tuple(entry.spacing) if z is None else tuple(entry.spacing[-2:])
    if said is None:
        return Known(project.task, spacing, entry.unit)
    at = slice(None) if z is None else slice(z, z + 1)
    shares = chunks.read(place, (slice(None), at, slice(None), slice(None)))
    if not shares.any():
        return Known(project.task, spacing, entry.unit)
    shares = shares if z is None and len(entry.shape) == 3 else shares[:, 0]
    size = ObjectSize(**said["size"]) if said["size"] else None
    return Known(project.task, spacing, entry.unit, shares, said["values"], size)


def kept(project: Project, id: str) -> tuple[Path | None, tuple[int, ...]]:
    """Say where it is kept how probable each class is.

    Parameters
    ----------
    project : Project
        The project.
    id : str
        Image id.

    Returns
    -------
    place : Path, optional
        A zarr array (K, Z, Y, X) uint8; None where that was not kept.
    planes : tuple of int
        The planes of which it was.
    """
    place = _shares(project, id)
    return (place, chunks.planes(place)) if _fitting(project, id) is not None else (None, ())


def whole(project: Project, id: str) -> bool:
    """Tell whether the objects of an image go through all planes of a stack, since it was predicted at once.

    Parameters
    ----------
    project : Project
        The project.
    id : str
        Image id.

    Returns
    -------
    bool
        False where planes were predicted one by one, for classes, for time series, and for images of one plane.
    """
    said, entry = _read(_about(project, id)), project.entry(id)
    deep = len(entry.shape) == 3 and not entry.timed
    return deep and project.task == "instance" and said is not None and bool(said["whole"])


# -------------------------------------------------------------------- masks as they were predicted
def masks(project: Project, id: str, z: int | None = None) -> Masks | None:
    """Read masks as they were predicted.

    Parameters
    ----------
    project : Project
        The project.
    id : str
        Image id.
    z : int, optional
        The plane; all if not given.

    Returns
    -------
    numpy.ndarray, optional
        ([Z,] Y, X), or (Y, X) of a plane; None if nothing was predicted.
    """
    place, original = _used(project).place(id), _shelf(project).place(id)
    if not place.exists():
        return None
    region = _region(project, id, z)
    found = chunks.read(place, region)
    if original.exists():
        before = chunks.read(original, region)
        kept = before.any(axis=(-2, -1), keepdims=True)
        found = np.where(kept, before, found)
    return found if z is None or found.ndim == 2 else found[0]


def use(project: Project, id: str, z: int | None, refined: Masks) -> None:
    """Use refined masks instead of those predicted, which are kept.

    Parameters
    ----------
    project : Project
        The project.
    id : str
        Image id.
    z : int, optional
        The plane; all if not given.
    refined : numpy.ndarray
        The masks, of the shape that `masks` gives.
    """
    before, entry, region = masks(project, id, z), project.entry(id), _region(project, id, z)
    if before is None:
        return
    when = max(f.stat().st_mtime for f in _files(project, id, z) or _files(project, id))
    shape = tuple(len(range(*s.indices(n))) for s, n in zip(region, entry.shape, strict=True))
    _shelf(project).write(entry, before.reshape(shape), region)
    _used(project).write(entry, refined.reshape(shape), region)
    for file in _files(project, id, z):  # by these times it is known which round predicted
        if file.stat().st_mtime > when:
            os.utime(file, (when, when))


def restore(project: Project, id: str, stop: Stop) -> Iterator[float]:
    """Use the masks as they were predicted again, plane by plane.

    Parameters
    ----------
    project : Project
        The project.
    id : str
        Image id.
    stop : Stop
        To end early; the planes that are done are as they were predicted.

    Yields
    ------
    float
        The share that is done, 0 to 1.
    """
    original = _shelf(project).place(id)
    planes = chunks.planes(original) if original.exists() else ()
    for k, z in enumerate(planes):
        if stop.requested:
            return
        found = masks(project, id, z)
        if found is not None:
            use(project, id, z, found)
            _clear(original, _region(project, id, z))
        yield (k + 1) / len(planes)
    remove(original)


def forget(project: Project, id: str, planes: tuple[int, ...] | None) -> None:
    """Forget what masks were before they were refined, since others are written in their place.

    Parameters
    ----------
    project : Project
        The project.
    id : str
        Image id.
    planes : tuple of int, optional
        Their planes; all if not given.
    """
    place = _shelf(project).place(id)
    if planes is None:
        remove(place)
    for z in set(planes or ()) & set(chunks.planes(place) if place.exists() else ()):
        _clear(place, _region(project, id, z))


def refined(project: Project) -> tuple[str, ...]:
    """List the images whose refined masks are in use.

    Parameters
    ----------
    project : Project
        The project.

    Returns
    -------
    tuple of str
        Image ids.
    """
    return tuple(e.id for e in project.images if _shelf(project).place(e.id).exists())


def take_part(project: Project, id: str, z: int | None, box: Box, labels: Masks) -> None:
    """Take note that a part of a plane is predicted anew: how probable classes were in that plane is forgotten.

    Parameters
    ----------
    project : Project
        The project.
    id : str
        Image id.
    z : int, optional
        The plane; None for an image of one.
    box : Box
        The part.
    labels : numpy.ndarray
        (h, w) masks of it, which are the original ones from now on where refined ones are in use.
    """
    place, original = _shares(project, id), _shelf(project).place(id)
    if place.exists() and z is None:
        _about(project, id).unlink(missing_ok=True)
        remove(place)
    elif place.exists():
        _clear(place, (slice(None), *_region(project, id, z)))
    if original.exists() and chunks.read(original, _region(project, id, z)).any():
        chunks.write(original, labels if z is None else labels[None], (*_region(project, id, z)[:-2], *box.slices))


# -------------------------------------------------------------------- where it is
def _read(path: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return found


def _fitting(project: Project, id: str) -> dict[str, Any] | None:
    """What is said of the probabilities that are kept, if they are those of classes or objects, as is looked for."""
    said = _read(_about(project, id))
    there = said is not None and _shares(project, id).exists()
    return said if there and said is not None and bool(said["size"]) == (project.task == "instance") else None


def _shares(project: Project, id: str) -> Path:
    return project.path / "sure" / f"{id}.zarr"


def _about(project: Project, id: str) -> Path:
    return project.path / "sure" / f"{id}.json"


def _shelf(project: Project) -> LabelShelf:
    return LabelShelf(project.path / "originals", np.uint32)


def _used(project: Project) -> LabelShelf:
    return LabelShelf(project.path / "predictions", np.uint32)


def _region(project: Project, id: str, z: int | None) -> tuple[slice, ...]:
    shape = project.entry(id).shape
    every = slice(None), slice(None)
    return every if len(shape) == 2 else (slice(None) if z is None else slice(z, z + 1), *every)


def _clear(place: Path, region: tuple[slice, ...]) -> None:
    chunks.write(place, np.zeros_like(chunks.read(place, region)), region)


def _files(project: Project, id: str, z: int | None = None) -> list[Path]:
    """The files of masks; of a plane of a stack only those that it is in."""
    place, deep = _used(project).place(id), len(project.entry(id).shape) == 3
    return [f for f in (place / "c" / str(z) if deep and z is not None else place).rglob("*") if f.is_file()]
