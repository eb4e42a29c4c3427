"""Pretraining: learn from images without labels."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from napari_sslseg import augment, distributed, loop, model, patches, volumes
from napari_sslseg.annotation import Annotation
from napari_sslseg.checkpoint import Checkpoint
from napari_sslseg.errors import ConfigError
from napari_sslseg.image import Image, check_usable
from napari_sslseg.job import Device, Job, Metric, Notice, Picture, Progress, Stop
from napari_sslseg.magnify import magnification, magnify
from napari_sslseg.methods import METHODS, Method
from napari_sslseg.objective import Batch
from napari_sslseg.runtime import Runtime
from napari_sslseg.settings import PretrainConfig, RuntimeConfig
from napari_sslseg.watch import Watch, strokes_of

HEAD = "fpn"
PICTURE_SECONDS = 5.0


def pretrain(
    images: list[Image],
    config: PretrainConfig,
    *,
    labels: list[tuple[Image, Annotation]] | None = None,
    resume: Checkpoint | None = None,
    runtime: RuntimeConfig | None = None,
    stop: Stop | None = None,
    keep: Callable[[Checkpoint], None] | None = None,
) -> Job[Checkpoint]:
    """Learn from images without labels.

    Parameters
    ----------
    images : list of Image
        Images of the same kind: the same number of channels.
    config : PretrainConfig
        Method, encoder, start and length.
    labels : list of (Image, Annotation), optional
        What is painted already. It is not learnt from: it tells how good the encoder is, and which weights to keep.
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
        Progress, the loss, the probe, pictures.

    Returns
    -------
    Checkpoint
        Encoder and head, with the weights that were best on the labels; its history holds the probe. Where several
        processes joined (`distributed.joined`) and all run this job, each of them returns what one process would have.
    """
    stop, machine = stop or Stop(), Runtime.make(runtime or RuntimeConfig())
    config = replace(config, start=model.resolve(config.start, config.encoder))
    distributed.check_batch(config.batch)
    yield Progress(0.0, "looking at the images")
    yield Device(machine.words)
    images, said = check_usable(images)
    for sentence in said:
        yield Notice(sentence)
    labels, deep = labels or [], model.dimensions(config.start, config.encoder) == 3
    times = 1 if deep else magnification(images)
    if deep and (sentence := volumes.unsaid(images)):
        yield Notice(sentence)
    images = [magnify(i, times) for i in images]
    method = _method(images, config, machine)
    described = {**_describe(method, replace(config, encoder_rate=method.encoder_rate)), "magnification": times}
    schedule = loop.Schedule(config.rate, config.minutes, config.steps)
    training = loop.Training.start(method, schedule)
    own = distributed.own(stop)
    strokes = strokes_of([p for p in labels if volumes.is_volume(p[0]) or not deep], images[0].channels, times, own)
    piece = volumes.Piece(method.side, method.depth)
    also, still = tuple(method.kept()), method.encoder_rate == 0
    watch = Watch(method.network, images, strokes, piece, times, machine, also=also, still=still, stop=own)
    if resume is not None:
        past = resume.history
        watch.restore(resume)
        training.restore(resume.weights, past["steps"], past["seconds"], past["losses"])
        if training.step:
            yield Notice(f"Going on from step {training.step}.")

    def batch(step: int) -> Batch:
        return _batch(method, images, config, machine, step)

    def save() -> None:
        if keep is not None:
            keep(Checkpoint({**training.tensors(), **watch.tensors()}, described, _history(training, watch)))

    def fit(until: float) -> Job[None]:
        return loop.fit(training, batch, schedule, runtime=machine, stop=stop, until=until, keep=save)

    shown, warned = -PICTURE_SECONDS, list[str]()  # the first picture comes at once
    for event in watch.follow(training, schedule, fit, save, stop=stop, early=config.early_stop):
        yield event
        wrong = method.alarm(event.name, event.value) if isinstance(event, Metric) else None
        if wrong and wrong not in warned:
            warned.append(wrong)
            yield Notice(wrong)
        due = time.monotonic() - shown > PICTURE_SECONDS
        if due and (pixels := _picture(method, batch(training.step))) is not None:
            shown = time.monotonic()
            yield Picture("what it sees", pixels, training.step)
    save()
    done = schedule.fraction(training.step, training.seconds)
    weights = yield from watch.finish(training)
    yield Progress(1.0 if watch.finished else min(1.0, done), "done", 0.0)
    return Checkpoint(weights, described, {**_history(training, watch), "finished": watch.finished})


def _method(images: list[Image], config: PretrainConfig, machine: Runtime) -> Method:
    kind, channels = METHODS.load(config.method), images[0].channels
    dimensions = model.dimensions(config.start, config.encoder)
    if dimensions not in kind.dimensions:
        serving = ", ".join(n for n in METHODS.names() if dimensions in METHODS.load(n).dimensions)
        what = {2: "planes", 3: "volumes"}
        raise ConfigError(
            f"The method {config.method!r} does not learn from {what[dimensions]}, at which the network looks",
            f"The methods that do are: {serving}",
            f"Choose one of them, or an encoder that looks at {what[5 - dimensions]}",
        )
    if channels < kind.least_channels:
        raise ConfigError(
            f"The method {config.method!r} predicts channels from each other and these images have {channels}",
            f"It needs at least {kind.least_channels}",
            "Choose another method",
        )
    if kind.encoders and config.encoder not in kind.encoders:
        raise ConfigError(
            f"The method {config.method!r} cannot train the encoder {config.encoder!r}, which sees images whole",
            f"It needs one that sees separate pieces: {', '.join(kind.encoders)}",
            f"Choose --encoder {kind.encoders[0]} --start random, or another method",
        )
    apart = volumes.checked(images) if dimensions == 3 else 1.0
    network = model.build(config.start, config.encoder, channels, machine, anisotropy=apart)
    piece = network.piece(images, config.crop)
    with machine.torch_numbers(1):
        method = kind(network, piece.side).to(machine.device)
    machine.compiled(network.encoder, network.head)
    method.depth = piece.depth
    method.frozen_norm = config.start != "random"
    method.encoder_rate = _rate(config, kind)
    if method.encoder_rate == 0:
        network.encoder.requires_grad_(False)
    method.orientation = augment.Orientation(config.flips, config.turn)
    return method


def _rate(config: PretrainConfig, kind: type[Method]) -> float:
    """Learning rate of the encoder, as a share of that of the rest."""
    if config.start == "random":
        return 1.0
    return kind.trained_rate if config.encoder_rate is None else config.encoder_rate


def _batch(method: Method, images: list[Image], config: PretrainConfig, machine: Runtime, step: int) -> Batch:
    side = int(method.side * augment.MARGIN)
    numbers = machine.numbers(2, step)
    places = [patches.anywhere(images, side, numbers, method.depth) for _ in range(config.batch)]
    crops = torch.stack([torch.from_numpy(patches.cut(images[p.image], p)) for p in places])
    with machine.thread_numbers(3, step):
        prepared = method.prepare(crops)
    return {k: machine.place(v) for k, v in prepared.items()}


def _picture(method: Method, batch: Batch) -> npt.NDArray[np.float32] | None:
    """A picture that leaves the statistics of the normalisation layers alone."""
    method.eval()
    pixels = method.picture(batch)
    method.train()
    return pixels


def _describe(method: Method, config: PretrainConfig) -> dict[str, Any]:
    said = {"network": method.network.describe(), "origin": model.origin(config.start)}
    return {"kind": "pretrained", **said, "pretrain": config.to_dict()}


def _history(training: loop.Training, watch: Watch) -> dict[str, Any]:
    past = {"steps": training.step, "seconds": training.seconds, "losses": training.losses}
    return {**past, "probe": watch.history()}
