"""The whole job in the real viewer with the real training: open a stack, learn, paint, train, see the masks, close."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_sslseg.gui.desk import Desk
from napari_sslseg.gui.dock import Dock
from napari_sslseg.io import write_labels
from napari_sslseg.project import Project
from napari_sslseg.stages import Stage

from .conftest import delete_later, our_threads

MINUTE = 60_000


def blobs() -> tuple[np.ndarray, np.ndarray]:
    """A stack of 4 planes with bright, textured discs on a dim ground, and the truth."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:128, :128]
    truth = np.stack([(np.hypot(y % 64 - 32, x % 64 - 32 + z) < 20) for z in range(4)])
    pixels = random.normal(60, 10, truth.shape) + truth * random.normal(90, 25, truth.shape)
    return pixels.clip(0, 255).astype(np.uint16), truth


@pytest.fixture
def opened(make_napari_viewer: Callable[..., Any], nothing_left: None, tmp_path: Path) -> Iterator[tuple[Any, Dock]]:
    """A stack that was opened from a file, and the dock with the real jobs, few steps each."""
    viewer = make_napari_viewer(show=True)
    file = tmp_path / "stack.tif"
    write_labels(file, blobs()[0], spacing=(2.0, 0.5, 0.5), unit="µm")
    viewer.open(file, plugin="napari")
    dock = Dock(viewer, Desk(viewer))
    viewer.window.add_dock_widget(dock, name="SSL Segmentation")
    for step, steps in ((dock.learn, 3), (dock.train, 80)):
        small = {"encoder": "unet", "start": "random", "steps": steps, "batch": 4, "crop": 32}
        for name, value in small.items():
            step.form[name].value = value
    dock.train.form["hold_out"].value = dock.train.form["pixels"].value = 0.0
    yield viewer, dock


def idle(dock: Dock) -> bool:
    return dock.desk.session.running is None


def paint(layer: Any, z: int) -> None:
    """Strokes of background and of disc on one plane."""
    truth = blobs()[1][z]
    layer.brush_size = 5
    for value, inside in ((1, False), (2, True)):
        for y, x in np.argwhere(truth == inside)[:: 97 if inside else 211]:
            if truth[max(0, y - 3) : y + 4, max(0, x - 3) : x + 4].mean() == inside:
                layer.paint((z, int(y), int(x)), value)


def test_from_an_opened_stack_to_masks_and_back_again(opened: tuple[Any, Dock], qtbot: Any) -> None:
    viewer, dock = opened
    viewer.dims.set_current_step(0, 1)

    dock.learn.panel.button.click()
    qtbot.waitUntil(lambda: idle(dock), timeout=2 * MINUTE)
    assert dock.learn.panel.light.stage is Stage.DONE
    assert dock.learn.curve.points

    dock.paint.panel.button.click()
    layer = viewer.layers["stack labels"]
    paint(layer, 1)
    painted = np.array(layer.data)
    qtbot.waitUntil(dock.train.panel.button.isEnabled, timeout=5000)

    dock.train.panel.button.click()
    qtbot.waitUntil(lambda: idle(dock), timeout=2 * MINUTE)
    project = Project.open(dock.desk.session.project.path)
    np.testing.assert_array_equal(project.labels("stack"), painted)
    assert len(project.rounds) == 1

    masks = viewer.layers["stack masks"]
    np.testing.assert_allclose(masks.scale, viewer.layers["stack"].scale)
    assert masks.units == viewer.layers["stack"].units
    assert [z for z, plane in enumerate(masks.data) if plane.any()] == [1]
    agreement = (masks.data == painted)[painted > 0].mean()
    assert agreement > 0.9

    dock.result.everything.click()
    qtbot.waitUntil(lambda: idle(dock), timeout=2 * MINUTE)
    assert viewer.layers["stack masks"] is masks
    assert masks.data.all()
    assert dock.result.panel.light.stage is Stage.DONE


@pytest.mark.parametrize("step", ["learn", "train"])
def test_closing_while_it_works_loses_nothing(opened: tuple[Any, Dock], step: str, qtbot: Any) -> None:
    viewer, dock = opened
    dock.paint.panel.button.click()
    paint(viewer.layers["stack labels"], 0)
    painted = np.array(viewer.layers["stack labels"].data)
    qtbot.waitUntil(lambda: dock.desk.session.tally.painted(2) > 0, timeout=5000)
    getattr(dock, step).form["steps"].value = 100_000
    getattr(dock, step).panel.button.click()
    desk = dock.desk
    qtbot.waitUntil(lambda: "loss" in desk.session.activities[step].curves, timeout=MINUTE)  # the first step is done
    began = time.monotonic()
    viewer.close()
    assert time.monotonic() - began < 5  # the window does not wait for the job, which would take hours
    delete_later()
    qtbot.waitUntil(lambda: not our_threads(), timeout=20_000)
    qtbot.waitUntil(lambda: desk.session.running is None, timeout=5000)
    project = Project.open(desk.session.project.path)
    np.testing.assert_array_equal(project.labels("stack"), painted)
    assert project.pretrained is not None if step == "learn" else project.rounds


def test_masks_follow_the_brush(opened: tuple[Any, Dock], qtbot: Any) -> None:
    viewer, dock = opened
    viewer.dims.set_current_step(0, 1)
    dock.paint.panel.button.click()
    layer, truth = viewer.layers["stack labels"], blobs()[1]
    dock.train.live.click()
    qtbot.waitUntil(lambda: "paint two classes" in dock.train.following.text(), timeout=MINUTE)
    paint(layer, 1)
    qtbot.waitUntil(lambda: "stack live" in viewer.layers and not dock.train.following.text(), timeout=MINUTE)
    shown = viewer.layers["stack live"]
    qtbot.waitUntil(lambda: ((shown.data[1] == 2) == truth[1]).mean() > 0.9, timeout=MINUTE)
    assert not shown.data[[0, 2, 3]].any()
    np.testing.assert_allclose(shown.scale, viewer.layers["stack"].scale)

    viewer.dims.set_current_step(0, 3)  # never painted on
    qtbot.waitUntil(lambda: bool(shown.data[3].any()), timeout=MINUTE)
    assert ((shown.data[3] == 2) == truth[3]).mean() > 0.9

    viewer.dims.set_current_step(0, 1)
    qtbot.waitUntil(lambda: bool(shown.data[1].any()), timeout=MINUTE)
    layer.data[1] = np.where(truth[1], 1, 2)  # all the other way round
    qtbot.waitUntil(lambda: ((shown.data[1] == 1) == truth[1]).mean() > 0.9, timeout=MINUTE)

    desk = dock.desk
    viewer.close()
    delete_later()
    qtbot.waitUntil(lambda: not our_threads(), timeout=20_000)
    np.testing.assert_array_equal(desk.session.project.labels("stack")[1], np.where(truth[1], 1, 2))
