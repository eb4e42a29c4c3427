"""Fine-tuning: learn classes or objects from sparse labels, and score the result on strokes that were kept apart."""

import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from napari_sslseg import atlas, augment, grain, loop, model, starting, volumes
from napari_sslseg.annotation import Annotation
from napari_sslseg.batches import Batches
from napari_sslseg.checkpoint import Checkpoint
from napari_sslseg.columns import Columns, read_anywhere, read_columns
from napari_sslseg.image import Image, unusable
from napari_sslseg.job import Device, Job, Metric, Notice, Progress, Stop
from napari_sslseg.labelled import Labelled, collect
from napari_sslseg.magnify import magnification, magnified, magnify
from napari_sslseg.pixel_classifier import PixelClassifier
from napari_sslseg.runtime import Runtime
from napari_sslseg.segment import Segment
from napari_sslseg.segmenter import Segmenter
from napari_sslseg.settings import FinetuneConfig, RuntimeConfig
from napari_sslseg.validation import Validation, restore

PIXEL_SHARE = 0.15  # part of the time in which labelled pixels may be read for the pixel classifier
POOL_SHARE = 0.4  # of that time more, in which pixels without a label may be read for it
OBJECT_SHARE = 0.6  # of the share of the pixel classifier, where objects are learnt: it sees their contours less well
FEW_STROKES, FEW_PIXELS = 10, 10000  # with fewer strokes of a class, and pixels in all, trees take part
ALL_STROKES = 0.7  # from this part of the run on, the strokes kept apart have been scored and are learnt from too


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

    For the first 70 % of the run some whole strokes are kept apart; they give the score and are learnt from later. What
    lies in validation boxes gives the score instead, if there are any, and is never learnt from.

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

    Raises
    ------
    LabelError
        If there are fewer than two classes, or labels that do not suit their image.
    StoppedError
        If it was stopped while the labels were read.
    """
    stop, machine = stop or Stop(), Runtime.make(runtime or RuntimeConfig())
    yield Progress(0.0, "reading the labels")
    yield Device(machine.words)
    for image, annotation in pairs:
        annotation.check(image.shape, image.name)
    config = replace(_oriented(start, config), start=model.resolve(config.start, config.encoder))
    deep = model.dimensions(start or config.start, config.encoder) == 3
    times = 1 if deep else _magnification(start, [i for i, _ in pairs])
    pairs = [(magnify(i, times), magnified(a, times)) for i, a in pairs]
    labelled = collect(pairs, config.hold_out, stop)
    channels, classes = labelled.images[0].channels, len(labelled.values)
    apart = volumes.checked(labelled.images) if deep else 1.0
    began = time.perf_counter()
    begun = yield from starting.choose(
        start, config, labelled, times, machine, stop=stop, past=resume.history if resume else None
    )
    begin = begun.start
    network = model.build(
        begin,
        begun.encoder,
        channels,
        machine,
        classes,
        keep_head=config.keep_head,
        objects=labelled.size is not None,
        anisotropy=apart,
    )
    with machine.torch_numbers(6):
        pixels = PixelClassifier(network.encoder, classes, times).to(machine.device)
    machine.compiled(network.encoder, network.head)
    schedule = loop.Schedule(config.rate, config.minutes, config.steps)
    training = loop.Training.start(Segment(network, config), schedule)
    history: dict[str, Any] = {"score": None, "scores": {}, "held_out": len(labelled.apart), "begin": begun.compared}
    history |= {"chosen": None, "interval": None, "measures": {}, "evidence": None, "kept_apart": labelled.kept_apart}
    history["due"] = False  # whether the score is still to come, once as much was learnt as may be before
    if resume is not None:
        history |= {k: resume.history.get(k, v) for k, v in history.items()}
        past = resume.history
        training.restore(resume.weights, past["steps"], past["seconds"], past["losses"])
        if training.step:
            yield Notice(f"Going on from step {training.step}.")
    pool = [*labelled.images, *(magnify(i, times) for i in _usable(unlabelled or [], labelled.images, deep))]
    batches = Batches(labelled, pool, config, machine, network.piece(labelled.images, config.crop))
    validation = Validation(labelled, pool, config.frequencies if begin != "random" else 0.0, machine, stop)
    described = _describe(network, labelled, config, times)

    def save() -> None:
        if keep is not None:
            keep(Checkpoint(training.tensors(), described, _history(training, history)))

    wanted = config.pixels > 0 and begin != "random" and not deep  # never over an encoder that has learnt nothing
    segmenter, columns = Segmenter(network, None, 0.0), None
    if wanted:
        segmenter, columns = yield from _add_pixels(segmenter, pixels, labelled, pool, config, machine, stop)
    restore(segmenter, history["chosen"])
    if config.atlas and labelled.size is None and atlas.agree(labelled.strokes, labelled.images, labelled.values):
        segmenter.atlas = atlas.fit(labelled.train, labelled.images, labelled.values)
        yield Notice("Classes lie in like places in all your images: masks will take that into account.")
    if resume is None:  # on a busy machine it may take longer; the network still gets most of its time
        training.seconds += min(time.perf_counter() - began, 2 * PIXEL_SHARE * 60 * config.minutes)
    if schedule.fraction(training.step, training.seconds) < ALL_STROKES:
        first = batches.around(labelled.train, labelled.apart)
        yield from loop.fit(training, first, schedule, runtime=machine, stop=stop, until=ALL_STROKES, keep=save)
        history["due"] = bool(labelled.apart) and training.step > 0
    if history["due"] and not stop.requested:
        with training.averaged():
            done = min(1.0, schedule.fraction(training.step, training.seconds))
            found = yield from validation.score(segmenter.eval(), done)
        if found:
            history |= {**found, "due": False}
            yield Metric("score", history["score"], training.step)
    second = batches.around(labelled.strokes, [])
    yield from loop.fit(training, second, schedule, runtime=machine, stop=stop, keep=save)
    save()
    more = len(labelled.strokes) > len(labelled.train)
    if columns is not None and segmenter.pixels is not None and more and not stop.requested:
        with machine.torch_numbers(7):
            columns.train(segmenter.pixels, everything=True, stop=stop)
    if segmenter.atlas is not None:
        segmenter.atlas = atlas.fit(labelled.strokes, labelled.images, labelled.values)
    done = min(1.0, schedule.fraction(training.step, training.seconds))
    training.use_average()
    if expected := (yield from validation.expect(segmenter.eval(), done)):
        history["measures"] = {**history["measures"], "expected_iou": expected}
    yield Progress(done, "done", 0.0)
    described |= segmenter.describe()
    return Checkpoint(segmenter.tensors(), described, {**_history(training, history), "finished": done >= 1})


def _add_pixels(
    alone: Segmenter,
    pixels: PixelClassifier,
    labelled: Labelled,
    pool: list[Image],
    config: FinetuneConfig,
    machine: Runtime,
    stop: Stop,
) -> Job[tuple[Segmenter, Columns | None]]:
    """Train the pixel classifier on the strokes not kept apart; left out if there are too few."""
    seconds = math.inf if config.steps else PIXEL_SHARE * 60 * config.minutes
    guessed = config.self_training and pixels.magnification == 1  # docs/benchmarks.md: it harms magnified images
    columns = yield from read_columns(pixels, labelled, machine.numbers(6), stop, seconds, guessed)
    if columns is None:
        return alone, None
    if labelled.size is not None:  # docs/benchmarks.md: other pixels are no help for objects
        columns = replace(columns, others=None)
    else:
        others = yield from read_anywhere(pixels, pool, machine.numbers(12), stop, seconds * POOL_SHARE)
        if others is None:
            return alone, None
        columns = columns.joined(*others)
    share = config.pixels * (OBJECT_SHARE if labelled.size else 1.0)
    with machine.torch_numbers(7):
        if config.trees and labelled.size is None and _scarce(columns, labelled):
            pixels.add_trees()
            share = 2 * share / (1 + share)  # each of the two counts as much as the one would
        learnt = columns.train(pixels, everything=False, stop=stop)
    return (Segmenter(alone.network, pixels, share), columns) if learnt else (alone, None)


def _scarce(columns: Columns, labelled: Labelled) -> bool:
    """Whether some class is painted with so few strokes that trees are to be trusted as much as a network."""
    strokes = Counter(s.value for s in [*labelled.train, *labelled.apart])
    return min(strokes.values()) < FEW_STROKES and len(columns.targets) < FEW_PIXELS


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


def _describe(network: model.Network, labelled: Labelled, config: FinetuneConfig, times: int) -> dict[str, Any]:
    return {
        "kind": "trained",
        "network": network.describe(),
        "task": labelled.annotations[0].task,
        "values": list(labelled.values),
        "object_size": labelled.size.reduced(times).to_dict() if labelled.size else None,
        "finetune": config.to_dict(),
        "magnification": times,
        "grains": _grains(labelled, times) if labelled.size and network.dimensions == 2 else [],
    }


def _grains(labelled: Labelled, times: int) -> list[tuple[float, ...]]:
    """How coarse the painted images are, before they were enlarged."""
    return [tuple(g / times for g in grain.grain(image)) for image in labelled.images]


def _history(training: loop.Training, history: dict[str, Any]) -> dict[str, Any]:
    return {"steps": training.step, "seconds": training.seconds, "losses": training.losses, **history}
