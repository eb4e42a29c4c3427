"""Sharing in the window: what another window or a command does to the same project is kept, and seen."""

from typing import Any

import numpy as np
import pytest
from qtpy.QtGui import QWindow

from napari_sslseg.errors import StorageError
from napari_sslseg.image import Image
from napari_sslseg.project import Project
from napari_sslseg.regions import Region


@pytest.fixture
def layer(dock: Any, image: Any) -> Any:
    """The layer to paint on."""
    dock.paint.panel.button.click()
    return dock.desk.canvas.painting.layer


@pytest.fixture
def other(dock: Any, layer: Any) -> Project:
    """The project as another window has it open."""
    return Project.open(dock.desk.session.project.path)


def flushed(dock: Any) -> np.ndarray:
    """What is on the disk once all is written."""
    dock.desk.canvas.painting.flush()
    return Project.open(dock.desk.session.project.path).labels("field")


def look(qapp: Any) -> None:
    """Come back to the window, as Qt tells it where there is a window manager."""
    window = QWindow()
    qapp.focusWindowChanged.emit(window)


def stroke(other: Project, value: int, rows: slice) -> None:
    """Paint in the other window."""
    labels = other.labels("field")
    labels[rows] = value
    other.write_labels("field", labels)


def test_a_stroke_of_another_window_stays_within_the_box_of_one_painted_here(
    dock: Any, layer: Any, other: Project
) -> None:
    layer.paint((60, 40), 2)
    flushed(dock)
    stroke(other, 1, slice(20, 22))
    layer.data_setitem((np.array([1, 50]), np.array([1, 45])), 2)  # one box around all
    found = flushed(dock)
    assert (found[20:22] == 1).all()
    assert (found[1, 1], found[50, 45], found[60, 40]) == (2, 2, 2)


def test_what_is_erased_here_is_erased_on_the_disk(dock: Any, layer: Any, other: Project) -> None:
    layer.fill((5, 5), 2)
    flushed(dock)
    layer.data[:32] = 0
    stroke(other, 1, slice(40, 42))
    found = flushed(dock)
    assert not found[:32].any()
    assert (found[40:42] == 1).all() and (found[42:] == 2).all()


def test_a_stroke_of_another_window_is_seen_when_one_looks_here_again(
    dock: Any, layer: Any, other: Project, qapp: Any
) -> None:
    layer.paint((60, 40), 2)
    flushed(dock)
    stroke(other, 1, slice(20, 22))
    assert not (layer.data == 1).any()
    look(qapp)
    np.testing.assert_array_equal(np.asarray(layer.data), flushed(dock))
    assert dock.desk.session.tally.painted(1) == 2 * 48


def test_a_stroke_that_is_not_on_the_disk_yet_is_not_lost_when_one_looks_again(
    dock: Any, layer: Any, other: Project, qapp: Any, qtbot: Any, monkeypatch: Any, said: list[str]
) -> None:
    def full(*_: Any) -> None:
        raise StorageError("The disk is full", "Some space is needed")

    stroke(other, 1, slice(20, 22))
    with monkeypatch.context() as patch:
        patch.setattr(dock.desk.session.project, "write_labels", full)
        layer.paint((60, 40), 2)
        look(qapp)
        qtbot.waitUntil(lambda: any("disk is full" in text for text in said), timeout=2000)
    look(qapp)
    found = flushed(dock)
    assert (found[20:22] == 1).all() and found[60, 40] == 2
    np.testing.assert_array_equal(np.asarray(layer.data), found)


def test_images_and_classes_of_another_window_are_seen_when_one_looks_here_again(
    dock: Any, layer: Any, other: Project, qapp: Any
) -> None:
    other.add_class("vessel")
    other.add_image(Image.from_array(np.zeros((8, 8), np.uint8), name="second"))
    assert dock.paint.table.rowCount() == 2
    look(qapp)
    assert dock.paint.table.rowCount() == 3
    assert dock.images.list.keys() == ["field", "second"]


def test_what_another_window_added_comes_along_with_a_change_here(dock: Any, layer: Any, other: Project) -> None:
    other.add_class("vessel")
    other.add_image(Image.from_array(np.zeros((8, 8), np.uint8), name="second"))
    dock.paint.add.click()
    assert [c.name for c in Project.open(other.path).classes][2:] == ["vessel", "class 4"]
    assert dock.images.list.keys() == ["field", "second"]


def test_an_image_that_another_window_took_out_is_an_open_one_and_keeps_its_strokes(
    dock: Any, layer: Any, other: Project, qapp: Any, viewer: Any
) -> None:
    other.add_image(Image.from_array(np.zeros((8, 8), np.uint8), name="second"))
    look(qapp)
    other.take_out("field")
    layer.paint((60, 40), 2)
    look(qapp)
    assert dock.desk.session.current == "second"
    assert layer not in viewer.layers
    assert "not used yet" in dock.images.list.item(1).text()
    dock.desk.canvas.painting.flush()
    dock.images.list.setCurrentRow(1)
    dock.images.use_selected()
    assert (flushed(dock) == 2).any()


def test_a_class_that_another_window_removed_does_not_come_back_by_an_undo(
    dock: Any, layer: Any, other: Project, qapp: Any
) -> None:
    dock.paint.add.click()
    layer.paint((20, 20), 3)
    layer.paint((20, 20), 0)
    flushed(dock)
    other.refresh()
    other.set_classes(other.classes[:2])
    look(qapp)
    layer.undo()
    assert not flushed(dock).any()


def test_a_removed_class_is_erased_where_another_window_painted_it(
    dock: Any, layer: Any, other: Project, monkeypatch: Any
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(dock.paint, "_agreed", lambda text: not asked.append(text))
    other.add_class("vessel")
    other.add_image(Image.from_array(np.zeros((8, 8), np.uint8), name="second"))
    other.write_labels("second", np.full((8, 8), 3, np.uint16))
    stroke(other, 3, slice(20, 22))
    dock.desk.refresh()
    dock.paint.remove_class(3)
    assert asked == ["160 painted pixels of this class will be erased."]
    assert not flushed(dock).any()
    assert not Project.open(other.path).labels("second").any()


def test_a_box_of_another_window_stays_when_one_is_drawn_here(dock: Any, layer: Any, other: Project, qapp: Any) -> None:
    shapes = dock.desk.boxes.draw()
    box = Region((0, 1), (2, 9), (3, 9), validation=True)
    other.set_regions("field", [box])
    look(qapp)
    shapes.add_rectangles([[20, 20], [20, 30], [30, 30], [30, 20]])
    assert len(Project.open(other.path).regions("field")) == 2


def test_a_project_whose_folder_is_gone_is_not_told_at_each_look(
    dock: Any, layer: Any, other: Project, qapp: Any, said: list[str], tmp_path: Any
) -> None:
    other.path.rename(tmp_path / "elsewhere")
    look(qapp)
    assert not [text for text in said if "gone" in text or "no project.json" in text]
    dock.paint.add.click()
    assert any("is gone" in text for text in said)
    (tmp_path / "elsewhere").rename(other.path)
