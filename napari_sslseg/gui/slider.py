"""Slider: a slider that says beside it what its position stands for."""

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QSlider, QWidget


class Slider(QWidget):
    """A slider and its value in words.

    Parameters
    ----------
    name : str
        What it sets, for those who hear the window.
    positions : int
        The greatest position; the least is 0.
    value : callable
        From a position to the value it stands for.
    text : callable
        From a value to words.
    """

    moved = Signal(object)  # the new value

    def __init__(
        self, name: str, positions: int, value: Callable[[int], Any], text: Callable[[Any], str], parent: QWidget
    ) -> None:
        super().__init__(parent)
        self._value, self._text = value, text
        self.slider = QSlider(Qt.Orientation.Horizontal, self)
        self.slider.setRange(0, positions)
        self.slider.setAccessibleName(name)
        self.said = QLabel(self)
        self.said.setMinimumWidth(self.said.fontMetrics().horizontalAdvance("30 000 µm²"))
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.slider, 1)
        row.addWidget(self.said)
        self.slider.valueChanged.connect(self._moved)

    def _moved(self, position: int) -> None:
        self.said.setText(self._text(self._value(position)))
        self.moved.emit(self._value(position))

    def show_value(self, value: Any) -> None:
        """Show a value without telling anybody.

        Parameters
        ----------
        value : object
            The position nearest to it is taken.
        """
        near = min(range(self.slider.maximum() + 1), key=lambda k: abs(self._value(k) - value))
        self.slider.blockSignals(True)
        self.slider.setValue(near)
        self.slider.blockSignals(False)
        self.said.setText(self._text(value))
