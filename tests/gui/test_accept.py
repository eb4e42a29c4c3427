"""Masks become labels: as much as was asked for, nothing painted is lost, one undo takes it back, all on disk."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from napari_sslseg import refinement_file
from napari_sslseg.gui import turns
from napari_sslseg.io import read_labels
from napari_sslseg.overlay import Box
from napari_sslseg.project import Project
from napari_sslseg.regions import Region
from napari_sslseg.settings import Refinement

from .test_jobs import done, paint_two
from .test_paint import on_disk

SIGNS = np.ones((64, 48), np.uint16)  # background, and two pieces of class 2
SIGNS[4:14, 4:14] = SIGNS[40:60, 20:40] = 2


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """All is done in one turn, also on a slow machine."""
    monkeypatch.setattr(turns, "TURN", 60.0)


@pytest.fixture
def predicted(dock: Any, image: Any, viewer: Any, qtbot: Any) -> Any:
    """Two strokes, a round, and masks of two pieces."""
    dock.desk.paint()
    paint_two(dock, viewer.layers["field labels"], qtbot)
    dock.train.panel.button.click()
    done(dock, qtbot)
    viewer.layers["field masks"].data[...] = SIGNS
    return dock


def agree(dock: Any, layer: Any, qtbot: Any) -> None:
    """Wait until all is written, and compare the layer with the disk."""
    accept, desk = dock.result.accept.accept, dock.desk
    qtbot.waitUntil(lambda: not accept.turns.busy, timeout=5000)
    assert desk.canvas.painting.flush()
    np.testing.assert_array_equal(on_disk(desk.session.project.path, desk.session.current), np.asarray(layer.data))


def test_accepted_masks_are_labels_and_one_undo_takes_them_back_in_their_turn(
    predicted: Any, viewer: Any, qtbot: Any
) -> None:
    layer = viewer.layers["field labels"]
    before = np.array(layer.data)
    predicted.result.accept.all.trigger()
    after = np.array(layer.data)
    np.testing.assert_array_equal(after, np.where(before > 0, before, SIGNS))
    agree(predicted, layer, qtbot)
    layer.paint((50, 30), 1)
    layer.undo()  # the stroke
    np.testing.assert_array_equal(layer.data, after)
    layer.undo()  # all that was accepted
    np.testing.assert_array_equal(layer.data, before)
    agree(predicted, layer, qtbot)
    layer.redo()
    np.testing.assert_array_equal(layer.data, after)
    agree(predicted, layer, qtbot)
    assert predicted.result.accept.said.text() == "Accepted again"


def test_it_is_known_which_labels_were_accepted_and_which_painted(predicted: Any, viewer: Any, qtbot: Any) -> None:
    def by_hand() -> np.ndarray:
        agree(predicted, layer, qtbot)
        project = Project.open(predicted.desk.session.project.path)
        return project.annotation(predicted.desk.session.current).by_hand().labels

    layer = viewer.layers["field labels"]
    before = np.array(layer.data)
    predicted.result.accept.plane.trigger()
    np.testing.assert_array_equal(by_hand(), before)
    layer.brush_size = 3
    layer.paint((45, 25), 1)  # it is no sign, after all
    np.testing.assert_array_equal(by_hand(), np.where((SIGNS == 2) & (layer.data == 1), 1, before))
    layer.undo()
    np.testing.assert_array_equal(by_hand(), before)
    layer.undo()
    np.testing.assert_array_equal(by_hand(), before)
    layer.redo()
    assert (np.asarray(layer.data) > 0).all()
    np.testing.assert_array_equal(by_hand(), before)


def test_masks_accepted_anew_take_the_place_of_those_before_but_not_of_strokes(
    predicted: Any, viewer: Any, qtbot: Any
) -> None:
    layer, accept = viewer.layers["field labels"], predicted.result.accept
    painted = np.array(layer.data)
    accept.plane.trigger()
    agree(predicted, layer, qtbot)
    once = np.array(layer.data)
    layer.brush_size = 3
    layer.paint((45, 25), 1)
    stroke = np.asarray(layer.data) != once
    corrected = np.array(layer.data)
    better = np.where(np.arange(48) < 30, SIGNS, 3 - SIGNS).astype(np.uint16)  # what another training finds
    viewer.layers["field masks"].data[...] = better
    accept.plane.trigger()
    agree(predicted, layer, qtbot)
    twice = np.array(layer.data)
    np.testing.assert_array_equal(twice, np.where(stroke | (painted > 0), corrected, better))
    changed = int((twice != corrected).sum())
    assert f"Accepted {changed:,} px in place of what was accepted before\n" in accept.said.text()
    hand = np.where(stroke, 1, painted)
    for step, after in (("undo", corrected), ("undo", once), ("undo", painted), ("redo", once), ("redo", corrected)):
        getattr(layer, step)()
        agree(predicted, layer, qtbot)
        np.testing.assert_array_equal(layer.data, after)
    layer.redo()
    agree(predicted, layer, qtbot)
    np.testing.assert_array_equal(layer.data, twice)
    project = Project.open(predicted.desk.session.project.path)
    np.testing.assert_array_equal(project.annotation(predicted.desk.session.current).by_hand().labels, hand)
    accept.plane.trigger()
    assert accept.said.text() == "Nothing to accept: all of it is painted or accepted"


def test_what_is_seen_is_accepted_without_check_boxes(predicted: Any, viewer: Any, monkeypatch: Any) -> None:
    project = predicted.desk.session.project
    project.set_regions("field", [Region((0, 1), (40, 45), (0, 48), validation=True)])
    layer = viewer.layers["field labels"]
    layer.data[...] = 0
    monkeypatch.setattr(predicted.desk.canvas, "view", lambda most: (0, Box(30, 10, 64, 30)))
    predicted.result.accept.seen.trigger()
    wanted = np.zeros_like(SIGNS)
    wanted[30:64, 10:30] = SIGNS[30:64, 10:30]
    wanted[40:45] = 0
    np.testing.assert_array_equal(layer.data, wanted)
    assert "in check boxes" in predicted.result.accept.said.text()


def test_the_object_under_the_mouse_and_the_one_that_is_clicked_are_accepted(predicted: Any, viewer: Any) -> None:
    layer = viewer.layers["field labels"]
    layer.data[...] = 0
    layer.mode = "paint"
    viewer.cursor.position = (3 + 6 * 0.5, 4 + 6 * 0.5)
    {str(key).lower(): call for key, call in layer.keymap.items()}["a"](layer)
    np.testing.assert_array_equal(layer.data == 2, (SIGNS == 2) & (np.arange(64) < 20)[:, None])
    predicted.result.accept.one.trigger()
    assert layer.mode == "pan_zoom"
    event = SimpleNamespace(
        type="mouse_press", button=1, pos=np.array([9, 9]), position=(3 + 50 * 0.5, 4 + 30 * 0.5), handled=False
    )
    click = viewer.mouse_drag_callbacks[-1](viewer, event)
    next(click)
    event.type = "mouse_release"
    assert next(click, None) is None
    assert layer.mode == "paint"
    np.testing.assert_array_equal(layer.data == 2, SIGNS == 2)
    assert not (layer.data == 1).any()


def test_a_stack_is_accepted_plane_by_plane_and_taken_back_the_same_way(
    dock: Any, stack: Any, viewer: Any, qtbot: Any, monkeypatch: Any, said: list[str]
) -> None:
    monkeypatch.setattr(turns, "TURN", 0.0)  # one step a turn
    dock.desk.paint()
    paint_two(dock, viewer.layers["stack labels"], qtbot)
    dock.result.predict(everything=True)
    done(dock, qtbot)
    layer, accept = viewer.layers["stack labels"], dock.result.accept
    before = np.array(layer.data)
    project = dock.desk.session.project
    refinement_file.write(project, refinement_file.Settings(Refinement(least=5)))  # where one looked only
    accept.all.trigger()
    assert not accept.accept.turns.busy
    assert "Press “Apply to everything”" in said[-1]
    refinement_file.write(project, refinement_file.Settings())
    accept.all.trigger()
    assert accept.accept.turns.busy
    assert accept.stop.isVisibleTo(dock)
    agree(dock, layer, qtbot)
    np.testing.assert_array_equal(layer.data, np.where(before > 0, before, 2))
    layer.undo()
    assert np.asarray(layer.data)[4].all()  # not yet
    agree(dock, layer, qtbot)
    np.testing.assert_array_equal(layer.data, before)


def test_objects_get_numbers_of_their_own_and_one_that_is_painted_is_left_out(
    predicted: Any, viewer: Any, qtbot: Any
) -> None:
    predicted.train.task.setCurrentIndex(1)
    viewer.layers["field masks"].data[40:60, 20:40] = 3
    layer = viewer.layers["field labels"]
    layer.data[...] = 0
    layer.data[6:9, 6:9] = 7  # a stroke in the first one
    predicted.result.accept.all.trigger()
    np.testing.assert_array_equal(layer.data == 8, (SIGNS == 2) & (np.arange(64) > 20)[:, None])
    assert set(np.unique(layer.data)) == {0, 1, 7, 8}
    assert predicted.result.accept.said.text().startswith("Accepted 1 object, ")
    assert "1 painted already" in predicted.result.accept.said.text()
    assert predicted.desk.session.tally.next_object("field") == 9


def test_live_masks_are_accepted_where_they_are_shown(
    dock: Any, image: Any, viewer: Any, qtbot: Any, said: list[str]
) -> None:
    dock.desk.paint()
    layer = viewer.layers["field labels"]
    paint_two(dock, layer, qtbot)
    dock.result.accept.seen.trigger()
    assert "There are no masks here yet" in said[-1]
    dock.train.live.click()
    qtbot.waitUntil(lambda: "field live" in viewer.layers and dock.desk.live.wait(0), timeout=2000)
    before = np.array(layer.data)
    dock.result.accept.seen.trigger()
    np.testing.assert_array_equal(layer.data, np.where(before > 0, before, viewer.layers["field live"].data))
    assert np.count_nonzero(layer.data) > np.count_nonzero(before)
    dock.result.accept.all.trigger()
    assert "Live shows masks of what you look at only" in said[-1]
    dock.train.live.click()


def test_masks_are_exported_and_no_file_is_written_over_unasked(
    predicted: Any, tmp_path: Path, qtbot: Any, monkeypatch: Any, said: list[str]
) -> None:
    project, export = predicted.desk.session.project, predicted.result.export
    project.write_prediction("field", SIGNS)
    out = tmp_path / "masks"
    monkeypatch.setattr(export, "_asked", lambda title: out)
    refinement_file.write(project, refinement_file.Settings(Refinement(least=5)))  # others are shown than are kept
    export.this.trigger()
    assert "Press “Apply to everything”" in said[-1]
    assert not out.exists()
    refinement_file.write(project, refinement_file.Settings())
    export.this.trigger()
    done(predicted, qtbot)
    np.testing.assert_array_equal(read_labels(out / "field.tif"), SIGNS)
    assert predicted.result.panel.message.text() == f"1 file in {out}"
    project.write_prediction("field", 3 - SIGNS)
    for answer, wanted in ((False, SIGNS), (True, 3 - SIGNS)):
        monkeypatch.setattr(export, "_agreed", lambda taken, a=answer: a)
        export.all.trigger()
        done(predicted, qtbot)
        np.testing.assert_array_equal(read_labels(out / "field.tif"), wanted)


def test_a_folder_of_other_images_is_predicted(
    predicted: Any, tmp_path: Path, jobs: Any, qtbot: Any, monkeypatch: Any
) -> None:
    export = predicted.result.export
    (tmp_path / "images").mkdir()
    for name in ("a.npy", "b.npy"):
        np.save(tmp_path / "images" / name, SIGNS)
    folders = iter([tmp_path / "images", tmp_path / "masks"])
    monkeypatch.setattr(export, "_asked", lambda title: next(folders))
    export.refresh_menu()
    export.folder.trigger()
    done(predicted, qtbot)
    assert jobs.calls[-1] == ("predict_files", {"paths": [tmp_path / "images"], "out": tmp_path / "masks"})
    assert predicted.result.panel.message.text() == f"2 files in {tmp_path / 'masks'}"
