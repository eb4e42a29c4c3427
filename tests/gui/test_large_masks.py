"""Masks that are too large for memory are shown from the disk, and what is done with masks works on those too."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Labels as LabelsLayer

from napari_sslseg import vast
from napari_sslseg.gui import turns
from napari_sslseg.gui.adjusting import Adjusting
from napari_sslseg.gui.dock import Dock
from napari_sslseg.gui.objects import Objects
from napari_sslseg.gui.parts import Parts
from napari_sslseg.io import read_labels
from napari_sslseg.io.on_disk import OnDisk
from napari_sslseg.job import Job
from napari_sslseg.prediction import Prediction
from napari_sslseg.project import Project

from .conftest import FakeJobs
from .test_accept import agree
from .test_adjusting import SPECK, SQUARE, adjusted, still  # noqa: F401 - a fixture is found by its name
from .test_jobs import done, paint_two


class WritingJobs(FakeJobs):
    """Jobs that write their masks, and return none of large ones, as the real ones do: a square and a speck a plane."""

    def predict(self, project: Project, config: Any, **asked: Any) -> Job[list[Prediction]]:
        found = yield from super().predict(project, config, **asked)
        for at, one in enumerate(found):
            if self.value == 2:
                one.labels[...] = 1
                one.labels[(..., *SQUARE)] = one.labels[(..., *SPECK)] = 2
            project.write_prediction(one.image, one.labels, one.planes, one.box)
            if vast.large(one.labels.shape):
                found[at] = replace(one, labels=one.labels[:0], written=True)
        return found


@pytest.fixture
def jobs() -> FakeJobs:
    """Scripted jobs that write."""
    return WritingJobs()


@pytest.fixture
def shown(adjusted: Dock, stack: Any, qtbot: Any, monkeypatch: Any) -> Dock:  # noqa: F811
    """The dock with a stack of 5 × 40 × 32 pixels, which is large; everything is predicted."""
    monkeypatch.setattr(vast, "MOST", 2000)
    monkeypatch.setattr(turns, "TURN", 60.0)
    monkeypatch.setattr(Project, "prediction", None)  # which reads all of it
    adjusted.desk.paint()
    adjusted.result.predict(everything=True)
    settle(adjusted, qtbot)
    return adjusted


def settle(dock: Dock, qtbot: Any) -> None:
    """Wait until nothing is computed any more."""
    done(dock, qtbot)
    qtbot.waitUntil(lambda: not Parts.of(dock.desk).busy, timeout=5000)
    still(dock, qtbot)


def masks_of(dock: Dock) -> LabelsLayer:
    """The layer of masks."""
    layer: LabelsLayer = dock.desk.canvas.viewer.layers["stack masks"]
    return layer


def whole() -> Any:
    """What is predicted."""
    found = np.ones((5, 40, 32), np.uint16)
    found[(..., *SQUARE)] = found[(..., *SPECK)] = 2
    return found


def test_large_masks_are_shown_from_the_disk(shown: Dock, viewer: Any, qtbot: Any) -> None:
    layer = masks_of(shown)
    assert isinstance(layer.data, OnDisk)
    np.testing.assert_array_equal(np.asarray(layer.data), whole())
    assert not layer.editable  # what is painted there would be nowhere
    assert shown.desk.session.predicted == {"stack": 0}
    viewer.dims.set_point(0, 4)  # plane 2
    assert layer.get_value((4, 6.0, 6.0), world=True) == 2
    assert layer.get_value((4, 1.0, 1.0), world=True) == 1


def test_a_plane_that_is_predicted_anew_is_seen(shown: Dock, viewer: Any, jobs: FakeJobs, qtbot: Any) -> None:
    viewer.dims.set_point(0, 4)  # plane 2
    jobs.value = 1
    shown.result.predict(everything=False)
    settle(shown, qtbot)
    assert len(viewer.layers) == 3
    wanted = whole()
    wanted[2] = 1
    np.testing.assert_array_equal(np.asarray(masks_of(shown).data), wanted)
    assert not masks_of(shown).editable


def test_large_masks_come_back_with_their_image(shown: Dock, viewer: Any) -> None:
    viewer.layers.remove("stack masks")
    shown.desk.canvas.show_current()
    np.testing.assert_array_equal(np.asarray(masks_of(shown).data), whole())
    assert not masks_of(shown).editable


def test_images_that_fit_stay_in_memory(adjusted: Dock, stack: Any, qtbot: Any) -> None:  # noqa: F811
    adjusted.desk.paint()
    adjusted.result.predict(everything=True)
    settle(adjusted, qtbot)
    assert isinstance(masks_of(adjusted).data, np.ndarray)
    assert masks_of(adjusted).editable


def test_masks_that_were_written_and_fit_are_read_into_memory(
    adjusted: Dock,  # noqa: F811
    stack: Any,
    viewer: Any,
    qtbot: Any,
) -> None:
    adjusted.desk.paint()
    project = adjusted.desk.session.needed_project
    project.write_prediction("stack", whole())
    adjusted.desk.canvas.show([Prediction("stack", np.zeros(0, np.uint16), written=True)])
    np.testing.assert_array_equal(masks_of(adjusted).data, whole())
    project.write_prediction("stack", whole() + 1)
    adjusted.desk.canvas.show([Prediction("stack", np.zeros(0, np.uint16), written=True)])
    np.testing.assert_array_equal(masks_of(adjusted).data, whole() + 1)


# -------------------------------------------------------------------- accepted
def test_large_masks_become_labels_and_one_undo_takes_them_back(shown: Dock, viewer: Any, qtbot: Any) -> None:
    layer = viewer.layers["stack labels"]
    paint_two(shown, layer, qtbot)
    before = np.array(layer.data)
    shown.result.accept.all.trigger()
    np.testing.assert_array_equal(layer.data, np.where(before > 0, before, whole()))
    agree(shown, layer, qtbot)
    layer.undo()
    np.testing.assert_array_equal(layer.data, before)
    agree(shown, layer, qtbot)


def test_a_plane_and_an_object_of_large_masks_become_labels(shown: Dock, viewer: Any, qtbot: Any) -> None:
    layer = viewer.layers["stack labels"]
    viewer.dims.set_point(0, 4)
    viewer.cursor.position = (4, 12 * 0.5, 12 * 0.5)
    shown.result.accept.accept.here()
    wanted = np.zeros_like(whole())
    wanted[2][SQUARE] = 2
    np.testing.assert_array_equal(layer.data, wanted)
    shown.result.accept.plane.trigger()
    wanted[2] = whole()[2]
    np.testing.assert_array_equal(layer.data, wanted)


def test_objects_of_large_masks_become_labels(shown: Dock, viewer: Any, qtbot: Any) -> None:
    shown.train.task.setCurrentIndex(1)
    layer = viewer.layers["stack labels"]
    shown.result.accept.all.trigger()
    accepted = np.asarray(layer.data)
    assert set(np.unique(accepted)) == {1, 2}
    assert (accepted[(..., *SQUARE)] > 1).all()
    layer.undo()
    assert not np.asarray(layer.data).any()


def test_more_than_memory_holds_is_not_accepted(
    shown: Dock, viewer: Any, qtbot: Any, said: list[str], monkeypatch: Any
) -> None:
    monkeypatch.setattr(vast, "free", lambda: 20_000.0)
    shown.result.accept.all.trigger()
    assert said[-1].startswith("Masks of 0 million pixels of stack would become labels, which take 0.0 GiB of memory.")
    assert "Accept less: What I see, or a plane after the other" in said[-1]
    assert not np.asarray(viewer.layers["stack labels"].data).any()
    shown.result.accept.plane.trigger()
    assert np.asarray(viewer.layers["stack labels"].data).any()


# -------------------------------------------------------------------- refined, measured, exported
def test_the_plane_that_is_looked_at_is_refined_and_the_others_once_it_is_applied(
    shown: Dock, viewer: Any, qtbot: Any
) -> None:
    row, layer, refined = shown.result.adjust, masks_of(shown), whole()
    refined[(..., *SPECK)] = 1
    row.fold.click()
    row.least.slider.setValue(9)
    settle(shown, qtbot)
    z = Adjusting.of(shown.desk).plane()
    wanted = whole()
    wanted[z] = refined[z]
    np.testing.assert_array_equal(np.asarray(layer.data), wanted)
    viewer.dims.set_point(0, 2 * (z + 1))
    settle(shown, qtbot)
    wanted = whole()
    wanted[z + 1] = refined[z + 1]
    np.testing.assert_array_equal(np.asarray(layer.data), wanted)  # and no more than a plane is in memory
    viewer.dims.set_point(0, 2 * z)
    settle(shown, qtbot)
    assert layer.data[z][SPECK] == 1
    row.apply.click()
    settle(shown, qtbot)
    assert layer is masks_of(shown)
    np.testing.assert_array_equal(np.asarray(layer.data), refined)
    project = shown.desk.session.needed_project
    np.testing.assert_array_equal(np.asarray(project.masks("stack")), refined)
    row.reset.click()
    settle(shown, qtbot)
    np.testing.assert_array_equal(np.asarray(layer.data), whole())
    np.testing.assert_array_equal(np.asarray(project.masks("stack")), whole())


def test_planes_that_are_too_large_to_be_refined_are_told(shown: Dock, qtbot: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(vast, "MOST", 1000)
    shown.result.adjust.fold.click()
    shown.result.adjust.least.slider.setValue(9)
    settle(shown, qtbot)
    assert shown.result.adjust.said.text().startswith("All of a plane has to be in memory to be adjusted")
    np.testing.assert_array_equal(np.asarray(masks_of(shown).data), whole())
    shown.result.over.objects.click()
    settle(shown, qtbot)
    assert "too large for its objects to be told apart" in shown.result.over.said.text()


def test_objects_of_a_large_stack_are_measured_in_the_plane_that_is_looked_at(
    shown: Dock, viewer: Any, qtbot: Any, monkeypatch: Any
) -> None:
    objects = Objects.of(shown.desk)
    objects.look(True)
    settle(shown, qtbot)
    assert objects.table is not None
    assert len(objects.table) == 2
    objects.follow(True)
    settle(shown, qtbot)
    assert objects.table is None
    assert objects.said.endswith("Without “all planes” the plane you look at is measured")
    objects.follow(False)
    settle(shown, qtbot)
    assert len(objects.table or ()) == 2
    monkeypatch.setattr(vast, "MOST", 1000)
    viewer.dims.set_point(0, 2)
    viewer.dims.set_point(0, 0)
    settle(shown, qtbot)
    assert objects.said.startswith("This plane is too large to be measured at once")
    objects.look(False)


def test_single_objects_of_the_plane_that_is_looked_at_are_shown(shown: Dock, viewer: Any, qtbot: Any) -> None:
    shown.result.over.objects.click()
    settle(shown, qtbot)
    found = np.asarray(viewer.layers["stack objects"].data)
    assert found.shape == (1, 40, 32)
    assert found.max() == 2


def test_large_masks_are_exported(shown: Dock, tmp_path: Path, qtbot: Any, monkeypatch: Any) -> None:
    export = shown.result.export
    monkeypatch.setattr(export, "_asked", lambda title: tmp_path)
    export.this.trigger()
    settle(shown, qtbot)
    np.testing.assert_array_equal(read_labels(tmp_path / "stack.ome.zarr"), whole())
