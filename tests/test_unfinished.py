"""Where a pretraining was left off: found again without torch, and only where it would go on."""

from dataclasses import replace

import pytest
from scenes import disks

from napari_sslseg import unfinished
from napari_sslseg.job import Metric, Stop, run
from napari_sslseg.project import Project
from napari_sslseg.settings import PretrainConfig, RuntimeConfig
from napari_sslseg.unfinished import PRETRAIN, left_off
from napari_sslseg.workflow import pretrain_project

pytestmark = pytest.mark.usefixtures("always_told")  # or a fast machine is done before it is asked to stop
CONFIG = PretrainConfig(method="restore", encoder="unet", start="random", crop=32, batch=2, steps=8)
RUNTIME = RuntimeConfig(device="cpu", seed=3)


def pretrain(project, config=CONFIG, stop_at=2):
    stop = Stop()

    def listen(event):
        if isinstance(event, Metric) and event.name == "loss" and event.step >= stop_at:
            stop.request()

    run(pretrain_project(project, config, runtime=RUNTIME, stop=stop), listen)


@pytest.fixture
def project(tmp_path):
    project = Project.create(tmp_path / "p.sslseg")
    project.add_image(disks()[0])
    return project


def test_a_pretraining_that_was_stopped_says_what_was_asked_for_and_how_far_it_is(project):
    assert left_off(project) is None
    pretrain(project)
    found = left_off(Project.open(project.path))
    assert (found.config, found.seed) == (CONFIG, 3)
    assert 2 <= found.steps < 8
    assert found.share == found.steps / 8


def test_of_a_run_by_time_the_share_is_that_of_its_time(project):
    pretrain(project, replace(CONFIG, steps=None, minutes=100.0))
    assert 0 < left_off(project).share < 0.1


def test_a_run_that_came_to_its_end_is_not_left_off(project):
    pretrain(project)
    pretrain(project, stop_at=100)
    assert left_off(project) is None


@pytest.mark.parametrize("change", ["images", "version", "damaged"])
def test_what_would_not_go_on_is_not_left_off(project, monkeypatch, change):
    pretrain(project)
    if change == "images":
        project.add_image(disks(seed=1)[0])
    elif change == "version":
        monkeypatch.setattr(unfinished, "__version__", "0")
    else:
        (project.path / PRETRAIN).write_bytes(b"damaged")
    assert left_off(project) is None
