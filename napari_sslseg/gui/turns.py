"""Turns: work in the GUI thread that is cut into small pieces, so that the window stays live meanwhile."""

import time
from collections import deque
from collections.abc import Iterator

from qtpy.QtCore import QObject, QTimer, Signal

from napari_sslseg.errors import UserError

TURN = 0.03  # s: so long it works before the window has its turn


class Turns(QObject):
    """Does one piece of work after the other; what is short is done at once.

    Parameters
    ----------
    parent : QObject
        Owner.
    """

    changed = Signal()  # it is further, or done
    failed = Signal(object)  # an error that the user can mend

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.share = 0.0  # of the work at hand that is done
        self._work: deque[Iterator[float]] = deque()
        self._going = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._go)

    @property
    def busy(self) -> bool:
        """Whether there is something to do."""
        return bool(self._work)

    def add(self, work: Iterator[float]) -> None:
        """Do something, after what is to be done already.

        Parameters
        ----------
        work : iterator of float
            Does a little each time, and says which share is done.
        """
        self._work.append(work)
        self._go()

    def drop(self) -> None:
        """Do no more of it."""
        self._work.clear()
        self.changed.emit()

    def _go(self) -> None:
        if self._going:
            return
        self._going, until = True, time.monotonic() + TURN
        while self._work:
            work = self._work[0]
            try:
                self.share = next(work)
            except StopIteration:
                self._done(work)
            except UserError as error:
                self._done(work)
                self.failed.emit(error)
            if time.monotonic() >= until:
                break
        self._going = False
        if self._work:
            self._timer.start(0)
        self.changed.emit()

    def _done(self, work: Iterator[float]) -> None:
        if self._work and self._work[0] is work:  # else it was dropped
            self._work.popleft()
