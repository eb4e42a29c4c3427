"""Light: a small dot that shows how far a step is."""

from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QWidget

from napari_sslseg.stages import Stage

COLOURS = {  # each is seen on dark and on light
    Stage.EMPTY: "#7f828a",
    Stage.READY: "#2385d6",
    Stage.WORKING: "#2385d6",
    Stage.STALE: "#b07310",
    Stage.DONE: "#33944d",
}
WORDS = {
    Stage.EMPTY: "not yet",
    Stage.READY: "ready",
    Stage.WORKING: "at work",
    Stage.STALE: "out of date",
    Stage.DONE: "done",
}


class Light(QWidget):
    """Ring (not yet), with a dot (ready), half (at work), full (done), triangle (out of date): not by colours."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._stage = Stage.EMPTY
        self.setFixedSize(14, 14)
        self.set_stage(Stage.EMPTY, "")

    @property
    def stage(self) -> Stage:
        """What it shows."""
        return self._stage

    def set_stage(self, stage: Stage, why: str) -> None:
        """Show how far a step is.

        Parameters
        ----------
        stage : Stage
            How far.
        why : str
            One sentence for the tooltip.
        """
        self._stage = stage
        self.setToolTip(why)
        self.setAccessibleName(WORDS[stage])
        self.setAccessibleDescription(why)
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the dot.

        Parameters
        ----------
        event : QPaintEvent
            The event.
        """
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colour = QColor(COLOURS[self._stage])
        box = QRectF(2, 2, 10, 10)
        painter.setPen(QPen(colour, 1.8))
        painter.setBrush(colour if self._stage in (Stage.DONE, Stage.STALE) else Qt.BrushStyle.NoBrush)
        if self._stage is Stage.STALE:
            painter.drawPolygon(QPolygonF([QPointF(7, 2), QPointF(12, 11.5), QPointF(2, 11.5)]))
        else:
            painter.drawEllipse(box)
        painter.setBrush(colour)
        if self._stage is Stage.WORKING:
            painter.drawPie(box, 90 * 16, 180 * 16)
        elif self._stage is Stage.READY:
            painter.drawEllipse(QPointF(7, 7), 1.2, 1.2)
        painter.end()
