"""Stages: how far each of the five steps is, from what is painted, learned and predicted, and what its job says."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Self

from napari_sslseg.contents import Round
from napari_sslseg.job import Device, Event, Metric, Notice, Picture, Progress
from napari_sslseg.project import Project
from napari_sslseg.verdict import replaces

if TYPE_CHECKING:
    from napari_sslseg.session import Session

POINTS = 2000  # of one curve: a run of many hours is thinned
STEPS = ("images", "learn", "paint", "train", "result")


class Stage(StrEnum):
    """How far a step is."""

    EMPTY = "empty"
    READY = "ready"
    WORKING = "working"
    STALE = "stale"
    DONE = "done"


@dataclass
class Activity:
    """The running job of a step, or the last one it ran, and what it said.

    Parameters
    ----------
    images : frozenset of str
        Ids of the images that the project had when it began.
    began : float
        When it began, in seconds since 1970.
    running : bool
        Whether the job still runs.
    stopping : bool
        Whether it was asked to stop.
    progress : Progress, optional
        The latest progress.
    curves : dict of str to list
        (step, value) points by name of the metric.
    messages : list of str
        What the job had to tell the user.
    picture : Picture, optional
        The latest picture.
    device : str
        On what it computes, in words; empty while that is not known.
    """

    images: frozenset[str] = frozenset()
    began: float = field(default_factory=time.time)
    running: bool = True
    stopping: bool = False
    progress: Progress | None = None
    curves: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    picture: Picture | None = None
    device: str = ""

    def hear(self, event: Event) -> None:
        """Take in what the job says.

        Parameters
        ----------
        event : Event
            An event.
        """
        if isinstance(event, Progress):
            self.progress = event
        elif isinstance(event, Metric):
            curve = self.curves.setdefault(event.name, [])
            curve.append((event.step, event.value))
            if len(curve) > POINTS:
                del curve[1:-1:2]
        elif isinstance(event, Picture):
            self.picture = event
        elif isinstance(event, Notice):
            self.messages.append(event.text)
        elif isinstance(event, Device):
            self.device = event.text


@dataclass
class Tally:
    """How much is painted.

    Parameters
    ----------
    counts : dict of str to dict of int to int
        Painted pixels by image and value.
    written : float
        When labels were last written, in seconds since 1970; 0 where nothing was painted.
    """

    counts: dict[str, dict[int, int]] = field(default_factory=dict)
    written: float = 0.0

    @classmethod
    def of(cls, project: Project) -> Self:
        """Count what is painted in a project.

        Parameters
        ----------
        project : Project
            The project.

        Returns
        -------
        Tally
            What is painted.
        """
        files = (project.path / "labels").rglob("*")
        written = max((f.stat().st_mtime for f in files if f.is_file()), default=0.0)
        return cls({id: project.annotation(id).counted() for id in project.labelled()}, written)

    def painted(self, value: int) -> int:
        """Return how many pixels of a class are painted in all images.

        Parameters
        ----------
        value : int
            The class.

        Returns
        -------
        int
            Number of pixels.
        """
        return sum(counts.get(value, 0) for counts in self.counts.values())

    def next_object(self, id: str, chosen: int = 1) -> int:
        """Return the number of the next object of an image, where objects are painted.

        Parameters
        ----------
        id : str
            The image.
        chosen : int, optional
            The number that is painted with now.

        Returns
        -------
        int
            2 for the first one: 1 is background.
        """
        return max(2, chosen + 1, *(v + 1 for v in self.counts.get(id, ())))


def stage(session: "Session", step: str) -> tuple[Stage, str]:
    """Tell how far a step is, and why.

    Parameters
    ----------
    session : Session
        What the user is doing.
    step : str
        One of `STEPS`.

    Returns
    -------
    Stage
        How far it is.
    str
        One sentence for the user.
    """
    if session.running == step:
        return Stage.WORKING, "At work"
    if step == "images":
        return _images(session)
    if session.project is None or not session.project.images:
        return Stage.EMPTY, "Choose images first"
    return {"learn": _learn, "paint": _paint, "train": _train, "result": _result}[step](session, session.project)


def _images(session: "Session") -> tuple[Stage, str]:
    if session.project is None or not session.project.images:
        return Stage.EMPTY, "Open an image in the viewer, then choose it here"
    return Stage.DONE, "Images are chosen; more can be added at any time"


def _learn(session: "Session", project: Project) -> tuple[Stage, str]:
    if project.pretrained is None:
        return Stage.READY, "Let the computer look at your images: no labels are needed"
    if any(e.id not in session.learnt for e in project.images):
        return Stage.STALE, "Images were added since; learn again to include them"
    return Stage.DONE, "The computer knows your images"


def _painted_classes(session: "Session", project: Project) -> int:
    if project.task == "instance":
        values = {v for counts in session.tally.counts.values() for v, n in counts.items() if n}
        return (1 in values) + bool(values - {1})
    return sum(session.tally.painted(c.value) > 0 for c in project.classes)


def _paint(session: "Session", project: Project) -> tuple[Stage, str]:
    if _painted_classes(session, project) >= 2:
        return Stage.DONE, "Enough is painted to train; more strokes make it better"
    return Stage.READY, "Paint a few strokes of at least two classes"


def _train(session: "Session", project: Project) -> tuple[Stage, str]:
    if not project.rounds:
        if _painted_classes(session, project) < 2:
            return Stage.EMPTY, "Paint a few strokes of at least two classes first"
        return Stage.READY, "Train on what you painted"
    if session.tally.written > session.train_began:
        return Stage.STALE, "You painted since; train again to include it"
    return Stage.DONE, "Trained on everything you painted"


def _result(session: "Session", project: Project) -> tuple[Stage, str]:
    if not project.rounds:
        return Stage.EMPTY, "Train first"
    shown = session.predicted.get(session.current or "")
    if shown is None:
        return Stage.READY, "Predict to see the masks"
    if project.current_round is None or shown != project.current_round.number:
        return Stage.STALE, "These masks are from another round; predict again"
    return Stage.DONE, f"The masks are those of round {shown}"


def train_time(project: Project) -> float:
    """Tell when the latest training round began, one that was stopped early and never came into use left out.

    Parameters
    ----------
    project : Project
        The project.

    Returns
    -------
    float
        Seconds since 1970, at most a second late; 0 where there is no round.
    """
    used = project.current_round
    latest = next((r for r in reversed(project.rounds) if r.finished or r is used), None)
    if latest is None:
        return 0.0
    return _ended(latest) + 1 - latest.seconds


def predicted_rounds(project: Project) -> dict[str, int]:
    """Tell by which round the kept masks of each image were made.

    Parameters
    ----------
    project : Project
        The project.

    Returns
    -------
    dict of str to int
        Number of the round by image; 0 where it is none that predicts now, or may be none.
    """
    used, found = project.current_round, {}
    since, until = _in_use(used, project.rounds) if used is not None else (0.0, 0.0)
    for entry in project.images:
        files = (project.path / "predictions" / f"{entry.id}.zarr").rglob("*")
        when = max((f.stat().st_mtime for f in files if f.is_file()), default=None)
        if when is not None:
            found[entry.id] = used.number if used is not None and since <= when < until else 0
    return found


def _in_use(used: Round, rounds: Sequence[Round]) -> tuple[float, float]:
    """From when to when a round predicted, in seconds since 1970: until there was a newer one that took its place."""
    newer = (r for r in rounds[rounds.index(used) + 1 :] if replaces(r, used))
    return _ended(used), min(map(_ended, newer), default=math.inf)


def _ended(round: Round) -> float:
    return datetime.fromisoformat(round.when).timestamp()
