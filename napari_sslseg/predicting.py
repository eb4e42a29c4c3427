"""Prediction: masks and probabilities of whole images, in overlapping tiles blended without seams."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_sslseg import instances, volumes, whole
from napari_sslseg import segmenter as segmenters
from napari_sslseg.augment import Orientation
from napari_sslseg.checkpoint import Checkpoint
from napari_sslseg.errors import CheckpointError, ImageError
from napari_sslseg.image import Image
from napari_sslseg.job import Job, Progress, Rhythm, Stop
from napari_sslseg.magnify import magnify, reduce
from napari_sslseg.prediction import Prediction
from napari_sslseg.runtime import Runtime
from napari_sslseg.segmenter import Segmenter
from napari_sslseg.settings import PredictConfig, RuntimeConfig
from napari_sslseg.uncertainty import Uncertainty

OBJECT_CLASSES = ("background", "core", "contour")

Take = Callable[[str, int, int, npt.NDArray[np.float32]], None]


def predict(
    images: Iterable[Image],
    checkpoint: Checkpoint,
    config: PredictConfig,
    *,
    planes: dict[str, tuple[int, ...]] | None = None,
    take: Take | None = None,
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
    take : callable, optional
        Is given the name of an image, a plane, a row and how probable each class is from that row on, (K, rows, X), of
        all that is predicted.
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
    """
    stop, machine = stop or Stop(), Runtime.make(runtime or RuntimeConfig())
    if checkpoint.config.get("kind") != "trained":
        raise CheckpointError("The checkpoint was pretrained but not trained on labels", "Train before predicting")
    yield Progress(0.0, "loading the network")
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
    work = [(planes or {}).get(i.name) or tuple(range(i.planes)) for i in images]
    total = sum(len(zs) * i.shape[-1] * i.shape[-2] for zs, i in zip(work, images, strict=True))
    before, clock = 0.0, Clock()
    for image, zs in zip(images, work, strict=True):
        one = _Image(image, zs, segmenter, checkpoint, config, take)
        size = len(zs) * image.shape[-1] * image.shape[-2]
        for share in one.run(stop):
            if (event := clock.event(image.name, (before + share * size) / total)) is not None:
                yield event
        if stop.requested:
            return [*done, one.result()] if one.finished else done
        done.append(one.result())
        before += size
    yield Progress(1.0, "done", 0.0)
    return done


class Clock:
    """Turns shares of work done into progress with time left, some ten times a second at most."""

    def __init__(self) -> None:
        import time

        self._rhythm, self._now = Rhythm(), time.monotonic
        self._began = self._now()

    def event(self, text: str, fraction: float) -> Progress | None:
        """Make the next event.

        Parameters
        ----------
        text : str
            What is being done.
        fraction : float
            Share of the work done, 0 to 1.

        Returns
        -------
        Progress, optional
            None if the last one was just now.
        """
        if not self._rhythm.due():
            return None
        spent = self._now() - self._began
        return Progress(fraction, text, spent * (1 - fraction) / fraction if fraction > 0 else None)


class _Image:
    """Prediction of one image: fills label and probability arrays band by band."""

    def __init__(
        self,
        image: Image,
        zs: tuple[int, ...],
        segmenter: Segmenter,
        checkpoint: Checkpoint,
        config: PredictConfig,
        take: Take | None,
    ) -> None:
        said, self.take = checkpoint.config, take
        self.times = int(said.get("magnification", 1))
        self.image, self.zs, self.segmenter, self.config = image, zs, segmenter, config
        self.seen = magnify(image, self.times) if max(image.shape[-2:]) * self.times <= config.tile else image
        self.times = self.seen.shape[-1] // image.shape[-1]
        self.flips = config.flips and Orientation.of(said["finetune"]).free
        self.values = np.asarray(said["values"], np.uint16)
        self.size = instances.ObjectSize(**said["object_size"]) if said["object_size"] else None
        shape = (image.planes, *image.shape[-2:])
        self.labels = np.zeros(shape, np.uint16)
        self.through = self.size is not None and image.data.ndim == 4 and len(zs) == image.planes
        self.finished: list[int] = []  # planes, in order
        self.uncertainty = Uncertainty.empty(len(self.values), image.shape)
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
                self._fill(self.zs[k], top, band)
        if self.through and not stop.requested and self.probabilities is not None and self.size is not None:
            found = instances.separate(self.probabilities, self.size, self.image.spacing)
            self.labels = found.astype(np.uint16 if found.max() < 2**16 else np.uint32)
            self.finished = list(self.zs)

    def _fill(self, z: int, top: int, band: npt.NDArray[np.float32]) -> None:
        band = reduce(band, self.times)  # a magnified plane is one tile, so the band is all of it
        at = np.s_[top : top + band.shape[1]]
        if self.segmenter.atlas is not None:
            rows, columns = range(top, top + band.shape[1]), range(band.shape[2])
            expected = self.segmenter.atlas.over(self.image.shape, [z], rows, columns)[:, 0]
            band = self.segmenter.atlas.weigh(band, expected)
        self.labels[z, at] = self.values[band.argmax(0)]
        self.uncertainty.add(z, top, band)
        if self.take is not None:
            self.take(self.image.name, z, top, band)
        if self.probabilities is not None:
            self.probabilities[:, z, at] = band
        if top + band.shape[1] == self.labels.shape[1] and not self.through:
            self._finish(z)

    def _finish(self, z: int) -> None:
        if self.probabilities is not None and self.size is not None:
            self.labels[z] = instances.separate(self.probabilities[:, z], self.size, self.image.spacing[-2:])
        self.finished.append(z)

    def result(self) -> Prediction:
        """Put together what is finished."""
        flat = self.image.data.ndim == 3
        names = OBJECT_CLASSES if self.size else tuple(str(v) for v in self.values)
        probabilities: npt.NDArray[Any] | None = self.probabilities if self.config.probabilities else None
        if flat and probabilities is not None:
            probabilities = probabilities[:, 0]
        planes = None if len(self.finished) == self.image.planes else tuple(self.finished)
        if len(self.finished) < len(self.zs):
            unfinished = sorted(set(self.zs) - set(self.finished))
            self.labels[unfinished] = 0
            self.uncertainty.forget(unfinished)
        labels = self.labels[0] if flat else self.labels
        return Prediction(self.image.name, labels, names, probabilities, planes, self.uncertainty)
