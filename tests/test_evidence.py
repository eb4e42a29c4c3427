"""Intervals of scores, and differences between two ways of training, against the definition drawn stroke by stroke."""

import numpy as np
import pytest

from napari_sslseg import metrics
from napari_sslseg.evidence import Evidence, difference, stored


def strokes(hits):
    """Pixels of strokes of 10 pixels each: their class, and how many of them are found as it (else as the other)."""
    truth = np.repeat([c for c, _ in hits], 10)
    found = np.concatenate([np.where(np.arange(10) < n, c, 3 - c) for c, n in hits])
    return found, truth, np.repeat(np.arange(len(hits)), 10)


@pytest.mark.parametrize("end, hit", [(0, 0), (1, 10)])
def test_an_interval_is_that_of_drawing_whole_strokes_anew_and_perhaps_one_more(end, hit):
    hits = [(1, 10), (1, 4), (1, 9), (2, 10), (2, 6)]
    found, truth, owners = strokes(hits)
    interval = Evidence.of_strokes(found, truth, owners).interval()
    rng, drawn = np.random.default_rng(1), []
    for _ in range(4000):  # the definition, stroke by stroke
        first = rng.choice([hits[0], hits[1], hits[2], (1, hit)], 3, p=np.array([4, 4, 4, 1]) / 13)
        second = rng.choice([hits[3], hits[4], (2, hit)], 2, p=np.array([4, 4, 1]) / 9)
        again = strokes([tuple(h) for h in (*first, *second)])[:2]
        drawn.append(np.mean(list(metrics.count([again]).iou().values())))
    assert interval[end] == pytest.approx(np.percentile(drawn, (2.5, 97.5)[end]), abs=0.02)
    assert interval[0] < np.mean(list(metrics.count([(found, truth)]).iou().values())) < interval[1]


def test_a_few_strokes_that_are_all_found_leave_some_doubt_and_many_little():
    few, many = (Evidence.of_strokes(*strokes([(1, 10), (2, 10)] * n)).interval() for n in (3, 30))
    assert few[1] == many[1] == 1
    assert 0.3 < few[0] < 0.8
    assert 0.9 < many[0] < 1


def test_a_missed_stroke_may_be_any_other_class():
    right = strokes([(1, 10), (1, 10), (1, 10), (2, 10), (2, 10), (3, 10), (3, 10)])
    low, high = Evidence.of_strokes(*right).interval()
    assert 0.3 < low < high == 1


def test_strokes_of_one_class_alone_have_an_interval_too():
    low, high = Evidence.of_strokes(*strokes([(2, 10)] * 4)).interval()
    assert 0.2 < low < high == 1


def test_objects_that_are_all_found_leave_some_doubt():
    assert Evidence.of_objects([1.0] * 4).interval()[0] < 0.8
    assert Evidence.of_objects([1.0] * 40).interval()[0] > 0.92


def test_one_stroke_of_a_class_says_nothing_about_others():
    assert Evidence.of_strokes(*strokes([(1, 10), (1, 8), (2, 10)])).interval() is None
    nothing = np.zeros(0, int)
    assert Evidence.of_strokes(nothing, nothing, nothing).interval() is None


def test_more_strokes_make_an_interval_narrower():
    few, many = [(1, 10), (1, 5), (2, 9), (2, 4)], [(1, 10), (1, 5), (2, 9), (2, 4)] * 8
    widths = [np.diff(Evidence.of_strokes(*strokes(hits)).interval())[0] for hits in (few, many)]
    assert widths[1] < 0.5 * widths[0]


def test_two_hundred_classes_take_little_memory():
    truth = np.repeat(np.arange(1, 201), 30)
    evidence = Evidence.of_strokes(np.where(np.arange(6000) % 3, truth, 1), truth, np.arange(6000) // 10)
    low, high = evidence.interval()
    assert 0.5 < low < high < 0.8


def test_an_interval_of_objects_is_that_of_their_mean():
    rng = np.random.default_rng(0)
    overlap = rng.uniform(size=40)
    low, high = Evidence.of_objects(overlap).interval()
    error = overlap.std() / np.sqrt(40)
    assert (low, high) == (
        pytest.approx(overlap.mean() - 1.96 * error, abs=0.02),
        pytest.approx(overlap.mean() + 1.96 * error, abs=0.02),
    )
    assert Evidence.of_objects([0.5]).interval() is None


def test_evidence_is_stored_and_read_again():
    for evidence in (Evidence.of_strokes(*strokes([(1, 10), (1, 4), (2, 10), (2, 6)])), Evidence.of_objects([0.5, 1])):
        again = stored({"evidence": evidence.to_list()})
        assert again.interval() == evidence.interval()
    assert stored({}) is None


def trial(*hits):
    return Evidence.of_strokes(*strokes(hits))


def test_strokes_that_are_all_found_better_leave_no_doubt():
    worse, better = trial((1, 6), (1, 7), (2, 5), (2, 6)), trial((1, 9), (1, 9), (2, 10), (2, 9))
    found = difference([better], [worse])
    assert found.mean > 0.3
    assert found.sure == 1
    assert 0 < found.interval[0] < found.mean < found.interval[1]
    back = difference([worse], [better])
    assert (back.mean, back.sure) == (pytest.approx(-found.mean), 1)


def test_a_difference_between_equals_is_nought_and_unsure():
    same = trial((1, 6), (1, 9), (2, 10), (2, 6))
    found = difference([same], [same])
    assert (found.mean, found.interval, found.sure) == (0, (0, 0), 0.5)


def test_trials_that_differ_widen_a_difference():
    good, bad = trial((1, 9), (1, 9), (2, 9), (2, 9)), trial((1, 6), (1, 6), (2, 6), (2, 6))
    steady = difference([good, good], [good, good])
    spread = difference([good, bad], [good, bad])
    assert spread.mean == 0
    assert np.diff(spread.interval)[0] > np.diff(steady.interval)[0] + 0.1


def test_nothing_can_be_told_from_one_stroke_of_a_class():
    one = trial((1, 6), (1, 9), (2, 10))
    assert difference([one], [one]) is None
