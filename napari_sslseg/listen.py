"""Listening to a job from the command line: a progress bar or JSON lines, and a Ctrl-C that asks the job to stop."""

import json
import math
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn
from rich.progress import Progress as Bar

from napari_sslseg import ranks
from napari_sslseg.counting import count
from napari_sslseg.errors import OutputError, UserError
from napari_sslseg.job import Device, Event, Job, Metric, Notice, Picture, Progress, Stop, run

if TYPE_CHECKING:
    from napari_sslseg.contents import Round

R = TypeVar("R")


class BarListener:
    """Shows progress, time left and the latest numbers in one line of the terminal, on standard error.

    Parameters
    ----------
    title : str
        What is being done.
    """

    def __init__(self, title: str) -> None:
        said = (TextColumn(f"{{task.fields[{name}]}}") for name in ("left", "metric", "text"))
        columns = (TextColumn("{task.description}"), BarColumn(24), TaskProgressColumn(), *said)
        self.bar = Bar(*columns, console=Console(stderr=True))
        self.row = self.bar.add_task(title, total=1.0, left="", metric="", text="")
        self.metrics: dict[str, str] = {}
        self.title, self.device = title, ""

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if isinstance(event, Progress):
            left = f"{clock(event.seconds_left)} left" if event.seconds_left else ""
            self.bar.update(self.row, completed=event.fraction, left=left, text=event.text)
        elif isinstance(event, Metric):
            self.metrics[event.name] = f"{event.name} {event.value:.3f}"
            self.bar.update(self.row, metric="  ".join(self.metrics.values()))
        elif isinstance(event, Notice):
            self._print(event.text, "yellow")
        elif isinstance(event, Device) and event.text != self.device:  # a job may be made of several
            self.device = event.text
            self._print(f"{self.title} {event.text}", "dim")

    def _print(self, text: str, style: str) -> None:
        self.bar.console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.update(self.row, visible=error[0] is None)
        self.bar.stop()


class JsonListener:
    """Writes one JSON object a line to standard output for every event but pictures.

    Parameters
    ----------
    title : str
        What is being done.
    """

    def __init__(self, title: str) -> None:
        self.title = title

    def __call__(self, event: Event) -> None:
        """Write one event."""
        if not isinstance(event, Picture):
            emit({"job": self.title, "event": type(event).__name__.lower(), **asdict(event)})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass


