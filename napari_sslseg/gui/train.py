"""Step 4, Train: train on what was painted, and see whether it helped."""

from qtpy.QtWidgets import QCheckBox, QComboBox, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_sslseg.contents import Round
from napari_sslseg.gui.compare_row import CompareRow
from napari_sslseg.gui.desk import Desk
from napari_sslseg.gui.fold import Fold
from napari_sslseg.gui.forms import Form
from napari_sslseg.gui.learn import component_names
from napari_sslseg.gui.listen import listen
from napari_sslseg.gui.panel import Panel
from napari_sslseg.gui.score_plot import ScorePlot
from napari_sslseg.gui.telling import telling
from napari_sslseg.settings import FinetuneConfig
from napari_sslseg.stages import Stage, stage
from napari_sslseg.verdict import better

TASKS = (("Classes", "semantic"), ("Objects", "instance"))
SHOWN = 6


class TrainStep(QWidget):
    """Start, stop and follow training; the score of each round.

    Parameters
    ----------
    desk : Desk
        The desk.
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self.panel = Panel(4, "Train", "▶ Train", "Train on everything painted so far, then show the masks")
        self.task = QComboBox()
        self.task.setAccessibleName("What to find")
        self.task.setToolTip(
            "Classes: what is each pixel? Objects: paint 1 for background, then each object in a number of its own"
        )
        for text, task in TASKS:
            self.task.addItem(text, task)
        self.form = Form(FinetuneConfig, choices=component_names())
        self.form.widget.hide()
        self.advanced = Fold("Advanced", "Everything else that can be set; the defaults are sensible")
        self.plot = ScorePlot()
        self.scores = QLabel()
        self.scores.setWordWrap(True)
        self.scores.setToolTip(
            "Agreement with strokes that were kept apart (IoU, 0 to 1), round by round; of the last one, in brackets, "
            "between which values it lies (95 %).\nMost strokes are easy, so masks of whole images are less right than "
            "that. How right is estimated from how sure they are, and from where two ways of finding them agree"
        )
        self.live = QCheckBox("Live")
        self.live.setToolTip(
            "Masks follow the brush (Ctrl+L): a quick look at what your strokes say so far. "
            "Train for masks that are better"
        )
        self.doubts = QCheckBox("where unsure")
        self.doubts.setToolTip("Light up where the next best class is nearly as likely: strokes there tell most")
        self.following = QLabel()
        self.following.setWordWrap(True)
        line = self.following.fontMetrics().lineSpacing()
        self.following.setMinimumHeight(line)  # also while there is nothing to say
        self.back = QPushButton()
        self.back.setAccessibleName("Go back to the better round")
        self.back.setToolTip("Predict with that round again, until you train anew; what you painted stays")
        self.back.hide()
        self.comparison = CompareRow(self._desk)
        self.panel.buttons.addWidget(self.live)
        self.panel.buttons.addWidget(self.task)
        self.panel.buttons.addWidget(self.advanced)
        self.panel.body.addWidget(self.doubts)
        self.panel.body.addWidget(self.following)
        self.panel.body.addWidget(self.plot)
        self.panel.body.addWidget(self.scores)
        self.panel.body.addWidget(self.back)
        self.panel.body.addWidget(self.comparison)
        self.panel.body.addWidget(self.form.widget)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(self.panel)
        self._connect()
        self.refresh()

    def _connect(self) -> None:
        session = self._desk.session
        self.panel.started.connect(self.start)
        self.panel.stopped.connect(self._desk.stop)
        self.task.currentIndexChanged.connect(self._task_chosen)
        self.advanced.toggled.connect(self.form.widget.setVisible)
        self.live.toggled.connect(self._follow)
        self.back.clicked.connect(self.go_back)
        self.comparison.button.clicked.connect(self.compare)
        for name in ("minutes", "steps"):
            self.form[name].changed.connect(self.refresh)
        self.doubts.toggled.connect(self._desk.live.show_doubts)
        self._desk.live.changed.connect(self.refresh)
        for signal in (
            session.project_changed,
            session.images_changed,
            session.classes_changed,
            session.labels_changed,
            session.rounds_changed,
            session.activity_changed,
            session.event,
        ):
            listen(self, signal, self.refresh)

    def _follow(self, on: bool) -> None:
        with telling():
            self._desk.live.turn(on and self._desk.ready())
        self.refresh()

    def compare(self) -> None:
        """Train with and without what was learnt from the images, with what the form says."""
        with telling():
            self.comparison.comparing.run(self.form.config())

    def go_back(self) -> None:
        """Predict with the earlier round that was better, where there is one."""
        project = self._desk.session.project
        best = better(project.rounds) if project else None
        if best is not None:
            self._desk.use_round(best.number)
        self.refresh()

    def _task_chosen(self, at: int) -> None:
        with telling():
            if self._desk.ready():
                self._desk.session.set_task(str(self.task.itemData(at)))
        self.refresh()

    def start(self) -> None:
        """Train with what the form says."""
        with telling():
            self._desk.train(self.form.config())

    def refresh(self) -> None:
        """Show the step as it is now."""
        session, project = self._desk.session, self._desk.session.project
        now, why = stage(session, "train")
        free = session.running is None and now is not Stage.EMPTY
        shown = "compare" if session.running == "compare" else "train"
        self.panel.show_activity(session.activities.get(shown), enabled=free)
        self.comparison.refresh(self.form["minutes"].value, self.form["steps"].value or None, enabled=free)
        rounds = project.rounds if project else ()
        live = self._desk.live
        for box, on in ((self.live, live.on), (self.doubts, live.doubts)):
            box.blockSignals(True)
            box.setChecked(on)
            box.blockSignals(False)
        self.doubts.setVisible(live.on)
        self.following.setText(f"Live: {live.said}" if live.said else "")
        self.following.setVisible(live.on or bool(live.said))  # the buttons must not jump with each stroke
        self.plot.set_rounds(rounds[-SHOWN:])
        self.scores.setText(scores(rounds))
        self.scores.setVisible(bool(rounds))
        current, best = (project.current_round, better(rounds)) if project else (None, None)
        self.back.setVisible(best is not None and current is not best)
        self.back.setEnabled(session.running is None)
        self.back.setText(f"Go back to round {best.number}, which was better" if best else "")
        self.task.blockSignals(True)
        self.task.setCurrentIndex(self.task.findData(project.task if project else "semantic"))
        self.task.blockSignals(False)
        self.panel.show_stage(now, why, f"round {current.number}" if current else "")


def scores(rounds: tuple[Round, ...]) -> str:
    """Say the scores of the latest rounds.

    Parameters
    ----------
    rounds : tuple of Round
        The rounds.

    Returns
    -------
    str
        Such as ``IoU by round  .61  .72  .79 (.74 to .83)``, and what is to be expected in whole images.
    """
    if not rounds:
        return ""
    text = "IoU by round  " + "  ".join(_short(r.score) if r.score is not None else "–" for r in rounds[-SHOWN:])
    if rounds[-1].interval is not None:
        text += " ({} to {})".format(*map(_short, rounds[-1].interval))
    if rounds[-1].expected is not None:
        text += f"\nIn whole images about {_short(rounds[-1].expected)}, estimated"
    if all(r.score is None and not r.held_out for r in rounds):
        text += "\nPaint more separate strokes of each class, then some are kept apart for a score"
    return text


def _short(score: float) -> str:
    return f"{score:.2f}".removeprefix("0")
