"""A light top-down decoder with a skip from every map and from the image itself."""

import itertools

import torch.nn.functional as F
from torch import Tensor, nn

from napari_sslseg.heads import Head, pointwise

WIDTHS = {1: 16, 2: 24, 4: 32, 8: 48, 16: 64, 32: 64}  # channels of the decoder at each stride


def _unit(inputs: int, outputs: int, kernel: int, depth: int | None) -> nn.Sequential:
    return nn.Sequential(_convolution(inputs, outputs, kernel, depth), nn.GroupNorm(8, outputs), nn.ReLU(inplace=True))


def _convolution(inputs: int, outputs: int, kernel: int, depth: int | None) -> nn.Module:
    """One without bias, of `kernel` along Y and X and, in volumes, of `depth` along Z."""
    if depth is None:
        return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
    around = (depth // 2, kernel // 2, kernel // 2)
    return nn.Conv3d(inputs, outputs, (depth, kernel, kernel), padding=around, bias=False)


class FPN(Head):
    """Feature pyramid (Lin et al., CVPR 2017) with U-Net-like refinement down to full resolution, 0.2 million weights.

    In volumes it reaches across planes at the levels at which the encoder does.

    Parameters
    ----------
    in_channels : int
        Channels of the image.
    channels, strides : tuple of int
        Channels and strides of the encoder's maps, finest first.
    depth_strides : tuple of int, optional
        Strides along Z of the maps of an encoder that looks at volumes.
    """

    width = WIDTHS[1]

    def __init__(
        self,
        in_channels: int,
        channels: tuple[int, ...],
        strides: tuple[int, ...],
        depth_strides: tuple[int, ...] = (),
    ) -> None:
        super().__init__(in_channels, channels, strides, depth_strides)
        if strides[0] > 1:  # the image itself is the finest map
            channels, strides = (in_channels, *channels), (1, *strides)
            depth_strides = depth_strides and (1, *depth_strides)
        widths = [WIDTHS.get(s, 64) for s in strides]
        volumes = bool(depth_strides)
        finest, single = (1, 1) if volumes else (3, None)  # full resolution is dear there: only refinement looks around
        depths = _depths(depth_strides) if volumes else [None] * len(strides)
        self.lateral = nn.ModuleList(
            _unit(c, w, finest if s == 1 else 1, single) for c, w, s in zip(channels, widths, strides, strict=True)
        )
        pairs = zip(widths[1:], widths, strict=False)
        self.down = nn.ModuleList(pointwise(a, b, 3 if volumes else 2) for a, b in pairs)
        self.refine = nn.ModuleList(_unit(w, w, 3, d) for w, d in zip(widths[:-1], depths, strict=False))
        self._mode = "trilinear" if volumes else "bilinear"

    def forward(self, image: Tensor, maps: list[Tensor]) -> Tensor:
        """Bring the maps together, coarsest first."""
        maps = [image, *maps] if self.strides[0] > 1 else maps
        x: Tensor = self.lateral[-1](maps[-1])
        for i in reversed(range(len(maps) - 1)):
            x = F.interpolate(self.down[i](x), size=maps[i].shape[2:], mode=self._mode, align_corners=False)
            x = self.refine[i](x + self.lateral[i](maps[i]))
        return x


def _depths(depth_strides: tuple[int, ...]) -> list[int | None]:
    """Kernels along Z of each level but the last: 1 where the next coarser map has as many planes."""
    return [1 if coarse == fine else 3 for fine, coarse in itertools.pairwise(depth_strides)]


component = FPN
