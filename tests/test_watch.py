"""A pretraining that is watched: what is kept, what is stored, and that watching changes nothing."""

import numpy as np
import pytest
import torch
from scenes import annotated, disks

from napari_sslseg import looks, probe, watch
from napari_sslseg.annotation import Annotation
from napari_sslseg.job import Metric, Notice, Stop, run
from napari_sslseg.pretraining import pretrain
from napari_sslseg.probe import StrokeProbe, StructureProbe
from napari_sslseg.settings import PretrainConfig
from napari_sslseg.structure import Structure

pytestmark = pytest.mark.usefixtures("always_told")  # or a fast machine is done before it is asked to stop
SMALL = {"method": "restore", "encoder": "unet", "start": "random", "crop": 32, "batch": 4}


@pytest.fixture(autouse=True)
def often(monkeypatch):
    """Look every other step."""
    monkeypatch.setattr(watch, "LEAST_STEPS", 2)
    monkeypatch.setattr(looks, "FLAT_STEPS", 4)


@pytest.fixture
def said(monkeypatch):
    """Let the probe on strokes say this, look by look; the last one again and again."""
    values = [0.5]

    def measure(probe, encoders, *more, **how):
        now = values.pop(0) if len(values) > 1 else values[0]
        return [(now, now, now)]

    monkeypatch.setattr(StrokeProbe, "measure", measure)
    return values


def labels(seed=0):
    image, annotation, _ = annotated(96, seed)
    return [(image, annotation)]


def learn(heard=None, steps=6, with_labels=True, **options):
    config = PretrainConfig(steps=steps, **SMALL | {k: options.pop(k) for k in ("early_stop",) if k in options})
    found = labels() if with_labels else []
    return run(pretrain([disks()[0]], config, labels=found, **options), (heard if heard is not None else []).append)


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def values(checkpoint):
    return [(k["step"], k["value"], tuple(k["folds"])) for k in checkpoint.history["probe"]["looks"]]


def notices(heard):
    return " ".join(e.text for e in heard if isinstance(e, Notice))


def test_the_probe_is_shown_from_the_start_on_at_growing_intervals(monkeypatch):
    heard = []
    learn(heard, steps=20)
    assert [e.step for e in heard if isinstance(e, Metric) and e.name == "probe"] == [*range(0, 13, 2), 15, 18, 20]
    assert next(e.step for e in heard if isinstance(e, Metric) and e.name == "rank") == 0


def test_without_labels_the_probe_is_the_structure_and_keeps_the_last_weights():
    learned = learn(with_labels=False)
    said = learned.history["probe"]
    assert (said["kind"], said["kept"]) == ("structure", 6)
    assert all(k["value"] == k["inter"] - k["intra"] + k["dimension"] for k in said["looks"])


def test_too_little_paint_is_not_an_error():
    image, _ = disks()
    nothing = Annotation(np.zeros(image.shape, np.uint16))
    config = PretrainConfig(steps=2, **SMALL)
    assert run(pretrain([image], config, labels=[(image, nothing)])).history["probe"]["kind"] == "structure"


def test_watching_changes_nothing_of_what_is_learnt(monkeypatch):
    watched = learn(with_labels=False)
    monkeypatch.setattr(watch, "LEAST_STEPS", 1000)
    assert same(watched.weights, learn(with_labels=False).weights)
    assert watched.history["losses"] == learn().history["losses"]


def test_the_best_weights_on_strokes_are_kept_and_not_the_last(said):
    said[:] = [0.5, 0.6, 0.9, 0.7]
    heard = []
    learned = learn(heard)
    assert learned.history["probe"]["kept"] == 4
    assert "after step 4 are kept" in notices(heard)
    said[:] = [0.5]
    assert not same(learned.weights, learn().weights)


def test_the_starting_weights_are_kept_where_pretraining_only_harms(said):
    said[:] = [0.7, 0.6]
    heard = []
    learned = learn(heard)
    assert learned.history["probe"]["kept"] == 0
    told = "worse on your strokes (mean IoU 0.600 at most, 0.700 before; 1 is best); the starting weights are kept"
    assert told in notices(heard)
    said[:] = [0.7, 0.6]
    assert same(learned.weights, learn(steps=3).weights)
    assert not same(learned.weights, learn(with_labels=False).weights)


