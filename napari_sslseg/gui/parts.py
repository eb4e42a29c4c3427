"""Parts: each object in the masks of classes in a colour of its own, in place of the colours of the classes."""

from typing import Any

import numpy as np
from napari.layers import Labels as LabelsLayer
from napari.utils.transforms import Affine

from napari_sslseg import vast
from napari_sslseg.adjusting import MOST
from napari_sslseg.errors import StoppedError
from napari_sslseg.gui import layers, masks
from napari_sslseg.gui.desk import Desk
from napari_sslseg.gui.laid import Laid
from napari_sslseg.gui.telling import tell
from napari_sslseg.gui.worker import JobWorker
from napari_sslseg.measuring import Numbered

LARGE = "This stack is large: its objects are shown plane by plane, and not in 3-D"
PLANE = "This plane is too large for its objects to be told apart, which needs all of it in memory"
NONE = "There are no masks of this plane yet: predict it first"


class Parts(Laid):
    """Asks for the objects of the plane that is looked at, one question at a time, and shows the newest answer.

    In 3-D it asks for those of the whole stack, which go through its planes.

    Parameters
    ----------
    desk : Desk
        The desk, which owns it.
    """

    role = "objects"

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._worker: JobWorker | None = None
        self._again = False
        self._shown: dict[str, Any] | None = None  # the question whose answer is shown
        self._adjusting.changed.connect(self._soon)
        dims = self._canvas.viewer.dims.events
        for event in (dims.current_step, dims.ndisplay):
            event.connect(self._soon)

    @property
    def busy(self) -> bool:
        """Whether an answer is still to come."""
        return self._worker is not None or self._later.isActive()

    @property
    def offered(self) -> bool:
        """Whether there are classes; where objects are looked for, masks show each in its own colour already."""
        project = self._session.project
        return project is None or project.task == "semantic"

    def renew(self) -> None:
        """Bring the layers into step with the masks, which make way for them."""
        self.on = self.on and self.offered
        super().renew()
        if not self.on and self._worker is not None:
            self._worker.quit()
        self._replace()

    def _replace(self) -> None:
        """Let masks make way where their objects are shown."""
        if self._canvas.alive:
            self._canvas.make_way("objects", self.on and self._session.current in self._laid)

    def take_off(self, id: str) -> None:
        """Take the layer of an image away.

        Parameters
        ----------
        id : str
            The image.
        """
        self._shown = None
        super().take_off(id)

    # ---------------------------------------------------------------- question and answer
    def lay(self) -> None:
        """Ask for the objects of what is looked at, now or once the question under way is answered."""
        project, id, z = self._session.project, self._session.current, self._plane()
        if self._worker is not None:
            self._again = True
            return
        self._again = False
        if project is None or id is None or self._session.running == "result":
            return  # it is asked again when these masks are there
        shape = project.entry(id).shape
        if (z is None and np.prod(shape, dtype=np.int64) > MOST) or vast.large(shape[-2:]):
            self.said = PLANE if vast.large(shape[-2:]) else LARGE
            if id in self._laid:
                self.take_off(id)
            return
        asked = {"id": id, "z": z, **self._adjusting.asked}
        if asked == self._shown and id in self._laid:
            return
        refiner = self._adjusting.refiner
        self._worker = JobWorker(lambda stop: refiner.number(project, stop=stop, **asked))
        self._worker.returned.connect(lambda found: self._returned(asked, found))
        self._worker.errored.connect(self._errored)
        self._worker.start()

    def _plane(self) -> int | None:
        """The plane that is looked at; None for all in 3-D."""
        layer, ndisplay = self._adjusting.masks(), self._canvas.viewer.dims.ndisplay
        return None if layer is not None and layer.ndim == 3 == ndisplay else self._adjusting.plane()

    def _returned(self, asked: dict[str, Any], found: Numbered | None) -> None:
        self._worker = None
        if self._again:
            self.renew()
        elif self.on and asked["id"] == self._session.current and self._adjusting.masks() is not None:
            self._shown, self.said = asked, NONE if found is None else ""
            if found is not None:
                self._show(asked["id"], asked["z"], found)
            elif asked["id"] in self._laid:
                self.take_off(asked["id"])
            self._replace()
            self.changed.emit()

    def _errored(self, error: Exception) -> None:
        self._worker = None
        if self.on:
            self.turn(False)
            if not isinstance(error, StoppedError):
                tell(error)

    # ---------------------------------------------------------------- the layer
    def _show(self, id: str, z: int | None, found: Numbered) -> None:
        below = self._adjusting.masks()
        assert below is not None, "asked for by the caller"
        place = layers.geometry(below)
        data = found.numbered.astype(np.uint16 if len(found.names) < 2**16 else np.uint32)
        if below.ndim == 3 and z is not None:
            data, shape = data[None], {name: place[name] for name in ("scale", "translate", "rotate", "shear")}
            place["translate"] = Affine(**shape)(np.array([z, 0, 0]))
        names = {"index": range(len(found.names) + 1), "class": ["–", *found.names]}
        if id in self._laid:
            layer: Any = self._laid[id]
            layer.data, layer.translate, layer.features = data, place["translate"], names
            return
        new = LabelsLayer(data, name=f"{id} objects", features=names, **place)
        new.editable = False
        masks.style(new, self._canvas.objects_look)
        self._put(id, new)
