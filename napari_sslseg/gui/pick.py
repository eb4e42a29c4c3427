"""Pick: the next click into the viewer chooses a place, whatever tool is in the hand."""

from collections.abc import Iterator
from typing import Any

from qtpy.QtCore import QObject, Signal

from napari_sslseg.gui.canvas import Canvas

STILL = 4  # px: a mouse that moved further dragged the view


class Pick(QObject):
    """Waits for one click; a drag still moves the view.

    Parameters
    ----------
    canvas : Canvas
        The layers of the viewer.
    parent : QObject
        Owner.
    """

    changed = Signal()  # it waits, or no longer
    picked = Signal(object)  # a place, in the coordinates of the viewer

    def __init__(self, canvas: Canvas, parent: QObject) -> None:
        super().__init__(parent)
        self._canvas = canvas
        self._layer: Any = None  # whose tool is put down meanwhile
        self._tool: Any = None
        self.waiting = False

    def wait(self, on: bool) -> None:
        """Begin to wait for a click, or give it up.

        Parameters
        ----------
        on : bool
            Whether to wait.
        """
        if on == self.waiting or not self._canvas.alive:
            return
        viewer = self._canvas.viewer
        self.waiting = on
        if on:
            self._layer = viewer.layers.selection.active
            self._tool = getattr(self._layer, "mode", None)
            self._put_down()
            viewer.mouse_drag_callbacks.append(self._pressed)
        else:
            viewer.mouse_drag_callbacks.remove(self._pressed)
            if self._tool is not None and self._layer in viewer.layers:
                self._layer.mode = self._tool
            self._layer = self._tool = None
        self.changed.emit()

    def _put_down(self) -> None:
        if self._tool is not None:
            self._layer.mode = "pan_zoom"

    def _pressed(self, viewer: Any, event: Any) -> Iterator[None]:
        if event.button != 1:
            return
        self._put_down()  # also if another tool was taken since
        start, place = tuple(event.pos), tuple(event.position)
        yield
        while event.type == "mouse_move":
            yield
        if max(abs(a - b) for a, b in zip(event.pos, start, strict=True)) <= STILL:
            self.wait(False)
            self.picked.emit(place)
