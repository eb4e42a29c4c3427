"""Where to paint next: the window goes there, draws a box, and is ready to paint."""

from typing import Any

import numpy as np
import pytest

from napari_sslseg.contents import Round
from napari_sslseg.overlay import Box
from napari_sslseg.suggesting import Suggestion

FIRST, SECOND = Suggestion("stack", 3, Box(8, 16, 24, 32), 0.5, 1), Suggestion("stack", 1, Box(0, 0, 16, 16), 0.4, 0)


@pytest.fixture
def guided(dock: Any, stack: Any, jobs: Any, qtbot: Any) -> Any:
    """A dock that has gone to the first of two suggestions."""
    jobs.suggestions = [FIRST, SECOND]
    dock.paint.guide.where.click()
    qtbot.waitUntil(lambda: dock.paint.guide.which.text() == "1 of 2", timeout=3000)
    return dock


def boxes(viewer: Any) -> list[Any]:
    return [layer for layer in viewer.layers if layer.name.startswith("paint here")]


def test_a_click_goes_to_the_best_part_ready_to_paint(guided: Any, viewer: Any) -> None:
    layer = viewer.layers.selection.active
    assert layer.name == "stack labels"
    assert layer.mode == "paint"
    assert guided.desk.canvas.current_plane() == {"stack": (3,)}
    np.testing.assert_allclose(viewer.scene.camera.center[-2:], ((16 - 0.5) * 0.5, (24 - 0.5) * 0.5))
    (box,) = boxes(viewer)
    np.testing.assert_allclose(box.data[0].min(0), (3, 7.5, 15.5))
    np.testing.assert_allclose(box.data[0].max(0), (3, 23.5, 31.5))
    assert not box.editable


def test_it_goes_on_and_back_with_buttons_and_keys(guided: Any, viewer: Any) -> None:
    guided.paint.guide.after.click()
    assert guided.paint.guide.which.text() == "2 of 2"
    assert guided.desk.canvas.current_plane() == {"stack": (1,)}
    guided.paint.guide.after.click()  # there is no third
    assert guided.paint.guide.which.text() == "2 of 2"
    keymap = {str(key).lower(): call for key, call in viewer.layers.selection.active.keymap.items()}
    keymap["p"](viewer.layers.selection.active)
    assert guided.paint.guide.which.text() == "1 of 2"
    keymap["n"](viewer.layers.selection.active)
    assert guided.paint.guide.which.text() == "2 of 2"
    assert len(boxes(viewer)) == 1


def test_the_button_goes_through_all_before_it_asks_again(guided: Any, jobs: Any, qtbot: Any) -> None:
    guided.paint.guide.where.click()
    assert guided.paint.guide.which.text() == "2 of 2"
    assert [verb for verb, _ in jobs.calls] == ["suggest"]
    guided.paint.guide.where.click()
    qtbot.waitUntil(lambda: guided.paint.guide.which.text() == "1 of 2", timeout=3000)
    assert [verb for verb, _ in jobs.calls] == ["suggest", "suggest"]


def test_after_a_training_the_old_suggestions_are_gone(guided: Any, viewer: Any) -> None:
    assert boxes(viewer)
    session = guided.desk.session
    session.needed_project.add_round(Round(1, "m", 0.5, {}, 3, False, 9, 9, 1.0, True))
    session.rounds_changed.emit()
    assert guided.paint.guide.which.text() == ""
    assert not guided.paint.guide.after.isVisibleTo(guided)
    assert not boxes(viewer)


def test_an_image_that_is_taken_out_takes_its_suggestions_along(guided: Any, viewer: Any) -> None:
    guided.images.take_out()
    assert [layer.name for layer in viewer.layers] == ["stack"]
    assert guided.desk.guide.said == ""


def test_where_nothing_is_suggested_it_says_so(dock: Any, stack: Any, jobs: Any, qtbot: Any) -> None:
    dock.paint.guide.where.click()
    qtbot.waitUntil(lambda: "Nothing to suggest" in dock.paint.panel.message.text(), timeout=3000)


def test_it_can_be_stopped(dock: Any, stack: Any, jobs: Any, qtbot: Any) -> None:
    jobs.hold()
    dock.paint.guide.where.click()
    qtbot.waitUntil(lambda: dock.paint.panel.button.text() == "■ Stop", timeout=3000)
    dock.paint.panel.button.click()
    qtbot.waitUntil(lambda: dock.desk.session.running is None, timeout=3000)
    assert dock.paint.panel.button.text().endswith("Paint on this image")


def test_another_project_takes_the_box_away(guided: Any, viewer: Any, tmp_path: Any) -> None:
    guided.desk.new_project(tmp_path / "other")
    assert not boxes(viewer)
