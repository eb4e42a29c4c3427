"""Corruption: what is done to crops that a network then restores, and how well it did."""

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_sslseg import augment

BLOCKS = (4, 8, 16, 32)  # px: sides of the masked blocks
MASKED = 0.4  # share of the pixels that is masked
OUTPAINTED, WINDOWS, WINDOW = 0.2, 3, (0.25, 0.6)  # share of the crops; most windows in one; their sides, of a crop's
BENT, KNOTS = 0.3, 33  # share of the crops whose intensities follow a curve; its points
DROPPED = 0.2  # share of the crops of several channels that lack one


def corrupted(clean: Tensor) -> tuple[Tensor, Tensor]:
    """Shuffle, change and mask crops; random numbers come from torch's global state.

    Masked are blocks, or all but a few windows; of some crops of several channels one channel is masked as well.

    Parameters
    ----------
    clean : torch.Tensor
        (B, C, [Z,] n, n), n divisible by 4.

    Returns
    -------
    torch.Tensor
        (B, C, [Z,] n, n), corrupted; noise where it is masked, the mean in a channel that is.
    torch.Tensor
        (B, 1 or C, [Z,] n, n) bool, what is masked.
    """
    count, channels, side = len(clean), clean.shape[1], clean.shape[-1]
    depth = None if clean.ndim == 4 else clean.shape[2]
    mask = block_mask(count, side, depth)
    seen = augment.intensity(shuffle(clean))
    noise = 0.5 * torch.randn(count, *_ones(clean)) + 0.5 * torch.randn_like(clean)
    seen = torch.where(_some(clean, BENT), bend(seen), seen)
    mask = torch.where(_some(clean, OUTPAINTED), around_windows(count, side, depth), mask)
    seen = torch.where(mask, noise, seen)
    if channels == 1:
        return seen, mask
    gone = F.one_hot(torch.randint(channels, (count,)), channels).bool().view(count, channels, *_ones(clean)[1:])
    gone = gone & _some(clean, DROPPED)
    return seen.masked_fill(gone, 0.0), mask | gone


def _some(crops: Tensor, share: float) -> Tensor:
    """Choose a share of the crops, (B, 1, [1,] 1, 1) bool."""
    return torch.rand(len(crops), *_ones(crops)) < share


def _ones(crops: Tensor) -> tuple[int, ...]:
    return (1,) * (crops.ndim - 1)


def restoration(found: Tensor, clean: Tensor, mask: Tensor) -> Tensor:
    """Compute the error of restored crops, masked and visible pixels weighing the same.

    Parameters
    ----------
    found, clean : torch.Tensor
        (B, C, [Z,] Y, X).
    mask : torch.Tensor
        (B, 1 or C, [Z,] Y, X) bool.

    Returns
    -------
    torch.Tensor
        Scalar, smooth L1.
    """
    error = F.smooth_l1_loss(found, clean, reduction="none")
    hidden = mask.expand_as(error)
    return 0.5 * error[hidden].mean() + 0.5 * error[~hidden].mean()


