"""Seeing: what the network of a project sees of a plane, in a few numbers a place that tell most."""

from collections.abc import Sequence
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from napari_sslseg import model, patches, starter, volumes, whole
from napari_sslseg.checkpoint import Checkpoint
from napari_sslseg.errors import ImageError
from napari_sslseg.image import Floats, Image, unusable
from napari_sslseg.job import Device, Job, Progress, Stop
from napari_sslseg.magnify import magnification, magnify
from napari_sslseg.model import Network
from napari_sslseg.overlay import Box
from napari_sslseg.pixel_classifier import COARSEST, by_size, enlarged, filter_bank
from napari_sslseg.project import Project
from napari_sslseg.runtime import Runtime, laid_out
from napari_sslseg.settings import FinetuneConfig, PredictConfig, PretrainConfig, RuntimeConfig
from napari_sslseg.sight import Sight
from napari_sslseg.unfinished import PRETRAIN, Unfinished, asked_to_pretrain

LENGTH = 24  # numbers of a feature
PLACES = 1 << 18  # most features of a plane: 12 MB of them
HEAD = 2.0  # weight of what the head says, beside 1 of each map of the encoder
SAMPLES, SIDE, POINTS = 6, 256, 4096  # crops of a plane that stand for it, their side, and places of each
ROBUST = (1.0, 99.0)  # percentiles that become the darkest and the brightest of a colour


def see_project(
    project: Project,
    *,
    id: str,
    z: int,
    box: Box,
    config: FinetuneConfig | None = None,
    learning: PretrainConfig | None = None,
    runtime: RuntimeConfig | None = None,
    stop: Stop | None = None,
) -> Job[Sight | None]:
    """Look at a part of a plane with what a project learnt from its images, or with what comes with the package.

    Parameters
    ----------
    project : Project
        The project.
    id : str
        The image.
    z : int
        Its plane.
    box : Box
        The part of it; what lies outside the image is left out.
    config : FinetuneConfig, optional
        Which encoder looks, and with which weights, where none was pretrained.
    learning : PretrainConfig, optional
        What a pretraining was asked for that goes on meanwhile, with the same seed: its best state so far looks, once
        there is one on the disk.
    runtime : RuntimeConfig, optional
        Device and seed.
    stop : Stop, optional
        To end early; nothing is returned then.

    Yields
    ------
    Event
        Progress.

    Returns
    -------
    Sight, optional
        What is seen.

    Raises
    ------
    ImageError
        If there is nothing to see in the image.
    """
    stop, runtime, config = stop or Stop(), runtime or RuntimeConfig(), config or FinetuneConfig()
    machine = Runtime.make(runtime)
    yield Progress(0.0, "loading the network")
    yield Device(machine.words)
    image = project.image(id)
    if reason := unusable(image):
        raise ImageError(reason, "An image with structure is needed", "Choose another image")
    best = _best_so_far(project, learning, runtime.seed, image.channels) if learning is not None else None
    start = str(project.pretrained) if project.pretrained else model.resolve(config.start, config.encoder)
    network = model.load(best, machine) if best else model.build(start, config.encoder, image.channels, machine).eval()
    if network.dimensions == 3:
        volumes.checked([image])
    known = best is not None or project.pretrained is not None or start == starter.NAME
    times = 1 if network.dimensions == 3 else magnification([image])
    seen = magnify(image, times)
    yield Progress(0.05, "looking at the image")
    look = _Look.learnt(network, known, seen, machine)
    if stop.requested:
        return None
    box = box.within(image.shape[-2:])
    part = seen.part(*(slice(times * a, times * b) for a, b in ((box.top, box.bottom), (box.left, box.right))))
    step = _step(box)
    pool = _Pool(part.shape[-2:], times * step)
    for share, _, top, band in whole.bands(network, part, (z,), PredictConfig(), look, stop):
        if band is not None:
            pool.add(top, band)
        yield Progress(0.1 + 0.9 * share, "looking at the image")
    if stop.requested:
        return None
    steps = best.history["probe"]["kept"] if best else None
    return Sight(id, z, box, step, look.colours(pool.mean), _unit(pool.mean), steps)


def _best_so_far(project: Project, learning: PretrainConfig, seed: int, channels: int) -> Checkpoint | None:
    """The best state of a pretraining that goes on; None while there is none, or none for an image like this."""
    best = Unfinished(project.path / PRETRAIN, asked_to_pretrain(project, learning, seed)).best()
    return best if best and best.config["network"]["in_channels"] == channels else None


