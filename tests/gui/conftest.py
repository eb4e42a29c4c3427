"""Fixtures of the window's tests: a real viewer, a desk with scripted jobs, and a check that nothing is left behind."""

import gc
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.settings import NapariSettings
from npe2 import PluginManifest
from qtpy.QtCore import QCoreApplication, QEvent
from qtpy.QtWidgets import QApplication, QMenu, QWidget

from napari_sslseg.comparing import Comparison
from napari_sslseg.contents import Round
from napari_sslseg.evidence import Difference
from napari_sslseg.gui import paces
from napari_sslseg.gui.desk import Desk
from napari_sslseg.gui.dock import Dock
from napari_sslseg.job import Event, Job, Metric, Progress, Stop
from napari_sslseg.overlay import Overlay
from napari_sslseg.prediction import Denoised, Prediction
from napari_sslseg.project import Project
from napari_sslseg.sight import Sight
from napari_sslseg.suggesting import Suggestion

ENDED = pytest.StashKey[int]()


def our_threads() -> list[threading.Thread]:
    """Threads that the window started and that still run."""
    return [t for t in threading.enumerate() if t.name.startswith("napari-sslseg")]


def delete_later() -> None:
    """Delete what was given to deleteLater, as the event loop does."""
    kind = QEvent.Type.DeferredDelete
    QCoreApplication.sendPostedEvents(None, getattr(kind, "value", kind))  # PyQt6 wants the number, PyQt5 has no other
    QApplication.processEvents()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Remember how the tests ended."""
    session.config.stash[ENDED] = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """End without taking Python apart: Qt sometimes crashes in it once hundreds of viewers have been opened.

    That a window ends cleanly is tested in a process of its own (`test_manifest.py`).
    """
    if ENDED in config.stash:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(config.stash[ENDED])


class FakeJobs:
    """Jobs that follow a script: some events, then they wait until they are let go or asked to stop."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.go.set()
        self.events: Sequence[Event] = (Progress(0.25, "At work", 80.0), Metric("loss", 0.5, 1), Metric("loss", 0.4, 2))
        self.error: Exception | None = None
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.value = 2
        self.suggestions: list[Suggestion] = []
        self.step = 1  # px a feature of what is seen
        self.steps: int | None = None  # of the learning that goes on, after which it is seen
        self.look = threading.Event()  # lets those who glance see something
        self.look.set()
        self.ways: list[bool] = []  # that were given to strokes, and taken again

    def hold(self) -> None:
        """Let the jobs that start now wait."""
        self.go.clear()

    def give_way(self, on: bool) -> None:
        """Note it."""
        self.ways.append(on)

    def start(self) -> None:
        """Nothing has to be got ready."""

    def close(self) -> None:
        """Nothing is held."""

    def _play(self, stop: Stop) -> Job[bool]:
        yield from self.events
        while not stop.requested and not self.go.wait(0.005):
            pass
        if self.error is not None:
            raise self.error
        return not stop.requested

    def pretrain(self, project: Project, config: Any, *, runtime: Any, stop: Stop) -> Job[Path]:
        self.calls.append(("pretrain", {"config": config, "runtime": runtime}))
        yield from self._play(stop)
        path = project.path / "pretrained.safetensors"
        said = json.dumps({"config": {"pretrain": config.to_dict()}})
        weights = {} if config.method == "simclr" else {"output.weight": {}}  # of the layer that draws pixels
        header = json.dumps({"__metadata__": {"json": said}, **weights}).encode()
        path.write_bytes(len(header).to_bytes(8, "little") + header)  # as a checkpoint begins
        project.set_pretrained(path)
        return path

    def train(self, project: Project, config: Any, *, runtime: Any, stop: Stop) -> Job[Round]:
        labels = {id: project.labels(id) for id in project.labelled()}  # what is on disk when training begins
        self.calls.append(("train", {"config": config, "labels": labels}))
        finished = yield from self._play(stop)
        number = project.next_round()
        score = min(0.5 + 0.1 * number, 0.9)
        return project.add_round(Round(number, f"{number}.safetensors", score, {}, 4, False, 9, 9, 1.0, finished))

    def predict(
        self, project: Project, config: Any, *, ids: Any, planes: Any, boxes: Any, runtime: Any, stop: Stop
    ) -> Job[list[Prediction]]:
        self.calls.append(("predict", {"config": config, "ids": ids, "planes": planes, "boxes": boxes}))
        yield from self._play(stop)
        return [self._prediction(project, id, config, planes, boxes) for id in ids or [e.id for e in project.images]]

    def denoise(
        self, project: Project, config: Any, *, ids: Any, planes: Any, runtime: Any, stop: Stop
    ) -> Job[list[Denoised]]:
        self.calls.append(("denoise", {"ids": ids, "planes": planes}))
        if not (yield from self._play(stop)):
            return []
        (entry,) = (project.entry(id) for id in ids)
        chosen = planes[entry.id] if planes else None
        size = (len(chosen), *entry.shape[1:]) if chosen else entry.shape
        return [Denoised(entry.id, np.full((entry.channels, *size), 100.5, np.float32), chosen)]

    def suggest(self, project: Project, *, runtime: Any, stop: Stop) -> Job[list[Suggestion]]:
        self.calls.append(("suggest", {}))
        if not (yield from self._play(stop)):
            return []
        return self.suggestions

    def compare(self, project: Project, config: Any, *, runtime: Any, stop: Stop) -> Job[Comparison]:
        self.calls.append(("compare", {"config": config}))
        yield from self._play(stop)
        return Comparison((0.75, 0.77), (0.72, 0.72), 8, Difference(0.04, (0.01, 0.07), 0.99))

    def predict_files(
        self, project: Project, config: Any, *, paths: Any, out: Path, runtime: Any, stop: Stop
    ) -> Job[list[Path]]:
        self.calls.append(("predict_files", {"paths": paths, "out": out}))
        yield from self._play(stop)
        return [out / "a.tif", out / "b.tif"]

    def see(self, project: Project, *, stop: Stop, held: bool = True, **asked: Any) -> Job[Sight | None]:
        if held:
            self.calls.append(("see", asked))
            yield from self._play(stop)
        if stop.requested:
            return None
        height, width = (-(-n // self.step) for n in (asked["box"].bottom, asked["box"].right))
        features = np.zeros((height, width, 2), np.float16)
        features[..., 0], features[: height // 2] = 1, (0, 1)  # the upper half is one thing, the lower another
        return Sight(
            asked["id"], asked["z"], asked["box"], self.step, np.full((height, width, 3), 9, np.uint8), features
        )

    def glance(self, project: Project, *, stop: Stop, **asked: Any) -> Job[Sight | None]:
        self.calls.append(("glance", asked))
        while not stop.requested and not self.look.wait(0.005):
            pass
        sight = yield from self.see(project, stop=stop, held=False, **asked)
        return sight and replace(sight, steps=self.steps)

    def restore(self, project: Project, *, ids: Any, planes: Any, runtime: Any, stop: Stop) -> Job[list[Denoised]]:
        return (yield from self.denoise(project, None, ids=ids, planes=planes, runtime=runtime, stop=stop))

    def pace(self, project: Project, config: Any, *, runtime: Any, stop: Stop) -> Job[float]:
        self.calls.append(("pace", {"config": config}))
        yield from ()
        return 120.0

    def _prediction(self, project: Project, id: str, config: Any, planes: Any, boxes: Any = None) -> Prediction:
        shape, box = project.entry(id).shape, (boxes or {}).get(id)
        chosen = planes[id] if planes and len(shape) == 3 else None
        size = (box.bottom - box.top, box.right - box.left) if box else shape[-2:]
        labels = np.full((*((len(chosen),) if chosen else shape[:-2]), *size), self.value, np.uint16)
        names = tuple(c.name for c in project.classes)
        values = np.full((len(names), *labels.shape), 1 / len(names), np.float16) if config.probabilities else None
        return Prediction(id, labels, names, values, chosen, box=box)


@pytest.fixture(scope="session", autouse=True)
def read_and_written_once() -> Iterator[None]:
    """Give every viewer the plugins that are installed, and write no settings of napari: a third of what it takes."""
    found = list(PluginManifest.discover())

    def discover(paths: Any = ()) -> Iterator[Any]:
        for one in found:
            yield one._replace(manifest=one.manifest and one.manifest.model_copy(deep=True))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PluginManifest, "discover", discover)
        patch.setattr(NapariSettings, "save", lambda *_, **__: None)
        yield


@pytest.fixture(autouse=True)
def nothing_left(qapp: QApplication) -> Iterator[None]:
    """Fail a test that leaves a top-level widget or a thread."""
    gc.freeze()  # what earlier tests left is not looked through again each time that garbage is collected
    before = set(QApplication.topLevelWidgets())

    def left() -> list[QWidget]:
        new = [w for w in QApplication.topLevelWidgets() if w not in before]
        return [w for w in new if w.isVisible() or type(w).__module__.startswith("napari_sslseg")]

    yield
    for _ in range(3):  # what one collection frees may be all that held something else
        gc.collect()
        delete_later()
        if not left():
            break
    for thread in our_threads():
        thread.join(20)
    assert not our_threads()
    assert not left()


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Put the projects that nobody chose a place for in a temporary folder."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(paces, "SETTLE", 10**8)  # no test is so slow that something is measured in its pauses
    return tmp_path / "napari-sslseg"


@pytest.fixture
def said() -> Iterator[list[str]]:
    """Messages of the notifications."""
    from napari.utils.notifications import notification_manager

    heard: list[str] = []

    def hear(notification: Any) -> None:
        heard.append(notification.message)

    notification_manager.notification_ready.connect(hear)
    yield heard
    notification_manager.notification_ready.disconnect(hear)


@pytest.fixture
def jobs() -> FakeJobs:
    """Scripted jobs."""
    return FakeJobs()


@pytest.fixture
def viewer(make_napari_viewer: Callable[[], Any], nothing_left: None, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A viewer that is not shown, and so without what takes a third of a test's time and is only for the eye.

    That is napari's style sheet, what its menus hold, its tips, and what is drawn over images.
    """
    monkeypatch.setattr("napari._qt.qt_main_window.get_stylesheet", lambda *_, **__: "")
    monkeypatch.setattr("napari._qt.qt_main_window.build_qmodel_menu", lambda _, title, parent: QMenu(title, parent))
    monkeypatch.setattr("napari._qt.widgets.qt_welcome.QtWelcomeWidget.refresh", lambda *_: None)
    for drawn in ("viewer", "layer"):
        monkeypatch.setattr(f"napari._vispy.canvas.VispyCanvas._update_{drawn}_overlays", lambda *_: None)
    return make_napari_viewer()


class FakeAnswers:
    """Answers of live mode that follow a script: one value everywhere, once they are let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.go.set()
        self.error: Exception | None = None
        self.asked: list[dict[str, Any]] = []
        self.value: int | None = 2
        self.share = 0.0  # of what there is to look at that it begins with
        self.parts = 0  # answers that are given before all strokes were looked at
        self.running = False

    def start(self) -> None:
        self.running = True

    def close(self) -> None:
        self.running = False

    def refresh(self, project: Project, *, stop: Stop, **asked: Any) -> Job[Overlay]:
        self.asked.append(asked)
        yield Progress(self.share, "looking at the image")
        while not stop.requested and not self.go.wait(0.005):
            pass
        if self.error is not None:
            raise self.error
        box = asked["box"]
        answer = Overlay(asked["id"], asked["z"], box)
        if self.value is None or stop.requested:
            return answer
        size = (box.bottom - box.top, box.right - box.left)
        unsure = np.full(size, 0.5, np.float16) if asked["doubts"] else None
        self.parts -= 1
        return answer._replace(
            labels=np.full(size, self.value, np.uint16), unsure=unsure, known=0.5 if self.parts >= 0 else 1.0
        )


@pytest.fixture
def answers() -> FakeAnswers:
    """Scripted answers of live mode."""
    return FakeAnswers()


@pytest.fixture
def dock(viewer: Any, jobs: FakeJobs, answers: FakeAnswers) -> Dock:
    """The dock in a viewer, with scripted jobs and answers."""
    dock = Dock(viewer, Desk(viewer, jobs, answering=answers))
    viewer.window.add_dock_widget(dock, name="SSL Segmentation")
    return dock


@pytest.fixture
def image(viewer: Any) -> Any:
    """An open image layer of 64 × 48 pixels."""
    pixels = np.random.default_rng(0).integers(0, 255, (64, 48), np.uint8)
    return viewer.add_image(pixels, name="field", scale=(0.5, 0.5), translate=(3, 4), units=("um", "um"))


@pytest.fixture
def stack(viewer: Any) -> Any:
    """An open stack of 5 planes."""
    pixels = np.random.default_rng(0).integers(0, 255, (5, 40, 32), np.uint8)
    return viewer.add_image(pixels, name="stack", scale=(2, 0.5, 0.5))
