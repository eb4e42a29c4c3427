"""Fine-tuning: learn classes or objects from sparse labels, and score the result on strokes that were kept apart."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call

from napari_sslseg import augment, frequencies, kept_apart, loop, model, patches, starting, volumes
from napari_sslseg.annotation import Annotation
from napari_sslseg.calibration import Calibration
from napari_sslseg.checkpoint import Checkpoint
from napari_sslseg.image import Image, unusable
from napari_sslseg.job import Job, Metric, Notice, Progress, Stop
from napari_sslseg.kept_apart import Columns
from napari_sslseg.labelled import Labelled, collect
from napari_sslseg.magnify import magnification, magnify, magnify_labels
from napari_sslseg.objective import Batch, Objective, agreement, freeze_norm, partial_cross_entropy, partial_dice
from napari_sslseg.patches import Place, Targets
from napari_sslseg.pixel_classifier import PixelClassifier
from napari_sslseg.runtime import Runtime
from napari_sslseg.segmenter import Segmenter
from napari_sslseg.settings import FinetuneConfig, RuntimeConfig
from napari_sslseg.strokes import Stroke

TEACHER_RAMP = 0.4  # part of the run over which the teacher comes to count in full
PIXEL_SHARE = 0.15  # part of the time in which labelled pixels may be read for the pixel classifier
OBJECT_SHARE = 0.6  # of the share of the pixel classifier, where objects are learnt: it sees their contours less well
UNCALIBRATED = 0.5  # of the weight of class frequencies, where no stroke tells how sure the probabilities may be
ALL_STROKES = 0.7  # from this part of the run on, the strokes kept apart have been scored and are learnt from too


class Segment(Objective):
    """Cross-entropy and Dice on labelled pixels, agreement with the averaged network on unlabelled crops.

    The averaged network as teacher is that of Tarvainen and Valpola (Mean Teacher, NeurIPS 2017).

    Parameters
    ----------
    network : model.Network
        Network with a classifier.
    config : FinetuneConfig
        Weights of the losses and rates.
    """

    def __init__(self, network: model.Network, config: FinetuneConfig) -> None:
        super().__init__()
        self.network, self.dice, self.encoder_rate = network, config.dice, config.encoder_rate
        self.teacher, self._weight = config.teacher, 0.0
        self._average: dict[str, Tensor] = {}
        self.frozen_norm = config.norm == "frozen" and config.start != "random"

    def train(self, mode: bool = True) -> Self:
        """Switch between training and use; frozen normalisation stays in use."""
        super().train(mode)
        if self.frozen_norm:
            freeze_norm(self.network.encoder)
        return self

    def begin(self, fraction: float, average: Mapping[str, Tensor]) -> None:
        """Let the teacher count more as it gets better."""
        self._weight = self.teacher * min(1.0, fraction / TEACHER_RAMP)
        self._average = {k.removeprefix("network."): v for k, v in average.items()}

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Compute the loss of (B, C, [Z,] Y, X) images, targets of 0 where unlabelled, and of unlabelled crops."""
        target = batch["target"]
        images = torch.cat([batch["image"], batch["seen"]]) if "seen" in batch else batch["image"]
        logits = self.network(images)
        labelled, others = logits[: len(target)], logits[len(target) :]
        loss = partial_cross_entropy(labelled, target) + self.dice * partial_dice(labelled, target)
        if "seen" in batch:
            loss = loss + self._weight * agreement(others, self._teach(batch["clean"]))
        return {"loss": loss}

    @torch.no_grad()
    def _teach(self, clean: Tensor) -> Tensor:
        self.network.eval()
        taught: Tensor = functional_call(self.network, self._average, (clean,)).softmax(1)
        self.train()
        return taught

    def groups(self, rate: float) -> list[dict[str, Any]]:
        """Split the weights: the encoder learns at `encoder_rate` times the rate of the rest."""
        encoder = list(self.network.encoder.parameters())
        known = {id(p) for p in encoder}
        rest = [p for p in self.network.parameters() if id(p) not in known]
        return [{"params": rest, "lr": rate}, {"params": encoder, "lr": rate * self.encoder_rate}]


