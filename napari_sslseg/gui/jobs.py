"""Jobs: the three verbs that the window starts. Tests hand in scripted ones; the default calls the workflow."""

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from napari_sslseg.job import Job, Stop
from napari_sslseg.prediction import Prediction
from napari_sslseg.project import Project, Round
from napari_sslseg.settings import FinetuneConfig, PredictConfig, PretrainConfig, RuntimeConfig


class Jobs(Protocol):
    """What the window asks for: each verb returns a job on a project folder."""

    def pretrain(self, project: Project, config: PretrainConfig, *, runtime: RuntimeConfig, stop: Stop) -> Job[Path]:
        """Learn from the images without labels."""

    def train(self, project: Project, config: FinetuneConfig, *, runtime: RuntimeConfig, stop: Stop) -> Job[Round]:
        """Train on all labels so far."""

    def predict(
        self,
        project: Project,
        config: PredictConfig,
        *,
        ids: Iterable[str] | None,
        planes: dict[str, tuple[int, ...]] | None,
        runtime: RuntimeConfig,
        stop: Stop,
    ) -> Job[list[Prediction]]:
        """Predict images, or some of their planes."""


class ProjectJobs:
    """The real verbs."""

    def pretrain(self, project: Project, config: PretrainConfig, *, runtime: RuntimeConfig, stop: Stop) -> Job[Path]:
        """Learn from the images without labels."""
        from napari_sslseg.workflow import pretrain_project

        return pretrain_project(project, config, runtime=runtime, stop=stop)

    def train(self, project: Project, config: FinetuneConfig, *, runtime: RuntimeConfig, stop: Stop) -> Job[Round]:
        """Train on all labels so far."""
        from napari_sslseg.workflow import train_project

        return train_project(project, config, runtime=runtime, stop=stop)

    def predict(
        self,
        project: Project,
        config: PredictConfig,
        *,
        ids: Iterable[str] | None,
        planes: dict[str, tuple[int, ...]] | None,
        runtime: RuntimeConfig,
        stop: Stop,
    ) -> Job[list[Prediction]]:
        """Predict images, or some of their planes."""
        from napari_sslseg.workflow import predict_project

        return predict_project(project, config, ids=ids, planes=planes, runtime=runtime, stop=stop)
