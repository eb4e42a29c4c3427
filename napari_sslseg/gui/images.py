"""Step 1, Images: choose among the open image layers; the images of the project are listed and shown from here."""

import numpy as np
from napari.layers import Image as ImageLayer
from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QAbstractItemView, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from napari_sslseg.contents import ImageEntry
from napari_sslseg.errors import UserError
from napari_sslseg.gui import layers, marks
from napari_sslseg.gui.desk import Desk
from napari_sslseg.gui.listen import listen
from napari_sslseg.gui.panel import Panel
from napari_sslseg.image import Image
from napari_sslseg.project import Project
from napari_sslseg.stages import stage

ROLE = Qt.ItemDataRole.UserRole
ROWS = 5
AIR = 6  # px around the text of a row
FILES = 24  # as many files are opened to describe them; of more, the project says enough


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
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # after a click, keys still choose classes
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
        say = _describe_file if len(entries) <= FILES else _describe_entry
        said = {e.id: say(project, e) for e in entries} if project else {}
        open_layers = [x for x in layers.image_layers(self._desk.canvas.viewer) if not marks.belongs(x, project)]
        self._groups = layers.groups(open_layers)
        self.list.blockSignals(True)
        self.list.clear()
        for entry in entries:
            item = self._add(f"{entry.id}  ·  {said[entry.id]}", entry.id)
            item.setSelected(entry.id == session.current)
        for at, group in enumerate(self._groups):
            item = self._add(f"{group[0].name}  ·  {_describe_layers(group)}  ·  not used yet", at)
            item.setSelected(not entries)
        self.list.blockSignals(False)
        rows = max(1, min(ROWS, self.list.count()))
        self.list.setFixedHeight(rows * max(16, self.list.sizeHintForRow(0)) + 2 * self.list.frameWidth() + 2)
        self.panel.button.setVisible(bool(self._groups))
        self.panel.show_stage(*stage(session, "images"), self._summary(list(said.values())))

    def _add(self, text: str, key: str | int) -> QListWidgetItem:
        item = QListWidgetItem(text, self.list)
        item.setData(ROLE, key)
        item.setToolTip(text)
        item.setSizeHint(QSize(0, self.list.fontMetrics().height() + AIR))
        return item

    def _summary(self, said: list[str]) -> str:
        if not said:
            return "open an image" if not self._groups else f"{len(self._groups)} open"
        return f"{len(said)} {'image' if len(said) == 1 else 'images'} · {said[0]}"

    def use_selected(self) -> None:
        """Take the selected open images into the project; all of them where none is selected."""
        keys = [i.data(ROLE) for i in self.list.selectedItems()]
        chosen = [self._groups[k] for k in keys if isinstance(k, int)]
        self._desk.use(chosen or list(self._groups))

    def _show(self, item: QListWidgetItem | None) -> None:
        key = item.data(ROLE) if item is not None else None
        if isinstance(key, str):
            self._desk.session.select(key)
            self._desk.canvas.show_current(fit=True)


def describe(image: Image) -> str:
    """Say size, kind and spacing of an image in a few words.

    Parameters
    ----------
    image : Image
        The image.

    Returns
    -------
    str
        Such as ``60×256×256 · 2 channels · 16-bit · 0.29 µm``.
    """
    size = "×".join(map(str, image.shape))
    kind = " RGB" if image.rgb else f" · {image.channels} channels" if image.channels > 1 else ""
    dtype = np.dtype(image.data.dtype)
    depth = "yes/no" if dtype.kind == "b" else f"{8 * dtype.itemsize}-bit" + (" float" if dtype.kind == "f" else "")
    spacing = f" · {image.spacing[-1]:.3g} {image.unit}" if image.unit != "pixel" else ""
    return f"{size}{kind} · {depth}{spacing}"


def _describe_layers(group: list[ImageLayer]) -> str:
    try:
        return describe(layers.image_from(group))
    except UserError:
        return "×".join(map(str, group[0].data.shape))


def _describe_file(project: Project, entry: ImageEntry) -> str:
    try:
        return describe(project.image(entry.id))
    except UserError:
        return "its file is gone"


def _describe_entry(project: Project, entry: ImageEntry) -> str:
    return "×".join(map(str, entry.shape)) + (f" · {entry.channels} channels" if entry.channels > 1 else "")
