"""Network: an encoder, a head and, once classes are known, a classifier of every pixel."""

from typing import Any, Self, cast

import numpy as np
import torch
from torch import Tensor, nn

from napari_sslseg import starter
from napari_sslseg.checkpoint import Checkpoint
from napari_sslseg.encoders import ENCODERS, Encoder, VolumeEncoder
from napari_sslseg.errors import CheckpointError, ConfigError
from napari_sslseg.heads import HEADS, pointwise
from napari_sslseg.image import Image
from napari_sslseg.runtime import Runtime
from napari_sslseg.volumes import VOXELS, Piece, fitted

KNOWN = ("random", "imagenet", starter.NAME)  # starts that are no checkpoint of the user's


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
    anisotropy : float, optional
        How much further apart voxels are along Z than along Y and X; of an encoder that looks at planes not used.
    """

    def __init__(self, encoder: str, head: str, in_channels: int, classes: int = 0, anisotropy: float = 1.0) -> None:
        super().__init__()
        self.names = {"encoder": encoder, "head": head}
        self.in_channels, self.classes, self.anisotropy = in_channels, classes, anisotropy
        kind, depth = ENCODERS.load(encoder), {}
        if issubclass(kind, VolumeEncoder):
            self.encoder: Encoder = kind(in_channels, anisotropy)
            depth = {"depth_strides": self.encoder.depth_strides}
        else:
            self.encoder = kind(in_channels)
        self.head = HEADS.load(head)(in_channels, self.encoder.channels, self.encoder.strides, **depth)
        self.classifier = self.pointwise(classes) if classes else None

    @property
    def dimensions(self) -> int:
        """2 if it looks at planes, 3 if it looks at volumes."""
        return self.encoder.dimensions

    @property
    def multiple(self) -> int:
        """What both sides of an input must be divisible by."""
        return self.encoder.strides[-1]

    @property
    def depth_multiple(self) -> int:
        """What the number of planes of an input must be divisible by; 1 where it looks at planes one by one."""
        return self.encoder.depth_strides[-1] if isinstance(self.encoder, VolumeEncoder) else 1

    def piece(self, images: list[Image], side: int) -> Piece:
        """Choose how large the pieces are that it sees.

        Parameters
        ----------
        images : list of Image
            What they are pieces of.
        side : int
            Side of a square of one plane in pixels.

        Returns
        -------
        Piece
            The square itself; for a network that looks at volumes a box of twice as many voxels.
        """
        if self.dimensions == 2:
            return Piece(side)
        planes = int(np.median([i.planes for i in images]))
        return fitted(VOXELS * side**2, planes, side, self.anisotropy, self.multiple, self.depth_multiple)

    def pointwise(self, outputs: int) -> nn.Module:
        """Build a layer over the head's features of each pixel.

        Parameters
        ----------
        outputs : int
            What it computes of each pixel.

        Returns
        -------
        torch.nn.Module
            From (B, width, [Z,] Y, X) to (B, outputs, [Z,] Y, X).
        """
        return pointwise(self.head.width, outputs, self.dimensions)

    def features(self, image: Tensor) -> Tensor:
        """Compute the head's features.

        Parameters
        ----------
        image : torch.Tensor
            (B, C, [Z,] Y, X), sides divisible by `multiple`, planes by `depth_multiple`.

        Returns
        -------
        torch.Tensor
            (B, width, [Z,] Y, X).
        """
        return cast(Tensor, self.head(image, self.encoder(image)))

    def forward(self, image: Tensor) -> Tensor:
        """Compute class scores.

        Parameters
        ----------
        image : torch.Tensor
            (B, C, [Z,] Y, X), sides divisible by `multiple`, planes by `depth_multiple`.

        Returns
        -------
        torch.Tensor
            (B, classes, [Z,] Y, X) logits.
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
        said = {**self.names, "in_channels": self.in_channels, "classes": self.classes}
        return said if self.dimensions == 2 else {**said, "anisotropy": self.anisotropy}

    def placed(self, runtime: Runtime) -> Self:
        """Move it to a device; weights that look at planes are put into the layout of `runtime.laid_out`.

        Parameters
        ----------
        runtime : Runtime
            The device.

        Returns
        -------
        Network
            Itself.
        """
        layout = torch.channels_last if self.dimensions == 2 else torch.contiguous_format
        return self.to(runtime.device).to(memory_format=layout)


