"""Area: scrolls the steps up and down, and is never narrower than they can be; fonts that napari forgets follow."""

from qtpy.QtCore import QEvent, QObject, QSize, Qt, QTimer
from qtpy.QtWidgets import (
    QAbstractSlider,
    QAbstractSpinBox,
    QComboBox,
    QFrame,
    QLabel,
    QScrollArea,
    QScrollBar,
    QWidget,
)

NOTCH = 120  # what Qt counts for one notch of a wheel
LINES = 3  # that one notch scrolls
SOON, MARGIN = 50, 6  # ms after which what was unfolded has its place; px left around it


class Area(QScrollArea):
    """Shows a widget as wide as itself.

    Parameters
    ----------
    inside : QWidget
        The widget.
    """

    def __init__(self, inside: QWidget) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # one scrolls by going from control to control
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidget(inside)
        for kind in (QComboBox, QAbstractSpinBox, QAbstractSlider):
            for widget in inside.findChildren(kind):
                if not isinstance(widget, QScrollBar):
                    widget.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
                    widget.installEventFilter(self)

    def minimumSizeHint(self) -> QSize:
        """Return the least width of what is inside, which changes with the font."""
        inside = self.widget()
        if inside is None:
            return super().minimumSizeHint()
        return QSize(inside.minimumSizeHint().width() + self.verticalScrollBar().sizeHint().width(), 60)

    def show_whole(self, widget: QWidget) -> None:
        """Scroll to a widget that has just been unfolded, as soon as it has its place.

        Parameters
        ----------
        widget : QWidget
            Inside of the area.
        """
        soon = QTimer(widget)
        soon.setSingleShot(True)
        soon.timeout.connect(lambda: self.ensureWidgetVisible(widget, 0, MARGIN) if widget.isVisible() else None)
        soon.timeout.connect(soon.deleteLater)
        soon.start(SOON)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Notice that what is inside wants another size, and that the wheel is to scroll and to change no value."""
        if event is not None and event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
        if event is not None and event.type() == QEvent.Type.Wheel and watched is not self.widget():
            if isinstance(watched, QWidget) and not watched.hasFocus():
                bar, turned = self.verticalScrollBar(), event.angleDelta().y() / NOTCH
                bar.setValue(bar.value() - round(turned * LINES * bar.singleStep()))
                event.accept()
                return True
            return False
        return bool(super().eventFilter(watched, event))


class LabelFont(QObject):
    """Gives a widget the font that napari gives to labels, for kinds of widgets of which it says nothing.

    Parameters
    ----------
    widget : QWidget
        The widget.
    """

    def __init__(self, widget: QWidget) -> None:
        super().__init__(widget)
        self._widget = widget
        self._label = QLabel(widget)
        self._label.hide()
        widget.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Take over the font when the style is set or changed."""
        if event is not None and event.type() in (QEvent.Type.Show, QEvent.Type.StyleChange):
            self._label.ensurePolished()
            if self._widget.font() != self._label.font():
                self._widget.setFont(self._label.font())
        return False
