"""Scores against scikit-learn-like definitions worked out by hand."""

import numpy as np
import pytest

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
