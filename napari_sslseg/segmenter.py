"""Segmenter: what predicts in the end, a trained network and a pixel classifier averaged."""

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_sslseg import model
from napari_sslseg.atlas import Atlas
from napari_sslseg.calibration import Calibration
from napari_sslseg.checkpoint import Checkpoint
from napari_sslseg.encoders import ENCODERS
from napari_sslseg.pixel_classifier import PixelClassifier
from napari_sslseg.runtime import Runtime, laid_out

PREFIX = "pixels."


class Segmenter(nn.Module):
    """A network and a pixel classifier over the frozen start of its encoder.

    Parameters
    ----------
    network : model.Network
        Network with a classifier.
    pixels : PixelClassifier, optional
        Left out if None.
    share : float
        Weight of the pixel classifier in the average, 0 to 1.
    calibration : Calibration, optional
        What is done to the average, which comes from learning as if all classes were equally frequent.
    atlas : Atlas, optional
        Where each class is to be expected; it is for the caller, who knows the place of a crop.
    """

    def __init__(
        self,
        network: model.Network,
        pixels: PixelClassifier | None,
        share: float,
        calibration: Calibration = Calibration(),
        atlas: Atlas | None = None,
    ) -> None:
        super().__init__()
        self.network, self.pixels, self.share = network, pixels, share
        self.calibration, self.atlas = calibration, atlas

    @torch.inference_mode()
    def probabilities(self, images: Tensor, flips: bool) -> Tensor:
        """Compute class probabilities.

        Parameters
        ----------
        images : torch.Tensor
            (B, C, [Z,] Y, X), sides divisible by the network's `multiple`, planes by its `depth_multiple`.
        flips : bool
            Whether to average the network over the four copies mirrored along Y and X.

        Returns
        -------
        torch.Tensor
            (B, K, [Z,] Y, X), summing to 1 over K.
        """
        return self.calibration(self.even(images, flips))

    @torch.inference_mode()
    def even(self, images: Tensor, flips: bool) -> Tensor:
        """Compute class probabilities as if all classes were equally frequent.

        Parameters
        ----------
        images : torch.Tensor
            (B, C, [Z,] Y, X), sides divisible by the network's `multiple`, planes by its `depth_multiple`.
        flips : bool
            Whether to average the network over the four copies mirrored along Y and X.

        Returns
        -------
        torch.Tensor
            (B, K, [Z,] Y, X), summing to 1 over K.
        """
        return next(self.mixed(images, flips, self.share))

    @torch.inference_mode()
    def mixed(self, images: Tensor, flips: bool, *shares: float) -> Iterator[Tensor]:
        """Compute class probabilities as if all classes were equally frequent, for several shares.

        Parameters
        ----------
        images : torch.Tensor
            (B, C, [Z,] Y, X), sides divisible by the network's `multiple`, planes by its `depth_multiple`.
        flips : bool
            Whether to average the network over the four copies mirrored along Y and X.
        *shares : float
            Weights of the pixel classifier in the average, 0 to 1; not used without one.

        Yields
        ------
        torch.Tensor
            (B, K, [Z,] Y, X), summing to 1 over K, for each share.
        """
        images = laid_out(images)
        ways: list[tuple[int, ...]] = [(), (-1,), (-2,), (-2, -1)] if flips else [()]
        found = torch.stack([F.softmax(self.network(images.flip(w)), 1).flip(w) for w in ways]).mean(0)
        beside = F.softmax(self.pixels(images), 1) if self.pixels is not None and any(shares) else None
        for share in shares:
            yield found if beside is None or share == 0 else (1 - share) * found + share * beside

    def tensors(self) -> dict[str, Tensor]:
        """Return the weights as a checkpoint holds them.

        Returns
        -------
        dict of str to torch.Tensor
            Copies on the CPU; those of the pixel classifier begin with ``pixels.``.
        """
        found = dict(self.network.state_dict())
        if self.pixels is not None and self.share > 0:
            found |= {PREFIX + k: v for k, v in self.pixels.state_dict().items()}
        return {k: v.detach().cpu().clone() for k, v in found.items()}

    def describe(self) -> dict[str, Any]:
        """Return what is needed to build this again, beside the network's own description.

        Returns
        -------
        dict
            ``pixel_share``: 0 without a pixel classifier; its ``pixel_reductions``, and whether it has ``pixel_trees``;
            ``calibration``; ``atlas``.
        """
        share = self.share if self.pixels is not None else 0.0
        said: dict[str, Any] = {"pixel_share": share, "calibration": self.calibration.to_dict()}
        if self.atlas is not None:
            said["atlas"] = self.atlas.to_dict()
        if self.pixels is not None:
            said |= {"pixel_reductions": list(self.pixels.reductions), "pixel_trees": self.pixels.trees is not None}
        return said


def load(checkpoint: Checkpoint, runtime: Runtime) -> Segmenter:
    """Build the segmenter of a checkpoint, ready to predict.

    Parameters
    ----------
    checkpoint : Checkpoint
        A trained model.
    runtime : Runtime
        Device and seed.

    Returns
    -------
    Segmenter
        In evaluation mode, on the runtime's device.
    """
    network = model.load(checkpoint, runtime)
    share = float(checkpoint.config.get("pixel_share", 0.0))
    pixels = None
    if share:
        encoder = ENCODERS.load(network.names["encoder"])(network.in_channels)
        said = checkpoint.config
        reductions = tuple(int(r) for r in said.get("pixel_reductions", (1,)))
        pixels = PixelClassifier(encoder, network.classes, int(said.get("magnification", 1)), reductions)
        if said.get("pixel_trees"):
            pixels.add_trees()
        pixels.load_state_dict(checkpoint.part("pixels"))
    calibration = Calibration.from_dict(checkpoint.config.get("calibration"))
    atlas = Atlas.from_dict(checkpoint.config.get("atlas"))
    return Segmenter(network, pixels, share, calibration, atlas).to(runtime.device).eval()
