"""What one does in another order than usual, with real clicks and keys: nothing is moved, deleted or lost by it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hand import Hand
from qtpy.QtCore import Qt

from napari_sslseg.gui.desk import Desk
from napari_sslseg.gui.dock import Dock
from napari_sslseg.overlay import Box
from napari_sslseg.project import Project
from napari_sslseg.suggesting import Suggestion

Window = tuple[Any, Dock, Hand]


@pytest.fixture
def window(
    make_napari_viewer: Callable[..., Any], nothing_left: None, jobs: Any, answers: Any, tmp_path: Path
) -> Iterator[Window]:
    """A window that is shown, with two images of a project in it, and a hand."""
    viewer = make_napari_viewer(show=True)
    dock = Dock(viewer, Desk(viewer, jobs, answering=answers))
    dock.desk.home = tmp_path
    viewer.window.add_dock_widget(dock, name="SSL Segmentation")
    for name in ("first", "second"):
        viewer.add_image(np.random.default_rng(0).integers(0, 255, (120, 160), np.uint8), name=name)
    hand = Hand(viewer)
    hand.click("Use these images")
    row(hand, dock, 0)
    yield viewer, dock, hand
    vars(hand).clear()  # the window goes before what a test was given


def row(hand: Hand, dock: Dock, at: int) -> None:
    """Click an image in the list."""
    shown = dock.images.list
    hand.row(shown, shown.model().index(at, 0))
    hand.fit()


def painted(dock: Dock, id: str) -> set[int]:
    """Classes that are painted on an image, on the disk."""
    dock.desk.canvas.painting.flush()
    return set(np.unique(Project.open(dock.desk.session.needed_project.path).labels(id)).tolist()) - {0}


LINE = ((40, 40), (40, 90))


def test_keys_paint_where_the_layer_of_an_image_is_the_active_one(window: Window) -> None:
    viewer, dock, hand = window
    image = viewer.layers["first"]
    before = image.affine.affine_matrix.copy()
    assert viewer.layers.selection.active is image
    hand.click(hand.canvas)
    hand.key("2")
    hand.stroke(image, LINE)
    assert painted(dock, "first") == {2}
    np.testing.assert_array_equal(image.affine.affine_matrix, before)


def test_keys_paint_on_after_another_image_was_looked_at(window: Window) -> None:
    viewer, dock, hand = window
    hand.click("✎ Paint on this image")
    row(hand, dock, 1)
    row(hand, dock, 0)
    hand.key("2")
    hand.stroke(viewer.layers["first"], LINE)
    assert painted(dock, "first") == {2}


def test_a_click_on_a_class_brings_the_brush(window: Window) -> None:
    viewer, dock, hand = window
    hand.click("✎ Paint on this image")
    viewer.layers.selection.active = viewer.layers["first"]
    hand.cell("Classes", 1, 1)
    hand.stroke(viewer.layers["first"], LINE)
    assert painted(dock, "first") == {2}


def test_a_click_on_a_class_makes_the_layer_to_paint_on(window: Window) -> None:
    viewer, dock, hand = window
    hand.cell("Classes", 1, 1)
    hand.stroke(viewer.layers["first"], LINE)
    assert painted(dock, "first") == {2}


def test_a_key_does_not_delete_a_box_that_was_just_drawn(window: Window) -> None:
    viewer, dock, hand = window
    hand.click("✎ Paint on this image")
    hand.click("+ class")
    hand.key("1")
    hand.key(Qt.Key.Key_V)
    hand.stroke(viewer.layers["first"], ((20, 20), (60, 60)))
    hand.rest(0.1)
    hand.key("3")
    hand.stroke(viewer.layers["first"], ((80, 40), (80, 90)))
    assert painted(dock, "first") == {3}
    assert [r.validation for r in dock.desk.session.needed_project.regions("first")] == [True]


def test_the_key_of_the_next_suggestion_asks_for_the_first(window: Window, jobs: Any) -> None:
    _, dock, hand = window
    jobs.suggestions = [Suggestion("second", 0, Box(8, 16, 24, 32), 1.0)]
    hand.click("✎ Paint on this image")
    hand.click(hand.canvas)
    hand.key(Qt.Key.Key_N)
    hand.until(lambda: dock.desk.session.current == "second", 10, "the suggestion is looked at")


def test_a_stroke_over_what_is_restored_paints_nothing(window: Window) -> None:
    viewer, dock, hand = window
    dock.learn.form["method"].value = "recall"
    hand.click("▶ Learn")
    hand.until(hand.idle, 10, "it has learnt")
    hand.click("What it sees ▸")
    hand.click("Restored")
    hand.until(lambda: "first restored" in viewer.layers, 10, "there is something restored")
    hand.rest(0.1)
    restored = viewer.layers["first restored"]
    hand.click("✎ Paint on this image")
    hand.key("2")
    hand.stroke(restored, LINE)
    viewer.layers.selection.active = restored
    hand.stroke(restored, LINE)
    assert painted(dock, "first") == set()
    viewer.layers.selection.active = viewer.layers["first labels"]
    hand.stroke(viewer.layers["first"], LINE)
    assert painted(dock, "first") == {2}
    assert (restored.data == 100.5).all()
