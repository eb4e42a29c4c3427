"""The verbs on a project folder: read what it holds, run the job, keep what came of it. Window and command line call these."""

from collections.abc import Iterable
from pathlib import Path

from napari_sslseg.job import Job, Stop
from napari_sslseg.prediction import Prediction
from napari_sslseg.project import Project, Round
from napari_sslseg.settings import FinetuneConfig, PredictConfig, PretrainConfig, RuntimeConfig


def pretrain_project(
    project: Project, config: PretrainConfig, *, runtime: RuntimeConfig = RuntimeConfig(), stop: Stop | None = None
) -> Job[Path]:
    """Learn from all images of a project without labels; the checkpoint becomes the start of training."""
    raise NotImplementedError


def train_project(
    project: Project, config: FinetuneConfig, *, runtime: RuntimeConfig = RuntimeConfig(), stop: Stop | None = None
) -> Job[Round]:
    """Train on all labels of a project so far; a new round is added to it, with its score."""
    raise NotImplementedError


def predict_project(
    project: Project,
    config: PredictConfig,
    *,
    ids: Iterable[str] | None = None,
    planes: dict[str, tuple[int, ...]] | None = None,
    runtime: RuntimeConfig = RuntimeConfig(),
    stop: Stop | None = None,
) -> Job[list[Prediction]]:
    """Predict images of a project with its latest round; stopped early, it returns the images that are done."""
    raise NotImplementedError
