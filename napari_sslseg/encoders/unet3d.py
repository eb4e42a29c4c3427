"""A compact 3-D U-Net contracting path from random weights; its kernels suit voxels further apart along Z."""

import itertools

from torch import Tensor, nn

from napari_sslseg.encoders import VolumeEncoder

COARSER = 2.0  # how much further apart along Z voxels may be for a kernel to reach across planes


class UNet3D(VolumeEncoder):
    """The contracting path of a 3-D U-Net (Çiçek et al., MICCAI 2016), 0.9 million weights where voxels are cubes.

    Kernels and strides are chosen as in nnU-Net (Isensee et al., Nature Methods 2021): where voxels are more than
    `COARSER` times further apart along Z than along Y and X, a level computes in planes, by kernels of 1 x 3 x 3, and
    only Y and X are halved before the next one; after that kernels are 3 x 3 x 3 and all three are halved.

    Parameters
    ----------
    in_channels : int
        Channels of the image.
    anisotropy : float, optional
        How much further apart voxels are along Z than along Y and X.
    """

    channels = (16, 32, 64, 128)
    strides = (1, 2, 4, 8)

    def __init__(self, in_channels: int, anisotropy: float = 1.0) -> None:
        super().__init__(in_channels, anisotropy)
        flat = [anisotropy / s > COARSER for s in self.strides]
        steps = (1, *(1 if f else 2 for f in flat[:-1]))
        self.depth_strides = tuple(itertools.accumulate(steps, int.__mul__))
        widths = itertools.pairwise((in_channels, *self.channels))
        self.levels = nn.ModuleList(
            _level(a, b, 1 if f else 3, (step, 1 if i == 0 else 2))
            for i, ((a, b), f, step) in enumerate(zip(widths, flat, steps, strict=True))
        )

    def forward(self, image: Tensor) -> list[Tensor]:
        """Compute maps at strides 1, 2, 4 and 8 along Y and X, and at `depth_strides` along Z."""
        maps, x = [], image
        for level in self.levels:
            x = level(x)
            maps.append(x)
        return maps


def _level(inputs: int, outputs: int, depth: int, step: tuple[int, int]) -> nn.Sequential:
    """Two convolutions of `depth` x 3 x 3, the first one with a stride along (Z; Y and X)."""
    kernel, around = (depth, 3, 3), (depth // 2, 1, 1)
    along, across = step
    layers: list[nn.Module] = []
    for i, (a, stride) in enumerate(((inputs, (along, across, across)), (outputs, (1, 1, 1)))):
        convolution = nn.Conv3d(a, outputs, kernel, stride, around, bias=False)
        layers += [convolution, nn.BatchNorm3d(outputs), nn.ReLU(inplace=i > 0)]
    return nn.Sequential(*layers)


component = UNet3D
