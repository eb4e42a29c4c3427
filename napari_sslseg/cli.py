"""The command line: pretrain, train, predict, score, info, demo. It starts jobs, shows their events and sets the exit code."""

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from cyclopts import App, Parameter
from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn
from rich.progress import Progress as Bar

from napari_sslseg import __version__
from napari_sslseg.config import Config
from napari_sslseg.errors import ConfigError, UserError
from napari_sslseg.job import Event, Job, Metric, Notice, Picture, Progress, Stop, run
from napari_sslseg.project import Project
from napari_sslseg.settings import FinetuneConfig, PredictConfig, PretrainConfig, RuntimeConfig

DONE, FAILED, STOPPED = 0, 2, 130

R = TypeVar("R")
C = TypeVar("C", bound=Config)
app = App(name="napari-sslseg", version=__version__, help="Learn from unlabelled images, paint a few strokes, get masks.")


@Parameter(name="*")
@dataclass(frozen=True)
class Common:
    """Options of every long job.

    Parameters
    ----------
    seed : int
        Seed of everything random.
    device : str
        Where to compute.
    events : str
        How to show what happens: a progress bar, or one JSON object a line.
    set : tuple of str
        Any other parameter, as name=value; `napari-sslseg info` of a project shows them.
    """

    seed: int = 0
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    events: Literal["bar", "json"] = "bar"
    set: Annotated[tuple[str, ...], Parameter(negative=())] = ()

    def runtime(self) -> RuntimeConfig:
        """Return where and how reproducibly to run.

        Returns
        -------
        RuntimeConfig
            Device and seed.
        """
        return RuntimeConfig(device=self.device, seed=self.seed)

    def config(self, kind: type[C], **values: Any) -> C:
        """Make a config of the options given, `--set` included.

        Parameters
        ----------
        kind : type
            Which config.
        **values : object
            Options by name; None leaves the default.

        Returns
        -------
        Config
            The config.
        """
        given = {k: v for k, v in values.items() if v is not None}
        for item in self.set:
            name, equals, text = item.partition("=")
            if not equals:
                raise ConfigError(f"--set {item}", "It must be name=value", "For example --set batch=16")
            given[name] = _value(text)
        return kind.from_dict(given)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


# -------------------------------------------------------------------- listening to a job
class BarListener:
    """Shows progress, time left and the latest numbers in one line of the terminal.

    Parameters
    ----------
    title : str
        What is being done.
    """

    def __init__(self, title: str) -> None:
        columns = (
            TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[left]}"), TextColumn("{task.fields[say]}"),
        )
        self.bar = Bar(*columns, console=Console(stderr=True))
        self.row = self.bar.add_task(title, total=1.0, left="", say="")

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if isinstance(event, Progress):
            left = "" if event.seconds_left is None else f"{event.seconds_left / 60:.0f}:{event.seconds_left % 60:02.0f} left"
            self.bar.update(self.row, completed=event.fraction, left=left)
        elif isinstance(event, Metric):
            self.bar.update(self.row, say=f"{event.name} {event.value:.3f}")
        elif isinstance(event, Notice):
            self.bar.console.print(event.text, style="yellow")

    def __enter__(self) -> "BarListener":
        self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.stop()


