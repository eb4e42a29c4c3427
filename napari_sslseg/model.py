"""Network: an encoder, a head and, once classes are known, a classifier of every pixel."""

from typing import Any, cast

import torch
from torch import Tensor, nn

from napari_sslseg.checkpoint import Checkpoint
from napari_sslseg.encoders import ENCODERS
from napari_sslseg.errors import CheckpointError, ConfigError
from napari_sslseg.heads import HEADS
from napari_sslseg.runtime import Runtime


class Network(nn.Module):
    """Encoder and head, and a 1 x 1 classifier over the head's features.

    Parameters
    ----------
    encoder, head : str
        Names of the components.
    in_channels : int
        Channels of the image.
    classes : int
        Classes to tell apart; 0 for none, as in pretraining.
    """

    def __init__(self, encoder: str, head: str, in_channels: int, classes: int = 0) -> None:
        super().__init__()
        self.names = {"encoder": encoder, "head": head}
        self.in_channels, self.classes = in_channels, classes
        self.encoder = ENCODERS.load(encoder)(in_channels)
        self.head = HEADS.load(head)(in_channels, self.encoder.channels, self.encoder.strides)
        self.classifier = nn.Conv2d(self.head.width, classes, 1) if classes else None

    @property
    def multiple(self) -> int:
        """What both sides of an input must be divisible by."""
        return self.encoder.strides[-1]

    def features(self, image: Tensor) -> Tensor:
        """Compute the head's features.

        Parameters
        ----------
        image : torch.Tensor
            (B, C, Y, X), sides divisible by `multiple`.

        Returns
        -------
        torch.Tensor
            (B, width, Y, X).
        """
        return cast(Tensor, self.head(image, self.encoder(image)))

    def forward(self, image: Tensor) -> Tensor:
        """Compute class scores.

        Parameters
        ----------
        image : torch.Tensor
            (B, C, Y, X), sides divisible by `multiple`.

        Returns
        -------
        torch.Tensor
            (B, classes, Y, X) logits.
        """
        if self.classifier is None:
            raise RuntimeError("This network was built without classes")
        return cast(Tensor, self.classifier(self.features(image)))

    def describe(self) -> dict[str, Any]:
        """Return what is needed to build this network again.

        Returns
        -------
        dict
            Names and sizes.
        """
        return {**self.names, "in_channels": self.in_channels, "classes": self.classes}


def build(
    start: str, encoder: str, in_channels: int, runtime: Runtime, classes: int = 0, *, keep_head: bool = True
) -> Network:
    """Build a network and load the weights it starts from.

    Parameters
    ----------
    start : str
        ``random``, ``imagenet`` or the path of a checkpoint; of a checkpoint, encoder and head are taken.
    encoder : str
        Name of the encoder; not used where `start` is a checkpoint.
    in_channels : int
        Channels of the images.
    runtime : Runtime
        Device and seed.
    classes : int, optional
        Classes to tell apart.
    keep_head : bool, optional
        Whether to take the head of a checkpoint too, and not its encoder alone.

    Returns
    -------
    Network
        On the runtime's device.
    """
    known = {"random", "imagenet"}
    stored = None if start in known else Checkpoint.load(start)
    name = encoder if stored is None else stored.config["network"]["encoder"]
    head = "fpn" if stored is None else stored.config["network"]["head"]
    with runtime.torch_numbers(0):
        network = Network(name, head, in_channels, classes)
    if stored is not None:
        trained_on = stored.config["network"]["in_channels"]
        if trained_on != in_channels:
            raise CheckpointError(
                f"The checkpoint {start} was trained on images of {trained_on} channel(s)",
                f"These images have {in_channels}",
                "Use images of the same kind, or start from imagenet",
            )
        network.encoder.load_state_dict(stored.part("encoder"))
        if keep_head:
            network.head.load_state_dict(stored.part("head"))
    elif start != "random":
        if start not in network.encoder.starts:
            raise ConfigError(
                f"The encoder {name!r} cannot start from {start!r}",
                f"It can start from: {', '.join(network.encoder.starts)}, or a checkpoint file",
            )
        network.encoder.load_trained(start)
    return network.to(runtime.device).to(memory_format=torch.channels_last)


def load(checkpoint: Checkpoint, runtime: Runtime) -> Network:
    """Build the network of a checkpoint, ready to predict.

    Parameters
    ----------
    checkpoint : Checkpoint
        A trained model.
    runtime : Runtime
        Device and seed.

    Returns
    -------
    Network
        In evaluation mode, on the runtime's device.
    """
    said = checkpoint.config["network"]
    network = Network(said["encoder"], said["head"], said["in_channels"], said["classes"])
    network.load_state_dict({k: v for k, v in checkpoint.weights.items() if k in network.state_dict()})
    return network.to(runtime.device).to(memory_format=torch.channels_last).eval()
