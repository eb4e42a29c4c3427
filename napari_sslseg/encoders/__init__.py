"""Encoders: networks that turn an image into feature maps at several strides. One file each, named after it."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from napari_sslseg.config import Registry


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
        What it can start from: ``random`` and perhaps ``imagenet``.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    starts: tuple[str, ...] = ("random",)

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


ENCODERS: Registry[type[Encoder]] = Registry("encoder", __name__)
