"""Restoration: predict the pixels that were masked out, shuffled or covered with noise."""

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_sslseg import augment
from napari_sslseg.methods import Method
from napari_sslseg.model import Network
from napari_sslseg.objective import Batch

BLOCKS = (4, 8, 16, 32)  # px: sides of the masked blocks
MASKED = 0.4  # share of the pixels that is masked


class Restore(Method):
    """Models Genesis (Zhou et al., Medical Image Analysis 2021) with block masks as in MAE (He et al., CVPR 2022).

    Parameters
    ----------
    network : Network
        Encoder and head that learn.
    side : int
        Side of the crops.
    """

    def __init__(self, network: Network, side: int) -> None:
        super().__init__(network, side)
        self.geometry = augment.Geometry(side)
        self.output = nn.Conv2d(network.head.width, network.in_channels, 1)

    def prepare(self, crops: Tensor) -> Batch:
        """Turn and mirror the crops, then corrupt copies of them."""
        blank = torch.zeros(crops.shape[-2:], dtype=torch.long)
        clean = torch.stack([self.geometry(crop, blank)[0] for crop in crops])
        mask = block_mask(len(clean), self.side)
        seen = augment.intensity(shuffle(clean))
        seen = torch.where(mask, 0.5 * torch.randn(len(clean), 1, 1, 1) + 0.5 * torch.randn_like(clean), seen)
        return {"seen": seen, "clean": clean, "mask": mask}

    def restored(self, seen: Tensor) -> Tensor:
        """Predict the clean crops from the corrupted ones.

        Parameters
        ----------
        seen : torch.Tensor
            (B, C, Y, X), corrupted.

        Returns
        -------
        torch.Tensor
            (B, C, Y, X), restored.
        """
        result: Tensor = self.output(self.network.features(seen))
        return result

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Compute the restoration error, masked and visible pixels weighing the same."""
        error = F.smooth_l1_loss(self.restored(batch["seen"]), batch["clean"], reduction="none")
        mask = batch["mask"].expand_as(error)
        return {"loss": 0.5 * error[mask].mean() + 0.5 * error[~mask].mean()}

    @torch.no_grad()
    def picture(self, batch: Batch) -> npt.NDArray[np.float32]:
        """Show clean, corrupted and restored side by side, of the first crop's first channel."""
        shown = [batch["clean"][0, 0], batch["seen"][0, 0], self.restored(batch["seen"][:1])[0, 0]]
        row = torch.cat(shown, 1).clamp(-2.5, 2.5)
        return np.asarray(((row + 2.5) / 5).cpu(), np.float32)


def block_mask(count: int, side: int) -> Tensor:
    """Draw masks of square blocks of several sizes.

    Parameters
    ----------
    count : int
        How many masks.
    side : int
        Side of a mask in pixels.

    Returns
    -------
    torch.Tensor
        (count, 1, side, side) bool, about `MASKED` of it True.
    """
    each = 1 - (1 - MASKED) ** (1 / len(BLOCKS))
    mask = torch.zeros(count, 1, side, side, dtype=torch.bool)
    for block in BLOCKS:
        cells = -(-side // block)
        drawn = torch.rand(count, 1, cells, cells) < each
        mask |= drawn.repeat_interleave(block, 2).repeat_interleave(block, 3)[..., :side, :side]
    return mask


def shuffle(images: Tensor, window: int = 4) -> Tensor:
    """Shuffle pixels inside small windows, in a fifth of the windows.

    Parameters
    ----------
    images : torch.Tensor
        (B, C, Y, X), sides divisible by `window`.
    window : int, optional
        Side of a window in pixels.

    Returns
    -------
    torch.Tensor
        (B, C, Y, X).
    """
    b, c, h, w = images.shape
    cells = images.reshape(b, c, h // window, window, w // window, window).permute(0, 2, 4, 1, 3, 5).flatten(4)
    order = torch.rand(b, h // window, w // window, 1, window * window).argsort(-1)
    mixed = cells.gather(-1, order.expand_as(cells))
    chosen = torch.rand(b, h // window, w // window, 1, 1) < 0.2
    cells = torch.where(chosen, mixed, cells).unflatten(4, (window, window))
    result: Tensor = cells.permute(0, 3, 1, 4, 2, 5).reshape(b, c, h, w)
    return result


component = Restore
