"""Demonstration: the main job on a real image with strokes that ship with the package, with and without pretraining."""

import itertools
import json
import os
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.Image
from scipy import ndimage
from skimage.draw import line
from skimage.segmentation import find_boundaries

from napari_sslseg import samples
from napari_sslseg.annotation import LabelClass, Labels
from napari_sslseg.contents import Round
from napari_sslseg.io.atomic import replacing
from napari_sslseg.job import Job, Notice, Stop, share
from napari_sslseg.masking import predict_project
from napari_sslseg.project import Project
from napari_sslseg.settings import FinetuneConfig, PredictConfig, PretrainConfig, RuntimeConfig
from napari_sslseg.workflow import pretrain_project, train_project

MINUTES = {"pretrain": 0.75, "train": 0.5}  # together with loading and prediction under 3 minutes on 2 cores


@dataclass(frozen=True)
class DemoResult:
    """What came of the demonstration.

    Parameters
    ----------
    project : Path
        The project folder.
    without : Round
        The round without pretraining.
    with_pretraining : Round, optional
        The round with it; None where the demonstration was stopped before.
    overlay : Path, optional
        Picture of the strokes and of the masks; None where the demonstration was stopped before.
    """

    project: Path
    without: Round
    with_pretraining: Round | None = None
    overlay: Path | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON.

        Returns
        -------
        dict
            Paths and rounds.
        """
        return {
            "project": str(self.project),
            "overlay": str(self.overlay) if self.overlay else None,
            "without": asdict(self.without),
            "with_pretraining": asdict(self.with_pretraining) if self.with_pretraining else None,
        }

    def text(self) -> str:
        """Say the result in a few lines.

        Returns
        -------
        str
            Scores, and where to look.
        """
        lines = ["Score on strokes kept apart (mean IoU, 0 to 1):"]
        for name, r in (("without pretraining", self.without), ("with pretraining", self.with_pretraining)):
            if r is None or r.score is None:
                lines.append(f"  {name:20s} none, stopped before")
            else:
                length = f"{r.steps} steps in {r.seconds:.0f} s, {r.held_out} strokes kept apart"
                whole = f", about {r.expected:.2f} in whole images" if r.expected is not None else ""
                lines.append(f"  {name:20s} {r.score:.3f}  ({length}{whole})")
        lines.append("One run of each, so a small difference means nothing.")
        lines += [f"Picture: {self.overlay}"] if self.overlay else []
        return "\n".join([*lines, f"Project: {self.project}"])


def demo(out: Path, runtime: RuntimeConfig | None = None, stop: Stop | None = None) -> Job[DemoResult]:
    """Pretrain on scikit-image's `ihc`, train with and without that, predict, and draw the result.

    Parameters
    ----------
    out : Path
        Folder for the project and the picture.
    runtime : RuntimeConfig, optional
        Device and seed.
    stop : Stop, optional
        To end early with what there is.

    Yields
    ------
    Event
        What happens.

    Returns
    -------
    DemoResult
        Scores and where to find things.
    """
    stop = stop or Stop()
    project = Project.open_or_create(out / "ihc.sslseg")
    id = _prepare(project)
    train = FinetuneConfig(minutes=MINUTES["train"])
    yield Notice("Training without pretraining, to compare with.")
    without = yield from share(train_project(project, train, runtime=runtime, stop=stop, pretrained=False), 0.0, 0.28)
    if stop.requested:
        return DemoResult(project.path, without)
    yield Notice("Learning from the image without labels.")
    learn = PretrainConfig(minutes=MINUTES["pretrain"])
    yield from share(pretrain_project(project, learn, runtime=runtime, stop=stop), 0.28, 0.7)
    if stop.requested:
        return DemoResult(project.path, without)
    yield Notice("Training from what was learned.")
    trained = yield from share(train_project(project, train, runtime=runtime, stop=stop), 0.7, 0.97)
    job = predict_project(project, PredictConfig(), ids=[id], runtime=runtime, stop=stop)
    predicted = yield from share(job, 0.97, 1.0)
    if not predicted:
        return DemoResult(project.path, without, trained)
    pixels = np.moveaxis(project.image(id).read(0), 0, -1)
    picture = overlay(pixels, project.labels(id), predicted[0].labels, project.classes)
    with replacing(out / "overlay.png") as unfinished:
        PIL.Image.fromarray(picture).save(unfinished, format="PNG")
    return DemoResult(project.path, without, trained, out / "overlay.png")


def _prepare(project: Project) -> str:
    """Put image and strokes into a new project; in one that was painted on since, they stay as they are."""
    if not project.images:
        project.add_image(samples.load("ihc"))
    entry = project.images[0]
    if not project.labelled():
        labels, classes = painted(entry.shape)
        project.set_classes(classes)
        project.write_labels(entry.id, labels)
    return entry.id


def painted(shape: tuple[int, ...]) -> tuple[Labels, list[LabelClass]]:
    """Draw the strokes that ship with the package.

    Parameters
    ----------
    shape : tuple of int
        (Y, X) of the image.

    Returns
    -------
    numpy.ndarray
        (Y, X) uint16, 0 unlabelled.
    list of LabelClass
        The classes.
    """
    said = json.loads(files("napari_sslseg").joinpath("demo_strokes.json").read_text(encoding="utf-8"))
    labels = np.zeros(shape, np.uint16)
    for entry in said["classes"]:
        drawn = np.zeros(shape, bool)
        for points in entry["strokes"]:
            for (x0, y0), (x1, y1) in itertools.pairwise(points):
                drawn[line(y0, x0, y1, x1)] = True
        labels[ndimage.binary_dilation(drawn, iterations=said["width"] // 2)] = entry["value"]
    return labels, [LabelClass(c["value"], c["name"], c["colour"]) for c in said["classes"]]


def overlay(
    pixels: npt.NDArray[Any], strokes: Labels, masks: npt.NDArray[Any], classes: Iterable[LabelClass]
) -> npt.NDArray[np.uint8]:
    """Draw strokes on the left and masks on the right.

    Parameters
    ----------
    pixels : numpy.ndarray
        (Y, X, 3) uint8.
    strokes, masks : numpy.ndarray
        (Y, X) label values.
    classes : iterable of LabelClass
        Their colours.

    Returns
    -------
    numpy.ndarray
        (Y, 2 X, 3) uint8.
    """
    left, right = pixels.astype(np.float32), pixels.astype(np.float32)
    edges = find_boundaries(masks, mode="inner")
    for c in classes:
        colour = np.array([int(c.colour[i : i + 2], 16) for i in (1, 3, 5)], np.float32)
        left[strokes == c.value] = colour
        inside = masks == c.value
        right[inside] = 0.65 * right[inside] + 0.35 * colour
        right[inside & edges] = colour
    return np.concatenate([left, right], 1).round().astype(np.uint8)


def can_show() -> bool:
    """Say whether a window can be opened here.

    Returns
    -------
    bool
        Whether napari is installed and, on Linux, an X or Wayland display is named.
    """
    display = sys.platform != "linux" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return display and find_spec("napari") is not None
