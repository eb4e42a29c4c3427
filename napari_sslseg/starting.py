"""Starting: whether training begins with the pretrained encoder, or where that one began."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_sslseg import model
from napari_sslseg.checkpoint import Checkpoint
from napari_sslseg.encoders import Encoder
from napari_sslseg.errors import UserError
from napari_sslseg.job import Job, Notice, Progress, Stop
from napari_sslseg.labelled import Labelled
from napari_sslseg.looks import worse
from napari_sslseg.probe import StrokeProbe
from napari_sslseg.runtime import Runtime
from napari_sslseg.settings import FinetuneConfig
from napari_sslseg.surround import PLANE, Surround

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
        Scores of the ``pretrained`` encoder and the one ``before`` on the strokes, which ``start`` was taken, and the
        ``encoder``; None where nothing was compared.
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

    Strokes that are kept apart for the score are not looked at.

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
        Progress, and a notice if the encoder is left out.

    Returns
    -------
    Begin
        Where training begins.
    """
    given = Begin(start or config.start, config.encoder)
    if past is not None:
        said = past.get("begin")
        return Begin(said["start"], said["encoder"], said) if said else given
    encoders = _both(given.start, labelled.images[0].channels, machine)
    around = Surround.of(encoders[1]) if encoders else PLANE
    probe = StrokeProbe.make(labelled, machine.numbers(21), around) if encoders else None
    if encoders is None or probe is None:
        return given
    yield Progress(0.0, "comparing the pretrained encoder with its start")
    seconds = math.inf if config.steps else SHARE * 60 * config.minutes
    scores = probe.measure(list(encoders[1:]), magnification, stop=stop, seconds=seconds)
    if scores is None:
        return given
    after, before = (float(np.mean(s)) for s in scores)
    source, name = encoders[0]
    used = (source, name) if worse(*scores) else (given.start, given.encoder)
    if used[0] == source:
        origin = source if source in model.KNOWN else Path(source).name
        yield Notice(
            f"On your strokes the pretrained encoder is worse ({after:.3f}) than where it started ({before:.3f}); "
            f"training starts from {origin} instead"
        )
    return Begin(*used, {"pretrained": after, "before": before, "start": used[0], "encoder": used[1]})


def _both(start: str, channels: int, machine: Runtime) -> tuple[tuple[str, str], Encoder, Encoder] | None:
    """Where a pretrained encoder started and of which kind it is, the encoder, and the one it was then."""
    if start in model.KNOWN:
        return None
    stored = Checkpoint.load(start).config
    said, name = stored.get("pretrain", {}), stored["network"]["encoder"]
    source = said.get("start", "random")
    if source == "random" or said.get("encoder_rate") == 0:  # it is what it was
        return None
    after = model.build(start, name, channels, machine).encoder.eval()
    try:
        before = model.build(source, name, channels, machine).encoder.eval()
    except UserError:  # a file that has gone, or weights that cannot be downloaded now
        return None
    return (source, name), after, before
