"""Object table: a dock widget that lists the objects in the masks that are shown."""

from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import QAbstractTableModel, QEvent, QModelIndex, Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from napari_sslseg.errors import UserError
from napari_sslseg.gui.desk import Desk
from napari_sslseg.gui.elided import Elided
from napari_sslseg.gui.objects import Objects
from napari_sslseg.gui.telling import tell
from napari_sslseg.measuring import Table, shown

FOLLOW = "Follow objects through all planes of the stack, and measure their volumes"
EACH = "Measure the objects of every time point, each by itself"
PREDICT = "Press “▶ This plane” in step 5 first, or wait until the table is filled"


class TableModel(QAbstractTableModel):
    """Rows of a table of objects, in the order of any column.

    Parameters
    ----------
    parent : QWidget
        Owner.
    """

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.order = np.zeros(0, np.int64)
        self._columns: list[tuple[str, Any]] = []
        self._by: tuple[int, Qt.SortOrder] | None = None

    def set_table(self, table: Table | None) -> None:
        """Show another table, in the same order as the last one.

        Parameters
        ----------
        table : Table, optional
            The objects; None for none.
        """
        self.beginResetModel()
        self._columns = list(table.columns.items()) if table is not None else []
        self.order = np.arange(len(table) if table is not None else 0)
        self.endResetModel()
        if self._by is not None:
            self.sort(*self._by)

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Return the number of objects."""
        return 0 if parent is not None and parent.isValid() else len(self.order)

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        """Return the number of columns."""
        return 0 if parent is not None and parent.isValid() else len(self._columns)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return what a cell shows."""
        value = self._columns[index.column()][1][self.order[index.row()]]
        if role == Qt.ItemDataRole.DisplayRole:
            return shown(value)
        if role == Qt.ItemDataRole.TextAlignmentRole and not isinstance(value, str):
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        return None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return the heading of a column."""
        if role != Qt.ItemDataRole.DisplayRole or orientation != Qt.Orientation.Horizontal:
            return None
        return self._columns[section][0] if section < len(self._columns) else None

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by a column."""
        self._by = column, order
        if 0 <= column < len(self._columns):
            self.layoutAboutToBeChanged.emit()
            found = np.argsort(self._columns[column][1], kind="stable")
            self.order = found if order == Qt.SortOrder.AscendingOrder else found[::-1]
            self.layoutChanged.emit()


class ObjectTable(QWidget):
    """The table, what it is of, and a button to save it.

    Parameters
    ----------
    objects : Objects
        The objects.
    """

    def __init__(self, objects: Objects) -> None:
        super().__init__()
        self._objects = objects
        self.setObjectName("napari-sslseg objects")
        self.model = TableModel(self)
        self.view = QTableView()
        self.view.setAccessibleName("Objects")
        self.view.setModel(self.model)
        self.view.setSelectionBehavior(QTableView.SelectionBehavior.SelectRows)
        self.view.setSelectionMode(QTableView.SelectionMode.SingleSelection)
        self.view.verticalHeader().hide()
        self.view.horizontalHeader().setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        self.view.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        self.view.setSortingEnabled(True)
        self.said = Elided()
        self.all_planes = QCheckBox("all planes")
        self.save = QPushButton("Save as CSV…")
        self.save.setToolTip("Save the table as a file that spreadsheets open")
        whole, row = QVBoxLayout(self), QHBoxLayout()
        whole.setContentsMargins(4, 4, 4, 4)
        row.addWidget(self.said, 1)
        row.addWidget(self.all_planes)
        row.addWidget(self.save)
        whole.addLayout(row)
        whole.addWidget(self.view, 1)
        self.save.clicked.connect(self.save_as)
        self.all_planes.toggled.connect(objects.follow)
        self.view.selectionModel().currentRowChanged.connect(self._row_changed)
        objects.changed.connect(self.refresh)
        objects.chosen_changed.connect(self._show_chosen)
        self._docked = False
        self._headings: list[str] = []
        self.destroyed.connect(lambda: objects.look(False))
        self.refresh()
        objects.look(True)

    def event(self, event: QEvent) -> bool:
        """Notice that napari closed the dock: it takes the widget out and keeps nobody to delete it.

        Parameters
        ----------
        event : QEvent
            Any event.

        Returns
        -------
        bool
            Whether it was handled.
        """
        if event.type() == QEvent.Type.ParentChange:
            if self.parent() is not None:
                self._docked = True
            elif self._docked:
                self.deleteLater()
        return bool(super().event(event))

    def refresh(self) -> None:
        """Show the objects as they are now."""
        objects = self._objects
        headings = list(objects.table.columns) if objects.table is not None else []
        self.model.set_table(objects.table)
        if headings != self._headings:
            self._headings = headings
            self.view.resizeColumnsToContents()
        self.said.setText(objects.said)
        self.all_planes.setVisible(objects.deep)
        self.all_planes.setText("all times" if objects.timed else "all planes")
        self.all_planes.setToolTip(EACH if objects.timed else FOLLOW)
        self.all_planes.blockSignals(True)
        self.all_planes.setChecked(objects.all_planes)
        self.all_planes.blockSignals(False)
        self.save.setEnabled(objects.table is not None)
        self._show_chosen()

    def _row_changed(self, now: QModelIndex) -> None:
        if now.isValid():
            self._objects.choose(int(self.model.order[now.row()]), go=True)

    def _show_chosen(self) -> None:
        chosen, selection = self._objects.chosen, self.view.selectionModel()
        selection.blockSignals(True)
        if chosen is None or chosen not in self.model.order:
            self.view.clearSelection()
        else:
            row = int(np.flatnonzero(self.model.order == chosen)[0])
            self.view.selectRow(row)
            self.view.scrollTo(self.model.index(row, 0))
        selection.blockSignals(False)
        self.view.viewport().update()

    def save_as(self) -> None:
        """Ask for a file, and save the table."""
        if self._objects.table is None:
            tell(
                UserError("There is no table of objects yet", "Masks are needed, and a moment to measure them", PREDICT)
            )
            return
        path, _ = QFileDialog.getSaveFileName(self, "Save the table", "objects.csv", "Tables (*.csv)")
        if path:
            self._objects.save(Path(path))


def show(desk: Desk) -> ObjectTable:
    """Show the table of the objects of a viewer, in a dock of its own.

    Parameters
    ----------
    desk : Desk
        The desk of the viewer.

    Returns
    -------
    ObjectTable
        The one that is open already, or a new one.
    """
    window, objects = desk.canvas.viewer.window, Objects.of(desk)
    for widget in window.dock_widgets.values():
        if isinstance(widget, ObjectTable):
            widget.parent().show()
            return widget
    table = ObjectTable(objects)
    window.add_dock_widget(table, name="Objects", area="bottom")
    return table
