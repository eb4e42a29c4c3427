"""What one does to classes and with tools in step 3: by menu, by key, by a click inside of an outline."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from napari.utils.interactions import mouse_press_callbacks, mouse_release_callbacks
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QLineEdit
from skimage.draw import circle_perimeter

from .test_jobs import done
from .test_paint import on_disk, reopened


@pytest.fixture
def layer(dock: Any, image: Any, viewer: Any) -> Any:
    dock.paint.panel.button.click()
    return viewer.layers.selection.active


def click(layer: Any, y: int, x: int) -> None:
    """A click on a pixel, as the canvas hands it to the layer."""
    at = layer.data_to_world((y, x))
    said = {"pos": (0, 0), "button": 1, "position": at, "dims_displayed": [0, 1]}
    mouse_press_callbacks(layer, SimpleNamespace(type="mouse_press", **said))
    mouse_release_callbacks(layer, SimpleNamespace(type="mouse_release", **said))


def test_a_class_is_merged_into_another_one_after_asking(dock: Any, layer: Any, qtbot: Any, monkeypatch: Any) -> None:
    project = dock.desk.session.project
    dock.paint.add.click()
    layer.paint((20, 20), 3)
    layer.paint((40, 20), 1)
    qtbot.waitUntil(lambda: dock.desk.session.tally.painted(1) > 0, timeout=2000)
    before, asked = np.array(layer.data), []
    monkeypatch.setattr(dock.paint, "_agreed", lambda text, title: bool(asked.append(text)) or len(asked) > 1)
    into = dock.paint.table.open_menu(2).merge.actions()[1]
    assert into.text() == "class 2"
    into.trigger()
    assert (before == layer.data).all()  # one did not agree
    into.trigger()
    done(dock, qtbot)
    assert f"{(before == 3).sum()} px in one image become “class 2”" in asked[0]
    expected = np.where(before == 3, 2, before)
    np.testing.assert_array_equal(layer.data, expected)
    np.testing.assert_array_equal(on_disk(project.path, "field"), expected)
    assert [c.value for c in reopened(dock).classes] == [1, 2]
    for again in (layer.undo, layer.undo, layer.redo):  # the class does not come back
        again()
        np.testing.assert_array_equal(layer.data, expected)
    assert layer.editable
    assert layer.mode == "paint"
    assert layer.selected_label == 2


def test_the_class_table_is_used_by_keys_alone(dock: Any, layer: Any, qtbot: Any, monkeypatch: Any) -> None:
    table = dock.paint.table
    dock.paint.add.click()
    table.setFocus()
    qtbot.keyClick(table, Qt.Key.Key_Up)
    assert dock.desk.session.chosen == 2
    qtbot.keyClick(table, Qt.Key.Key_F2)
    editor = table.findChild(QLineEdit)
    editor.setText("vessel")
    dock.desk.session.labels_changed.emit("field")  # what is painted meanwhile does not take the name away
    qtbot.keyClick(editor, Qt.Key.Key_Return)
    QApplication.processEvents()
    assert [c.name for c in reopened(dock).classes] == ["background", "vessel", "class 3"]
    layer.mode = "pan_zoom"
    qtbot.keyClick(table, Qt.Key.Key_Return)
    assert (layer.mode, layer.selected_label) == ("paint", 2)
    qtbot.keyClick(table, Qt.Key.Key_Delete)
    assert [c.name for c in reopened(dock).classes] == ["background", "class 3"]
    qtbot.keyClick(table, Qt.Key.Key_Delete)  # two are needed
    assert len(reopened(dock).classes) == 2


def test_a_click_inside_of_an_outline_fills_it_once(dock: Any, layer: Any, qtbot: Any, said: list[str]) -> None:
    path, fill = dock.desk.session.project.path, dock.paint.tools.buttons["fill"]
    layer.selected_label = 2
    layer.data_setitem(circle_perimeter(30, 20, 8), 2)
    outline = np.array(layer.data)
    fill.click()
    assert fill.text() == "click inside"
    click(layer, 32, 20)
    filled = np.array(layer.data)
    assert filled[24:37, 18:22].all()
    assert (filled > 0).sum() < 250
    assert layer.mode == "paint"
    assert not fill.isChecked()
    qtbot.waitUntil(lambda: np.array_equal(on_disk(path, "field"), filled), timeout=2000)
    layer.undo()
    np.testing.assert_array_equal(layer.data, outline)
    layer.data[30, 12] = 0  # a gap
    fill.click()
    click(layer, 32, 20)
    assert (layer.data > 0).sum() == (outline > 0).sum() - 1
    assert "no outline" in said[-1]
