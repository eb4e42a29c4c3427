"""Starting: whether training begins with what was pretrained, or where that began."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from napari_sslseg import model, starter
from napari_sslseg.checkpoint import Checkpoint
from napari_sslseg.encoders import Encoder
from napari_sslseg.errors import UserError
from napari_sslseg.job import Job, Notice, Progress, Stop
from napari_sslseg.labelled import Labelled
from napari_sslseg.looks import worse
from napari_sslseg.probe import StrokeProbe
from napari_sslseg.runtime import Runtime
from napari_sslseg.settings import FinetuneConfig
from napari_sslseg.surround import Surround

SHARE = 0.05  # of the time in which the two encoders may be compared


@dataclass(frozen=True)
class Begin:
    """Where training begins.

    Parameters
    ----------
    start : str
        ``random``, ``imagenet``, ``starter`` or the path of a checkpoint.
    encoder : str
        Name of the encoder, where `start` is not a checkpoint.
    compared : dict, optional
        Scores of what was ``pretrained`` and what was there ``before`` on the strokes, which ``start`` was taken, and
        the ``encoder``; no scores where strokes cannot tell, None where there is nothing to compare.
    """

    start: str
    encoder: str
    compared: dict[str, Any] | None = None


def choose(
    start: str | None,
    config: FinetuneConfig,
    labelled: Labelled,
    magnification: int,
    machine: Runtime,
    *,
    stop: Stop,
    past: dict[str, Any] | None = None,
) -> Job[Begin]:
    """Leave a pretrained encoder out if it is worse on the strokes at hand than the weights it started from.

    Where the encoder was kept as it was and only the head has learnt, the head is left out unless it is better: of one
    that knew something before, training remembers less; and always where objects are learnt and the starter's head
    knows where they end, of which strokes say little (docs/benchmarks.md). Strokes that are kept apart for the score
    are not looked at.

    Parameters
    ----------
    start : str, optional
        Checkpoint file of a pretrained encoder.
    config : FinetuneConfig
        Where to begin without one.
    labelled : Labelled
        Strokes.
    magnification : int
        How many pixels the network sees for one pixel of the image, along a side.
    machine : Runtime
        Device and seed.
    stop : Stop
        To end early.
    past : dict, optional
        History of the run that goes on: what was chosen stays.

    Yields
    ------
    Event
        Progress, and a notice if what was pretrained is left out.

    Returns
    -------
    Begin
        Where training begins.
    """
    given = Begin(start or config.start, config.encoder)
    if past is not None:
        said = past.get("begin")
        return Begin(said["start"], said["encoder"], said) if said else given
    both = _both(given.start, labelled.images[0].channels, machine)
    if both is None:
        return given
    if both.heads and labelled.size is not None and model.origin(both.source) == starter.NAME:
        origin = _named(both.source)
        yield Notice(
            f"For objects what was learnt is left out: {origin}, from which training starts, knows their outlines"
        )
        return _begin(both.source, both.encoder)
    probe, scores = StrokeProbe.make(labelled, machine.numbers(21), Surround.of(both.before), stop), None
    what = "what was learnt" if both.heads else "the pretrained encoder"
    if probe is not None:
        yield Progress(0.0, f"comparing {what} with its start")
        seconds = math.inf if config.steps else SHARE * 60 * config.minutes
        scores = probe.measure([both.after, both.before], magnification, stop=stop, seconds=seconds)
    back = left_out(scores, both.heads)
    used = (both.source, both.encoder) if back else (given.start, given.encoder)
    origin = _named(both.source)
    if scores is None and not back:
        return given
    if scores is None:
        if not stop.requested:
            yield Notice(
                f"Too few strokes tell whether {what} is better than where it started; training starts from {origin}"
            )
        return _begin(*used)
    after, before = (float(np.mean(s)) for s in scores)
    if back:
        than = "worse by more than chance"
        if both.heads:
            than = "better by no more than chance" if after > before else "no better"
        yield Notice(
            f"On your strokes {what} scores {after:.3f} and where it started {before:.3f} (mean IoU, 1 is best), "
            f"which is {than}; training starts from {origin} instead"
        )
    return _begin(*used, after, before)


def left_out(scores: list[tuple[float, ...]] | None, heads: bool) -> bool:
    """Decide whether training does without what was pretrained.

    Parameters
    ----------
    scores : list of tuple of float, optional
        Of what was pretrained and what was there before, on the same parts of the strokes; None if these cannot tell.
    heads : bool
        Whether only the head has learnt.

    Returns
    -------
    bool
        An encoder is left out if it is worse by more than chance, a head unless it is better by more than chance.
    """
    if scores is None:
        return heads
    return not worse(*reversed(scores)) if heads else worse(*scores)


def _named(start: str) -> str:
    return start if start in model.KNOWN else Path(start).name


def _begin(start: str, encoder: str, after: float | None = None, before: float | None = None) -> Begin:
    return Begin(start, encoder, {"pretrained": after, "before": before, "start": start, "encoder": encoder})


class _Both(NamedTuple):
    """Where a pretraining started, with which kind of encoder, and what is compared: encoders, or heads' features."""

    source: str
    encoder: str
    after: Encoder
    before: Encoder
    heads: bool


def _both(start: str, channels: int, machine: Runtime) -> _Both | None:
    """What was pretrained, and what was there before; None where that knew nothing."""
    if start in model.KNOWN:
        return None
    stored = Checkpoint.load(start).config
    said, name = stored.get("pretrain", {}), stored["network"]["encoder"]
    source, heads = said.get("start", "random"), said.get("encoder_rate") == 0
    if source == "random" or (heads and source == "imagenet"):  # of which only the encoder knows something
        return None
    after = model.build(start, name, channels, machine).eval()
    try:
        before = model.build(source, name, channels, machine).eval()
    except UserError:  # a file that has gone, or weights that cannot be downloaded now
        return None
    if heads:
        return _Both(source, name, model.Features(after), model.Features(before), heads)
    return _Both(source, name, after.encoder, before.encoder, heads)
