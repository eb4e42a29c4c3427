"""Masks are changed while one looks, and their objects listed; nothing on the disk changes until it is applied."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog

from napari_sslseg import originals, refinement_file
from napari_sslseg.gui import object_table, result_commands
from napari_sslseg.gui.adjusting import Adjusting
from napari_sslseg.gui.desk import Desk
from napari_sslseg.gui.dock import Dock
from napari_sslseg.gui.objects import Objects
from napari_sslseg.gui.refiner import LocalRefiner
from napari_sslseg.prediction import Prediction

from .conftest import FakeAnswers, FakeJobs, delete_later, our_threads

SPECK, SQUARE = (5, 5), (slice(10, 20), slice(10, 20))


def predict(dock: Dock, *, sure: bool = True) -> Any:
    """Put masks of the current image on the disk and into the viewer: a square and a speck of class 2."""
    session = dock.desk.session
    project, id = session.needed_project, session.current
    assert id is not None
    masks = np.ones(project.entry(id).shape, np.uint32)
    masks[(..., *SPECK)] = masks[(..., *SQUARE)] = 2
    shares = originals.Shares(project, (1, 2), None, None)
    for z, plane in enumerate(masks.reshape(-1, *masks.shape[-2:]) if sure else ()):
        shares.take(id, z, 0, np.stack([plane == 1, plane == 2]) * 0.5 + 0.25)
    shares.keep(id)
    project.write_prediction(id, masks)
    session.predicted[id] = 0
    dock.desk.canvas.show([Prediction(id, masks)])
    return Adjusting.of(dock.desk).masks()


@pytest.fixture
def adjusted(viewer: Any, jobs: FakeJobs, answers: FakeAnswers) -> Dock:
    """The dock in a viewer, where masks are refined in a thread."""
    desk = Desk(viewer, jobs, answering=answers)
    Adjusting(desk, LocalRefiner())
    dock = Dock(viewer, desk)
    viewer.window.add_dock_widget(dock, name="SSL Segmentation")
    return dock


def still(dock: Dock, qtbot: Any) -> None:
    """Wait until nothing is computed any more."""
    adjusting, objects = Adjusting.of(dock.desk), Objects.of(dock.desk)
    qtbot.waitUntil(
        lambda: not (dock.desk.session.running or adjusting.busy or objects.busy or our_threads()), timeout=5000
    )


def test_a_slider_changes_what_is_shown_and_nothing_else(adjusted: Dock, image: Any, viewer: Any, qtbot: Any) -> None:
    adjusted.desk.paint()
    viewer.layers["field labels"].paint(SPECK, 2)
    masks, row = predict(adjusted), adjusted.result.adjust
    project = adjusted.desk.session.needed_project
    row.fold.click()
    row.least.slider.setValue(9)  # 8 pixels of 0.25 µm²
    still(adjusted, qtbot)
    assert row.least.said.text() == "2 µm²"
    assert masks.data[SPECK] == 1
    assert (masks.data[SQUARE] == 2).all()
    assert project.prediction("field")[SPECK] == 2
    assert viewer.layers["field labels"].data[SPECK] == 2
    row.sure.slider.setValue(row.sure.slider.maximum())
    still(adjusted, qtbot)
    assert (masks.data == 1).all()


def test_without_probabilities_it_is_said_how_to_get_them(adjusted: Dock, image: Any, qtbot: Any) -> None:
    adjusted.desk.ready()
    predict(adjusted, sure=False)
    row = adjusted.result.adjust
    assert row.sure.isEnabled()
    row.fold.click()
    still(adjusted, qtbot)
    assert not row.sure.isEnabled()
    assert "Predict once more" in row.sure.toolTip()
    assert row.smooth.isEnabled()


def test_planes_that_one_scrolls_to_are_changed_too(adjusted: Dock, stack: Any, viewer: Any, qtbot: Any) -> None:
    adjusted.desk.ready()
    masks = predict(adjusted)
    viewer.dims.set_point(0, 0)
    adjusted.result.adjust.least.slider.setValue(9)
    still(adjusted, qtbot)
    assert (masks.data[(slice(None), *SPECK)] == 2).tolist() == [False, True, True, True, True]
    viewer.dims.set_point(0, 6)  # plane 3
    still(adjusted, qtbot)
    assert (masks.data[(slice(None), *SPECK)] == 2).tolist() == [False, True, True, False, True]


def test_what_is_applied_is_on_the_disk_until_reset(adjusted: Dock, stack: Any, qtbot: Any) -> None:
    adjusted.desk.ready()
    masks, row, project = predict(adjusted), adjusted.result.adjust, adjusted.desk.session.needed_project
    before = project.prediction("stack")
    row.least.slider.setValue(9)
    still(adjusted, qtbot)
    assert "not yet applied" in row.said.text()
    row.apply.click()
    still(adjusted, qtbot)
    assert (project.prediction("stack")[(slice(None), *SPECK)] == 1).all()
    assert row.said.isHidden()
    Adjusting.of(adjusted.desk).flush()
    assert refinement_file.read(project).shown.least == 8
    row.reset.click()
    still(adjusted, qtbot)
    assert (project.prediction("stack") == before).all()
    assert (masks.data == before).all()
    assert not row.reset.isEnabled()


def test_a_new_prediction_is_shown_as_set(adjusted: Dock, image: Any, qtbot: Any) -> None:
    adjusted.desk.ready()
    masks, session = predict(adjusted), adjusted.desk.session
    adjusted.result.adjust.least.slider.setValue(9)
    still(adjusted, qtbot)
    session.begin("result")
    predict(adjusted)
    assert masks.data[SPECK] == 2
    session.end()
    still(adjusted, qtbot)
    assert masks.data[SPECK] == 1


def test_a_row_and_its_object_are_chosen_together(adjusted: Dock, image: Any, viewer: Any, qtbot: Any) -> None:
    adjusted.desk.ready()
    predict(adjusted)
    adjusted.result.adjust.objects.click()
    still(adjusted, qtbot)
    table, objects = object_table.show(adjusted.desk), Objects.of(adjusted.desk)
    table.view.sortByColumn(2, Qt.SortOrder.DescendingOrder)  # the square is the second object, and the larger one
    table.view.selectRow(0)
    assert objects.chosen == 1
    np.testing.assert_allclose(viewer.layers["object"].data[0].mean(0), (14.5, 14.5))
    np.testing.assert_allclose(viewer.scene.camera.center[-2:], (3 + 7.25, 4 + 7.25))
    still(adjusted, qtbot)
    assert objects.chosen == 1
    (click,) = [c for c in viewer.mouse_drag_callbacks if getattr(c, "__self__", None) is objects]
    list(click(viewer, SimpleNamespace(position=(3 + 2.5, 4 + 2.5), type="mouse_press")))
    assert table.view.currentIndex().row() == 1
    assert viewer.layers.selection.active is viewer.layers["field"]
    viewer.window.remove_dock_widget(table)
    delete_later()
    assert "object" not in viewer.layers


def test_the_table_follows_the_masks_and_is_saved(
    adjusted: Dock, image: Any, viewer: Any, tmp_path: Path, qtbot: Any, monkeypatch: Any
) -> None:
    adjusted.desk.ready()
    predict(adjusted)
    table = object_table.show(adjusted.desk)
    still(adjusted, qtbot)
    assert table.model.rowCount() == 2
    assert table.said.text() == "2 objects in field"
    adjusted.result.adjust.least.slider.setValue(9)
    still(adjusted, qtbot)
    assert [table.model.data(table.model.index(0, c)) for c in range(3)] == ["1", "class 2", "25"]
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "t.csv"), ""))
    for save in (table.save.click, lambda: result_commands.save_objects(viewer)):
        save()
        assert len((tmp_path / "t.csv").read_text(encoding="utf-8").splitlines()) == 2
        (tmp_path / "t.csv").unlink()


def test_frames_of_a_time_series_are_measured_one_by_one(adjusted: Dock, viewer: Any, qtbot: Any) -> None:
    pixels = np.zeros((3, 30, 40), np.uint8)
    pixels[:, 10:20, 10:20] = 9
    viewer.add_image(pixels, name="film", axis_labels=("t", "y", "x"))
    adjusted.desk.ready()
    predict(adjusted)
    table, objects = object_table.show(adjusted.desk), Objects.of(adjusted.desk)
    still(adjusted, qtbot)
    assert (table.all_planes.text(), table.all_planes.isChecked()) == ("all times", False)
    table.all_planes.click()
    still(adjusted, qtbot)
    assert objects.said == "6 objects in film"
    assert objects.table.columns["t"].tolist() == [0, 0, 1, 1, 2, 2]
    assert sorted(objects.table.columns["area (px)"]) == [1.0] * 3 + [100.0] * 3


def test_what_refines_ends_with_the_window_though_the_dock_was_closed_before(
    adjusted: Dock, image: Any, viewer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[bool] = []
    adjusting = Adjusting.of(adjusted.desk)
    viewer.window.remove_dock_widget(adjusted)
    delete_later()
    monkeypatch.setattr(adjusting.refiner, "close", lambda: ended.append(True))
    viewer.close()
    delete_later()
    assert ended
