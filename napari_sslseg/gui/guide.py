"""Guide: takes the user to the parts of images where painting is worth most, one after the other."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from napari.layers import Shapes
from qtpy.QtCore import QObject, Signal

from napari_sslseg.contents import Round
from napari_sslseg.gui import layers, marks
from napari_sslseg.gui.canvas import Canvas
from napari_sslseg.suggesting import Suggestion

AROUND = 0.7  # how much of the view a part fills
COLOUR = "#ffd400"


class Guide(QObject):
    """The suggestions, and which of them is looked at.

    Parameters
    ----------
    canvas : Canvas
        The layers of the viewer.
    parent : QObject
        Owner.
    """

    changed = Signal()

    def __init__(self, canvas: Canvas, parent: QObject) -> None:
        super().__init__(parent)
        self._canvas = canvas
        self._found: list[Suggestion] = []
        self._at = 0
        self._round: Round | None = None  # that the suggestions come from
        canvas.session.project_changed.connect(self.clear)
        canvas.session.images_changed.connect(self._images_changed)
        canvas.session.rounds_changed.connect(self._rounds_changed)

    @property
    def said(self) -> str:
        """Which one is looked at, such as ``2 of 8``; empty where there are none."""
        return f"{self._at + 1} of {len(self._found)}" if self._found else ""

    @property
    def more(self) -> bool:
        """Whether there is a further one."""
        return self._at + 1 < len(self._found)

    def set(self, found: Sequence[Suggestion]) -> None:
        """Take over suggestions, and go to the first.

        Parameters
        ----------
        found : sequence of Suggestion
            The best first.
        """
        self._found, self._at = list(found), 0
        self._round = self._canvas.session.needed_project.current_round
        self.step(0)

    def _rounds_changed(self) -> None:
        """Drop suggestions that came before a training."""
        project = self._canvas.session.project
        if project is not None and project.current_round != self._round:
            self.clear()

    def _images_changed(self) -> None:
        """Drop suggestions if one is of an image that was taken out."""
        project = self._canvas.session.needed_project
        if not all(project.holds(s.image) for s in self._found):
            self.clear()

    def clear(self) -> None:
        """Drop suggestions and take the box away."""
        self._found, self._at = [], 0
        self.changed.emit()
        for layer in self._boxes():
            self._canvas.viewer.layers.remove(layer)

    def step(self, by: int) -> None:
        """Go to another suggestion.

        Parameters
        ----------
        by : int
            1 for the next, -1 for the one before; at the ends nothing happens.
        """
        if 0 <= self._at + by < len(self._found):
            self._at += by
            self._show(self._found[self._at])
            self.changed.emit()

    def _show(self, suggestion: Suggestion) -> None:
        """Bring a part into view, with a box around it, ready to paint."""
        canvas, viewer = self._canvas, self._canvas.viewer
        project = canvas.session.needed_project
        canvas.look_at(suggestion.image, alone=True)
        image = layers.show_image(viewer, project, suggestion.image)[0]
        box = suggestion.box
        deep = suggestion.z if image.ndim == 3 else None
        corners = layers.corners((box.top, box.bottom), (box.left, box.right), deep)
        place = np.asarray(image.data_to_world(corners.mean(0)))
        if image.ndim == 3:
            viewer.dims.set_point(viewer.dims.ndim - 3, place[0])
        height, width = project.entry(suggestion.image).shape[-2:]
        closer = min(height / max(box.bottom - box.top, 1), width / max(box.right - box.left, 1))
        viewer.scene.camera.zoom *= max(1.0, AROUND * closer)
        viewer.scene.camera.center = (*viewer.scene.camera.center[:-2], *place[-2:])
        self._draw(corners, layers.geometry(image), suggestion)
        canvas.painting.annotate()

    def _draw(self, corners: Any, place: dict[str, Any], suggestion: Suggestion) -> None:
        viewer, project = self._canvas.viewer, self._canvas.session.needed_project
        for layer in self._boxes():
            viewer.layers.remove(layer)
        side = max(suggestion.box.bottom - suggestion.box.top, suggestion.box.right - suggestion.box.left)
        box = Shapes(
            [corners],
            shape_type="polygon",
            name="paint here",
            edge_color=COLOUR,
            face_color="transparent",
            edge_width=max(1.0, side / 100),
            metadata=marks.mark(project, suggestion.image, "suggestion"),
            **place,
        )
        viewer.add_layer(box)
        box.editable = False

    def _boxes(self) -> list[Any]:
        marked = [
            layer for layer in self._canvas.viewer.layers if (m := marks.mark_of(layer)) and m.role == "suggestion"
        ]
        return list(marked)
