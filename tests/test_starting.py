"""Training leaves a pretrained encoder out where it is worse on the strokes than what it started from."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from scenes import annotated
from skimage.measure import label

from napari_sslseg import model, starting
from napari_sslseg.annotation import Annotation
from napari_sslseg.checkpoint import Checkpoint
from napari_sslseg.finetuning import finetune
from napari_sslseg.job import Metric, Notice, Stop, run
from napari_sslseg.labelled import collect
from napari_sslseg.pretraining import pretrain
from napari_sslseg.probe import StrokeProbe
from napari_sslseg.runtime import Runtime
from napari_sslseg.settings import FinetuneConfig, PretrainConfig, RuntimeConfig
from napari_sslseg.workflow import began_with

pytestmark = pytest.mark.usefixtures("briefly")
SMALL = {"encoder": "unet", "start": "random", "crop": 32, "batch": 4}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Checkpoints: a first one, a second that was pretrained from it, and that one with its encoder spoilt."""
    folder = tmp_path_factory.mktemp("starts")
    image, _, _ = annotated()
    first, second, spoilt = (folder / f"{n}.safetensors" for n in ("first", "second", "spoilt"))
    run(pretrain([image], PretrainConfig(steps=2, **SMALL))).save(first)
    learned = run(pretrain([image], PretrainConfig(steps=2, method="restore", **SMALL | {"start": str(first)})))
    learned.save(second)
    zero = {k: torch.zeros_like(v) if k.startswith("encoder.") else v for k, v in learned.weights.items()}
    replace(learned, weights=zero).save(spoilt)
    return {"first": str(first), "second": str(second), "spoilt": str(spoilt)}


def choose(start, heard=None, past=None, **config):
    image, annotation, _ = annotated()
    machine, stop = Runtime.make(RuntimeConfig(device="cpu")), Stop()
    job = starting.choose(
        start,
        FinetuneConfig(steps=1, **config),
        collect([(image, annotation)], 0.2),
        1,
        machine,
        stop=stop,
        past=past,
    )
    return run(job, (heard if heard is not None else []).append)


def notices(heard):
    return [e.text for e in heard if isinstance(e, Notice)]


def test_an_encoder_that_became_worse_is_left_out_and_that_is_said(files):
    heard = []
    begin = choose(files["spoilt"], heard)
    assert (begin.start, begin.encoder) == (files["first"], "unet")
    assert begin.compared["pretrained"] < begin.compared["before"]
    (text,) = notices(heard)
    assert re.search(r"scores 0\.\d+ and where it started [01]\.\d+ \(mean IoU, 1 is best\), which is worse by", text)
    assert text.endswith("training starts from first.safetensors instead")


def test_an_encoder_that_is_as_good_is_kept(files):
    heard = []
    begin = choose(files["second"], heard)
    assert begin.start == files["second"]
    assert begin.compared["start"] == files["second"]
    assert not notices(heard)


@pytest.mark.parametrize("start", ["imagenet", "random", "first"])
def test_what_did_not_start_from_trained_weights_is_not_compared(files, start):
    begin = choose(files.get(start, start))
    assert begin.start == files.get(start, start)
    assert begin.compared is None


def test_a_start_that_has_gone_is_no_error(files, tmp_path):
    stored, lost = Checkpoint.load(files["spoilt"]), tmp_path / "lost.safetensors"
    config = {**stored.config, "pretrain": {**stored.config["pretrain"], "start": str(tmp_path / "gone.safetensors")}}
    replace(stored, config=config).save(lost)
    assert choose(str(lost)).start == str(lost)


def test_without_time_for_it_nothing_is_compared(files, monkeypatch):
    monkeypatch.setattr(StrokeProbe, "measure", lambda *more, **how: None)
    assert choose(files["spoilt"]).start == files["spoilt"]


def test_a_run_that_goes_on_keeps_its_choice(files):
    past = {"begin": {"pretrained": 0.5, "before": 0.6, "start": files["first"], "encoder": "unet"}}
    assert choose(files["second"], past=past).start == files["first"]
    assert choose(files["spoilt"], past={"begin": None}).start == files["spoilt"]


def test_training_starts_from_the_better_encoder_and_remembers_it(files):
    image, annotation, _ = annotated()
    config = FinetuneConfig(steps=1, rate=1e-7, pixels=0.0, **SMALL)
    trained = run(finetune([(image, annotation)], config, start=files["spoilt"]))
    assert trained.history["begin"]["start"] == files["first"]
    first, found = (c.part("encoder") for c in (Checkpoint.load(files["first"]), trained))
    weights = [k for k in first if k.endswith("weight") and first[k].ndim == 4]
    assert all(torch.allclose(first[k], found[k], atol=1e-5) for k in weights)


