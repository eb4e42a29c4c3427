"""Panel: one step of the dock: light, title, summary, fold; for a verb its button, progress and message."""

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFrame, QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_sslseg.gui.elided import Elided
from napari_sslseg.gui.light import Light
from napari_sslseg.gui.style import TITLE
from napari_sslseg.gui.wrap import Wrap
from napari_sslseg.stages import Activity, Stage


def time_left(seconds: float | None) -> str:
    """Say how much time is left.

    Parameters
    ----------
    seconds : float, optional
        Seconds; None while unknown.

    Returns
    -------
    str
        Such as ``1:20 left``.
    """
    if seconds is None:
        return ""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02} left" if hours else f"{minutes}:{rest:02} left"


class Panel(QFrame):
    """A step. Its owner fills `body` and connects `started` and `stopped`.

    Parameters
    ----------
    number : int
        1 to 5.
    title : str
        One word.
    verb : str
        Text of the main button.
    tooltip : str
        What the button does.
    """

    started = Signal()
    stopped = Signal()

    def __init__(self, number: int, title: str, verb: str, tooltip: str) -> None:
        super().__init__()
        self._verb, self._tooltip, self._key = verb, tooltip, f" (Ctrl+{number})"
        self._halt, self._halt_tooltip = "■ Stop", "Stop now and keep what was done so far"
        self.setObjectName(f"step-{title.lower()}")
        self.light = Light(self)
        self.title = QPushButton(self)
        self.title.setText(f"{number} {title}")
        self.title.setCheckable(True)
        self.title.setChecked(True)
        self.title.setStyleSheet(TITLE)
        self.title.setToolTip("Fold or unfold this step")
        self.title.setAccessibleName(f"Step {number}: {title}")
        self.summary = Elided(self)
        self.button = QPushButton(self)
        self.button.clicked.connect(self._clicked)
        self.bar = QProgressBar(self)
        self.bar.setRange(0, 1000)
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(6)
        self.bar.setAccessibleName(f"{title}: progress")
        self.message = QLabel(self)
        self.message.setWordWrap(True)
        self.content = QWidget(self)
        self.body = QVBoxLayout(self.content)
        self._compose()
        self.show_activity(None)

    def _compose(self) -> None:
        head = QHBoxLayout()
        head.setContentsMargins(0, 0, 0, 0)
        head.addWidget(self.light)
        head.addWidget(self.title)
        head.addWidget(self.summary, 1)
        self.body.setContentsMargins(20, 0, 0, 0)
        self.body.setSpacing(4)
        self.buttons = Wrap()
        self.buttons.addWidget(self.button, 1)
        self.body.addLayout(self.buttons)
        self.body.addWidget(self.bar)
        self.body.addWidget(self.message)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(6, 4, 6, 6)
        whole.setSpacing(3)
        whole.addLayout(head)
        whole.addWidget(self.content)
        self.title.toggled.connect(self.content.setVisible)

    def _clicked(self) -> None:
        (self.stopped if self._running else self.started).emit()

    def set_verb(self, verb: str, tooltip: str) -> None:
        """Let the main button start something else; it says so when the step is shown next.

        Parameters
        ----------
        verb : str
            Its text.
        tooltip : str
            What it does.
        """
        self._verb, self._tooltip = verb, tooltip

    def set_halt(self, halt: str, tooltip: str) -> None:
        """Let the main button say something else while a job runs, from when the step is shown next.

        Parameters
        ----------
        halt : str
            Its text.
        tooltip : str
            What it does.
        """
        self._halt, self._halt_tooltip = halt, tooltip

    def show_stage(self, stage: Stage, why: str, summary: str) -> None:
        """Show how far the step is.

        Parameters
        ----------
        stage : Stage
            How far.
        why : str
            One sentence.
        summary : str
            A few words beside the title, unless a job runs that said on what.
        """
        self.light.set_stage(stage, why)
        summary = self._device or summary
        self.summary.setText(summary)
        self.summary.setToolTip(f"{summary}\n{why}" if summary else why)

    def show_activity(self, activity: Activity | None, *, enabled: bool = True) -> None:
        """Show the job of the step.

        Parameters
        ----------
        activity : Activity, optional
            The job that runs, or the last one; None if there was none.
        enabled : bool, optional
            Whether a job can be started now.
        """
        self._running = activity is not None and activity.running
        self._device = activity.device if activity is not None and activity.running else ""
        for widget in (self.bar, self.message):
            widget.setToolTip(f"Runs {self._device}" if self._device else "")
        stopping = activity is not None and activity.stopping
        self.button.setText("Stopping…" if stopping else self._halt if self._running else self._verb)
        self.button.setToolTip(self._halt_tooltip if self._running else self._tooltip + self._key)
        self.button.setEnabled(not stopping if self._running else enabled)
        progress = activity.progress if activity and self._running else None
        self.bar.setVisible(self._running)
        self.bar.setRange(0, 1000 if progress or not self._running else 0)
        if progress:
            _advance(self.bar, round(1000 * progress.fraction))
        self.message.setText(_message(activity))
        self.message.setVisible(self._running or bool(self.message.text()))
        self._hold_room()

    def _hold_room(self) -> None:
        """Let a message take no less room than it once had while the job runs, so that what lies below stays there."""
        line = self.message.fontMetrics().height() + 2 * self.message.margin()
        said = (
            self.message.heightForWidth(self.message.width()) if self.isVisible() else 0
        )  # else its width is not known
        room = max(self.message.minimumHeight(), said, line)
        self.message.setMinimumHeight(room if self._running else 0)


def _advance(bar: QProgressBar, value: int) -> None:
    """Move a bar, to be drawn with the next frame; by itself it has the whole window drawn at once, canvas and all."""
    bar.setUpdatesEnabled(False)
    bar.setValue(value)
    bar.setUpdatesEnabled(True)


def _message(activity: Activity | None) -> str:
    if activity is None:
        return ""
    if activity.running and not activity.stopping and activity.progress:
        parts = [activity.progress.text, time_left(activity.progress.seconds_left)]
        return "\n".join([" · ".join(p for p in parts if p), *activity.messages[-1:]])
    return "\n".join(activity.messages)
