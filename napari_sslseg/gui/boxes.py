"""Boxes: validation boxes as rectangles on an image, kept in the project as they are drawn, moved and deleted."""

from typing import Any

import numpy as np
from napari.layers import Shapes
from qtpy.QtCore import QObject, QTimer, Signal

from napari_sslseg.errors import LabelError, UserError
from napari_sslseg.gui import layers, marks
from napari_sslseg.gui.canvas import Canvas
from napari_sslseg.regions import Region

COLOUR = "#ff5fd2"


class Boxes(QObject):
    """Keeps rectangles in the viewer and validation boxes in the project the same.

    Parameters
    ----------
    canvas : Canvas
        The layers of the viewer.
    parent : QObject
        Owner.
    """

    failed = Signal(object)  # an error while they were stored

    def __init__(self, canvas: Canvas, parent: QObject) -> None:
        super().__init__(parent)
        self._canvas = canvas
        self._drawn = QTimer(self)  # a layer is not left while it tells of a box
        self._drawn.setSingleShot(True)
        self._drawn.timeout.connect(self._back)
        self._known: dict[str, list[Region]] = {}  # what the rectangles of an image stand for in the project

    def draw(self) -> Shapes | None:
        """Let the user draw a box on the current image; those drawn before are there too.

        Returns
        -------
        napari.layers.Shapes or None
            The layer, active and ready to draw; None where there is no image.
        """
        session, viewer = self._canvas.session, self._canvas.viewer
        project, id = session.project, session.current
        if project is None or id is None:
            return None
        found = marks.marked(viewer, project, id, "validation")
        layer = found[0] if found else self._made(id)
        viewer.layers.selection.active = layer
        layer.mode = "add_rectangle"
        return layer

    def _back(self) -> None:
        """Paint on: keys choose classes again, and cannot delete the box that was just drawn."""
        if not self._canvas.alive:
            return
        layer, painted = self._layer(), self._canvas.painting.layer
        if layer is not None and painted is not None and self._canvas.viewer.layers.selection.active is layer:
            layer.mode = "select"
            self._canvas.viewer.layers.selection.active = painted

    def _made(self, id: str) -> Shapes:
        viewer, project = self._canvas.viewer, self._canvas.session.needed_project
        below = layers.show_image(viewer, project, id)[0]
        known = self._known[id] = [r for r in project.regions(id) if r.validation]
        layer = Shapes(
            [_corners(r, below.ndim) for r in known],
            ndim=below.ndim,
            shape_type="rectangle",
            features={"complete": np.array([r.complete for r in known], bool)},
            feature_defaults={"complete": False},
            name=f"{id} check boxes",
            edge_color=COLOUR,
            face_color="transparent",
            edge_width=max(1.0, min(below.data.shape[:2] if below.rgb else below.data.shape[-2:]) / 200),
            metadata=marks.mark(project, id, "validation"),
            **layers.geometry(below),
        )
        layer.events.data.connect(lambda event: self._changed(layer, id, event))
        viewer.add_layer(layer)
        return layer

    def _changed(self, layer: Shapes, id: str, event: Any) -> None:
        """Store what is drawn, once the mouse is released."""
        project, action = self._canvas.session.project, str(getattr(event, "action", "")).lower()
        if action.endswith("ing") or project is None:
            return
        if not marks.belongs(layer, project):
            return
        if layer.mode == "add_rectangle" and "added" in action:
            self._drawn.start(0)
        shape = (1, *project.entry(id).shape)[-3:]
        complete = [bool(c) for c in layer.features["complete"]]
        found = [_region(np.asarray(d), c, shape) for d, c in zip(layer.data, complete, strict=False)]
        drawn = [region for region in found if region is not None]
        if len(drawn) < len(found) and "added" in action:
            self.failed.emit(
                LabelError(
                    "This box holds no pixels of a plane of the image",
                    "A check box lies in one plane, inside of the image",
                    "Take it away, and draw it where planes are seen as they were when you painted",
                )
            )
        try:
            project.set_regions(id, drawn, self._known[id])
            self._known[id] = drawn
        except UserError as error:
            self.failed.emit(error)
        self._canvas.session.labels_changed.emit(id)

    def set_complete(self, complete: bool) -> None:
        """Say whether all in the chosen boxes, or in those drawn next, is labelled.

        Parameters
        ----------
        complete : bool
            What nobody painted in them is background then.
        """
        layer = self._layer()
        if layer is None:
            return
        features = layer.features.copy()
        features.loc[sorted(layer.selected_data) or slice(None), "complete"] = complete
        layer.features = features
        layer.feature_defaults = {"complete": complete}
        self._changed(layer, self._canvas.session.current or "", None)

    def _layer(self) -> Any:
        project, id = self._canvas.session.project, self._canvas.session.current
        found = marks.marked(self._canvas.viewer, project, id, "validation") if project and id else []
        return found[0] if found else None


def _corners(region: Region, ndim: int) -> Any:
    """Corners of a box, in the middle plane."""
    return layers.corners(region.y, region.x, None if ndim == 2 else (region.z[0] + region.z[1] - 1) // 2)


def _region(corners: Any, complete: bool, shape: tuple[int, ...]) -> Region | None:
    """The pixels of a rectangle in its plane; None outside of the image."""
    flat = corners[:, -2:] + 0.5
    low = np.maximum(np.round(flat.min(0)), 0).astype(int)
    high = np.minimum(np.round(flat.max(0)), shape[1:]).astype(int)
    z = round(float(corners[0, 0])) if corners.shape[1] == 3 else 0
    if (high <= low).any() or not 0 <= z < shape[0]:
        return None
    (y0, x0), (y1, x1) = low.tolist(), high.tolist()
    return Region((z, z + 1), (y0, y1), (x0, x1), validation=True, complete=complete)
