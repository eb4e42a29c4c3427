"""What is laid over the masks: where they are unsure, and each object in a colour of its own; it goes with them."""

from typing import Any

import numpy as np
import pytest

from napari_sslseg import originals
from napari_sslseg.gui import parts, result_commands
from napari_sslseg.gui.adjusting import Adjusting
from napari_sslseg.gui.dock import Dock
from napari_sslseg.gui.parts import Parts
from napari_sslseg.image import Image
from napari_sslseg.overlay import Box
from napari_sslseg.prediction import Prediction
from napari_sslseg.project import Project

from .conftest import delete_later
from .test_adjusting import SPECK, SQUARE, adjusted, predict, still  # noqa: F401 - a fixture is found by its name
from .test_images import click_row

UNSURE = 0.5  # of what `predict` keeps: one class 0.75, the other 0.25


def settle(dock: Dock, qtbot: Any) -> None:
    """Wait until nothing is computed any more."""
    qtbot.waitUntil(lambda: not Parts.of(dock.desk).busy, timeout=5000)
    still(dock, qtbot)
    qtbot.waitUntil(lambda: not Parts.of(dock.desk).busy, timeout=5000)


@pytest.fixture
def shown(adjusted: Dock, image: Any, qtbot: Any) -> Dock:  # noqa: F811
    """The dock with an image whose masks are shown."""
    adjusted.desk.ready()
    predict(adjusted)
    settle(adjusted, qtbot)
    return adjusted


@pytest.fixture
def deep(adjusted: Dock, stack: Any, viewer: Any, qtbot: Any) -> Dock:  # noqa: F811
    """The dock with a stack whose masks are shown."""
    adjusted.desk.ready()
    predict(adjusted)
    viewer.dims.set_point(0, 2)  # plane 1
    settle(adjusted, qtbot)
    return adjusted


# -------------------------------------------------------------------- where masks are unsure
def test_where_masks_are_unsure_lies_over_them_in_their_place(shown: Dock, image: Any, viewer: Any) -> None:
    active = viewer.layers.selection.active
    shown.result.over.unsure.click()
    layer = viewer.layers["field where unsure"]
    assert viewer.layers.index(layer) == viewer.layers.index(viewer.layers["field masks"]) + 1
    for name in ("scale", "translate"):
        np.testing.assert_allclose(getattr(layer, name), getattr(image, name))
    assert layer.units == image.units
    np.testing.assert_allclose(np.asarray(layer.data), UNSURE, atol=0.01)
    assert viewer.layers.selection.active is active
    shown.result.over.unsure.click()
    assert "field where unsure" not in viewer.layers


def test_it_is_not_offered_where_it_was_not_kept(adjusted: Dock, image: Any, qtbot: Any) -> None:  # noqa: F811
    tick = adjusted.result.over.unsure
    adjusted.desk.ready()
    assert not tick.isEnabled()
    assert "no masks" in tick.toolTip()
    predict(adjusted, sure=False)
    settle(adjusted, qtbot)
    assert not tick.isEnabled()
    assert "Predict once more" in tick.toolTip()


def test_of_a_stack_only_planes_that_are_looked_at_are_read(deep: Dock, viewer: Any) -> None:
    place, _ = originals.kept(deep.desk.session.project, "stack")
    assert place is not None
    for file in [f for z in (3, 4) for f in place.glob(f"c/*/{z}/**/*") if f.is_file()]:
        file.write_bytes(b"damaged")
    deep.result.over.unsure.click()
    layer = viewer.layers["stack where unsure"]
    np.testing.assert_allclose(layer.scale, (2, 0.5, 0.5))
    assert layer.get_value((2, 5, 5), world=True) == pytest.approx(UNSURE, abs=0.01)


def test_a_plane_of_which_it_was_not_kept_says_so(deep: Dock, viewer: Any, qtbot: Any) -> None:
    project, row = deep.desk.session.needed_project, deep.result.over
    deep.desk.session.begin("result")
    originals.take_part(project, "stack", 1, Box(0, 0, 2, 2), np.ones((2, 2), np.uint32))
    deep.desk.session.end()
    settle(deep, qtbot)
    row.unsure.click()
    assert "masks of this plane" in row.said.text()
    assert not row.said.isHidden()
    viewer.dims.set_point(0, 6)
    assert row.said.isHidden()


