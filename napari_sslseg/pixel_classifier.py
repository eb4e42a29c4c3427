"""Pixel classifier: a small network over what a frozen encoder and a filter bank say of each single pixel."""

import copy
import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from napari_sslseg.encoders import Encoder
from napari_sslseg.hidden import UNITS, Hidden, halved
from napari_sslseg.job import Stop
from napari_sslseg.styles import Others, Styles
from napari_sslseg.trees import Trees

SIGMAS = (0.7, 1.4, 2.8, 5.6, 11.2)  # px: scales of the filter bank
RESPONSES = 4  # smoothed value, gradient, both eigenvalues of the Hessian
REDUCTIONS = (1, 2)  # by how much the images are made smaller, each time the encoder looks at them
COARSEST = 16  # px of the image: stride of the coarsest map that is used; coarser ones let strokes be learnt by heart
STEPS, BATCH, RATE, DECAY = 150, 512, 1e-3, 1e-2
SURE, AGAIN = 0.8, 2  # how probable a class is where it is learnt from without a label, and how often that is done


class PixelClassifier(Hidden):
    """Hypercolumns (Hariharan et al., CVPR 2015) and a multi-scale filter bank, classified by one hidden layer.

    It has far fewer weights to learn than a decoder, so a handful of strokes settles it within seconds. Where there is
    less than that, trees over the filter bank can be averaged with it.

    Parameters
    ----------
    encoder : Encoder
        A copy of it is kept, and never changed.
    classes : int
        Classes to tell apart.
    magnification : int, optional
        How many pixels the network sees for one pixel of the image, along a side.
    reductions : tuple of int, optional
        By how much the images are made smaller, along a side, each time the encoder looks at them.

    Attributes
    ----------
    trees : Trees or None
        What is averaged with it, if anything.
    """

    def __init__(
        self, encoder: Encoder, classes: int, magnification: int = 1, reductions: tuple[int, ...] = REDUCTIONS
    ) -> None:
        used = sum(s <= COARSEST * magnification for s in encoder.strides)
        sizes = (*encoder.channels[:used] * len(reductions), RESPONSES * len(SIGMAS) * encoder.in_channels)
        super().__init__(sum(sizes), classes)
        self.reductions, self.magnification, self.used, self.sizes = reductions, magnification, used, sizes
        self.encoder = copy.deepcopy(encoder).requires_grad_(False).eval()
        self.trees: Trees | None = None

    def add_trees(self) -> None:
        """Have trees over the filter bank averaged with it from now on; they are to be learnt yet."""
        self.trees = Trees(self.sizes[-1], self.output.out_features).to(self.mean.device)

    def train(self, mode: bool = True) -> "PixelClassifier":
        """Switch between training and use; the encoder stays in use."""
        super().train(mode)
        self.encoder.eval()
        return self

    @torch.no_grad()
    def maps(self, images: Tensor) -> list[Tensor]:
        """Compute what is known of each pixel.

        Parameters
        ----------
        images : torch.Tensor
            (B, C, Y, X), sides divisible by the encoder's last stride times all reductions.

        Returns
        -------
        list of torch.Tensor
            The encoder's maps up to a stride of 16 pixels of each reduced image, finest first, and the filter bank.
        """
        looks = [F.avg_pool2d(images, r) if r > 1 else images for r in self.reductions]
        return [*(m for x in looks for m in self.encoder(x)[: self.used]), filter_bank(images)]

    def grown(self, images: Tensor) -> Tensor:
        """Continue images at the right and below, up to sides that all reductions can be made of.

        Parameters
        ----------
        images : torch.Tensor
            (B, C, Y, X).

        Returns
        -------
        torch.Tensor
            (B, C, Y, X) of the same or larger sides.
        """
        multiple = math.lcm(*self.reductions) * self.encoder.strides[-1]
        height, width = images.shape[-2:]
        return F.pad(images, (0, -width % multiple, 0, -height % multiple), mode="replicate")

    def columns(self, images: Tensor, points: npt.NDArray[np.intp]) -> Tensor:
        """Read the columns of single pixels of one image.

        Parameters
        ----------
        images : torch.Tensor
            (1, C, Y, X).
        points : numpy.ndarray
            (N, 2) pixels (y, x).

        Returns
        -------
        torch.Tensor
            (N, F), maps interpolated linearly.
        """
        return read(self.maps(self.grown(images)), points)

    def forward(self, images: Tensor) -> Tensor:
        """Compute class scores of every pixel.

        The hidden layer is applied to each map at its own resolution, which gives the same as applying it to the
        enlarged maps at a fraction of the work; a few of its units at a time, for which memory at hand is enough.

        Parameters
        ----------
        images : torch.Tensor
            (B, C, Y, X).

        Returns
        -------
        torch.Tensor
            (B, classes, Y, X) logits.
        """
        weight, bias = self.folded()
        grown = self.grown(images)
        *maps, fine = self.maps(grown)
        *coarse, last = (w[:, :, None, None] for w in weight.split(self.sizes, 1))
        small = by_size(F.conv2d(m, w) for m, w in zip(maps, coarse, strict=True))
        output = self.output.weight[:, :, None, None]
        logits = self.output.bias[None, :, None, None]
        for start in range(0, self.hidden.out_features, UNITS):
            units = slice(start, start + UNITS)
            total = enlarged(F.conv2d(fine, last[units], bias[units]), [m[:, units] for m in small])
            logits = logits + F.conv2d(F.relu(total, inplace=True), output[:, units])
        if self.trees is not None:  # the logarithm of the sum of both probabilities
            logits = torch.logaddexp(F.log_softmax(logits, 1), F.log_softmax(self.trees(fine), 1))
        return logits[..., : images.shape[-2], : images.shape[-1]]

    def fit(self, columns: Tensor, targets: Tensor, stop: Stop, others: Others | None = None) -> None:
        """Learn from labelled pixels, every class weighing the same; anything learnt before is forgotten.

        With other pixels it learns the differences between classes rather than those between images: each labelled
        pixel is moved by a random part of the difference between the mean of its image and that of another one (after
        MixStyle: Zhou et al., ICLR 2021). Else an image in which only one class is painted stands for that class.

        If it may guess, it learns twice more, half from the labels and half from what it then is sure of among the
        others (self-training: Scudder 1965; Lee 2013, with soft targets). Among those, a class that is found more often
        weighs as the root of how often.

        Parameters
        ----------
        columns : torch.Tensor
            (N, F).
        targets : torch.Tensor
            (N,) classes from 0.
        stop : Stop
            Looked at before every step; what was learnt until then stays.
        others : Others, optional
            Pixels without a label.
        """
        if self.trees is not None:
            bank = columns[:, -self.sizes[-1] :]
            self.trees.fit(bank, targets, bank[:0] if others is None else others.columns[:, -self.sizes[-1] :], stop)
        self.standardise(columns)
        known, classes = (columns - self.mean) / self.std, self.output.out_features
        labels, weights = F.one_hot(targets, classes).to(known.dtype), _even(targets, classes, 1.0)
        if others is None:
            self._learn(known, labels, weights, stop)
            return
        further = (others.columns - self.mean) / self.std
        styles = Styles.of(further, others)
        self._learn(known, labels, weights, stop, styles)
        for _ in range(AGAIN if others.guessed else 0):
            with torch.no_grad():
                guesses = self.output(F.relu(self.hidden(further))).softmax(1)
            sure, found = guesses.max(1)
            sure = sure >= SURE
            if stop.requested or not sure.any():
                return
            seen, taught = torch.cat([known, further[sure]]), torch.cat([labels, guesses[sure]])
            each = torch.cat([weights, _even(found[sure], classes, 0.5)])
            self._learn(seen, taught, each, stop, styles and styles.joined(others.images[sure]))

    def _learn(self, known: Tensor, labels: Tensor, weights: Tensor, stop: Stop, styles: Styles | None = None) -> None:
        """Learn anew from (N, F) standardised columns and (N, K) labels, drawn as often as their weights say."""

        def loss() -> Tensor:
            chosen = torch.multinomial(weights.cpu(), BATCH, replacement=True).to(known.device)
            columns = known[chosen] if styles is None else known[chosen] + styles.moves(chosen)
            hidden = F.relu(self.hidden(halved(columns)))
            return F.cross_entropy(self.output(halved(hidden)), labels[chosen])

        self.learn(loss, STEPS, RATE, DECAY, stop)


