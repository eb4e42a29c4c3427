"""Denoising: images as a network sees them that was pretrained with blind spots, in their own units."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from napari_sslseg import model, volumes, whole
from napari_sslseg.augment import Orientation
from napari_sslseg.checkpoint import Checkpoint
from napari_sslseg.errors import CheckpointError, ImageError
from napari_sslseg.image import Image
from napari_sslseg.intensity import Floats
from napari_sslseg.job import Clock, Device, Job, Progress, Stop
from napari_sslseg.magnify import magnify, reduce
from napari_sslseg.methods import painter
from napari_sslseg.prediction import Denoised
from napari_sslseg.runtime import Runtime
from napari_sslseg.settings import PredictConfig, RuntimeConfig

LEARN = "Learn with the method denoise: napari-sslseg pretrain IMAGES --project FOLDER --method denoise"


class Denoiser(nn.Module):
    """The network and the layer that draws pixels, as pretraining with ``denoise`` left them.

    Parameters
    ----------
    checkpoint : Checkpoint
        What was pretrained.
    runtime : Runtime
        Device and seed.
    """

    def __init__(self, checkpoint: Checkpoint, runtime: Runtime) -> None:
        super().__init__()
        self.network = model.load(checkpoint, runtime)
        self.output = painter(self.network)
        self.output.load_state_dict(checkpoint.part("output"))
        self.to(runtime.device).eval()

    @torch.inference_mode()
    def forward(self, images: Tensor, flips: bool) -> Tensor:
        """Denoise normalised images.

        Parameters
        ----------
        images : torch.Tensor
            (B, C, [Z,] Y, X), sides divisible by the network's `multiple`, planes by its `depth_multiple`.
        flips : bool
            Whether to average over the four mirrored copies.

        Returns
        -------
        torch.Tensor
            (B, C, [Z,] Y, X), normalised.
        """
        ways: list[tuple[int, ...]] = [(), (-1,), (-2,), (-2, -1)] if flips else [()]
        found = [self.output(self.network.features(images.flip(w))).flip(w) for w in ways]
        return torch.stack(found).mean(0)


def denoise(
    images: Iterable[Image],
    checkpoint: Checkpoint,
    config: PredictConfig,
    *,
    planes: dict[str, tuple[int, ...]] | None = None,
    runtime: RuntimeConfig | None = None,
    stop: Stop | None = None,
) -> Job[list[Denoised]]:
    """Denoise images with a network that was pretrained by ``denoise`` (Noise2Void, Krull et al., CVPR 2019).

    Parameters
    ----------
    images : iterable of Image
        Images of the same channels as those learnt from, of any size.
    checkpoint : Checkpoint
        What was pretrained.
    config : PredictConfig
        Tiles, and whether to average over mirrored copies.
    planes : dict of str to tuple of int, optional
        Planes to denoise, by name of the image; all of an image that is not named.
    runtime : RuntimeConfig, optional
        Device and seed.
    stop : Stop, optional
        To end early; the images that are done are returned.

    Yields
    ------
    Event
        Progress with time left.

    Returns
    -------
    list of Denoised
        One an image.

    Raises
    ------
    CheckpointError
        If the checkpoint was not pretrained by ``denoise``.
    ImageError
        If an image has other channels than those learnt from.
    """
    check(checkpoint)
    return (yield from drawn(images, checkpoint, config, Denoiser, planes=planes, runtime=runtime, stop=stop))


def drawn(
    images: Iterable[Image],
    checkpoint: Checkpoint,
    config: PredictConfig,
    kind: type[Denoiser],
    *,
    planes: dict[str, tuple[int, ...]] | None = None,
    runtime: RuntimeConfig | None = None,
    stop: Stop | None = None,
) -> Job[list[Denoised]]:
    """Draw images anew with the layer that pretraining left behind.

    Parameters
    ----------
    images : iterable of Image
        Images of the same channels as those learnt from, of any size.
    checkpoint : Checkpoint
        What was pretrained, by a method that draws pixels.
    config : PredictConfig
        Tiles, and whether to average over mirrored copies.
    kind : type
        How they are drawn.
    planes : dict of str to tuple of int, optional
        Planes to draw, by name of the image; all of an image that is not named.
    runtime : RuntimeConfig, optional
        Device and seed.
    stop : Stop, optional
        To end early; the images that are done are returned.

    Yields
    ------
    Event
        Progress with time left.

    Returns
    -------
    list of Denoised
        One an image.

    Raises
    ------
    ImageError
        If an image has other channels than those learnt from.
    """
    stop, machine = stop or Stop(), Runtime.make(runtime or RuntimeConfig())
    yield Progress(0.0, "loading the network")
    yield Device(machine.words)
    denoiser, images = kind(checkpoint, machine), list(images)
    for image in images:
        if image.channels != denoiser.network.in_channels:
            raise ImageError(
                f"{image.name} has {image.channels} channel(s)",
                f"The network learnt from images of {denoiser.network.in_channels}",
                "Choose images of the same kind, or learn from these",
            )
    if denoiser.network.dimensions == 3:
        volumes.checked(images)
    work = [(planes or {}).get(i.name) or tuple(range(i.planes)) for i in images]
    sizes = [len(zs) * i.shape[-2] * i.shape[-1] for zs, i in zip(work, images, strict=True)]
    done, clock = list[Denoised](), Clock()
    for k, (image, zs) in enumerate(zip(images, work, strict=True)):
        one = _Image(image, zs, denoiser, checkpoint, config)
        for share in one.run(stop):
            event = clock.event(image.name, (sum(sizes[:k]) + share * sizes[k]) / sum(sizes))
            if event is not None:
                yield event
        if stop.requested:
            return done
        done.append(one.result())
    yield Progress(1.0, "done", 0.0)
    return done


def check(checkpoint: Checkpoint) -> None:
    """Raise CheckpointError unless a checkpoint can denoise.

    Parameters
    ----------
    checkpoint : Checkpoint
        Any checkpoint.
    """
    method = checkpoint.config.get("pretrain", {}).get("method")
    if method != "denoise":
        learnt = f"pretrained by {method!r}" if method else "trained on labels"
        raise CheckpointError(f"The checkpoint was {learnt}", "Denoising needs one pretrained by 'denoise'", LEARN)
    if not checkpoint.part("output"):
        raise CheckpointError(
            "The checkpoint was written by an older version, which did not keep the part that draws pixels",
            "Denoising needs that part",
            LEARN,
        )


class _Image:
    """Denoising of one image: fills an array band by band."""

    def __init__(
        self, image: Image, zs: tuple[int, ...], denoiser: Denoiser, checkpoint: Checkpoint, config: PredictConfig
    ) -> None:
        self.image, self.zs, self.denoiser, self.config = image, zs, denoiser, config
        times = int(checkpoint.config.get("magnification", 1))
        self.seen = magnify(image, times) if max(image.shape[-2:]) * times <= config.tile else image
        self.times = self.seen.shape[-1] // image.shape[-1]
        self.flips = config.flips and Orientation.of(checkpoint.config["pretrain"]).free
        self.pixels = np.zeros((image.channels, len(zs), *image.shape[-2:]), np.float32)

    def run(self, stop: Stop) -> Iterator[float]:
        """Denoise plane by plane, or in boxes; yields the share that is done, after each tile."""
        for share, k, top, band in whole.bands(
            self.denoiser.network, self.seen, self.zs, self.config, lambda x: self.denoiser(x, self.flips), stop
        ):
            yield share
            if band is not None:
                self._fill(k, top, band)

    def _fill(self, k: int, top: int, band: Floats) -> None:
        band = reduce(band, self.times)  # a magnified plane is one tile, so the band is all of it
        self.pixels[:, k, top : top + band.shape[1]] = self.seen.intensity().restore(band)

    def result(self) -> Denoised:
        """Put together what was found."""
        flat = self.image.data.ndim == 3
        planes = None if len(self.zs) == self.image.planes else self.zs
        return Denoised(self.image.name, self.pixels[:, 0] if flat else self.pixels, planes)
