"""Step 2, Learn: the computer looks at the images without labels; progress, time left and a live curve."""

from qtpy.QtWidgets import QComboBox, QPushButton, QVBoxLayout, QWidget

from napari_sslseg.config import Registry
from napari_sslseg.gui.curve import Curve
from napari_sslseg.gui.desk import Desk, telling
from napari_sslseg.gui.forms import Form
from napari_sslseg.gui.listen import listen
from napari_sslseg.gui.panel import Panel
from napari_sslseg.io.header import read_config
from napari_sslseg.settings import PretrainConfig, RuntimeConfig
from napari_sslseg.stages import stage

LENGTHS = (("Quick", 1 / 3), ("Standard", 1.0), ("Thorough", 5.0))  # shares of the default length


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
    """Start, stop and follow pretraining.

    Parameters
    ----------
    desk : Desk
        The desk.
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self.panel = Panel(2, "Learn", "▶ Learn", "Let the computer look at your images; no labels are needed")
        self.curve = Curve()
        self.probe = Curve("higher")
        self.probe.setAccessibleName("How good what was learnt is")
        self.length = QComboBox()
        self.length.setAccessibleName("How long to learn")
        self.length.setToolTip("How long the computer may look at your images. Paint meanwhile, or leave this step out")
        self.denoised = QPushButton("Show denoised")
        self.denoised.setToolTip("What you are looking at without its noise, as a layer over the image")
        self.form = Form(PretrainConfig, choices=component_names())
        self.runtime = Form(RuntimeConfig)
        self.advanced = QPushButton()
        self.advanced.setText("Advanced ▸")
        self.advanced.setCheckable(True)
        self.advanced.setToolTip("Everything else that can be set; the defaults are sensible")
        self._compose()
        self.panel.started.connect(self.start)
        self.panel.stopped.connect(desk.stop)
        session = desk.session
        for signal in (session.project_changed, session.images_changed, session.activity_changed, session.event):
            listen(self, signal, self.refresh)
        for signal in (session.project_changed, session.rounds_changed):
            listen(self, signal, self._offer)
        self.denoised.clicked.connect(desk.denoise)
        self._offer()
        self.refresh()

    def _compose(self) -> None:
        default = self.form.config().minutes
        for name, share in LENGTHS:
            self.length.addItem(f"{name} · {default * share:g} min", default * share)
        self.length.setCurrentIndex(1)
        self.length.currentIndexChanged.connect(self._length_chosen)
        self.form["minutes"].changed.connect(self._minutes_changed)
        self.panel.buttons.addWidget(self.length)
        self.panel.buttons.addWidget(self.advanced)
        self.fold = QWidget()
        inside = QVBoxLayout(self.fold)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.addWidget(self.form.widget)
        inside.addWidget(self.runtime.widget)
        self.fold.hide()
        self.advanced.toggled.connect(self._unfold)
        self.panel.body.addWidget(self.denoised)
        self.panel.body.addWidget(self.curve)
        self.panel.body.addWidget(self.probe)
        self.panel.body.addWidget(self.fold)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(self.panel)

    def _offer(self) -> None:
        """Offer to denoise where that is what was learnt."""
        project = self._desk.session.project
        learnt = read_config(project.pretrained) if project and project.pretrained else {}
        self.denoised.setVisible(learnt.get("pretrain", {}).get("method") == "denoise")

    def _unfold(self, shown: bool) -> None:
        self.fold.setVisible(shown)
        self.advanced.setText("Advanced ▾" if shown else "Advanced ▸")

    def _length_chosen(self, at: int) -> None:
        with telling():
            minutes = float(self.length.itemData(at))
            self.form.set(self.form.config(minutes=minutes, steps=None))

    def _minutes_changed(self, minutes: float) -> None:
        self.length.blockSignals(True)
        self.length.setCurrentIndex(self.length.findData(float(minutes)))
        self.length.setPlaceholderText(f"Own · {minutes:g} min")
        self.length.blockSignals(False)

    def start(self) -> None:
        """Start pretraining with what the form says."""
        with telling():
            self._desk.session.runtime = self.runtime.config()
            self._desk.learn(self.form.config())

    def refresh(self) -> None:
        """Show the step as it is now."""
        session = self._desk.session
        activity = session.activities.get("learn")
        shown = session.activities["denoise"] if session.running == "denoise" else activity
        self.panel.show_activity(shown, enabled=session.running is None)
        self.denoised.setEnabled(session.running is None)
        curves = activity.curves if activity else {}
        for curve, name in ((self.curve, "loss"), (self.probe, "probe")):
            curve.set_points(name, curves.get(name, []))
            curve.setVisible(name in curves)
        self.panel.show_stage(*stage(session, "learn"), self._summary())

    def _summary(self) -> str:
        project = self._desk.session.project
        return "learnt from your images" if project and project.pretrained else "no labels needed"
