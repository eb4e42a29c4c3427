"""Where to paint next: parts that are unsure class by class, and typical ones before there is a model."""

import numpy as np
import pytest
from scenes import disks, paint

from napari_sslseg import next_strokes, suggesting, uncertainty_files
from napari_sslseg.job import Stop, run
from napari_sslseg.overlay import Box
from napari_sslseg.project import Project
from napari_sslseg.regions import Region
from napari_sslseg.settings import FinetuneConfig
from napari_sslseg.suggesting import typical, unsure
from napari_sslseg.uncertainty import Uncertainty
from napari_sslseg.workflow import train_project

SHAPE = (3, 256, 256)


def probabilities(classes, shape, doubt):
    """Two halves, left and right, of the first two classes, equally sure everywhere but where `doubt` says."""
    p = np.full((classes, *shape), 0.02 / (classes - 1), np.float32)
    left = np.arange(shape[1]) < shape[1] // 2
    p[0, :, left], p[1, :, ~left] = 0.98, 0.98
    for at, sure in doubt:
        best = p[(slice(None), *at)].argmax(0)
        rest = (1 - sure) / (classes - 1)
        p[(slice(None), *at)] = np.where(np.arange(classes)[:, None, None] == best, sure, rest)
    return p


def known(doubts, classes=3):
    found = Uncertainty.empty(classes, SHAPE, "001")
    for z in range(SHAPE[0]):
        p = probabilities(classes, SHAPE[1:], doubts.get(z, []))
        for top in range(0, SHAPE[1], 40):  # bands do not fit squares
            found.add(z, top, p[:, top : top + 40])
    return found


def test_entropies_are_added_up_by_the_class_that_is_found():
    p = np.random.default_rng(0).dirichlet((1, 1, 1), (70, 50)).transpose(2, 0, 1).astype(np.float32)
    found = Uncertainty.empty(3, (70, 50))
    found.add(0, 0, p[:, :33])
    found.add(0, 33, p[:, 33:])
    entropy = -(p * np.log(p)).sum(0) / np.log(3)
    for k in range(3):
        of_class = p.argmax(0) == k
        assert found.pixels[k, 0, 1, 1] == of_class[32:64, 32:].sum()
        assert found.entropy[k, 0, 2, 0] == pytest.approx(entropy[64:, :32][of_class[64:, :32]].sum(), rel=1e-4)
    assert found.pixels.sum() == 70 * 50


def test_huge_volumes_have_larger_squares():
    assert Uncertainty.empty(2, (4000, 8000, 8000)).pixels.size <= 2 * 400_000


def test_it_is_stored_and_planes_are_taken_over(project):
    older, newer = known({}), Uncertainty.empty(3, SHAPE, "001")
    newer.add(1, 0, np.full((3, 256, 256), 1 / 3, np.float32))
    uncertainty_files.write(project, "a", older)
    uncertainty_files.write(project, "a", newer)
    both = uncertainty_files.read(project, "a")
    assert both.entropy[:, 1].sum() == pytest.approx(256 * 256, rel=1e-4)
    assert np.array_equal(both.entropy[:, 0], older.entropy[:, 0])
    assert newer.planes() == [1]
    other = Uncertainty.empty(3, SHAPE, "002")
    assert older.updated(other) is other
    assert uncertainty_files.read(project, "b") is None
    (project.path / "predictions" / "a.uncertainty.safetensors").write_bytes(b"nothing")
    assert uncertainty_files.read(project, "a") is None


def test_the_most_unsure_part_of_each_class_comes_first():
    doubts = {0: [(np.s_[64:128, 0:64], 0.5)], 2: [(np.s_[128:192, 192:256], 0.45)]}
    found = unsure({"a": known(doubts)}, {"a": SHAPE}, {}, 2, 64)
    assert {(s.z, s.box, s.kind) for s in found} == {
        (0, Box(64, 0, 128, 64), 0),
        (2, Box(128, 192, 192, 256), 1),
    }


def test_parts_do_not_overlap_and_there_are_no_more_than_there_are():
    found = unsure({"a": known({})}, {"a": SHAPE}, {}, 500, 64)
    assert 2 < len(found) < 500
    for k, one in enumerate(found):
        for other in found[:k]:
            a, b = one.box, other.box
            apart = a.bottom <= b.top or b.bottom <= a.top or a.right <= b.left or b.right <= a.left
            assert apart or abs(one.z - other.z) > 1


