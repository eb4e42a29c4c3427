"""Class probabilities as sure as they deserve, and classes expected as often as they occur."""

import numpy as np
import pytest
import torch

from napari_sslseg.calibration import Calibration, temperature


def chances(count, sharpness, seed=0):
    """Probabilities of two classes, true ones of so many pixels, and what is said of them: their power `sharpness`."""
    rng = np.random.default_rng(seed)
    first = rng.random(count)
    truth = (rng.random(count) > first).astype(np.int64)
    true = np.stack([first, 1 - first], 1)
    said = true**sharpness
    return said / said.sum(1, keepdims=True), truth


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 2.0])
def test_the_temperature_undoes_too_sure_and_too_unsure(sharpness):
    assert temperature(*chances(20000, sharpness), 1000) == pytest.approx(sharpness, rel=0.1)


def test_of_very_many_pixels_some_tell_it():
    said, truth = chances(300000, 2.0)
    assert temperature(said, truth, 1000) == pytest.approx(2.0, rel=0.05)
    rare = np.concatenate([np.flatnonzero(truth == 0), np.flatnonzero(truth == 1)[:30]])  # none of these is left out
    few = np.concatenate([np.flatnonzero(truth == 0)[:20000], np.flatnonzero(truth == 1)[:30]])
    assert temperature(said[rare], truth[rare], 50) == pytest.approx(temperature(said[few], truth[few], 50), rel=0.1)


def test_a_class_of_few_pixels_weighs_as_much_as_one_of_many():
    rare, common = np.array([[0.4, 0.6]]), np.array([[0.9, 0.1]])
    once = temperature(np.concatenate([rare, common]), np.array([1, 0]), 4)
    often = temperature(np.concatenate([rare, *[common] * 50]), np.array([1] + [0] * 50), 4)
    assert once == pytest.approx(often, rel=1e-3)


def test_temperatures_stay_in_bounds():
    sure = np.array([[0.6, 0.4], [0.4, 0.6]])
    assert temperature(sure, np.array([0, 1]), 10**9) == pytest.approx(0.02, rel=0.5)
    assert temperature(sure, np.array([1, 0]), 10**9) == pytest.approx(5.0, rel=0.01)
    assert temperature(sure, np.array([1, 0]), 10**9, most=1.0) == pytest.approx(1.0, rel=0.01)


def test_few_strokes_change_little():
    sure = np.array([[0.7, 0.3], [0.3, 0.7]])
    found = [temperature(sure, np.array([0, 1]), strokes) for strokes in (1, 4, 16, 64)]
    assert found == sorted(found, reverse=True)
    assert found[0] > 0.4 and found[-1] < 0.2


def test_nothing_is_changed_by_default():
    even = torch.rand(2, 3, 4, 4).softmax(1)
    assert Calibration()(even) is even


def test_probabilities_are_weighed_and_sum_to_one():
    even = torch.rand(2, 2, 4, 4).softmax(1)
    found = Calibration(prior=(3.0, 1.0))(even)
    assert torch.allclose(found.sum(1), torch.ones(()))
    assert torch.allclose(found[:, 0] / found[:, 1], 3 * even[:, 0] / even[:, 1], rtol=1e-3)


def test_the_temperature_is_the_power_of_the_odds():
    even = torch.tensor([[0.8, 0.2]])
    found = Calibration(temperature=0.5)(even)[0]
    assert float(found[0] / found[1]) == pytest.approx(16, rel=1e-4)


def test_impossible_classes_do_not_become_nan():
    assert torch.isfinite(Calibration(5.0, (1.0, 0.0))(torch.tensor([[0.0, 1.0]]))).all()


def test_it_comes_back_from_plain_values():
    made = Calibration(0.7, (0.9, 0.1))
    assert Calibration.from_dict(made.to_dict()) == made
    assert Calibration.from_dict(None) == Calibration()