def test_a_new_prediction_is_lit_anew(shown: Dock, viewer: Any, qtbot: Any) -> None:
    shown.result.over.unsure.click()
    layer, session = viewer.layers["field where unsure"], shown.desk.session
    session.begin("result")
    shares = originals.Shares(session.needed_project, (1, 2), None, None)
    shares.take("field", 0, 0, np.stack([np.ones((64, 48)), np.zeros((64, 48))]))
    shares.keep("field")
    session.end()
    settle(shown, qtbot)
    assert viewer.layers["field where unsure"] is layer
    assert not np.asarray(layer.data).any()


def test_it_follows_the_image_that_is_looked_at(shown: Dock, viewer: Any, qtbot: Any) -> None:
    row = shown.result.over
    row.unsure.click()
    viewer.add_image(np.eye(32), name="second")
    shown.images.use_selected()
    click_row(shown, qtbot, 1)
    settle(shown, qtbot)
    assert not viewer.layers["field where unsure"].visible
    predict(shown)
    settle(shown, qtbot)
    assert viewer.layers["second where unsure"].visible
    click_row(shown, qtbot, 0)
    settle(shown, qtbot)
    seen = [layer.name for layer in viewer.layers if layer.visible and "unsure" in layer.name]
    assert seen == ["field where unsure"]


@pytest.mark.parametrize("tick", ["unsure", "objects"])
def test_it_goes_with_the_masks_and_who_takes_it_away_unticks_it(
    shown: Dock, viewer: Any, qtbot: Any, tick: str
) -> None:
    box = getattr(shown.result.over, tick)
    name = {"unsure": "field where unsure", "objects": "field objects"}[tick]
    box.click()
    settle(shown, qtbot)
    viewer.layers.remove(viewer.layers[name])
    settle(shown, qtbot)
    assert not box.isChecked()
    box.click()
    settle(shown, qtbot)
    viewer.layers.remove(viewer.layers["field masks"])
    settle(shown, qtbot)
    assert name not in viewer.layers


@pytest.mark.parametrize("tick", ["unsure", "objects"])
def test_another_project_begins_without_it(shown: Dock, viewer: Any, tmp_path: Any, qtbot: Any, tick: str) -> None:
    box = getattr(shown.result.over, tick)
    box.click()
    settle(shown, qtbot)
    other = Project.create(tmp_path / "other.sslseg")
    other.add_image(Image.from_array(np.eye(32, dtype=np.float32), name="other"))
    shown.desk.open_project(other.path)
    settle(shown, qtbot)
    assert [layer.name for layer in viewer.layers if "masks" in layer.name or "field " in layer.name] == []
    assert not box.isChecked()


@pytest.mark.parametrize("tick", ["unsure", "objects"])
def test_it_ends_with_the_dock(shown: Dock, viewer: Any, qtbot: Any, tick: str) -> None:
    getattr(shown.result.over, tick).click()
    settle(shown, qtbot)
    count = len(viewer.layers)
    viewer.window.remove_dock_widget(shown)
    delete_later()
    assert len(viewer.layers) == count - 1
    assert viewer.layers["field masks"].visible


def test_commands_do_what_the_ticks_do(shown: Dock, viewer: Any, monkeypatch: Any, qtbot: Any) -> None:
    monkeypatch.setattr(result_commands, "dock_in", lambda _: shown)
    for command, box in ((result_commands.unsure, "unsure"), (result_commands.single_objects, "objects")):
        for on in (True, False):
            command(viewer)
            settle(shown, qtbot)
            assert getattr(shown.result.over, box).isChecked() is on


# -------------------------------------------------------------------- objects
def numbers(layer: Any) -> list[int]:
    """The numbers that a layer of objects holds."""
    return np.unique(np.asarray(layer.data)).tolist()


def test_each_object_has_a_colour_of_its_own_in_place_of_that_of_its_class(
    shown: Dock, image: Any, viewer: Any, qtbot: Any
) -> None:
    shown.result.over.objects.click()
    settle(shown, qtbot)
    layer = viewer.layers["field objects"]
    assert numbers(layer) == [0, 1, 2]
    assert layer.data[SPECK] == 1
    assert (layer.data[SQUARE] == 2).all()
    assert tuple(layer.get_color(1)) != tuple(layer.get_color(2))
    assert list(layer.features["class"]) == ["–", "class 2", "class 2"]
    np.testing.assert_allclose(layer.translate, image.translate)
    assert not viewer.layers["field masks"].visible
    shown.result.over.objects.click()
    assert "field objects" not in viewer.layers
    assert viewer.layers["field masks"].visible


