"""LabelWriter: writes labels to the project in a thread that lives only while there is something to write."""

import itertools
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from contextlib import suppress

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QObject, Signal

from napari_sslseg.annotation import BLOCK, count
from napari_sslseg.io.ending import at_the_end
from napari_sslseg.project import Project

DELAY = 120  # ms from a change to its writing
Labels = npt.NDArray[np.uint16]
Region = tuple[slice, ...]


class LabelWriter(QObject):
    """Writes changed regions in the order they come, and counts what is painted.

    Parameters
    ----------
    project : Project
        Where to write.
    parent : QObject
        Owner.
    """

    written = Signal(str, object, float)  # image, painted pixels by value, seconds since 1970
    failed = Signal(object)  # an error, once a stroke; what could not be written is tried again with what comes next

    def __init__(self, project: Project, parent: QObject) -> None:
        super().__init__(parent)
        self._project = project
        self._waiting: deque[tuple[str, Labels, Region, Labels, Labels]] = deque()
        self._refused: list[tuple[str, Labels, Region, Labels]] = []  # with what was there before
        self._accepted: deque[tuple[str, Labels, Region]] = deque()  # to be noted, before the labels that they are
        self._counts: dict[str, dict[tuple[int, int, int], dict[int, int]]] = {}
        self._expected: set[Callable[[], None]] = set()  # who has something to put
        self._told: object = None  # what went wrong last, as long as it need not be told again
        self._hurried = False  # whether it is asked for at once
        self._change = threading.Condition()
        self._thread: threading.Thread | None = None

    def put(self, id: str, labels: Labels, region: Region, before: Labels) -> None:
        """Write a region of the labels of an image soon, where it changed.

        Parameters
        ----------
        id : str
            The image.
        labels : numpy.ndarray
            All its labels; the region of them is copied now.
        region : tuple of slice
            Where they changed.
        before : numpy.ndarray
            What was there before.
        """
        with self._change:
            self._again()
            self._waiting.append((id, labels, region, labels[region].copy(), before))
            self._change.notify_all()
            self._begin()

    def note_accepted(self, id: str, values: Labels, region: Region) -> None:
        """Note soon which labels were masks that somebody accepted.

        Parameters
        ----------
        id : str
            The image.
        values : numpy.ndarray
            Of the shape of `region`; 0 where nothing was accepted.
        region : tuple of slice
            Where.
        """
        with self._change:
            self._accepted.append((id, values, region))
            self._change.notify_all()
            self._begin()

    def _again(self) -> None:
        """Try again what could not be written, before what came later."""
        refused, self._refused = self._refused, []
        for id, labels, region, before in refused:
            self._waiting.append((id, labels, region, labels[region].copy(), before))

    def unwritten(self, id: str) -> Labels | None:
        """Find the labels of an image of which not all is on the disk, whether or not their layer is still there.

        Parameters
        ----------
        id : str
            The image.

        Returns
        -------
        numpy.ndarray, optional
            All its labels; None if they are on the disk.
        """
        with self._change:
            return next((labels for other, labels, *_ in reversed(self._refused) if other == id), None)

    def tell_again(self) -> None:
        """Tell again of what goes wrong, as with a new stroke; else it is told once, and not at each try."""
        with self._change:
            self._told = None

    def expect(self, hand_over: Callable[[], None], *, soon: bool) -> None:
        """Note that somebody has something to put; where Python ends before that, it is asked for.

        Parameters
        ----------
        hand_over : callable
            Puts what is to be written; called in any thread, and when Qt may be gone.
        soon : bool
            Whether to ask for it in a moment, since no event loop runs that would.
        """
        with self._change:
            self._expected.add(hand_over)
            _busy.add(self)
            if soon:
                self._begin()

    def _begin(self) -> None:
        _busy.add(self)
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="napari-sslseg labels")
            self._thread.start()

    def flush(self, seconds: float = 10.0) -> bool:
        """Wait until everything is on disk.

        Parameters
        ----------
        seconds : float, optional
            At most so long.

        Returns
        -------
        bool
            Whether everything is.
        """
        with self._change:
            self._again()
            if self._expected or self._waiting or self._accepted:
                self._begin()
                self._hurried = True
                self._change.notify_all()
            done = self._change.wait_for(lambda: self._thread is None, seconds)
        return done and not self._refused

    def forget(self, id: str) -> None:
        """Count all of an image anew next time: its labels were changed by somebody else.

        Parameters
        ----------
        id : str
            The image.
        """
        self._counts.pop(id, None)

    def _work(self) -> None:
        while True:
            with self._change:
                if self._expected:
                    self._change.wait_for(lambda: self._waiting or self._accepted or self._hurried, DELAY / 1000)
                expected, self._expected = self._expected, set()
            for hand_over in expected:
                hand_over()
            while self._accepted:
                with suppress(Exception):  # a full disk: labels cannot be written either, and the user hears of that
                    self._project.note_accepted(*self._accepted.popleft())
            with self._change:
                if not self._waiting:
                    if self._expected or self._accepted:
                        continue
                    self._thread, self._hurried = None, False
                    _busy.discard(self)
                    self._change.notify_all()
                    return
                id, labels, region, part, before = self._waiting.popleft()
            try:
                self._project.write_labels(id, part, region, before)
            except Exception as error:  # a full disk, a lost share: the user must hear of it
                with self._change:
                    self._refused.append((id, labels, region, before))
                    told, self._told = self._told, (type(error), error.args)
                if told != self._told:
                    with suppress(RuntimeError):  # Qt may be gone where Python ends
                        self.failed.emit(error)
            else:
                self._told = None
                counts = self._count(id, labels, region)
                with suppress(RuntimeError):
                    self.written.emit(id, counts, time.time())

    def _count(self, id: str, labels: Labels, region: Region) -> dict[int, int]:
        """Count again in the squares that a region touches only."""
        planes = labels[None] if labels.ndim == 2 else labels
        part = region if labels.ndim == 3 else (slice(0, 1), *region)
        known = self._counts.get(id)
        (z0, z1), (y0, y1), (x0, x1) = ((s.start, s.stop) for s in part)
        looked_at: Iterable[int] = range(z0, z1)
        if known is None:
            known, looked_at = self._counts.setdefault(id, {}), self._project.painted_planes(id)
            y0, x0, (y1, x1) = 0, 0, planes.shape[1:]
        rows, columns = (range(a // BLOCK * BLOCK, b, BLOCK) for a, b in ((y0, y1), (x0, x1)))
        for z, y, x in itertools.product(looked_at, rows, columns):
            known.pop((z, y, x), None)
            if counted := count(planes[z, y : y + BLOCK, x : x + BLOCK]):
                known[z, y, x] = counted
        total: Counter[int] = Counter()
        for counted in known.values():
            total.update(counted)
        return dict(total)


_busy: set[LabelWriter] = set()  # while they have something to write


@at_the_end
def _finish() -> None:
    for writer in tuple(_busy):
        writer.flush()
