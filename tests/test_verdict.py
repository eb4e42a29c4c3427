"""What the scores of the rounds say."""

from dataclasses import replace

import pytest

from napari_sslseg.contents import Round
from napari_sslseg.verdict import better, replaces, verdict


def rounds(*said):
    """Rounds of these scores, each with its interval, if any."""
    return [
        Round(k, "model", score, {}, 4, False, 9, 9, 1.0, True, interval=interval)
        for k, (score, interval) in enumerate(said, start=1)
    ]


@pytest.mark.parametrize(
    "said",
    [
        [],
        [(0.7, (0.6, 0.8))],
        [(0.7, (0.6, 0.8)), (0.8, (0.7, 0.9))],  # better
        [(0.7, (0.6, 0.8)), (0.65, (0.5, 0.7))],  # worse, but perhaps by chance
        [(0.7, None), (0.4, None)],  # nobody knows what chance does
        [(0.7, (0.6, 0.8)), (None, None)],  # stopped before its score
        [(None, None), (0.3, (0.2, 0.4))],
    ],
)
def test_there_is_nothing_to_say(said):
    assert verdict(rounds(*said)) is None
    assert better(rounds(*said)) is None


def test_a_round_that_is_worse_by_more_than_chance_is_named():
    all_of_them = rounds((0.5, (0.4, 0.6)), (0.72, (0.66, 0.78)), (0.61, (0.5, 0.7)))
    assert better(all_of_them) is all_of_them[1]
    assert verdict(all_of_them).startswith(
        "Round 3 is worse than round 2 was (score 0.61; before 0.72, 0.66 to 0.78; 1 is best)"
    )


FINISHED = Round(1, "model", 0.7, {}, 4, False, 9, 300, 1.0, True, interval=(0.6, 0.8))
STOPPED = replace(FINISHED, number=2, finished=False, interval=None, steps=29)


@pytest.mark.parametrize(
    "new, used, wanted",
    [
        (replace(FINISHED, number=2, score=0.1), FINISHED, True),
        (STOPPED, None, True),
        (replace(STOPPED, score=0.61), FINISHED, True),  # worse, but perhaps by chance
        (replace(STOPPED, score=0.59), FINISHED, False),
        (replace(STOPPED, score=None), FINISHED, False),
        (replace(STOPPED, score=None, steps=30), FINISHED, True),  # who stops it has seen enough
        (replace(STOPPED, score=0.1, kept_apart="boxes"), FINISHED, True),  # cannot be compared
        (replace(STOPPED, score=0.1), replace(FINISHED, interval=None), True),  # nobody knows what chance does
        (replace(STOPPED, score=None), replace(FINISHED, score=None), True),
        (replace(STOPPED, score=None), replace(STOPPED, number=1), True),
    ],
)
def test_a_round_stopped_early_predicts_unless_it_had_hardly_begun(new, used, wanted):
    assert replaces(new, used) is wanted


def test_three_rounds_alike_are_enough():
    alike = [(0.7, (0.6, 0.8)), (0.72, (0.62, 0.8)), (0.71, (0.63, 0.81))]
    assert "more strokes of this kind hardly help" in verdict(rounds((0.4, (0.3, 0.5)), *alike))
    assert verdict(rounds(*alike[:2])) is None
    assert verdict(rounds(alike[0], (0.9, (0.85, 0.95)), (0.91, (0.85, 0.95)))) is None  # the first was far below
    assert verdict(rounds(*alike[:2], (0.71, None))) is None
    assert verdict(rounds((0.7, (0.4, 0.9)), (0.73, (0.4, 0.9)), (0.76, (0.4, 0.9)))) is None  # still rising
