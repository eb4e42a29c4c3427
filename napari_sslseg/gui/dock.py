"""Dock: the window's five steps under one header; composition only."""

import gc
from pathlib import Path
from typing import Any

from napari.viewer import Viewer
from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_sslseg.gui import commands, keys
from napari_sslseg.gui.area import Area
from napari_sslseg.gui.bubble import Bubble, Offer
from napari_sslseg.gui.desk import Desk, desk_of
from napari_sslseg.gui.drops import Drops
from napari_sslseg.gui.elided import Elided
from napari_sslseg.gui.fold import Fold
from napari_sslseg.gui.folding import Folding
from napari_sslseg.gui.forms import Form
from napari_sslseg.gui.images import ImagesStep
from napari_sslseg.gui.keeping import keep_folds, keep_forms
from napari_sslseg.gui.learn import LearnStep
from napari_sslseg.gui.listen import listen
from napari_sslseg.gui.order import set_order
from napari_sslseg.gui.paint import PaintStep
from napari_sslseg.gui.panel import Panel
from napari_sslseg.gui.result import ResultStep
from napari_sslseg.gui.style import FOCUS
from napari_sslseg.gui.tour import Tour
from napari_sslseg.gui.train import TrainStep
from napari_sslseg.gui.warming import warm
from napari_sslseg.stages import STEPS


class Header(QWidget):
    """Name of the project, New and Open.

    Parameters
    ----------
    desk : Desk
        The desk.
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk, self._memory = desk, desk.memory
        self.name = Elided()
        self.name.setStyleSheet("font-weight: bold")
        self.new = QPushButton("New…")
        self.new.setToolTip("Choose where a new project is kept")
        self.open = QPushButton("Open…")
        self.open.setToolTip("Go on with a project: its images, strokes and models come back")
        row = QHBoxLayout(self)
        row.setContentsMargins(6, 4, 6, 2)
        row.addWidget(self.name, 1)
        row.addWidget(self.new)
        row.addWidget(self.open)
        self.help = QPushButton("?")
        self.help.setToolTip("Show me how: five short texts, one for each step")
        self.help.setAccessibleName("Show me how")
        self.help.setMaximumWidth(2 * self.help.fontMetrics().horizontalAdvance("M") + 8)
        row.addWidget(self.help)
        self.new.clicked.connect(self._new)
        self.open.clicked.connect(self._open)
        session = desk.session
        for signal in (session.project_changed, session.activity_changed):
            listen(self, signal, self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show which project is open."""
        session = self._desk.session
        self.name.setText(session.project.name if session.project else "No project yet")
        self.name.setToolTip(str(session.project.path) if session.project else "One is made when you choose images")
        for button in (self.new, self.open):
            button.setEnabled(session.running is None)

    def _new(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "New project", str(self._folder() / "images.sslseg"))
        if path:
            self._memory.keep_of_user("folder", str(Path(path).parent))
            self._desk.new_project(Path(path))

    def _open(self) -> None:
        title = "Open a project (a folder that ends in .sslseg)"
        path = QFileDialog.getExistingDirectory(self, title, str(self._folder()))
        if path:
            self._memory.keep_of_user("folder", str(Path(path).parent))
            self._desk.open_project(Path(path))

    def _folder(self) -> Path:
        """The folder used last, or the one for projects that nobody chose a place for."""
        last = self._memory.user.get("folder", "")
        return Path(last) if last and Path(last).is_dir() else self._desk.home.parent


class Dock(QWidget):
    """The dock widget. Hiding or closing it ends no job; closing the window asks it to stop and keep its best state.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        The viewer.
    desk : Desk, optional
        What it shows; the desk of the viewer if not given.
    """

    def __init__(self, napari_viewer: Viewer, desk: Desk | None = None) -> None:
        super().__init__()
        self.desk = desk or desk_of(napari_viewer)
        self.setObjectName("napari-sslseg")
        self.setStyleSheet(FOCUS)
        keys.bind(self.desk.canvas, commands.BY_KEY)
        self.header = Header(self.desk)
        self.images, self.learn, self.paint = ImagesStep(self.desk), LearnStep(self.desk), PaintStep(self.desk)
        self.train, self.result = TrainStep(self.desk), ResultStep(self.desk)
        self.tour = Tour(self.desk, self)
        self.header.help.clicked.connect(self.tour.begin)
        self.offer = Offer(self.tour)
        inside = QWidget()
        steps = QVBoxLayout(inside)
        steps.setContentsMargins(0, 0, 0, 0)
        steps.setSpacing(2)
        made: list[Any] = [self.images, self.learn, self.paint, self.train, self.result]
        self.panels: dict[str, Panel] = {}
        for name, step in zip(STEPS, made, strict=True):
            steps.addWidget(step)
            self.panels[name] = step.panel
        steps.addStretch(1)
        area = Area(inside)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(self.header)
        whole.addWidget(self.offer)
        whole.addWidget(area, 1)
        self._area = area
        self.bubble = Bubble(self.tour, self, self._bring)
        self._drops = Drops(self.desk, self)
        self.images.add.chosen.connect(self._drops.take)
        self._holder: QObject | None = None  # what napari puts it into
        self._remember()
        set_order(self)
        self.desk.attach()
        self.destroyed.connect(self.desk.detach)
        warm(self)
        gc.collect()  # else Python does, soon after so many new objects, and perhaps in the midst of a stroke

    def _bring(self, step: str) -> QWidget:
        """Bring a step into view."""
        self._folding.unfold(step)
        self._area.ensureWidgetVisible(self.panels[step])
        return self.panels[step]

    def _remember(self) -> None:
        memory = self.desk.memory
        forms: dict[str, Form[Any]] = {"learn": self.learn.form, "machine": self.learn.runtime}
        keep_forms({**forms, "train": self.train.form, "result": self.result.form}, memory, self)
        titles = {name: panel.title for name, panel in self.panels.items()}
        self._folding = Folding(self.desk.session, titles, self._area)
        parts: dict[str, tuple[Fold, QWidget]] = {
            "learn": (self.learn.advanced, self.learn.fold),
            "sees": (self.learn.sees.fold, self.learn.sees.inside),
            "train": (self.train.advanced, self.train.form.widget),
            "adjust": (self.result.adjust.fold, self.result.adjust.content),
        }
        for fold, content in parts.values():
            fold.clicked.connect(lambda on, content=content: self._area.show_whole(content) if on else None)
        keep_folds(titles, {name: part[0] for name, part in parts.items()}, memory, passing=self._folding.folded)
        self.destroyed.connect(memory.flush)

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
                self._holder = self.parent()
            elif self._holder is not None:  # the window stays
                self.desk.outlive(_last(self._holder))
                self.deleteLater()
        return bool(super().event(event))


def _last(inside: QObject) -> QObject:
    """The window in which something lies, also where it floats above it."""
    while (around := inside.parent()) is not None:
        inside = around
    return inside
