"""Refiner: what changes and measures masks for the window, in a process of its own; loads no torch and no Qt."""

import threading
from typing import Any, Protocol

from napari_sslseg.adjusting import Adjusted, Adjuster, adjust_project, measure_shown
from napari_sslseg.gui.process import Call, Process
from napari_sslseg.job import Job, Progress, Stop
from napari_sslseg.measuring import Numbered, Table, number_objects
from napari_sslseg.project import Project
from napari_sslseg.settings import Refinement


class Refiner(Protocol):
    """What the window asks for: the real one in another process, or one here in tests."""

    def plane(
        self, project: Project, *, id: str, z: int, settings: Refinement, version: int, stop: Stop
    ) -> Job[Adjusted]:
        """Refine the plane that is looked at."""

    def everything(self, project: Project, *, settings: Refinement, stop: Stop) -> Job[int]:
        """Refine all masks, to stay."""

    def measure(
        self, project: Project, *, id: str, z: int | None, settings: Refinement, version: int, stop: Stop
    ) -> Job[Table | None]:
        """Measure the objects in refined masks of a plane, or of all; None where nothing was predicted."""

    def number(
        self, project: Project, *, id: str, z: int | None, settings: Refinement, version: int, stop: Stop
    ) -> Job[Numbered | None]:
        """Number the objects in refined masks of classes of a plane, or of all; None where nothing was predicted."""

    def start(self) -> None:
        """Get ready."""

    def close(self) -> None:
        """End; it may be started again."""


class RemoteRefiner:
    """The real one: asks another process, one question at a time."""

    def __init__(self) -> None:
        self._process, self._turn = Process("napari_sslseg.gui.refiner:LocalRefiner"), threading.Lock()

    def plane(self, project: Project, *, stop: Stop, **arguments: Any) -> Job[Adjusted]:
        """Refine the plane that is looked at."""
        return self._run("plane", project, stop, arguments)

    def everything(self, project: Project, *, stop: Stop, **arguments: Any) -> Job[int]:
        """Refine all masks, to stay."""
        return self._run("everything", project, stop, arguments)

    def measure(self, project: Project, *, stop: Stop, **arguments: Any) -> Job[Table | None]:
        """Measure the objects in refined masks."""
        return self._run("measure", project, stop, arguments)

    def number(self, project: Project, *, stop: Stop, **arguments: Any) -> Job[Numbered | None]:
        """Number the objects in refined masks of classes."""
        return self._run("number", project, stop, arguments)

    def _run(self, verb: str, project: Project, stop: Stop, arguments: dict[str, Any]) -> Job[Any]:
        with self._turn:
            return (yield from self._process.run(Call(verb, str(project.path.resolve()), arguments), project, stop))

    def start(self) -> None:
        """Start the process."""
        self._process.start()

    def close(self) -> None:
        """End the process."""
        self._process.close()


class LocalRefiner:
    """Refines and measures here; the other process has this one."""

    def __init__(self) -> None:
        self._adjuster = Adjuster()

    def load(self) -> None:
        """All that takes long is imported already."""

    def plane(
        self, project: Project, *, id: str, z: int, settings: Refinement, version: int, stop: Stop
    ) -> Job[Adjusted]:
        """Refine the plane that is looked at."""
        yield Progress(0.0)
        return self._adjuster.plane(project, id, z, settings, version)

    def everything(self, project: Project, *, settings: Refinement, stop: Stop) -> Job[int]:
        """Refine all masks, to stay."""
        return (yield from adjust_project(project, settings, stop=stop))

    def measure(
        self, project: Project, *, id: str, z: int | None, settings: Refinement, version: int, stop: Stop
    ) -> Job[Table | None]:
        """Measure the objects in refined masks of a plane, or of all; None where nothing was predicted."""
        yield Progress(0.0)
        masks = self._masks(project, id, z, settings, version, stop)
        return None if masks is None else measure_shown(project, id, masks, z)

    def number(
        self, project: Project, *, id: str, z: int | None, settings: Refinement, version: int, stop: Stop
    ) -> Job[Numbered | None]:
        """Number the objects in refined masks of classes of a plane, or of all; None where nothing was predicted."""
        yield Progress(0.0)
        masks = self._masks(project, id, z, settings, version, stop)
        if masks is None:
            return None
        return number_objects(masks, {c.value: c.name for c in project.classes}, project.entry(id).axes[-masks.ndim :])

    def _masks(self, project: Project, id: str, z: int | None, settings: Refinement, version: int, stop: Stop) -> Any:
        if z is None:
            return self._adjuster.everything(project, id, settings, version, stop)
        return self._adjuster.plane(project, id, z, settings, version).labels

    def start(self) -> None:
        """Nothing has to be got ready."""

    def close(self) -> None:
        """Nothing is held."""
