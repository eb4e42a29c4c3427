"""Watch: probes a pretraining as it goes on, keeps the best weights, and says when it may be stopped."""

import copy
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from torch import Tensor

from napari_sslseg import distributed
from napari_sslseg.annotation import Annotation
from napari_sslseg.checkpoint import Checkpoint
from napari_sslseg.encoders import Encoder
from napari_sslseg.errors import LabelError
from napari_sslseg.image import Image
from napari_sslseg.job import Job, Metric, Notice, Rhythm, Stop
from napari_sslseg.labelled import Labelled, collect
from napari_sslseg.looks import Look, advice, better, choice, collapsed, flat
from napari_sslseg.loop import AUTOSAVE, Schedule, Training
from napari_sslseg.magnify import magnified, magnify
from napari_sslseg.model import Features, Network
from napari_sslseg.probe import StrokeProbe, StructureProbe
from napari_sslseg.runtime import Runtime
from napari_sslseg.settings import FinetuneConfig
from napari_sslseg.surround import Surround
from napari_sslseg.volumes import Piece

SHARE = 0.05  # of the time that probing may take
GROWTH = 0.25  # from one look to the next, of the time so far
LEAST_SECONDS, MOST_SECONDS = 5.0, 120.0  # between two looks
LEAST_STEPS, MOST_STEPS = 100, 1000  # the same, of a run whose length is given in steps


