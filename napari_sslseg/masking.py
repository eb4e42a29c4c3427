"""Masks of the images of a project: predicted with its latest round, and kept with how sure they are."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from napari_sslseg import originals, uncertainty_files
from napari_sslseg.errors import ProjectError
from napari_sslseg.job import Job, Stop
from napari_sslseg.overlay import Box
from napari_sslseg.prediction import Prediction
from napari_sslseg.project import Project
from napari_sslseg.settings import PredictConfig, RuntimeConfig


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

    The masks of each image are on disk as soon as it is done; of much, as soon as a plane is done, and what is returned
    says only that they are `written`. How probable each class is is kept too, packed and
    rounded, so that masks can be refined later; not of a part.

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

    def keep(prediction: Prediction) -> Prediction:
        if prediction.box is not None:
            return _keep_part(project, prediction)
        if prediction.planes != ():  # else it was stopped in the middle of a vast plane
            shares.keep(prediction.image, prediction.planes)
        if not prediction.written:
            project.write_prediction(prediction.image, prediction.labels, prediction.planes)
        if prediction.uncertainty is not None:
            known = replace(prediction.uncertainty, model=model.parent.name)
            uncertainty_files.write(project, prediction.image, known)
        return prediction

    def write(part: Prediction) -> None:
        if part.box is None or part.box.top == 0:
            originals.forget(project, part.image, part.planes)
        project.write_prediction(part.image, part.labels, part.planes, part.box)

    found = yield from predict(
        images,
        checkpoint,
        config,
        planes=planes,
        boxes=boxes,
        take=shares.take,
        keep=keep,
        write=write,
        runtime=runtime,
        stop=stop,
    )
    names = {str(c.value): c.name for c in project.classes}
    if checkpoint.config["task"] == "instance":
        return found
    return [replace(p, classes=tuple(names.get(v, f"class {v}") for v in p.classes)) for p in found]


def _keep_part(project: Project, prediction: Prediction) -> Prediction:
    """Put the masks of a part among those of the rest."""
    assert prediction.box is not None, "it is of a part"
    id, labels, box = prediction.image, prediction.labels, prediction.box
    planes = prediction.planes or (range(len(labels)) if labels.ndim == 3 else (None,))
    if project.task == "instance":  # objects that reach beyond the part are cut at its border
        most = max(1, project.greatest(id, prediction.planes, box))
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
