"""Masks that are too large for memory: written as they come, read where they are asked for, and otherwise the same."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from scenes import disks, objects, paint

from napari_sslseg import originals, rows, uncertainty_files, vast
from napari_sslseg.adjusting import Adjuster, adjust_project
from napari_sslseg.errors import ImageError
from napari_sslseg.exporting import export_masks
from napari_sslseg.image import Image
from napari_sslseg.io import read_image, read_labels
from napari_sslseg.io.growing import PIECE
from napari_sslseg.job import Notice, Progress, Stop, run
from napari_sslseg.masking import predict_project
from napari_sslseg.overlay import Box
from napari_sslseg.project import Project
from napari_sslseg.rows import Rows
from napari_sslseg.settings import FinetuneConfig, PredictConfig, Refinement
from napari_sslseg.workflow import train_project

pytestmark = pytest.mark.usefixtures("briefly")
TILES = PredictConfig(tile=64, overlap=16)
STACK, PLANE = 5000, 1000  # pixels beyond which a stack of four planes of 64² is large, and each of these


def trained(path, task="semantic", encoder="unet"):
    """A project of a stack of four planes, trained on the first."""
    project = Project.create(path, task)
    if task == "instance":
        image, truth = objects(64)
        image = Image(np.repeat(image.data[:, None], 4, 1), name="stack")
        strokes = truth
    else:
        image, truth = disks(64, planes=4)
        image, strokes = replace(image, name="stack"), paint(truth[0], strokes=10)
    project.add_image(image)
    project.write_labels("stack", strokes[None], (slice(0, 1), slice(0, 64), slice(0, 64)))
    config = {"encoder": encoder, "start": "random", "crop": 32, "batch": 4, "pixels": 0.0}
    run(train_project(project, FinetuneConfig(steps=4, **config)))
    return project


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A trained project and its masks as they are where all fits into memory; not to be trained again."""
    project = trained(tmp_path_factory.mktemp("large") / "p")
    (found,) = run(predict_project(project, TILES))
    return project, found


@pytest.fixture
def project(made):
    """The project with nothing but a refined first plane, to be predicted anew."""
    project, _ = made
    shutil.rmtree(project.path / "sure", ignore_errors=True)
    project.write_prediction("stack", np.ones((4, 64, 64), np.uint16))
    for z in range(4):
        originals.use(project, "stack", z, np.full((64, 64), 7, np.uint32))
    return project


def predicted(project, **said):
    """Predict, and return what comes back, and what is said."""
    heard = []
    return run(predict_project(project, said.pop("config", TILES), **said), heard.append), heard


@pytest.mark.parametrize("most", [STACK, PLANE])
def test_large_masks_are_on_the_disk_as_those_that_fit_into_memory(made, project, monkeypatch, most):
    monkeypatch.setattr(vast, "MOST", most)
    monkeypatch.setattr(rows, "BAND", 16)
    monkeypatch.setattr(vast, "free", lambda: 10_000.0)  # bytes; a plane of masks takes 8192, the stack four times that
    (found,), _ = predicted(project)
    assert (found.written, found.labels.size, found.planes, found.box) == (True, 0, None, None)
    _, whole = made
    np.testing.assert_array_equal(project.prediction("stack"), whole.labels)
    known = uncertainty_files.read(project, "stack")
    np.testing.assert_allclose(known.entropy, whole.uncertainty.entropy, rtol=1e-5)
    assert originals.refined(project) == ()
    assert originals.known(project, "stack", 3).sure


def test_masks_that_fit_come_back_as_they_did(project):
    (found,), _ = predicted(project)
    assert (found.written, found.labels.shape) == (False, (4, 64, 64))


@pytest.mark.usefixtures("always_told")
def test_large_masks_come_to_the_disk_one_after_the_other(project, monkeypatch):
    monkeypatch.setattr(vast, "MOST", STACK)
    remains = predict_project(project, PredictConfig(tile=64, overlap=0))
    while (project.prediction("stack")[0] == 7).any():
        next(remains)
    remains.close()  # as if it were killed here
    assert (project.prediction("stack") == 7).all((1, 2)).tolist() == [False, True, True, True]
    kept = originals.masks(project, "stack")
    np.testing.assert_array_equal(kept[0], project.prediction("stack")[0])
    assert (kept[1:] == 1).all()


