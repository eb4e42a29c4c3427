"""Step 1, Images: choose among the open image layers; the images of the project are listed and shown from here."""

import numpy as np
from napari.layers import Image as ImageLayer
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractItemView, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from napari_sslseg.gui import layers
from napari_sslseg.gui.desk import Desk
from napari_sslseg.gui.listen import listen
from napari_sslseg.gui.panel import Panel
from napari_sslseg.project import ImageEntry
from napari_sslseg.stages import stage

ROLE = Qt.ItemDataRole.UserRole
ROWS = 5


class ImagesStep(QWidget):
    """The list of images: those of the project, then the open layers that are not used yet.

    Parameters
    ----------
    desk : Desk
        The desk.
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self._groups: list[list[ImageLayer]] = []
        self.panel = Panel(1, "Images", "Use these images", "Take the selected open images into the project")
        self.list = QListWidget()
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.list.setAccessibleName("Images")
        self.list.setToolTip("Images of the project, and open ones not used yet. Click one to work on it")
        self.list.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.panel.body.insertWidget(0, self.list)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(self.panel)
        self.panel.started.connect(self.use_selected)
        self.list.currentItemChanged.connect(self._show)
        desk.canvas.layers_changed.connect(self.refresh)
        session = desk.session
        for signal in (session.project_changed, session.images_changed, session.current_changed):
            listen(self, signal, self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show the images as they are now."""
        session, project = self._desk.session, self._desk.session.project
        entries = project.images if project else ()
        open_layers = [x for x in layers.image_layers(self._desk.canvas.viewer) if not layers.belongs(x, project)]
        self._groups = layers.groups(open_layers)
        self.list.blockSignals(True)
        self.list.clear()
        for entry in entries:
            item = self._add(f"{entry.id}  ·  {describe(entry)}", entry.id)
            item.setSelected(entry.id == session.current)
        for at, group in enumerate(self._groups):
            item = self._add(f"{group[0].name}  ·  {describe_layers(group)}  ·  not used yet", at)
            item.setSelected(not entries)
        self.list.blockSignals(False)
        rows = max(1, min(ROWS, self.list.count()))
        self.list.setFixedHeight(rows * max(18, self.list.sizeHintForRow(0)) + 8)
        self.panel.button.setVisible(bool(self._groups))
        self.panel.show_stage(*stage(session, "images"), self._summary(entries))

    def _add(self, text: str, key: str | int) -> QListWidgetItem:
        item = QListWidgetItem(text, self.list)
        item.setData(ROLE, key)
        item.setToolTip(text)
        return item

    def _summary(self, entries: tuple[ImageEntry, ...]) -> str:
        if not entries:
            return "open an image" if not self._groups else f"{len(self._groups)} open"
        plural = "image" if len(entries) == 1 else "images"
        return f"{len(entries)} {plural} · {describe(entries[0])}"

    def use_selected(self) -> None:
        """Take the selected open images into the project; all of them where none is selected."""
        keys = [i.data(ROLE) for i in self.list.selectedItems()]
        chosen = [self._groups[k] for k in keys if isinstance(k, int)]
        self._desk.use(chosen or list(self._groups))

    def _show(self, item: QListWidgetItem | None) -> None:
        key = item.data(ROLE) if item is not None else None
        if isinstance(key, str):
            self._desk.session.select(key)
            self._desk.canvas.show_current()


def describe(entry: ImageEntry) -> str:
    """Say size, kind and spacing of an image in a few words.

    Parameters
    ----------
    entry : ImageEntry
        The image.

    Returns
    -------
    str
        Such as ``60×256×256 · 2 channels · 0.29 µm``.
    """
    size = "×".join(map(str, entry.shape))
    kind = f" · {entry.channels} channels" if entry.channels > 1 else ""
    spacing = f" · {entry.spacing[-1]:.3g} {entry.unit}" if entry.unit != "pixel" else ""
    return size + kind + spacing


def describe_layers(group: list[ImageLayer]) -> str:
    """Say size and kind of open layers in a few words.

    Parameters
    ----------
    group : list of napari.layers.Image
        The layers of one image.

    Returns
    -------
    str
        Such as ``1411×1411 RGB · 8-bit``.
    """
    first = group[0]
    data = first.data[0] if first.multiscale else first.data
    shape = data.shape[:-1] if first.rgb else data.shape
    size = "×".join(map(str, shape))
    kind = " RGB" if first.rgb else f" · {len(group)} channels" if len(group) > 1 else ""
    dtype = np.dtype(data.dtype)
    return f"{size}{kind} · {8 * dtype.itemsize}-bit" + (" real numbers" if dtype.kind == "f" else "")
