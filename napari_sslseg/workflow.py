"""Learning and training on a project folder: read what it holds, run the job, keep what came of it."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError, safe_open

from napari_sslseg.annotation import Annotation, painted
from napari_sslseg.contents import Round
from napari_sslseg.errors import LabelError, StoppedError, UserError
from napari_sslseg.image import Image
from napari_sslseg.io.atomic import remove, storage_errors
from napari_sslseg.job import Job, Notice, Stop
from napari_sslseg.project import Project
from napari_sslseg.settings import FinetuneConfig, PretrainConfig, RuntimeConfig
from napari_sslseg.unfinished import PRETRAIN, Unfinished, asked_to_pretrain
from napari_sslseg.verdict import verdict

if TYPE_CHECKING:
    from napari_sslseg.checkpoint import Checkpoint


def pretrain_project(
    project: Project, config: PretrainConfig, *, runtime: RuntimeConfig | None = None, stop: Stop | None = None
) -> Job[Path]:
    """Learn from all images of a project without labels; what was learned becomes the start of training.

    Where something is painted already, it tells how good the encoder is and which weights to keep.

    Stopped early, it keeps what was learned so far, and the same call again goes on from there. Of several processes
    that joined, the first one writes.

    Parameters
    ----------
    project : Project
        The project.
    config : PretrainConfig
        Method, encoder, start and length.
    runtime : RuntimeConfig, optional
        Device and seed.
    stop : Stop, optional
        To end early.

    Yields
    ------
    Event
        Progress, the loss, pictures.

    Returns
    -------
    Path
        The checkpoint file.
    """
    from napari_sslseg import distributed
    from napari_sslseg.pretraining import pretrain

    runtime = runtime or RuntimeConfig()
    images = {e.id: project.image(e.id) for e in project.images}
    unfinished = Unfinished(project.path / PRETRAIN, asked_to_pretrain(project, config, runtime.seed))
    path = _free(project.path / "checkpoints", "pretrained")
    job = pretrain(
        list(images.values()),
        config,
        labels=[(images[id], project.annotation(id)) for id in project.labelled()],
        resume=unfinished.load(),
        runtime=runtime,
        stop=stop,
        keep=unfinished.keep if distributed.first() else None,
    )
    learned = yield from job
    _check_begun(learned, "Learning")
    if not distributed.first():
        return path
    project.check()
    path = _taken(project.path / "checkpoints", "pretrained")  # another command may have learnt meanwhile
    with _or_removed(path):
        learned.save(path)
    project.set_pretrained(path)
    if learned.history["finished"]:
        unfinished.remove()
    return path


def probe_history(project: Project) -> dict[str, Any] | None:
    """Tell what the probe said while the project's encoder was pretrained; torch is not loaded for it.

    Parameters
    ----------
    project : Project
        The project.

    Returns
    -------
    dict, optional
        ``kind``, ``looks`` and the step that was ``kept``; None if nothing was pretrained, or without a probe.
    """
    if project.pretrained is None or not project.pretrained.is_file():
        return None
    try:
        with safe_open(project.pretrained, framework="numpy") as file:
            found: dict[str, Any] | None = json.loads(file.metadata()["json"])["history"].get("probe")
    except SafetensorError:  # training from it will say so
        return None
    return found


def train_project(
    project: Project,
    config: FinetuneConfig,
    *,
    runtime: RuntimeConfig | None = None,
    stop: Stop | None = None,
    pretrained: bool = True,
) -> Job[Round]:
    """Train on all labels of a project so far, from its pretrained encoder; a new round is added to it.

    Stopped early, the round holds what was learned so far, and the same call again goes on from there.

    Parameters
    ----------
    project : Project
        The project.
    config : FinetuneConfig
        Length, rates, losses.
    runtime : RuntimeConfig, optional
        Device and seed.
    stop : Stop, optional
        To end early.
    pretrained : bool, optional
        False to leave pretraining out, for comparison.

    Yields
    ------
    Event
        Progress, the loss and the score.

    Returns
    -------
    Round
        The round, with its score.
    """
    from napari_sslseg.finetuning import finetune

    runtime, ids = runtime or RuntimeConfig(), project.labelled()
    pairs, others = material(project)
    start = str(project.pretrained) if pretrained and project.pretrained else None
    painted = [[id, _fingerprint(a), *map(repr, a.regions)] for id, (_, a) in zip(ids, pairs, strict=True)]
    asked = [config.to_dict(), runtime.seed, start and Path(start).name, project.task, painted]
    unfinished = Unfinished(project.path / "unfinished" / "train.safetensors", asked)
    job = finetune(
        pairs,
        config,
        start=start,
        unlabelled=others,
        resume=unfinished.load(),
        runtime=runtime,
        stop=stop,
        keep=unfinished.keep,
    )
    trained = yield from job
    _check_begun(trained, "Training")
    project.check()
    number = _taken_number(project)
    path = project.path / "rounds" / f"{number:03d}" / "model.safetensors"
    with _or_removed(path.parent):
        trained.save(path)
    stored = project.add_round(_round(project, number, path, trained, start, pairs))
    used = project.current_round
    if used is not None and used.number != stored.number:
        again = "Training again goes on from there"
        yield Notice(
            f"Stopped too early to be sure of round {stored.number}: round {used.number} stays in use. {again}"
        )
    elif sentence := verdict(project.rounds):
        yield Notice(sentence)
    if trained.history["finished"]:
        unfinished.remove()
    return stored


def _fingerprint(annotation: Annotation) -> str:
    """A text that changes with what is painted."""
    found = hashlib.sha256()
    for z in annotation.planes():
        for box in painted(annotation.plane(z)):
            found.update(f"{z} {box}".encode() + annotation.plane(z)[box].tobytes())
    return found.hexdigest()


def material(project: Project) -> tuple[list[tuple[Image, Annotation]], list[Image]]:
    """Read what there is to train on.

    Parameters
    ----------
    project : Project
        The project.

    Returns
    -------
    list of (Image, Annotation)
        Labelled images.
    list of Image
        The others.

    Raises
    ------
    LabelError
        If nothing is labelled.
    """
    ids = project.labelled()
    if not ids:
        raise LabelError(
            "The project has no labels yet", "At least two classes are needed", "Paint a few strokes of each class"
        )
    pairs = [(project.image(id), project.annotation(id)) for id in ids]
    return pairs, [project.image(e.id) for e in project.images if e.id not in ids]


def began_with(trained: "Checkpoint", start: str) -> bool:
    """Tell whether a training began with what was pretrained, or left it out since strokes did not speak for it.

    Parameters
    ----------
    trained : Checkpoint
        What was trained.
    start : str
        The pretrained checkpoint that it was given.

    Returns
    -------
    bool
        True if it began with it.
    """
    compared = trained.history["begin"]
    return compared is None or bool(compared["start"] == start)


def _round(
    project: Project, number: int, path: Path, trained: "Checkpoint", start: str | None, pairs: list[Any]
) -> Round:
    history = trained.history
    pretrained = start is not None and began_with(trained, start)
    names = {str(c.value): c.name for c in project.classes}
    if project.task == "instance":
        names = {"1": "background", "2": "core", "3": "contour", "objects": "objects"}
    named = partial(_named, names)
    return Round(
        number,
        path.relative_to(project.path).as_posix(),
        history["score"],
        named(history["scores"]),
        history["held_out"],
        pretrained,
        sum(int(np.count_nonzero(a.labels)) for _, a in pairs),
        history["steps"],
        history["seconds"],
        history["finished"],
        interval=history["interval"],
        measures={k: named(v) if isinstance(v, dict) else v for k, v in history["measures"].items()},
        kept_apart=history["kept_apart"],
    )


def _named(names: dict[str, str], scores: dict[str, float]) -> dict[str, float]:
    return {names.get(v, f"class {v}"): s for v, s in scores.items()}


def _check_begun(checkpoint: "Checkpoint", what: str) -> None:
    if not checkpoint.history["steps"]:
        raise StoppedError(f"{what} was stopped before its first step", "There is nothing to keep", "Start it again")


def _free(folder: Path, name: str) -> Path:
    number = 1
    while (path := folder / f"{name}-{number:03d}.safetensors").exists():
        number += 1
    return path


def _taken(folder: Path, name: str) -> Path:
    """A file that nobody else writes to, who learns at the same time."""
    with storage_errors(folder):
        folder.mkdir(exist_ok=True)
        while True:
            path = _free(folder, name)
            try:
                path.touch(exist_ok=False)
            except FileExistsError:
                continue
            return path


def _taken_number(project: Project) -> int:
    """Number of a round whose folder nobody else has, who trains at the same time."""
    number = project.next_round()
    with storage_errors(project.path):
        while True:
            try:
                (project.path / "rounds" / f"{number:03d}").mkdir(parents=True)
            except FileExistsError:
                number += 1
                continue
            return number


@contextmanager
def _or_removed(path: Path) -> Iterator[None]:
    """Leave nothing at a path where a block fails."""
    try:
        yield
    except UserError:
        remove(path)
        raise