def finetune(
    pairs: list[tuple[Image, Annotation]],
    config: FinetuneConfig,
    *,
    start: str | None = None,
    unlabelled: list[Image] | None = None,
    resume: Checkpoint | None = None,
    runtime: RuntimeConfig | None = None,
    stop: Stop | None = None,
    keep: Callable[[Checkpoint], None] | None = None,
) -> Job[Checkpoint]:
    """Learn from sparse labels.

    For the first 70 % of the run some whole strokes are kept apart; they give the score and are learnt from later.

    Parameters
    ----------
    pairs : list of (Image, Annotation)
        Images and their labels, all of one task.
    config : FinetuneConfig
        Length, rates, losses.
    start : str, optional
        Checkpoint file of a pretrained encoder; without it, what `config` says.
    unlabelled : list of Image, optional
        Further images of the same kind, to agree with the averaged network on; the labelled ones are always used.
    resume : Checkpoint, optional
        What `keep` was given, to go on from there.
    runtime : RuntimeConfig, optional
        Device and seed.
    stop : Stop, optional
        To end early; what was learned so far is returned.
    keep : callable, optional
        Called about twice a minute and at the end with a checkpoint to resume from.

    Yields
    ------
    Event
        Progress, the loss and the score.

    Returns
    -------
    Checkpoint
        The trained network; its history holds the score.
    """
    stop, machine = stop or Stop(), Runtime.make(runtime or RuntimeConfig())
    yield Progress(0.0, "reading the labels")
    for image, annotation in pairs:
        annotation.check(image.shape, image.name)
    config = _oriented(start, config)
    deep = model.dimensions(start or config.start, config.encoder) == 3
    times = 1 if deep else _magnification(start, [i for i, _ in pairs])
    pairs = [(magnify(i, times), replace(a, labels=magnify_labels(a.labels, times))) for i, a in pairs]
    labelled = collect(pairs, config.hold_out)
    channels, classes = labelled.images[0].channels, len(labelled.values)
    apart = volumes.checked(labelled.images) if deep else 1.0
    began = time.perf_counter()
    begun = yield from starting.choose(
        start, config, labelled, times, machine, stop=stop, past=resume.history if resume else None
    )
    begin = begun.start
    network = model.build(
        begin, begun.encoder, channels, machine, classes, keep_head=config.keep_head, anisotropy=apart
    )
    with machine.torch_numbers(6):
        pixels = PixelClassifier(network.encoder, classes, times).to(machine.device)
    machine.compiled(network.encoder, network.head)
    schedule = loop.Schedule(config.rate, config.minutes, config.steps)
    training = loop.Training.start(Segment(network, config), schedule)
    history: dict[str, Any] = {"score": None, "scores": {}, "held_out": len(labelled.apart), "begin": begun.compared}
    if resume is not None:
        history |= {k: resume.history.get(k, v) for k, v in history.items()}
        past = resume.history
        training.restore(resume.weights, past["steps"], past["seconds"], past["losses"])
        yield Notice(f"Going on from step {training.step}.")
    pool = [*labelled.images, *(magnify(i, times) for i in _usable(unlabelled or [], labelled.images, deep))]
    piece = network.piece(labelled.images, config.crop)
    described = {**_describe(network, labelled, pairs, config), "magnification": times}

    def save() -> None:
        if keep is not None:
            keep(Checkpoint(training.tensors(), described, _history(training, history)))

    # never over an encoder that has learnt nothing; for classes only where strokes kept apart can confirm it
    weight = _weight(begin, labelled, config)
    wanted = config.pixels > 0 and begin != "random" and bool(labelled.apart or labelled.size) and not deep
    segmenter, columns = Segmenter(network, None, 0.0), None
    if wanted:
        segmenter, columns = yield from _add_pixels(segmenter, pixels, labelled, config, machine, stop)
    if resume is None:  # on a busy machine it may take longer; the network still gets most of its time
        training.seconds += min(time.perf_counter() - began, 2 * PIXEL_SHARE * 60 * config.minutes)
    if schedule.fraction(training.step, training.seconds) < ALL_STROKES:
        first = _batches(labelled, labelled.train, labelled.apart, pool, config, machine, piece)
        yield from loop.fit(training, first, schedule, runtime=machine, stop=stop, until=ALL_STROKES, keep=save)
        if labelled.apart and training.step:
            with training.averaged():
                history |= yield from _look_apart(segmenter.eval(), pool, labelled, weight, machine, stop)
            yield Metric("score", history["score"], training.step)
    second = _batches(labelled, [*labelled.train, *labelled.apart], [], pool, config, machine, piece)
    yield from loop.fit(training, second, schedule, runtime=machine, stop=stop, keep=save)
    save()
    if columns is not None and segmenter.pixels is not None and labelled.apart and not stop.requested:
        with machine.torch_numbers(7):
            columns.train(segmenter.pixels, everything=True, stop=stop)
    finished = schedule.fraction(training.step, training.seconds) >= 1
    training.use_average()
    yield from _expect(segmenter.eval(), pool, weight, machine, stop)
    yield Progress(1.0 if finished else schedule.fraction(training.step, training.seconds), "done", 0.0)
    described |= segmenter.describe()
    return Checkpoint(segmenter.tensors(), described, {**_history(training, history), "finished": finished})


