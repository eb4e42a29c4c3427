"""Masks of a project are refined from the masks as they were predicted, which always come back."""

import os

import numpy as np
import pytest
from scenes import disks

from napari_sslseg import originals, refinement_file
from napari_sslseg.adjusting import Adjuster, adjust_project
from napari_sslseg.errors import ProjectError
from napari_sslseg.gui.refiner import LocalRefiner
from napari_sslseg.image import Image
from napari_sslseg.job import Stop, run
from napari_sslseg.project import Project
from napari_sslseg.settings import Refinement

LEAST = Refinement(least=5)


def predicted(project, id, masks, shares=None, planes=None, values=(1, 2), size=None):
    """Keep masks as a prediction does."""
    kept = originals.Shares(project, values, size, {id: planes} if planes else None)
    if shares is not None:
        for z in planes or range(shares.shape[1]):
            kept.take(id, z, 0, shares[:, z])
    kept.keep(id)
    project.write_prediction(id, masks, planes)


@pytest.fixture
def project(tmp_path):
    """A stack of three planes, each with a speck and a square."""
    project = Project.create(tmp_path / "p")
    project.add_image(Image(np.zeros((1, 3, 16, 16), np.uint8), name="a"))
    masks = np.ones((3, 16, 16), np.uint32)
    masks[:, 2:8, 2:8], masks[:, 12, 12] = 2, 2
    share = np.where(masks == 2, 0.7, 0.2)
    predicted(project, "a", masks, np.stack([1 - share, share]))
    return project


def test_a_plane_is_refined_and_the_disk_is_as_it_was(project):
    before = project.prediction("a")
    found = Adjuster().plane(project, "a", 1, LEAST, 0)
    assert (found.labels == 2).sum() == 36
    assert found.sure
    assert (project.prediction("a") == before).all()


def test_a_plane_is_made_surer_from_what_was_kept_of_the_prediction(project):
    adjuster = Adjuster()
    assert (adjuster.plane(project, "a", 0, Refinement(sure=0.8), 0).labels == 1).all()
    assert (adjuster.plane(project, "a", 0, Refinement(sure=0.1), 0).labels == 2).all()


def test_a_new_prediction_is_read_with_the_next_version(project):
    adjuster = Adjuster()
    adjuster.plane(project, "a", 0, LEAST, 0)
    predicted(project, "a", np.full((3, 16, 16), 2, np.uint32), planes=(0,))
    assert (adjuster.plane(project, "a", 0, LEAST, 1).labels == 2).all()


def test_planes_that_were_never_predicted_are_none(project, tmp_path):
    other = Project.create(tmp_path / "q")
    other.add_image(Image(np.zeros((1, 3, 16, 16), np.uint8), name="a"))
    assert Adjuster().plane(other, "a", 0, LEAST, 0).labels is None
    other.write_prediction("a", np.ones((3, 16, 16), np.uint32), (2,))
    assert Adjuster().plane(other, "a", 0, LEAST, 0) == (None, False, False)


def test_refined_masks_are_used_and_come_back(project):
    before = project.prediction("a")
    assert run(adjust_project(project, LEAST)) == 1
    assert ((project.prediction("a") == 2).sum((1, 2)) == 36).all()
    assert (originals.masks(project, "a") == before).all()
    run(adjust_project(project, Refinement()))
    assert (project.prediction("a") == before).all()
    assert originals.refined(project) == ()


def test_refining_begins_with_what_was_predicted_each_time(project):
    run(adjust_project(project, Refinement(least=50)))  # all is gone
    assert (project.prediction("a") == 1).all()
    run(adjust_project(project, LEAST))
    assert ((project.prediction("a") == 2).sum((1, 2)) == 36).all()


def test_a_new_prediction_has_no_older_original(project):
    run(adjust_project(project, LEAST))
    newer = np.full((3, 16, 16), 2, np.uint32)
    predicted(project, "a", newer, planes=(1,))
    found = originals.masks(project, "a")
    assert (found[1] == 2).all()
    assert (found[0] == 2).sum() == 37
    predicted(project, "a", newer)
    assert (originals.masks(project, "a") == 2).all()


def test_refining_does_not_make_masks_look_newer(project):
    files = [f for f in (project.path / "predictions" / "a.zarr").rglob("*") if f.is_file()]
    for file in files:
        os.utime(file, (1e9, 1e9))
    run(adjust_project(project, LEAST))
    assert {f.stat().st_mtime for f in files} == {1e9}


def test_when_stopped_the_rest_stays_as_predicted(project):
    stop = Stop()
    job = adjust_project(project, LEAST, stop=stop)
    next(job)
    stop.request()
    assert run(job) == 0
    assert originals.refined(project) == ()