@pytest.mark.usefixtures("always_told")
@pytest.mark.parametrize("most, planes", [(STACK, (0, 1)), (PLANE, (0, 1))])
def test_large_masks_that_are_stopped_stay_as_far_as_they_are_done(project, monkeypatch, most, planes):
    monkeypatch.setattr(vast, "MOST", most)
    stop = Stop()

    def listen(event):
        if isinstance(event, Progress) and event.fraction > 0.45:
            stop.request()

    (found,) = run(predict_project(project, PredictConfig(tile=64, overlap=0), stop=stop), listen)
    assert (found.written, found.planes) == (True, planes)
    assert (project.prediction("stack") == 7).all((1, 2)).tolist() == [False, False, True, True]
    assert [originals.known(project, "stack", z).sure for z in range(4)] == [True, True, False, False]


def test_a_part_of_a_large_image_comes_back(project, monkeypatch):
    monkeypatch.setattr(vast, "MOST", STACK)
    part = {"planes": {"stack": (1,)}, "boxes": {"stack": Box(8, 8, 30, 40)}}
    (found,), _ = predicted(project, **part)
    assert (found.written, found.labels.shape) == (False, (1, 22, 32))
    (found,), _ = predicted(project, planes={"stack": (1,)})
    assert (found.written, found.labels.shape) == (False, (1, 64, 64))


def test_many_images_that_are_large_together_need_no_more_memory_than_one(tmp_path, monkeypatch):
    project = trained(tmp_path / "p")
    project.add_image(replace(disks(64, seed=1)[0], name="b"))
    project.add_image(replace(disks(64, seed=2)[0], name="c"))
    ids = ["b", "c"]
    whole = [p.labels for p in predicted(project, ids=ids)[0]]
    monkeypatch.setattr(vast, "MOST", STACK)
    monkeypatch.setattr(vast, "free", lambda: 10_000.0)
    found, _ = predicted(project, ids=ids)
    assert [(p.image, p.written) for p in found] == [("b", True), ("c", True)]
    for id, labels in zip(ids, whole, strict=True):
        np.testing.assert_array_equal(project.prediction(id), labels)


def test_probabilities_of_large_masks_are_held_in_memory_or_refused(project, monkeypatch):
    monkeypatch.setattr(vast, "MOST", STACK)
    asked = PredictConfig(tile=64, overlap=16, probabilities=True)
    (found,), _ = predicted(project, config=asked)
    assert (found.written, found.probabilities.shape) == (False, (2, 4, 64, 64))
    monkeypatch.setattr(vast, "free", lambda: 20_000.0)
    with pytest.raises(ImageError, match="Leave probabilities out, or predict fewer images or planes"):
        predicted(project, config=asked)


def test_objects_of_a_large_stack_are_those_of_its_planes(tmp_path, monkeypatch):
    project = trained(tmp_path / "p", "instance")
    every = [predicted(project, planes={"stack": (z,)})[0][0].labels[0] for z in range(4)]
    monkeypatch.setattr(vast, "MOST", STACK)
    found, heard = predicted(project)
    assert found[0].written
    assert [e.text for e in heard if isinstance(e, Notice)] == [
        "stack is so large that its objects are told apart plane by plane."
    ]
    np.testing.assert_array_equal(project.prediction("stack"), every)
    assert not originals.whole(project, "stack")
    most = max(int(plane.max()) for plane in every)
    assert project.greatest("stack") == most
    (part,), _ = predicted(project, planes={"stack": (2,)}, boxes={"stack": Box(0, 0, 40, 40)})
    assert set(np.unique(part.labels)) <= {1, *range(project.greatest("stack", (2,), Box(0, 0, 40, 40)) + 1, 10**6)}


