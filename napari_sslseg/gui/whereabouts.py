"""Whereabouts: the image and the plane that were looked at last; a project that is opened again comes back to them."""

from typing import Any

import numpy as np
from qtpy.QtCore import QObject

from napari_sslseg.gui import layers, marks
from napari_sslseg.gui.canvas import Canvas
from napari_sslseg.gui.memory import Memory
from napari_sslseg.project import Project

PLACE = "place"  # under which it is remembered


class Whereabouts(QObject):
    """Notes what is looked at, with the project.

    Parameters
    ----------
    canvas : Canvas
        The layers.
    memory : Memory
        What the window remembers.
    parent : QObject
        Owner.
    """

    def __init__(self, canvas: Canvas, memory: Memory, parent: QObject) -> None:
        super().__init__(parent)
        self._canvas, self._session, self._memory = canvas, canvas.session, memory
        self._project: Project | None = None  # that the memory is of
        self._last: dict[str, Any] = {}  # where it was left
        memory.restored.connect(self._read)
        self._read()
        self._session.current_changed.connect(self._note)
        canvas.layers_changed.connect(self._note)
        canvas.viewer.dims.events.current_step.connect(self._note)

    def _read(self) -> None:
        self._project, self._last = self._session.project, self._memory.project.get(PLACE, {})

    def _note(self) -> None:
        project, id = self._session.project, self._session.current
        if project is None or id is None or project is not self._project or not self._canvas.alive:
            return
        if marks.marked(self._canvas.viewer, project, id, "image"):  # else it is about to be shown, or was just closed
            planes = self._canvas.current_plane()
            self._memory.keep(PLACE, {"image": id, "plane": planes[id][0] if planes else 0})

    def come_back(self) -> None:
        """Show the image of the project that was looked at last, and of a stack its plane; the first if there is none.

        What is remembered and makes no sense any more is left out.
        """
        project, id, plane = self._session.needed_project, self._last.get("image"), self._last.get("plane")
        known = isinstance(id, str) and project.holds(id)
        if known:
            self._session.select(id)
        self._canvas.show_current()
        if known and isinstance(plane, int) and len(project.entry(str(id)).shape) == 3:
            self._go(str(id), int(np.clip(plane, 0, project.entry(str(id)).shape[0] - 1)))

    def _go(self, id: str, plane: int) -> None:
        viewer = self._canvas.viewer
        layer = layers.show_image(viewer, self._session.needed_project, id)[0]
        viewer.dims.set_point(viewer.dims.ndim - 3, layer.data_to_world((plane, 0, 0))[0])
