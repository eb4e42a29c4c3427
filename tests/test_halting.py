"""Halting: a step is done whole or not at all."""

import numpy as np
import pytest
import torch
from scenes import annotated, disks
from torch import nn

from napari_sslseg.finetuning import finetune
from napari_sslseg.halting import Halting, giving_way
from napari_sslseg.job import Stop, run
from napari_sslseg.methods import METHODS
from napari_sslseg.predicting import predict
from napari_sslseg.pretraining import pretrain
from napari_sslseg.settings import FinetuneConfig, PredictConfig, PretrainConfig


class Asked(Stop):
    """A stop that is asked for when it is looked at for the n-th time, and counts."""

    def __init__(self, after):
        super().__init__()
        self.after, self.looks = after, 0

    @property
    def requested(self):
        self.looks += 1
        return self.looks > self.after


def network():
    torch.manual_seed(0)
    inner = nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True))
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), inner, nn.Conv2d(4, 1, 1))


def descend(layers):
    """One step of plain gradient descent; how far it came is in what it leaves."""
    loss = layers(torch.ones(2, 1, 8, 8) * torch.arange(8)).square().mean()
    loss.backward()
    with torch.no_grad():
        for weight in layers.parameters():
            weight -= 0.1 * weight.grad
            weight.grad = None
    return float(loss.detach())


LAYERS = 5  # that have weights


def test_a_step_that_nobody_stops_is_that_of_an_unwatched_network():
    plain, watched = network(), network()
    stop = Asked(1000)
    with Halting(watched, stop) as halting:
        found = [halting.attempt(lambda: descend(watched)) for _ in range(3)]
    assert found == [descend(plain) for _ in range(3)]
    assert all(
        torch.equal(a, b) for a, b in zip(plain.state_dict().values(), watched.state_dict().values(), strict=True)
    )
    assert stop.looks == 3 * 2 * LAYERS


@pytest.mark.parametrize("after", range(2 * LAYERS))
def test_a_step_that_is_broken_off_anywhere_leaves_all_as_it_was(after):
    layers, stop = network(), Asked(after)
    before = {k: v.clone() for k, v in layers.state_dict().items()}
    with Halting(layers, stop) as halting:
        assert halting.attempt(lambda: descend(layers)) is None
    assert stop.looks == after + 1
    assert all(torch.equal(v, before[k]) for k, v in layers.state_dict().items())


def test_after_it_nothing_looks_any_more():
    layers, stop = network(), Asked(0)
    with Halting(layers, stop):
        pass
    descend(layers)
    with Halting(layers, stop, active=False) as halting:
        assert halting.attempt(lambda: descend(layers)) is not None
    assert stop.looks == 0


@pytest.mark.parametrize("method", METHODS.names())
def test_a_pretraining_broken_off_within_a_step_goes_on_as_if_it_had_not_been(method, monkeypatch):
    kind = METHODS.load(method)
    encoder = (*kind.encoders, "unet")[0]
    config = PretrainConfig(steps=4, method=method, encoder=encoder, start="random", crop=32, batch=2)
    images, kept, stop, tried = [disks(channels=kind.least_channels)[0]], [], Stop(), []
    attempt = Halting.attempt
    monkeypatch.setattr(Halting, "attempt", lambda self, step: (tried.append(True), attempt(self, step))[1])

    def gradient(self, gradient):
        if len(tried) == 3:
            stop.request()
        self._look()

    monkeypatch.setattr(Halting, "_gradient", gradient)
    stopped = run(pretrain(images, config, stop=stop, keep=kept.append))
    assert stopped.history["steps"] == kept[-1].history["steps"] == 2
    monkeypatch.undo()
    resumed, whole = run(pretrain(images, config, resume=kept[-1])), run(pretrain(images, config))
    assert np.array_equal(resumed.history["losses"], whole.history["losses"])
    assert all(torch.equal(resumed.weights[k], v) for k, v in whole.weights.items())


def test_work_gives_way_at_every_layer_as_long_as_it_is_to():
    class Held(Stop):
        ways = 0

        def give_way(self):
            self.ways += 1

    stop, layers = Held(), network()
    with giving_way(layers, stop):
        layers(torch.zeros(1, 1, 8, 8))
    assert stop.ways == LAYERS
    layers(torch.zeros(1, 1, 8, 8))
    assert stop.ways == LAYERS


def test_a_prediction_gives_way():
    image, annotation, _ = annotated()
    config = FinetuneConfig(encoder="unet", start="random", crop=32, batch=4, steps=2)
    trained = run(finetune([(image, annotation)], config))

    class Held(Stop):
        ways = 0

        def give_way(self):
            self.ways += 1

    stop = Held()
    run(predict([image], trained, PredictConfig(), stop=stop))
    assert stop.ways > 10
