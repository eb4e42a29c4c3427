"""What the steps lie in: rows that wrap, and an area that scrolls without changing what is under the mouse."""

from typing import Any

from qtpy.QtCore import QPoint, QPointF, QRect, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QApplication, QCheckBox, QComboBox, QPushButton, QVBoxLayout, QWidget

from napari_sslseg.gui.area import Area
from napari_sslseg.gui.order import controls
from napari_sslseg.gui.wrap import Wrap


def row(*widgets: QWidget) -> QWidget:
    """Widgets that lie in a row that wraps."""
    whole = QWidget()
    layout = Wrap(whole)
    for widget in widgets:
        layout.addWidget(widget)
    return whole


def test_a_row_goes_on_in_a_further_line_where_it_is_narrow(qtbot: Any) -> None:
    buttons = [QPushButton("a button with a text") for _ in range(3)]
    whole = row(*buttons)
    qtbot.addWidget(whole)
    one = buttons[0].sizeHint().width()
    for width, lines in ((4 * one, 1), (2 * one + 10, 2), (one + 10, 3)):
        whole.layout().setGeometry(QRect(0, 0, width, 200))
        assert len({button.y() for button in buttons}) == lines
        assert whole.heightForWidth(width) >= lines * buttons[0].sizeHint().height()
    assert whole.minimumSizeHint().width() <= one


def test_what_is_left_of_a_line_goes_to_buttons_and_not_to_boxes_to_tick(qtbot: Any) -> None:
    button, box = QPushButton("go"), QCheckBox("also")
    whole = row(button, box)
    qtbot.addWidget(whole)
    whole.layout().setGeometry(QRect(0, 0, 500, 40))
    assert box.width() == box.sizeHint().width()
    assert box.x() + box.width() == 500


def test_the_wheel_scrolls_and_changes_nothing_under_the_mouse(qtbot: Any) -> None:
    inside, box = QWidget(), QComboBox()
    box.addItems(["one", "two", "three"])
    box.setCurrentIndex(1)
    layout = QVBoxLayout(inside)
    layout.addWidget(box)
    inside.setMinimumHeight(2000)
    area = Area(inside)
    qtbot.addWidget(area)
    area.resize(200, 200)
    area.show()
    qtbot.waitUntil(lambda: area.verticalScrollBar().maximum() > 0, timeout=2000)
    box.clearFocus()  # with the keyboard on it, the wheel is meant for it
    where, none = QPointF(5, 5), QPoint()
    buttons, keys = Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier
    turned = QWheelEvent(where, where, none, QPoint(0, -120), buttons, keys, Qt.ScrollPhase.NoScrollPhase, False)
    QApplication.sendEvent(box, turned)
    assert box.currentIndex() == 1
    assert area.verticalScrollBar().value() > 0


def test_controls_are_listed_in_the_order_of_the_layout(qtbot: Any) -> None:
    last, first = QPushButton("last"), QPushButton("first")  # made in another order
    whole = row(first, last)
    qtbot.addWidget(whole)
    assert list(controls(whole.layout())) == [first, last]
