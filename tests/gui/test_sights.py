"""What the network sees: colours on the pixels they stand for, what is alike after a click, the image it draws."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from napari_sslseg.gui import layers
from napari_sslseg.gui.sights_row import AFTER, BEFORE, LATER
from napari_sslseg.image import Image
from napari_sslseg.overlay import Box
from napari_sslseg.project import Project
from napari_sslseg.unfinished import PRETRAIN

from .conftest import our_threads


def done(dock: Any, qtbot: Any) -> None:
    """Wait until no job runs."""
    qtbot.waitUntil(lambda: dock.desk.session.running is None and not our_threads(), timeout=20000)


def click(layer: Any, position: tuple[float, ...], *modifiers: str, moved: int = 1, button: int = 1) -> None:
    """Press on a layer, move by so many pixels of the screen, and release, as napari tells it."""
    event = SimpleNamespace(
        type="mouse_press", position=position, modifiers=modifiers, pos=np.array([100, 100]), button=button
    )
    pressed = layer.mouse_drag_callbacks[-1](layer, event)
    next(pressed)
    event.type, event.pos = "mouse_move", np.array([100, 100 + moved])
    next(pressed)
    event.type = "mouse_release"
    next(pressed, None)


@pytest.mark.parametrize("step", [1, 4])
def test_colours_lie_on_the_pixels_of_their_plane(
    dock: Any, stack: Any, viewer: Any, jobs: Any, qtbot: Any, step: int
) -> None:
    jobs.step = step
    stack.translate, stack.rotate = (1, 2, 3), (0, 0, 30)
    viewer.dims.set_point(0, 1 + 3 * 2)
    dock.learn.sees.fold.click()
    dock.learn.sees.colours.click()
    done(dock, qtbot)
    assert {k: jobs.calls[-1][1][k] for k in ("id", "z", "box")} == {"id": "stack", "z": 3, "box": Box(0, 0, 40, 32)}
    layer = viewer.layers["stack colours"]
    assert (layer.rgb, layer.data.shape) == (True, (1, 40 // step, 32 // step, 3))
    middle = (step - 1) / 2  # of the first square, and of the last
    for at, pixel in (((0, 0, 0), (3, middle, middle)), ((0, 40 // step - 1, 1), (3, 39 - middle, step + middle))):
        np.testing.assert_allclose(layer.data_to_world(at), stack.data_to_world(pixel))
    viewer.dims.set_point(0, 1)
    assert not dock.learn.sees.colours.isChecked()  # another plane is looked at
    viewer.dims.set_point(0, 1 + 3 * 2)
    assert dock.learn.sees.colours.isChecked()
    dock.learn.sees.colours.click()
    assert "stack colours" not in viewer.layers


def test_a_click_lights_up_what_is_alike_and_a_drag_does_not(
    dock: Any, image: Any, viewer: Any, jobs: Any, qtbot: Any
) -> None:
    dock.learn.sees.alike.click()
    done(dock, qtbot)
    layer = viewer.layers["field alike"]
    assert viewer.layers.selection.active is layer
    click(layer, image.data_to_world((60, 20)), moved=20)
    click(layer, image.data_to_world((60, 20)), button=2)
    assert not dock.learn.sees.sights.lit
    click(layer, image.data_to_world((60, 20)))
    assert (layer.data[0, 0], layer.data[60, 0]) == (0, 1)
    click(layer, image.data_to_world((3, 20)))
    assert (layer.data[0, 0], layer.data[60, 0]) == (1, 0)
    click(layer, image.data_to_world((60, 20)), "Shift")
    assert (layer.data[0, 0], layer.data[60, 0]) == (1, 1)
    click(layer, image.data_to_world((-9, 20)))  # beside the image
    assert [verb for verb, _ in jobs.calls] == ["see"]  # features are kept
    next(call for bound, call in layer.keymap.items() if str(bound) == "Escape")(layer)
    assert "field alike" not in viewer.layers
    assert viewer.layers.selection.active is image


def test_a_click_on_another_plane_has_that_one_looked_at(
    dock: Any, stack: Any, viewer: Any, jobs: Any, qtbot: Any
) -> None:
    dock.learn.sees.alike.click()
    done(dock, qtbot)
    viewer.dims.set_point(0, 4 * 2)
    click(viewer.layers["stack alike"], stack.data_to_world((4, 30, 20)))
    done(dock, qtbot)
    layer = viewer.layers["stack alike"]
    assert [asked["z"] for _, asked in jobs.calls] == [jobs.calls[0][1]["z"], 4]
    assert layer.data_to_world((0, 0, 0))[0] == pytest.approx(8)
    assert (layer.data[0, 0, 0], layer.data[0, 39, 0]) == (0, 1)


def test_after_learning_it_looks_anew_and_what_can_be_restored_is(
    dock: Any, image: Any, viewer: Any, jobs: Any, qtbot: Any
) -> None:
    for method, offered in (("simclr", False), ("recall", True)):
        dock.learn.form["method"].value = method
        dock.learn.panel.button.click()
        done(dock, qtbot)
        assert dock.learn.sees.restored.isHidden() is not offered
        dock.learn.sees.colours.click()
        done(dock, qtbot)
        dock.learn.sees.colours.click()
    assert [verb for verb, _ in jobs.calls] == ["pretrain", "see"] * 2
    dock.learn.sees.restored.click()
    done(dock, qtbot)
    assert (viewer.layers["field restored"].data == 100.5).all()
    dock.learn.sees.restored.click()
    assert "field restored" not in viewer.layers


# -------------------------------------------------------------------- while something else runs
def test_while_it_learns_one_sees_what_it_has_learnt_so_far_and_it_learns_on(
    dock: Any, image: Any, viewer: Any, jobs: Any, qtbot: Any
) -> None:
    sees = dock.learn.sees
    sees.fold.click()
    jobs.hold()
    dock.learn.panel.button.click()
    jobs.steps = 40
    sees.colours.click()
    qtbot.waitUntil(lambda: "field colours" in viewer.layers, timeout=5000)
    verb, asked = jobs.calls[-1]
    assert (verb, asked["learning"], asked["runtime"].device) == ("glance", dock.learn.form.config(), "cpu")
    assert sees.said.text() == AFTER.format(40)
    assert sees.colours.isChecked()
    sees.alike.click()  # of what was seen already
    layer = viewer.layers["field alike"]
    state = dock.desk.session.project.path / PRETRAIN
    state.parent.mkdir()
    state.write_bytes(b"newer")
    click(layer, image.data_to_world((60, 20)))
    assert layer.data[60, 0] == 1
    assert [verb for verb, _ in jobs.calls] == ["pretrain", "glance"]  # a click has nobody look anew
    for steps, said in ((90, AFTER.format(90)), (0, BEFORE)):
        jobs.steps = steps
        state.write_bytes(said.encode())  # newer
        for _ in range(2):
            sees.colours.click()
        qtbot.waitUntil(lambda said=said: said in sees.said.text(), timeout=5000)
    assert dock.desk.session.running == "learn"
    dock.learn.panel.button.click()
    done(dock, qtbot)
    assert dock.learn.panel.message.text() == "Stopped; what was done so far is kept"


def test_a_look_beside_a_job_is_left_off_by_another_click_and_the_next_one_begins_anew(
    dock: Any, image: Any, viewer: Any, jobs: Any, qtbot: Any
) -> None:
    sees = dock.learn.sees
    jobs.hold()
    jobs.look.clear()
    dock.learn.panel.button.click()
    sees.colours.click()
    assert (sees.colours.isChecked(), sees.alike.isEnabled()) == (True, False)
    assert sees.said.text() == "loading the network"
    sees.colours.click()
    qtbot.waitUntil(lambda: sees.colours.isEnabled() and sees.alike.isEnabled(), timeout=5000)
    assert (sees.colours.isChecked(), sees.said.text()) == (False, "")
    jobs.look.set()
    sees.alike.click()
    qtbot.waitUntil(lambda: "field alike" in viewer.layers, timeout=5000)
    assert "field colours" not in viewer.layers
    jobs.look.clear()
    sees.colours.click()
    sees.alike.click()
    viewer.close()  # nobody waits
    jobs.go.set()
    qtbot.waitUntil(lambda: not our_threads(), timeout=20000)


def test_what_waits_for_the_job_that_runs_says_so(dock: Any, image: Any, jobs: Any, qtbot: Any) -> None:
    learn(dock, qtbot)
    jobs.hold()
    dock.learn.panel.button.click()
    assert not dock.learn.sees.restored.isEnabled()
    assert LATER in dock.learn.sees.restored.toolTip()
    jobs.go.set()
    done(dock, qtbot)
    assert LATER not in dock.learn.sees.restored.toolTip()


# -------------------------------------------------------------------- restored, beside the image
def learn(dock: Any, qtbot: Any) -> None:
    """Learn in a way that draws images."""
    dock.learn.form["method"].value = "recall"
    dock.learn.panel.button.click()
    done(dock, qtbot)
    dock.learn.sees.fold.click()


def restore(dock: Any, qtbot: Any) -> None:
    """Turn what is restored on or off."""
    dock.learn.sees.restored.click()
    done(dock, qtbot)


def look(viewer: Any) -> tuple[float, ...]:
    """Where the camera is."""
    return (*viewer.scene.camera.center[-2:], viewer.scene.camera.zoom)


def check_beside(image: Any, restored: Any, z: int | None = None) -> None:
    """Rows are in line with those of the image, and columns go on behind its last one, a little apart."""
    width = restored.data.shape[-2 if restored.rgb else -1]
    gap = max(1, round(width * 0.03))
    for y, x in ((0, 0), (7, 5)):
        at = (y, x) if z is None else (0, y, x)
        of_image = (y, width + gap + x) if z is None else (z, y, width + gap + x)
        np.testing.assert_allclose(restored.data_to_world(at), image.data_to_world(of_image))


def test_what_is_restored_lies_beside_its_plane_however_the_image_lies(
    dock: Any, stack: Any, viewer: Any, qtbot: Any
) -> None:
    stack.translate, stack.rotate, stack.shear = (1, 2, 3), (0, 0, 30), (0, 0, 0.2)
    viewer.dims.set_point(0, 1 + 3 * 2)
    learn(dock, qtbot)
    restore(dock, qtbot)
    check_beside(stack, viewer.layers["stack restored"], 3)
    assert dock.learn.sees.restored.isChecked()
    viewer.dims.set_point(0, 1)
    assert not dock.learn.sees.restored.isChecked()  # another plane is looked at
    restore(dock, qtbot)
    assert [layer.name for layer in viewer.layers] == ["stack", "stack restored"]
    check_beside(stack, viewer.layers["stack restored"], 0)


def test_each_channel_is_restored_beside_the_image(dock: Any, viewer: Any, qtbot: Any, tmp_path: Any) -> None:
    project = Project.create(tmp_path / "p.sslseg")
    project.add_image(Image(np.ones((2, 40, 32), np.uint8), (0.5, 0.25), "µm", "two"))
    dock.desk.open_project(project.path)
    learn(dock, qtbot)
    restore(dock, qtbot)
    for channel in ("two 1", "two 2"):
        check_beside(viewer.layers[channel], viewer.layers[f"{channel} restored"])


def test_colours_are_restored_beside_the_image(dock: Any, viewer: Any, qtbot: Any) -> None:
    image = viewer.add_image(np.zeros((40, 32, 3), np.uint8), name="tissue", rgb=True)
    learn(dock, qtbot)
    restore(dock, qtbot)
    check_beside(image, viewer.layers["tissue restored"])


def test_the_view_takes_in_what_is_restored_and_goes_back(dock: Any, image: Any, viewer: Any, qtbot: Any) -> None:
    learn(dock, qtbot)
    viewer.scene.camera.zoom = 17
    before = look(viewer)
    restore(dock, qtbot)
    restored = viewer.layers["field restored"]
    viewer.reset_view(layers=[image, restored])
    both = look(viewer)
    assert both != before
    restored.visible = False
    np.testing.assert_allclose(look(viewer), before)
    restored.visible = True
    np.testing.assert_allclose(look(viewer), both)
    dock.desk.canvas.hold(True)
    assert restored.visible  # it covers nothing
    np.testing.assert_allclose(look(viewer), both)
    dock.desk.canvas.hold(False)
    restore(dock, qtbot)
    np.testing.assert_allclose(look(viewer), before)


def test_a_view_that_was_moved_since_stays(dock: Any, image: Any, viewer: Any, qtbot: Any) -> None:
    learn(dock, qtbot)
    restore(dock, qtbot)
    viewer.scene.camera.zoom *= 2
    moved = look(viewer)
    restore(dock, qtbot)
    assert look(viewer) == moved


def test_an_image_is_looked_at_with_what_is_restored_of_it(dock: Any, image: Any, viewer: Any, qtbot: Any) -> None:
    second = viewer.add_image(np.eye(32), name="second")
    dock.images.panel.button.click()
    dock.desk.canvas.look_at("field")
    learn(dock, qtbot)
    alone = look(viewer)
    restore(dock, qtbot)
    both = look(viewer)
    dock.desk.canvas.look_at("second")
    assert not viewer.layers["field restored"].visible
    seen = look(viewer)
    viewer.reset_view(layers=[second])
    np.testing.assert_allclose(look(viewer), seen)
    dock.desk.canvas.look_at("field")
    np.testing.assert_allclose(look(viewer), both)
    viewer.layers.remove("field restored")
    np.testing.assert_allclose(look(viewer), alone)


def test_nothing_is_found_alike_beside_the_image(dock: Any, image: Any, viewer: Any, qtbot: Any) -> None:
    learn(dock, qtbot)
    restore(dock, qtbot)
    dock.learn.sees.alike.click()
    done(dock, qtbot)
    click(viewer.layers["field alike"], viewer.layers["field restored"].data_to_world((30, 20)))
    assert not dock.learn.sees.sights.lit
    assert layers.image_layers(viewer) == [image]
