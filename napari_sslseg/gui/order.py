"""Order: the Tab key goes through the controls as the eye does, from the top down."""

from collections.abc import Iterator
from itertools import pairwise

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLayout, QScrollArea, QWidget

TAB = int(getattr(Qt.FocusPolicy.TabFocus, "value", Qt.FocusPolicy.TabFocus))


def controls(layout: QLayout) -> Iterator[QWidget]:
    """List what the Tab key can reach, in the order in which it is laid out.

    Parameters
    ----------
    layout : QLayout
        The layout.

    Yields
    ------
    QWidget
        A control.
    """
    for at in range(layout.count()):
        item = layout.itemAt(at)
        widget = item.widget() if item is not None else None
        if item is not None and item.layout() is not None:
            yield from controls(item.layout())
        elif isinstance(widget, QScrollArea):
            if widget.widget() is not None and widget.widget().layout() is not None:
                yield from controls(widget.widget().layout())
        elif widget is not None and int(getattr(widget.focusPolicy(), "value", widget.focusPolicy())) & TAB:
            yield widget
        elif widget is not None and widget.layout() is not None:
            yield from controls(widget.layout())


def set_order(widget: QWidget) -> None:
    """Let the Tab key go through a widget from the top down.

    Parameters
    ----------
    widget : QWidget
        The widget, with its layout.
    """
    for before, after in pairwise(controls(widget.layout())):
        QWidget.setTabOrder(before, after)
