"""ImageList: one row an image; what is selected and where the keyboard is stay while the rows change."""

from collections.abc import Sequence

from qtpy.QtCore import QEvent, QItemSelectionModel, QSize, Qt, Signal
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import QAbstractItemView, QListWidget, QListWidgetItem

from napari_sslseg.gui.area import LabelFont

ROLE = Qt.ItemDataRole.UserRole
ROWS = 5
AIR = 6  # px around the text of a row

Key = str | int  # of an image of the project its id, of an open one a number


class ImageList(QListWidget):
    """Images of the project, and open ones; it changes nothing itself."""

    deleted = Signal()  # the Delete key asks to take out what is selected

    def __init__(self) -> None:
        super().__init__()
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        LabelFont(self)
        self.setAccessibleName("Images")
        self.setToolTip("Images of the project, and open ones not used yet. Click one to work on it")
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # after a click, keys still choose classes
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._current: str | None = None  # image of the project that was last shown as the one worked on

    def show_rows(self, rows: Sequence[tuple[Key, str]], current: str | None) -> None:
        """Show images.

        Parameters
        ----------
        rows : sequence of (key, text)
            The images.
        current : str, optional
            Id of the image of the project that is worked on.
        """
        self.blockSignals(True)
        keys = [key for key, _ in rows]
        if keys != self.keys():
            self._rebuild(keys)
        for at, (_, text) in enumerate(rows):
            item = self.item(at)
            item.setText(text)
            item.setToolTip(text)
            item.setSizeHint(QSize(0, self.fontMetrics().height() + AIR))
        if current != self._current:
            self._current = current
            self._follow(current)
        self.blockSignals(False)
        self._fit()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Delete asks to take images out; other keys choose among them."""
        if event is not None and event.key() == Qt.Key.Key_Delete:
            self.deleted.emit()
        else:
            super().keyPressEvent(event)

    def changeEvent(self, event: QEvent | None) -> None:
        """Keep the height of whole rows when the font changes."""
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.FontChange:
            self._fit()

    def _fit(self) -> None:
        height = self.fontMetrics().height() + AIR
        for at in range(self.count()):
            self.item(at).setSizeHint(QSize(0, height))
        self.setFixedHeight(max(1, min(ROWS, self.count())) * height + 2 * self.frameWidth() + 2)

    def _follow(self, current: str | None) -> None:
        """Select the image that is worked on now, if it was not chosen in this list: there, others stay selected."""
        here = self.currentItem()
        if here is not None and here.data(ROLE) == current:
            return
        for item in (self.item(at) for at in range(self.count())):
            if isinstance(key := item.data(ROLE), str):
                item.setSelected(key == current)
            if key == current:
                self.setCurrentItem(item, QItemSelectionModel.SelectionFlag.NoUpdate)

    def _rebuild(self, keys: Sequence[Key]) -> None:
        before, chosen, at = self.keys(), self.keys(selected=True), self.currentItem()
        here = at.data(ROLE) if at is not None else None
        begun = any(isinstance(key, str) for key in keys)
        self.clear()
        for key in keys:
            item = QListWidgetItem("", self)
            item.setData(ROLE, key)
            item.setSelected(key in chosen if key in before else not begun)
            if key == here:
                self.setCurrentItem(item, QItemSelectionModel.SelectionFlag.NoUpdate)

    def keys(self, *, selected: bool = False) -> list[Key]:
        """List the keys of the rows.

        Parameters
        ----------
        selected : bool, optional
            Only of those that are selected.

        Returns
        -------
        list
            From the top down.
        """
        items = [self.item(at) for at in range(self.count())]
        return [item.data(ROLE) for item in items if item.isSelected() or not selected]
