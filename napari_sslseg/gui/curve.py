"""Curve: a small live line plot of a metric, drawn by a few lines of its own so that opening the dock stays fast."""

import math
from collections.abc import Sequence

from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

POINTS = 400  # more are thinned: the widget has no more pixels


class Curve(QWidget):
    """One line, with its latest value in words.

    Parameters
    ----------
    better : str, optional
        Which values are better: ``lower`` or ``higher``.
    parent : QWidget, optional
        The widget it lies in.
    """

    def __init__(self, better: str = "lower", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._better = better
        self._points: list[tuple[float, float]] = []
        self._name = ""
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Learning curve")

    def sizeHint(self) -> QSize:
        """Return the size it wants.

        Returns
        -------
        QSize
            The size.
        """
        return QSize(160, 64)

    @property
    def points(self) -> list[tuple[float, float]]:
        """The points that are drawn."""
        return self._points

    def set_points(self, name: str, points: Sequence[tuple[float, float]]) -> None:
        """Draw a curve.

        Parameters
        ----------
        name : str
            Name of the metric.
        points : sequence of (step, value)
            The points; values that are no numbers are left out.
        """
        kept = [(float(x), float(y)) for x, y in points if math.isfinite(y)]
        stride = math.ceil(len(kept) / POINTS) if kept else 1
        self._points = kept[::stride] + ([kept[-1]] if kept and (len(kept) - 1) % stride else [])
        self._name = name
        latest = f"{name} {kept[-1][1]:.3g} after {round(kept[-1][0])} steps" if kept else ""
        self.setToolTip(f"{latest}: the {self._better}, the better" if latest else "")
        self.setAccessibleDescription(latest)
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the curve.

        Parameters
        ----------
        event : QPaintEvent
            The event.
        """
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        text = self.palette().color(self.foregroundRole())
        faint = QColor(text)
        faint.setAlpha(28)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(faint)
        painter.drawRoundedRect(QRectF(self.rect()), 3, 3)
        if len(self._points) > 1:
            line = self._line(QRectF(self.rect()).adjusted(6, 6 + self.fontMetrics().height(), -6, -6))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(QColor("#4a9eda"), 1.6))
            painter.drawPolyline(line)
            painter.setBrush(QColor("#4a9eda"))
            painter.drawEllipse(line[-1] if isinstance(line, list) else line.at(line.size() - 1), 2.2, 2.2)
        if self._points:
            text.setAlpha(190)
            painter.setPen(text)
            label = f"{self._name} {self._points[-1][1]:.3g}"
            painter.drawText(self.rect().adjusted(6, 4, -8, -4), Qt.AlignmentFlag.AlignRight, label)
        painter.end()

    def _line(self, box: QRectF) -> QPolygonF:
        xs, ys = zip(*self._points, strict=True)
        left, low = min(xs), min(ys)
        wide, high = (max(xs) - left) or 1.0, (max(ys) - low) or 1.0
        return QPolygonF(
            [
                QPointF(box.left() + (x - left) / wide * box.width(), box.bottom() - (y - low) / high * box.height())
                for x, y in self._points
            ]
        )
