"""ResNet-18 of torchvision, whose ImageNet weights are downloaded when they are first asked for."""

from torch import Tensor, nn
from torchvision import models

from napari_sslseg.channels import spread
from napari_sslseg.encoders import Encoder, download


class ResNet18(Encoder):
    """ResNet-18 (He et al., CVPR 2016), 11.2 million weights.

    Parameters
    ----------
    in_channels : int
        Channels of the image; the weights of the first layer are repeated over them and scaled by 3 / in_channels.
    """

    channels = (64, 64, 128, 256, 512)
    strides = (2, 4, 8, 16, 32)
    starts = ("imagenet", "random")
    downloads = True

    def __init__(self, in_channels: int) -> None:
        super().__init__(in_channels)
        self.net = models.resnet18()
        self.net.conv1 = nn.Conv2d(in_channels, 64, 7, 2, 3, bias=False)
        self.net.fc = nn.Identity()

    def forward(self, image: Tensor) -> list[Tensor]:
        """Compute maps at strides 2, 4, 8, 16 and 32."""
        net = self.net
        maps = [net.relu(net.bn1(net.conv1(image)))]
        x = net.maxpool(maps[0])
        for stage in (net.layer1, net.layer2, net.layer3, net.layer4):
            x = stage(x)
            maps.append(x)
        return maps

    def load_trained(self, start: str) -> None:
        """Load the ImageNet weights, from the network the first time."""
        stored = download("resnet18", models.ResNet18_Weights.IMAGENET1K_V1.get_state_dict)
        kept = {k: v for k, v in stored.items() if not k.startswith("fc.")}
        self.net.load_state_dict({**kept, "conv1.weight": spread(kept["conv1.weight"], self.in_channels)})


component = ResNet18
