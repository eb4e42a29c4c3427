"""Prediction: masks and probabilities of whole images, in overlapping tiles blended without seams."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from napari_sslseg import grain, instances, vast, volumes, whole
from napari_sslseg import segmenter as segmenters
from napari_sslseg.augment import Orientation
from napari_sslseg.checkpoint import Checkpoint
from napari_sslseg.errors import CheckpointError, ImageError
from napari_sslseg.halting import giving_way
from napari_sslseg.image import Image
from napari_sslseg.job import Clock, Device, Job, Notice, Progress, Stop
from napari_sslseg.magnify import magnify, reduce
from napari_sslseg.overlay import Box
from napari_sslseg.prediction import Prediction
from napari_sslseg.rows import Rows
from napari_sslseg.runtime import Runtime
from napari_sslseg.segmenter import Segmenter
from napari_sslseg.settings import PredictConfig, RuntimeConfig
from napari_sslseg.uncertainty import Uncertainty

OBJECT_CLASSES = ("background", "core", "contour")

Take = Callable[[str, int, int, npt.NDArray[np.float32]], None]
Keep = Callable[[Prediction], Prediction]
Write = Callable[[Prediction], None]


def predict(
    images: Iterable[Image],
    checkpoint: Checkpoint,
    config: PredictConfig,
    *,
    planes: dict[str, tuple[int, ...]] | None = None,
    boxes: dict[str, Box] | None = None,
    take: Take | None = None,
    keep: Keep | None = None,
    write: Write | None = None,
    runtime: RuntimeConfig | None = None,
    stop: Stop | None = None,
) -> Job[list[Prediction]]:
    """Predict images with a trained network.

    Parameters
    ----------
    images : iterable of Image
        The images, of the same channels as those trained on.
    checkpoint : Checkpoint
        A trained network.
    config : PredictConfig
        Tiles and what to keep.
    planes : dict of str to tuple of int, optional
        Planes to predict, by name of the image; all of an image that is not named.
    boxes : dict of str to Box, optional
        Part of these planes to predict, by name of the image; all of an image that is not named. What is around it is
        looked at too, as far as tiles overlap.
    take : callable, optional
        Is given the name of an image, a plane, a row and how probable each class is from that row on, (K, rows, X), of
        all that is predicted but parts.
    keep : callable, optional
        Is given what was predicted of an image as soon as that is done; what it returns is returned.
    write : callable, optional
        Is given masks as they come, plane by plane or in bands of a vast one, where all that is asked for is more than
        is held in memory; then what is returned says that they are `written`. Not of parts, nor with probabilities.
    runtime : RuntimeConfig, optional
        Device and seed.
    stop : Stop, optional
        To end early; what is done is returned, of the image that it was at its planes that are done. Objects that go
        through planes are not: they are told apart at the end. Those of a time series are of one frame each.

    Yields
    ------
    Event
        Progress with time left.

    Returns
    -------
    list of Prediction
        One an image.

    Raises
    ------
    ImageError
        If an image has other channels than those trained on, or the masks of all of them do not fit into memory.
    """
    stop, machine = stop or Stop(), Runtime.make(runtime or RuntimeConfig())
    if checkpoint.config.get("kind") != "trained":
        raise CheckpointError("The checkpoint was pretrained but not trained on labels", "Train before predicting")
    yield Progress(0.0, "loading the network")
    yield Device(machine.words)
    segmenter = segmenters.load(checkpoint, machine)
    network = segmenter.network
    images = list(images)
    for image in images:
        if image.channels != network.in_channels:
            raise ImageError(
                f"{image.name} has {image.channels} channel(s)",
                f"The network was trained on images of {network.in_channels}",
                "Predict images of the same kind, or train on these",
            )
    if network.dimensions == 3:
        volumes.checked(images)
    done: list[Prediction] = []
    work = [
        _Work(
            image,
            tuple(sorted((planes or {}).get(image.name) or range(image.planes))),
            _Cut.of(image, (boxes or {}).get(image.name), config.overlap),
            checkpoint.config["object_size"] is not None,
        )
        for image in images
    ]
    total, before, clock = sum(one.pixels for one in work), 0.0, Clock()
    if write is not None and vast.large((total,)) and not config.probabilities:
        work = [one if one.cut.wanted else one._replace(write=write) for one in work]
    _check_room(work, checkpoint, config)
    for one in work:
        if one.apart:
            yield Notice(f"{one.image.name} is so large that its objects are told apart plane by plane.")
        made = _Image(one, segmenter, checkpoint, config, take)
        for share in made.run(stop):
            if (event := clock.event(one.image.name, (before + share * one.pixels) / total)) is not None:
                yield event
        if made.begun or not stop.requested:
            done.append(keep(made.result()) if keep else made.result())
        if stop.requested:
            return done
        before += one.pixels
        del made  # and all that it holds, before the next one
    yield Progress(1.0, "done", 0.0)
    return done


def _check_room(work: "list[_Work]", checkpoint: Checkpoint, config: PredictConfig) -> None:
    """Refuse what would not fit into memory, before the system ends the process for it."""
    pixels = sum(one.pixels for one in work if one.write is None)
    pixels += max((one.held for one in work if one.write is not None), default=0)
    kept = config.probabilities or checkpoint.config["object_size"] is not None
    needed, free = pixels * (2 + 2 * len(checkpoint.config["values"]) * kept), vast.free()
    if needed > free:
        raise ImageError(
            f"Masks of {pixels / 1e6:,.0f} million pixels were asked for, which take {needed / 2**30:.1f} GiB",
            f"This machine has {free / 2**30:.1f} GiB of memory left",
            f"{'Leave probabilities out, or predict' if config.probabilities else 'Predict'} fewer images or planes "
            "at a time, or a part of them; classes of zarr images are written to disk piece by piece by the command "
            "predict, or under Export… by Predict a folder…",
        )


class _Cut(NamedTuple):
    """The part of its planes that is predicted, and, a little larger, the part that is looked at."""

    wanted: Box | None
    seen: Box

    @classmethod
    def of(cls, image: Image, box: Box | None, margin: int) -> "_Cut":
        height, width = image.shape[-2:]
        if box is None:
            return cls(None, Box(0, 0, height, width))
        wanted = box.within((height, width))
        if wanted.top >= wanted.bottom or wanted.left >= wanted.right:
            raise ImageError(
                f"The part {tuple(box)} of {image.name} holds no pixel",
                f"It has {height} rows and {width} columns",
                "Give the first row and column, and those after the last ones",
            )
        return cls(wanted, wanted.grown(margin, (height, width)))

    @property
    def pixels(self) -> int:
        """How many pixels of a plane are looked at."""
        return (self.seen.bottom - self.seen.top) * (self.seen.right - self.seen.left)

    def of_image(self, image: Image) -> Image:
        """Cut out what is looked at."""
        return image if self.wanted is None else image.part(*self.seen.slices)

    @property
    def inner(self) -> tuple[slice, slice]:
        """Where in what is looked at that lies which is wanted."""
        (top, left, bottom, right), (first, before, *_) = self.wanted or self.seen, self.seen
        return Box(top - first, left - before, bottom - first, right - before).slices


class _Work(NamedTuple):
    """What is predicted of an image, and who takes masks as they come."""

    image: Image
    zs: tuple[int, ...]
    cut: _Cut
    objects: bool
    write: Write | None = None

    @property
    def pixels(self) -> int:
        """How many pixels are looked at."""
        return len(self.zs) * self.cut.pixels

    @property
    def stack(self) -> bool:
        """Whether objects of all of a stack are looked for; those of a time series are of its frames."""
        deep = self.image.data.ndim == 4 and not self.image.timed
        return self.objects and deep and len(self.zs) == self.image.planes and self.cut.wanted is None

    @property
    def apart(self) -> bool:
        """Whether objects of all of a stack are not followed through its planes, since they would not fit."""
        return self.stack and self.write is not None and vast.large(self.image.shape)

    @property
    def through(self) -> bool:
        """Whether objects are followed through planes, so that none is known before the last one is."""
        return self.stack and not self.apart

    @property
    def held(self) -> int:
        """How many pixels of masks are in memory at once where these are handed on."""
        plane = self.cut.pixels if self.objects else min(self.cut.pixels, vast.MOST)
        return self.pixels if self.through else plane


def _factor(image: Image, said: Mapping[str, Any]) -> float:
    """By how much an image is resized so that its objects are as large as painted ones."""
    if not said.get("grains") or image.channels * math.prod(image.shape) > grain.MOST:
        return 1.0
    return grain.factor(grain.grain(image), said["grains"])


class _Image:
    """Prediction of one image: fills label and probability arrays band by band."""

    def __init__(
        self, work: _Work, segmenter: Segmenter, checkpoint: Checkpoint, config: PredictConfig, take: Take | None
    ) -> None:
        whole, cut, said = work.image, work.cut, checkpoint.config
        self.work, self.whole, self.cut, self.zs, self.through = work, whole, cut, work.zs, work.through
        self.image, self.segmenter, self.config = (image := cut.of_image(whole)), segmenter, config
        self.take = take if cut.wanted is None else None
        self.times = int(said.get("magnification", 1))
        self.by, self.parts = _factor(whole, said), list[npt.NDArray[np.float32]]()
        sized = grain.resized(image, self.by)
        self.rows = sized.shape[-2]
        fits = math.ceil(max(whole.shape[-2:]) * self.by) * self.times <= config.tile
        self.seen = magnify(sized, self.times) if fits else sized
        self.times = self.seen.shape[-1] // sized.shape[-1]
        self.flips = config.flips and Orientation.of(said["finetune"]).free
        self.values = np.asarray(said["values"], np.uint16)
        self.size = instances.ObjectSize(**said["object_size"]).reduced(self.by) if said["object_size"] else None
        self.names = OBJECT_CLASSES if self.size else tuple(str(v) for v in self.values)
        self.handed: Rows | None = None
        if work.write is not None and not self.through:
            self.handed = Rows(image.shape[-2:], self._hand_on, whole=self.size is not None)
        shape = (len(work.zs) if self.handed is None else 0, *image.shape[-2:])
        self.labels = np.zeros(shape, np.uint16)
        self.finished: list[int] = []  # which of the planes
        self.begun = False  # whether anything is to be kept
        self.last = 1  # the greatest number of an object in the frames of a time series so far
        self.uncertainty = None if cut.wanted else Uncertainty.empty(len(self.values), image.shape)
        self.probabilities: npt.NDArray[np.float16] | None = None
        if (config.probabilities or self.size) and self.handed is None:
            self.probabilities = np.zeros((len(self.values), *shape), np.float16)

    def run(self, stop: Stop) -> Iterator[float]:
        """Predict plane by plane, or in boxes; yields the share that is done, after each tile."""
        network, flips = self.segmenter.network, self.flips
        with giving_way(self.segmenter, stop):
            for share, k, top, band in whole.bands(
                network, self.seen, self.zs, self.config, lambda x: self.segmenter.probabilities(x, flips), stop
            ):
                yield share
                if band is not None:
                    self._fill(k, top, band)
        if self.through and not stop.requested and self.probabilities is not None and self.size is not None:
            found = instances.separate(self.probabilities, self.size, self.image.spacing)
            self.labels = found.astype(np.uint16 if found.max() < 2**16 else np.uint32)
            self.finished, self.begun = list(range(len(self.zs))), True

    def _fill(self, k: int, top: int, band: npt.NDArray[np.float32]) -> None:
        band = reduce(band, self.times)  # a magnified plane is one tile, so the band is all of it
        if self.by != 1:  # a resized plane is brought back as a whole
            self.parts.append(band)
            if sum(part.shape[1] for part in self.parts) < self.rows:
                return
            band, top = grain.brought_back(np.concatenate(self.parts, 1), self.image.shape[-2:]), 0
            self.parts = []
        z, at = self.zs[k], np.s_[top : top + band.shape[1]]
        if self.segmenter.atlas is not None:
            first, left = self.cut.seen.top + top, self.cut.seen.left
            rows, columns = range(first, first + band.shape[1]), range(left, left + band.shape[2])
            shape, timed = self.whole.shape, self.whole.timed
            expected = self.segmenter.atlas.over(shape, [z], rows, columns, timed=timed)[:, 0]
            band = self.segmenter.atlas.weigh(band, expected)
        if self.uncertainty is not None:
            self.uncertainty.add(z, top, band)
        if self.take is not None:
            self.take(self.image.name, z, top, band)
        if self.handed is not None:
            if self.handed.add(k, top, band.astype(np.float16) if self.size else self.values[band.argmax(0)]):
                self.finished.append(k)
            return
        self.labels[k, at] = self.values[band.argmax(0)]
        if self.probabilities is not None:
            self.probabilities[:, k, at] = band
        if top + band.shape[1] == self.labels.shape[1] and not self.through:
            if self.probabilities is not None and self.size is not None:
                found = self._separated(self.probabilities[:, k])
                if found.max() >= 2**16:
                    self.labels = self.labels.astype(np.uint32, copy=False)
                self.labels[k] = found
            self.finished.append(k)
            self.begun = True

    def _separated(self, probabilities: npt.NDArray[np.float16]) -> npt.NDArray[Any]:
        assert self.size is not None, "objects are looked for"
        found = instances.separate(probabilities, self.size, self.image.spacing[-2:])
        if self.image.timed:  # no two objects of any frames have one number
            found[found > 1] += self.last - 1
            self.last = max(self.last, int(found.max()))
        return found

    def _hand_on(self, k: int, box: Box, found: npt.NDArray[Any]) -> None:
        """Let masks of a part of a plane go."""
        assert self.work.write is not None, "somebody takes them"
        labels, planes = self._separated(found) if self.size else found, None
        if self.image.data.ndim == 4:
            labels, planes = labels[None], (self.zs[k],)
        self.work.write(Prediction(self.image.name, labels, self.names, planes=planes, box=box))
        self.begun = True

    def result(self) -> Prediction:
        """Put together what is finished."""
        probabilities: npt.NDArray[Any] | None = self.probabilities if self.config.probabilities else None
        labels, planes = self.labels, None
        if len(self.finished) < self.image.planes:
            planes = tuple(self.zs[k] for k in self.finished)
            if self.uncertainty is not None:
                self.uncertainty.forget(sorted(set(self.zs) - set(planes)))
            labels = labels[self.finished] if self.handed is None else labels
            probabilities = probabilities[:, self.finished] if probabilities is not None else None
        if self.image.data.ndim == 3 and self.handed is None:
            labels, probabilities = labels[0], probabilities[:, 0] if probabilities is not None else None
        at = (..., *self.cut.inner)
        probabilities = probabilities[at] if probabilities is not None else None
        found = Prediction(
            self.image.name, labels[at], self.names, probabilities, planes, self.uncertainty, self.cut.wanted
        )
        if self.work.write is None:
            return found
        if self.handed is None:
            self.work.write(found)
        return replace(found, labels=np.zeros((0,) * found.labels.ndim, found.labels.dtype), written=True)
