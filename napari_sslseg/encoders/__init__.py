"""Encoders: networks that turn an image into feature maps at several strides. One file each, named after it.

The folder ``timm`` is a family: it makes the encoders ``timm/NAME``.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from safetensors import SafetensorError
from torch import Tensor, nn

from napari_sslseg.config import Registry
from napari_sslseg.errors import ConfigError


class Encoder(nn.Module, ABC):
    """Contract of an encoder.

    Parameters
    ----------
    in_channels : int
        Channels of the image, 1 or more.

    Attributes
    ----------
    channels : tuple of int
        Channels of each map, finest first.
    strides : tuple of int
        Stride of each map, finest first; the last divides both sides of every input.
    starts : tuple of str
        What it can start from, the best first: ``random`` and perhaps ``imagenet``.
    downloads : bool
        Whether its trained weights are downloaded once, and kept by torch, and do not come with a package.
    dimensions : int
        2 for one that looks at planes, 3 for a `VolumeEncoder`, which looks at volumes.
    """

    dimensions: int = 2
    channels: tuple[int, ...]
    strides: tuple[int, ...]
    starts: tuple[str, ...] = ("random",)
    downloads: bool = False

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.in_channels = in_channels

    @abstractmethod
    def forward(self, image: Tensor) -> list[Tensor]:
        """Compute the feature maps.

        Parameters
        ----------
        image : torch.Tensor
            (B, C, Y, X), zero mean and unit variance, sides divisible by the last stride.

        Returns
        -------
        list of torch.Tensor
            (B, channels[i], Y / strides[i], X / strides[i]), finest first.
        """

    def load_trained(self, start: str) -> None:
        """Load the weights that `start` names, of those listed in `starts` other than ``random``.

        Parameters
        ----------
        start : str
            Name of the weights.
        """
        raise NotImplementedError(start)


class TokenEncoder(Encoder):
    """Contract of an encoder whose coarsest map is made of tokens that can be left out.

    Attributes
    ----------
    blocks : torch.nn.Module
        The transformer: (B, any number of tokens, channels) to the same shape.
    """

    blocks: nn.Module

    @abstractmethod
    def stems(self, image: Tensor) -> list[Tensor]:
        """Compute what is there before the transformer.

        Parameters
        ----------
        image : torch.Tensor
            (B, C, Y, X), sides divisible by the last stride.

        Returns
        -------
        list of torch.Tensor
            Maps as `forward` returns them; the last one holds the tokens, positions added.
        """


class VolumeEncoder(Encoder):
    """Contract of an encoder that looks at volumes: images are (B, C, Z, Y, X), and so are its maps.

    Parameters
    ----------
    in_channels : int
        Channels of the image, 1 or more.
    anisotropy : float, optional
        How much further apart voxels are along Z than along Y and X.

    Attributes
    ----------
    depth_strides : tuple of int
        Stride of each map along Z, finest first; `strides` are those along Y and X.
    """

    dimensions = 3
    depth_strides: tuple[int, ...]

    def __init__(self, in_channels: int, anisotropy: float = 1.0) -> None:
        super().__init__(in_channels)
        self.anisotropy = anisotropy


def download(name: str, get: Callable[..., Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Get weights that torchvision downloads once and keeps.

    Parameters
    ----------
    name : str
        Name of the encoder, for the message.
    get : callable
        ``get_state_dict`` of torchvision's weights.

    Returns
    -------
    dict of str to torch.Tensor
        The weights, read without running code from the file.

    Raises
    ------
    ConfigError
        If they are not here and cannot be downloaded.
    """
    with downloading(name):
        return dict(get(progress=False, check_hash=True, weights_only=True))


@contextmanager
def downloading(name: str) -> Iterator[None]:
    """Tell in one error what goes wrong while trained weights are downloaded and read.

    Parameters
    ----------
    name : str
        Name of the encoder, for the message.

    Yields
    ------
    None
        Nothing.

    Raises
    ------
    ConfigError
        If they are not here and cannot be downloaded.
    """
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:  # no network, a full disk, or a file cut short
        raise ConfigError(
            f"The ImageNet weights of {name!r} could not be downloaded ({error})",
            "They are needed once, and kept",
            "Go online and try again, or use --encoder efficientnet_lite0, whose weights are installed with it",
        ) from error


ENCODERS: Registry[type[Encoder]] = Registry("encoder", __name__)
