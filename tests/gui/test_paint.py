"""The window while one paints: layer, classes, keys; every stroke reaches the disk."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from napari.utils.interactions import mouse_press_callbacks, mouse_release_callbacks
from qtpy.QtTest import QTest

from napari_sslseg.gui import layers
from napari_sslseg.project import Project

from .test_live import mouse


def on_disk(path: Path, id: str) -> np.ndarray:
    """Labels as another program finds them."""
    file = path / "labels" / f"{id}.zarr"
    return np.asarray(zarr.open_array(file, mode="r")[...]) if file.exists() else np.zeros(0)


@pytest.fixture
def layer(dock: Any, image: Any, viewer: Any) -> Any:
    dock.paint.panel.button.click()
    return viewer.layers.selection.active


def test_one_click_makes_a_layer_on_the_image(layer: Any, image: Any) -> None:
    assert layer.name == "field labels"
    assert layer.mode == "paint"
    assert layer.data.shape == image.data.shape
    np.testing.assert_allclose(layer.scale, image.scale)
    np.testing.assert_allclose(layer.translate, image.translate)
    assert layer.units == image.units


def test_a_second_click_goes_back_to_the_same_layer(dock: Any, layer: Any, viewer: Any, image: Any) -> None:
    viewer.layers.selection.active = image
    dock.paint.panel.button.click()
    assert viewer.layers.selection.active is layer
    assert len(viewer.layers) == 2


def test_labels_of_a_colour_image_have_its_spatial_shape(dock: Any, viewer: Any) -> None:
    viewer.add_image(np.zeros((20, 30, 3), np.uint8) + np.arange(30, dtype=np.uint8)[:, None], rgb=True, name="rgb")
    dock.paint.panel.button.click()
    assert viewer.layers["rgb labels"].data.shape == (20, 30)


def test_a_stroke_reaches_the_disk(dock: Any, layer: Any, qtbot: Any) -> None:
    path = dock.desk.session.project.path
    layer.selected_label = 2
    layer.paint((20, 20), 2)
    qtbot.waitUntil(lambda: on_disk(path, "field").any(), timeout=2000)
    np.testing.assert_array_equal(on_disk(path, "field"), np.asarray(layer.data))


def test_fill_undo_and_redo_reach_the_disk(dock: Any, layer: Any, qtbot: Any) -> None:
    path = dock.desk.session.project.path
    layer.fill((5, 5), 1)
    qtbot.waitUntil(lambda: on_disk(path, "field").all(), timeout=2000)
    layer.undo()
    qtbot.waitUntil(lambda: not on_disk(path, "field").any(), timeout=2000)
    layer.redo()
    qtbot.waitUntil(lambda: on_disk(path, "field").all(), timeout=2000)


def test_labels_that_a_script_replaces_reach_the_disk(dock: Any, layer: Any, qtbot: Any) -> None:
    path = dock.desk.session.project.path
    layer.data = np.full(layer.data.shape, 2, np.uint8)
    qtbot.waitUntil(lambda: (on_disk(path, "field") == 2).all(), timeout=2000)
    layer.paint((20, 20), 1)
    qtbot.waitUntil(lambda: (on_disk(path, "field") == 1).any(), timeout=2000)


def test_a_stroke_in_a_stack_changes_its_plane_only(dock: Any, stack: Any, viewer: Any, qtbot: Any) -> None:
    viewer.dims.set_point(0, 3 * 2)
    dock.paint.panel.button.click()
    viewer.layers["stack labels"].paint((3, 10, 10), 2)
    path = dock.desk.session.project.path
    qtbot.waitUntil(lambda: on_disk(path, "stack").any(), timeout=2000)
    assert [z for z, plane in enumerate(on_disk(path, "stack")) if plane.any()] == [3]


def test_a_removed_layer_comes_back_with_its_strokes(dock: Any, layer: Any, viewer: Any) -> None:
    layer.paint((20, 20), 2)
    painted = np.array(layer.data)
    viewer.layers.remove(layer)
    dock.desk.canvas.painting.flush()
    dock.paint.panel.button.click()
    np.testing.assert_array_equal(viewer.layers["field labels"].data, painted)
    assert viewer.layers["field labels"] is not layer


def test_a_layer_that_is_closed_comes_back_with_strokes_that_are_still_being_written(
    dock: Any, layer: Any, viewer: Any, monkeypatch: Any
) -> None:
    write = Project.write_labels
    monkeypatch.setattr(Project, "write_labels", lambda *said: (time.sleep(0.3), write(*said)))  # a slow disk
    layer.paint((20, 20), 2)
    viewer.layers.remove(layer)
    dock.paint.panel.button.click()
    assert viewer.layers["field labels"].data[20, 20] == 2


def test_closing_the_viewer_writes_the_last_stroke(dock: Any, layer: Any, viewer: Any) -> None:
    path = dock.desk.session.project.path
    layer.paint((20, 20), 2)
    painted = np.array(layer.data)
    viewer.close()
    dock.desk.canvas.painting.flush()
    np.testing.assert_array_equal(on_disk(path, "field"), painted)


def test_painted_pixels_are_counted(dock: Any, layer: Any, qtbot: Any) -> None:
    layer.paint((20, 20), 2)
    pixels = int((layer.data == 2).sum())
    qtbot.waitUntil(lambda: dock.paint.table.item(1, 3).text() == f"{pixels:,} px", timeout=2000)


@pytest.mark.parametrize("key", ["1", "2"])
def test_a_key_chooses_its_class(dock: Any, layer: Any, key: str) -> None:
    layer.selected_label = 3 - int(key)
    press(layer, key)
    assert layer.selected_label == int(key)
    assert layer.mode == "paint"
    assert dock.paint.table.currentRow() == int(key) - 1


def test_a_key_chooses_its_class_in_the_class_table_too(dock: Any, layer: Any) -> None:
    QTest.keyClick(dock.paint.table, "2")
    assert layer.selected_label == 2
    QTest.keyClick(dock.paint.table, "0")
    assert layer.mode == "erase"


def test_the_key_of_no_class_changes_nothing(layer: Any) -> None:
    before = layer.selected_label
    press(layer, "7")
    assert layer.selected_label == before


def test_the_key_0_erases(layer: Any) -> None:
    press(layer, "0")
    assert layer.mode == "erase"
    press(layer, "2")
    assert layer.mode == "paint"


def press(layer: Any, key: str) -> None:
    next(call for bound, call in layer.keymap.items() if str(bound) == key)(layer)


def test_a_row_chooses_its_class(dock: Any, layer: Any) -> None:
    dock.paint.table.selectRow(1)
    assert layer.selected_label == 2


def test_an_added_class_is_chosen_and_kept(dock: Any, layer: Any) -> None:
    dock.paint.add.click()
    assert layer.selected_label == 3
    assert [c.name for c in reopened(dock).classes] == ["background", "class 2", "class 3"]


def test_a_renamed_class_is_kept(dock: Any, layer: Any) -> None:
    dock.paint.table.item(1, 1).setText("vessel")
    assert reopened(dock).classes[1].name == "vessel"
    assert list(layer.features["class"]) == ["–", "background", "vessel"]


def test_a_name_is_given_once(dock: Any, layer: Any, said: list[str]) -> None:
    dock.paint.table.item(1, 1).setText("background")
    assert dock.paint.table.item(1, 1).text() == "class 2"
    assert "background" in said[-1]


def test_a_recoloured_class_is_painted_in_its_colour(dock: Any, layer: Any) -> None:
    dock.paint.table.recoloured.emit(2, "#00ff00")
    np.testing.assert_allclose(layer.get_color(2), [0, 1, 0, 1])
    assert reopened(dock).classes[1].colour == "#00ff00"


def test_a_removed_class_is_erased_after_asking(dock: Any, layer: Any, qtbot: Any, monkeypatch: Any) -> None:
    dock.paint.add.click()
    layer.paint((20, 20), 3)
    qtbot.waitUntil(lambda: dock.desk.session.tally.painted(3) > 0, timeout=2000)
    monkeypatch.setattr(dock.paint, "_agreed", lambda text: True)
    dock.paint.remove.click()
    assert not layer.data.any()
    assert not on_disk(dock.desk.session.project.path, "field").any()
    assert len(reopened(dock).classes) == 2


def test_an_undo_does_not_bring_back_a_removed_class(dock: Any, layer: Any, qtbot: Any) -> None:
    dock.paint.add.click()
    layer.paint((20, 20), 3)
    layer.paint((20, 20), 0)  # so that nothing is asked
    qtbot.waitUntil(lambda: not dock.desk.session.tally.painted(3), timeout=2000)
    layer.mode = "polygon"
    dock.paint.remove.click()
    layer.undo()
    dock.desk.canvas.painting.flush()
    assert not on_disk(dock.desk.session.project.path, "field").any()
    assert (layer.mode, layer.editable) == ("polygon", True)


def classes_of(layer: Any) -> list[tuple[int, str, str]]:
    """The classes that a layer says in its metadata, after a way through JSON."""
    said = json.loads(json.dumps(layer.metadata))["napari-sslseg classes"]
    return [(c["value"], c["name"], c["colour"]) for c in said]


def test_a_layer_says_the_classes_in_its_metadata(dock: Any, layer: Any, qtbot: Any, monkeypatch: Any) -> None:
    session = dock.desk.session
    before = classes_of(layer)
    dock.paint.add.click()
    session.change_class(2, name="vessel", colour="#ff0000")
    assert classes_of(layer) == [before[0], (2, "vessel", "#ff0000"), (3, "class 3", session.project.classes[2].colour)]
    monkeypatch.setattr(dock.paint, "_agreed", lambda *_, **__: True)
    layer.paint((20, 20), 3)
    dock.paint.table.merged.emit(3, 2)
    qtbot.waitUntil(lambda: session.running is None and len(session.project.classes) == 2, timeout=5000)
    layer.undo()
    assert classes_of(layer) == [before[0], (2, "vessel", "#ff0000")]
    reopened(dock).add_class("elsewhere")
    session.refresh()
    assert classes_of(layer)[2][:2] == (3, "elsewhere")
    dock.paint.table.removed.emit(3)
    session.change_class(2, name=before[1][1], colour=before[1][2])
    assert classes_of(layer) == before == [(c.value, c.name, c.colour) for c in reopened(dock).classes]
    dock.train.task.setCurrentIndex(1)
    assert classes_of(layer) == []  # numbers of objects are no classes


def test_a_layer_of_a_project_that_is_opened_says_its_classes(dock: Any, layer: Any, viewer: Any, qtbot: Any) -> None:
    project = dock.desk.session.project
    layer.paint((20, 20), 2)
    dock.desk.canvas.painting.flush()
    dock.desk.session.change_class(2, name="vessel")
    ((_, said, _),) = layers.labels_data(project, "field")
    viewer.layers.clear()
    assert said["metadata"]["napari-sslseg classes"][1]["name"] == "vessel"
    dock.desk.open_project(project.path)
    assert classes_of(viewer.layers["field labels"])[1][1] == "vessel"


def test_one_does_not_have_to_agree(dock: Any, layer: Any, qtbot: Any, monkeypatch: Any) -> None:
    dock.paint.add.click()
    layer.paint((20, 20), 3)
    qtbot.waitUntil(lambda: dock.desk.session.tally.painted(3) > 0, timeout=2000)
    monkeypatch.setattr(dock.paint, "_agreed", lambda text: False)
    dock.paint.remove.click()
    assert layer.data.any()
    assert len(reopened(dock).classes) == 3


def test_objects_have_numbers_of_their_own(dock: Any, layer: Any, qtbot: Any) -> None:
    dock.train.task.setCurrentIndex(1)
    assert reopened(dock).task == "instance"
    for at in (10, 30):
        dock.paint.add.click()
        layer.paint((at, 20), layer.selected_label)
        qtbot.waitUntil(lambda: layer.selected_label in dock.desk.session.tally.counts.get("field", ()), timeout=2000)
    assert set(np.unique(layer.data)) == {0, 2, 3}


def test_a_full_disk_is_told_and_the_stroke_is_written_later(
    dock: Any, layer: Any, qtbot: Any, said: list[str], monkeypatch: Any
) -> None:
    from napari_sslseg.errors import StorageError

    project = dock.desk.session.project
    write = project.write_labels

    def full(*_: Any) -> None:
        raise StorageError("The disk is full", "Some space is needed")

    monkeypatch.setattr(project, "write_labels", full)
    layer.paint((20, 20), 2)
    qtbot.waitUntil(lambda: any("disk is full" in text for text in said), timeout=2000)
    monkeypatch.setattr(project, "write_labels", write)
    dock.desk.canvas.painting.flush()
    np.testing.assert_array_equal(on_disk(project.path, "field"), np.asarray(layer.data))


@pytest.fixture
def full(dock: Any, layer: Any, monkeypatch: Any) -> Any:
    """The disk is full, until this is called."""
    from napari_sslseg.errors import StorageError

    project = dock.desk.session.project
    write, filled = project.write_labels, [True]

    def write_labels(*given: Any) -> None:
        if filled:
            raise StorageError("The disk is full", "Some space is needed")
        write(*given)

    monkeypatch.setattr(project, "write_labels", write_labels)
    return filled.clear


@pytest.fixture
def closed(layer: Any, viewer: Any, qtbot: Any, said: list[str], full: Any) -> Any:
    """A layer with a stroke, closed while the disk was full."""
    layer.paint((20, 20), 2)
    viewer.layers.remove(layer)
    qtbot.waitUntil(lambda: any("disk is full" in text for text in said), timeout=3000)
    return layer


def test_strokes_of_a_layer_that_is_closed_while_the_disk_is_full_are_written_later(
    dock: Any, closed: Any, full: Any
) -> None:
    painting = dock.desk.canvas.painting
    full()
    assert painting.flush()
    assert on_disk(dock.desk.session.project.path, "field")[20, 20] == 2


def test_strokes_that_are_not_on_the_full_disk_are_in_the_layer_that_is_opened_next(
    dock: Any, closed: Any, viewer: Any, qtbot: Any, full: Any
) -> None:
    painting = dock.desk.canvas.painting
    dock.paint.panel.button.click()
    again = viewer.layers.selection.active
    assert again is not closed
    assert again.data[20, 20] == 2
    again.paint((30, 20), 2)
    qtbot.wait(300)
    full()
    assert painting.flush()
    np.testing.assert_array_equal(on_disk(dock.desk.session.project.path, "field"), np.asarray(again.data))


def test_a_stroke_that_cannot_be_written_is_told_of_once(
    dock: Any, layer: Any, qtbot: Any, said: list[str], full: Any
) -> None:
    painting, told = dock.desk.canvas.painting, "The disk is full. Some space is needed."
    for at in range(20, 50, 10):  # of one long stroke
        layer.paint((at, 20), 2)
        painting.flush()
        qtbot.wait(10)
    assert said.count(told) == 1
    layer.mode = "paint"
    mouse_press_callbacks(layer, mouse(layer, "mouse_press", (20, 30)))  # the brush comes down again
    mouse_release_callbacks(layer, mouse(layer, "mouse_release", (20, 30)))
    qtbot.waitUntil(lambda: said.count(told) == 2, timeout=2000)


def test_no_other_project_is_opened_while_strokes_are_not_on_the_disk(
    dock: Any, layer: Any, qtbot: Any, said: list[str], full: Any, tmp_path: Path
) -> None:
    project = dock.desk.session.project
    layer.paint((20, 20), 2)
    dock.desk.new_project(tmp_path / "other.sslseg")
    assert dock.desk.session.project is project
    qtbot.waitUntil(lambda: any("disk is full" in text for text in said), timeout=3000)
    assert any("not on the disk yet" in text for text in said)
    full()
    dock.desk.new_project(tmp_path / "other.sslseg")
    assert dock.desk.session.project.name == "other.sslseg"
    assert on_disk(project.path, "field")[20, 20] == 2


def test_strokes_of_a_project_that_is_gone_wait_for_its_folder(
    dock: Any, layer: Any, said: list[str], tmp_path: Path
) -> None:
    path = dock.desk.session.project.path
    path.rename(path.with_name("away"))
    layer.paint((20, 20), 2)
    dock.desk.new_project(tmp_path / "other.sslseg")
    assert "put it back and try again" in said[-1]
    assert dock.desk.session.project.path == path
    path.with_name("away").rename(path)
    dock.desk.new_project(tmp_path / "other.sslseg")
    assert dock.desk.session.project.path != path
    assert on_disk(path, "field")[20, 20] == 2


def reopened(dock: Any) -> Project:
    """The project as another program finds it."""
    return Project.open(dock.desk.session.project.path)
