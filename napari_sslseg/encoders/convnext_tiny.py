"""ConvNeXt-Tiny of torchvision, whose ImageNet weights are downloaded when they are first asked for."""

from typing import cast

from torch import Tensor, nn
from torchvision import models

from napari_sslseg.channels import spread
from napari_sslseg.encoders import Encoder, download

STEM = "features.0.0.weight"


class ConvNeXtTiny(Encoder):
    """ConvNeXt-Tiny (Liu et al., CVPR 2022), 27.8 million weights: for machines with a GPU.

    Parameters
    ----------
    in_channels : int
        Channels of the image; the weights of the first layer are repeated over them and scaled by 3 / in_channels.
    """

    channels = (96, 192, 384, 768)
    strides = (4, 8, 16, 32)
    starts = ("imagenet", "random")
    downloads = True

    def __init__(self, in_channels: int) -> None:
        super().__init__(in_channels)
        self.features = models.convnext_tiny(stochastic_depth_prob=0.0).features  # or no seed would decide a run
        cast(nn.Sequential, self.features[0])[0] = nn.Conv2d(in_channels, 96, 4, 4)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Compute maps at strides 4, 8, 16 and 32."""
        maps, x = [], image
        for i, stage in enumerate(self.features):
            x = stage(x)
            if i % 2:  # even ones only shrink the map
                maps.append(x)
        return maps

    def load_trained(self, start: str) -> None:
        """Load the ImageNet weights, from the network the first time."""
        stored = download("convnext_tiny", models.ConvNeXt_Tiny_Weights.IMAGENET1K_V1.get_state_dict)
        kept = {k: v for k, v in stored.items() if k.startswith("features.")}
        self.load_state_dict({**kept, STEM: spread(kept[STEM], self.in_channels)})


component = ConvNeXtTiny