def clock(seconds: float) -> str:
    """Write a length of time.

    Parameters
    ----------
    seconds : float
        0 or more.

    Returns
    -------
    str
        Such as ``1:05``, or ``1:00:05`` from an hour on.
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def emit(values: Mapping[str, Any]) -> None:
    """Write one JSON object as a line to standard output, at once; NaN and infinity, which JSON lacks, become null.

    Parameters
    ----------
    values : mapping
        What to write.
    """
    say(json.dumps(_plain(values), ensure_ascii=False, allow_nan=False))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def say(text: str) -> None:
    """Write a line to standard output, at once.

    Parameters
    ----------
    text : str
        The line.

    Raises
    ------
    OutputError
        If it cannot be written, as on a full disk, or if nobody reads any more.
    """
    if not ranks.first() or sys.stdout is None:
        return
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except OSError as error:
        raise OutputError(
            f"What is said cannot be written to standard output ({error.strerror})",
            "It needs a place with room",
            "Make room, or send it elsewhere with > FILE",
        ) from error


def complain(error: object) -> None:
    """Write what went wrong to standard error.

    Parameters
    ----------
    error : object
        An error, or a sentence.
    """
    if ranks.first() and sys.stderr is not None:
        sys.stderr.write(f"{error}\n")


@contextmanager
def interruptible(stop: Stop) -> Iterator[None]:
    """Turn the first Ctrl-C (or a polite kill) into a request to stop and the second into an interruption.

    Parameters
    ----------
    stop : Stop
        What is requested.

    Yields
    ------
    None
        Nothing.
    """

    def request(number: int, frame: object) -> None:
        if stop.requested:
            raise KeyboardInterrupt
        stop.request()
        complain("\nStopping; what was learned is kept. Ctrl-C again to break off at once.")

    before = {s: signal.signal(s, request) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def show(title: str, start: Callable[[Stop], Job[R]], events: str, *, network: bool = True) -> tuple[R, bool]:
    """Run a job, show it, and let Ctrl-C stop it.

    Parameters
    ----------
    title : str
        What is being done.
    start : callable
        Makes the job, given its stop.
    events : str
        ``bar`` or ``json``.
    network : bool, optional
        Whether the job has to do with a network, which takes seconds to load.

    Returns
    -------
    object
        What the job returned.
    bool
        Whether it was asked to stop.

    Raises
    ------
    KeyboardInterrupt
        If it was stopped before there was anything to keep.
    OutputError
        If what happens could not be told any more; the job was stopped, and has kept what it had.
    """
    stop, unheard = Stop(), list[OutputError]()
    quiet = events == "json" or not ranks.first()  # of several processes only the first one speaks
    with (JsonListener if quiet else BarListener)(title) as listener:

        def tell(event: Event) -> None:
            try:
                listener(event)
            except OutputError as error:
                unheard.append(error)
                stop.request()

        if network:
            tell(Progress(0.0, "loading"))
            import torch  # noqa: F401  here, where Ctrl-C still ends the program at once: it takes seconds
        with interruptible(stop):
            try:
                result = run(start(stop), tell)
            except UserError as error:
                if unheard:
                    raise unheard[0] from unheard[0].__cause__
                if not stop.requested:
                    raise
                complain(error)
                raise KeyboardInterrupt from error
    if unheard:
        raise unheard[0]
    return result, stop.requested


def show_files(
    title: str, start: Callable[[Stop], Job[list[Path]]], out: Path, events: str, *, network: bool = True
) -> bool:
    """Run a job that writes files, show it, and say how many it wrote.

    Parameters
    ----------
    title : str
        What is being done.
    start : callable
        Takes the Stop and returns the job.
    out : Path
        Folder of the files.
    events : str
        ``bar`` or ``json``.
    network : bool, optional
        Whether the job has to do with a network, which takes seconds to load.

    Returns
    -------
    bool
        Whether it was stopped.
    """
    began = time.monotonic()
    written, stopped = show(title, start, events, network=network)
    if events == "json":
        emit({"event": "result", "files": [str(p) for p in written], "stopped": stopped})
    else:
        say(f"Wrote {count(len(written), 'file')} to {out} in {time.monotonic() - began:.0f} s")
    return stopped


def scored(round: "Round") -> str:
    """Write the score of a round.

    Parameters
    ----------
    round : Round
        The round.

    Returns
    -------
    str
        Such as ``score 0.912, 0.87 to 0.95 (mean IoU, on 3 strokes kept apart), about 0.78 in whole images``.
    """
    if round.score is None:
        return f"no score ({'stopped before it' if round.held_out else 'no strokes could be kept apart'})"
    between = f", {round.interval[0]:.2f} to {round.interval[1]:.2f}" if round.interval else ""
    what = "mean overlap of objects" if "objects" in round.scores else "mean IoU"
    where = f"{count(round.held_out, 'stroke')} kept apart" if round.kept_apart == "strokes" else "validation boxes"
    expected = f", about {round.expected:.2f} in whole images" if round.expected is not None else ""
    return f"score {round.score:.3f}{between} ({what}, on {where}){expected}"


def measured(measures: Mapping[str, Any], unit: str) -> str:
    """Write the other measures of a round.

    Parameters
    ----------
    measures : mapping
        As `Round.measures`.
    unit : str
        Unit of distances.

    Returns
    -------
    str
        Such as ``Dice cell 0.91; calibration error 0.03``; empty if there are none.
    """
    texts = []
    if dice := measures.get("dice"):
        texts.append("Dice " + ", ".join(f"{name} {value:.3f}" for name, value in dice.items()))
    if expected := measures.get("expected_iou"):
        texts.append("about in whole images (IoU) " + ", ".join(f"{name} {v:.2f}" for name, v in expected.items()))
    if far := measures.get("hausdorff"):
        texts.append(
            f"outlines apart (95 %, {unit}) " + ", ".join(f"{name} {value:.3g}" for name, value in far.items())
        )
    named = {"found": "objects found", "ap50": "AP50", "ap": "AP", "panoptic_quality": "panoptic quality"}
    named["calibration_error"] = "calibration error"
    texts += [f"{text} {measures[key]:.3f}" for key, text in named.items() if key in measures]
    return "; ".join(texts)