def test_objects_of_several_stacks_that_fit_go_through_their_planes(tmp_path, monkeypatch):
    project = trained(tmp_path / "p", "instance")
    (whole,), _ = predicted(project)
    project.add_image(replace(objects(64, seed=4)[0], name="b"))
    monkeypatch.setattr(vast, "MOST", 4 * 64 * 64)
    found, heard = predicted(project)
    assert [p.written for p in found] == [True, True]
    assert not [e for e in heard if isinstance(e, Notice)]
    np.testing.assert_array_equal(project.prediction("stack"), whole.labels)
    assert originals.whole(project, "stack")


# ---------------------------------------------------------------- rows
@pytest.mark.parametrize(
    "most, whole, given", [(10**6, False, [(0, 50)]), (10, False, [(0, 32), (32, 48), (48, 50)]), (10, True, [(0, 50)])]
)
def test_rows_are_handed_on_as_soon_as_there_are_enough(monkeypatch, most, whole, given):
    monkeypatch.setattr(vast, "MOST", most)
    monkeypatch.setattr(rows, "BAND", 16)
    plane, got, parts = np.random.default_rng(0).random((2, 50, 5)), {3: [], 4: []}, {3: [], 4: []}

    def give(z, box, found):
        assert (box.left, box.right) == (0, 5)
        got[z].append((box.top, box.bottom))
        parts[z].append(found)

    held, ends = Rows((50, 5), give, whole=whole), []
    for top, end in ((0, 10), (10, 35), (35, 49), (49, 50)):
        ends.append([held.add(z, top, plane[:, top:end]) for z in (3, 4)])
    assert ends == [[False] * 2] * 3 + [[True] * 2]
    for z in (3, 4):
        assert got[z] == given
        np.testing.assert_array_equal(np.concatenate(parts[z], 1), plane)


# ---------------------------------------------------------------- read where one looks
@pytest.fixture
def kept(tmp_path):
    """Masks of a stack on the disk."""
    project = Project.create(tmp_path / "k")
    project.add_image(Image(np.zeros((1, 3, 20, 30), np.uint8), name="a", spacing=(2.0, 0.5, 0.5), unit="µm"))
    project.write_prediction("a", np.arange(1800, dtype=np.uint32).reshape(3, 20, 30) % 5 + 1)
    return project


KEYS = [np.s_[1], np.s_[1, 2, 3], np.s_[:, 4], np.s_[0:2, 3:7, ::2], np.s_[..., 5], np.s_[-2, :4], np.s_[1:, 0, 0]]


@pytest.mark.parametrize("key", KEYS)
def test_masks_on_the_disk_are_read_like_an_array(kept, key):
    masks, whole = kept.masks("a"), kept.prediction("a")
    assert (masks.shape, masks.ndim, len(masks), masks.size, masks.dtype) == ((3, 20, 30), 3, 3, 1800, np.uint16)
    np.testing.assert_array_equal(masks[key], whole[key])
    whole[1] = 9
    masks.show(1, np.full((20, 30), 9))
    np.testing.assert_array_equal(masks[key], whole[key])
    np.testing.assert_array_equal(np.asarray(masks), whole)
    masks.show(0, None)
    np.testing.assert_array_equal(np.asarray(masks), kept.prediction("a"))


def test_masks_of_a_plane_are_read_like_an_array(tmp_path):
    project = Project.create(tmp_path / "k", "instance")
    project.add_image(Image(np.zeros((1, 20, 30), np.uint8), name="a"))
    assert project.masks("a") is None
    project.write_prediction("a", np.full((20, 30), 70000, np.uint32))
    masks = project.masks("a")
    assert masks[3, 4] == 70000
    masks.show(0, np.eye(20, 30))
    np.testing.assert_array_equal(masks[:5, 2:4], np.eye(20, 30)[:5, 2:4])


