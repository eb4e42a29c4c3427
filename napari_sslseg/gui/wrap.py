"""Wrap: a row of widgets that goes on in a further line where the dock is too narrow for it."""

from qtpy.QtCore import QRect, QSize, Qt
from qtpy.QtWidgets import QAbstractButton, QLabel, QLayout, QLayoutItem, QWidget

GAP = 4  # px


class Wrap(QLayout):
    """Puts widgets beside each other, as many as there is room for; what is left of a line goes to its buttons.

    Parameters
    ----------
    parent : QWidget, optional
        The widget whose layout it is.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent) if parent is not None else super().__init__()
        self._items: list[QLayoutItem] = []
        self._stretched: list[QWidget] = []
        self.setContentsMargins(0, 0, 0, 0)

    def addWidget(self, widget: QWidget, stretch: int = 0) -> None:
        """Add a widget, which takes what is left of its line if it has a stretch."""
        super().addWidget(widget)
        if stretch:
            self._stretched.append(widget)

    def addItem(self, item: QLayoutItem) -> None:
        """Add an item; Qt asks for this."""
        self._items.append(item)

    def count(self) -> int:
        """Return how many items there are."""
        return len(self._items)

    def itemAt(self, at: int) -> QLayoutItem | None:
        """Return an item."""
        return self._items[at] if 0 <= at < len(self._items) else None

    def takeAt(self, at: int) -> QLayoutItem | None:
        """Take an item out."""
        return self._items.pop(at) if 0 <= at < len(self._items) else None

    def expandingDirections(self) -> Qt.Orientation:
        """Take all the width there is, and no more height than is needed."""
        return Qt.Orientation.Horizontal

    def hasHeightForWidth(self) -> bool:
        """Say that the height depends on the width."""
        return True

    def heightForWidth(self, width: int) -> int:
        """Return the height for a width."""
        return self._arrange(QRect(0, 0, width, 0), move=False)

    def sizeHint(self) -> QSize:
        """Return the size in one line."""
        shown = self._shown()
        width = sum(item.sizeHint().width() for item in shown) + GAP * max(0, len(shown) - 1)
        return self._with_margins(width, max((item.sizeHint().height() for item in shown), default=0))

    def minimumSize(self) -> QSize:
        """Return the size that the widest widget needs."""
        sizes = [(item.minimumSize().width(), item.minimumSize().height()) for item in self._shown()]
        return self._with_margins(max((w for w, _ in sizes), default=0), max((h for _, h in sizes), default=0))

    def _with_margins(self, width: int, height: int) -> QSize:
        margins = self.contentsMargins()
        return QSize(width + margins.left() + margins.right(), height + margins.top() + margins.bottom())

    def setGeometry(self, box: QRect) -> None:
        """Lay the widgets out."""
        super().setGeometry(box)
        self._arrange(box, move=True)

    def _shown(self) -> list[QLayoutItem]:
        return [item for item in self._items if not item.isEmpty()]

    def _arrange(self, box: QRect, *, move: bool) -> int:
        """Lay the widgets out in a box and return the height that they take."""
        margins = self.contentsMargins()
        box = box.marginsRemoved(margins)
        lines: list[list[QLayoutItem]] = [[]]
        used = 0
        for item in self._shown():
            width = item.sizeHint().width()
            if lines[-1] and used + GAP + width > box.width():
                lines.append([])
                used = 0
            used += width + (GAP if lines[-1] else 0)
            lines[-1].append(item)
        y = box.y()
        for line in lines:
            height = max((item.sizeHint().height() for item in line), default=0)
            if move:
                self._put(line, box, y, height)
            y += height + GAP
        return int(max(0, y - GAP - box.y()) + margins.top() + margins.bottom())

    def _put(self, line: list[QLayoutItem], box: QRect, y: int, height: int) -> None:
        left = box.width() - sum(item.sizeHint().width() for item in line) - GAP * (len(line) - 1)
        greedy = [item for item in line if item.widget() in self._stretched]
        greedy = greedy or [item for item in line if _widens(item.widget())]
        x = box.x()
        for item in line:
            width = item.sizeHint().width() + (max(left, 0) // len(greedy) if item in greedy else 0)
            high = min(height, item.sizeHint().height())
            item.setGeometry(QRect(x, y + (height - high) // 2, min(width, box.width()), high))
            x += width + GAP


def _widens(widget: QWidget) -> bool:
    """Whether a widget looks well when it is wider than it has to be."""
    return not isinstance(widget, QLabel) and not (isinstance(widget, QAbstractButton) and widget.isCheckable())