def _add_pixels(
    alone: Segmenter,
    pixels: PixelClassifier,
    labelled: Labelled,
    config: FinetuneConfig,
    machine: Runtime,
    stop: Stop,
) -> Job[tuple[Segmenter, Columns | None]]:
    """Train the pixel classifier on the strokes not kept apart; left out if there are too few."""
    seconds = math.inf if config.steps else PIXEL_SHARE * 60 * config.minutes
    columns = yield from kept_apart.read_columns(pixels, labelled, machine.numbers(6), stop, seconds)
    if columns is None:
        return alone, None
    with machine.torch_numbers(7):
        learnt = columns.train(pixels, everything=False, stop=stop)
    share = config.pixels * (OBJECT_SHARE if labelled.size else 1.0)
    return (Segmenter(alone.network, pixels, share), columns) if learnt else (alone, None)


def _weight(begin: str, labelled: Labelled, config: FinetuneConfig) -> float:
    """How far class frequencies count: not for objects, nor where an untrained encoder makes all classes uncertain."""
    if labelled.size is not None or begin == "random":
        return 0.0
    return config.frequencies * (1.0 if labelled.apart else UNCALIBRATED)


def _look_apart(
    segmenter: Segmenter, pool: list[Image], labelled: Labelled, weight: float, machine: Runtime, stop: Stop
) -> Job[dict[str, Any]]:
    """Choose between network and average, calibrate, and score on the strokes kept apart."""
    if stop.requested or labelled.size is not None:  # nobody is kept waiting; single pixels do not tell of objects
        return kept_apart.look(segmenter, labelled).score(labelled)
    seen = kept_apart.choose(segmenter, labelled)
    if weight > 0:
        segmenter.calibration = Calibration(seen.temperature())
        yield from _expect(segmenter, pool, weight, machine, stop)
    return seen.score(labelled, segmenter.calibration)


def _expect(segmenter: Segmenter, pool: list[Image], weight: float, machine: Runtime, stop: Stop) -> Job[None]:
    """Let the segmenter expect classes as often as it finds them in the images; if stopped, as before."""
    if weight == 0:
        return
    found = yield from frequencies.estimate(segmenter, pool, machine.numbers(9), stop)
    if found is not None:
        prior = tuple(share**weight for share in found)
        segmenter.calibration = replace(segmenter.calibration, prior=prior)


