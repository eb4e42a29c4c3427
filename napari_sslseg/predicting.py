"""Prediction: masks and probabilities of whole images, in overlapping tiles blended without seams."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from napari_sslseg import grain, instances, vast, volumes, whole
from napari_sslseg import segmenter as segmenters
from napari_sslseg.augment import Orientation
from napari_sslseg.checkpoint import Checkpoint
from napari_sslseg.errors import CheckpointError, ImageError
from napari_sslseg.image import Image
from napari_sslseg.job import Clock, Device, Job, Progress, Stop
from napari_sslseg.magnify import magnify, reduce
from napari_sslseg.overlay import Box
from napari_sslseg.prediction import Prediction
from napari_sslseg.runtime import Runtime
from napari_sslseg.segmenter import Segmenter
from napari_sslseg.settings import PredictConfig, RuntimeConfig
from napari_sslseg.uncertainty import Uncertainty

OBJECT_CLASSES = ("background", "core", "contour")

Take = Callable[[str, int, int, npt.NDArray[np.float32]], None]
Keep = Callable[[Prediction], Prediction]


def predict(
    images: Iterable[Image],
    checkpoint: Checkpoint,
    config: PredictConfig,
    *,
    planes: dict[str, tuple[int, ...]] | None = None,
    boxes: dict[str, Box] | None = None,
    take: Take | None = None,
    keep: Keep | None = None,
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
    runtime : RuntimeConfig, optional
        Device and seed.
    stop : Stop, optional
        To end early; what is done is returned, of the image that it was at its planes that are done. Objects that go
        through planes are not: they are told apart at the end.

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
    work = [tuple(sorted((planes or {}).get(i.name) or range(i.planes))) for i in images]
    cuts = [_Cut.of(i, (boxes or {}).get(i.name), config.overlap) for i in images]
    sizes = [len(zs) * c.pixels for zs, c in zip(work, cuts, strict=True)]
    _check_room(sum(sizes), checkpoint, config)
    total, before, clock = sum(sizes), 0.0, Clock()
    for image, zs, cut, size in zip(images, work, cuts, sizes, strict=True):
        one = _Image(image, zs, cut, segmenter, checkpoint, config, take)
        for share in one.run(stop):
            if (event := clock.event(image.name, (before + share * size) / total)) is not None:
                yield event
        if one.finished or not stop.requested:
            done.append(keep(one.result()) if keep else one.result())
        if stop.requested:
            return done
        before += size
    yield Progress(1.0, "done", 0.0)
    return done


def _check_room(pixels: int, checkpoint: Checkpoint, config: PredictConfig) -> None:
    """Refuse what would not fit into memory, before the system ends the process for it."""
    kept = config.probabilities or checkpoint.config["object_size"] is not None
    needed, free = pixels * (2 + 2 * len(checkpoint.config["values"]) * kept), vast.free()
    if needed > free:
        raise ImageError(
            f"Masks of {pixels / 1e6:,.0f} million pixels were asked for, which take {needed / 2**30:.1f} GiB",
            f"This machine has {free / 2**30:.1f} GiB of memory left",
            "Predict fewer images or planes at a time, or a part of them; classes of zarr images are written to disk "
            "piece by piece by the command predict, or under Export… by Predict a folder…",
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


def _factor(image: Image, said: Mapping[str, Any]) -> float:
    """By how much an image is resized so that its objects are as large as painted ones."""
    if not said.get("grains") or image.channels * math.prod(image.shape) > grain.MOST:
        return 1.0
    return grain.factor(grain.grain(image), said["grains"])


class _Image:
    """Prediction of one image: fills label and probability arrays band by band."""

    def __init__(
        self,
        whole: Image,
        zs: tuple[int, ...],
        cut: _Cut,
        segmenter: Segmenter,
        checkpoint: Checkpoint,
        config: PredictConfig,
        take: Take | None,
    ) -> None:
        image, said = cut.of_image(whole), checkpoint.config
        self.whole, self.cut, self.take = whole, cut, take if cut.wanted is None else None
        self.times = int(said.get("magnification", 1))
        self.image, self.zs, self.segmenter, self.config = image, zs, segmenter, config
        self.by, self.parts = _factor(whole, said), list[npt.NDArray[np.float32]]()
        sized = grain.resized(image, self.by)
        self.rows = sized.shape[-2]
        fits = math.ceil(max(whole.shape[-2:]) * self.by) * self.times <= config.tile
        self.seen = magnify(sized, self.times) if fits else sized
        self.times = self.seen.shape[-1] // sized.shape[-1]
        self.flips = config.flips and Orientation.of(said["finetune"]).free
        self.values = np.asarray(said["values"], np.uint16)
        self.size = instances.ObjectSize(**said["object_size"]).reduced(self.by) if said["object_size"] else None
        shape = (len(zs), *image.shape[-2:])
        self.labels = np.zeros(shape, np.uint16)
        self.through = self.size is not None and image.data.ndim == 4 and len(zs) == image.planes and not cut.wanted
        self.finished: list[int] = []  # which of the planes
        self.uncertainty = None if cut.wanted else Uncertainty.empty(len(self.values), image.shape)
        self.probabilities: npt.NDArray[np.float16] | None = None
        if config.probabilities or self.size:
            self.probabilities = np.zeros((len(self.values), *shape), np.float16)

    def run(self, stop: Stop) -> Iterator[float]:
        """Predict plane by plane, or in boxes; yields the share that is done, after each tile."""
        network, flips = self.segmenter.network, self.flips
        for share, k, top, band in whole.bands(
            network, self.seen, self.zs, self.config, lambda x: self.segmenter.probabilities(x, flips), stop
        ):
            yield share
            if band is not None:
                self._fill(k, top, band)
        if self.through and not stop.requested and self.probabilities is not None and self.size is not None:
            found = instances.separate(self.probabilities, self.size, self.image.spacing)
            self.labels = found.astype(np.uint16 if found.max() < 2**16 else np.uint32)
            self.finished = list(range(len(self.zs)))

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
            expected = self.segmenter.atlas.over(self.whole.shape, [z], rows, columns)[:, 0]
            band = self.segmenter.atlas.weigh(band, expected)
        self.labels[k, at] = self.values[band.argmax(0)]
        if self.uncertainty is not None:
            self.uncertainty.add(z, top, band)
        if self.take is not None:
            self.take(self.image.name, z, top, band)
        if self.probabilities is not None:
            self.probabilities[:, k, at] = band
        if top + band.shape[1] == self.labels.shape[1] and not self.through:
            self._finish(k)

    def _finish(self, k: int) -> None:
        if self.probabilities is not None and self.size is not None:
            self.labels[k] = instances.separate(self.probabilities[:, k], self.size, self.image.spacing[-2:])
        self.finished.append(k)

    def result(self) -> Prediction:
        """Put together what is finished."""
        names = OBJECT_CLASSES if self.size else tuple(str(v) for v in self.values)
        probabilities: npt.NDArray[Any] | None = self.probabilities if self.config.probabilities else None
        labels, planes = self.labels, None
        if len(self.finished) < self.image.planes:
            planes = tuple(self.zs[k] for k in self.finished)
            if self.uncertainty is not None:
                self.uncertainty.forget(sorted(set(self.zs) - set(planes)))
            labels = labels[self.finished]
            probabilities = probabilities[:, self.finished] if probabilities is not None else None
        if self.image.data.ndim == 3:
            labels, probabilities = labels[0], probabilities[:, 0] if probabilities is not None else None
        at = (..., *self.cut.inner)
        probabilities = probabilities[at] if probabilities is not None else None
        return Prediction(self.image.name, labels[at], names, probabilities, planes, self.uncertainty, self.cut.wanted)
