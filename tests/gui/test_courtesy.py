"""Courtesy: the job that runs waits while a stroke is drawn, and nobody is asked to while none runs."""

from typing import Any

import numpy as np
from napari.utils.interactions import mouse_move_callbacks, mouse_press_callbacks, mouse_release_callbacks

from napari_sslseg.gui.dock import Dock

from .conftest import FakeJobs
from .test_live import mouse


def draw(layer: Any, row: int) -> None:
    """A stroke along a row."""
    mouse_press_callbacks(layer, mouse(layer, "mouse_press", (row, 10)))
    mouse_move_callbacks(layer, mouse(layer, "mouse_move", (row, 20)))
    mouse_release_callbacks(layer, mouse(layer, "mouse_release", (row, 20)))


def test_a_job_waits_from_the_press_of_the_brush_until_shortly_after(
    dock: Dock, image: Any, jobs: FakeJobs, qtbot: Any
) -> None:
    dock.desk.paint()
    layer = dock.desk.canvas.viewer.layers.selection.active
    layer.mode, layer.selected_label = "paint", 1
    draw(layer, 10)
    assert jobs.ways == []  # nothing runs
    jobs.hold()
    dock.learn.panel.button.click()
    assert dock.desk.session.running == "learn"
    mouse_press_callbacks(layer, mouse(layer, "mouse_press", (20, 10)))
    assert jobs.ways == [True]
    mouse_release_callbacks(layer, mouse(layer, "mouse_release", (20, 10)))
    draw(layer, 30)  # another stroke follows at once
    assert jobs.ways == [True, True]
    qtbot.waitUntil(lambda: jobs.ways == [True, True, False])
    jobs.go.set()
    qtbot.waitUntil(lambda: dock.desk.session.running is None)
    draw(layer, 40)
    assert jobs.ways == [True, True, False]
    assert (np.asarray(layer.data)[[10, 30, 40], 15] == 1).all()
