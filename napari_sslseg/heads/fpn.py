"""A light top-down decoder with a skip from every map and from the image itself."""

import torch.nn.functional as F
from torch import Tensor, nn

from napari_sslseg.heads import Head

WIDTHS = {1: 16, 2: 24, 4: 32, 8: 48, 16: 64, 32: 64}  # channels of the decoder at each stride


def _unit(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
        nn.GroupNorm(8, outputs),
        nn.ReLU(inplace=True),
    )


class FPN(Head):
    """Feature pyramid (Lin et al., CVPR 2017) with U-Net-like refinement down to full resolution, 0.2 million weights.

    Parameters
    ----------
    in_channels : int
        Channels of the image.
    channels, strides : tuple of int
        Channels and strides of the encoder's maps, finest first.
    """

    width = WIDTHS[1]

    def __init__(self, in_channels: int, channels: tuple[int, ...], strides: tuple[int, ...]) -> None:
        super().__init__(in_channels, channels, strides)
        if strides[0] > 1:  # the image itself is the finest map
            channels, strides = (in_channels, *channels), (1, *strides)
        widths = [WIDTHS.get(s, 64) for s in strides]
        self.lateral = nn.ModuleList(
            _unit(c, w, 3 if s == 1 else 1) for c, w, s in zip(channels, widths, strides, strict=True)
        )
        self.down = nn.ModuleList(nn.Conv2d(a, b, 1) for a, b in zip(widths[1:], widths, strict=False))
        self.refine = nn.ModuleList(_unit(w, w, 3) for w in widths[:-1])

    def forward(self, image: Tensor, maps: list[Tensor]) -> Tensor:
        """Bring the maps together, coarsest first."""
        maps = [image, *maps] if self.strides[0] > 1 else maps
        x: Tensor = self.lateral[-1](maps[-1])
        for i in reversed(range(len(maps) - 1)):
            x = F.interpolate(self.down[i](x), size=maps[i].shape[-2:], mode="bilinear", align_corners=False)
            x = self.refine[i](x + self.lateral[i](maps[i]))
        return x


component = FPN
