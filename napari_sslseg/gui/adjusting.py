"""Adjusting: how the masks of a project are refined, and the masks of the plane that is looked at kept in step."""

import weakref
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from napari.layers import Labels as LabelsLayer
from qtpy.QtCore import QObject, QTimer, Signal

from napari_sslseg import originals, refinement_file, vast
from napari_sslseg.adjusting import Adjusted
from napari_sslseg.errors import StoppedError, UserError
from napari_sslseg.gui import marks, masks
from napari_sslseg.gui.desk import Desk
from napari_sslseg.gui.refiner import Refiner, RemoteRefiner
from napari_sslseg.gui.telling import tell, telling
from napari_sslseg.gui.words import explained
from napari_sslseg.gui.worker import JobWorker
from napari_sslseg.image import PIXEL
from napari_sslseg.io.on_disk import OnDisk
from napari_sslseg.project import Project
from napari_sslseg.refinement_file import Settings
from napari_sslseg.settings import AS_PREDICTED, Refinement

STACK = "This stack is large: what is set is seen once it is applied"
PLANE = "All of a plane has to be in memory to be adjusted, and this one is too large. Use a part of it as an image"
SAVED = 400  # ms without a change after which what is set is written


@dataclass
class Layer:
    """How the planes of a layer of masks are refined: those noted, and all others; None where it is not known."""

    others: Refinement | None
    planes: dict[int, Refinement] = field(default_factory=dict)


