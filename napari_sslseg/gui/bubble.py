"""Bubble: shows the texts of the tour beside the steps that they are about, over the window, and blocks nothing."""

from collections.abc import Callable

from qtpy.QtCore import QEvent, QObject, QPoint, QRectF, Qt
from qtpy.QtGui import QColor, QKeyEvent, QKeySequence, QPainter, QPaintEvent, QPolygonF
from qtpy.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QShortcut, QVBoxLayout, QWidget

from napari_sslseg.gui.tour import Tour
from napari_sslseg.gui.wrap import Wrap

COLOUR = "#2a5b8a"
ARROW = 10  # px
WIDTH = 24  # letters "M"


class Bubble(QFrame):
    """A text, with buttons to go on, to go back and to end the tour.

    Parameters
    ----------
    tour : Tour
        What is shown.
    dock : QWidget
        The dock; the bubble lies beside it where there is room, else on it.
    target : callable
        Takes a step and returns its widget, brought into view.
    """

    def __init__(self, tour: Tour, dock: QWidget, target: Callable[[str], QWidget]) -> None:
        super().__init__(dock)
        self.setObjectName("napari-sslseg-bubble")
        self.setStyleSheet("#napari-sslseg-bubble {background: transparent; border: none}")
        self._tour, self._dock, self._target = tour, dock, target
        self._arrow = QPoint()  # its tip
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.text.setStyleSheet("color: white; background: transparent")
        self.where = QLabel()
        self.where.setStyleSheet("color: white; background: transparent")
        self.back, self.next, self.close_ = QPushButton("Back"), QPushButton("Next"), QPushButton("End")
        self.back.setToolTip("Back to the text before")
        self.next.setToolTip("On to the next text")
        self.close_.setToolTip("End this tour (Esc); the button ? begins it again")
        whole, row = QVBoxLayout(self), QHBoxLayout()
        whole.setContentsMargins(12 + ARROW, 10, 12 + ARROW, 10)
        whole.addWidget(self.text)
        whole.addLayout(row)
        row.addWidget(self.where, 1)
        for button in (self.back, self.next, self.close_):
            row.addWidget(button)
        self.back.clicked.connect(lambda: tour.go(-1))
        self.next.clicked.connect(lambda: tour.go(1))
        self.close_.clicked.connect(tour.end)
        self._escape = QShortcut(QKeySequence("Esc"), dock)  # wherever in the window the keyboard is
        self._escape.setContext(Qt.ShortcutContext.WindowShortcut)
        self._escape.activated.connect(tour.end)
        self._escape.activatedAmbiguously.connect(tour.end)
        dock.installEventFilter(self)
        dock.destroyed.connect(self.deleteLater)  # it lies in the window by then
        tour.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show the text of the tour as it is now."""
        tour = self._tour
        self._escape.setEnabled(tour.step is not None)
        if tour.step is None:
            self.hide()
            return
        at, many = tour.place
        self.text.setText(tour.text)
        self.where.setText(f"{at} of {many}")
        self.back.setEnabled(at > 1)
        self.next.setText("Next" if at < many else "Done")
        self.setAccessibleName(f"Tour, {at} of {many}")
        for button in (self.back, self.next, self.close_):
            button.setAccessibleDescription(tour.text)
        if self.parent() is not self._dock.window():
            self.setParent(self._dock.window())
        self._put()
        self.show()
        self.raise_()
        self.next.setFocus(Qt.FocusReason.OtherFocusReason)

    def _put(self) -> None:
        """Lie left of the dock, right of it, or on it, and point at the step."""
        window, step = self._dock.window(), self._target(self._tour.step or "")
        self.text.ensurePolished()
        least = max(WIDTH * self.text.fontMetrics().horizontalAdvance("M"), self.minimumSizeHint().width())
        width = min(least, max(window.width() - 8, 1))
        self.setFixedWidth(width)
        height = self.heightForWidth(width) if self.hasHeightForWidth() else self.sizeHint().height()
        left = self._dock.mapTo(window, QPoint(0, 0)).x() if self._dock is not window else 0
        right = left + self._dock.width()
        middle = step.mapTo(window, QPoint(0, 0)).y() + 12
        top = min(max(middle - 24, 0), max(window.height() - height, 0))
        if left >= width:
            x, tip = left - width, width
        elif window.width() - right >= width:
            x, tip = right, 0
        else:
            x, tip, top = max(0, min(left, window.width() - width)), -1, min(middle + 14, window.height() - height)
        self.setGeometry(x, max(top, 0), width, height)
        self._arrow = QPoint(tip, min(max(middle - max(top, 0), ARROW + 6), height - ARROW - 6))
        self.update()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Follow the dock, and go when it goes."""
        if event is not None and self._tour.step is not None:
            if event.type() in (QEvent.Type.Resize, QEvent.Type.Move):
                self._put()
            elif event.type() == QEvent.Type.Hide:
                self._tour.end()
        return False

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """End the tour with Esc."""
        if event is not None and event.key() == Qt.Key.Key_Escape:
            self._tour.end()
        else:
            super().keyPressEvent(event)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the bubble and its arrow."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(COLOUR))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(ARROW, 0, -ARROW, 0), 8, 8)
        tip = self._arrow
        if tip.x() >= 0:
            inwards = ARROW + 1 if tip.x() == 0 else -ARROW - 1
            corners = [tip, tip + QPoint(inwards, -ARROW), tip + QPoint(inwards, ARROW)]
            painter.drawPolygon(QPolygonF([QRectF(p.x(), p.y(), 0, 0).topLeft() for p in corners]))
        painter.end()


class Offer(QWidget):
    """A line that offers the tour to those who never saw it.

    Parameters
    ----------
    tour : Tour
        The tour.
    """

    def __init__(self, tour: Tour) -> None:
        super().__init__()
        self._tour = tour
        self.yes, self.no = QPushButton("Show me how"), QPushButton("No, thanks")
        self.yes.setToolTip("Five short texts, one for each step; on a sample if no image is open")
        self.no.setToolTip("Do not ask again; the button ? shows it later")
        row = Wrap(self)
        row.setContentsMargins(6, 0, 6, 2)
        row.addWidget(QLabel("New here?"))
        row.addWidget(self.yes, 1)
        row.addWidget(self.no)
        self.yes.clicked.connect(tour.begin)
        self.no.clicked.connect(tour.decline)
        tour.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show the offer, or no longer."""
        self.setVisible(self._tour.offered)
