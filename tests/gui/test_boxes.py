"""Validation boxes: drawn, moved and deleted in the window, kept in the project."""

from typing import Any

import numpy as np
import pytest

from napari_sslseg.project import Project
from napari_sslseg.regions import Region


@pytest.fixture
def layer(dock: Any, image: Any, viewer: Any) -> Any:
    dock.paint.panel.button.click()
    dock.paint.guide.box.click()
    return viewer.layers.selection.active


def stored(dock: Any, id: str = "field") -> tuple[Region, ...]:
    return Project.open(dock.desk.session.project.path).regions(id)


def rectangle(y0: float, y1: float, x0: float, x1: float) -> Any:
    return np.array([[y0, x0], [y0, x1], [y1, x1], [y1, x0]], float)


def test_a_box_that_is_drawn_is_in_the_project(dock: Any, layer: Any, image: Any) -> None:
    assert layer.name == "field check boxes"
    assert layer.mode == "add_rectangle"
    np.testing.assert_allclose(layer.scale, image.scale)
    layer.add_rectangles(rectangle(9.6, 30.4, -4, 20.2))  # part of it lies outside
    assert stored(dock) == (Region((0, 1), (10, 31), (0, 21), validation=True),)
    layer.add_rectangles(rectangle(-9, -4, 0, 10))  # all of it does
    assert len(stored(dock)) == 1


def test_a_box_that_is_deleted_is_gone(dock: Any, layer: Any) -> None:
    layer.add_rectangles(rectangle(10, 30, 0, 20))
    layer.selected_data = {0}
    layer.remove_selected()
    assert stored(dock) == ()


def test_boxes_are_said_to_be_labelled_completely(dock: Any, layer: Any) -> None:
    assert not dock.paint.guide.complete.isVisibleTo(dock)
    layer.add_rectangles(rectangle(10, 30, 0, 20))
    assert dock.paint.guide.complete.isVisibleTo(dock)
    dock.paint.guide.complete.click()
    assert stored(dock)[0].complete
    layer.add_rectangles(rectangle(32, 40, 0, 20))
    assert [r.complete for r in stored(dock)] == [True, True]
    dock.paint.guide.complete.click()
    assert not any(r.complete for r in stored(dock))


def test_boxes_come_back_with_the_project(dock: Any, layer: Any, viewer: Any) -> None:
    layer.add_rectangles(rectangle(9.5, 29.5, 4.5, 19.5))
    before = stored(dock)
    viewer.layers.remove(layer)
    dock.paint.guide.box.click()
    again = viewer.layers["field check boxes"]
    np.testing.assert_allclose(again.data[0].min(0), (9.5, 4.5))
    again.add_rectangles(rectangle(40, 50, 4, 19))
    assert stored(dock)[0] == before[0]
    assert len(stored(dock)) == 2


def test_in_a_stack_a_box_is_in_its_plane(dock: Any, stack: Any, viewer: Any) -> None:
    viewer.dims.set_point(0, 3 * 2)
    dock.paint.guide.box.click()
    viewer.layers.selection.active.add_rectangles(np.insert(rectangle(3.5, 19.5, 3.5, 19.5), 0, 3, 1))
    assert stored(dock, "stack") == (Region((3, 4), (4, 20), (4, 20), validation=True),)


def test_a_box_across_planes_is_refused_in_a_sentence(dock: Any, stack: Any, viewer: Any, said: list[str]) -> None:
    dock.paint.guide.box.click()
    across = np.array([[1, 5, 3], [1, 5, 20], [4, 5, 20], [4, 5, 3]], float)  # as it is drawn where Z lies upright
    viewer.layers.selection.active.add_rectangles(across)
    assert any("holds no pixels of a plane" in text for text in said)
    assert stored(dock, "stack") == ()


def test_a_key_lets_one_draw(dock: Any, image: Any, viewer: Any) -> None:
    dock.paint.panel.button.click()
    labels = viewer.layers.selection.active
    {str(key).lower(): call for key, call in labels.keymap.items()}["v"](labels)
    assert viewer.layers.selection.active.name == "field check boxes"