def test_a_stopped_run_resumes_with_its_probe_bit_for_bit():
    whole = learn(steps=8)
    stop, kept = Stop(), []
    config = PretrainConfig(steps=8, **SMALL)
    for event in pretrain([disks()[0]], config, labels=labels(), stop=stop, keep=kept.append):
        if isinstance(event, Metric) and event.name == "loss" and event.step >= 3:
            stop.request()
    assert 3 <= kept[-1].history["steps"] < 8
    resumed = learn(steps=8, resume=kept[-1])
    assert values(resumed) == values(whole)
    assert same(resumed.weights, whole.weights)


@pytest.fixture
def from_another(tmp_path):
    """A start that knows something, so that `recall` keeps its encoder and its head learns."""
    path = tmp_path / "first.safetensors"
    learn(steps=2).save(path)
    return {"steps": 6, "method": "recall", "start": str(path)}


def test_where_only_the_head_learns_the_probe_looks_at_what_the_head_makes_of_it(from_another):
    heard, image = [], disks()[0]
    config = PretrainConfig(**SMALL | from_another)
    learned = run(pretrain([image], config, labels=labels()), heard.append)
    assert learned.config["pretrain"]["encoder_rate"] == 0
    assert learned.history["probe"]["of"] == "head"
    assert [e.step for e in heard if isinstance(e, Metric) and e.name == "probe"] == [0, 2, 4, 6]
    ranks = [k["rank"] for k in learned.history["probe"]["looks"]]
    assert len(set(ranks)) == 4  # of an encoder that stays as it is there would be one


def test_a_run_of_the_head_is_resumed_bit_for_bit_and_one_that_was_looked_at_otherwise_anew(from_another):
    kept, stop, config = [], Stop(), PretrainConfig(**SMALL | from_another)
    whole = run(pretrain([disks()[0]], config, labels=labels()))
    for event in pretrain([disks()[0]], config, labels=labels(), stop=stop, keep=kept.append):
        if isinstance(event, Metric) and event.name == "loss" and event.step >= 3:
            stop.request()
    resumed = run(pretrain([disks()[0]], config, labels=labels(), resume=kept[-1]))
    assert values(resumed) == values(whole)
    assert same(resumed.weights, whole.weights)
    del kept[-1].history["probe"]["of"]  # as it was stored when the encoder was looked at
    anew = run(pretrain([disks()[0]], config, labels=labels(), resume=kept[-1]))
    assert [k["step"] for k in anew.history["probe"]["looks"]][:2] == [0, kept[-1].history["steps"]]
    assert [k["step"] for k in resumed.history["probe"]["looks"]][:2] == [0, 2]


def test_best_weights_from_before_a_stop_are_still_kept_after_it(said):
    said[:] = [0.5, 0.9, 0.6]
    stop, kept = Stop(), []
    config = PretrainConfig(steps=8, **SMALL)
    for event in pretrain([disks()[0]], config, labels=labels(), stop=stop, keep=kept.append):
        if isinstance(event, Metric) and event.name == "loss" and event.step >= 5:
            stop.request()
    resumed = learn(steps=8, resume=kept[-1])
    assert resumed.history["probe"]["kept"] == 2
    assert same(resumed.weights, {k.removeprefix("best."): v for k, v in kept[-1].weights.items() if "best." in k})


def stopped(after, **options):
    """A run that is stopped at a step between two looks, which come after 2, 4, … steps; all that was heard of it."""
    stop, heard = Stop(), []

    def listen(event):
        heard.append(event)
        if isinstance(event, Metric) and event.name == "loss" and event.step >= after:
            stop.request()

    job = pretrain([disks()[0]], PretrainConfig(steps=8, **SMALL), stop=stop, **options)
    return run(job, listen), heard


def test_a_stopped_run_does_not_look_a_last_time_and_keeps_its_newest_weights(said):
    said[:] = [0.5, 0.9]
    learned, heard = stopped(3, labels=labels())
    assert len(values(learned)) == 2
    assert learned.history["probe"]["kept"] == learned.history["steps"] == 3
    assert not notices(heard)
    assert not same(learned.weights, learn(steps=8).weights)


