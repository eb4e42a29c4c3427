"""JobWorker: runs a job in a thread of its own; its events and its result come back as Qt signals."""

import threading
from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QObject, Signal

from napari_sslseg.job import Job, Stop, run


class JobWorker(QObject):
    """Runs one job off the GUI thread. The result always arrives, also after a stop.

    Parameters
    ----------
    make : callable
        Takes the Stop and returns the job; called in the thread, so that slow imports do not hold up the window.
    """

    event = Signal(object)
    returned = Signal(object)
    errored = Signal(object)
    finished = Signal()  # last of all, after returned or errored

    def __init__(self, make: Callable[[Stop], Job[Any]]) -> None:
        super().__init__()
        self._make = make
        self._stop = Stop()
        self._thread = threading.Thread(target=self._work, name="napari-sslseg job")

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def quit(self) -> None:
        """Request the stop; the job ends by itself, and its result still arrives."""
        self._stop.request()

    @property
    def alive(self) -> bool:
        """Whether the thread still runs."""
        return self._thread.is_alive()

    def wait(self, seconds: float) -> bool:
        """Block until the thread has ended.

        Parameters
        ----------
        seconds : float
            At most so long.

        Returns
        -------
        bool
            Whether it has ended.
        """
        self._thread.join(seconds)
        return not self.alive

    def _work(self) -> None:
        try:
            result = run(self._make(self._stop), self.event.emit)
        except Exception as error:  # whatever it is, the user must hear of it, in the GUI thread
            self.errored.emit(error)
        else:
            self.returned.emit(result)
        self.finished.emit()