def test_objects_follow_what_is_adjusted(shown: Dock, viewer: Any, qtbot: Any) -> None:
    shown.result.over.objects.click()
    settle(shown, qtbot)
    shown.result.adjust.least.slider.setValue(9)
    settle(shown, qtbot)
    assert numbers(viewer.layers["field objects"]) == [0, 1]
    Adjusting.of(shown.desk).set(least=0.0)
    settle(shown, qtbot)
    assert numbers(viewer.layers["field objects"]) == [0, 1, 2]


def test_touching_objects_that_are_parted_have_two_colours(adjusted: Dock, image: Any, viewer: Any, qtbot: Any) -> None:  # noqa: F811
    adjusted.desk.ready()
    project = adjusted.desk.session.needed_project
    y, x = np.indices((64, 48))
    disks = (y - 20) ** 2 + (x - 24) ** 2 < 100, (y - 36) ** 2 + (x - 24) ** 2 < 100
    masks = np.where(disks[0] | disks[1], 2, 1).astype(np.uint32)
    project.write_prediction("field", masks)
    adjusted.desk.canvas.show([Prediction("field", masks)])
    settle(adjusted, qtbot)
    adjusted.result.over.objects.click()
    settle(adjusted, qtbot)
    assert numbers(viewer.layers["field objects"]) == [0, 1]
    split = adjusted.result.adjust.split
    split.setCurrentIndex(split.findData(2))
    settle(adjusted, qtbot)
    assert numbers(viewer.layers["field objects"]) == [0, 1, 2]


def test_objects_are_those_of_the_plane_that_is_looked_at(deep: Dock, stack: Any, viewer: Any, qtbot: Any) -> None:
    deep.result.over.objects.click()
    settle(deep, qtbot)
    layer = viewer.layers["stack objects"]
    for z in (1, 3):
        viewer.dims.set_point(0, 2 * z)
        settle(deep, qtbot)
        assert layer is viewer.layers["stack objects"]
        assert layer.data.shape == (1, 40, 32)
        np.testing.assert_allclose(layer.translate, (2 * z, 0, 0))
        at = (2 * z, 0.5 * SPECK[0], 0.5 * SPECK[1])
        assert layer.get_value(at, world=True) == 1


def test_in_three_dimensions_objects_go_through_the_planes(
    deep: Dock, viewer: Any, qtbot: Any, monkeypatch: Any
) -> None:
    deep.result.over.objects.click()
    settle(deep, qtbot)
    viewer.dims.ndisplay = 3
    settle(deep, qtbot)
    layer = viewer.layers["stack objects"]
    assert layer.data.shape == (5, 40, 32)
    assert (layer.data[(slice(None), *SPECK)] == 1).all()
    np.testing.assert_allclose(layer.translate, (0, 0, 0))
    viewer.dims.ndisplay = 2
    settle(deep, qtbot)
    assert layer.data.shape == (1, 40, 32)
    monkeypatch.setattr(parts, "MOST", 100)
    viewer.dims.ndisplay = 3
    settle(deep, qtbot)
    assert "plane by plane" in deep.result.over.said.text()
    assert "stack objects" not in viewer.layers
    assert viewer.layers["stack masks"].visible


def test_objects_are_drawn_as_the_masks_are(shown: Dock, viewer: Any, qtbot: Any) -> None:
    shown.result.over.objects.click()
    settle(shown, qtbot)
    layer = viewer.layers["field objects"]
    shown.result.opacity.setValue(30)
    shown.result.outline.setChecked(True)
    assert (layer.opacity, layer.contour) == (0.3, 2)
    shown.result.visible.setChecked(False)
    assert not layer.visible
    shown.result.visible.setChecked(True)
    assert layer.visible
    assert not viewer.layers["field masks"].visible


def test_where_objects_are_looked_for_the_tick_is_hidden(shown: Dock, viewer: Any, qtbot: Any) -> None:
    shown.result.over.objects.click()
    settle(shown, qtbot)
    shown.desk.session.set_task("instance")
    settle(shown, qtbot)
    assert shown.result.over.objects.isHidden()
    assert "field objects" not in viewer.layers
    assert viewer.layers["field masks"].visible


def test_masks_are_accepted_while_their_objects_are_shown(shown: Dock, viewer: Any, qtbot: Any) -> None:
    shown.result.over.objects.click()
    settle(shown, qtbot)
    accept = shown.result.accept.accept
    accept.plane()
    qtbot.waitUntil(lambda: not accept.turns.busy, timeout=5000)
    assert viewer.layers["field labels"].data[SPECK] == 2
