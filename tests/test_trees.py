"""Trees over a filter bank, told by a small network, and where they take part."""

import numpy as np
import pytest
import torch
from scenes import annotated, objects
from sklearn.ensemble import ExtraTreesClassifier

from napari_sslseg import finetuning, segmenter, trees
from napari_sslseg.annotation import Annotation
from napari_sslseg.finetuning import finetune
from napari_sslseg.job import Stop, run
from napari_sslseg.pretraining import pretrain
from napari_sslseg.runtime import Runtime
from napari_sslseg.settings import FinetuneConfig, PretrainConfig, RuntimeConfig
from napari_sslseg.trees import Trees

SMALL = {"encoder": "unet", "start": "random", "crop": 32, "batch": 4}


def corners(count, seed=0):
    """Points of a square, and whether they lie in one of two opposite quarters: no straight line parts them."""
    points = torch.rand(count, 2, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return points, (points[:, 0] * points[:, 1] > 0).long()


def learnt(known, targets, others, classes=2, stop=None):
    torch.manual_seed(0)
    found = Trees(known.shape[1], classes)
    found.fit(known, targets, others, stop or Stop())
    return found.eval()


def said(found, points):
    with torch.no_grad():
        return found(points.T[None, :, :, None]).softmax(1)[0, :, :, 0].T


def test_it_says_what_trees_say_of_pixels_it_has_not_seen():
    known, targets = corners(300)
    others, _ = corners(3000, seed=1)
    new, truth = corners(1000, seed=2)
    found = said(learnt(known, targets, others), new)
    own = ExtraTreesClassifier(trees.TREES, min_samples_leaf=trees.LEAST, random_state=0).fit(known, targets)
    assert np.abs(found.numpy() - own.predict_proba(new.numpy())).mean() < 0.08
    assert (found.argmax(1) == truth).float().mean() > 0.9


def test_all_classes_weigh_the_same():
    known = torch.cat([torch.randn(500, 3), torch.randn(10, 3)])  # nothing tells them apart
    targets = torch.cat([torch.zeros(500), torch.ones(10)]).long()
    found = said(learnt(known, targets, torch.randn(2000, 3)), torch.randn(1000, 3))
    assert 0.2 < float(found[:, 1].mean()) < 0.6  # of 510 pixels ten are of the second class


def test_a_class_without_a_pixel_is_said_to_be_nowhere():
    known, targets = corners(200)
    found = said(learnt(known, targets * 2, known, classes=3), known)  # none of class 1
    assert float(found[:, 1].max()) < 0.1


def test_it_grows_from_some_of_very_many_pixels(monkeypatch):
    monkeypatch.setattr(trees, "MOST", 50)
    grown = []
    fit = ExtraTreesClassifier.fit
    monkeypatch.setattr(ExtraTreesClassifier, "fit", lambda self, x, y: grown.append(len(x)) or fit(self, x, y))
    learnt(*corners(400), corners(10)[0])
    assert grown == [50]


def test_it_ends_when_asked():
    stop = Stop()
    stop.request()
    found = learnt(*corners(100), corners(10)[0], stop=stop)
    assert torch.isfinite(said(found, corners(10)[0])).all()


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    path = tmp_path_factory.mktemp("start") / "learned.safetensors"
    run(pretrain([annotated()[0]], PretrainConfig(steps=10, **SMALL))).save(path)
    return str(path)


def train(pair, start, **options):
    return run(finetune([pair], FinetuneConfig(steps=2, **SMALL, **options), start=start))


def test_they_take_part_where_few_strokes_are_painted(start, briefly, monkeypatch, tmp_path):
    image, annotation, _ = annotated()
    trained = train((image, annotation), start)
    assert trained.config["pixel_trees"]
    assert trained.config["pixel_share"] == pytest.approx(2 / 3)  # network, classifier and trees a third each
    trained.save(tmp_path / "trained.safetensors")
    again = segmenter.load(type(trained).load(tmp_path / "trained.safetensors"), Runtime.make(RuntimeConfig()))
    with_trees = again.probabilities(torch.randn(1, 1, 32, 32, generator=torch.Generator().manual_seed(0)), False)
    again.pixels.trees = None
    alone = again.probabilities(torch.randn(1, 1, 32, 32, generator=torch.Generator().manual_seed(0)), False)
    assert not torch.allclose(with_trees, alone, atol=0.01)
    assert torch.allclose(with_trees.sum(1), torch.ones(()), atol=1e-5)
    monkeypatch.setattr(finetuning, "FEW_STROKES", 2)
    assert not train((image, annotation), start).config["pixel_trees"]


def test_they_are_left_out_where_much_is_painted_where_one_says_so_and_of_objects(start, briefly, monkeypatch):
    image, annotation, _ = annotated()
    assert not train((image, annotation), start, trees=False).config["pixel_trees"]
    picture, truth = objects()
    assert not train((picture, Annotation(truth, "instance")), start).config["pixel_trees"]
    monkeypatch.setattr(finetuning, "FEW_PIXELS", 10)
    assert not train((image, annotation), start).config["pixel_trees"]
