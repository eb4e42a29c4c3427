"""Verdict: what the scores of the rounds so far say, in one sentence."""

from collections.abc import Sequence

from napari_sslseg.contents import Round

ENOUGH = 3  # rounds without a gain, after which more strokes of the same kind will hardly bring one
GAIN = 0.02  # from the first of these to the last: worth going on, even if it may be chance
SOON = 0.1  # as a share of the steps of the round before: who stops a training earlier has not seen what it comes to


def better(rounds: Sequence[Round]) -> Round | None:
    """Find an earlier round than which the latest is worse by more than chance.

    Parameters
    ----------
    rounds : sequence of Round
        All rounds, oldest first.

    Returns
    -------
    Round, optional
        The best one; None if there is none, or if that cannot be told.
    """
    known = [r for r in rounds if r.score is not None and r.kept_apart == rounds[-1].kept_apart]
    if len(known) < 2 or known[-1] is not rounds[-1]:
        return None
    best = max(known[:-1], key=_score)
    return best if best.interval is not None and _score(known[-1]) < best.interval[0] else None


def replaces(new: Round, used: Round | None) -> bool:
    """Tell whether a new round predicts from now on: always, unless it had hardly begun when it was stopped.

    Parameters
    ----------
    new : Round
        The round.
    used : Round, optional
        The one that predicted until now.

    Returns
    -------
    bool
        False if it was stopped, the other was finished and has a score, and the new one has none after a tenth of its
        steps, or one that is worse by more than chance.
    """
    if new.finished or used is None or not used.finished or used.score is None or new.kept_apart != used.kept_apart:
        return True
    if new.score is None:
        return new.steps >= SOON * used.steps
    return used.interval is None or new.score >= used.interval[0]


def verdict(rounds: Sequence[Round]) -> str | None:
    """Compare the latest round with those before.

    Parameters
    ----------
    rounds : sequence of Round
        All rounds, oldest first.

    Returns
    -------
    str, optional
        A sentence if it is worse than an earlier one by more than chance, or if the last ones brought nothing; None
        if there is nothing to say, or if that cannot be told.
    """
    if (best := better(rounds)) is not None and best.interval is not None:
        low, high = best.interval
        return (
            f"Round {rounds[-1].number} is worse than round {best.number} was (score {_score(rounds[-1]):.2f}; "
            f"before {_score(best):.2f}, {low:.2f} to {high:.2f}; 1 is best): some strokes painted since may be wrong. "
            f"Round {best.number} can be used again"
        )
    latest = [r for r in rounds[-ENOUGH:] if r.kept_apart == rounds[-1].kept_apart]
    if len(latest) < ENOUGH or any(r.score is None or r.interval is None for r in latest):
        return None
    if _score(latest[-1]) > _score(latest[0]) + GAIN:
        return None
    lows, highs = zip(*(r.interval for r in latest if r.interval is not None), strict=True)
    if not all(max(lows) <= _score(r) <= min(highs) for r in latest):
        return None
    scores = ", ".join(f"{_score(r):.2f}" for r in latest)
    return (
        f"The last {ENOUGH} rounds differ by no more than chance (scores {scores}): "
        "more strokes of this kind hardly help any more"
    )


def _score(round: Round) -> float:
    assert round.score is not None, "only rounds with a score are compared"
    return round.score
