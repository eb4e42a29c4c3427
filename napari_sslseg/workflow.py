"""The verbs on a project folder: read what it holds, run the job, keep what came of it. Window and command line call these."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sslseg.annotation import LabelClass
from napari_sslseg.contents import Round
from napari_sslseg.errors import ImageError, LabelError, ProjectError
from napari_sslseg.io import find_files, read_image, read_labels, stem, write_channels, write_labels
from napari_sslseg.job import Job, Stop, share
from napari_sslseg.prediction import Prediction
from napari_sslseg.project import Project
from napari_sslseg.settings import FinetuneConfig, PredictConfig, PretrainConfig, RuntimeConfig

if TYPE_CHECKING:
    from napari_sslseg.checkpoint import Checkpoint

LOSSY = (".jpg", ".jpeg")  # label files are never written in these


def add_images(project: Project, paths: Iterable[str | Path]) -> list[str]:
    """Refer to image files in a project.

    Parameters
    ----------
    project : Project
        The project.
    paths : iterable of str or Path
        Files and folders.

    Returns
    -------
    list of str
        Ids of the images, those already there included.
    """
    return [project.add_file(path).id for path in find_files(paths)]


def add_labels(project: Project, paths: Iterable[str | Path]) -> list[str]:
    """Copy label files into a project; each belongs to the image of the same file name and replaces its labels.

    Parameters
    ----------
    project : Project
        The project; its images come first.
    paths : iterable of str or Path
        Files and folders.

    Returns
    -------
    list of str
        Ids of the images that were given labels.
    """
    known = {e.id for e in project.images}
    read: dict[str, np.ndarray[Any, Any]] = {}
    for path in find_files(paths):
        if stem(path) not in known:
            raise LabelError(
                f"The labels {path.name} belong to an image called {stem(path)!r}, which the project does not have",
                f"Its images: {', '.join(sorted(known)[:8]) or 'none'}",
                "Add the image with --images, or name both files alike",
            )
        labels = read_labels(path)
        shape = project.entry(stem(path)).shape
        if labels.shape != shape:
            raise LabelError(f"The labels {path.name} have shape {labels.shape}", f"Their image has shape {shape}", "Both must be the same")
        read[stem(path)] = labels
    for id, labels in read.items():
        project.write_labels(id, labels)
    if project.task == "semantic" and read:
        painted = {int(v) for labels in read.values() for v in np.unique(labels)} - {0}
        named = {c.value: c for c in project.classes}
        project.set_classes([named.get(v, LabelClass.default(v)) for v in sorted(painted | named.keys())])
    return list(read)


def pretrain_project(
    project: Project, config: PretrainConfig, *, runtime: RuntimeConfig | None = None, stop: Stop | None = None
) -> Job[Path]:
    """Learn from all images of a project without labels; what was learned becomes the start of training.

    Stopped early, it keeps what was learned so far, and the same call again goes on from there.

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
    from napari_sslseg.pretrain import pretrain

    runtime = runtime or RuntimeConfig()
    images = [project.image(e.id) for e in project.images]
    asked = [config.to_dict(), runtime.seed, [[e.id, e.shape, e.source] for e in project.images]]
    unfinished = Unfinished(project.path / "unfinished" / "pretrain.safetensors", asked)
    job = pretrain(images, config, resume=unfinished.load(), runtime=runtime, stop=stop, keep=unfinished.keep)
    learned = yield from job
    path = _free(project.path / "checkpoints", "pretrained")
    learned.save(path)
    project.set_pretrained(path)
    if learned.history["finished"]:
        unfinished.remove()
    return path


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
    from napari_sslseg.finetune import finetune

    runtime = runtime or RuntimeConfig()
    ids = project.labelled()
    if not ids:
        raise LabelError("The project has no labels yet", "At least two classes are needed", "Paint a few strokes of each class")
    pairs = [(project.image(id), project.annotation(id)) for id in ids]
    start = str(project.pretrained) if pretrained and project.pretrained else None
    painted = [[id, hashlib.sha256(a.labels.tobytes()).hexdigest()] for id, (_, a) in zip(ids, pairs, strict=True)]
    asked = [config.to_dict(), runtime.seed, start, project.task, painted]
    unfinished = Unfinished(project.path / "unfinished" / "train.safetensors", asked)
    others = [project.image(e.id) for e in project.images if e.id not in ids]
    job = finetune(
        pairs, config, start=start, unlabelled=others, resume=unfinished.load(), runtime=runtime, stop=stop, keep=unfinished.keep
    )
    trained = yield from job
    if not trained.history["steps"]:
        raise ProjectError("Training was stopped before its first step", "There is nothing to keep", "Train again")
    number = project.next_round()
    path = project.path / "rounds" / f"{number:03d}" / "model.safetensors"
    trained.save(path)
    stored = project.add_round(_round(project, number, path, trained, start is not None, pairs))
    if trained.history["finished"]:
        unfinished.remove()
    return stored


def _round(project: Project, number: int, path: Path, trained: "Checkpoint", pretrained: bool, pairs: list[Any]) -> Round:
    history = trained.history
    names = {str(c.value): c.name for c in project.classes}
    if project.task == "instance":
        names = {"1": "background", "2": "core", "3": "contour"}
    return Round(
        number,
        path.relative_to(project.path).as_posix(),
        history["score"],
        {names.get(v, f"class {v}"): s for v, s in history["scores"].items()},
        history["held_out"],
        pretrained,
        sum(int(np.count_nonzero(a.labels)) for _, a in pairs),
        history["steps"],
        history["seconds"],
        history["finished"],
    )


