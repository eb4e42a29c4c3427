"""Filling: a click inside of a painted outline paints what is unpainted there, in one step that can be undone."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from napari.layers import Labels as LabelsLayer
from qtpy.QtCore import QObject, Signal

from napari_sslseg.enclosed import enclosed
from napari_sslseg.errors import LabelError
from napari_sslseg.gui.desk import Desk
from napari_sslseg.gui.telling import telling

STILL = 4  # px of the screen: who moves the mouse further moves the image, and fills nothing


class Filling(QObject):
    """Waits for one click, and fills.

    Parameters
    ----------
    desk : Desk
        The desk; also the owner.
    """

    changed = Signal()  # it waits for a click, or no longer

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._desk = desk
        self._layer: LabelsLayer | None = None
        desk.canvas.painting.tool_changed.connect(self._tool_changed)

    @property
    def waiting(self) -> bool:
        """Whether the next click fills."""
        return self._layer is not None

    def begin(self) -> None:
        """Let the next click on the image fill; a drag still moves the image."""
        self.end()
        layer = layer_to_paint(self._desk)
        if layer is None:
            return
        layer.mode = "pan_zoom"
        layer.cursor = "cross"
        layer.mouse_drag_callbacks.append(self._pressed)
        layer.events.mode.connect(self.end)
        self._layer = layer
        self.changed.emit()

    def end(self) -> None:
        """Wait no longer."""
        layer, self._layer = self._layer, None
        if layer is not None:
            layer.mouse_drag_callbacks.remove(self._pressed)
            layer.events.mode.disconnect(self.end)
            self.changed.emit()

    def _tool_changed(self) -> None:
        if self._layer is not self._desk.canvas.painting.layer:
            self.end()

    def _pressed(self, layer: LabelsLayer, event: Any) -> Iterator[None]:
        start, still = np.asarray(event.pos), event.button == 1
        yield
        while event.type == "mouse_move":
            still &= bool(np.abs(np.asarray(event.pos) - start).max() <= STILL)
            yield
        if still:
            self.end()
            layer.mode = "paint"
            with telling():
                fill(layer, event.position, event.dims_displayed)


def layer_to_paint(desk: Desk) -> LabelsLayer | None:
    """Make the layer of the current image the active one, with a class to paint with.

    Parameters
    ----------
    desk : Desk
        The desk.

    Returns
    -------
    napari.layers.Labels or None
        The layer; None where there is no image, or nobody may paint now.
    """
    painting = desk.canvas.painting
    if painting.layer is None:
        desk.paint()
    layer = painting.layer
    if layer is None or not layer.editable:
        return None
    painting.viewer.layers.selection.active = layer
    if desk.session.chosen == 0:
        painting.choose(layer.selected_label or 1)
    return layer


def fill(layer: LabelsLayer, position: Any, displayed: Any) -> None:
    """Paint the unpainted area around a place, if an outline closes it in.

    Parameters
    ----------
    layer : napari.layers.Labels
        The layer.
    position : sequence of float
        The place in world coordinates.
    displayed : sequence of int
        The axes of the world that are looked at.

    Raises
    ------
    LabelError
        If nothing closes the area in, or it is painted already.
    """
    down, right = (axes := sorted(axis - len(position) + layer.ndim for axis in displayed))[0], axes[-1]
    if len(displayed) != 2 or down < 0:
        raise LabelError("An outline is filled in one plane", "Planes must be shown", "Go back from 3-D to 2-D")
    at = tuple(round(float(c)) for c in layer.world_to_data(position))
    if any(not 0 <= a < n for a, n in zip(at, layer.data.shape, strict=True)):
        raise LabelError("This is outside of the image", "Click inside of an outline")
    plane = np.asarray(layer.data[tuple(slice(None) if k in axes else a for k, a in enumerate(at))])
    rows, columns = enclosed(plane, at[down], at[right])
    flat = {down: rows, right: columns}
    layer.data_setitem(tuple(flat.get(k, np.full(len(rows), a)) for k, a in enumerate(at)), layer.selected_label)
