"""Step 1, Images: choose among the open image layers; the images of the project are listed and shown from here."""

from collections.abc import Mapping
from contextlib import suppress

from napari.layers import Image as ImageLayer
from qtpy.QtWidgets import QListWidgetItem, QPushButton, QVBoxLayout, QWidget

from napari_sslseg.contents import ImageEntry
from napari_sslseg.counting import count
from napari_sslseg.errors import UserError
from napari_sslseg.gui import axes, correcting, layers, marks
from napari_sslseg.gui.add_button import AddButton
from napari_sslseg.gui.desk import Desk
from napari_sslseg.gui.fold import Fold
from napari_sslseg.gui.image_list import ROLE, ImageList, Key
from napari_sslseg.gui.kind import Kind
from napari_sslseg.gui.listen import listen
from napari_sslseg.gui.panel import Panel
from napari_sslseg.gui.telling import telling
from napari_sslseg.gui.using import REST, take_out, use_region
from napari_sslseg.project import Project
from napari_sslseg.stages import Stage, stage

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
        self._groups: dict[Key, list[ImageLayer]] = {}
        self.panel = Panel(1, "Images", "Use these images", "Take the selected open images into the project")
        self.list = ImageList()
        self.kind = Kind()
        self.add = AddButton(desk.memory)
        self.region = QPushButton("Only this region")
        self.region.setToolTip("Make an image of its own of what is in the view; of a stack, in all planes")
        self.fold = Fold("Axes", "Put axes or pixel size of the selected images right")
        self.out = QPushButton("Take out")
        self.out.setToolTip(
            "Take the selected images out of the project: to do without them, or to give painted ones other axes.\n"
            "What is painted on them is kept, and comes back when they are used again (Delete)"
        )
        self.panel.body.insertWidget(0, self.list)
        self.panel.body.insertWidget(1, self.kind)
        self.panel.buttons.addWidget(self.add)
        self.panel.buttons.addWidget(self.region)
        self.panel.buttons.addWidget(self.out)
        self.panel.buttons.addWidget(self.fold)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(self.panel)
        self._connect()
        self.refresh()

    def _connect(self) -> None:
        desk, session = self._desk, self._desk.session
        self.panel.started.connect(self.use_selected)
        self.panel.stopped.connect(desk.stop)
        self.region.clicked.connect(self.use_region)
        self.out.clicked.connect(self.take_out)
        self.fold.toggled.connect(self._show_kind)
        self.list.deleted.connect(self.out.click)
        self.kind.said.connect(self._say)
        self.kind.placed.connect(self._place)
        self.list.currentItemChanged.connect(self._show)
        self.list.itemClicked.connect(self._show)
        self.list.itemSelectionChanged.connect(self._show_kind)
        desk.canvas.layers_changed.connect(self.refresh)
        for signal in (session.project_changed, session.images_changed, session.current_changed):
            listen(self, signal, self.refresh)
        for signal in (session.activity_changed, session.event):
            listen(self, signal, self._show_activity)

    def refresh(self) -> None:
        """Show the images as they are now; what was selected stays so."""
        session, project = self._desk.session, self._desk.session.project
        entries = project.images if project else ()
        say = _describe_file if len(entries) <= FILES else _describe_entry
        said = {e.id: say(project, e) for e in entries} if project else {}
        open_layers = [x for x in layers.image_layers(self._desk.canvas.viewer) if not marks.belongs(x, project)]
        self._groups = {id(group[0]): group for group in layers.groups(open_layers)}
        rows: list[tuple[Key, str]] = [(e.id, f"{e.id}  ·  {said[e.id]}") for e in entries]
        rows += [(key, f"{_title(g)}  ·  not used yet  ·  {_describe_layers(g)}") for key, g in self._groups.items()]
        self.list.show_rows(rows, session.current)
        self.region.setVisible(bool(rows))
        self._show_kind()
        self._show_activity()
        found, why = stage(session, "images")
        if found is Stage.EMPTY and self._groups:
            found, why = Stage.READY, "Press “Use these images” to work on what is open"
        self.panel.show_stage(found, why, self._summary(list(said.values())))

    def _show_activity(self) -> None:
        session = self._desk.session
        activity = session.activities.get("images")
        self.panel.show_activity(activity, enabled=session.running is None)
        self.panel.button.setVisible(bool(self._groups) or session.running == "images")
        self.region.setEnabled(session.running is None)
        self._show_out()

    def _show_out(self) -> None:
        used, running = bool(self._used()), self._desk.session.running
        self.out.setVisible(used)
        self.out.setEnabled(running is None)
        self.fold.setVisible(used and not self._chosen())
        copying = running == "images"  # as it was said to be until now
        self.kind.setEnabled(running is None or (bool(self._chosen()) and not copying))

    def _show_kind(self) -> None:
        self._show_out()
        unfolded, used, project = self.fold.isChecked(), self._used(), self._desk.session.project
        self.kind.show_layers(next(iter(self._chosen()), []))
        if project is not None and used and unfolded and not self._chosen():
            with suppress(UserError):  # its file is gone
                self.kind.show_image(project.image(used[0]))

    def _summary(self, said: list[str]) -> str:
        if not said:
            return "add images, or drop them here" if not self._groups else f"{len(self._groups)} open"
        return f"{count(len(said), 'image')} · {said[0]}"

    def _chosen(self) -> list[list[ImageLayer]]:
        return [self._groups[key] for key in self.list.keys(selected=True) if key in self._groups]

    def _used(self) -> list[str]:
        return [key for key in self.list.keys(selected=True) if isinstance(key, str)]

    def use_selected(self) -> None:
        """Take the selected open images into the project; all of them where none is selected."""
        self._desk.use(self._chosen() or list(self._groups.values()))

    def use_region(self) -> None:
        """Make an image of what is in the view: of the selected open image, else of the current one."""
        with telling():
            use_region(self._desk, next(iter(self._chosen()), []))

    def take_out(self) -> None:
        """Take the selected images out of the project; what is painted on them is kept."""
        with telling():
            for id in self._used():
                take_out(self._desk, id)

    def _say(self, said: str) -> None:
        for group in self._chosen():
            if said in axes.choices(axes.shape_of(group[0]), single=len(group) == 1):
                axes.say(group, said)
        if not self._chosen():
            correcting.set_axes(self._desk, self._used(), said)
        self.refresh()

    def _place(self, spacing: Mapping[str, float], unit: str) -> None:
        for group in self._chosen():
            for layer in group:
                axes.set_place(layer, axes.axes_of(layer), spacing, unit)
        for id in self._used() if not self._chosen() else ():
            with telling():
                correcting.set_spacing(self._desk, id, spacing, unit)
        self.refresh()

    def _show(self, item: QListWidgetItem | None) -> None:
        key = item.data(ROLE) if item is not None else None
        if isinstance(key, str):
            self._desk.canvas.look_at(key)


def _title(group: list[ImageLayer]) -> str:
    rest = len(group[0].metadata.get(REST, ()))
    return group[0].name + (f" and {rest} more files" if rest else "")


def _describe_layers(group: list[ImageLayer]) -> str:
    try:
        image = layers.image_from(group[:1])
    except UserError:
        return "×".join(map(str, axes.shape_of(group[0]))) + " · what are its axes?"
    return axes.describe(image, len(group) if len(group) > 1 else None)


def _describe_file(project: Project, entry: ImageEntry) -> str:
    try:
        return axes.describe(project.image(entry.id))
    except UserError:
        return "its file is gone"


def _describe_entry(project: Project, entry: ImageEntry) -> str:
    return "×".join(map(str, entry.shape)) + (f" · {entry.channels} channels" if entry.channels > 1 else "")