def _even(found: Tensor, classes: int, power: float) -> Tensor:
    """Weights of pixels that sum to 1: less for those of frequent classes, by a power of how frequent."""
    counts = torch.bincount(found, minlength=classes).clamp_min(1).to(torch.float32)
    weights = (counts**-power)[found]
    return weights / weights.sum()


def read(maps: list[Tensor], points: npt.NDArray[np.intp]) -> Tensor:
    """Read the columns of single pixels from what `PixelClassifier.maps` returned.

    Parameters
    ----------
    maps : list of torch.Tensor
        (1, C, h, w) each, the last one of the size of the image.
    points : numpy.ndarray
        (N, 2) pixels (y, x).

    Returns
    -------
    torch.Tensor
        (N, F), maps interpolated linearly.
    """
    size = torch.tensor(maps[-1].shape[-2:], dtype=torch.float32)
    at = ((torch.from_numpy(points).float() + 0.5) * 2 / size - 1).flip(-1)[None, :, None].to(maps[-1].device)
    found = [F.grid_sample(m, at, padding_mode="border", align_corners=False) for m in maps]
    return torch.cat(found, 1)[0, :, :, 0].T


def by_size(maps: Iterable[Tensor]) -> list[Tensor]:
    """Add up maps of the same size.

    Parameters
    ----------
    maps : iterable of torch.Tensor
        (B, K, [d,] h, w) of any sizes.

    Returns
    -------
    list of torch.Tensor
        One of each size.
    """
    found: dict[torch.Size, Tensor] = {}
    for one in maps:
        found[one.shape] = found[one.shape] + one if one.shape in found else one
    return list(found.values())


