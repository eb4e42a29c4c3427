"""Restoring: images as a network draws them that sees each part hidden, from what lies around it."""

from collections.abc import Iterable

import torch
from torch import Tensor

from napari_sslseg.checkpoint import Checkpoint
from napari_sslseg.denoising import Denoiser, drawn
from napari_sslseg.errors import CheckpointError
from napari_sslseg.image import Image
from napari_sslseg.job import Job, Stop
from napari_sslseg.methods import METHODS, Restoring
from napari_sslseg.prediction import Denoised
from napari_sslseg.settings import PredictConfig, RuntimeConfig

HIDDEN = 8  # px: side of the squares, or cubes, of which every other one is hidden at a time


class Restorer(Denoiser):
    """Draws each part from those around it, hidden in turn like the black and the white fields of a chessboard.

    Parameters
    ----------
    checkpoint : Checkpoint
        What was pretrained.
    runtime : Runtime
        Device and seed.
    """

    @torch.inference_mode()
    def forward(self, images: Tensor, flips: bool) -> Tensor:
        """Restore normalised images.

        Parameters
        ----------
        images : torch.Tensor
            (B, C, [Z,] Y, X), sides divisible by the network's `multiple`, planes by its `depth_multiple`.
        flips : bool
            Not used: four looks are enough.

        Returns
        -------
        torch.Tensor
            (B, C, [Z,] Y, X), normalised; no pixel was seen when it was drawn.
        """
        noise = torch.randn(images.shape[2:], generator=torch.Generator().manual_seed(0)).to(images)
        drawn = []
        for start in (0, HIDDEN // 2):  # the middles of one board's fields are the corners of the other's
            black = _board(images.shape[2:], start).to(images.device)
            hidden = [torch.where(fields, noise, images) for fields in (black, ~black)]
            first, second = (self.output(self.network.features(h)) for h in hidden)
            drawn.append(torch.where(black, first, second))
        return (drawn[0] + drawn[1]) / 2


def _board(size: Iterable[int], start: int) -> Tensor:
    """The black fields of a chessboard, of any dimensions, moved by so many pixels."""
    fields = torch.zeros((), dtype=torch.long)
    for length in size:
        fields = fields[..., None] + (torch.arange(length) + start) // HIDDEN
    return fields % 2 == 0


def restore(
    images: Iterable[Image],
    checkpoint: Checkpoint,
    config: PredictConfig,
    *,
    planes: dict[str, tuple[int, ...]] | None = None,
    runtime: RuntimeConfig | None = None,
    stop: Stop | None = None,
) -> Job[list[Denoised]]:
    """Draw images with a network that was pretrained to restore them, each part from what lies around it.

    Parameters
    ----------
    images : iterable of Image
        Images of the same channels as those learnt from, of any size.
    checkpoint : Checkpoint
        What was pretrained.
    config : PredictConfig
        Tiles.
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
    CheckpointError
        If what was pretrained does not restore.
    ImageError
        If an image has other channels than those learnt from.
    """
    check(checkpoint)
    return (yield from drawn(images, checkpoint, config, Restorer, planes=planes, runtime=runtime, stop=stop))


def check(checkpoint: Checkpoint) -> None:
    """Raise CheckpointError unless a checkpoint can restore.

    Parameters
    ----------
    checkpoint : Checkpoint
        Any checkpoint.
    """
    method = checkpoint.config.get("pretrain", {}).get("method")
    if method not in METHODS.names() or not issubclass(METHODS.load(method), Restoring):
        learnt = f"pretrained by {method!r}" if method else "trained on labels"
        raise CheckpointError(
            f"The checkpoint was {learnt}",
            "Only a method that restores what was hidden can show it, such as 'recall'",
            "Learn with such a method",
        )
    if not checkpoint.part("output"):
        raise CheckpointError(
            "The checkpoint was written by an older version, which did not keep the part that draws pixels",
            "Restoring needs that part",
            "Learn again",
        )
