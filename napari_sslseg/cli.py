"""The command line: pretrain, train, predict, denoise, demo, and the commands of `inquiries`. It sets exit codes."""

import gc
import os
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Literal, NoReturn

from cyclopts import App, CycloptsError, Parameter

from napari_sslseg import __version__, inquiries, launch, ranks
from napari_sslseg.counting import count
from napari_sslseg.errors import UserError
from napari_sslseg.inquiries import DONE, STOPPED
from napari_sslseg.listen import complain, emit, say, scored, show, show_files
from napari_sslseg.options import Common, Learning, Machine, names
from napari_sslseg.settings import FinetuneConfig, PredictConfig, PretrainConfig

FAILED = 2

app = App(
    name="napari-sslseg",
    version=__version__,
    help="Learn from unlabelled images, paint a few strokes, get masks.",
    default_parameter=Parameter(negative=()),
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)

app.command(inquiries.score, sort_key=5)
app.command(inquiries.split, sort_key=5)
app.command(inquiries.measure, sort_key=5)
app.command(inquiries.info, sort_key=6)
app.command(inquiries.use, sort_key=7)
app.command(inquiries.remove, sort_key=7)
app.command(inquiries.mark, sort_key=8)
app.command(inquiries.suggest, sort_key=9)
app.command(inquiries.compare, sort_key=10)


@app.command(sort_key=1)
def pretrain(
    images: list[Path],
    /,
    *,
    project: Path,
    axes: str | None = None,
    method: str | None = None,
    learning: Learning = Learning(),
    common: Common = Common(),
) -> int:
    """Learn from images without labels.

    Parameters
    ----------
    images : list of Path
        Image files and folders.
    project : Path
        Project folder; made if it does not exist.
    axes : str
        One letter an axis of the images (T, C, S, Z, Y, X), such as TCYX, where their files do not say it.
    method : str
        How to learn: recall, unless another is named; an unknown name lists them all.
    """
    from napari_sslseg import exchange, workflow
    from napari_sslseg.io import find_files
    from napari_sslseg.project import Project

    config = common.config(PretrainConfig, method=method, **asdict(learning))
    files = find_files(images)
    with launch.joined() as turn:
        with turn():
            opened = Project.open_or_create(project) if ranks.first() else Project.open(project)
            if ranks.first():
                exchange.add_images(opened, files, axes)
        path, stopped = show(
            "Learning",
            lambda stop: workflow.pretrain_project(opened, config, runtime=common.runtime(), stop=stop),
            common.events,
        )
        if common.events == "json":
            emit({"event": "result", "checkpoint": str(path), "stopped": stopped})
        else:
            say(f"Learned from {count(len(opened.images), 'image')}: {path}")
        return _code(stopped)