class JsonListener:
    """Writes one JSON object a line for every event but pictures.

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

    def __enter__(self) -> "JsonListener":
        return self

    def __exit__(self, *error: object) -> None:
        pass


def emit(values: dict[str, Any]) -> None:
    """Write one JSON object as a line to standard output, at once.

    Parameters
    ----------
    values : dict
        What to write.
    """
    sys.stdout.write(json.dumps(values, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """Write a line for people to standard output.

    Parameters
    ----------
    text : str
        The line.
    """
    sys.stdout.write(text + "\n")


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
        sys.stderr.write("\nStopping; what was learned is kept.\n")

    before = {s: signal.signal(s, request) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def show(title: str, start: Callable[[Stop], Job[R]], events: str) -> tuple[R, bool]:
    """Run a job, show it, and let Ctrl-C stop it.

    Parameters
    ----------
    title : str
        What is being done.
    start : callable
        Makes the job, given its stop.
    events : str
        ``bar`` or ``json``.

    Returns
    -------
    object
        What the job returned.
    bool
        Whether it was stopped early.
    """
    stop = Stop()
    with interruptible(stop), (JsonListener if events == "json" else BarListener)(title) as listener:
        result = run(start(stop), listener)
    return result, stop.requested


# -------------------------------------------------------------------- the verbs
@app.command
def pretrain(
    images: list[Path],
    *,
    project: Path,
    method: str | None = None,
    encoder: str | None = None,
    start: str | None = None,
    minutes: float | None = None,
    steps: int | None = None,
    common: Common = Common(),
) -> int:
    """Learn from images without labels.

    Parameters
    ----------
    images : list of Path
        Image files and folders.
    project : Path
        Project folder; made if it does not exist.
    method : str
        How to learn: restore or dense.
    encoder : str
        The network: efficientnet_lite0 or unet.
    start : str
        Starting weights: imagenet, random, or a checkpoint file.
    minutes : float
        How long to learn.
    steps : int
        How many steps to learn, instead of a time.
    """
    from napari_sslseg import workflow

    start = start or ("random" if encoder == "unet" else None)
    config = common.config(PretrainConfig, method=method, encoder=encoder, start=start, minutes=minutes, steps=steps)
    _check_names(config)
    opened = Project.open_or_create(project)
    workflow.add_images(opened, images)
    path, stopped = show("Learning", lambda stop: workflow.pretrain_project(opened, config, runtime=common.runtime(), stop=stop), common.events)
    if common.events == "json":
        emit({"event": "result", "checkpoint": str(path), "stopped": stopped})
    else:
        say(f"Learned from {len(opened.images)} image(s): {path}" + (" (stopped; run again to go on)" if stopped else ""))
    return STOPPED if stopped else DONE


@app.command
def train(
    labels: list[Path],
    *,
    project: Path,
    images: Annotated[list[Path] | None, Parameter(consume_multiple=True)] = None,
    task: Literal["semantic", "instance"] | None = None,
    encoder: str | None = None,
    start: str | None = None,
    minutes: float | None = None,
    steps: int | None = None,
    common: Common = Common(),
) -> int:
    """Train on labels, from what was pretrained if anything was.

    Parameters
    ----------
    labels : list of Path
        Label files and folders: 0 unlabelled, 1.. classes (semantic), or 1 background and 2.. objects (instance).
    project : Path
        Project folder; made if it does not exist.
    images : list of Path
        Image files and folders that the project does not have yet.
    task : str
        Classes of pixels, or objects.
    encoder : str
        The network, where nothing was pretrained.
    start : str
        Starting weights, where nothing was pretrained.
    minutes : float
        How long to train.
    steps : int
        How many steps to train, instead of a time.
    """
    from napari_sslseg import workflow

    start = start or ("random" if encoder == "unet" else None)
    config = common.config(FinetuneConfig, encoder=encoder, start=start, minutes=minutes, steps=steps)
    _check_names(config)
    opened = Project.open_or_create(project, task or "semantic")
    if task and task != opened.task:
        opened.set_task(task)
    workflow.add_images(opened, images or [])
    workflow.add_labels(opened, labels)
    round, stopped = show("Training", lambda stop: workflow.train_project(opened, config, runtime=common.runtime(), stop=stop), common.events)
    if common.events == "json":
        emit({"event": "result", **asdict(round), "stopped": stopped})
    else:
        scored = f"score {round.score:.3f} (mean IoU of {round.held_out} strokes kept apart)" if round.score is not None else "no score: too few strokes to keep some apart"
        say(f"Round {round.number}: {round.steps} steps, {scored}" + (" (stopped; run again to go on)" if stopped else ""))
    return STOPPED if stopped else DONE


@app.command
def predict(
    images: list[Path],
    *,
    project: Path,
    out: Path,
    ids: str | None = None,
    probabilities: bool = False,
    common: Common = Common(),
) -> int:
    """Predict images and write one label file each, with the name and shape of the image.

    Parameters
    ----------
    images : list of Path
        Image files and folders.
    project : Path
        A trained project.
    out : Path
        Folder to write to.
    ids : str
        Names without suffix, separated by commas, of the images to predict.
    probabilities : bool
        Whether to write the probability of every class as well.
    """
    from napari_sslseg import workflow

    config = common.config(PredictConfig, probabilities=probabilities)
    opened = Project.open(project)
    names = [i for i in (ids or "").split(",") if i]
    began = time.monotonic()
    written, stopped = show(
        "Predicting",
        lambda stop: workflow.predict_files(opened, images, out, config, ids=names, runtime=common.runtime(), stop=stop),
        common.events,
    )
    if common.events == "json":
        emit({"event": "result", "files": [str(p) for p in written], "stopped": stopped})
    else:
        say(f"Wrote {len(written)} file(s) to {out} in {time.monotonic() - began:.0f} s")
    return STOPPED if stopped else DONE


@app.command
def score(predictions: Path, *, truth: Path, task: Literal["semantic", "instance"] = "semantic", json: bool = False) -> int:
    """Compare predictions with true labels; where the truth is 0 nothing is counted.

    Parameters
    ----------
    predictions : Path
        A label file, or a folder of them.
    truth : Path
        True labels of the same names.
    task : str
        ``instance`` scores objects as well.
    json : bool
        Whether to write one JSON object.
    """
    from napari_sslseg.evaluate import evaluate

    report = run(evaluate(predictions, truth, task))
    if json:
        emit(asdict(report))
        return DONE
    for value, iou in report.iou.items():
        say(f"class {value}: IoU {iou:.3f}, Dice {report.dice[value]:.3f}")
    say(f"mean of {report.files} file(s): IoU {report.mean_iou:.3f}, Dice {report.mean_dice:.3f}")
    if report.precision:
        p = report.precision
        say(f"objects: AP {p.mean:.3f}, AP50 {p.at_50:.3f} ({p.predicted} predicted, {p.true} true)")
    return DONE


@app.command
def info(project: Path, *, json: bool = False) -> int:
    """Say what a project holds.

    Parameters
    ----------
    project : Path
        Project folder.
    json : bool
        Whether to write one JSON object.
    """
    opened = Project.open(project)
    if json:
        emit(
            {
                "task": opened.task,
                "classes": [c.to_dict() for c in opened.classes],
                "images": [asdict(e) for e in opened.images],
                "labelled": list(opened.labelled()),
                "pretrained": str(opened.pretrained) if opened.pretrained else None,
                "rounds": [asdict(r) for r in opened.rounds],
            }
        )
        return DONE
    say(f"{opened.name}: {opened.task}, {len(opened.images)} image(s), {len(opened.labelled())} labelled")
    for entry in opened.images:
        say(f"  {entry.id}: {' x '.join(map(str, entry.shape))}, {entry.channels} channel(s), {entry.source}")
    say("  classes: " + ", ".join(f"{c.value} {c.name}" for c in opened.classes))
    say(f"  pretrained: {opened.pretrained or 'no'}")
    for r in opened.rounds:
        scored = "no score" if r.score is None else f"score {r.score:.3f}"
        say(f"  round {r.number}: {scored}, {r.pixels} labelled pixels, {r.steps} steps" + ("" if r.finished else ", stopped early"))
    return DONE


@app.command
def demo(*, out: Path = Path("demo-output"), headless: bool = False, common: Common = Common()) -> int:
    """Run the main job on a real image: pretrain, apply strokes, train, predict, with and without pretraining.

    Parameters
    ----------
    out : Path
        Folder for the project and ``overlay.png``.
    headless : bool
        Whether to leave the window closed at the end.
    """
    from napari_sslseg import demo as demonstration

    result, stopped = show("Demo", lambda stop: demonstration.demo(out, common.runtime(), stop), common.events)
    if common.events == "json":
        emit({"event": "result", **result.to_dict(), "stopped": stopped})
    else:
        say(result.text())
    if stopped:
        return STOPPED
    if not headless and demonstration.has_display():
        from napari_sslseg.gui.start import open_project

        open_project(result.project)
    return DONE


def _check_names(config: PretrainConfig | FinetuneConfig) -> None:
    """Say that a method or an encoder does not exist before anything else happens."""
    from napari_sslseg.config import Registry

    if isinstance(config, PretrainConfig):
        Registry[Any]("method", "napari_sslseg.methods").check(config.method)
    Registry[Any]("encoder", "napari_sslseg.encoders").check(config.encoder)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code: 0 done, 2 bad input, 130 stopped by the user.

    Parameters
    ----------
    arguments : list of str, optional
        Instead of those of the process.
    """
    try:
        code = app(arguments, exit_on_error=True, print_error=True)
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        code = FAILED
    except KeyboardInterrupt:
        code = STOPPED
    sys.exit(code if isinstance(code, int) else DONE)
