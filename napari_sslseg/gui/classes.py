"""ClassTable: the classes, and what one does to them by mouse, menu and key; a row chooses what to paint with."""

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor, QContextMenuEvent, QKeyEvent
from qtpy.QtWidgets import QAbstractItemView, QColorDialog, QTableWidgetItem, QWidget

from napari_sslseg.gui.class_menu import ClassMenu
from napari_sslseg.gui.class_rows import COLOUR, NAME, ClassRows


class ClassTable(ClassRows):
    """Says what the user does to the classes; it changes nothing itself."""

    chosen = Signal(int)  # value
    renamed = Signal(int, str)
    recoloured = Signal(int, str)
    removed = Signal(int)
    merged = Signal(int, int)  # the class that goes, and the one that gets its pixels
    entered = Signal(int)  # paint with it now

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.currentCellChanged.connect(self._row_changed)
        self.itemChanged.connect(self._edited)
        self.cellDoubleClicked.connect(self._double_clicked)

    def _row_changed(self, row: int, *_: int) -> None:
        if 0 <= row < len(self._values):
            self.chosen.emit(self._values[row])

    def _edited(self, item: QTableWidgetItem) -> None:
        if item.column() == NAME:
            self.renamed.emit(self._values[item.row()], item.text())

    def _double_clicked(self, row: int, column: int) -> None:
        if column == COLOUR:
            self.choose_colour(row)

    # ---------------------------------------------------------------- what a row offers
    def rename(self, row: int) -> None:
        """Let the user type another name.

        Parameters
        ----------
        row : int
            The class.
        """
        self.setCurrentCell(row, NAME)
        self.editItem(self.item(row, NAME))

    def choose_colour(self, row: int) -> None:
        """Let the user choose another colour.

        Parameters
        ----------
        row : int
            The class.
        """
        known = self._classes[row]
        colour = QColorDialog.getColor(QColor(known.colour), self, f"Colour of {known.name}")
        if colour.isValid():
            self.recoloured.emit(known.value, colour.name())

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Offer what can be done with a class, at the mouse or, by key, at the chosen row."""
        if event.reason() == QContextMenuEvent.Reason.Keyboard:
            self.offer()
        elif 0 <= (row := self.rowAt(event.pos().y())) < len(self._classes):
            self.open_menu(row).popup(event.globalPos())

    def offer(self) -> None:
        """Offer what can be done with the chosen class."""
        if 0 <= (row := self.currentRow()) < len(self._classes):
            below = self.visualItemRect(self.item(row, NAME)).bottomLeft()
            self.open_menu(row).popup(self.viewport().mapToGlobal(below))

    def open_menu(self, row: int) -> ClassMenu:
        """Make the menu of a row.

        Parameters
        ----------
        row : int
            The class.

        Returns
        -------
        ClassMenu
            The menu, not shown yet.
        """
        known = self._classes[row]
        menu = ClassMenu(known, [c for c in self._classes if c is not known], self._losable, self)
        menu.rename.triggered.connect(lambda: self.rename(row))
        menu.recolour.triggered.connect(lambda: self.choose_colour(row))
        menu.remove.triggered.connect(lambda: self.removed.emit(known.value))
        menu.chosen.connect(lambda into: self.merged.emit(known.value, into))
        return menu

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Serve the keys of the table; digits and letters go on to napari, where they choose classes."""
        row, key = self.currentRow(), event.key()
        editing = self.state() == QAbstractItemView.State.EditingState
        if editing or row < 0:
            super().keyPressEvent(event)
        elif key == Qt.Key.Key_F2:
            self.rename(row)
        elif key in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace) and self._losable:
            self.removed.emit(self._values[row])
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.currentColumn() == COLOUR:
            self.choose_colour(row)
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.entered.emit(self._values[row])
        elif event.text().isprintable() and event.text():
            event.ignore()
        else:
            super().keyPressEvent(event)
