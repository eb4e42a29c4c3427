"""Jobs: the verbs that the window starts. Tests hand in scripted ones; the real ones run in another process."""

import importlib
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from napari_sslseg.contents import Round
from napari_sslseg.gui.process import POLL, WORKING, Call, Process
from napari_sslseg.job import Job, Stop
from napari_sslseg.overlay import Box, Overlay
from napari_sslseg.prediction import Denoised, Prediction
from napari_sslseg.project import Project
from napari_sslseg.settings import FinetuneConfig, PredictConfig, PretrainConfig, RuntimeConfig
from napari_sslseg.sight import Sight
from napari_sslseg.suggesting import Suggestion

if TYPE_CHECKING:
    from napari_sslseg.comparing import Comparison


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
        boxes: dict[str, Box] | None,
        runtime: RuntimeConfig,
        stop: Stop,
    ) -> Job[list[Prediction]]:
        """Predict images, or some of their planes, or parts of these."""

    def denoise(
        self,
        project: Project,
        config: PredictConfig,
        *,
        ids: Iterable[str] | None,
        planes: dict[str, tuple[int, ...]] | None,
        runtime: RuntimeConfig,
        stop: Stop,
    ) -> Job[list[Denoised]]:
        """Denoise images, or some of their planes."""

    def suggest(self, project: Project, *, runtime: RuntimeConfig, stop: Stop) -> Job[list[Suggestion]]:
        """Say where to paint next."""

    def compare(
        self, project: Project, config: FinetuneConfig, *, runtime: RuntimeConfig, stop: Stop
    ) -> Job["Comparison"]:
        """Train with and without what was learnt from the images."""

    def predict_files(
        self,
        project: Project,
        config: PredictConfig,
        *,
        paths: Iterable[Path],
        out: Path,
        runtime: RuntimeConfig,
        stop: Stop,
    ) -> Job[list[Path]]:
        """Predict image files that are not in the project, and write one label file each."""

    def see(
        self,
        project: Project,
        *,
        id: str,
        z: int,
        box: Box,
        learning: PretrainConfig | None,
        runtime: RuntimeConfig,
        stop: Stop,
    ) -> Job[Sight | None]:
        """Say what is seen of a part of a plane; nothing after a stop."""

    def glance(self, project: Project, *, stop: Stop, **asked: Any) -> Job[Sight | None]:
        """Say the same beside a job that runs, which is not held up."""

    def restore(
        self,
        project: Project,
        *,
        ids: Iterable[str] | None,
        planes: dict[str, tuple[int, ...]] | None,
        runtime: RuntimeConfig,
        stop: Stop,
    ) -> Job[list[Denoised]]:
        """Draw images, or some of their planes, from what lies around each part."""

    def pace(self, project: Project, config: PretrainConfig, *, runtime: RuntimeConfig, stop: Stop) -> Job[float]:
        """Measure how many steps of pretraining this machine does in a minute; 0 if something else is to be done."""

    def give_way(self, on: bool) -> None:
        """Let the job that runs wait for a moment, since a stroke is drawn, or go on."""

    def start(self) -> None:
        """Get ready: jobs will come."""

    def close(self) -> None:
        """Free what was held: no jobs will come for now."""


class RemoteJobs:
    """The real verbs, in a process of their own."""

    def __init__(self) -> None:
        self._process = Process(patience=WORKING)
        self._turn = threading.Lock()  # held while a job runs
        self._idle: list[Stop] = []  # of what is only done while there is nothing else to do
        self._beside = Process(patience=WORKING)  # for what is asked while a job runs
        self._glancing = threading.Lock()  # held while something is

    def pretrain(self, project: Project, config: PretrainConfig, *, runtime: RuntimeConfig, stop: Stop) -> Job[Path]:
        """Learn from the images without labels."""
        return self._run("pretrain", project, stop, config=config, runtime=runtime)

    def train(self, project: Project, config: FinetuneConfig, *, runtime: RuntimeConfig, stop: Stop) -> Job[Round]:
        """Train on all labels so far."""
        return self._run("train", project, stop, config=config, runtime=runtime)

    def predict(self, project: Project, config: PredictConfig, *, stop: Stop, **asked: Any) -> Job[list[Prediction]]:
        """Predict images, or some of their planes, or parts of these."""
        return self._run("predict", project, stop, config=config, **asked)

    def denoise(self, project: Project, config: PredictConfig, *, stop: Stop, **asked: Any) -> Job[list[Denoised]]:
        """Denoise images, or some of their planes."""
        return self._run("denoise", project, stop, config=config, **asked)

    def suggest(self, project: Project, *, runtime: RuntimeConfig, stop: Stop) -> Job[list[Suggestion]]:
        """Say where to paint next."""
        return self._run("suggest", project, stop, runtime=runtime)

    def compare(
        self, project: Project, config: FinetuneConfig, *, runtime: RuntimeConfig, stop: Stop
    ) -> Job["Comparison"]:
        """Train with and without what was learnt from the images."""
        return self._run("compare", project, stop, config=config, runtime=runtime)

    def predict_files(self, project: Project, config: PredictConfig, *, stop: Stop, **asked: Any) -> Job[list[Path]]:
        """Predict image files that are not in the project, and write one label file each."""
        return self._run("predict_files", project, stop, config=config, **asked)

    def see(self, project: Project, *, stop: Stop, **asked: Any) -> Job[Sight | None]:
        """Say what is seen of a part of a plane."""
        return self._run("see", project, stop, **asked)

    def glance(self, project: Project, *, stop: Stop, **asked: Any) -> Job[Sight | None]:
        """Say what is seen of a part of a plane, in a process that ends once no other job runs any more."""
        with self._glancing:
            found: Sight | None = yield from self._beside.run(
                Call("see", str(project.path.resolve()), asked), project, stop
            )
        self._leave()
        return found

    def _leave(self) -> None:
        """End the process for what is asked while a job runs, where none does and nothing is asked."""
        if not self._turn.locked() and self._glancing.acquire(blocking=False):
            self._beside.close()
            self._glancing.release()

    def restore(self, project: Project, *, stop: Stop, **asked: Any) -> Job[list[Denoised]]:
        """Draw images, or some of their planes, from what lies around each part."""
        return self._run("restore", project, stop, **asked)

    def pace(self, project: Project, config: PretrainConfig, *, runtime: RuntimeConfig, stop: Stop) -> Job[float]:
        """Measure how many steps this machine does in a minute, unless and until there is something else to do."""
        if not self._turn.acquire(blocking=False):
            return 0.0
        self._idle.append(stop)
        try:
            call = Call("pace", str(project.path.resolve()), {"config": config, "runtime": runtime})
            found: float = yield from self._process.run(call, project, stop)
            return found
        finally:
            self._idle.remove(stop)
            self._turn.release()

    def _run(self, verb: str, project: Project, stop: Stop, **arguments: Any) -> Job[Any]:
        while not self._turn.acquire(timeout=POLL):
            for idle in tuple(self._idle):
                idle.request()
        try:
            return (yield from self._process.run(Call(verb, str(project.path.resolve()), arguments), project, stop))
        finally:
            self._turn.release()
            self._leave()

    def give_way(self, on: bool) -> None:
        """Let the job that runs wait, for two seconds at most, or go on."""
        self._process.hold(on)

    def start(self) -> None:
        """Start the process, which loads torch."""
        self._process.start()

    def close(self) -> None:
        """End the processes."""
        self._process.close()
        self._beside.close()