def block_mask(count: int, side: int, depth: int | None = None) -> Tensor:
    """Draw masks of square blocks of several sizes; of volumes, of cubes up to half the side.

    Parameters
    ----------
    count : int
        How many masks.
    side : int
        Side of a mask in pixels.
    depth : int, optional
        Planes of a mask of volumes.

    Returns
    -------
    torch.Tensor
        (count, 1, [depth,] side, side) bool, about `MASKED` of it True.
    """
    blocks = BLOCKS if depth is None else [b for b in BLOCKS if 2 * b <= side]
    each = 1 - (1 - MASKED) ** (1 / len(blocks))
    sides = (side, side) if depth is None else (depth, side, side)
    mask = torch.zeros(count, 1, *sides, dtype=torch.bool)
    for block in blocks:
        drawn = torch.rand(count, 1, *(-(-n // block) for n in sides)) < each
        for axis, n in enumerate(sides, start=2):
            drawn = drawn.repeat_interleave(block, axis).narrow(axis, 0, n)
        mask |= drawn
    return mask


def around_windows(count: int, side: int, depth: int | None = None) -> Tensor:
    """Mask all but one to three rectangles, as in outpainting (Zhou et al., Medical Image Analysis 2021).

    In volumes these are the same in all planes.

    Parameters
    ----------
    count : int
        How many masks.
    side : int
        Side of a mask in pixels.
    depth : int, optional
        Planes of a mask of volumes.

    Returns
    -------
    torch.Tensor
        (count, 1, [depth,] side, side) bool.
    """
    least, most = WINDOW
    lengths = side * (least + (most - least) * torch.rand(2, count, WINDOWS, 1))
    starts = (side - lengths) * torch.rand(2, count, WINDOWS, 1)
    line = torch.arange(side)
    y, x = (line >= starts) & (line < starts + lengths)
    used = torch.arange(WINDOWS) < torch.randint(1, WINDOWS + 1, (count, 1))
    seen = y[..., :, None] & x[..., None, :] & used[..., None, None]
    result: Tensor = ~seen.any(1, keepdim=True)
    return result if depth is None else result[:, :, None].expand(-1, -1, depth, -1, -1)


def bend(images: Tensor) -> Tensor:
    """Map the intensities of each image along a rising Bezier curve, the same one in all its channels.

    Parameters
    ----------
    images : torch.Tensor
        (B, C, [Z,] Y, X).

    Returns
    -------
    torch.Tensor
        (B, C, [Z,] Y, X) of the same range; brighter pixels stay brighter.
    """
    count = len(images)
    first, second = torch.rand(count, 2, 2).sort(1).values[:, :, None].unbind(1)  # what guides the curve, (x, y) each
    t = torch.linspace(0, 1, KNOTS)[:, None]
    curve = 3 * t * (1 - t) ** 2 * first + 3 * t**2 * (1 - t) * second + t**3  # (B, KNOTS, 2) from (0, 0) to (1, 1)
    x, y = curve[..., 0].contiguous(), curve[..., 1]
    values = images.flatten(1)
    low, high = values.amin(1, keepdim=True), values.amax(1, keepdim=True)
    span = (high - low).clamp_min(1e-3)
    values = (values - low) / span
    after = torch.searchsorted(x, values).clamp(1, KNOTS - 1)
    x0, x1, y0, y1 = (line.gather(1, at) for line in (x, y) for at in (after - 1, after))
    bent = y0 + (y1 - y0) * (values - x0) / (x1 - x0).clamp_min(1e-6)
    return (bent * span + low).view_as(images)


def shuffle(images: Tensor, window: int = 4) -> Tensor:
    """Shuffle pixels inside small windows, in a fifth of the windows; of volumes in each plane on its own.

    Parameters
    ----------
    images : torch.Tensor
        (B, C, [Z,] Y, X); what is left over at the right and below stays as it is.
    window : int, optional
        Side of a window in pixels.

    Returns
    -------
    torch.Tensor
        (B, C, [Z,] Y, X).
    """
    if images.ndim == 5:
        planes = images.transpose(1, 2)
        return shuffle(planes.flatten(0, 1), window).view(planes.shape).transpose(1, 2)
    b, c, *sides = images.shape
    h, w = (n // window * window for n in sides)
    inner = images[..., :h, :w].reshape(b, c, h // window, window, w // window, window)
    cells = inner.permute(0, 2, 4, 1, 3, 5).flatten(4)
    order = torch.rand(b, h // window, w // window, 1, window * window).argsort(-1)
    mixed = cells.gather(-1, order.expand_as(cells))
    chosen = torch.rand(b, h // window, w // window, 1, 1) < 0.2
    cells = torch.where(chosen, mixed, cells).unflatten(4, (window, window))
    result = images.clone()
    result[..., :h, :w] = cells.permute(0, 3, 1, 4, 2, 5).reshape(b, c, h, w)
    return result
