"""Step 5, Result: predict this plane, this image or everything; how the masks look."""

from dataclasses import replace

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QLabel, QPushButton, QSlider, QVBoxLayout, QWidget

from napari_sslseg.gui.accept_row import AcceptRow
from napari_sslseg.gui.adjust_row import AdjustRow
from napari_sslseg.gui.desk import Desk
from napari_sslseg.gui.export_button import ExportButton
from napari_sslseg.gui.forms import Form
from napari_sslseg.gui.listen import listen
from napari_sslseg.gui.over_row import OverRow
from napari_sslseg.gui.panel import Panel
from napari_sslseg.gui.telling import telling
from napari_sslseg.gui.wrap import Wrap
from napari_sslseg.settings import PredictConfig
from napari_sslseg.stages import Stage, stage

PLANE = "▶ This plane", "Show the masks of what you are looking at"
VIEW = "▶ What I see", "Show the masks of what is in the view: all of this plane would take long"


class ResultStep(QWidget):
    """Predict, and set how the masks look.

    Parameters
    ----------
    desk : Desk
        The desk.
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self.panel = Panel(5, "Result", *PLANE)
        self.image = QPushButton("▶ This image")
        self.image.setToolTip("Masks of all of this image, and of no other")
        self.everything = QPushButton("▶ Everything")
        self.everything.setToolTip("Masks of all planes of all images of the project")
        self.accept = AcceptRow(desk)
        self.export = ExportButton(desk)
        self.form = Form(PredictConfig, only=("probabilities",))
        self.opacity = QSlider(Qt.Orientation.Horizontal)
        self.opacity.setRange(0, 100)
        self.opacity.setAccessibleName("Opacity of the masks")
        self.opacity.setToolTip("How strongly the masks cover the image (keys , and .)")
        self.outline = QCheckBox("outline")
        self.outline.setToolTip("Draw only the outlines of the masks (key U)")
        self.over = OverRow(desk)
        self.adjust = AdjustRow(desk)
        self.visible = QCheckBox("show")
        self.visible.setToolTip("Show or hide the masks (key H: hidden while held)")
        self._compose()
        self._connect()
        self.refresh()

    def _compose(self) -> None:
        self.panel.buttons.addWidget(self.image)
        self.panel.buttons.addWidget(self.everything)
        self.accept.buttons.addWidget(self.export, 1)
        self.panel.body.addWidget(self.accept)
        row = Wrap()
        row.addWidget(QLabel("opacity"))
        row.addWidget(self.opacity, 1)
        row.addWidget(self.outline)
        row.addWidget(self.visible)
        self.panel.body.addLayout(row)
        self.panel.body.addWidget(self.over)
        self.panel.body.addWidget(self.form.widget)
        self.panel.body.addWidget(self.adjust)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(self.panel)

    def _connect(self) -> None:
        session = self._desk.session
        self.panel.started.connect(lambda: self.predict(everything=False))
        self.panel.stopped.connect(self._desk.stop)
        self.image.clicked.connect(self.predict_image)
        self.everything.clicked.connect(lambda: self.predict(everything=True))
        self.opacity.valueChanged.connect(self._look_changed)
        self.outline.toggled.connect(self._look_changed)
        self.form["probabilities"].changed.connect(self._form_changed)
        self.visible.toggled.connect(self._look_changed)
        self._desk.canvas.look_changed.connect(self.refresh)
        for signal in (
            session.project_changed,
            session.images_changed,
            session.current_changed,
            session.rounds_changed,
            session.activity_changed,
            session.event,
        ):
            listen(self, signal, self.refresh)

    def predict(self, *, everything: bool) -> None:
        """Predict with what the form says.

        Parameters
        ----------
        everything : bool
            All images, or the plane that is looked at.
        """
        with telling():
            self._desk.predict(self.form.config(), everything=everything)

    def predict_image(self) -> None:
        """Predict all of the image that is looked at with what the form says."""
        with telling():
            if self._desk.ready() and self._desk.session.current is not None:
                self._desk.predict(self.form.config(), ids=(self._desk.session.current,))

    def _form_changed(self) -> None:
        self._desk.prediction = self.form.config()

    def _look_changed(self) -> None:
        canvas = self._desk.canvas
        look = replace(
            canvas.look,
            opacity=self.opacity.value() / 100,
            outline=self.outline.isChecked(),
            visible=self.visible.isChecked(),
        )
        canvas.set_look(look)
        self._desk.memory.keep_look()

    @property
    def _several(self) -> bool:
        """Whether all of this image is more than the main button predicts, and less than everything."""
        project, id = self._desk.session.project, self._desk.session.current
        if project is None or id is None or len(project.images) < 2:
            return False
        return len(project.entry(id).shape) == 3 or self._desk.canvas.vast

    def refresh(self) -> None:
        """Show the step as it is now."""
        session = self._desk.session
        now, why = stage(session, "result")
        free = session.running is None and now is not Stage.EMPTY
        self.panel.set_verb(*(VIEW if self._desk.canvas.vast else PLANE))
        self.panel.show_activity(session.activities.get("result"), enabled=free)
        for button in (self.image, self.everything):
            button.setEnabled(free)
        self.image.setVisible(self._several)
        look = self._desk.canvas.look
        for widget in (self.opacity, self.outline, self.visible):
            widget.blockSignals(True)
        self.opacity.setValue(round(100 * look.opacity))
        self.outline.setChecked(look.outline)
        self.visible.setChecked(look.visible)
        for widget in (self.opacity, self.outline, self.visible):
            widget.blockSignals(False)
        self.panel.show_stage(now, why, "")