class ProjectJobs:
    """The real verbs, here; the other process has these."""

    def load(self) -> None:
        """Import what takes long."""
        importlib.import_module("napari_sslseg.pretraining")
        importlib.import_module("napari_sslseg.finetuning")
        importlib.import_module("napari_sslseg.predicting")

    def pretrain(self, project: Project, config: PretrainConfig, *, runtime: RuntimeConfig, stop: Stop) -> Job[Path]:
        """Learn from the images without labels."""
        from napari_sslseg.workflow import pretrain_project

        return pretrain_project(project, config, runtime=runtime, stop=stop)

    def train(self, project: Project, config: FinetuneConfig, *, runtime: RuntimeConfig, stop: Stop) -> Job[Round]:
        """Train on all labels so far."""
        from napari_sslseg.workflow import train_project

        return train_project(project, config, runtime=runtime, stop=stop)

    def predict(self, project: Project, config: PredictConfig, *, stop: Stop, **asked: Any) -> Job[list[Prediction]]:
        """Predict images, or some of their planes."""
        from napari_sslseg.masking import predict_project

        return predict_project(project, config, stop=stop, **asked)

    def denoise(self, project: Project, config: PredictConfig, *, stop: Stop, **asked: Any) -> Job[list[Denoised]]:
        """Denoise images, or some of their planes."""
        from napari_sslseg.previews import denoise_project

        return denoise_project(project, config, stop=stop, **asked)

    def suggest(self, project: Project, *, runtime: RuntimeConfig, stop: Stop) -> Job[list[Suggestion]]:
        """Say where to paint next."""
        from napari_sslseg.next_strokes import suggest

        return suggest(project, runtime=runtime, stop=stop)

    def compare(
        self, project: Project, config: FinetuneConfig, *, runtime: RuntimeConfig, stop: Stop
    ) -> Job["Comparison"]:
        """Train with and without what was learnt from the images."""
        from napari_sslseg.comparing import compare_project

        return compare_project(project, config, runtime=runtime, stop=stop)

    def predict_files(self, project: Project, config: PredictConfig, *, stop: Stop, **asked: Any) -> Job[list[Path]]:
        """Predict image files that are not in the project, and write one label file each."""
        from napari_sslseg.exchange import predict_files

        return predict_files(project, config=config, stop=stop, **asked)

    def see(self, project: Project, *, stop: Stop, **asked: Any) -> Job[Sight | None]:
        """Say what is seen of a part of a plane."""
        from napari_sslseg.seeing import see_project

        return see_project(project, stop=stop, **asked)

    def restore(self, project: Project, *, stop: Stop, **asked: Any) -> Job[list[Denoised]]:
        """Draw images, or some of their planes, from what lies around each part."""
        from napari_sslseg.previews import restore_project

        return restore_project(project, stop=stop, **asked)

    def pace(self, project: Project, config: PretrainConfig, *, runtime: RuntimeConfig, stop: Stop) -> Job[float]:
        """Measure how many steps of pretraining this machine does in a minute."""
        from napari_sslseg.pace import measure

        return measure(project.image(project.images[0].id), config, runtime=runtime, stop=stop)


class LiveJobs:
    """The answers of live mode; a process of its own has these, and remembers between one and the next."""

    def __init__(self) -> None:
        self._feedback: Any = None

    def load(self) -> None:
        """Import what takes long."""
        from napari_sslseg.feedback import Feedback

        self._feedback = Feedback()

    def refresh(self, project: Project, **arguments: Any) -> Job[Overlay]:
        """Learn from all strokes and say what is where."""
        if self._feedback is None:
            self.load()  # says what is missing
        answer: Job[Overlay] = self._feedback.refresh(project, **arguments)
        return answer