def test_recall_keeps_a_trained_encoder_as_it_was_and_its_head_is_trained_on(tmp_path, files):
    image, annotation, _ = annotated()
    heard = []
    config = PretrainConfig(steps=3, **SMALL | {"start": files["first"]})
    learned = run(pretrain([image], config, labels=[(image, annotation)]), heard.append)
    learned.save(tmp_path / "kept.safetensors")
    before = Checkpoint.load(files["first"])
    assert learned.config["pretrain"]["encoder_rate"] == 0
    assert all(torch.equal(v, before.part("encoder")[k]) for k, v in learned.part("encoder").items())
    assert not all(torch.equal(v, before.part("head")[k]) for k, v in learned.part("head").items())
    assert learned.history["probe"]["kept"] == 3
    assert not notices(heard)
    assert {e.name for e in heard if isinstance(e, Metric)} == {"loss", "restoration", "recall", "probe", "rank"}
    machine = Runtime.make(RuntimeConfig(device="cpu"))
    network = model.build(str(tmp_path / "kept.safetensors"), "unet", image.channels, machine, 2, keep_head=False)
    assert all(torch.equal(v, learned.part("head")[k]) for k, v in network.head.state_dict().items())


@pytest.fixture(scope="module")
def heads(files, tmp_path_factory):
    """Checkpoints of which only the head has learnt: from one whose head says nothing, and the other way round."""
    folder, image = tmp_path_factory.mktemp("heads"), annotated()[0]
    first = Checkpoint.load(files["first"])
    blank = {k: torch.zeros_like(v) if k.startswith("head.") else v for k, v in first.weights.items()}
    found = {}
    for name, before, after in (("better", blank, first.weights), ("worse", first.weights, blank)):
        start, learnt = folder / f"before-{name}.safetensors", folder / f"{name}.safetensors"
        replace(first, weights=before).save(start)
        said = {**first.config["pretrain"], "start": str(start), "encoder_rate": 0.0}
        replace(first, weights=after, config={**first.config, "pretrain": said}).save(learnt)
        found |= {name: str(learnt), f"before-{name}": str(start)}
    assert image.channels == first.config["network"]["in_channels"]
    return found


def test_a_head_that_became_better_is_kept(heads):
    heard = []
    begin = choose(heads["better"], heard)
    assert begin.start == heads["better"]
    assert begin.compared["pretrained"] > begin.compared["before"]
    assert not notices(heard)


def test_a_head_that_became_worse_is_left_out_and_that_is_said(heads):
    heard = []
    begin = choose(heads["worse"], heard)
    assert (begin.start, begin.encoder) == (heads["before-worse"], "unet")
    (text,) = notices(heard)
    assert text.startswith("On your strokes what was learnt scores 0.")
    assert "(mean IoU, 1 is best), which is no better; " in text
    assert text.endswith("training starts from before-worse.safetensors instead")


def test_a_head_that_scores_more_by_chance_is_left_out_and_that_is_said(heads, monkeypatch):
    monkeypatch.setattr(StrokeProbe, "measure", lambda *_, **__: [(0.3, 0.9, 0.78), (0.6, 0.5, 0.52)])
    heard = []
    assert choose(heads["better"], heard).start == heads["before-better"]
    (text,) = notices(heard)
    assert "scores 0.660 and where it started 0.540 (mean IoU, 1 is best), which is better by no more than cha" in text


@pytest.mark.parametrize(("origin", "left_out"), [("starter", True), ("imagenet", False)])
def test_of_objects_the_head_is_left_out_where_the_start_knows_outlines(heads, tmp_path, origin, left_out):
    for name in ("before-better", "better"):
        stored, file = Checkpoint.load(heads[name]), str(tmp_path / f"{name}.safetensors")
        said = stored.config["pretrain"]
        if name == "better":
            said = {**said, "start": str(tmp_path / "before-better.safetensors")}
        replace(stored, config={**stored.config, "origin": origin, "pretrain": said}).save(file)
    image, _, truth = annotated()
    objects = label(truth > 1) + 1  # whole objects from 2 on; the ground is 1
    heard, machine = [], Runtime.make(RuntimeConfig(device="cpu"))
    known = collect([(image, Annotation(objects.astype(np.uint16), "instance"))], 0.2)
    better = str(tmp_path / "better.safetensors")
    job = starting.choose(better, FinetuneConfig(steps=1), known, 1, machine, stop=Stop())
    begin = run(job, heard.append)
    told = [
        text for text in notices(heard) if text.startswith("For objects what was learnt is left out: before-better")
    ]
    assert bool(told) == left_out
    assert not left_out or begin.start == str(tmp_path / "before-better.safetensors")
    assert not left_out or not began_with(Checkpoint({}, {}, {"begin": begin.compared}), better)


@pytest.mark.parametrize("unknown", ["make", "measure"])
def test_a_head_is_left_out_where_strokes_cannot_tell(heads, monkeypatch, unknown):
    monkeypatch.setattr(StrokeProbe, unknown, lambda *more, **how: None)
    heard = []
    begin = choose(heads["better"], heard)
    assert begin.start == heads["before-better"]
    assert notices(heard)[0].startswith("Too few strokes tell whether what was learnt is better")
    assert not began_with(Checkpoint({}, {}, {"begin": begin.compared}), heads["better"])
    assert choose(heads["better"], past={"begin": begin.compared}).start == begin.start  # when it is resumed, too


@pytest.mark.parametrize(("start", "asked", "used"), [("first", 0.3, 0.3), ("random", None, 1.0), ("first", 0.0, 0.0)])
def test_the_rate_of_the_encoder_is_what_was_asked_for(files, start, asked, used):
    image, _, _ = annotated()
    config = PretrainConfig(steps=1, encoder_rate=asked, **SMALL | {"start": files.get(start, start)})
    assert run(pretrain([image], config)).config["pretrain"]["encoder_rate"] == used
