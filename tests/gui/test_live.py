"""Live mode in the window: when it asks, what it asks, and what it shows."""

from typing import Any

import numpy as np
import pytest
from napari.layers import Image as ImageLayer
from napari.utils._test_utils import read_only_mouse_event
from napari.utils.interactions import mouse_move_callbacks, mouse_press_callbacks, mouse_release_callbacks

from napari_sslseg.errors import LabelError
from napari_sslseg.gui import live
from napari_sslseg.gui.dock import Dock
from napari_sslseg.overlay import Box
from napari_sslseg.project import Project

from .conftest import FakeAnswers, delete_later, our_threads


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at a new view without waiting for long."""
    monkeypatch.setattr(live, "SETTLE", 10)


def settled(dock: Dock) -> bool:
    return dock.desk.live._worker is None and not dock.desk.live._moved.isActive()


def mouse(layer: Any, kind: str, at: tuple[float, float]) -> Any:
    """What napari tells of the mouse at a place of a layer."""
    dragged = kind == "mouse_move"
    return read_only_mouse_event(
        type=kind, is_dragging=dragged, position=layer.data_to_world(at), dims_displayed=[0, 1]
    )


def turned_on(dock: Dock, qtbot: Any) -> Any:
    """Paint a stroke, turn it on, and wait for the first answer; the layer one paints on."""
    dock.desk.paint()
    layer = dock.desk.canvas.viewer.layers.selection.active
    layer.paint((0,) * (layer.ndim - 2) + (10, 10), 1)
    dock.train.live.click()
    qtbot.waitUntil(lambda: settled(dock))
    return layer


def test_it_shows_the_answer_over_the_image_and_leaves_the_brush_in_hand(
    dock: Dock, image: Any, answers: FakeAnswers, qtbot: Any
) -> None:
    labels = turned_on(dock, qtbot)
    viewer = dock.desk.canvas.viewer
    assert [layer.name for layer in viewer.layers] == ["field", "field live", "field labels"]
    shown = viewer.layers["field live"]
    np.testing.assert_array_equal(shown.data, np.full((64, 48), 2))
    np.testing.assert_array_equal(shown.scale, image.scale)
    np.testing.assert_array_equal(shown.translate, image.translate)
    assert viewer.layers.selection.active is labels
    assert labels.mode == "paint"
    assert answers.asked[0]["reread"]  # all that is on the disk
    assert answers.asked[0]["box"] == Box(0, 0, 64, 48)
    assert not dock.train.following.text()


def test_a_stroke_is_told_with_what_is_around_it(dock: Dock, image: Any, answers: FakeAnswers, qtbot: Any) -> None:
    layer = turned_on(dock, qtbot)
    before = len(answers.asked)
    layer.brush_size = 3
    layer.paint((30, 20), 2)
    qtbot.waitUntil(lambda: len(answers.asked) > before and settled(dock))
    (stroke,) = answers.asked[-1]["strokes"]
    assert stroke.image == "field"
    rows, columns = stroke.region
    assert rows.start <= 30 < rows.stop
    assert columns.start <= 20 < columns.stop
    np.testing.assert_array_equal(stroke.labels, np.asarray(layer.data)[stroke.region])
    assert (stroke.labels == 2).any()


def test_it_shows_what_some_strokes_say_and_asks_on_until_all_were_looked_at(
    dock: Dock, image: Any, answers: FakeAnswers, qtbot: Any
) -> None:
    turned_on(dock, qtbot)
    answers.asked.clear()
    answers.parts = 5
    dock.desk.live._rewritten()
    qtbot.waitUntil(lambda: settled(dock))
    assert [asked["patience"] for asked in answers.asked] == [1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    assert [asked["reread"] for asked in answers.asked] == [True] + 5 * [False]
    assert dock.desk.canvas.viewer.layers["field live"].data.all()
    assert not dock.train.following.text()

    answers.parts = 10**6
    dock.desk.live.ask()
    qtbot.waitUntil(lambda: len(answers.asked) > 9)
    dock.train.live.click()  # it does not ask on when it is turned off
    qtbot.waitUntil(lambda: dock.desk.live._worker is None)
    before = len(answers.asked)
    qtbot.wait(50)
    assert len(answers.asked) == before


def test_a_stroke_is_answered_at_once_while_it_looks_at_others(
    dock: Dock, image: Any, answers: FakeAnswers, qtbot: Any
) -> None:
    said: list[str] = []
    dock.desk.live.changed.connect(lambda: said.append(dock.train.following.text()))
    layer = turned_on(dock, qtbot)
    answers.parts = 10**6
    dock.desk.live.ask()
    qtbot.waitUntil(lambda: answers.asked[-1]["patience"] > 1)
    answers.go.clear()
    qtbot.wait(50)
    before = len(answers.asked)
    assert answers.asked[-1]["patience"] > 1  # it looks at others, and is held
    layer.paint((30, 20), 2)
    qtbot.waitUntil(lambda: len(answers.asked) > before)  # the one under way, which was held, has ended
    assert answers.asked[-1]["strokes"]
    assert answers.asked[-1]["patience"] == 1.0
    answers.parts = 0
    answers.go.set()
    qtbot.waitUntil(lambda: settled(dock))
    assert not any("two classes" in text for text in said)
    assert not dock.train.following.text()


def test_what_goes_on_is_told_with_its_share(dock: Dock, image: Any, answers: FakeAnswers, qtbot: Any) -> None:
    layer = turned_on(dock, qtbot)
    answers.share = 0.25
    answers.go.clear()
    layer.paint((30, 20), 2)
    qtbot.waitUntil(lambda: dock.train.following.text() == "Live: looking at the image, 25%")
    answers.go.set()
    qtbot.waitUntil(lambda: settled(dock))
    assert not dock.train.following.text()


def test_an_image_may_be_taken_out_while_it_computes(
    dock: Dock, image: Any, answers: FakeAnswers, said: list[str], qtbot: Any
) -> None:
    dock.desk.canvas.viewer.add_image(np.eye(32), name="second")
    dock.images.use_selected()
    dock.images.list.setCurrentRow(0)
    layer = turned_on(dock, qtbot)
    answers.go.clear()
    for at in ((5, 5), (30, 20)):
        layer.paint(at, 2)
        dock.desk.canvas.painting.flush()
    dock.images.take_out()
    answers.go.set()
    qtbot.waitUntil(lambda: settled(dock) and answers.asked[-1]["id"] == "second")
    assert answers.asked[-1]["strokes"] == []
    assert {layer.name for layer in dock.desk.canvas.viewer.layers} == {"field", "second", "second live"}
    assert dock.desk.live.on and not dock.desk.live.said
    assert [e.id for e in dock.desk.session.project.left] == ["field"]
    assert not any("error" in text.lower() for text in said)


def test_strokes_painted_while_it_computes_are_told_together(
    dock: Dock, image: Any, answers: FakeAnswers, qtbot: Any
) -> None:
    layer = turned_on(dock, qtbot)
    answers.go.clear()
    count = len(answers.asked)
    for at in ((5, 5), (30, 20), (40, 40)):
        layer.paint(at, 2)
        dock.desk.canvas.painting.flush()
    qtbot.waitUntil(lambda: len(answers.asked) == count + 1)
    qtbot.wait(50)
    assert len(answers.asked) == count + 1  # one question at a time
    answers.go.set()
    qtbot.waitUntil(lambda: len(answers.asked) == count + 2 and settled(dock))
    told = [s for a in answers.asked[count:] for s in a["strokes"]]
    assert len(told) == 3
    assert len(answers.asked[-1]["strokes"]) == 2


def test_it_asks_when_the_brush_rests_or_is_lifted_and_not_before(
    dock: Dock, image: Any, answers: FakeAnswers, qtbot: Any
) -> None:
    layer = turned_on(dock, qtbot)
    strokes, painting = dock.desk.canvas.painting._strokes["field"], dock.desk.canvas.painting
    layer.mode, layer.selected_label = "paint", 2
    dock.desk.live._moved.setInterval(60_000)
    count = len(answers.asked)
    mouse_press_callbacks(layer, mouse(layer, "mouse_press", (20, 20)))
    for column in (25, 30, 35):
        mouse_move_callbacks(layer, mouse(layer, "mouse_move", (20, column)))
        strokes.save()  # as it does eight times a second
        assert painting.drawing
    assert len(answers.asked) == count
    dock.desk.live._moved.timeout.emit()  # the brush rests
    qtbot.waitUntil(lambda: len(answers.asked) == count + 1 and dock.desk.live._worker is None)
    assert len(answers.asked[-1]["strokes"]) == 3
    mouse_move_callbacks(layer, mouse(layer, "mouse_move", (20, 40)))
    strokes.save()  # nothing is left to save when it is lifted
    mouse_release_callbacks(layer, mouse(layer, "mouse_release", (20, 40)))
    assert not painting.drawing
    qtbot.waitUntil(lambda: len(answers.asked) == count + 2 and settled(dock))
    assert len(answers.asked[-1]["strokes"]) == 1


def test_lifting_the_brush_tells_at_once(dock: Dock, image: Any, answers: FakeAnswers, qtbot: Any) -> None:
    layer = turned_on(dock, qtbot)
    strokes = dock.desk.canvas.painting._strokes["field"]
    saved: list[Any] = []
    strokes.saved.connect(saved.append)
    layer.mode, layer.selected_label = "paint", 2
    mouse_press_callbacks(layer, mouse(layer, "mouse_press", (20, 20)))
    mouse_move_callbacks(layer, mouse(layer, "mouse_move", (20, 30)))
    assert not saved
    mouse_release_callbacks(layer, mouse(layer, "mouse_release", (20, 30)))
    assert len(saved) == 1
    assert not strokes._timer.isActive()
    assert (np.asarray(layer.data)[20, 20:31] == 2).all()
    qtbot.waitUntil(lambda: settled(dock))


def test_it_follows_the_plane_and_leaves_no_old_answer_behind(
    dock: Dock, stack: Any, answers: FakeAnswers, qtbot: Any
) -> None:
    turned_on(dock, qtbot)
    viewer = dock.desk.canvas.viewer
    first = answers.asked[-1]["z"]
    count = len(answers.asked)
    viewer.dims.set_current_step(0, (first + 2) % 5)
    qtbot.waitUntil(lambda: len(answers.asked) > count and settled(dock))
    assert answers.asked[-1]["z"] == (first + 2) % 5
    shown = viewer.layers["stack live"].data
    assert (shown[(first + 2) % 5] == 2).all()
    assert not shown[first].any()


def test_only_the_part_in_the_view_is_asked_for(dock: Dock, image: Any, answers: FakeAnswers, qtbot: Any) -> None:
    turned_on(dock, qtbot)
    layer: ImageLayer = dock.desk.canvas.viewer.layers["field"]
    layer.corner_pixels = np.array([[10, 5], [29, 39]])  # as the canvas says when one zooms in
    assert dock.desk.canvas.view(2048) == (0, (10, 5, 30, 40))
    assert dock.desk.canvas.view(10) == (0, (15, 17, 25, 27))  # of a very large view the middle
    layer.corner_pixels = np.array([[-20, -5], [200, 300]])
    assert dock.desk.canvas.view(2048) == (0, (0, 0, 64, 48))


def test_the_view_of_a_pyramid_is_that_of_its_largest_level(dock: Dock, viewer: Any, answers: FakeAnswers) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (128, 96), np.uint8)
    layer = viewer.add_image([pixels, pixels[::2, ::2], pixels[::4, ::4]], multiscale=True, name="pyramid")
    dock.desk.use([[layer]])
    layer.data_level, layer.corner_pixels = 1, np.array([[10, 5], [29, 39]])
    z, (top, left, bottom, right) = dock.desk.canvas.view(2048) or (-1, (0, 0, 0, 0))
    assert (z, top, left) == (0, 20, 10)
    assert 58 < bottom <= 60
    assert 78 < right <= 80


def test_moving_the_view_asks_once_it_rests(dock: Dock, image: Any, answers: FakeAnswers, qtbot: Any) -> None:
    turned_on(dock, qtbot)
    count = len(answers.asked)
    for zoom in (2.0, 2.1, 2.2):
        dock.desk.canvas.viewer.scene.camera.zoom = zoom
    qtbot.waitUntil(lambda: len(answers.asked) > count and settled(dock))
    assert len(answers.asked) == count + 1
    assert answers.asked[-1]["strokes"] == []
    assert not answers.asked[-1]["reread"]


def test_turned_off_it_leaves_nothing_and_asks_nothing(
    dock: Dock, image: Any, answers: FakeAnswers, qtbot: Any
) -> None:
    layer = turned_on(dock, qtbot)
    assert answers.running
    dock.train.live.click()
    assert not answers.running
    assert "field live" not in dock.desk.canvas.viewer.layers
    count = len(answers.asked)
    layer.paint((30, 20), 2)
    dock.desk.canvas.painting.flush()
    qtbot.wait(50)
    assert len(answers.asked) == count
    dock.train.live.click()  # and on again
    qtbot.waitUntil(lambda: len(answers.asked) > count and settled(dock))
    assert answers.asked[count]["reread"]


def test_turned_off_while_it_computes_the_answer_is_dropped(
    dock: Dock, image: Any, answers: FakeAnswers, qtbot: Any
) -> None:
    turned_on(dock, qtbot)
    answers.go.clear()
    dock.desk.live.ask()
    dock.train.live.click()
    qtbot.waitUntil(lambda: settled(dock))
    assert "field live" not in dock.desk.canvas.viewer.layers


def test_with_too_little_painted_it_says_what_is_missing(
    dock: Dock, image: Any, answers: FakeAnswers, qtbot: Any
) -> None:
    answers.value = None
    turned_on(dock, qtbot)
    assert dock.train.following.text() == "Live: paint two classes to see masks"
    answers.value = 2
    dock.desk.live.ask()
    qtbot.waitUntil(lambda: settled(dock))
    assert not dock.train.following.text()


def test_buttons_stay_where_they_are_while_it_follows_the_brush(
    dock: Dock, image: Any, answers: FakeAnswers, qtbot: Any
) -> None:
    assert dock.train.following.isHidden()
    turned_on(dock, qtbot)
    places = set()
    for said in ("", "looking at the strokes", ""):
        dock.desk.live.said = said
        dock.train.refresh()
        dock.train.panel.body.activate()
        assert not dock.train.following.isHidden()
        places.add((dock.train.panel.sizeHint().height(), dock.train.panel.button.y(), dock.train.doubts.y()))
    assert len(places) == 1
    dock.train.live.click()
    assert dock.train.following.isHidden()


def test_what_the_user_can_mend_is_said_and_it_goes_on(
    dock: Dock, image: Any, answers: FakeAnswers, qtbot: Any, said: list[str]
) -> None:
    layer = turned_on(dock, qtbot)
    said.clear()
    answers.error = LabelError("The labels hold no background", "Some background is needed")
    dock.desk.live.ask()
    qtbot.waitUntil(lambda: settled(dock))
    assert "no background" in dock.train.following.text()
    assert not said  # no window pops up at each stroke
    answers.error = None
    layer.paint((30, 20), 2)
    qtbot.waitUntil(lambda: not dock.train.following.text())
    assert answers.asked[-1]["reread"]  # nothing is taken for told
    assert dock.desk.live.on


def test_any_other_failure_ends_it_and_is_said(dock: Dock, image: Any, answers: FakeAnswers, qtbot: Any) -> None:
    turned_on(dock, qtbot)
    answers.error = RuntimeError("out of luck")
    dock.desk.live.ask()
    qtbot.waitUntil(lambda: settled(dock))
    assert not dock.desk.live.on
    assert not dock.train.live.isChecked()
    assert "out of luck" in dock.train.following.text()


def test_masks_make_way_for_it_and_come_back(dock: Dock, image: Any, answers: FakeAnswers, qtbot: Any) -> None:
    dock.desk.use([[image]])
    dock.desk.predict(dock.desk.prediction)
    qtbot.waitUntil(lambda: dock.desk.session.running is None)
    masks = dock.desk.canvas.viewer.layers["field masks"]
    turned_on(dock, qtbot)
    assert not masks.visible
    dock.train.live.click()
    assert masks.visible


def test_another_project_ends_it(dock: Dock, image: Any, answers: FakeAnswers, qtbot: Any, tmp_path: Any) -> None:
    turned_on(dock, qtbot)
    dock.desk.session.open(Project.create(tmp_path / "other.sslseg"))
    assert not dock.desk.live.on
    assert not answers.running
    assert "field live" not in dock.desk.canvas.viewer.layers


def test_without_an_image_it_stays_off(dock: Dock, answers: FakeAnswers, said: list[str]) -> None:
    dock.train.live.click()
    assert not dock.train.live.isChecked()
    assert not answers.asked
    assert "no image" in said[0]


def test_it_rests_while_the_dock_is_closed_and_then_goes_on(
    viewer: Any, dock: Dock, image: Any, answers: FakeAnswers, qtbot: Any
) -> None:
    layer = turned_on(dock, qtbot)
    dock.train.doubts.click()
    qtbot.waitUntil(lambda: settled(dock))
    desk = dock.desk
    viewer.window.remove_dock_widget(dock)
    delete_later()
    assert not answers.running
    assert {layer.name for layer in viewer.layers} == {"field", "field labels"}
    count = len(answers.asked)
    layer.paint((30, 20), 2)
    desk.canvas.painting.flush()
    qtbot.wait(50)
    assert len(answers.asked) == count
    again = Dock(viewer, desk)
    viewer.window.add_dock_widget(again, name="again")
    assert again.train.live.isChecked() and again.train.doubts.isChecked()
    qtbot.waitUntil(lambda: settled(again) and "field unsure" in viewer.layers)
    assert answers.asked[count]["reread"]  # also what was painted meanwhile
    assert answers.asked[-1]["doubts"]


def test_once_turned_off_it_stays_off_when_the_dock_is_open_again(
    viewer: Any, dock: Dock, image: Any, answers: FakeAnswers, qtbot: Any, tmp_path: Any
) -> None:
    turned_on(dock, qtbot)
    desk = dock.desk
    viewer.window.remove_dock_widget(dock)
    delete_later()
    desk.new_project(tmp_path / "other.sslseg")
    viewer.window.add_dock_widget(Dock(viewer, desk), name="again")
    assert not desk.live.on
    assert not answers.running


def test_closing_the_viewer_after_the_dock_ends_it(
    viewer: Any, dock: Dock, image: Any, answers: FakeAnswers, qtbot: Any
) -> None:
    turned_on(dock, qtbot)
    desk = dock.desk
    viewer.window.remove_dock_widget(dock)
    delete_later()
    viewer.close()
    delete_later()
    qtbot.waitUntil(lambda: not our_threads())
    desk.live.wake()
    assert not desk.live.on
    assert not answers.running


def test_closing_the_viewer_while_it_computes_ends_it(
    viewer: Any, dock: Dock, image: Any, answers: FakeAnswers, qtbot: Any
) -> None:
    layer = turned_on(dock, qtbot)
    desk = dock.desk
    answers.go.clear()
    layer.paint((30, 20), 2)
    desk.live.ask()
    viewer.close()
    delete_later()
    qtbot.waitUntil(lambda: not our_threads())
    assert not desk.live.on
    assert not answers.running
    assert desk.session.needed_project.labels("field")[30, 20] == 2


def test_its_layer_has_the_colours_of_the_classes_as_they_change(
    dock: Dock, image: Any, answers: FakeAnswers, qtbot: Any
) -> None:
    turned_on(dock, qtbot)
    session, shown = dock.desk.session, dock.desk.canvas.viewer.layers["field live"]
    session.change_class(2, colour="#0000ff")
    np.testing.assert_allclose(shown.colormap.color_dict[2], (0, 0, 1, 1))
    assert shown.colormap.color_dict[1][3] == 0  # the background is transparent


def test_it_shows_classes_that_no_8_bits_hold(dock: Dock, image: Any, answers: FakeAnswers, qtbot: Any) -> None:
    turned_on(dock, qtbot)
    shown = dock.desk.canvas.viewer.layers["field live"]
    assert shown.data.dtype == np.uint8  # at 16 bits each new colour would hold the window up
    answers.value = 300
    dock.desk.live.ask()
    qtbot.waitUntil(lambda: bool((shown.data == 300).any()), timeout=5000)


def test_the_sliders_of_the_result_are_for_it_too(dock: Dock, image: Any, answers: FakeAnswers, qtbot: Any) -> None:
    turned_on(dock, qtbot)
    shown = dock.desk.canvas.viewer.layers["field live"]
    dock.result.opacity.setValue(20)
    dock.result.outline.setChecked(True)
    assert shown.opacity == pytest.approx(0.2)
    assert shown.contour == 2
    dock.result.visible.setChecked(False)
    assert not shown.visible
    dock.desk.canvas.show_current()
    assert not shown.visible
    dock.result.visible.setChecked(True)
    assert shown.visible


def test_masks_stay_away_while_it_follows(dock: Dock, image: Any, answers: FakeAnswers, qtbot: Any) -> None:
    turned_on(dock, qtbot)
    dock.desk.predict(dock.desk.prediction)
    qtbot.waitUntil(lambda: dock.desk.session.running is None)
    layers = dock.desk.canvas.viewer.layers
    assert not layers["field masks"].visible
    dock.result.opacity.setValue(20)
    dock.desk.canvas.show_current()
    assert not layers["field masks"].visible
    assert layers["field live"].visible
    dock.train.live.click()
    assert layers["field masks"].visible


def test_where_it_is_unsure_lights_up(dock: Dock, image: Any, answers: FakeAnswers, qtbot: Any) -> None:
    assert not dock.train.doubts.isVisibleTo(dock)
    labels = turned_on(dock, qtbot)
    viewer = dock.desk.canvas.viewer
    assert not answers.asked[-1]["doubts"]
    assert dock.train.doubts.isVisibleTo(dock)
    dock.train.doubts.click()
    qtbot.waitUntil(lambda: "field unsure" in viewer.layers and settled(dock))
    assert answers.asked[-1]["doubts"]
    assert [layer.name for layer in viewer.layers] == ["field", "field live", "field unsure", "field labels"]
    shown = viewer.layers["field unsure"]
    np.testing.assert_allclose(shown.data, 0.5)
    np.testing.assert_array_equal(shown.scale, image.scale)
    assert viewer.layers.selection.active is labels
    dock.train.doubts.click()
    assert "field unsure" not in viewer.layers
    qtbot.waitUntil(lambda: settled(dock))
    dock.train.doubts.click()
    qtbot.waitUntil(lambda: "field unsure" in viewer.layers and settled(dock))
    dock.train.live.click()
    assert "field unsure" not in viewer.layers
    assert not dock.train.doubts.isVisibleTo(dock)
