"""Step 2, Learn: the computer looks at the images without labels; progress, time left and a live curve."""

from typing import Any

from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from napari_sslseg.config import Registry
from napari_sslseg.errors import ConfigError
from napari_sslseg.gui.curve import Curve
from napari_sslseg.gui.desk import Desk
from napari_sslseg.gui.fold import Fold
from napari_sslseg.gui.forms import Form
from napari_sslseg.gui.glimpse import Glimpse
from napari_sslseg.gui.lengths import Lengths
from napari_sslseg.gui.listen import listen
from napari_sslseg.gui.paces import Paces
from napari_sslseg.gui.panel import Panel
from napari_sslseg.gui.resuming import LEARN, PAUSE, STOP, Resuming
from napari_sslseg.gui.sights_row import SightsRow
from napari_sslseg.gui.telling import telling
from napari_sslseg.settings import PretrainConfig, RuntimeConfig
from napari_sslseg.stages import stage

ALSO = ("denoise", "see", "restore")  # jobs that this step shows beside its own


def component_names() -> dict[str, tuple[str, ...]]:
    """List the components that can be chosen by name; none of them is imported.

    Returns
    -------
    dict of str to tuple of str
        Names by parameter.
    """
    return {
        "method": Registry[object]("method", "napari_sslseg.methods").names(),
        "encoder": Registry[object]("encoder", "napari_sslseg.encoders").names(),
    }


class LearnStep(QWidget):
    """Start, pause and follow pretraining; see what was learnt.

    Parameters
    ----------
    desk : Desk
        The desk.
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self.panel = Panel(2, "Learn", *LEARN)
        self.curve = Curve("How far off it is", "lower", "The computer draws parts that were hidden from it")
        self.probe = Curve("How well it tells things apart", "higher", "Measured from time to time, on your strokes")
        self.glimpse = Glimpse()
        self.probe.setAccessibleName("How good what was learnt is")
        self.form = Form(PretrainConfig, choices=component_names())
        self.runtime = Form(RuntimeConfig)
        self.length = Lengths(self.form.config().minutes)
        self.sees = SightsRow(desk)
        self.denoised = self.sees.denoised
        self.advanced = Fold("Advanced", "Everything else that can be set; the defaults are sensible")
        self.anew = QPushButton()
        self.anew.setText("↺ Anew")
        self.anew.setToolTip("Begin from the start instead; what was learnt so far is used until that is done")
        self.resuming, self.paces = Resuming(desk, self), Paces(desk, self)
        self._compose()
        self._connect()
        self.resuming.read()

    def _compose(self) -> None:
        self.form["minutes"].changed.connect(self.length.show_minutes)
        self.sees.top.addWidget(self.anew)
        self.panel.buttons.addWidget(self.length)
        self.panel.buttons.addWidget(self.advanced)
        self.fold = QWidget()
        inside = QVBoxLayout(self.fold)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.addWidget(self.form.widget)
        inside.addWidget(self.runtime.widget)
        self.fold.hide()
        for widget in (self.curve, self.probe, self.glimpse, self.sees, self.fold):
            self.panel.body.addWidget(widget)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(self.panel)

    def _connect(self) -> None:
        session = self._desk.session
        self.panel.started.connect(self.start)
        self.panel.stopped.connect(self._desk.stop)
        self.anew.clicked.connect(self.begin_anew)
        self.length.chosen.connect(self._length_chosen)
        self.advanced.toggled.connect(self.fold.setVisible)
        self.resuming.found.connect(self._left_off)
        self.paces.changed.connect(self.refresh)
        self.destroyed.connect(self.paces.leave)
        for form in (self.form, self.runtime):
            for name in form:
                form[name].changed.connect(self.refresh)
        listen(self, session.event, self._heard)
        listen(self, session.activity_changed, self._activity_changed)
        for signal in (session.project_changed, session.images_changed):
            listen(self, signal, self.resuming.read)

    def _length_chosen(self, minutes: float) -> None:
        with telling():
            self.form.set(self.form.config(minutes=minutes, steps=None))

    def _asked(self) -> tuple[PretrainConfig | None, RuntimeConfig | None]:
        try:
            return self.form.config(), self.runtime.config()
        except ConfigError:  # half typed
            return None, None

    def start(self) -> None:
        """Start pretraining with what the form says, or go on."""
        with telling():
            self._desk.session.runtime = self.runtime.config()
            config = self.form.config()
            self.paces.begin(config, self._desk.session.runtime)
            self._desk.learn(config)

    def begin_anew(self) -> None:
        """Learn from the start, and do not go on from what was left off."""
        self.resuming.forget()
        self.start()

    def _left_off(self) -> None:
        """Let the form say what was left off, so that the main button goes on."""
        left = self.resuming.left
        if left is not None and self._desk.session.running is None:
            self.form.set(left.config)
            self.length.show_minutes(left.config.minutes)
            self.runtime.set(self.runtime.config(seed=left.seed))
        self.refresh()

    def _heard(self, step: str, event: Any) -> None:
        if step == "learn":
            self.paces.hear(event)
        self.refresh()

    def _activity_changed(self, step: str) -> None:
        if step == "learn" and self._desk.session.running is None:
            self.paces.end()
            self.resuming.read()
        self.refresh()

    def refresh(self) -> None:
        """Show the step as it is now."""
        session = self._desk.session
        activity, (config, runtime) = session.activities.get("learn"), self._asked()
        also = session.running if session.running in ALSO else None
        fits = self.resuming.fits(config, runtime) and session.running != "learn"
        self.panel.set_verb(*self.resuming.verb(fits))
        self.panel.set_halt(*(STOP if also else PAUSE))
        self.panel.show_activity(session.activities[also] if also else activity, enabled=session.running is None)
        self.anew.setVisible(fits)
        self.anew.setEnabled(session.running is None)
        if config is not None and runtime is not None:
            images = session.project is not None and session.project.images
            self.length.show_pace(self.paces.of(config, runtime) if images else None, config.batch)
        curves = activity.curves if activity else {}
        for curve, name in ((self.curve, "loss"), (self.probe, "probe")):
            curve.set_points(curves.get(name, []))
            curve.setVisible(name in curves)
        self.glimpse.show_picture(activity.picture if activity and activity.running else None)
        self.panel.show_stage(*stage(session, "learn"), self._summary(fits))

    def _summary(self, fits: bool) -> str:
        if fits:
            return self.resuming.said
        project = self._desk.session.project
        return "learnt from your images" if project and project.pretrained else "no labels needed"
