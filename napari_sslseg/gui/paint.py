"""Step 3, Paint: one click makes a layer to paint on; the class table says what with."""

from qtpy.QtWidgets import QMainWindow, QMessageBox, QPushButton, QVBoxLayout, QWidget

from napari_sslseg.annotation import LabelClass
from napari_sslseg.gui.classes import ClassTable
from napari_sslseg.gui.desk import Desk
from napari_sslseg.gui.guide_row import GuideRow
from napari_sslseg.gui.listen import listen
from napari_sslseg.gui.merging import can_lose, merge
from napari_sslseg.gui.panel import Panel
from napari_sslseg.gui.telling import telling
from napari_sslseg.gui.tool_row import ToolRow
from napari_sslseg.gui.wrap import Wrap
from napari_sslseg.session import Session
from napari_sslseg.stages import stage


class PaintStep(QWidget):
    """The class table and the button that makes the layer.

    Parameters
    ----------
    desk : Desk
        The desk.
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self.panel = Panel(3, "Paint", "✎ Paint on this image", "Make a layer on the current image and start to paint")
        self.table = ClassTable()
        self.add = QPushButton("+ class")
        self.add.setToolTip("Add a class; double-click its name to change it")
        self.add.setAccessibleName("Add a class")
        self.remove = QPushButton("– class")
        self.remove.setToolTip("Remove the chosen class; its painted pixels are erased")
        self.remove.setAccessibleName("Remove the chosen class")
        self.tools = ToolRow(desk)
        self.guide = GuideRow(desk)
        row = Wrap()
        for button in (self.add, self.remove):
            row.addWidget(button)
        self.panel.body.insertWidget(0, self.table)
        self.panel.body.addLayout(row)
        self.panel.body.addWidget(self.tools)
        self.panel.body.addWidget(self.guide)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(self.panel)
        self._connect()
        self.refresh()

    def _connect(self) -> None:
        desk, session = self._desk, self._desk.session
        self.panel.started.connect(desk.paint)
        self.panel.stopped.connect(desk.stop)
        self.table.chosen.connect(self.choose)
        self.table.renamed.connect(self._rename)
        self.table.recoloured.connect(self._recolour)
        self.table.removed.connect(self.remove_class)
        self.table.merged.connect(self.merge)
        self.table.entered.connect(self._enter)
        self.add.clicked.connect(self.add_class)
        self.remove.clicked.connect(lambda: self.remove_class(session.chosen))
        for signal in (
            session.project_changed,
            session.images_changed,
            session.classes_changed,
            session.labels_changed,
            session.chosen_changed,
            session.activity_changed,
            session.event,
        ):
            listen(self, signal, self.refresh)

    def choose(self, value: int) -> None:
        """Paint with a class, on a layer that is made where there is none yet.

        Parameters
        ----------
        value : int
            The class.
        """
        self._desk.canvas.painting.choose(value)
        if self._desk.canvas.painting.layer is None:
            self._desk.paint()

    def _rename(self, value: int, name: str) -> None:
        with telling():
            self._desk.session.change_class(value, name=name)
        self.refresh()

    def _recolour(self, value: int, colour: str) -> None:
        with telling():
            self._desk.session.change_class(value, colour=colour)

    def add_class(self) -> None:
        """Add a class, or where objects are painted the next object, and paint with it."""
        session = self._desk.session
        with telling():
            if self._desk.ready():
                if session.needed_project.task == "instance":
                    value = session.tally.next_object(session.current or "", session.chosen)
                else:
                    value = session.add_class().value
                self._desk.canvas.painting.choose(value)

    def remove_class(self, value: int) -> None:
        """Remove a class, after asking where pixels would be erased.

        Parameters
        ----------
        value : int
            The class.
        """
        session = self._desk.session
        self._desk.refresh()  # so that all is counted that is painted elsewhere
        pixels = session.tally.painted(value)
        if pixels and not self._agreed(f"{pixels:,} painted pixels of this class will be erased."):
            return
        with telling():
            self._desk.canvas.painting.flush()
            session.remove_class(value)
            self._desk.canvas.painting.choose(session.needed_project.classes[0].value)

    def merge(self, value: int, into: int) -> None:
        """Merge a class into another one, after asking.

        Parameters
        ----------
        value, into : int
            The class that goes, and the one that gets its pixels.
        """
        merge(self._desk, value, into, lambda text: self._agreed(text, "Merge these classes?"))

    def _enter(self, value: int) -> None:
        """Paint with a class; the keys are those of the image again."""
        self._desk.paint()
        self._desk.canvas.painting.choose(value)
        window = self.window()
        if isinstance(window, QMainWindow) and window.centralWidget() is not None:
            window.centralWidget().setFocus()

    def _agreed(self, text: str, title: str = "Remove this class?") -> bool:
        buttons = QMessageBox.StandardButton
        answer = QMessageBox.question(self, title, text, buttons.Yes | buttons.No, buttons.No)
        return bool(answer == buttons.Yes)

    def refresh(self) -> None:
        """Show the step as it is now."""
        session, project = self._desk.session, self._desk.session.project
        classes, painted = rows(session)
        losable = can_lose(session) and session.running != "merge"
        self.table.show_classes(classes, painted, session.chosen, losable=losable)
        self.table.setVisible(bool(classes))
        objects = project is not None and project.task == "instance"
        self.add.setText("+ object" if objects else "+ class")
        for widget, shown in ((self.add, True), (self.remove, not objects), (self.tools, True)):
            widget.setVisible(bool(classes) and shown)
        jobs = [session.activities[name] for name in ("suggest", "merge") if name in session.activities]
        self.panel.show_activity(max(jobs, key=lambda job: job.began, default=None))
        self.guide.refresh()
        total = sum(painted.values())
        self.panel.show_stage(*stage(session, "paint"), f"{total:,} px" if total else "a few strokes are enough")


def rows(session: Session) -> tuple[tuple[LabelClass, ...], dict[int, int]]:
    """Say what the class table shows: the classes, or background and objects.

    Parameters
    ----------
    session : Session
        What the user is doing.

    Returns
    -------
    tuple of LabelClass
        The rows.
    dict of int to int
        Painted pixels by value.
    """
    project = session.project
    if project is None:
        return (), {}
    if project.task == "semantic":
        return project.classes, {c.value: session.tally.painted(c.value) for c in project.classes}
    one = LabelClass(max(2, session.chosen), "objects, each its own number", "#bbbbbb")
    pixels = sum(n for counts in session.tally.counts.values() for value, n in counts.items() if value > 1)
    return (project.classes[0], one), {1: session.tally.painted(1), one.value: pixels}
