"""CompareRow: did learning from the images help? Trains with and without it, and says so in a sentence."""

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QLabel, QPushButton, QVBoxLayout, QWidget

from napari_sslseg.contents import Round
from napari_sslseg.gui.desk import Desk
from napari_sslseg.settings import FinetuneConfig

if TYPE_CHECKING:
    from napari_sslseg.comparing import Comparison

TRAININGS = 4  # two each way, as `compare_project` does
STEP = "compare"


class Comparing(QObject):
    """Compares, and remembers the answer until what it rests on is changed.

    Parameters
    ----------
    desk : Desk
        The desk; also the owner.
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._desk = desk
        self._found: Comparison | None = None
        desk.session.project_changed.connect(self._forget)

    def _forget(self) -> None:
        self._found = None

    @property
    def answer(self) -> "Comparison | None":
        """What was found; None before, and once somebody painted since."""
        return self._found if self._fresh else None

    @property
    def said(self) -> str:
        """The answer in a sentence, or why there is none; nothing while it is looked for, and once somebody painted."""
        if not self._fresh:
            return ""
        messages = self._desk.session.activities[STEP].messages
        return self._found.plain() if self._found is not None else "".join(messages[-1:])

    @property
    def _fresh(self) -> bool:
        session = self._desk.session
        asked = session.activities.get(STEP)
        return asked is not None and not asked.running and session.tally.written <= asked.began

    def run(self, config: FinetuneConfig) -> None:
        """Train with and without what was learnt from the images.

        Parameters
        ----------
        config : FinetuneConfig
            How to train.
        """
        if not self._desk.ready():
            return
        project, runtime = self._desk.session.needed_project, self._desk.session.runtime
        self._found = None
        self._desk.run(
            STEP, lambda stop: self._desk.jobs.compare(project, config, runtime=runtime, stop=stop), self._compared
        )

    def _compared(self, found: "Comparison") -> None:
        self._found = found


class CompareRow(QWidget):
    """The button, which says how long it takes, and the answer.

    Parameters
    ----------
    desk : Desk
        The desk.
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self.comparing: Comparing = desk.findChild(Comparing) or Comparing(desk)
        self.button = QPushButton()
        self.button.setAccessibleName("Did learning help?")
        self.answer = QLabel()
        self.answer.setWordWrap(True)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(4)
        whole.addWidget(self.button)
        whole.addWidget(self.answer)

    def refresh(self, minutes: float, steps: int | None, *, enabled: bool) -> None:
        """Show the row as it is now.

        Parameters
        ----------
        minutes : float
            How long one training takes.
        steps : int, optional
            How many steps it has instead.
        enabled : bool
            Whether it can be started.
        """
        project = self._desk.session.project
        rounds, answer = (project.rounds if project else ()), self.comparing.answer
        self.button.setVisible(project is not None and project.pretrained is not None)
        self.button.setEnabled(enabled)
        long = takes(minutes, steps, rounds)
        self.button.setText(f"Did learning help? · {long}")
        self.button.setToolTip(
            f"Train {TRAININGS} times on what you painted, with and without what was learnt from your images, and "
            f"compare the scores: {long}. Your masks and rounds stay as they are"
        )
        self.answer.setText(self.comparing.said)
        self.answer.setToolTip(answer.text() if answer else "")
        self.answer.setVisible(bool(self.answer.text()))


def takes(minutes: float, steps: int | None, rounds: tuple[Round, ...]) -> str:
    """Say how long a comparison takes.

    Parameters
    ----------
    minutes : float
        How long one training takes.
    steps : int, optional
        How many steps it has instead.
    rounds : tuple of Round
        What was trained so far: a number of steps takes as long as it did then.

    Returns
    -------
    str
        Such as ``about 4 min``.
    """
    if steps is not None:
        known = [r for r in rounds if r.steps and r.seconds]
        if not known:
            return f"{TRAININGS} trainings"
        minutes = steps * known[-1].seconds / known[-1].steps / 60
    whole = TRAININGS * minutes
    return f"about {max(1, round(whole))} min" if whole < 90 else f"about {whole / 60:.1f} h"