def test_a_stopped_run_keeps_the_weights_that_were_best_if_it_was_worse_at_its_last_look(said):
    said[:] = [0.5, 0.9, 0.6]
    learned, heard = stopped(5, labels=labels())
    assert len(values(learned)) == 3
    assert learned.history["probe"]["kept"] == 2
    assert "step 2" in notices(heard)


def test_a_look_that_a_stop_breaks_off_is_none_and_the_run_goes_on_bit_for_bit(monkeypatch):
    stop, looked, features = Stop(), [], probe._features
    kept, config = [], PretrainConfig(steps=6, **SMALL)

    def look(*what):
        looked.append(what)
        if len(looked) == 8:
            stop.request()
        return features(*what)

    whole = learn(steps=6)
    monkeypatch.setattr(probe, "_features", look)
    first = run(pretrain([disks()[0]], config, labels=labels(), stop=stop, keep=kept.append))
    assert len(looked) == 8
    assert not first.history["finished"]
    assert len(first.history["probe"]["looks"]) == 1
    monkeypatch.setattr(probe, "_features", features)
    second = run(pretrain([disks()[0]], config, labels=labels(), resume=kept[-1]))
    assert values(second) == values(whole)
    assert same(second.weights, whole.weights)


@pytest.mark.parametrize("steps", [0, 2])
def test_a_run_that_is_stopped_in_its_first_look_keeps_what_it_has(monkeypatch, steps):
    kept, stop, config = [], Stop(), PretrainConfig(steps=4, **SMALL)
    if steps:
        learn(steps=steps, keep=kept.append)
    monkeypatch.setattr(probe, "_features", lambda *what: (stop.request(), torch.ones(1))[1])
    resume = kept[-1] if steps else None
    found = run(pretrain([disks()[0]], config, labels=labels(seed=3), stop=stop, resume=resume))
    assert found.history["steps"] == steps
    assert found.history["probe"]["looks"] == []
    assert found.history["probe"]["kept"] == steps
    assert not found.history["finished"]
    assert found.weights


def test_other_strokes_than_before_the_stop_begin_the_probe_anew():
    kept = []
    learn(steps=4, keep=kept.append)
    config = PretrainConfig(steps=6, **SMALL)
    resumed = run(pretrain([disks()[0]], config, labels=labels(seed=3), resume=kept[-1]))
    assert [k["step"] for k in resumed.history["probe"]["looks"]] == [0, 4, 6]
    assert values(resumed)[0][1] != values(learn(steps=2))[0][1]


def test_advice_is_heard_while_the_run_goes_on(said):
    said[:] = [0.5, 0.6]
    heard = []
    assert learn(heard, steps=10).history["steps"] == 10
    assert notices(heard).count("The probe has been flat for 4 steps: you can stop now") == 1


def test_a_run_that_may_stop_early_does_so_on_the_advice(said):
    said[:] = [0.5, 0.6]
    learned = learn(steps=100, early_stop=True)
    assert learned.history["steps"] == 6
    assert learned.history["finished"] is True


def test_a_collapse_is_said_and_the_weights_before_it_are_kept(monkeypatch):
    ranks = [20.0, 5.0, 1.5]

    def measure(probe, encoder, *more):
        return Structure(1.0, 0.5, 0.5, ranks.pop(0) if len(ranks) > 1 else ranks[0])

    monkeypatch.setattr(StructureProbe, "measure", measure)
    heard = []
    learned = learn(heard, with_labels=False)
    assert "The features are collapsing (effective rank 1.5, 20.0 at the start)" in notices(heard)
    assert notices(heard).count("collapsing") == 1
    assert learned.history["probe"]["kept"] == 2


@pytest.mark.parametrize("seconds, cost, wait", [(0, 2, 40), (100, 0.01, 25), (4000, 0.5, 120), (400, 30, 600)])
def test_looks_of_a_run_by_time_take_a_twentieth_of_it_at_most(seconds, cost, wait):
    seen = watch.Watch.__new__(watch.Watch)
    seen.looks, seen._cost, seen._still = [looks.Look(1, seconds, 0.5, 9, 0, 0, 0)], cost, False
    assert 60 * 1000 * seen._next(None, watch.Schedule(1e-3, 1000.0)) - seconds == pytest.approx(wait)
