"""Views of a crop: geometry by torchvision's v2 transforms, intensity by changes that hold for any kind of image."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

MARGIN = 1.5  # a crop is read this much larger, so that turning it brings in no empty corners


@dataclass(frozen=True)
class Orientation:
    """What may be done to an image without making it one that cannot occur.

    Parameters
    ----------
    flips : bool, optional
        Whether it may be mirrored; not where left and right differ, as in radiology.
    turn : bool, optional
        Whether it may be turned by any angle; not where up and down differ.
    """

    flips: bool = True
    turn: bool = True

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Self:
        """Take it from stored parameters; from those of older versions, which had none, that it does not matter.

        Parameters
        ----------
        said : mapping of str to object
            Parameters by name.

        Returns
        -------
        Orientation
            What they allow.
        """
        return cls(said.get("flips", True), said.get("turn", True))

    @property
    def free(self) -> bool:
        """Whether all mirrored and turned copies are as good as the image."""
        return self.flips and self.turn

    def allowed(self, drawn: Tensor) -> Tensor:
        """Leave out what may not be done.

        Parameters
        ----------
        drawn : torch.Tensor
            (3, ...) bool: mirror X, mirror Y, exchange Y and X.

        Returns
        -------
        torch.Tensor
            (3, ...) bool. Turns alone are those of the eight with an even number of mirrorings.
        """
        across, down, swapped = drawn
        if not self.turn:
            down = swapped = torch.zeros_like(down)
        if not self.flips:
            across = down ^ swapped
        return torch.stack([across, down, swapped])


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
    orientation : Orientation, optional
        Whether it may be mirrored and turned at all.
    """

    def __init__(
        self,
        side: int,
        turn: float = 20.0,
        zoom: tuple[float, float] = (0.75, 1.33),
        orientation: Orientation = Orientation(),
    ) -> None:
        self._side, self._zoom, self._orientation = side, zoom, orientation
        self._turn = turn if orientation.turn else 0.0
        affine = v2.RandomAffine(self._turn, scale=zoom, interpolation=v2.InterpolationMode.BILINEAR, fill=None)
        self._transform = v2.Compose([affine, v2.CenterCrop(side)])

    def __call__(self, image: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Transform both.

        Parameters
        ----------
        image : torch.Tensor
            (C, [Z,] n, n), n at least `MARGIN` times the side; all planes of a volume are moved alike.
        labels : torch.Tensor
            ([Z,] n, n) integers; resampled to the nearest pixel.

        Returns
        -------
        torch.Tensor
            (C, [Z,] side, side).
        torch.Tensor
            ([Z,] side, side).
        """
        if labels.ndim == 3:
            a, b = self._transform(tv_tensors.Image(image.flatten(0, 1)), tv_tensors.Mask(labels))
            a, b = a.as_subclass(Tensor).unflatten(0, image.shape[:2]), b.as_subclass(Tensor)
        else:
            a, b = self._transform(tv_tensors.Image(image), tv_tensors.Mask(labels[None]))
            a, b = a.as_subclass(Tensor), b.as_subclass(Tensor)[0]
        across, down, swapped = self._orientation.allowed(torch.rand(3) < 0.5)
        mirrored = [axis for axis, chosen in ((-1, across), (-2, down)) if chosen]
        a, b = a.flip(mirrored), b.flip(mirrored)
        if swapped:
            a, b = a.transpose(-1, -2), b.transpose(-1, -2)
        return a.contiguous(), b.contiguous()

    def images(self, batch: Tensor) -> Tensor:
        """Transform images that have no labels, each in its own way: as one by one, but all at once, which is faster.

        Parameters
        ----------
        batch : torch.Tensor
            (B, C, [Z,] n, n), n at least `MARGIN` times the side; all planes of a volume are moved alike.

        Returns
        -------
        torch.Tensor
            (B, C, [Z,] side, side).
        """
        count, size, side = len(batch), batch.shape[-1], self._side
        turn, zoom, *drawn = torch.rand(count, 5)[:, :, None, None].unbind(1)  # as they are drawn above
        across, down, swapped = self._orientation.allowed(torch.stack(drawn) < 0.5)
        angle = torch.deg2rad(self._turn * (2 * turn - 1))
        zoom = self._zoom[0] + (self._zoom[1] - self._zoom[0]) * zoom
        line = torch.arange(side) + round((size - side) / 2) - (size - 1) / 2  # px from the middle of the crop
        x = torch.where(across, line.flip(0), line)
        y = torch.where(down, line.flip(0), line).transpose(1, 2)
        places = (x.expand(-1, side, -1), y.expand(-1, -1, side))
        x, y = (torch.where(swapped, p.transpose(1, 2), p) for p in places)
        cos, sin = angle.cos() / zoom, angle.sin() / zoom
        grid = torch.stack([x * cos + y * sin, y * cos - x * sin], -1) * (2 / size)
        return sampled(batch, grid)


def sampled(images: Tensor, grid: Tensor, padding_mode: str = "zeros") -> Tensor:
    """Read images at places of their planes, interpolating linearly; the planes of a volume all at the same places.

    Parameters
    ----------
    images : torch.Tensor
        (B, C, [Z,] Y, X).
    grid : torch.Tensor
        (B, h, w, 2), (x, y) from -1 to 1.
    padding_mode : str, optional
        What is beyond the image, as in ``torch.nn.functional.grid_sample``.

    Returns
    -------
    torch.Tensor
        (B, C, [Z,] h, w).
    """
    if images.ndim == 4:
        return F.grid_sample(images, grid, padding_mode=padding_mode, align_corners=False)
    flat = F.grid_sample(images.flatten(1, 2), grid, padding_mode=padding_mode, align_corners=False)
    result: Tensor = flat.unflatten(1, images.shape[1:3])
    return result


def intensity(batch: Tensor, strength: float = 1.0) -> Tensor:
    """Change brightness, contrast, gamma, noise and sharpness of each image; the same way in all its channels but gain.

    Parameters
    ----------
    batch : torch.Tensor
        (B, C, [Z,] Y, X), zero mean and unit variance.
    strength : float, optional
        0 leaves images as they are, 1 is usual.

    Returns
    -------
    torch.Tensor
        (B, C, [Z,] Y, X).
    """
    size, channels = batch.shape[:2]
    own = range(1, batch.ndim)
    one = (size, *(1 for _ in own))
    gain = 1 + strength * 0.25 * (2 * torch.rand(size, channels, *one[2:]) - 1)
    offset = strength * 0.25 * torch.randn(one)
    power = torch.exp(strength * 0.25 * torch.randn(one))
    low, high = batch.amin(tuple(own), keepdim=True), batch.amax(tuple(own), keepdim=True)
    span = (high - low).clamp_min(1e-3)
    result = (((batch - low) / span).clamp_min(1e-6) ** power * span + low) * gain + offset
    blurred = F.avg_pool2d(result.flatten(1, -3), 3, 1, 1, count_include_pad=False).reshape(result.shape)
    sharpness = strength * torch.where(torch.rand(one) < 0.3, torch.rand(one), torch.zeros(one))
    result = result + sharpness * (blurred - result)
    noise = strength * torch.where(torch.rand(one) < 0.3, 0.2 * torch.rand(one), torch.zeros(one))
    return result + noise * torch.randn_like(result)