@app.command(sort_key=2)
def train(
    labels: list[Path],
    /,
    *,
    project: Path,
    images: Annotated[list[Path] | None, Parameter(consume_multiple=True)] = None,
    axes: str | None = None,
    task: Literal["semantic", "instance"] | None = None,
    learning: Learning = Learning(),
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
    axes : str
        One letter an axis of these images (T, C, S, Z, Y, X), such as TCYX, where their files do not say it.
    task : str
        Classes of pixels, or objects.
    """
    from napari_sslseg import exchange, workflow
    from napari_sslseg.io import find_files
    from napari_sslseg.project import Project

    config = common.config(FinetuneConfig, **asdict(learning))
    files, label_files = find_files(images or []), find_files(labels)
    opened = Project.open_or_create(project, task or "semantic")
    if task and task != opened.task:
        opened.set_task(task)
    exchange.add_images(opened, files, axes)
    exchange.add_labels(opened, label_files)
    round, stopped = show(
        "Training",
        lambda stop: workflow.train_project(opened, config, runtime=common.runtime(), stop=stop),
        common.events,
    )
    if common.events == "json":
        emit({"event": "result", **asdict(round), "stopped": stopped})
    else:
        say(f"Round {round.number}: {count(round.steps, 'step')}, {scored(round)}")
    return _code(stopped)


@app.command(sort_key=3)
def predict(
    images: list[Path],
    /,
    *,
    project: Path,
    out: Path,
    ids: str | None = None,
    axes: str | None = None,
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
    axes : str
        One letter an axis of images that are not in the project, where their files do not say it.
    probabilities : bool
        Write the probability of every class as well.
    """
    from napari_sslseg import exchange
    from napari_sslseg.project import Project

    config, opened = common.config(PredictConfig, probabilities=probabilities), Project.open(project)
    runtime = common.runtime()
    job = partial(exchange.predict_files, opened, images, out, config, ids=names(ids), axes=axes, runtime=runtime)
    stopped = show_files("Predicting", lambda stop: job(stop=stop), out, common.events)
    return STOPPED if stopped else DONE


@app.command(sort_key=4)
def denoise(
    images: list[Path],
    /,
    *,
    project: Path,
    out: Path,
    ids: str | None = None,
    axes: str | None = None,
    common: Common = Common(),
) -> int:
    """Denoise images with what the method denoise learnt; write one image file each, in the units of the image.

    Parameters
    ----------
    images : list of Path
        Image files and folders.
    project : Path
        A project pretrained with --method denoise.
    out : Path
        Folder to write to.
    ids : str
        Names without suffix, separated by commas, of the images to denoise.
    axes : str
        One letter an axis of images that are not in the project, where their files do not say it.
    """
    from napari_sslseg import exchange
    from napari_sslseg.project import Project

    config, opened = common.config(PredictConfig), Project.open(project)
    runtime = common.runtime()
    job = partial(exchange.denoise_files, opened, images, out, config, ids=names(ids), axes=axes, runtime=runtime)
    stopped = show_files("Denoising", lambda stop: job(stop=stop), out, common.events)
    return STOPPED if stopped else DONE


@app.command(sort_key=11)
def demo(*, out: Path = Path("demo-output"), headless: bool = False, machine: Machine = Machine()) -> int:
    """Show the main job on a real image: pretrain, train on a few strokes, predict; with and without pretraining.

    Parameters
    ----------
    out : Path
        Folder for the project and overlay.png.
    headless : bool
        Leave the window closed at the end.
    """
    from napari_sslseg import demo as demonstration

    result, stopped = show("Demo", lambda stop: demonstration.demo(out, machine.runtime(), stop), machine.events)
    if machine.events == "json":
        emit({"event": "result", **result.to_dict(), "stopped": stopped})
    else:
        say(result.text())
    if not stopped and not headless and demonstration.can_show():
        from napari_sslseg.gui.start import open_project

        open_project(result.project)
    return _code(stopped)


def _code(stopped: bool) -> int:
    if stopped:
        complain("Stopped early; the same command again goes on from there.")
    return STOPPED if stopped else DONE


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code: 0 done, 2 bad input, 130 stopped by the user.

    Parameters
    ----------
    arguments : list of str, optional
        Instead of those of the process.
    """
    try:
        launch.check_alone(sys.argv[1:] if arguments is None else arguments)
        code = app(arguments, exit_on_error=False, print_error=False)
    except (CycloptsError, UserError) as error:
        if not isinstance(error.__cause__, BrokenPipeError):  # who was reading, such as head, has had enough
            complain(error)
        code = FAILED
    except KeyboardInterrupt:
        complain("Interrupted.")
        code = STOPPED
    code = code if isinstance(code, int) else DONE
    if arguments is None and ranks.count() == 1 and "napari" not in sys.modules:
        _leave(code)
    gc.freeze()  # the same where others have to be waited for, as far as it goes
    sys.exit(code)


def _leave(code: int) -> NoReturn:
    """End this process at once: Python would spend up to a second on tidying up after torch, and Ctrl-C seem slow."""
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:  # closed by who started this process
                stream.flush()
    except OSError:  # who was reading has gone
        code = code or FAILED
    os._exit(code)
