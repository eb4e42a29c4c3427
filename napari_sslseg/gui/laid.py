"""Laid: a layer over the masks of the image that is looked at, which is turned on and off, and goes with the masks."""

from typing import Any, Self

from napari.layers import Layer
from qtpy.QtCore import QObject, QTimer, Signal

from napari_sslseg.gui import marks
from napari_sslseg.gui.adjusting import Adjusting
from napari_sslseg.gui.desk import Desk


class Laid(QObject):
    """Lays a layer over masks as long as it is on; who takes the layer away turns it off.

    Parameters
    ----------
    desk : Desk
        The desk, which owns it.
    """

    changed = Signal()  # it was turned on or off, or has something else to say
    role = ""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._desk, self._session, self._canvas = desk, desk.session, desk.canvas
        self._adjusting = Adjusting.of(desk)
        self.on = False
        self.said = ""  # why there is nothing to be seen, in a few words
        self._laid: dict[str, Layer] = {}  # by image
        self._later = QTimer(self)  # a layer list is not changed while it tells of a change
        self._later.setSingleShot(True)
        self._later.timeout.connect(self.renew)
        self._canvas.layers_changed.connect(self._soon)
        self._session.current_changed.connect(self._soon)
        self._session.classes_changed.connect(self._soon)
        self._session.project_changed.connect(self._project_changed)

    @classmethod
    def of(cls, desk: Desk) -> Self:
        """Return the one of a desk, which is made by whoever asks first."""
        found = desk.findChild(cls)
        return found if found is not None else cls(desk)

    @property
    def why(self) -> str:
        """Why it cannot be turned on now; nothing if it can."""
        return "" if self._adjusting.masks() is not None else "There are no masks of this image yet: predict it first"

    def turn(self, on: bool) -> None:
        """Lay the layer over masks, or take it away.

        Parameters
        ----------
        on : bool
            Whether to.
        """
        self.on = on
        self.renew()

    def leave(self) -> None:
        """Turn it off once nobody looks any more."""
        if not self._desk.shown:
            self.turn(False)

    def lay(self) -> None:
        """Show what is to be seen of the current image; its masks are there."""
        raise NotImplementedError

    def _project_changed(self) -> None:
        self._laid.clear()  # with the layers of the project before
        self.turn(False)

    def _soon(self) -> None:
        self._later.start(0)

    def renew(self) -> None:
        """Bring the layers into step with the masks."""
        self._later.stop()
        project = self._session.project
        if not self._canvas.alive or project is None:
            return
        viewer = self._canvas.viewer
        masked = {m.image for x in marks.marked(viewer, project, None, "result") if (m := marks.mark_of(x)) is not None}
        if any(id in masked and layer not in viewer.layers for id, layer in self._laid.items()):
            self.on = False
        self._laid = {id: layer for id, layer in self._laid.items() if layer in viewer.layers}
        for id in list(self._laid):
            if not self.on or id not in masked:
                self.take_off(id)
        if self.on and self._adjusting.masks() is not None:
            self.lay()
        else:
            self.said = ""
        self.changed.emit()

    def take_off(self, id: str) -> None:
        """Take the layer of an image away.

        Parameters
        ----------
        id : str
            The image.
        """
        self._canvas.viewer.layers.remove(self._laid.pop(id))

    def _put(self, id: str, layer: Any) -> None:
        """Lay a layer over the masks of an image; the brush stays in the hand."""
        viewer, project = self._canvas.viewer, self._session.needed_project
        layer.metadata = {**layer.metadata, **marks.mark(project, id, self.role)}
        under = [x for role in ("result", "probability") for x in marks.marked(viewer, project, id, role)]
        active = viewer.layers.selection.active
        self._laid[id] = layer
        viewer.layers.insert(max(viewer.layers.index(x) for x in under) + 1, layer)
        if active is not None:
            viewer.layers.selection.active = active