def predict_project(
    project: Project,
    config: PredictConfig,
    *,
    ids: Iterable[str] | None = None,
    planes: dict[str, tuple[int, ...]] | None = None,
    runtime: RuntimeConfig | None = None,
    stop: Stop | None = None,
) -> Job[list[Prediction]]:
    """Predict images of a project with its latest round.

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
    runtime : RuntimeConfig, optional
        Device and seed.
    stop : Stop, optional
        To end early; the images that are done are returned.

    Yields
    ------
    Event
        Progress with time left.

    Returns
    -------
    list of Prediction
        One an image; class names are those of the project.
    """
    from dataclasses import replace

    from napari_sslseg.checkpoint import Checkpoint
    from napari_sslseg.predict import predict

    if project.trained is None:
        raise ProjectError(f"{project.name} has not been trained yet", "Predicting needs a trained network", "Paint a few strokes and train")
    wanted = [e.id for e in project.images] if ids is None else [project.entry(id).id for id in ids]
    images = [replace(project.image(id), name=id) for id in wanted]
    checkpoint = Checkpoint.load(project.trained)
    found = yield from predict(images, checkpoint, config, planes=planes, runtime=runtime, stop=stop)
    for prediction in found:
        project.write_prediction(prediction.image, prediction.labels, prediction.planes)
    names = {str(c.value): c.name for c in project.classes}
    if checkpoint.config["task"] == "instance":
        return found
    return [replace(p, classes=tuple(names.get(v, f"class {v}") for v in p.classes)) for p in found]


def predict_files(
    project: Project,
    paths: Iterable[str | Path],
    out: Path,
    config: PredictConfig,
    *,
    ids: Iterable[str] = (),
    runtime: RuntimeConfig | None = None,
    stop: Stop | None = None,
) -> Job[list[Path]]:
    """Predict image files, in the project or not, and write one label file each, as soon as it is done.

    Parameters
    ----------
    project : Project
        A trained project.
    paths : iterable of str or Path
        Files and folders.
    out : Path
        Folder to write to; label files have the names of the images, probabilities go to a folder inside it.
    config : PredictConfig
        Tiles, and whether to write probabilities.
    ids : iterable of str, optional
        Names, without suffix, of the files to predict; all if not given.
    runtime : RuntimeConfig, optional
        Device and seed.
    stop : Stop, optional
        To end early; the files that are done stay.

    Yields
    ------
    Event
        Progress with time left.

    Returns
    -------
    list of Path
        The label files written.
    """
    from napari_sslseg.checkpoint import Checkpoint
    from napari_sslseg.predict import predict

    if project.trained is None:
        raise ProjectError(f"{project.name} has not been trained yet", "Predicting needs a trained network", "Run train first")
    stop = stop or Stop()
    files = _chosen(find_files(paths), list(ids))
    checkpoint, written = Checkpoint.load(project.trained), []
    for k, path in enumerate(files):
        image = read_image(path)
        job = share(predict([image], checkpoint, config, runtime=runtime, stop=stop), k / len(files), (k + 1) / len(files))
        for prediction in (yield from job):
            name = stem(path) + ".tif" if path.suffix.lower() in LOSSY else path.name
            write_labels(out / name, prediction.labels, spacing=image.spacing, unit=image.unit)
            written.append(out / name)
            if prediction.probabilities is not None:
                place = out / "probabilities" / f"{stem(path)}.tif"
                write_channels(place, prediction.probabilities.astype(np.float32), spacing=image.spacing, unit=image.unit)
        if stop.requested:
            break
    return written


def _chosen(files: list[Path], ids: list[str]) -> list[Path]:
    by_name = {stem(p): p for p in files}
    missing = [i for i in ids if i not in by_name]
    if missing:
        raise ImageError(f"There is no image {missing[0]!r}", f"The images given are: {', '.join(list(by_name)[:8])}")
    return [by_name[i] for i in ids] if ids else files


class Unfinished:
    """The state of a run that was not finished, so that the same run asked for again goes on from it.

    Parameters
    ----------
    path : Path
        Where it is stored.
    asked : list
        All that must be the same for the run to be the same.
    """

    def __init__(self, path: Path, asked: list[Any]) -> None:
        self._path = path
        self._key = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()

    def load(self) -> "Checkpoint | None":
        """Return the stored state.

        Returns
        -------
        Checkpoint, optional
            None if there is none, or one of another run.
        """
        from napari_sslseg.checkpoint import Checkpoint

        if not self._path.exists():
            return None
        stored = Checkpoint.load(self._path)
        return stored if stored.history.get("key") == self._key else None

    def keep(self, state: "Checkpoint") -> None:
        """Store a state.

        Parameters
        ----------
        state : Checkpoint
            The state.
        """
        state.history["key"] = self._key
        state.save(self._path)

    def remove(self) -> None:
        """Forget the stored state."""
        self._path.unlink(missing_ok=True)


def _free(folder: Path, name: str) -> Path:
    number = 1
    while (path := folder / f"{name}-{number:03d}.safetensors").exists():
        number += 1
    return path


