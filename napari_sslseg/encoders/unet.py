"""A compact U-Net contracting path from random weights."""

import itertools

from torch import Tensor, nn

from napari_sslseg.encoders import Encoder


def _double(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for i, (a, s) in enumerate(((inputs, stride), (outputs, 1))):
        layers += [nn.Conv2d(a, outputs, 3, s, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=i > 0)]
    return nn.Sequential(*layers)


class UNet(Encoder):
    """The contracting path of a U-Net (Ronneberger et al. 2015) with strided convolutions, 0.5 million weights.

    Parameters
    ----------
    in_channels : int
        Channels of the image.
    """

    channels = (16, 32, 64, 128)
    strides = (1, 2, 4, 8)

    def __init__(self, in_channels: int) -> None:
        super().__init__(in_channels)
        widths = (in_channels, *self.channels)
        self.levels = nn.ModuleList(
            _double(a, b, 1 if i == 0 else 2) for i, (a, b) in enumerate(itertools.pairwise(widths))
        )

    def forward(self, image: Tensor) -> list[Tensor]:
        """Compute maps at strides 1, 2, 4 and 8."""
        maps, x = [], image
        for level in self.levels:
            x = level(x)
            maps.append(x)
        return maps


component = UNet
