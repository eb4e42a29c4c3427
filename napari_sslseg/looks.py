"""Looks: what a probe said during a run, whether it still rises, and what to tell the user of it."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

CHOOSING = ("strokes",)  # probes that choose which weights are kept; others only keep those before a collapse
RISE = {"strokes": 0.005, "structure": 0.01}  # by less than this a probe has not risen
FLAT_LOOKS, FLAT_SECONDS, FLAT_STEPS = 2, 30.0, 200  # at least so long a probe is flat before advice is given
FLAT_SHARE = 0.25  # and at least this share of the run so far
COLLAPSED = 0.1  # of the effective rank at the start; sound runs from random weights fall to a third at first
SHOWN = 8  # looks in a line of text


@dataclass(frozen=True)
class Look:
    """What the probe said once.

    Parameters
    ----------
    step : int
        Steps trained.
    seconds : float
        Seconds trained, this look included.
    value : float
        The probe: mean IoU on strokes left out, or DSE.
    rank : float
        Effective rank of the features.
    inter, intra, dimension : float
        Parts of DSE.
    folds : tuple of float
        IoU on each part of the strokes that was left out; empty without labels.
    """

    step: int
    seconds: float
    value: float
    rank: float
    inter: float
    intra: float
    dimension: float
    folds: tuple[float, ...] = ()


def collapsed(looks: list[Look]) -> bool:
    """Whether the features have collapsed.

    Parameters
    ----------
    looks : list of Look
        All looks so far.

    Returns
    -------
    bool
        Whether the last effective rank is a small share of the first.
    """
    return bool(looks) and looks[-1].rank < COLLAPSED * looks[0].rank


def better(looks: list[Look], kind: str) -> bool:
    """Whether the weights of the last look are to be kept rather than those kept before.

    Parameters
    ----------
    looks : list of Look
        All looks so far.
    kind : str
        ``strokes`` or ``structure``.

    Returns
    -------
    bool
        By strokes, unless the best look was better by more than the spread over the parts left out, so that chance
        does not choose; without labels if nothing collapsed.
    """
    if len(looks) == 1:
        return True
    if kind in CHOOSING:
        return not worse(looks[-1].folds, max(looks, key=lambda k: k.value).folds)
    return not collapsed(looks)


def worse(scores: tuple[float, ...], than: tuple[float, ...]) -> bool:
    """Whether an encoder is worse than another one by more than the spread over the parts left out.

    Parameters
    ----------
    scores, than : tuple of float
        Scores of the same parts.

    Returns
    -------
    bool
        Whether the mean difference is below minus its standard error.
    """
    gain = np.subtract(scores, than)
    return bool(gain.mean() < -gain.std(ddof=1) / math.sqrt(len(gain)))


def flat(looks: list[Look], kind: str, by_steps: bool) -> float | None:
    """Tell since when a probe has not risen.

    Parameters
    ----------
    looks : list of Look
        All looks so far.
    kind : str
        ``strokes`` or ``structure``.
    by_steps : bool
        Whether to count steps and not seconds.

    Returns
    -------
    float, optional
        Seconds or steps; None while that is too short to say anything.
    """
    top = 0
    for k, look in enumerate(looks):
        if look.value > looks[top].value + RISE[kind]:
            top = k
    clock = [k.step if by_steps else k.seconds for k in looks]
    length = clock[-1] - clock[top] if looks else 0
    if len(looks) - 1 - top < FLAT_LOOKS:
        return None
    return length if length >= max(FLAT_STEPS if by_steps else FLAT_SECONDS, FLAT_SHARE * clock[-1]) else None


def advice(looks: list[Look], kind: str, by_steps: bool) -> str | None:
    """Say that the run may be stopped, once until the probe rises again.

    Parameters
    ----------
    looks : list of Look
        All looks so far.
    kind : str
        ``strokes`` or ``structure``.
    by_steps : bool
        Whether to count steps and not seconds.

    Returns
    -------
    str, optional
        A sentence; None if there is nothing new to say.
    """
    length = flat(looks, kind, by_steps)
    if length is None or flat(looks[:-1], kind, by_steps) is not None:
        return None
    best = max(k.value for k in looks)
    how = "flat" if looks[-1].value >= best - 2 * RISE[kind] else "below its best"
    return f"The probe has been {how} for {length:.0f} {'steps' if by_steps else 's'}: you can stop now"


def choice(looks: list[Look], kind: str, kept: int) -> str:
    """Say which weights are kept, where they are not the last.

    Parameters
    ----------
    looks : list of Look
        All looks.
    kind : str
        ``strokes`` or ``structure``.
    kept : int
        The step whose weights are kept.

    Returns
    -------
    str
        A sentence.
    """
    if kind not in CHOOSING:
        return f"The weights after step {kept} are kept, from before the features collapsed"
    value = next(k.value for k in looks if k.step == kept)
    if kept == 0:
        most = max(k.value for k in looks if k.step)
        return (
            f"Pretraining made it worse on your strokes (mean IoU {most:.3f} at most, {value:.3f} before; 1 is best); "
            "the starting weights are kept"
        )
    return (
        f"The weights after step {kept} are kept: they were the best on your strokes "
        f"(mean IoU {value:.3f}, and {looks[-1].value:.3f} at the end; 1 is best)"
    )


def told(probe: dict[str, Any]) -> str:
    """Say what the probe said during a whole run, in a line.

    Parameters
    ----------
    probe : dict
        ``kind``, ``looks`` and the step that was ``kept``, as a checkpoint stores them.

    Returns
    -------
    str
        Such as ``probe on strokes (mean IoU, 1 is best): 0.610 at step 0, 0.655 at step 300 (kept)``.
    """
    looks, stride = probe["looks"], -(-len(probe["looks"]) // SHOWN)
    shown = [k for i, k in enumerate(looks) if i % stride == 0 or k["step"] == probe["kept"] or i == len(looks) - 1]
    parts = [f"{k['value']:.3f} at step {k['step']}" + " (kept)" * (k["step"] == probe["kept"]) for k in shown]
    what = "on strokes (mean IoU, 1 is best)" if probe["kind"] == "strokes" else "of the structure (more is better)"
    return f"probe {what}: {', '.join(parts)}"
