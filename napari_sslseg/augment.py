"""Views of a crop: geometry by torchvision's v2 transforms, intensity by changes that hold for any kind of image."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

MARGIN = 1.5  # a crop is read this much larger, so that turning it brings in no empty corners


class Geometry:
    """Random turn, zoom and mirroring of an image and its labels alike.

    Parameters
    ----------
    side : int
        Side of the result in pixels.
    turn : float, optional
        Largest rotation in degrees.
    zoom : tuple of float, optional
        Least and largest magnification.
    """

    def __init__(self, side: int, turn: float = 20.0, zoom: tuple[float, float] = (0.75, 1.33)) -> None:
        self._side, self._turn, self._zoom = side, turn, zoom
        self._transform = v2.Compose(
            [
                v2.RandomAffine(turn, scale=zoom, interpolation=v2.InterpolationMode.BILINEAR, fill=None),
                v2.CenterCrop(side),
                v2.RandomHorizontalFlip(),
                v2.RandomVerticalFlip(),
            ]
        )

    def __call__(self, image: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Transform both.

        Parameters
        ----------
        image : torch.Tensor
            (C, n, n), n at least `MARGIN` times the side.
        labels : torch.Tensor
            (n, n) integers; resampled to the nearest pixel.

        Returns
        -------
        torch.Tensor
            (C, side, side).
        torch.Tensor
            (side, side).
        """
        a, b = self._transform(tv_tensors.Image(image), tv_tensors.Mask(labels[None]))
        a, b = a.as_subclass(Tensor), b.as_subclass(Tensor)[0]
        if torch.rand(()) < 0.5:
            a, b = a.transpose(-1, -2), b.transpose(-1, -2)
        return a.contiguous(), b.contiguous()

    def images(self, batch: Tensor) -> Tensor:
        """Transform images that have no labels, each in its own way: as one by one, but all at once, which is faster.

        Parameters
        ----------
        batch : torch.Tensor
            (B, C, n, n), n at least `MARGIN` times the side.

        Returns
        -------
        torch.Tensor
            (B, C, side, side).
        """
        count, size, side = len(batch), batch.shape[-1], self._side
        turn, zoom, across, down, swapped = torch.rand(count, 5)[:, :, None, None].unbind(1)  # as they are drawn above
        angle = torch.deg2rad(self._turn * (2 * turn - 1))
        zoom = self._zoom[0] + (self._zoom[1] - self._zoom[0]) * zoom
        line = torch.arange(side) + round((size - side) / 2) - (size - 1) / 2  # px from the middle of the crop
        x = torch.where(across < 0.5, line.flip(0), line)
        y = torch.where(down < 0.5, line.flip(0), line).transpose(1, 2)
        places = (x.expand(-1, side, -1), y.expand(-1, -1, side))
        x, y = (torch.where(swapped < 0.5, p.transpose(1, 2), p) for p in places)
        cos, sin = angle.cos() / zoom, angle.sin() / zoom
        grid = torch.stack([x * cos + y * sin, y * cos - x * sin], -1) * (2 / size)
        return F.grid_sample(batch, grid, align_corners=False)


def intensity(batch: Tensor, strength: float = 1.0) -> Tensor:
    """Change brightness, contrast, gamma, noise and sharpness of each image; the same way in all its channels but gain.

    Parameters
    ----------
    batch : torch.Tensor
        (B, C, Y, X), zero mean and unit variance.
    strength : float, optional
        0 leaves images as they are, 1 is usual.

    Returns
    -------
    torch.Tensor
        (B, C, Y, X).
    """
    size, channels = batch.shape[:2]
    one = (size, 1, 1, 1)
    gain = 1 + strength * 0.25 * (2 * torch.rand(size, channels, 1, 1) - 1)
    offset = strength * 0.25 * torch.randn(one)
    power = torch.exp(strength * 0.25 * torch.randn(one))
    low, high = batch.amin((1, 2, 3), keepdim=True), batch.amax((1, 2, 3), keepdim=True)
    span = (high - low).clamp_min(1e-3)
    result = (((batch - low) / span).clamp_min(1e-6) ** power * span + low) * gain + offset
    blurred = F.avg_pool2d(result, 3, 1, 1, count_include_pad=False)
    sharpness = strength * torch.where(torch.rand(one) < 0.3, torch.rand(one), torch.zeros(one))
    result = result + sharpness * (blurred - result)
    noise = strength * torch.where(torch.rand(one) < 0.3, 0.2 * torch.rand(one), torch.zeros(one))
    return result + noise * torch.randn_like(result)