class Adjusting(QObject):
    """Asks for refined masks after each change and each move, one question at a time, and shows the newest answer.

    Parameters
    ----------
    desk : Desk
        The desk, which owns it.
    refiner : Refiner, optional
        What refines; the real one if not given.
    """

    changed = Signal()  # what is set, or what is said of it
    shown = Signal()  # the masks of a plane are others now

    def __init__(self, desk: Desk, refiner: Refiner | None = None) -> None:
        super().__init__(desk)
        self._desk, self._session, self._canvas = desk, desk.session, desk.canvas
        self.refiner: Refiner = refiner or RemoteRefiner()
        self.settings = Settings()
        self.sure: bool | None = None  # whether masks can be made surer; None while that is not known
        self.said = ""
        self.scale = (1.0, "px")  # area or volume of a pixel of the current image, and its unit
        self._watched = False
        self._project: Project | None = None  # that the settings are of
        self._layers: weakref.WeakKeyDictionary[LabelsLayer, Layer] = weakref.WeakKeyDictionary()
        self._version, self._again = 0, False
        self._worker: JobWorker | None = None
        self._kept: Refinement | None = None  # what is on the disk since the job that now ends
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(SAVED)
        self._later.timeout.connect(self.flush)
        self._canvas.viewer.dims.events.current_step.connect(self.ask)
        self._session.current_changed.connect(self._current_changed)
        self._session.project_changed.connect(self._project_changed)
        self._session.activity_changed.connect(self._activity_changed)
        self._canvas.layers_changed.connect(self.ask)
        desk.closed.connect(self.close)
        self._project_changed()

    @classmethod
    def of(cls, desk: Desk) -> "Adjusting":
        """Return the one of a desk, which is made by whoever asks first."""
        found = desk.findChild(cls)
        return found if found is not None else cls(desk)

    # ---------------------------------------------------------------- what is set
    def set(self, **changes: Any) -> None:
        """Refine masks in another way from now on; what is on the disk stays as it is until `keep`."""
        self._take(replace(self.settings, shown=replace(self.settings.shown, **changes)))
        self.ask()

    def _take(self, settings: Settings) -> None:
        if settings != self.settings:
            self.settings = settings
            self._later.start()
            self.changed.emit()

    def flush(self) -> None:
        """Write what is set, if it is not written yet."""
        if self._later.isActive():
            self._later.stop()
        if self._project is not None and refinement_file.read(self._project) != self.settings:
            with telling():
                refinement_file.write(self._project, self.settings)

    def keep(self) -> None:
        """Use all masks refined from now on, or, if nothing is set, as they were predicted."""
        project, settings = self._session.project, self.settings.shown
        if project is None or self._session.running is not None:
            return

        def done(images: int) -> str:
            stopped = self._session.activities["result"].stopping
            self._kept = None if stopped else settings
            self._take(replace(self.settings, kept=self._kept))
            return "The masks are as they were predicted" if settings == AS_PREDICTED else "All masks are adjusted"

        self._take(replace(self.settings, kept=None))
        self._desk.run("result", lambda stop: self.refiner.everything(project, settings=settings, stop=stop), done)

    def reset(self) -> None:
        """Show the masks as they were predicted again, and use these."""
        kept = self.settings.kept
        self.set(**AS_PREDICTED.to_dict())
        if kept != AS_PREDICTED:
            self.keep()

    # ---------------------------------------------------------------- what is looked at
    def watch(self, on: bool) -> None:
        """Tell whether somebody sees what is set, and so what can be set."""
        self._watched = on
        if on:
            self.refiner.start()
            self.ask()

    def plane(self) -> int:
        """Return the plane of the masks that is looked at."""
        layer = self.masks()
        if layer is None or layer.ndim == 2:
            return 0
        z = round(float(layer.world_to_data(self._canvas.viewer.dims.point)[0]))
        return int(np.clip(z, 0, layer.data.shape[0] - 1))

    @property
    def whole(self) -> bool:
        """Whether the objects of the current image go through all planes of a stack."""
        project, id = self._session.project, self._session.current
        return project is not None and id is not None and originals.whole(project, id)

    def _measure(self) -> tuple[float, str]:
        project, id = self._session.project, self._session.current
        if project is None or id is None:
            return 1.0, "px"
        entry = project.entry(id)
        if entry.unit in PIXEL:
            return 1.0, "px"
        sides = entry.spacing if self.whole else entry.spacing[-2:]
        return float(np.prod(sides)), f"{entry.unit}{'²³'[len(sides) - 2]}"

    def masks(self) -> LabelsLayer | None:
        """Return the layer of masks of the current image."""
        project, id = self._session.project, self._session.current
        found = marks.marked(self._canvas.viewer, project, id, "result") if project is not None and id else []
        return found[0] if found else None

    def _project_changed(self) -> None:
        self.flush()
        self._project = self._session.project
        self.settings = refinement_file.read(self._project) if self._project is not None else Settings()
        self._current_changed()

    def _current_changed(self) -> None:
        self.sure, self.said, self.scale = None, "", self._measure()
        self.changed.emit()
        self.ask()

    def _activity_changed(self, step: str) -> None:
        if step != "result" or self._session.running is not None:
            self.changed.emit()
            return
        self._version += 1
        plain = self.settings == Settings()
        if self._kept is None and not plain:  # some planes were predicted anew
            self._take(replace(self.settings, kept=None))
        if self._kept is None:
            for state in self._layers.values():
                state.others = AS_PREDICTED if plain else None
                state.planes.clear()
        self._kept = None
        self._read_again()
        self._current_changed()

    def _read_again(self) -> None:
        """Let masks that are read from the disk where one looks be what they are there now."""
        project = self._session.project
        if project is None or not self._canvas.alive:
            return
        masks.read_again(self._canvas.viewer, project)
        for layer in [x for x in self._layers if isinstance(x.data, OnDisk)]:
            self._layers[layer] = Layer(self.settings.kept)

    # ---------------------------------------------------------------- question and answer
    @property
    def busy(self) -> bool:
        """Whether an answer is still to come."""
        return self._worker is not None

    @property
    def asked(self) -> dict[str, Any]:
        """What is said with each question: how masks are refined, and how new what is on the disk is."""
        return {"settings": self.settings.shown, "version": self._version}

    def ask(self) -> None:
        """Ask for the plane that is looked at, if it is not as is set, now or once the last question is answered."""
        if self._worker is not None:
            self._again = True
            return
        self._again = False
        if not self._canvas.alive or self._session.running == "result":
            return
        layer, project, id = self.masks(), self._session.project, self._session.current
        if layer is None or project is None or id is None:
            return
        z, settings = self.plane(), self.settings.shown
        state = self._layers.setdefault(layer, Layer(self.settings.kept))
        if state.planes.get(z, state.others) == settings and not (self._watched and self.sure is None):
            return
        asked = {"id": id, "z": z, **self.asked}
        self._worker = JobWorker(lambda stop: self.refiner.plane(project, stop=stop, **asked))
        self._worker.returned.connect(lambda found: self._returned(layer, asked, found))
        self._worker.errored.connect(self._errored)
        self._worker.start()

    def _returned(self, layer: LabelsLayer, asked: dict[str, Any], found: Adjusted) -> None:
        self._worker = None
        if asked["version"] == self._version and layer in self._layers and self._session.running != "result":
            self._note(layer, asked["z"], asked["settings"])
            large = ""
            if found.large:
                large = PLANE if vast.large(layer.data.shape[-2:]) else STACK
            if (self.sure, self.said) != (found.sure, large):
                self.sure, self.said = found.sure, large
                self.changed.emit()
            if found.labels is not None or isinstance(layer.data, OnDisk):
                _put(layer, asked["z"], found.labels)
                self.shown.emit()
        if self._again:
            self.ask()

    def _note(self, layer: LabelsLayer, z: int, settings: Refinement) -> None:
        state = self._layers[layer]
        if isinstance(layer.data, OnDisk):  # one plane is shown refined, and all others as they are on the disk
            state.planes.clear()
        state.planes[z] = settings

    def _errored(self, error: Exception) -> None:
        self._worker = None
        if isinstance(error, StoppedError):
            return
        if isinstance(error, UserError):
            self.said = explained(error)
            self.changed.emit()
        else:
            tell(error)

    # ---------------------------------------------------------------- the end
    def leave(self) -> None:
        """Note that a dock that showed it is gone."""
        self._watched = False
        self.rest()

    def rest(self) -> None:
        """End what refines once nobody looks; it starts again by itself."""
        if not self._desk.shown:
            self.close()

    def close(self) -> None:
        """Write what is set, and end what refines: nobody looks any more."""
        self.flush()
        if self._worker is not None:
            self._worker.quit()
        self.refiner.close()


def _put(layer: LabelsLayer, z: int, labels: Any) -> None:
    data: Any = layer.data
    if isinstance(data, OnDisk):
        data.show(z, labels)
        layer.refresh()
        return
    plane = data[z] if data.ndim == 3 else data
    if (plane != labels).any():
        plane[...] = labels
        layer.refresh()
