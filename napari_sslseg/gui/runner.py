"""Runner: the one job that runs beside a window; what it says goes to the session, what it made to whoever asked."""

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QObject, Signal

from napari_sslseg.errors import StoppedError, UserError
from napari_sslseg.gui.words import explained, worded
from napari_sslseg.gui.worker import JobWorker
from napari_sslseg.job import Event, Job, Stop
from napari_sslseg.session import Session


class Runner(QObject):
    """Starts, stops and ends jobs, one at a time.

    Parameters
    ----------
    session : Session
        What the user is doing.
    parent : QObject
        Owner.
    """

    failed = Signal(object)  # the error of a job
    ended = Signal()  # nothing runs any more

    def __init__(self, session: Session, parent: QObject) -> None:
        super().__init__(parent)
        self._session = session
        self._worker: JobWorker | None = None
        self._done: Callable[[Any], str | None] | None = None
        self._then: Callable[[], None] | None = None

    @property
    def busy(self) -> bool:
        """Whether a job runs."""
        return self._worker is not None

    def run(
        self,
        step: str,
        make: Callable[[Stop], Job[Any]],
        done: Callable[[Any], str | None] | None = None,
        then: Callable[[], None] | None = None,
    ) -> None:
        """Run a job.

        Parameters
        ----------
        step : str
            The step it belongs to, or a name of its own.
        make : callable
            Makes the job.
        done : callable, optional
            Is given the result, and may return what to tell the user.
        then : callable, optional
            What comes next, once nothing runs any more; not after a failure.

        Raises
        ------
        UserError
            If a job runs already.
        """
        self._session.begin(step)
        self._done, self._then = done, then
        self._worker = JobWorker(make)
        self._worker.spoke.connect(self._heard)
        self._worker.returned.connect(self._returned)
        self._worker.errored.connect(self._errored)
        self._worker.start()

    def stop(self) -> None:
        """Ask the running job to stop; it keeps its best state."""
        if self._worker is not None:
            self._worker.quit()
            self._session.ask_stop()

    def _heard(self, event: Event) -> None:
        self._session.hear(worded(event))

    def _returned(self, result: Any) -> None:
        step, self._worker = self._session.running, None
        done, then, self._done, self._then = self._done, self._then, None, None
        stopped = step is not None and self._session.activities[step].stopping
        said = done(result) if done is not None else None
        self._session.end("Stopped; what was done so far is kept" if stopped else said or "")
        if then is not None:
            then()
        self.ended.emit()

    def _errored(self, error: Exception) -> None:
        self._worker = self._done = self._then = None
        if isinstance(error, StoppedError):  # as was asked for
            self._session.end("Stopped before there was anything to keep", failed=True)
            self.ended.emit()
            return
        self._session.end(explained(error) if isinstance(error, UserError) else f"It failed: {error}", failed=True)
        self.failed.emit(error)
        self.ended.emit()