class Watch:
    """Probes of one run, and the best weights so far.

    Parameters
    ----------
    network : Network
        With the weights that the run starts from; a copy of it is kept.
    images : list of Image
        Images that are learnt from.
    labelled : Labelled, optional
        Strokes, where there are any.
    piece : Piece
        Size of the crops that are looked at without labels.
    magnification : int
        How many pixels the network sees for one pixel of the image, along a side.
    machine : Runtime
        Device and seed.
    also : tuple of str, optional
        Names of weights of the method that are kept beside the network's.
    still : bool, optional
        Whether the encoder stays as it is and the head learns: then what the head makes of it is looked at.
    stop : Stop, optional
        To end early, with `StoppedError`.
    """

    def __init__(
        self,
        network: Network,
        images: list[Image],
        labelled: Labelled | None,
        piece: Piece,
        magnification: int,
        machine: Runtime,
        *,
        also: tuple[str, ...] = (),
        still: bool = False,
        stop: Stop | None = None,
    ) -> None:
        self._also = also
        self.network = copy.deepcopy(network).requires_grad_(False).eval()
        self.of = "head" if still else "encoder"
        self._learns: Encoder = Features(self.network) if still else self.network.encoder
        piece = replace(piece, side=max(1, piece.side // network.multiple) * network.multiple)
        self._structure = StructureProbe(images, piece, machine.numbers(20))
        around = Surround.of(network.encoder)
        self._strokes = StrokeProbe.make(labelled, machine.numbers(21), around, stop) if labelled else None
        self._magnification = magnification
        self.kind = "strokes" if self._strokes else "structure"
        self.looks: list[Look] = []
        self.kept: int = 0
        self.best: dict[str, Tensor] = {}
        self.finished = False  # whether the run came to its end and was not stopped
        self._cost = 0.0  # seconds of the last look

    # ---------------------------------------------------------------- what is stored
    def history(self) -> dict[str, Any]:
        """Return what was seen, as plain values.

        Returns
        -------
        dict
            ``kind`` of the probe, what it is a probe ``of``, ``looks``, the step that is ``kept`` and a ``digest`` of
            the strokes.
        """
        said = {"kind": self.kind, "of": self.of, "digest": self._strokes.digest if self._strokes else ""}
        return {**said, "kept": self.kept, "looks": [asdict(k) for k in self.looks]}

    def tensors(self) -> dict[str, Tensor]:
        """Return the best weights by name.

        Returns
        -------
        dict of str to torch.Tensor
            Names begin with ``best.``.
        """
        return {f"best.{k}": v for k, v in self.best.items()}

    def restore(self, stored: Checkpoint) -> None:
        """Go on from what was stored; if the strokes have changed since, or something else was looked at, the probe
        begins anew.

        Parameters
        ----------
        stored : Checkpoint
            Holds what `history` and `tensors` returned.
        """
        said = stored.history.get("probe")
        now = self.history()
        if said and (said["digest"], said.get("of", "encoder")) == (now["digest"], now["of"]):
            self.looks = [Look(**{**k, "folds": tuple(k["folds"])}) for k in said["looks"]]
            self.kept, self.best = said["kept"], stored.part("best")

    # ---------------------------------------------------------------- the run
    def follow(
        self,
        training: Training,
        schedule: Schedule,
        fit: Callable[[float], Job[None]],
        keep: Callable[[], None],
        *,
        stop: Stop,
        early: bool,
    ) -> Job[None]:
        """Train in stretches, with a look at the start and after each.

        Parameters
        ----------
        training : Training
            The run.
        schedule : Schedule
            Its length.
        fit : callable
            Trains until a part of the schedule, 0 to 1, is over.
        keep : callable
            Stores the state of the run; called about twice a minute.
        stop : Stop
            To end early.
        early : bool
            Whether to end when the advice is to stop.

        Yields
        ------
        Event
            Those of training, the probe, and notices.
        """
        saved = Rhythm(AUTOSAVE)
        saved.due()
        own = distributed.own(stop)
        if not self.looks and not (yield from self._look(training, own, start=True)):
            if training.step:  # it goes on with other strokes than before
                self._take(training)
            self._keep(training, training.step)
            return
        while True:
            yield from fit(self._next(training, schedule))
            self.finished = schedule.fraction(training.step, training.seconds) >= 1
            if self.finished or distributed.stopped(stop) or not (yield from self._look(training, own)):
                return
            by_steps = schedule.steps is not None
            if sentence := advice(self.looks, self.kind, by_steps):
                yield Notice(sentence)
            if early and flat(self.looks, self.kind, by_steps) is not None:
                self.finished = True
                return
            if saved.due():
                keep()

    def finish(self, training: Training) -> Job[dict[str, Tensor]]:
        """Choose the weights to keep, after a last look where the run came to its end.

        A run that was stopped has no time for that look: its newest weights are kept if those last looked at were the
        best so far, else the best.

        Parameters
        ----------
        training : Training
            The run.

        Yields
        ------
        Event
            The probe, and which weights are kept if not the last.

        Returns
        -------
        dict of str to torch.Tensor
            The weights to keep, on the CPU.
        """
        if self.looks and self.looks[-1].step != training.step:
            if self.finished:
                yield from self._look(training)
            elif self.kept == self.looks[-1].step:
                self._take(training)
                self._keep(training, training.step)
        if self.kept != training.step:
            yield Notice(choice(self.looks, self.kind, self.kept))
        return self.best

    def _look(self, training: Training, stop: Stop | None = None, *, start: bool = False) -> Job[bool]:
        """Measure what was learnt, unless stopped: then it was not looked at."""
        began = time.perf_counter()
        if not start:
            self._take(training)
        found = self._measured(stop)
        self._cost = distributed.greatest(time.perf_counter() - began)
        training.seconds += self._cost
        if found is None:
            return False
        step, seconds = (0, 0.0) if start else (training.step, training.seconds)
        now = replace(found, step=step, seconds=seconds)
        before = collapsed(self.looks)
        self.looks.append(now)
        if better(self.looks, self.kind):
            self._keep(training, step)
        yield Metric("probe", now.value, step)
        yield Metric("rank", now.rank, step)
        if collapsed(self.looks) and not before:
            yield Notice(
                f"The features are collapsing (effective rank {now.rank:.1f}, {self.looks[0].rank:.1f} at the start): "
                "stop, and choose another method or a lower rate. What was learnt before is kept."
            )
        return True

    def _take(self, training: Training) -> None:
        prefix = "network."
        average = {k.removeprefix(prefix): v for k, v in training.average.items() if k.startswith(prefix)}
        self.network.load_state_dict(average)

    def _keep(self, training: Training, step: int) -> None:
        self.kept = step
        best = {**self.network.state_dict(), **{k: training.average[k] for k in self._also}}
        self.best = {k: v.detach().cpu().clone() for k, v in best.items()}

    def _measured(self, stop: Stop | None) -> Look | None:
        """What the probes say of what learns now; None if stopped."""
        found = self._structure.measure(self._learns, self._magnification, stop)
        measured = self._strokes.measure([self._learns], self._magnification, stop=stop) if self._strokes else None
        if found is None or (stop is not None and stop.requested):
            return None
        folds = measured[0] if measured else ()
        value = float(np.mean(folds)) if folds else found.dse
        return Look(0, 0.0, value, found.rank, found.inter, found.intra, found.dimension, folds)

    def _next(self, training: Training, schedule: Schedule) -> float:
        """The part of the schedule after which to look again; of a run by steps it depends on steps alone."""
        last = self.looks[-1]
        if schedule.steps is not None:
            return min(1.0, (last.step + _within(int(GROWTH * last.step), LEAST_STEPS, MOST_STEPS)) / schedule.steps)
        gap = max(self._cost / SHARE, _within(GROWTH * last.seconds, LEAST_SECONDS, MOST_SECONDS))
        return min(1.0, (last.seconds + gap) / (60 * schedule.minutes))


def strokes_of(
    labels: list[tuple[Image, Annotation]], channels: int, magnification: int, stop: Stop | None = None
) -> Labelled | None:
    """Collect the strokes that there are, without those that training will keep apart for its score.

    Parameters
    ----------
    labels : list of (Image, Annotation)
        Images and their labels.
    channels : int
        Channels of the images that are learnt from; others are left out.
    magnification : int
        Magnification of the images.
    stop : Stop, optional
        To end early.

    Returns
    -------
    Labelled, optional
        None if too little is painted.

    Raises
    ------
    StoppedError
        If it was stopped.
    """
    pairs = [(magnify(i, magnification), magnified(a, magnification)) for i, a in labels if i.channels == channels]
    try:
        return collect(pairs, FinetuneConfig.hold_out, stop)
    except LabelError:  # nothing painted yet, or one class
        return None


def _within(value: float, least: float, most: float) -> float:
    return min(most, max(least, value))
