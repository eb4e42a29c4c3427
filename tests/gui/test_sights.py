"""What the network sees: colours on the pixels they stand for, what is alike after a click, the image it draws."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from napari_sslseg.overlay import Box

from .conftest import our_threads


def done(dock: Any, qtbot: Any) -> None:
    """Wait until no job runs."""
    qtbot.waitUntil(lambda: dock.desk.session.running is None and not our_threads(), timeout=5000)


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
