"""Scores against scikit-learn-like definitions worked out by hand."""

import tracemalloc

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import multiclass_calibration_error
from torchmetrics.functional.detection import panoptic_quality

from napari_sslseg import metrics


def test_iou_and_dice_of_a_worked_example():
    truth = np.array([[1, 1, 2, 2, 0]])
    prediction = np.array([[1, 2, 2, 2, 2]])
    counts = metrics.count([(prediction, truth)])
    assert counts.iou() == {1: 1 / 2, 2: 2 / 3}
    assert counts.dice() == {1: 2 / 3, 2: 4 / 5}


def test_counts_add_up_over_images():
    a = (np.array([1, 1]), np.array([1, 2]))
    b = (np.array([2, 2]), np.array([2, 2]))
    assert metrics.count([a, b]).iou() == {1: 1 / 2, 2: 2 / 3}


def test_objects_are_matched_whatever_their_numbers():
    truth = np.zeros((20, 20), int)
    truth[2:8, 2:8], truth[10:18, 10:18] = 5, 9
    found = metrics.average_precision([(np.select([truth == 5, truth == 9], [70, 3], 1), truth)])
    assert (found.mean, found.at_50, found.predicted, found.true) == (1.0, 1.0, 2, 2)


def test_half_an_object_counts_below_its_overlap_only():
    truth = np.zeros((10, 10), int)
    truth[:, :] = 2
    prediction = np.where(np.arange(10)[None] < 7, 2, 0) * np.ones((10, 1), int)
    found = metrics.average_precision([(prediction, truth)])
    assert found.mean == pytest.approx(np.mean([t < 0.7 for t in metrics.THRESHOLDS]))


def test_missed_and_invented_objects_lower_the_score():
    truth, prediction = np.zeros((10, 30), int), np.zeros((10, 30), int)
    truth[2:8, 2:8], truth[2:8, 12:18] = 2, 3
    prediction[2:8, 2:8], prediction[2:8, 22:28] = 2, 3
    assert metrics.average_precision([(prediction, truth)]).at_50 == pytest.approx(1 / 3)


def test_nothing_to_find_and_nothing_found_is_perfect():
    assert metrics.average_precision([(np.ones((4, 4), int), np.ones((4, 4), int))]).mean == 1.0


def objects(rng, shape=(60, 60), count=8):
    """Squares at random places, numbered from 2 on."""
    found = np.ones(shape, int)
    for k in range(count):
        y, x = rng.integers(0, [n - 12 for n in shape])
        found[y : y + 12, x : x + 12] = k + 2
    return found


@pytest.mark.parametrize("seed", range(3))
def test_panoptic_quality_is_that_of_torchmetrics(seed):
    rng = np.random.default_rng(seed)
    truth = objects(rng)
    prediction = np.roll(truth, 2, 1)
    prediction[prediction == 3] = 1  # one is missed
    pair = [np.stack([np.where(v > 1, 1, 0), np.where(v > 1, v, 0)], -1)[None] for v in (prediction, truth)]
    theirs = panoptic_quality(*map(torch.from_numpy, pair), things={1}, stuffs={0}, return_per_class=True)
    assert metrics.average_precision([(prediction, truth)]).quality == pytest.approx(float(theirs[0, 0]))


def test_without_objects_on_either_side_the_quality_is_one():
    assert metrics.average_precision([(np.ones((4, 4), int), np.ones((4, 4), int))]).quality == 1


@pytest.mark.parametrize("seed", range(3))
def test_overlaps_are_those_of_every_pair_of_objects(seed):
    rng = np.random.default_rng(seed)
    prediction, truth = objects(rng), objects(rng)
    prediction[:5], truth[:, :5] = 70, 0
    numbers = [np.unique(v[v > 1]) for v in (prediction, truth)]
    dense = np.array(
        [
            [((prediction == p) & (truth == t)).sum() / ((prediction == p) | (truth == t)).sum() for t in numbers[1]]
            for p in numbers[0]
        ]
    )
    found, filled = metrics.overlaps(prediction, truth), np.zeros_like(dense)
    filled[found.rows, found.columns] = found.iou
    assert (found.predicted, found.true) == dense.shape
    np.testing.assert_array_equal(filled, dense)
    assert metrics.found_objects(prediction, truth) == dict(zip(numbers[1], dense.max(0), strict=True))
    precision = metrics.average_precision([(prediction, truth)])
    hits = np.array([(dense > t).sum() for t in metrics.THRESHOLDS])
    assert precision.mean == pytest.approx(np.mean(hits / (sum(dense.shape) - hits)))
    assert precision.quality == pytest.approx(2 * dense[dense > 0.5].sum() / sum(dense.shape))


def test_many_objects_need_no_room_for_every_pair():
    numbers = np.arange(2, 20_002)
    tracemalloc.start()
    found = metrics.average_precision([(numbers, numbers[::-1])])
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (found.mean, found.predicted, found.true) == (1.0, 20_000, 20_000)
    assert most < 100 * 2**20


def test_the_calibration_error_is_that_of_torchmetrics_where_classes_are_equally_frequent():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet((1, 1, 1), 300)
    truth = np.repeat(np.arange(3), 100)
    theirs = multiclass_calibration_error(torch.from_numpy(probabilities), torch.from_numpy(truth), 3)
    assert metrics.calibration_error(probabilities, truth) == pytest.approx(float(theirs), abs=1e-6)


def test_the_calibration_error_does_not_hang_on_how_much_of_a_class_there_is():
    probabilities, truth = np.array([[0.8, 0.2], [0.4, 0.6]]), np.array([0, 1])
    more = [0] * 50 + [1]
    assert metrics.calibration_error(probabilities[more], truth[more]) == pytest.approx(
        metrics.calibration_error(probabilities, truth)
    )


def test_a_distance_of_outlines_is_that_of_every_pixel_to_every_other():
    rng = np.random.default_rng(3)
    truth, prediction = (np.where(objects(rng, count=3) > 1, 2, 1) for _ in range(2))
    edges = []
    for mask in (prediction == 2, truth == 2):
        padded = np.pad(mask, 1, mode="edge")
        inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
        edges.append(np.argwhere(mask & ~inner) * (2.0, 0.5))
    apart = np.linalg.norm(edges[0][:, None] - edges[1][None], axis=2)
    wanted = max(np.percentile(apart.min(1), 95), np.percentile(apart.min(0), 95))
    assert metrics.hausdorff95(prediction, truth, 2, (2.0, 0.5)) == pytest.approx(wanted)


def test_an_outline_is_where_both_sides_are_known():
    truth = np.ones((20, 20), int)
    truth[5:15, 5:15], truth[:, 15:] = 2, 0
    prediction = np.where(truth == 0, 0, truth)
    prediction[:, 14] = 1
    assert metrics.hausdorff95(truth, truth, 2, (1.0, 1.0)) == 0
    assert metrics.hausdorff95(np.ones_like(truth), truth, 2, (1.0, 1.0)) is None
    assert metrics.hausdorff95(prediction, truth, 2, (1.0, 1.0)) > 0


def test_found_objects_are_named_by_the_truth():
    truth, prediction = np.ones((10, 30), int), np.ones((10, 30), int)
    truth[:, :10], truth[:, 20:], prediction[:, 5:10] = 7, 4, 30
    assert metrics.found_objects(prediction, truth) == {4: 0.0, 7: 0.5}
