"""Adjusting: masks of a project refined, a plane while one looks at it or all of them to stay; and measured."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from napari_sslseg import originals, vast
from napari_sslseg.job import Job, Notice, Progress, Rhythm, Stop
from napari_sslseg.measuring import Table, measure_objects
from napari_sslseg.project import Project
from napari_sslseg.refining import Known, refine
from napari_sslseg.settings import AS_PREDICTED, Refinement

MOST = 2**26  # voxels of a stack whose objects are refined while one looks
TOO_LARGE = "a plane of it is too large to be adjusted: that needs all of the plane in memory"

Masks = npt.NDArray[Any]


class Adjusted(NamedTuple):
    """Refined masks of a plane.

    `labels` (Y, X) is None where nothing was predicted, or the stack is too large to be refined while one looks, or a
    plane to be refined at all (`large`). `sure` says whether there is something from which masks can be made surer or
    less sure.
    """

    labels: Masks | None
    sure: bool
    large: bool = False


class Adjuster:
    """Refines planes that are looked at, and remembers the last one, or the stack that it is of."""

    def __init__(self) -> None:
        self._read: tuple[Any, Masks | None, Known] | None = None
        self._made: tuple[Any, Masks] | None = None

    def plane(self, project: Project, id: str, z: int, settings: Refinement, version: int) -> Adjusted:
        """Refine a plane, from the masks as they were predicted.

        Parameters
        ----------
        project : Project
            The project.
        id : str
            Image id.
        z : int
            The plane.
        settings : Refinement
            How.
        version : int
            Another number means that what is on the disk has changed.

        Returns
        -------
        Adjusted
            The refined plane.
        """
        if vast.large(project.entry(id).shape[-2:]):
            return Adjusted(None, False, True)
        through = originals.whole(project, id)
        if through and np.prod(project.entry(id).shape, dtype=np.int64) > MOST:
            return Adjusted(None, True, True)
        found, known = self._refined(project, id, None if through else z, settings, version)
        found = found[z] if found is not None and through else found
        return Adjusted(found if found is not None and found.any() else None, known.sure)

    def everything(self, project: Project, id: str, settings: Refinement, version: int, stop: Stop) -> Masks | None:
        """Refine all planes of an image.

        Parameters
        ----------
        project : Project
            The project.
        id : str
            Image id.
        settings : Refinement
            How.
        version : int
            Another number means that what is on the disk has changed.
        stop : Stop
            To end early.

        Returns
        -------
        numpy.ndarray, optional
            ([Z,] Y, X); None if nothing was predicted, or when stopped.
        """
        shape = project.entry(id).shape
        if len(shape) == 2 or originals.whole(project, id):
            return self._refined(project, id, None, settings, version)[0]
        planes = []
        for z in range(shape[0]):
            found = None if stop.requested else self._refined(project, id, z, settings, version)[0]
            if found is None:
                return None
            planes.append(found)
        return np.stack(planes)

    def _refined(
        self, project: Project, id: str, z: int | None, settings: Refinement, version: int
    ) -> tuple[Masks | None, Known]:
        what = (str(project.path), id, z, version)
        if self._read is None or self._read[0] != what:
            self._read = self._made = None
            self._read = what, originals.masks(project, id, z), originals.known(project, id, z)
        _, before, known = self._read
        if before is None:
            return None, known
        if self._made is None or self._made[0] != settings:
            self._made = settings, refine(before, settings, known)
        return self._made[1], known


def adjust_project(project: Project, settings: Refinement, *, stop: Stop | None = None) -> Job[int]:
    """Refine all masks of a project, and use these from now on; those predicted are kept, and come back by defaults.

    Parameters
    ----------
    project : Project
        The project.
    settings : Refinement
        How; the defaults bring back the masks as they were predicted.
    stop : Stop, optional
        To end early; what is refined by then stays.

    Yields
    ------
    Event
        Progress.

    Returns
    -------
    int
        How many images were gone through.
    """
    stop, rhythm, done = stop or Stop(), Rhythm(), 0
    ids = originals.refined(project) if settings == AS_PREDICTED else [e.id for e in project.images]
    for k, id in enumerate(ids):
        yield Progress(k / len(ids), id)
        if stop.requested:
            return done
        if settings != AS_PREDICTED and vast.large(project.entry(id).shape[-2:]):
            yield Notice(f"{id} is left as it is: {TOO_LARGE}.")
            continue
        plain = settings == AS_PREDICTED
        for share in originals.restore(project, id, stop) if plain else _adjust(project, id, settings, stop):
            if rhythm.due():
                yield Progress((k + share) / len(ids), id)
        done += not stop.requested
    yield Progress(1.0, "done", 0.0)
    return done


def _adjust(project: Project, id: str, settings: Refinement, stop: Stop) -> Iterator[float]:
    """Refine an image, plane by plane unless its objects go through; yields the share that is done."""
    shape = project.entry(id).shape
    planes: Sequence[int | None] = [None] if originals.whole(project, id) or len(shape) == 2 else range(shape[0])
    for k, z in enumerate(planes):
        if stop.requested:
            return
        before = originals.masks(project, id, z)
        if before is not None and before.any():
            originals.use(project, id, z, refine(before, settings, originals.known(project, id, z)))
        yield (k + 1) / len(planes)


def measure_shown(project: Project, id: str, masks: Masks, z: int | None) -> Table:
    """Measure the objects in masks of an image.

    Parameters
    ----------
    project : Project
        The project.
    id : str
        Image id.
    masks : numpy.ndarray
        (Y, X) of a plane, or all ([Z,] Y, X), as they are shown.
    z : int, optional
        The plane; all if not given.

    Returns
    -------
    Table
        Their sizes, places and brightnesses; of a time series in each frame by itself.
    """
    image, names = project.image(id), {c.value: c.name for c in project.classes}
    if z is None and len(image.shape) == 3:
        channels = np.stack([image.read(k) for k in range(image.planes)], 1)
    else:
        channels = image.read(z or 0)
    plane = z if len(image.shape) == 3 else None
    lying: dict[str, Any] = {"spacing": image.spacing, "unit": image.unit, "axes": image.axes[-masks.ndim :]}
    return measure_objects(masks, project.task, names=names, channels=channels, plane=plane, **lying)


__all__ = ["Adjusted", "Adjuster", "adjust_project", "measure_shown"]
