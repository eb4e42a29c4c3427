"""What a run of a probe means: advice to stop, which weights to keep, and whether the features collapsed."""

import re
from dataclasses import replace

import pytest

from napari_sslseg.looks import Look, advice, better, choice, collapsed, flat, told


def looks(values, every=20.0, rank=10.0):
    """Looks at every so many seconds and, of steps, half as many."""
    return [Look(int(k * every / 2), k * every, v, rank, 0, 0, 0, (v, v, v)) for k, v in enumerate(values)]


def said(values, **how):
    """What is said after each look."""
    found = looks(values, **how)
    return [advice(found[: k + 1], "strokes", False) for k in range(len(found))]


def test_a_probe_that_rises_gives_no_advice():
    assert said([0.5, 0.55, 0.6, 0.65, 0.7, 0.75]) == [None] * 6


def test_a_flat_probe_gives_advice_with_the_time_it_is_flat():
    *before, last = said([0.5, 0.6, 0.601, 0.602])
    assert before == [None] * 3
    assert last == "The probe has been flat for 40 s: you can stop now"


def test_a_falling_probe_is_not_called_flat():
    assert said([0.7, 0.6, 0.5])[-1] == "The probe has been below its best for 40 s: you can stop now"


def test_advice_is_given_once_until_the_probe_rises_again():
    given = said([0.6, 0.6, 0.6, 0.6, 0.6, 0.7, 0.7, 0.7, 0.7])
    assert [bool(g) for g in given] == [False, False, True, False, False, False, False, True, False]


def test_a_slow_rise_is_still_a_rise():
    assert not any(said([0.6 + 0.003 * k for k in range(12)], every=15.0))


def test_advice_waits_for_a_share_of_a_long_run():
    assert flat(looks([0.5] * 5 + [0.6] * 3, every=100.0), "strokes", False) == 200
    assert flat(looks([0.1 * k for k in range(20)] + [1.9] * 3, every=100.0), "strokes", False) is None


def test_a_run_by_steps_is_judged_by_steps():
    found = looks([0.6, 0.6, 0.6], every=200.0)
    assert advice(found, "strokes", True) == "The probe has been flat for 200 steps: you can stop now"


def test_the_best_on_strokes_is_kept_and_a_later_one_if_it_is_as_good():
    assert better(looks([0.5]), "strokes")
    assert better(looks([0.5, 0.6, 0.6]), "strokes")
    assert not better(looks([0.6, 0.5]), "strokes")


def test_chance_does_not_choose():
    first, second = looks([0.62, 0.6])
    close = replace(second, folds=(0.5, 0.7, 0.6))
    assert better([first, close], "strokes")
    far = replace(second, folds=(0.6, 0.61, 0.6))
    assert not better([first, far], "strokes")


def test_without_labels_the_last_is_kept_unless_the_features_collapsed():
    assert better(looks([0.6, 0.1]), "structure")
    fallen = [*looks([0.6, 0.7]), Look(40, 40.0, 0.9, 0.9, 0, 0, 0)]
    assert collapsed(fallen)
    assert not better(fallen, "structure")


@pytest.mark.parametrize(
    "kind, kept, sentence",
    [
        ("strokes", 0, r"worse on your strokes \(mean IoU 0.650 at most, 0.700 before; 1 is best\); the starting"),
        (
            "strokes",
            10,
            r"kept: they were the best on your strokes \(mean IoU 0.650, and 0.600 at the end; 1 is best\)",
        ),
        ("structure", 10, "after step 10 are kept, from before the features collapsed"),
    ],
)
def test_the_choice_is_said_in_a_sentence(kind, kept, sentence):
    assert re.search(sentence, choice(looks([0.7, 0.65, 0.6]), kind, kept))


def test_a_history_is_told_in_a_line():
    history = {"kind": "strokes", "kept": 10, "looks": [{"step": 0, "value": 0.61}, {"step": 10, "value": 0.7}]}
    assert told(history) == "probe on strokes (mean IoU, 1 is best): 0.610 at step 0, 0.700 at step 10 (kept)"


def test_of_a_long_history_a_part_is_told_with_the_step_that_is_kept_and_the_last():
    history = {"kind": "structure", "kept": 5, "looks": [{"step": k, "value": 0.5} for k in range(100)]}
    text = told(history)
    assert text.count("at step") < 12
    assert "at step 5 (kept)" in text
    assert text.endswith("at step 99")
