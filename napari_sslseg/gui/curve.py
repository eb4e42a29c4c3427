"""Curve: a small live line plot of a metric, drawn by a few lines of its own so that opening the dock stays fast."""

import math
from collections.abc import Sequence

from qtpy.QtCore import QEvent, QPointF, QRect, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QToolTip, QWidget

from napari_sslseg.gui.area import LabelFont

POINTS = 400  # more are thinned: the widget has no more pixels
LINE = "#2385d6"  # is seen on dark and on light


class Curve(QWidget):
    """One line, with its axes in words; under the pointer it says a point in full.

    Parameters
    ----------
    title : str, optional
        What is drawn, in a few words.
    better : str, optional
        Which values are better: ``lower`` or ``higher``.
    how : str, optional
        Where the values come from, one sentence without a full stop.
    parent : QWidget, optional
        The widget it lies in.
    """

    def __init__(self, title: str = "", better: str = "lower", how: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title, self._better, self._how = title, better, how
        self._points: list[tuple[float, float]] = []
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Learning curve")
        LabelFont(self)

    def sizeHint(self) -> QSize:
        """Return the size it wants.

        Returns
        -------
        QSize
            The size.
        """
        line = self.fontMetrics().height()
        return QSize(160, 2 * line + 52)

    @property
    def points(self) -> list[tuple[float, float]]:
        """The points that are drawn."""
        return self._points

    def set_points(self, points: Sequence[tuple[float, float]]) -> None:
        """Draw a curve.

        Parameters
        ----------
        points : sequence of (step, value)
            The points; values that are no numbers are left out.
        """
        kept = [(float(x), float(y)) for x, y in points if math.isfinite(y)]
        stride = math.ceil(len(kept) / POINTS) if kept else 1
        self._points = kept[::stride] + ([kept[-1]] if kept and (len(kept) - 1) % stride else [])
        self.setAccessibleDescription(self.said(kept[-1]) if kept else "")
        self.update()

    def said(self, point: tuple[float, float]) -> str:
        """Say a point in words.

        Parameters
        ----------
        point : (step, value)
            The point.

        Returns
        -------
        str
            Some short lines.
        """
        step, value = point
        first = f"{self._title}: {value:.3g} after {round(step)} steps ({self._better} is better)"
        return f"{first}\n{self._how}" if self._how else first

    def nearest(self, x: float) -> tuple[float, float] | None:
        """Find the point that is drawn above or below a place.

        Parameters
        ----------
        x : float
            The place, in pixels of the widget.

        Returns
        -------
        (step, value), optional
            The point; None where nothing is drawn.
        """
        if not self._points:
            return None
        box = self._box()
        first, last = self._points[0][0], self._points[-1][0]
        step = first + (x - box.left()) / max(box.width(), 1.0) * (last - first)
        return min(self._points, key=lambda point: abs(point[0] - step))

    def event(self, event: QEvent) -> bool:
        """Say the point under the pointer.

        Parameters
        ----------
        event : QEvent
            Any event.

        Returns
        -------
        bool
            Whether it was handled.
        """
        if event.type() == QEvent.Type.ToolTip and (point := self.nearest(event.pos().x())) is not None:
            QToolTip.showText(event.globalPos(), self.said(point), self)
            return True
        return bool(super().event(event))

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
            line = _line(self._points, self._box())
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(QColor(LINE), 1.6))
            painter.drawPolyline(line)
            painter.setBrush(QColor(LINE))
            painter.drawEllipse(line[-1] if isinstance(line, list) else line.at(line.size() - 1), 2.2, 2.2)
        if self._points:
            text.setAlpha(190)
            painter.setPen(text)
            arrow = "↓" if self._better == "lower" else "↑"
            _write(painter, self.rect().adjusted(6, 3, -6, -3), f"{self._title} ({arrow} better)", self._points)
            text.setAlpha(70)
            painter.setPen(QPen(text, 1.0))
            painter.drawLine(self._box().bottomLeft(), self._box().bottomRight())
        painter.end()

    def _box(self) -> QRectF:
        """Where the line is drawn: between the words."""
        line = self.fontMetrics().height()
        return QRectF(self.rect()).adjusted(6, line + 6, -8, -line - 6)


def _line(points: list[tuple[float, float]], box: QRectF) -> QPolygonF:
    xs, ys = zip(*points, strict=True)
    left, low = min(xs), min(ys)
    wide, high = (max(xs) - left) or 1.0, (max(ys) - low) or 1.0
    return QPolygonF(
        [
            QPointF(box.left() + (x - left) / wide * box.width(), box.bottom() - (y - low) / high * box.height())
            for x, y in points
        ]
    )


def _write(painter: QPainter, area: QRect, title: str, points: list[tuple[float, float]]) -> None:
    """Write title and latest value above the line, and beneath it from which step to which it goes."""
    right, left = Qt.AlignmentFlag.AlignRight, Qt.AlignmentFlag.AlignLeft
    top, bottom = Qt.AlignmentFlag.AlignTop, Qt.AlignmentFlag.AlignBottom
    latest, metrics = f"{points[-1][1]:.3g}", painter.fontMetrics()
    room = area.width() - metrics.horizontalAdvance(f"  {latest}")
    painter.drawText(area, left | top, metrics.elidedText(title, Qt.TextElideMode.ElideRight, room))
    painter.drawText(area, right | top, latest)
    painter.drawText(area, left | bottom, f"step {points[0][0]:.0f}")
    painter.drawText(area, right | bottom, f"step {points[-1][0]:.0f}")
