"""JobWorker: runs a job in a thread of its own; its events and its result come back as Qt signals."""

import threading
from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QObject, QTimer, Signal

from napari_sslseg.job import Event, Job, Stop, run

PERIOD = 500  # ms between two deliveries of events: each one draws the window again, which takes time from the job


class WorkerStop(Stop):
    """Also asks to stop once the main thread has ended: where a script failed, Python would wait for the job."""

    @property
    def requested(self) -> bool:
        """Whether a stop was asked for, or nobody is there any more."""
        return super().requested or not threading.main_thread().is_alive()


class JobWorker(QObject):
    """Runs one job off the GUI thread. The result always arrives, also after a stop, and after all events.

    Parameters
    ----------
    make : callable
        Takes the Stop and returns the job; called in the thread, so that slow imports do not hold up the window.
    """

    spoke = Signal(object)  # an event of the job (`event` is a method of every QObject)
    returned = Signal(object)
    errored = Signal(object)
    finished = Signal()  # last of all, after returned or errored

    _said = Signal(object)  # from the thread to the GUI thread
    _made = Signal(object)
    _failed = Signal(object)

    def __init__(self, make: Callable[[Stop], Job[Any]]) -> None:
        super().__init__()
        self._make = make
        self._stop = WorkerStop()
        self._waiting: list[Event] = []
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(PERIOD)
        self._pause.timeout.connect(self._deliver)
        self._said.connect(self._hear)
        self._made.connect(self._return)
        self._failed.connect(self._err)
        self._thread = threading.Thread(target=self._work, name="napari-sslseg job")

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def quit(self) -> None:
        """Request the stop; the job ends by itself, and its result still arrives."""
        self._stop.request()

    def wait(self, seconds: float) -> bool:
        """Block until the thread has ended, at most so long, and tell whether it has."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _work(self) -> None:
        try:
            result = run(self._make(self._stop), self._said.emit)
        except Exception as error:  # whatever it is, the user must hear of it, in the GUI thread
            self._failed.emit(error)
        else:
            self._made.emit(result)

    # ---------------------------------------------------------------- in the GUI thread
    def _hear(self, event: Event) -> None:
        self._waiting.append(event)
        if not self._pause.isActive():
            self._deliver()

    def _deliver(self) -> None:
        waiting, self._waiting = self._waiting, []
        for event in waiting:
            self.spoke.emit(event)
        if waiting:
            self._pause.start()

    def _end(self) -> None:
        self._deliver()
        self._pause.stop()

    def _return(self, result: Any) -> None:
        self._end()
        self.returned.emit(result)
        self.finished.emit()

    def _err(self, error: Exception) -> None:
        self._end()
        self.errored.emit(error)
        self.finished.emit()