def test_objects_of_a_stack_predicted_at_once_go_through_its_planes(tmp_path):
    project = Project.create(tmp_path / "o", "instance")
    project.add_image(Image(np.zeros((1, 4, 16, 16), np.uint8), (2.0, 1.0, 1.0), "µm", "a"))
    masks = np.ones((4, 16, 16), np.uint32)
    masks[:, 2:5, 2:5], masks[1, 10:13, 10:13] = 2, 3  # both 9 pixels in plane 1; 72 and 18 µm³
    shares = np.zeros((3, 4, 16, 16), np.float32)
    shares[0] = 1
    size = {"least": 9.0, "median": 9.0}
    predicted(project, "a", masks, shares, values=(1, 2, 3), size=size)
    assert originals.whole(project, "a")
    found = Adjuster().plane(project, "a", 1, Refinement(least=20), 0).labels
    assert np.unique(found).tolist() == [1, 2]
    run(adjust_project(project, Refinement(least=20)))
    assert np.unique(project.prediction("a")).tolist() == [1, 2]
    predicted(project, "a", masks, shares, planes=(1,), values=(1, 2, 3), size=size)
    assert not originals.whole(project, "a")


@pytest.mark.parametrize("task", ["semantic", "instance"])
def test_objects_of_a_time_series_are_refined_and_measured_frame_by_frame(tmp_path, task):
    project = Project.create(tmp_path / "o", task)
    project.add_image(Image(np.zeros((1, 4, 16, 16), np.uint8), (2.0, 1.0, 1.0), "µm", "a", "CTYX"))
    masks = np.ones((4, 16, 16), np.uint32)
    masks[:, 2:5, 2:5] = 2
    shares = np.stack([masks == 1, masks == 2, np.zeros_like(masks)][: 2 + (task == "instance")]).astype(np.float32)
    size = {"least": 9.0, "median": 9.0} if task == "instance" else None
    predicted(project, "a", masks, shares, values=(1, 2, 3)[: len(shares)], size=size)
    assert not originals.whole(project, "a")
    asked = {"id": "a", "z": None, "version": 0, "stop": Stop()}
    table = run(LocalRefiner().measure(project, settings=Refinement(), **asked))
    assert (table.columns["t"].tolist(), table.columns["area (µm²)"].tolist()) == ([0, 1, 2, 3], [9.0] * 4)
    assert (Adjuster().everything(project, "a", Refinement(least=20), 0, Stop()) == 1).all()
    if task == "semantic":
        numbered = run(LocalRefiner().number(project, settings=Refinement(), **asked)).numbered
        assert numbered[:, 3, 3].tolist() == [1, 2, 3, 4]


def test_probabilities_of_another_kind_of_project_are_not_used(project):
    assert originals.known(project, "a", 0).sure
    project.set_task("instance")
    assert not originals.known(project, "a", 0).sure
    shares, size = np.ones((3, 3, 16, 16), np.float32) / 3, {"least": 9.0, "median": 9.0}
    predicted(project, "a", np.ones((3, 16, 16), np.uint32), shares, values=(1, 2, 3), size=size)
    assert originals.known(project, "a", 0).sure
    project.set_task("semantic")
    assert not originals.known(project, "a", 0).sure


def test_probabilities_that_are_too_many_are_not_kept(project, monkeypatch):
    monkeypatch.setattr(originals, "MOST", 16 * 16 * 2)  # one plane
    masks, shares = np.ones((3, 16, 16), np.uint32), np.full((2, 3, 16, 16), 0.5)
    predicted(project, "a", masks, shares, planes=(1,))
    assert originals.known(project, "a", 1).sure
    predicted(project, "a", masks, shares)
    assert not originals.known(project, "a", 1).sure


def test_what_was_set_is_remembered(project):
    assert refinement_file.read(project) == refinement_file.Settings()
    told = refinement_file.Settings(Refinement(smooth=2), None)
    refinement_file.write(project, told)
    assert refinement_file.read(Project.open(project.path)) == told
    (project.path / "refinement.json").write_text("{")
    assert refinement_file.read(project) == refinement_file.Settings(kept=None)


def test_images_of_one_plane_are_refined_too(tmp_path):
    project = Project.create(tmp_path / "flat")
    image, truth = disks(32)
    project.add_image(image)
    masks = truth.astype(np.uint32)
    masks[0, 0] = 2
    predicted(project, image.name, masks, np.stack([truth == 1, truth == 2])[:, None].astype(np.float32))
    run(adjust_project(project, LEAST))
    assert project.prediction(image.name)[0, 0] == 1
    assert Adjuster().plane(project, image.name, 0, LEAST, 0).labels.shape == (32, 32)


@pytest.mark.parametrize(
    ("shown", "kept", "pending"),
    [
        (LEAST, refinement_file.AS_PREDICTED, True),
        (LEAST, None, True),
        (LEAST, LEAST, False),
        (refinement_file.AS_PREDICTED, LEAST, False),
    ],
)
def test_masks_that_were_adjusted_where_one_looked_are_not_used_as_all_of_them(project, shown, kept, pending):
    refinement_file.write(project, refinement_file.Settings(shown, kept))
    if pending:
        with pytest.raises(ProjectError, match="adjusted only where you looked"):
            refinement_file.check_applied(project)
    else:
        refinement_file.check_applied(project)
