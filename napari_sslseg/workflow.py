"""The verbs on a project folder: read what it holds, run the job, keep what came of it. All who listen call these."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError, safe_open

from napari_sslseg import originals, uncertainty_files
from napari_sslseg.annotation import Annotation, painted
from napari_sslseg.contents import Round
from napari_sslseg.errors import LabelError, ProjectError, StoppedError
from napari_sslseg.image import Image
from napari_sslseg.job import Job, Notice, Stop
from napari_sslseg.overlay import Box
from napari_sslseg.prediction import Prediction
from napari_sslseg.project import Project
from napari_sslseg.settings import FinetuneConfig, PredictConfig, PretrainConfig, RuntimeConfig
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
    number = project.next_round()
    path = project.path / "rounds" / f"{number:03d}" / "model.safetensors"
    trained.save(path)
    stored = project.add_round(_round(project, number, path, trained, start, pairs))
    if sentence := verdict([*project.rounds[:-1], stored]):
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
    """Tell whether a training began with a pretrained encoder, or left it out since strokes spoke against it.

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


def predict_project(
    project: Project,
    config: PredictConfig,
    *,
    ids: Iterable[str] | None = None,
    planes: dict[str, tuple[int, ...]] | None = None,
    boxes: dict[str, Box] | None = None,
    runtime: RuntimeConfig | None = None,
    stop: Stop | None = None,
) -> Job[list[Prediction]]:
    """Predict images of a project with its latest round, or the earlier one that was chosen.

    How probable each class is is kept too, packed and rounded, so that masks can be refined later; not of a part.

    Parameters
    ----------
    project : Project
        The project.
    config : PredictConfig
        Tiles, and whether to keep probabilities.
    ids : iterable of str, optional
        Images to predict; all if not given.
    planes : dict of str to tuple of int, optional
        Planes to predict, by image id; all planes of an image that is not named.
    boxes : dict of str to Box, optional
        Part of these planes to predict, by image id; all of an image that is not named. Objects are numbered on from
        those that the rest of the image has.
    runtime : RuntimeConfig, optional
        Device and seed.
    stop : Stop, optional
        To end early; what is done is kept and returned, of the image that it was at its planes that are done.

    Yields
    ------
    Event
        Progress with time left.

    Returns
    -------
    list of Prediction
        One an image; class names are those of the project.
    """
    from napari_sslseg.checkpoint import Checkpoint
    from napari_sslseg.predicting import predict

    model = needed_model(project)
    checkpoint = Checkpoint.load(model)
    images = project.named(ids)
    said = checkpoint.config
    shares = originals.Shares(project, said["values"], said["object_size"], planes)
    job = predict(images, checkpoint, config, planes=planes, boxes=boxes, take=shares.take, runtime=runtime, stop=stop)
    found = yield from job
    for k, prediction in enumerate(found):
        if prediction.box is not None:
            found[k] = _keep_part(project, prediction)
            continue
        shares.keep(prediction.image, prediction.planes)
        project.write_prediction(prediction.image, prediction.labels, prediction.planes)
        if prediction.uncertainty is not None:
            known = replace(prediction.uncertainty, model=model.parent.name)
            uncertainty_files.write(project, prediction.image, known)
    names = {str(c.value): c.name for c in project.classes}
    if checkpoint.config["task"] == "instance":
        return found
    return [replace(p, classes=tuple(names.get(v, f"class {v}") for v in p.classes)) for p in found]


def _keep_part(project: Project, prediction: Prediction) -> Prediction:
    """Put the masks of a part among those of the rest."""
    assert prediction.box is not None, "it is of a part"
    id, labels, box = prediction.image, prediction.labels, prediction.box
    planes = prediction.planes or (range(len(labels)) if labels.ndim == 3 else (None,))
    before = project.prediction(id) if project.task == "instance" else None
    if before is not None:  # objects that reach beyond the part are cut at its border
        before[prediction.place(before.ndim)] = 0
        most = max(1, int(before.max()))
        labels = np.where(labels > 1, labels.astype(np.uint32) + (most - 1), labels)
    for k, z in enumerate(planes):
        originals.take_part(project, id, z, box, labels if z is None else labels[k])
    project.write_prediction(id, labels, prediction.planes, box)
    return replace(prediction, labels=labels)


def needed_model(project: Project) -> Path:
    """Find the network of the round that predicts.

    Parameters
    ----------
    project : Project
        The project.

    Returns
    -------
    Path
        Its checkpoint.

    Raises
    ------
    ProjectError
        If there was no round yet.
    """
    if project.trained is None:
        raise ProjectError(
            f"{project.name} has not been trained yet",
            "Predicting needs a trained network",
            "Paint a few strokes of each class and train",
        )
    return project.trained


def _check_begun(checkpoint: "Checkpoint", what: str) -> None:
    if not checkpoint.history["steps"]:
        raise StoppedError(f"{what} was stopped before its first step", "There is nothing to keep", "Start it again")


def _free(folder: Path, name: str) -> Path:
    number = 1
    while (path := folder / f"{name}-{number:03d}.safetensors").exists():
        number += 1
    return path
