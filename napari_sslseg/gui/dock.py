"""Dock: the window's five steps under one header; composition only."""

from pathlib import Path

from napari.viewer import Viewer
from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import QFileDialog, QFrame, QHBoxLayout, QPushButton, QScrollArea, QVBoxLayout, QWidget

from napari_sslseg.gui import keys
from napari_sslseg.gui.desk import Desk, desk_of
from napari_sslseg.gui.elided import Elided
from napari_sslseg.gui.images import ImagesStep
from napari_sslseg.gui.learn import LearnStep
from napari_sslseg.gui.listen import listen
from napari_sslseg.gui.paint import PaintStep
from napari_sslseg.gui.result import ResultStep
from napari_sslseg.gui.train import TrainStep


class Header(QWidget):
    """Name of the project, New and Open.

    Parameters
    ----------
    desk : Desk
        The desk.
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
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
        path, _ = QFileDialog.getSaveFileName(self, "New project", "images.sslseg")
        if path:
            self._desk.new_project(Path(path))

    def _open(self) -> None:
        path = QFileDialog.getExistingDirectory(self, "Open a project (a folder that ends in .sslseg)")
        if path:
            self._desk.open_project(Path(path))


class Dock(QWidget):
    """The dock widget. Hiding it changes nothing; closing it asks a running job to stop and keep its best state.

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
        keys.bind(self.desk.canvas)
        self.header = Header(self.desk)
        self.images, self.learn, self.paint = ImagesStep(self.desk), LearnStep(self.desk), PaintStep(self.desk)
        self.train, self.result = TrainStep(self.desk), ResultStep(self.desk)
        inside = QWidget()
        steps = QVBoxLayout(inside)
        steps.setContentsMargins(0, 0, 0, 0)
        steps.setSpacing(2)
        for step in (self.images, self.learn, self.paint, self.train, self.result):
            steps.addWidget(step)
        steps.addStretch(1)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(inside)
        area.setMinimumWidth(inside.minimumSizeHint().width() + area.verticalScrollBar().sizeHint().width())
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(self.header)
        whole.addWidget(area, 1)
        self._docked = False
        self.desk.attach()
        self.destroyed.connect(self.desk.detach)

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
