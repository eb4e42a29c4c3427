"""ClassTable: one row a class: colour, name, key, painted pixels; choosing a row chooses what to paint with."""

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor, QIcon, QKeyEvent, QPixmap
from qtpy.QtWidgets import QAbstractItemView, QColorDialog, QHeaderView, QTableWidget, QTableWidgetItem, QWidget

from napari_sslseg.annotation import LabelClass

COLOUR, NAME, KEY, PIXELS = range(4)
ROWS = 6


class ClassTable(QTableWidget):
    """Shows classes and says what the user does to them; it changes nothing itself."""

    chosen = Signal(int)  # value
    renamed = Signal(int, str)
    recoloured = Signal(int, str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(0, 4, parent)
        self.setAccessibleName("Classes")
        self.setToolTip(
            "Click a class, or press its key, to paint with it. Double-click its name or colour to change it"
        )
        self.horizontalHeader().hide()
        self.verticalHeader().hide()
        self.setShowGrid(False)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)
        modes = QHeaderView.ResizeMode
        for column, mode in enumerate(
            (modes.ResizeToContents, modes.Stretch, modes.ResizeToContents, modes.ResizeToContents)
        ):
            self.horizontalHeader().setSectionResizeMode(column, mode)
        self.verticalHeader().setSectionResizeMode(modes.ResizeToContents)
        self._values: list[int] = []
        self.currentCellChanged.connect(self._row_changed)
        self.itemChanged.connect(self._edited)
        self.cellDoubleClicked.connect(self._double_clicked)

    def show_classes(self, classes: tuple[LabelClass, ...], painted: dict[int, int], chosen: int) -> None:
        """Show classes.

        Parameters
        ----------
        classes : tuple of LabelClass
            The classes.
        painted : dict of int to int
            Painted pixels by value.
        chosen : int
            Value of the class to paint with.
        """
        self.blockSignals(True)
        self._values = [c.value for c in classes]
        self.setRowCount(len(classes))
        for row, known in enumerate(classes):
            self._put(row, COLOUR, "", f"Colour of {known.name}; double-click to change it").setIcon(
                _swatch(known.colour)
            )
            self._put(row, NAME, known.name, "Double-click to rename", editable=True)
            self._put(
                row, KEY, str(known.value) if known.value <= 9 else "", f"Press {known.value} to paint {known.name}"
            )
            pixels = painted.get(known.value, 0)
            self._put(row, PIXELS, f"{pixels:,} px" if pixels else "–", "Painted pixels in all images")
        if chosen in self._values:
            self.selectRow(self._values.index(chosen))
        else:
            self.clearSelection()
        self.blockSignals(False)
        height = self.rowHeight(0) if classes else 24
        self.setFixedHeight(height * max(1, min(ROWS, len(classes))) + 4)

    def _put(self, row: int, column: int, text: str, tooltip: str, *, editable: bool = False) -> QTableWidgetItem:
        item = self.item(row, column)
        if item is None:
            item = QTableWidgetItem()
            self.setItem(row, column, item)
        item.setText(text)
        item.setToolTip(tooltip)
        flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
        item.setFlags(flags | Qt.ItemFlag.ItemIsEditable if editable else flags)
        if column in (KEY, PIXELS):
            item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        return item

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Choose with the same keys as over the image: after a rename the table has the focus.

        Parameters
        ----------
        event : QKeyEvent
            The event.
        """
        key = event.text() if event is not None else ""
        if len(key) == 1 and key in "0123456789":
            self.chosen.emit(int(key))
        else:
            super().keyPressEvent(event)

    def _row_changed(self, row: int, *_: int) -> None:
        if 0 <= row < len(self._values):
            self.chosen.emit(self._values[row])

    def _edited(self, item: QTableWidgetItem) -> None:
        if item.column() == NAME:
            self.renamed.emit(self._values[item.row()], item.text())

    def _double_clicked(self, row: int, column: int) -> None:
        if column != COLOUR:
            return
        colour = QColorDialog.getColor(parent=self, title="Colour of this class")
        if colour.isValid():
            self.recoloured.emit(self._values[row], colour.name())


def _swatch(colour: str) -> QIcon:
    pixmap = QPixmap(14, 14)
    pixmap.fill(QColor(colour))
    icon = QIcon(pixmap)
    icon.addPixmap(pixmap, QIcon.Mode.Selected)  # else the selection tints it
    return icon