def _magnification(start: str | None, images: list[Image]) -> int:
    """That of the pretrained network, or else what suits the images."""
    if start is None:
        return magnification(images)
    return int(Checkpoint.load(start).config.get("magnification", 1))


def _oriented(start: str | None, config: FinetuneConfig) -> FinetuneConfig:
    """Neither mirror nor turn where pretraining was told not to."""
    said = Checkpoint.load(start).config.get("pretrain", {}) if start is not None else {}
    learnt = augment.Orientation.of(said)
    return replace(config, flips=config.flips and learnt.flips, turn=config.turn and learnt.turn)


def _usable(others: list[Image], labelled: list[Image], deep: bool) -> list[Image]:
    """Those of the other images that are like the labelled ones and hold something to look at."""
    like = [i for i in others if i.channels == labelled[0].channels and (volumes.is_volume(i) or not deep)]
    return [i for i in like if not unusable(i)]


def _batches(
    labelled: Labelled,
    found: list[Stroke],
    hidden: list[Stroke],
    pool: list[Image],
    config: FinetuneConfig,
    machine: Runtime,
    piece: volumes.Piece | None = None,
) -> Callable[[int], Batch]:
    """Batches around `found` without the labels of `hidden`, and as many crops of `pool` for the teacher."""
    targets = [{z: plane.copy() for z, plane in planes.items()} for planes in labelled.targets]
    for stroke in hidden:
        targets[stroke.image][stroke.z][tuple(stroke.points.T)] = 0
    classes = sorted({s.value for s in found})
    piece = piece or volumes.Piece(config.crop)
    side, depth = int(piece.side * augment.MARGIN), piece.depth
    geometry = augment.Geometry(piece.side, orientation=augment.Orientation(config.flips, config.turn))
    count = config.batch if config.teacher == 0 else config.batch // 2

    def batch(step: int) -> Batch:
        numbers = machine.numbers(4, step)
        wanted = [classes[(step * count + k) % len(classes)] for k in range(count)]
        places = [patches.around(found, value, side, numbers, depth) for value in wanted]
        elsewhere = [patches.anywhere(pool, side, numbers, depth) for _ in range(config.batch - count)]
        with machine.thread_numbers(5, step):
            made = [geometry(*_read(labelled.images[p.image], targets[p.image], p)) for p in places]
            result = {"image": augment.intensity(torch.stack([m[0] for m in made]))}
            if elsewhere:
                crops = [torch.from_numpy(patches.cut(pool[p.image], p)) for p in elsewhere]
                result["clean"] = torch.stack(
                    [geometry(c, torch.zeros(c.shape[1:], dtype=torch.long))[0] for c in crops]
                )
                result["seen"] = augment.intensity(result["clean"], 1.5)
        return {k: machine.place(v) for k, v in {**result, "target": torch.stack([m[1] for m in made])}.items()}

    return batch


def _read(image: Image, targets: Mapping[int, Targets], place: Place) -> tuple[Tensor, Tensor]:
    part = patches.cut_sparse(targets, place)
    return torch.from_numpy(patches.cut(image, place)), torch.from_numpy(part.astype(np.int64))


def _describe(
    network: model.Network, labelled: Labelled, pairs: list[tuple[Image, Annotation]], config: FinetuneConfig
) -> dict[str, Any]:
    return {
        "kind": "trained",
        "network": network.describe(),
        "task": pairs[0][1].task,
        "values": list(labelled.values),
        "object_size": labelled.size.to_dict() if labelled.size else None,
        "finetune": config.to_dict(),
    }


def _history(training: loop.Training, history: dict[str, Any]) -> dict[str, Any]:
    return {"steps": training.step, "seconds": training.seconds, "losses": training.losses, **history}
