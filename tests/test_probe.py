"""What the probes say of encoders: with and without labels, on strokes left out, and the same every time."""

import numpy as np
import pytest
import torch
from scenes import annotated, disks, paint
from torch import nn

from napari_sslseg import probe
from napari_sslseg.annotation import Annotation
from napari_sslseg.encoders import Encoder
from napari_sslseg.job import Stop
from napari_sslseg.labelled import collect
from napari_sslseg.looks import worse
from napari_sslseg.probe import StrokeProbe, StructureProbe
from napari_sslseg.volumes import Piece


class Sees(Encoder):
    """An encoder that shows the image itself, or noise that has nothing to do with it, or the same everywhere."""

    channels, strides = (4,), (1,)

    def __init__(self, what):
        super().__init__(1)
        self.what = what
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, image):
        noise = torch.randn(len(image), 4, *image.shape[-2:], generator=torch.Generator().manual_seed(0))
        if self.what == "same":
            return [torch.ones_like(noise)]
        return [torch.cat([image, noise[:, 1:]], 1) if self.what == "image" else noise]


def labelled(strokes=8, **more):
    image, truth = disks(128)
    return collect([(image, Annotation(paint(truth, strokes=strokes), **more))], 0.2)


def make(found):
    return StrokeProbe.make(found, np.random.default_rng(0))


# ---------------------------------------------------------------- on strokes
def test_an_encoder_that_sees_the_classes_scores_higher_than_one_that_does_not():
    good, bad = make(labelled()).measure([Sees("image"), Sees("noise")])
    assert np.mean(good) > 0.8
    assert np.mean(bad) < 0.6
    assert worse(bad, good)
    assert not worse(good, bad)


def test_strokes_are_scored_by_a_classifier_that_did_not_see_them():
    """Features that name the stroke tell its class by heart, and nothing of other strokes."""

    class Names(Sees):
        def forward(self, image):
            y, x = torch.meshgrid(*(torch.arange(n) for n in image.shape[-2:]), indexing="ij")
            return [torch.stack([(7919 * (y // 9) + 104729 * (x // 9) + k * 31) % 97 for k in range(4)])[None].float()]

    (scores,) = make(labelled()).measure([Names("")])
    assert np.mean(scores) < 0.6


def test_the_stroke_probe_says_the_same_every_time():
    assert make(labelled()).measure([Sees("image")]) == make(labelled()).measure([Sees("image")])


def test_strokes_kept_apart_for_the_score_are_not_looked_at():
    found = labelled()
    assert found.apart
    for stroke in found.apart:
        found.targets[stroke.image][stroke.z][tuple(stroke.points.T)] = 9
    assert all((w.targets < 9).all() for w in make(found)._windows)


def test_too_few_strokes_make_no_probe():
    assert make(labelled(strokes=2)) is None


def test_a_class_of_one_stroke_is_learnt_from_but_not_scored():
    image, truth = disks(128)
    painted = paint(truth, strokes=8)
    painted[60:64, 60:64] = 3
    probe = make(collect([(image, Annotation(painted))], 0.2))
    folds = probe._folds(len(probe._windows))
    values = np.array([s.value for s in probe._strokes])
    assert (folds[values == 3] == -1).all()
    assert (folds[values != 3] >= 0).all()


def test_a_stopped_probe_says_nothing():
    stop = Stop()
    stop.request()
    assert make(labelled()).measure([Sees("image")], stop=stop) is None
    assert make(labelled()).measure([Sees("image")], seconds=-1) is None


def test_the_digest_changes_with_the_strokes():
    assert make(labelled()).digest == make(labelled()).digest != make(labelled(strokes=9)).digest


def test_a_small_loss_within_the_spread_is_not_worse():
    assert not worse((0.5, 0.7, 0.6), (0.6, 0.6, 0.61))
    assert worse((0.5, 0.6, 0.5), (0.6, 0.7, 0.61))
    assert not worse((0.5, 0.6), (0.5, 0.6))


def test_ridge_regression_solves_its_normal_equations():
    rng = np.random.default_rng(0)
    known, truth, others = rng.normal(size=(40, 5)), rng.integers(0, 3, 40), rng.normal(size=(9, 5))
    weight = 1 / np.bincount(truth)[truth] / 3
    mean = weight @ known
    spread = np.sqrt(weight @ (known - mean) ** 2)
    x, y, w = (known - mean) / spread, np.eye(3)[truth] - 1 / 3, np.diag(weight)
    solved = np.linalg.inv(x.T @ w @ x + probe.RIDGE * np.eye(5)) @ x.T @ w @ y
    found = probe._classify(*(torch.from_numpy(v) for v in (known, truth, others)))
    assert found.tolist() == ((others - mean) / spread @ solved).argmax(1).tolist()


# ---------------------------------------------------------------- without labels
def test_features_that_are_the_same_everywhere_have_rank_one():
    structure = StructureProbe([annotated()[0]], Piece(32), np.random.default_rng(0))
    same, noise = (structure.measure(Sees(w)) for w in ("same", "noise"))
    assert same.rank == pytest.approx(1, rel=1e-3)
    assert noise.rank > 3.5


def test_the_probe_without_labels_says_the_same_every_time():
    a, b = (StructureProbe([disks()[0]], Piece(32), np.random.default_rng(0)).measure(Sees("image")) for _ in range(2))
    assert a == b


def test_probes_leave_torchs_random_numbers_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    StructureProbe([disks()[0]], Piece(32), np.random.default_rng(0)).measure(Sees("image"))
    make(labelled()).measure([Sees("image")])
    assert torch.equal(torch.rand(3), expected)
