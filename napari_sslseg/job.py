"""A long computation as a generator: it yields events, can be asked to stop, and returns what it made."""

import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from napari_sslseg.errors import StoppedError

R = TypeVar("R")
T = TypeVar("T")


@dataclass(frozen=True)
class Progress:
    """How far a job is.

    Parameters
    ----------
    fraction : float
        Share of the work that is done, 0 to 1.
    text : str
        What is going on, in a few words.
    seconds_left : float, optional
        Estimated time left in seconds; None while unknown.
    """

    fraction: float
    text: str = ""
    seconds_left: float | None = None


@dataclass(frozen=True)
class Metric:
    """One number of a curve, such as the loss at a step.

    Parameters
    ----------
    name : str
        Name of the curve.
    value : float
        The value.
    step : int
        Position on the curve.
    """

    name: str
    value: float
    step: int


@dataclass(frozen=True, eq=False)
class Picture:
    """A small picture made on the way, such as a restored crop.

    Parameters
    ----------
    name : str
        What it shows.
    pixels : numpy.ndarray
        (Y, X) or (Y, X, 3), float in 0 to 1.
    step : int
        When it was made.
    """

    name: str
    pixels: npt.NDArray[np.float32]
    step: int


@dataclass(frozen=True)
class Notice:
    """One sentence for the user, such as an image that was left out and why.

    Parameters
    ----------
    text : str
        The sentence.
    """

    text: str


@dataclass(frozen=True)
class Device:
    """On what a job computes; said once, when it begins.

    Parameters
    ----------
    text : str
        In words, such as ``on 2 processor cores``.
    """

    text: str


Event = Progress | Metric | Picture | Notice | Device
Job = Generator[Event, None, R]


class Stop:
    """A request to stop, safe to make from any thread; a job looks at it at every step."""

    def __init__(self) -> None:
        self.held = 0.0  # s for which those who looked at it had to wait, where that can be
        self._event = threading.Event()

    def request(self) -> None:
        """Ask the job to finish now and keep its best state."""
        self._event.set()

    @property
    def requested(self) -> bool:
        """Whether a stop was asked for."""
        return self._event.is_set()

    def give_way(self) -> None:
        """Wait for a moment if whoever asked for the work wants that; a job that nobody holds up does not."""


def until(stop: Stop, items: Iterable[T]) -> Iterator[T]:
    """Go through items as long as nobody asks to stop.

    Parameters
    ----------
    stop : Stop
        Looked at before each of them; whoever goes through them looks at it once more after the last.
    items : iterable
        Each may take a while to make.

    Yields
    ------
    object
        The items.
    """
    for item in items:
        if stop.requested:
            return
        yield item


def every(stop: Stop | None, items: Iterable[T]) -> Iterator[T]:
    """Go through items, or break off if somebody asks to stop.

    Parameters
    ----------
    stop : Stop, optional
        Looked at before each of them and after the last.
    items : iterable
        Each may take a while to make.

    Yields
    ------
    object
        The items.

    Raises
    ------
    StoppedError
        If a stop was asked for.
    """
    yield from until(stop, items) if stop else items
    if stop and stop.requested:
        raise StoppedError("It was stopped before its first step", "There is nothing to keep", "Start it again")


class Rhythm:
    """Says when it is time for the next event, so that a job speaks at most some ten times a second.

    Parameters
    ----------
    seconds : float
        Least time between two events.
    """

    def __init__(self, seconds: float = 0.1) -> None:
        self._seconds = seconds
        self._last = float("-inf")

    def due(self) -> bool:
        """Return True at most once per interval.

        Returns
        -------
        bool
            Whether the interval has passed since the last True.
        """
        now = time.monotonic()
        if now - self._last < self._seconds:
            return False
        self._last = now
        return True


class Clock:
    """Turns shares of work done into progress with time left, some ten times a second at most."""

    def __init__(self) -> None:
        self._rhythm, self._began = Rhythm(), time.monotonic()

    def event(self, text: str, fraction: float) -> Progress | None:
        """Make the next event.

        Parameters
        ----------
        text : str
            What is being done.
        fraction : float
            Share of the work done, 0 to 1.

        Returns
        -------
        Progress, optional
            None if the last one was just now.
        """
        if not self._rhythm.due():
            return None
        spent = time.monotonic() - self._began
        return Progress(fraction, text, spent * (1 - fraction) / fraction if fraction > 0 else None)


def ignore(event: Event) -> None:
    """Listen to nothing.

    Parameters
    ----------
    event : Event
        Any event; it is dropped.
    """


def run(job: Job[R], listen: Callable[[Event], Any] = ignore) -> R:
    """Run a job to its end in this thread and return its result.

    Parameters
    ----------
    job : Job
        The job.
    listen : callable, optional
        Called with each event as it comes.

    Returns
    -------
    object
        What the job returns.
    """
    try:
        while True:
            try:
                event = next(job)
            except StopIteration as end:
                result: R = end.value
                return result
            listen(event)
    finally:
        job.close()


def share(job: Job[R], start: float, end: float, text: str = "") -> Job[R]:
    """Run a job as one part of a larger one: its progress 0..1 becomes start..end, its time left that of the whole.

    Parameters
    ----------
    job : Job
        The part.
    start, end : float
        Where the part begins and ends in the whole, 0 to 1.
    text : str, optional
        What the progress says instead of what the part says.

    Yields
    ------
    Event
        The part's events, with progress mapped.

    Returns
    -------
    object
        What the part returns.
    """
    try:
        while True:
            try:
                event = next(job)
            except StopIteration as stop:
                result: R = stop.value
                return result
            yield _mapped(event, start, end, text) if isinstance(event, Progress) else event
    finally:
        job.close()


def _mapped(part: Progress, start: float, end: float, text: str) -> Progress:
    """The progress of the whole; what is left of it takes as long as its share says."""
    whole, left = start + (end - start) * part.fraction, part.seconds_left
    if left is not None and end < 1:
        left = left * (1 - whole) / (end - whole) if whole < end else None
    return Progress(whole, text or part.text, left)