# ---------------------------------------------------------------- exported
def test_large_masks_are_exported_piece_by_piece(kept, tmp_path, monkeypatch):
    whole = kept.prediction("a")
    monkeypatch.setattr(vast, "MOST", 1000)
    monkeypatch.setattr(Project, "prediction", None)  # reads all of them
    monkeypatch.setitem(PIECE, "Z", 1)
    (file,) = run(export_masks(kept, tmp_path / "out"))
    assert file == tmp_path / "out" / "a.ome.zarr"
    np.testing.assert_array_equal(read_labels(file), whole)
    assert (read_image(file).spacing, read_image(file).unit) == ((2.0, 0.5, 0.5), "µm")


def test_an_export_of_large_masks_goes_on_where_it_was_stopped_unless_they_changed(kept, tmp_path, monkeypatch):
    monkeypatch.setattr(vast, "MOST", 1000)
    monkeypatch.setitem(PIECE, "Z", 1)
    stop, out = Stop(), tmp_path / "out"
    job = export_masks(kept, out, stop=stop)
    heard = [next(job) for _ in range(3)]
    stop.request()
    heard += run_on(job)
    assert [e.text for e in heard if isinstance(e, Notice)] == ["a: 2 of 3 pieces are written; the same again goes on."]
    assert not (out / "a.ome.zarr").exists()
    again = []
    run(export_masks(kept, out), again.append)
    assert [e.text for e in again if isinstance(e, Progress)][1:] == ["a, piece 3 of 3"]
    stop = Stop()
    job = export_masks(kept, out, replace=True, stop=stop)
    next(job), next(job), stop.request()
    run_on(job)
    originals.use(kept, "a", 0, np.full((20, 30), 3, np.uint32))
    (file,) = run(export_masks(kept, out, replace=True))
    np.testing.assert_array_equal(read_labels(file), kept.prediction("a"))


def run_on(job):
    """What a job still says."""
    return list(job)


def test_planes_of_large_masks_that_were_not_predicted_are_told(kept, tmp_path, monkeypatch):
    kept.write_prediction("a", np.zeros((1, 20, 30), np.uint32), (1,))
    monkeypatch.setattr(vast, "MOST", 1000)
    heard = []
    run(export_masks(kept, tmp_path / "out"), heard.append)
    assert Notice("a: planes without masks are 0") in heard


# ---------------------------------------------------------------- refined
def test_large_masks_are_refined_plane_by_plane(kept, monkeypatch):
    before = np.ones((3, 20, 30), np.uint32)
    before[:, 2:8, 2:8], before[:, 12, 12] = 2, 2  # a speck
    kept.write_prediction("a", before)
    monkeypatch.setattr(vast, "MOST", 1000)
    run(adjust_project(kept, Refinement(least=5)))
    after = kept.prediction("a")
    assert (after != before).any()
    np.testing.assert_array_equal(after[1], Adjuster().plane(kept, "a", 1, Refinement(least=5), 0).labels)
    stop = Stop()
    job = adjust_project(kept, Refinement(), stop=stop)
    monkeypatch.setattr("napari_sslseg.job.Rhythm.due", lambda self: True)
    while (kept.prediction("a")[0] != before[0]).any():
        next(job)
    stop.request()
    run_on(job)
    assert (kept.prediction("a")[1:] == after[1:]).all()
    np.testing.assert_array_equal(originals.masks(kept, "a"), before)
    run(adjust_project(kept, Refinement()))
    np.testing.assert_array_equal(kept.prediction("a"), before)
    assert originals.refined(kept) == ()


def test_planes_that_are_too_large_are_left_as_they_are(kept, monkeypatch):
    before, heard = kept.prediction("a"), []
    monkeypatch.setattr(vast, "MOST", 100)
    run(adjust_project(kept, Refinement(least=5)), heard.append)
    assert [e.text for e in heard if isinstance(e, Notice)] == [
        "a is left as it is: a plane of it is too large to be adjusted: that needs all of the plane in memory."
    ]
    np.testing.assert_array_equal(kept.prediction("a"), before)
    assert Adjuster().plane(kept, "a", 0, Refinement(least=5), 0) == (None, False, True)
