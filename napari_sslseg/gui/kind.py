"""Kind: what an image is, open or used: its axes and its pixel size, which a guess may get wrong."""

from collections.abc import Sequence

from napari.layers import Image as ImageLayer
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QDoubleSpinBox, QFormLayout, QHBoxLayout, QLabel, QWidget

from napari_sslseg.gui import axes
from napari_sslseg.image import Image

UNITS = ("pixel", "nm", "µm", "mm")


class Kind(QWidget):
    """Shows the axes and the pixel size of an image, and says what the user changes; it changes nothing itself."""

    said = Signal(str)  # axes
    placed = Signal(object, str)  # pixel size by axis, unit

    def __init__(self) -> None:
        super().__init__()
        self.axes = QComboBox()
        self.axes.setAccessibleName("Axes")
        self.axes.setToolTip(
            "What the rows of numbers in this image are: planes in depth (Z), times (T), channels (C) or colours (S).\n"
            "If this is guessed wrong, put it right before you paint on the image"
        )
        self.axes.setMinimumContentsLength(8)
        self.axes.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.flat, self.deep, self.unit = _spin("Pixel size"), _spin("Distance of planes"), QComboBox()
        self.flat.setToolTip("How large a pixel is. Sizes in results are in this unit")
        self.deep.setToolTip("How far apart planes are")
        self.unit.addItems(list(UNITS))
        self.unit.setAccessibleName("Unit of the pixel size")
        self.unit.setToolTip("Unit of the pixel size")
        self._exact: dict[str, float] = {}
        self._form = QFormLayout(self)
        self._form.setContentsMargins(0, 0, 0, 0)
        self._form.setSpacing(3)
        self._form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        size = QHBoxLayout()
        size.addWidget(self.flat, 1)
        size.addWidget(self.unit)
        self.apart = QLabel("planes apart")
        for label, field in ((QLabel("axes"), self.axes), (QLabel("pixel size"), size), (self.apart, self.deep)):
            self._form.addRow(label, field)
        self.axes.activated.connect(lambda at: self.said.emit(str(self.axes.itemData(at))))
        self.unit.activated.connect(self._place)
        self.flat.valueChanged.connect(self._place)
        self.deep.valueChanged.connect(self._place)

    def show_layers(self, layers: Sequence[ImageLayer]) -> None:
        """Show what the layers of one image are.

        Parameters
        ----------
        layers : sequence of napari.layers.Image
            The layers; the widget is hidden where there are none.
        """
        self.setVisible(bool(layers))
        if layers:
            now, shape = axes.axes_of(layers[0]), axes.shape_of(layers[0])
            found = axes.choices(shape, single=len(layers) == 1)
            self._show(now, shape, found, *axes.place_of(layers[0], now))

    def show_image(self, image: Image) -> None:
        """Show what an image of the project is.

        Parameters
        ----------
        image : Image
            The image.
        """
        self.setVisible(True)
        array, now = axes.array_of(image)
        self._show(now, array.shape, axes.choices(array.shape), image.spacing, image.unit)

    def _show(self, now: str, shape: tuple[int, ...], found: list[str], spacing: tuple[float, ...], unit: str) -> None:
        for widget in (self.axes, self.flat, self.deep, self.unit):
            widget.blockSignals(True)
        self.axes.clear()
        for one in found if now in found else [now, *found]:
            self.axes.addItem(axes.words(one, shape), one)
        self.axes.setCurrentIndex(self.axes.findData(now))
        self.axes.setEnabled(self.axes.count() > 1)
        self._exact = {"Z": spacing[0], "Y": spacing[-2], "X": spacing[-1]}
        if self.unit.findText(unit) < 0:
            self.unit.addItem(unit)
        self.unit.setCurrentText(unit)
        self.flat.setValue(spacing[-1])
        self.deep.setValue(spacing[0])
        for widget in (self.apart, self.deep):
            widget.setVisible("Z" in now)
        for widget in (self.axes, self.flat, self.deep, self.unit):
            widget.blockSignals(False)

    def _place(self) -> None:
        wide, deep = self._value(self.flat, "X"), self._value(self.deep, "Z")
        high = self._exact["Y"] if wide == self._exact["X"] else wide
        self.placed.emit({"Z": deep, "Y": high, "X": wide}, self.unit.currentText())

    def _value(self, spin: QDoubleSpinBox, axis: str) -> float:
        """What was typed; what was shown rounded stays exact."""
        exact, shown = self._exact.get(axis, 1.0), spin.value()
        return exact if round(exact, spin.decimals()) == round(shown, spin.decimals()) else float(shown)


class Size(QDoubleSpinBox):
    """A number that is written as short as it can be."""

    def textFromValue(self, value: float) -> str:
        """Write a value without zeros behind it."""
        return f"{value:.7g}"


def _spin(name: str) -> QDoubleSpinBox:
    spin = Size()
    spin.setAccessibleName(name)
    spin.setDecimals(4)
    spin.setRange(0.0001, 1e6)
    spin.setSingleStep(0.1)
    spin.setKeyboardTracking(False)
    spin.setMinimumWidth(60)
    return spin
