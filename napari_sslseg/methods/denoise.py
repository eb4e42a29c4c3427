"""Blind-spot denoising: predict pixels from their surroundings, which do not know the pixel's own noise."""

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from napari_sslseg.distributed import together
from napari_sslseg.methods import Method, painter, side_by_side
from napari_sslseg.model import Network
from napari_sslseg.objective import Batch

CELL = 7  # px: one blind spot in each square of this side, so 2 % of the pixels
REACH = 2  # px: how far away the pixel may be that takes the place of a blind spot


class Denoise(Method):
    """Noise2Void (Krull et al., CVPR 2019).

    Parameters
    ----------
    network : Network
        Encoder and head that learn.
    side : int
        Side of the crops.
    """

    dimensions = (2, 3)

    def __init__(self, network: Network, side: int) -> None:
        super().__init__(network, side)
        self.output = painter(network)

    def prepare(self, crops: Tensor) -> Batch:
        """Mirror the crops and put a neighbour's value into the blind spots."""
        noisy = self.moved(crops, turn=0.0, zoom=(1.0, 1.0))  # interpolation would smear the noise
        planes = noisy[:, 0].numel() // self.side**2  # noise differs from plane to plane, and so do the spots
        spots = blind_spots(planes, self.side).reshape(len(noisy), 1, *noisy.shape[2:])
        return {"seen": torch.where(spots, neighbours(noisy), noisy), "noisy": noisy, "spots": spots}

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Compute the mean squared error of the blind spots."""
        found: Tensor = together(lambda seen: self.output(self.network.features(seen)), batch["seen"])
        error = F.mse_loss(found, batch["noisy"], reduction="none")
        return {"loss": error[batch["spots"].expand_as(error)].mean()}

    def kept(self) -> dict[str, Tensor]:
        """Keep the layer that draws pixels: with it images are denoised."""
        return {f"output.{name}": weight for name, weight in self.output.state_dict().items()}

    @torch.no_grad()
    def picture(self, batch: Batch) -> npt.NDArray[np.float32]:
        """Show the first crop's first channel as it is and denoised, side by side."""
        noisy = batch["noisy"][:1]
        return side_by_side([noisy[0, 0], self.output(self.network.features(noisy))[0, 0]])


def blind_spots(count: int, side: int) -> Tensor:
    """Draw one pixel in each cell of a grid.

    Parameters
    ----------
    count : int
        How many masks.
    side : int
        Side of a mask in pixels.

    Returns
    -------
    torch.Tensor
        (count, 1, side, side) bool.
    """
    cells = -(-side // CELL)
    chosen = F.one_hot(torch.randint(CELL * CELL, (count, cells, cells)), CELL * CELL).bool()
    mask = chosen.unflatten(-1, (CELL, CELL)).permute(0, 1, 3, 2, 4).reshape(count, 1, cells * CELL, cells * CELL)
    result: Tensor = mask[..., :side, :side]
    return result


def neighbours(images: Tensor) -> Tensor:
    """Replace every pixel by another one nearby in its plane, never by itself; all channels alike.

    Parameters
    ----------
    images : torch.Tensor
        (B, C, [Z,] Y, X).

    Returns
    -------
    torch.Tensor
        (B, C, [Z,] Y, X).
    """
    if images.ndim == 5:
        planes = images.transpose(1, 2)
        return neighbours(planes.flatten(0, 1)).view(planes.shape).transpose(1, 2)
    count, channels, height, width = images.shape
    window = 2 * REACH + 1
    chosen = torch.randint(window * window - 1, (count, 1, height, width))
    chosen = chosen + (chosen >= window * window // 2)  # leaves out the middle
    y = torch.arange(height)[:, None] + chosen // window - REACH
    x = torch.arange(width) + chosen % window - REACH
    y, x = (_mirror(v, n) for v, n in ((y, height), (x, width)))
    return images.flatten(2).gather(2, (y * width + x).flatten(2).expand(-1, channels, -1)).view_as(images)


def _mirror(index: Tensor, size: int) -> Tensor:
    """Bring indices that leave an axis back into it, as in a mirror beside the last pixel."""
    return torch.where(index < 0, -index, torch.where(index >= size, 2 * size - 2 - index, index))


component = Denoise
