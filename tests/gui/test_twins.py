"""What napari makes of a layer of the project (a duplicate, another type, a projection) is no part of the project."""

from typing import Any

import numpy as np
import pytest
from napari.layers import Labels
from napari.layers import _layer_actions as actions

from napari_sslseg.gui import marks
from napari_sslseg.prediction import Prediction


@pytest.fixture
def painted(dock: Any, stack: Any, viewer: Any) -> Any:
    """The desk of a stack with a stroke and masks of one plane."""
    viewer.dims.set_point(0, 4)
    dock.paint.panel.button.click()
    viewer.layers["stack labels"].paint((2, 10, 10), 2)
    dock.desk.canvas.show([masks_of(2)])
    return dock.desk


def masks_of(value: int) -> Prediction:
    return Prediction("stack", np.full((1, 40, 32), value, np.uint16), planes=(2,))


def choose(viewer: Any, name: str) -> Any:
    """Select one layer, as a click in the list does."""
    viewer.layers.selection = {viewer.layers[name]}
    viewer.layers.selection.active = viewer.layers[name]
    return viewer.layers


def on_disk(desk: Any) -> np.ndarray:
    assert desk.canvas.painting.flush()
    return np.asarray(desk.session.project.labels("stack"))


def test_a_copy_of_labels_is_not_bound_once_they_are_closed(painted: Any, viewer: Any, qtbot: Any) -> None:
    actions._duplicate_layer(choose(viewer, "stack labels"))
    copy = viewer.layers["stack labels copy"]
    copy.paint((2, 30, 10), 1)
    viewer.layers.remove("stack labels")
    actions._duplicate_layer(choose(viewer, "stack"))
    qtbot.wait(20)  # layers of the project that nobody is bound to are bound then
    assert not marks.marked(viewer, painted.session.project, "stack", "labels")
    copy.paint((2, 20, 20), 1)
    assert (on_disk(painted) != 1).all()


def test_labels_that_become_an_image_leave_the_project(painted: Any, viewer: Any, qtbot: Any) -> None:
    actions._convert_to_image(choose(viewer, "stack labels"))
    qtbot.wait(20)
    choose(viewer, "stack")
    painted.paint()
    layer = viewer.layers.selection.active
    assert marks.marked(viewer, painted.session.project, "stack", "labels") == [layer]
    layer.paint((2, 20, 20), 1)
    np.testing.assert_array_equal(layer.data, on_disk(painted))


def test_masks_that_become_an_image_make_way_for_new_masks(painted: Any, viewer: Any) -> None:
    actions._convert_to_image(choose(viewer, "stack masks"))
    painted.session.classes_changed.emit()  # masks get the colours of the classes
    painted.canvas.show([masks_of(1)])
    (masks,) = marks.marked(viewer, painted.session.project, "stack", "result")
    assert isinstance(masks, Labels)
    assert (masks.data[2] == 1).all()


def test_a_projection_never_stands_for_its_stack(painted: Any, viewer: Any, qtbot: Any) -> None:
    actions._project(choose(viewer, "stack"))
    viewer.layers.remove("stack")
    qtbot.wait(20)
    painted.canvas.show_current()
    assert painted.canvas.current_plane() == {"stack": (2,)}
    (shown,) = marks.marked(viewer, painted.session.project, "stack", "image")
    assert shown.data.shape == (5, 40, 32)


def test_a_copy_of_an_image_is_an_image_of_its_own(painted: Any, dock: Any, viewer: Any, qtbot: Any) -> None:
    before = on_disk(painted).copy()
    actions._duplicate_layer(choose(viewer, "stack"))
    qtbot.wait(20)
    rows = dock.images.list.keys()
    assert rows[0] == "stack"
    assert len(rows) == 2
    choose(viewer, "stack labels")
    dock.images.list.setCurrentRow(0)
    dock.images.out.click()
    viewer.layers.remove("stack copy")
    dock.images.panel.button.click()
    assert painted.session.project.images[0].channels == 1
    np.testing.assert_array_equal(on_disk(painted), before)


def test_the_folder_of_the_project_opened_again_brings_no_second_layers(painted: Any, viewer: Any, qtbot: Any) -> None:
    before, labels = list(viewer.layers), viewer.layers["stack labels"]
    viewer.open(painted.session.project.path, plugin="napari-sslseg")
    qtbot.waitUntil(lambda: list(viewer.layers) == before, timeout=3000)
    assert viewer.layers.selection.active is labels
    labels.paint((2, 20, 20), 1)
    np.testing.assert_array_equal(labels.data, on_disk(painted))
