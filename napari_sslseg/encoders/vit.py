"""A small vision transformer with a convolutional stem, from random weights."""

import math

import torch
from torch import Tensor, nn

from napari_sslseg.encoders import TokenEncoder

WIDTH, HEADS, DEPTH = 192, 6, 6
PERIOD = 16  # tokens after which positions repeat, so that images larger than a crop hold no unknown position


def _halve(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False), nn.GroupNorm(8, outputs), nn.GELU())


class ViT(TokenEncoder):
    """ViT (Dosovitskiy et al., ICLR 2021) with a convolutional stem (Xiao et al., NeurIPS 2021), 2.8 million weights.

    Parameters
    ----------
    in_channels : int
        Channels of the image.
    """

    channels = (32, 64, WIDTH)
    strides = (2, 4, 8)

    def __init__(self, in_channels: int) -> None:
        super().__init__(in_channels)
        self.stem = nn.ModuleList([_halve(in_channels, 32), _halve(32, 64), _halve(64, WIDTH)])
        block = nn.TransformerEncoderLayer(
            WIDTH, HEADS, 4 * WIDTH, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(block, DEPTH, nn.LayerNorm(WIDTH), enable_nested_tensor=False)

    def stems(self, image: Tensor) -> list[Tensor]:
        """Compute maps at strides 2, 4 and 8 by convolutions alone."""
        maps = []
        for stage in self.stem:
            image = stage(image)
            maps.append(image)
        maps[-1] = maps[-1] + positions(*image.shape[-2:]).to(image)
        return maps

    def forward(self, image: Tensor) -> list[Tensor]:
        """Compute maps at strides 2, 4 and 8."""
        fine, middle, tokens = self.stems(image)
        seen = self.blocks(tokens.flatten(2).transpose(1, 2))
        return [fine, middle, seen.transpose(1, 2).unflatten(2, tokens.shape[-2:])]


def positions(height: int, width: int) -> Tensor:
    """Sines and cosines of the row and the column of each token (Vaswani et al., NeurIPS 2017).

    Parameters
    ----------
    height, width : int
        Tokens along each axis.

    Returns
    -------
    torch.Tensor
        (WIDTH, height, width).
    """
    rates = torch.exp(-math.log(100.0) * torch.arange(WIDTH // 4) / (WIDTH // 4))[:, None]
    y, x = ((torch.arange(n) % PERIOD)[None] * rates for n in (height, width))
    rows, columns = (torch.cat([v.sin(), v.cos()]) for v in (y, x))
    return torch.cat([rows[:, :, None].expand(-1, -1, width), columns[:, None].expand(-1, height, -1)])


component = ViT
