"""Corruption: what is done to crops that a network then restores, and how well it did."""

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_sslseg import augment

BLOCKS = (4, 8, 16, 32)  # px: sides of the masked blocks
MASKED = 0.4  # share of the pixels that is masked


def corrupted(clean: Tensor) -> tuple[Tensor, Tensor]:
    """Shuffle, change and mask crops; random numbers come from torch's global state.

    Parameters
    ----------
    clean : torch.Tensor
        (B, C, n, n), n divisible by 4.

    Returns
    -------
    torch.Tensor
        (B, C, n, n), corrupted; noise where it is masked.
    torch.Tensor
        (B, 1, n, n) bool, what is masked.
    """
    mask = block_mask(len(clean), clean.shape[-1])
    seen = augment.intensity(shuffle(clean))
    noise = 0.5 * torch.randn(len(clean), 1, 1, 1) + 0.5 * torch.randn_like(clean)
    return torch.where(mask, noise, seen), mask


def restoration(found: Tensor, clean: Tensor, mask: Tensor) -> Tensor:
    """Compute the error of restored crops, masked and visible pixels weighing the same.

    Parameters
    ----------
    found, clean : torch.Tensor
        (B, C, Y, X).
    mask : torch.Tensor
        (B, 1, Y, X) bool.

    Returns
    -------
    torch.Tensor
        Scalar, smooth L1.
    """
    error = F.smooth_l1_loss(found, clean, reduction="none")
    hidden = mask.expand_as(error)
    return 0.5 * error[hidden].mean() + 0.5 * error[~hidden].mean()


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
