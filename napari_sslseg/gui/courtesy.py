"""Courtesy: the job that runs waits while a stroke is drawn, so that the brush has the processor for itself."""

from qtpy.QtCore import QObject, QTimer

from napari_sslseg.gui.jobs import Jobs
from napari_sslseg.gui.painting import Painting
from napari_sslseg.session import Session

AFTER = 200  # ms from the end of a stroke until the job goes on: the next stroke may follow


class Courtesy(QObject):
    """Lets jobs wait for strokes; for two seconds at most, however long one is drawn.

    Parameters
    ----------
    painting : Painting
        Where strokes are drawn.
    session : Session
        Knows whether a job runs.
    jobs : Jobs
        Its owner.
    parent : QObject
        Owner.
    """

    def __init__(self, painting: Painting, session: Session, jobs: Jobs, parent: QObject) -> None:
        super().__init__(parent)
        self._session, self._jobs = session, jobs
        self._waits = False  # whether a job was asked to
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(AFTER)
        self._timer.timeout.connect(self._go_on)
        painting.pressed.connect(self._wait)
        painting.lifted.connect(self._lifted)

    def _wait(self) -> None:
        self._timer.stop()
        if self._session.running is not None:
            self._waits = True
            self._jobs.give_way(True)

    def _lifted(self) -> None:
        if self._waits:
            self._timer.start()

    def _go_on(self) -> None:
        self._waits = False
        self._jobs.give_way(False)
