"""Verdict: what the scores of the rounds so far say, in one sentence."""

from collections.abc import Sequence

from napari_sslseg.contents import Round

ENOUGH = 3  # rounds without a gain, after which more strokes of the same kind will hardly bring one


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
    known = [r for r in rounds if r.score is not None]
    if len(known) < 2 or known[-1] is not rounds[-1]:
        return None
    *earlier, last = known
    best = max(earlier, key=_score)
    if best.interval is not None and _score(last) < best.interval[0]:
        low, high = best.interval
        return (
            f"Round {last.number} is worse than round {best.number} was ({_score(last):.2f}; {_score(best):.2f}, "
            f"{low:.2f} to {high:.2f}): some strokes painted since may be wrong"
        )
    latest = known[-ENOUGH:]
    if len(latest) == ENOUGH and all(r.interval is not None for r in latest):
        lows, highs = zip(*(r.interval for r in latest if r.interval is not None), strict=True)
        if all(max(lows) <= _score(r) <= min(highs) for r in latest):
            scores = ", ".join(f"{_score(r):.2f}" for r in latest)
            return (
                f"The last {ENOUGH} rounds differ by no more than chance ({scores}): "
                "more strokes of this kind hardly help any more"
            )
    return None


def _score(round: Round) -> float:
    assert round.score is not None, "only rounds with a score are compared"
    return round.score