class Features(Encoder):
    """What a network knows of each pixel before it knows classes, as an encoder of one map, for what measures encoders.

    Parameters
    ----------
    network : Network
        Encoder and head.
    """

    def __init__(self, network: Network) -> None:
        super().__init__(network.in_channels)
        self.network, self.dimensions = network, network.dimensions
        self.channels, self.strides = (network.head.width,), (1,)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Compute the map.

        Parameters
        ----------
        image : torch.Tensor
            (B, C, [Z,] Y, X), sides divisible by the network's `multiple`.

        Returns
        -------
        list of torch.Tensor
            One (B, width, [Z,] Y, X).
        """
        return [self.network.features(image)]


def resolve(start: str, encoder: str) -> str:
    """Choose where to start, if that is left open.

    Parameters
    ----------
    start : str
        ``auto``, ``random``, ``imagenet``, ``starter`` or the path of a checkpoint.
    encoder : str
        Name of the encoder.

    Returns
    -------
    str
        For ``auto`` the best that the encoder can start from, else `start`.
    """
    return ENCODERS.load(encoder).starts[0] if start == "auto" else start


def origin(start: str) -> str:
    """Tell where the first weights came from.

    Parameters
    ----------
    start : str
        ``random``, ``imagenet``, ``starter`` or the path of a checkpoint.

    Returns
    -------
    str
        ``random``, ``imagenet`` or ``starter``: of a checkpoint, what it or the one that it continues began with.
    """
    return start if start in KNOWN else _origin(Checkpoint.load(start))


def dimensions(start: str, encoder: str) -> int:
    """Tell in how many dimensions the network looks that `build` makes.

    Parameters
    ----------
    start : str
        ``random``, ``imagenet``, ``starter`` or the path of a checkpoint.
    encoder : str
        Name of the encoder; not used where `start` is a checkpoint.

    Returns
    -------
    int
        2 for planes, 3 for volumes.
    """
    name = encoder if start in KNOWN else Checkpoint.load(start).config["network"]["encoder"]
    return ENCODERS.load(name).dimensions


def build(
    start: str,
    encoder: str,
    in_channels: int,
    runtime: Runtime,
    classes: int = 0,
    *,
    keep_head: bool = True,
    objects: bool = False,
    anisotropy: float = 1.0,
) -> Network:
    """Build a network and load the weights it starts from.

    Parameters
    ----------
    start : str
        ``random``, ``imagenet``, ``starter`` or the path of a checkpoint; of the last two, the head is taken as well.
    encoder : str
        Name of the encoder; not used where `start` is a checkpoint.
    in_channels : int
        Channels of the images.
    runtime : Runtime
        Device and seed.
    classes : int, optional
        Classes to tell apart.
    keep_head : bool, optional
        Whether to take the head of a checkpoint too, and not its encoder alone; of one that comes from the starter, or
        whose encoder was kept as it was, it is always taken.
    objects : bool, optional
        Whether the classes are background, core and contour of objects, which the starter knows.
    anisotropy : float, optional
        How much further apart voxels are along Z than along Y and X; that of a checkpoint stays what it is.

    Returns
    -------
    Network
        On the runtime's device.
    """
    stored = None if start in KNOWN else Checkpoint.load(start)
    name = encoder if stored is None else stored.config["network"]["encoder"]
    head = "fpn" if stored is None else stored.config["network"]["head"]
    known = (start if stored is None else _origin(stored)) == starter.NAME
    alone = stored is not None and stored.config.get("pretrain", {}).get("encoder_rate") == 0  # only the head learnt
    with runtime.torch_numbers(0):
        network = Network(name, head, in_channels, classes, _stored_anisotropy(stored, anisotropy))
    if stored is not None:
        trained_on = stored.config["network"]["in_channels"]
        if trained_on != in_channels:
            raise CheckpointError(
                f"The checkpoint {start} was trained on images of {trained_on} channel(s)",
                f"These images have {in_channels}",
                "Use images of the same kind, or start from imagenet",
            )
        network.encoder.load_state_dict(stored.part("encoder"))
        if keep_head or known or alone:
            network.head.load_state_dict(stored.part("head"))
    elif start != "random":
        if start not in network.encoder.starts:
            raise ConfigError(
                f"The encoder {name!r} cannot start from {start!r}",
                f"It can start from: {', '.join(network.encoder.starts)}, or a checkpoint file",
            )
        network.encoder.load_trained(start)
        if start == starter.NAME:
            network.head.load_state_dict(starter.part("head", in_channels))
    if objects and network.classifier is not None and known:
        network.classifier.load_state_dict(starter.part("classifier", in_channels))
    return network.placed(runtime)


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
    anisotropy = _stored_anisotropy(checkpoint, 1.0)
    network = Network(said["encoder"], said["head"], said["in_channels"], said["classes"], anisotropy)
    own = network.state_dict()
    network.load_state_dict({k: v for k, v in checkpoint.weights.items() if k in own})
    return network.placed(runtime).eval()


def _origin(stored: Checkpoint) -> str:
    return str(stored.config.get("origin", "imagenet"))


def _stored_anisotropy(checkpoint: Checkpoint | None, otherwise: float) -> float:
    return otherwise if checkpoint is None else float(checkpoint.config["network"].get("anisotropy", 1.0))
