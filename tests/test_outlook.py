"""How frequent classes are in the images, what predictions make of it, and how right masks are likely to be."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scenes import annotated, disks, objects

from napari_sslseg import outlook, segmenter, validation
from napari_sslseg.annotation import Annotation
from napari_sslseg.calibration import Calibration
from napari_sslseg.finetuning import finetune
from napari_sslseg.job import Metric, Progress, Stop, run
from napari_sslseg.model import Network
from napari_sslseg.outlook import Outlook
from napari_sslseg.runtime import Runtime
from napari_sslseg.segmenter import Segmenter
from napari_sslseg.settings import FinetuneConfig, RuntimeConfig

NONE = Calibration().to_dict()
pytestmark = pytest.mark.usefixtures("briefly")
SMALL = {"crop": 32, "batch": 4, "steps": 4}


class Bright(Segmenter):
    """Takes bright pixels for the second class."""

    def mixed(self, images, flips, *shares):
        bright = (images[:, 0] > 3).float()
        for _ in shares:
            yield torch.stack([1 - bright, bright], 1)


def untrained(kind=Segmenter, calibration=Calibration()):
    torch.manual_seed(0)
    return kind(Network("unet", "fpn", 1, 2), None, 0.0, calibration).eval()


def test_the_share_of_each_class_in_the_images_is_found(monkeypatch):
    monkeypatch.setattr(outlook, "CROPS", 24)
    image, truth = disks(512)
    found = run(outlook.look(untrained(Bright), [image], np.random.default_rng(0), Stop())).frequencies
    assert found == pytest.approx(((truth == 1).mean(), (truth == 2).mean()), abs=0.03)


def test_what_is_expected_already_does_not_change_what_is_found():
    images = [disks(64)[0]]
    found = [
        run(outlook.look(untrained(calibration=c), images, np.random.default_rng(0), Stop())).frequencies
        for c in (Calibration(), Calibration(prior=(0.9, 0.1)))
    ]
    assert found[0] == found[1]


def test_looking_for_frequencies_stops_when_asked():
    stop = Stop()
    job = outlook.look(untrained(), [disks(64)[0]], np.random.default_rng(0), stop)
    assert isinstance(next(job), Progress)
    stop.request()
    assert run(job) is None


def test_a_surer_segmenter_finds_frequencies_further_from_even():
    images = [disks(64)[0]]
    less, more = (
        run(outlook.look(untrained(calibration=c), images, np.random.default_rng(0), Stop())).frequencies
        for c in (Calibration(), Calibration(0.5))
    )
    assert max(more) > max(less)


@pytest.fixture
def impartial(monkeypatch):
    monkeypatch.setattr(validation, "favour", lambda believed: (1.0,) * believed.shape[1])


@pytest.mark.usefixtures("impartial")
def test_a_trained_network_expects_classes_as_it_finds_them():
    image, annotation, _ = annotated()
    half = run(finetune([(image, annotation)], FinetuneConfig(**SMALL, frequencies=0.5)))
    full = run(finetune([(image, annotation)], FinetuneConfig(**SMALL)))
    found = full.config["calibration"]["prior"]
    assert sum(found) == pytest.approx(1)
    assert half.config["calibration"]["prior"] == pytest.approx([v**0.5 for v in found])
    loaded = segmenter.load(full, Runtime.make(RuntimeConfig()))
    assert loaded.calibration.to_dict() == full.config["calibration"]
    assert loaded.calibration.temperature != 1


def test_progress_does_not_fall_while_frequencies_are_found():
    image, annotation, _ = annotated()
    heard = []
    run(finetune([(image, annotation)], FinetuneConfig(**SMALL)), heard.append)
    fractions = [e.fraction for e in heard if isinstance(e, Progress)]
    assert fractions == sorted(fractions)
    assert any(e.text.startswith("finding how frequent") for e in heard if isinstance(e, Progress))


def test_a_run_that_goes_on_after_its_score_keeps_what_was_chosen():
    image, annotation, _ = annotated()
    kept, stop = [], Stop()
    config = FinetuneConfig(**{**SMALL, "steps": 10})
    for event in finetune([(image, annotation)], config, stop=stop, keep=kept.append):
        if isinstance(event, Metric) and event.name == "score":
            stop.request()
    chosen = kept[-1].history["chosen"]
    assert chosen["calibration"]["temperature"] != 1
    whole = run(finetune([(image, annotation)], config))
    resumed = run(finetune([(image, annotation)], config, resume=kept[-1]))
    assert resumed.config["calibration"] == whole.config["calibration"]
    assert resumed.config["calibration"]["temperature"] == chosen["calibration"]["temperature"]
    assert resumed.config["pixel_share"] == whole.config["pixel_share"]


@pytest.mark.usefixtures("impartial")
def test_frequencies_count_without_strokes_kept_apart():
    image, annotation, _ = annotated()
    full, half = (
        run(finetune([(image, annotation)], FinetuneConfig(**SMALL, hold_out=0.0, pixels=0.0, frequencies=f)))
        for f in (1.0, 0.5)
    )
    assert full.config["calibration"]["temperature"] == 1
    assert sum(full.config["calibration"]["prior"]) == pytest.approx(1)
    assert sum(v**2 for v in half.config["calibration"]["prior"]) == pytest.approx(1)


def test_the_class_that_a_training_favours_is_in_its_prior(monkeypatch):
    image, annotation, _ = annotated()
    asked = []
    monkeypatch.setattr(validation, "favour", lambda believed: asked.append(believed) or (0.25, 1.0))
    trained = run(finetune([(image, annotation)], FinetuneConfig(**SMALL)))
    assert all(np.allclose(believed.sum(1), 1) for believed in asked)
    monkeypatch.setattr(validation, "favour", lambda believed: (1.0, 1.0))
    plain = run(finetune([(image, annotation)], FinetuneConfig(**SMALL)))
    first, second = plain.config["calibration"]["prior"]
    assert trained.config["calibration"]["prior"] == pytest.approx([first / 4, second])


def test_a_model_of_an_older_version_is_used_as_it_was():
    image, annotation, _ = annotated()
    trained = run(finetune([(image, annotation)], FinetuneConfig(**SMALL)))
    older = replace(trained, config={k: v for k, v in trained.config.items() if k != "calibration"})
    assert segmenter.load(older, Runtime.make(RuntimeConfig())).calibration == Calibration()


def test_all_classes_are_alike_where_not_wanted_with_untrained_encoders_and_for_objects():
    image, annotation, _ = annotated()
    assert run(finetune([(image, annotation)], FinetuneConfig(**SMALL, frequencies=0.0))).config["calibration"] == NONE
    image, truth = objects()
    assert (
        run(finetune([(image, Annotation(truth, "instance"))], FinetuneConfig(**SMALL))).config["calibration"] == NONE
    )


def even(*rows):
    return torch.tensor(rows, dtype=torch.float32)


def an_outlook(alone, beside, places=None):
    return Outlook((0.5, 0.5), alone, beside, places if places is not None else torch.ones(1, 2))


def test_iou_is_as_probable_and_as_agreed_on_by_hand():
    alone = even([0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.4, 0.6])
    beside = even([0.9, 0.1], [0.3, 0.7], [0.4, 0.6], [0.2, 0.8])
    together = an_outlook(alone, beside)  # 0.9, 0.5, 0.3, 0.3 of the first class
    found = together.iou(Calibration(), Calibration(), 0.5)
    sure = (1.4 / (2 + 2.0 - 1.4), 1.4 / (2 + 2.0 - 1.4))  # masks of two pixels each, and 2.0 expected of each
    alike = (1 / 2, 2 / 3)
    assert found == pytest.approx([(a + b) / 2 for a, b in zip(sure, alike, strict=True)], rel=1e-6)


def test_two_that_are_sure_and_agree_are_expected_to_be_right():
    sure = even([1, 0], [0, 1], [1, 0])
    assert an_outlook(sure, sure).iou(Calibration(), Calibration(), 0.5) == pytest.approx((1, 1), abs=1e-5)
    assert an_outlook(sure, 1 - sure).iou(Calibration(), Calibration(), 0.3)[0] < 0.5


def test_places_and_frequencies_count_in_what_is_to_be_expected():
    doubtful = even([0.5, 0.5], [0.55, 0.45])
    placed = an_outlook(doubtful, doubtful, even([99, 1], [1, 99])).iou(Calibration(), Calibration(), 0.5)
    assert placed == pytest.approx((0.99, 0.99), abs=0.02)
    rare = Calibration(prior=(0.99, 0.01))
    often = an_outlook(doubtful, doubtful).iou(rare, rare, 0.5)
    assert often[0] > 0.98
    assert often[1] == pytest.approx(0.0, abs=0.02)


def test_without_a_pixel_classifier_nothing_is_expected():
    seen = run(outlook.look(untrained(), [disks(64)[0]], np.random.default_rng(0), Stop()))
    assert seen.beside is None
    assert seen.iou(Calibration(), Calibration(), 0.0) is None


def test_a_training_says_what_to_expect_in_whole_images():
    image, annotation, _ = annotated()
    trained = run(finetune([(image, annotation)], FinetuneConfig(**SMALL)))
    expected = trained.history["measures"]["expected_iou"]
    assert list(expected) == ["1", "2"]
    assert all(0 <= v <= 1 for v in expected.values())
    assert "dice" in trained.history["measures"]
    unscored = run(finetune([(image, annotation)], FinetuneConfig(**SMALL, hold_out=0.0)))
    assert "expected_iou" not in unscored.history["measures"]