class _Look:
    """From images to the numbers that tell most: the same ones for all parts of an image."""

    def __init__(self, network: Network, known: bool) -> None:
        self._network, self._known = network, known
        self._weights: list[Tensor] = []
        self._bias = torch.zeros(0)
        self._range = np.zeros((2, 3), np.float32)

    @classmethod
    def learnt(cls, network: Network, known: bool, image: Image, machine: Runtime) -> Self:
        """Learn which numbers tell most from pieces of an image: principal components."""
        look, numbers = cls(network, known), machine.numbers(40)
        side = min(SIDE, max(image.shape[-2:]))
        piece = network.piece([image], -(-side // network.multiple) * network.multiple)
        columns = []
        for _ in range(SAMPLES):
            crop = torch.from_numpy(patches.cut(image, patches.anywhere([image], piece.side, numbers, piece.depth)))
            maps = look._maps(laid_out(machine.place(crop[None])))
            grown = torch.cat([look._grown(m, crop.shape[1:])[0].flatten(1) for m in maps]).T.cpu()
            columns.append(grown[torch.from_numpy(numbers.integers(len(grown), size=POINTS))])
        look._learn(torch.cat(columns).double(), [m.shape[1] for m in maps], machine)
        return look

    def _learn(self, columns: Tensor, sizes: list[int], machine: Runtime) -> None:
        mean, std = columns.mean(0), columns.std(0).clamp_min(1e-4)
        weights = [HEAD if self._known and k == len(sizes) - 1 else 1.0 for k in range(len(sizes))]
        scale = torch.cat([torch.full((n,), w / n**0.5) for n, w in zip(sizes, weights, strict=True)]) / std
        values = (columns - mean) * scale
        _, basis = torch.linalg.eigh(values.T @ values)
        basis = basis.flip(1)[:, :LENGTH]
        basis = basis * basis.sum(0).sign()  # a direction has no sign of its own: the same one each time
        self._range = np.percentile((values @ basis[:, :3]).numpy(), ROBUST, axis=0).astype(np.float32)
        matrix = (basis.T * scale).float()
        self._bias = -(matrix @ mean.float()).to(machine.device)
        self._weights = [w.to(machine.device) for w in matrix.split(sizes, 1)]

    @torch.inference_mode()
    def _maps(self, images: Tensor) -> list[Tensor]:
        """What the encoder sees down to `COARSEST`, and what the head makes of it or, untaught, a filter bank."""
        network = self._network
        maps = network.encoder(images)
        used = [m for m, s in zip(maps, network.encoder.strides, strict=True) if s <= COARSEST]
        if self._known:
            return [*used, network.head(images, maps)]
        return used if images.ndim == 5 else [*used, filter_bank(images)]

    def _grown(self, maps: Tensor, size: Sequence[int]) -> Tensor:
        mode = "trilinear" if maps.ndim == 5 else "bilinear"
        return F.interpolate(maps, size=tuple(size), mode=mode, align_corners=False)

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Tensor:
        """Compute (1, LENGTH, [Z,] Y, X) of (1, C, [Z,] Y, X); each map is weighed at its own resolution."""
        maps = zip(self._weights, self._maps(images), strict=True)
        weighed = by_size(torch.einsum("kc,bc...->bk...", weight, found.float()) for weight, found in maps)
        bias = self._bias.view(1, -1, *[1] * (images.ndim - 2))
        return enlarged(bias.repeat(1, 1, *images.shape[2:]), weighed)

    def colours(self, mean: Floats) -> npt.NDArray[np.uint8]:
        """Show the first three numbers as red, green and blue."""
        low, high = self._range
        scaled = (mean[..., :3] - low) / np.maximum(high - low, 1e-6)
        return np.asarray(255 * scaled.clip(0, 1) + 0.5, np.uint8)


class _Pool:
    """Means of bands over squares of a plane."""

    def __init__(self, size: tuple[int, ...], step: int) -> None:
        self._step = step
        self._sums = np.zeros((-(-size[0] // step), -(-size[1] // step), LENGTH), np.float32)
        self._rows = np.bincount(np.arange(size[0]) // step).astype(np.float32)

    def add(self, top: int, band: Floats) -> None:
        """Add (K, rows, X), of which the first row is `top`."""
        starts = np.arange(0, band.shape[-1], self._step)
        counts = np.diff([*starts, band.shape[-1]]).astype(np.float32)
        narrow = np.add.reduceat(band, starts, axis=2) / counts
        for k in range(band.shape[1]):
            self._sums[(top + k) // self._step, :, : len(band)] += narrow[:, k].T

    @property
    def mean(self) -> Floats:
        """(h, w, K)."""
        found: Floats = self._sums / self._rows[:, None, None]
        return found


def _step(box: Box) -> int:
    """The least power of two that leaves no more than `PLACES` squares."""
    step = 1
    while -(-(box.bottom - box.top) // step) * -(-(box.right - box.left) // step) > PLACES:
        step *= 2
    return step


def _unit(mean: Floats) -> npt.NDArray[np.float16]:
    lengths = np.linalg.norm(mean, axis=-1, keepdims=True)
    return np.asarray(mean / np.maximum(lengths, 1e-6), np.float16)