def test_what_is_painted_on_is_not_suggested():
    doubts = {0: [(np.s_[64:128, 0:64], 0.5)]}
    painted = np.zeros((3, 8, 8), np.float32)
    painted[0, 2:4, 0:2] = 0.1
    found = unsure({"a": known(doubts)}, {"a": SHAPE}, {"a": painted}, 4, 64)
    assert all(s.z != 0 or s.box.bottom <= 64 or s.box.top >= 128 or s.box.left >= 64 for s in found)


def test_an_image_smaller_than_a_part_is_a_part():
    small = Uncertainty.empty(2, (20, 30))
    small.add(0, 0, np.full((2, 20, 30), 0.5, np.float32))
    assert [s.box for s in unsure({"a": small}, {"a": (20, 30)}, {}, 3, 256)] == [Box(0, 0, 20, 30)]


def test_typical_ones_are_the_middles_of_clusters():
    rng = np.random.default_rng(0)
    middles = np.array([[0, 0], [10, 0], [0, 10]])
    points = np.concatenate([m + 0.5 * rng.normal(size=(n, 2)) for m, n in zip(middles, (60, 30, 10), strict=True)])
    found = typical(points, 3)
    assert [share for _, share in found] == [0.6, 0.3, 0.1]
    for (k, _), middle in zip(found, middles, strict=True):
        assert np.linalg.norm(points[k] - middle) < 0.6
    assert len({k for k, _ in typical(np.zeros((5, 2)), 4)}) == 4
    assert typical(np.ones((1, 2)), 3) == [(0, 1.0)]


@pytest.fixture
def project(tmp_path):
    """A stack and a painted image."""
    project = Project.create(tmp_path / "p")
    project.add_image(disks(128, seed=1, planes=3)[0])
    image, truth = disks(128)
    project.add_image(image)
    project.write_labels("disks0", paint(truth, strokes=8))
    return project


def test_before_training_typical_parts_are_suggested(project):
    found = run(next_strokes.suggest(project, count=3, size=64))
    assert len({(s.image, s.z, s.box) for s in found}) == 3
    assert all(s.kind is None and s.box.bottom - s.box.top == 64 for s in found)
    painted = project.labels("disks0") > 0
    for s in found:
        assert s.image == "disks1" or painted[s.box.top : s.box.bottom, s.box.left : s.box.right].mean() <= 0.02


def test_after_training_planes_are_predicted_once(project, monkeypatch):
    config = FinetuneConfig(encoder="unet", start="random", crop=32, batch=4, steps=3, pixels=0.0)
    run(train_project(project, config))
    project.set_regions("disks1", [Region((0, 3), (0, 64), (0, 128), validation=True)])
    found = run(next_strokes.suggest(project, count=4, size=64))
    assert found
    assert all(s.kind is not None for s in found)
    assert all(s.image != "disks1" or s.box.top >= 64 for s in found)
    monkeypatch.setattr(next_strokes, "predict_project", None)
    assert run(next_strokes.suggest(project, count=4, size=64)) == found


def test_where_masks_were_accepted_one_may_look_once_more_but_not_where_one_painted(project):
    for entry in project.images:
        project.write_labels(entry.id, np.ones(entry.shape, np.uint16))
    assert run(next_strokes.suggest(project, count=2, size=64)) == []
    project.note_accepted("disks0", np.ones((128, 128), np.uint16), (slice(0, 128), slice(0, 128)))
    assert {s.image for s in run(next_strokes.suggest(project, count=2, size=64))} == {"disks0"}


def test_stopped_or_without_images_nothing_is_suggested(project, tmp_path):
    stop = Stop()
    stop.request()
    assert run(next_strokes.suggest(project, stop=stop)) == []
    assert run(next_strokes.suggest(Project.create(tmp_path / "q"))) == []


def test_noise_changes_the_order_of_like_parts_only():
    doubts = {0: [(np.s_[64:128, 0:64], 0.5)]}
    firsts = {unsure({"a": known(doubts)}, {"a": SHAPE}, {}, 1, 64, seed)[0].box for seed in range(8)}
    assert firsts == {Box(64, 0, 128, 64)}
    others = {unsure({"a": known({})}, {"a": SHAPE}, {}, 1, 64, seed)[0].box for seed in range(8)}
    assert len(others) > 1
    assert suggesting.NOISE > 0
