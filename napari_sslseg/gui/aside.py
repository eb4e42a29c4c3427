"""Aside: something short that is computed beside the job that runs; whoever asked for it says how far it is."""

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QObject, Signal

from napari_sslseg.errors import StoppedError
from napari_sslseg.gui.desk import Desk
from napari_sslseg.gui.telling import tell
from napari_sslseg.gui.words import in_words
from napari_sslseg.gui.worker import JobWorker
from napari_sslseg.job import Event, Job, Progress, Stop


class Aside(QObject):
    """Runs one thing at a time, whatever else runs.

    Parameters
    ----------
    desk : Desk
        The desk; when its window is gone, nobody waits for an answer.
    parent : QObject
        Owner.
    """

    changed = Signal()  # something began, ended or has something else to say

    def __init__(self, desk: Desk, parent: QObject) -> None:
        super().__init__(parent)
        self.role = ""  # what it is for; none while nothing runs, and of what was left off
        self.said = ""  # what is going on, in a few words
        self._worker: JobWorker | None = None
        self._done: Callable[[Any], None] | None = None
        desk.closed.connect(self.quit)

    @property
    def busy(self) -> bool:
        """Whether something runs, or is just being left off."""
        return self._worker is not None

    def run(self, role: str, make: Callable[[Stop], Job[Any]], done: Callable[[Any], None]) -> None:
        """Run something; nothing must run yet.

        Parameters
        ----------
        role : str
            What it is for.
        make : callable
            Makes the job.
        done : callable
            Is given the result, unless it was left off.
        """
        self.role, self._done = role, done
        self._worker = JobWorker(make)
        self._worker.spoke.connect(self._heard)
        self._worker.returned.connect(self._returned)
        self._worker.errored.connect(self._errored)
        self._worker.start()
        self._say("loading the network")

    def quit(self, role: str = "") -> None:
        """Leave off what runs.

        Parameters
        ----------
        role : str, optional
            Only if it is for that.
        """
        if self._worker is not None and role in ("", self.role):
            self._worker.quit()
            self.role, self._done = "", None
            self._say("")

    def _heard(self, event: Event) -> None:
        if isinstance(event, Progress) and self.role:
            self._say(in_words(event.text))

    def _say(self, text: str) -> None:
        self.said = text
        self.changed.emit()

    def _end(self) -> None:
        self._worker = self._done = None
        self.role = ""
        self._say("")

    def _returned(self, result: Any) -> None:
        done = self._done
        self._end()
        if done is not None:
            done(result)

    def _errored(self, error: Exception) -> None:
        self._end()
        if not isinstance(error, StoppedError):
            tell(error)
