"""ClassRows: one row a class: colour, name, key, painted pixels."""

from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem, QWidget

from napari_sslseg.annotation import LabelClass
from napari_sslseg.gui.area import LabelFont
from napari_sslseg.gui.swatch import swatch

COLOUR, NAME, KEY, PIXELS = range(4)
ROWS = 6


class ClassRows(QTableWidget):
    """Shows classes; one row is the chosen one."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(0, 4, parent)
        LabelFont(self)
        self.setAccessibleName("Classes")
        self.setToolTip(
            "Click a class, or press its key, to paint with it. Double-click its name or colour to change it.\n"
            "Right-click to merge or remove it. Keys: ↑ ↓ choose, F2 renames, Del removes, Enter paints\n"
            "or, on the colour, changes it"
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
        self.setTabKeyNavigation(False)  # Tab goes on to the next control, arrows from class to class
        self._classes: tuple[LabelClass, ...] = ()
        self._losable = False

    @property
    def _values(self) -> list[int]:
        return [c.value for c in self._classes]

    def show_classes(
        self, classes: tuple[LabelClass, ...], painted: dict[int, int], chosen: int, *, losable: bool = False
    ) -> None:
        """Show classes.

        Parameters
        ----------
        classes : tuple of LabelClass
            The classes.
        painted : dict of int to int
            Painted pixels by value.
        chosen : int
            Value of the class to paint with.
        losable : bool, optional
            Whether there are classes enough to remove one, or to merge it into another.
        """
        self.blockSignals(True)
        self._classes, self._losable = classes, losable
        self.setRowCount(len(classes))
        for row, known in enumerate(classes):
            self._put(row, COLOUR, "", f"Colour of {known.name}; double-click to change it").setIcon(
                swatch(known.colour)
            )
            self._put(row, NAME, known.name, "Double-click to rename", editable=True)
            self._put(
                row, KEY, str(known.value) if known.value <= 9 else "", f"Press {known.value} to paint {known.name}"
            )
            pixels = painted.get(known.value, 0)
            self._put(row, PIXELS, f"{pixels:,} px" if pixels else "–", "Painted pixels in all images")
        row = self._values.index(chosen) if chosen in self._values else -1
        if row < 0:
            self.clearSelection()
        elif row != self.currentRow() or not self.selectedItems():  # else a name that is being typed would be lost
            self.selectRow(row)
        self.blockSignals(False)
        self._fit()

    def changeEvent(self, event: QEvent | None) -> None:
        """Keep the height of whole rows when the font changes."""
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.FontChange:
            self.resizeRowsToContents()
            self._fit()

    def sizeHintForColumn(self, column: int) -> int:
        """Keep pixels apart from the key, at any size of the font: 1 and 9 px are not 19 px.

        Parameters
        ----------
        column : int
            The column.

        Returns
        -------
        int
            Its width in pixels.
        """
        gap = self.fontMetrics().horizontalAdvance("M") if column == PIXELS else 0
        return super().sizeHintForColumn(column) + gap

    def _fit(self) -> None:
        height = self.rowHeight(0) if self.rowCount() else 24
        self.setFixedHeight(height * max(1, min(ROWS, self.rowCount())) + 4)

    def _put(self, row: int, column: int, text: str, tooltip: str, *, editable: bool = False) -> QTableWidgetItem:
        item = self.item(row, column)
        if item is None:
            item = QTableWidgetItem()
            self.setItem(row, column, item)
        item.setText(text)
        item.setToolTip(tooltip)
        flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
        flags = flags | Qt.ItemFlag.ItemIsEditable if editable else flags
        if item.flags() != flags:
            item.setFlags(flags)
        if column in (KEY, PIXELS):
            item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        return item