def enlarged(total: Tensor, maps: Iterable[Tensor]) -> Tensor:
    """Add coarser maps to a map, interpolated linearly.

    Parameters
    ----------
    total : torch.Tensor
        (B, K, [Z,] Y, X); changed.
    maps : iterable of torch.Tensor
        (B, K, [d,] h, w) of any sizes.

    Returns
    -------
    torch.Tensor
        `total`.
    """
    for one in maps:
        mode = "trilinear" if total.ndim == 5 else "bilinear"
        total += F.interpolate(one, size=total.shape[2:], mode=mode, align_corners=False)
    return total


def filter_bank(images: Tensor) -> Tensor:
    """Smoothed value, gradient magnitude and Hessian eigenvalues of each channel at several scales.

    Parameters
    ----------
    images : torch.Tensor
        (B, C, Y, X).

    Returns
    -------
    torch.Tensor
        (B, 4 C scales, Y, X), derivatives normalised by scale (Lindeberg 1998).
    """
    found = []
    for sigma in SIGMAS:
        smooth = _blur(images, sigma)
        dy, dx = _slope(smooth, -2), _slope(smooth, -1)
        yy, xy, xx = _slope(dy, -2), _slope(dy, -1), _slope(dx, -1)
        half, spread = (yy + xx) / 2, torch.sqrt(((yy - xx) / 2) ** 2 + xy**2)
        scale = sigma**2
        found += [smooth, sigma * torch.hypot(dy, dx), scale * (half + spread), scale * (half - spread)]
    return torch.cat(found, 1)


def _blur(images: Tensor, sigma: float) -> Tensor:
    radius = math.ceil(3 * sigma)
    at = torch.arange(-radius, radius + 1, dtype=images.dtype, device=images.device)
    kernel = torch.exp(-0.5 * (at / sigma) ** 2)
    kernel = (kernel / kernel.sum()).repeat(images.shape[1], 1, 1, 1)
    groups = images.shape[1]
    padded = F.pad(images, (radius, radius, radius, radius), mode="replicate")
    rows = F.conv2d(padded, kernel, groups=groups)
    return F.conv2d(rows, kernel.transpose(-1, -2), groups=groups)


def _slope(images: Tensor, axis: int) -> Tensor:
    slope: Tensor = torch.gradient(images, dim=axis)[0]
    return slope
