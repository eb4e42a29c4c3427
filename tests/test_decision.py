"""Decision: which classes are favoured, so that masks overlap with what is there as well as can be expected."""

import numpy as np
import pytest

from napari_sslseg import decision
from napari_sslseg.decision import best, expected_iou, favour


def random_beliefs(pixels, classes, seed=0, rare=1.0):
    rng = np.random.default_rng(seed)
    weights = np.append(np.ones(classes - 1), rare)
    return rng.dirichlet(np.full(classes, 0.7) * weights, pixels)


def mean_expected(believed, factors):
    return expected_iou(believed, (believed * factors).argmax(1)).mean()


def test_the_expected_iou_by_hand():
    believed = np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7]])
    found = expected_iou(believed, np.array([0, 0, 1]))
    assert found == pytest.approx([1.5 / (2 + 1.8 - 1.5), 0.7 / (1 + 1.2 - 0.7)])


def test_the_expected_iou_is_that_of_drawn_truths_on_average():
    believed = random_beliefs(4000, 3)
    masks, rng = believed.argmax(1), np.random.default_rng(1)
    truths = [(rng.random((4000, 1)) > believed.cumsum(1)).sum(1) for _ in range(40)]
    drawn = [[((masks == k) & (t == k)).sum() / ((masks == k) | (t == k)).sum() for k in range(3)] for t in truths]
    assert expected_iou(believed, masks) == pytest.approx(np.mean(drawn, 0), abs=0.01)


@pytest.mark.parametrize("seed", range(4))
def test_two_classes_are_favoured_as_the_best_of_all_thresholds_would(seed):
    believed = random_beliefs(3000, 2, seed, rare=0.2)
    most = max(mean_expected(believed, (np.exp(-x), 1)) for x in np.linspace(-6, 6, 241))
    assert mean_expected(believed, np.exp(best(believed))) > most - 0.005


@pytest.mark.parametrize("classes", [3, 5])
def test_favouring_is_never_expected_to_harm(classes):
    for seed in range(5):
        believed = random_beliefs(2000, classes, seed, rare=0.1)
        factors = favour(believed)
        assert max(factors) == 1
        assert min(factors) >= np.exp(-decision.MOST / 2) * 0.999
        assert mean_expected(believed, np.exp(best(believed))) >= mean_expected(believed, factors)
        assert mean_expected(believed, factors) >= mean_expected(believed, np.ones(classes)) - 0.002


def test_a_rare_class_that_is_never_the_most_probable_is_found():
    believed = np.full((1000, 2), (0.99, 0.01))
    believed[:50] = 0.52, 0.48
    assert (believed.argmax(1) == 0).all()
    masks = (believed * favour(believed)).argmax(1)
    assert (masks[:50] == 1).all()
    assert (masks[50:] == 0).all()


def test_half_of_what_would_be_best_is_done():
    believed = random_beliefs(3000, 3, 5, rare=0.2)
    logs = best(believed)
    assert np.ptp(logs) > 0.2
    assert np.log(favour(believed)) == pytest.approx((logs - logs.max()) / 2)


def test_where_all_is_sure_nothing_is_favoured():
    believed = np.eye(3)[np.random.default_rng(0).integers(0, 3, 500)]
    assert favour(believed) == (1, 1, 1)


def test_very_many_classes_and_no_pixels_are_left_as_they_are():
    assert favour(random_beliefs(50, decision.CLASSES + 1)) == (1,) * (decision.CLASSES + 1)
    assert favour(np.zeros((0, 3))) == (1, 1, 1)
