"""Heads: networks that turn an encoder's maps into one map of features at full resolution. One file each."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from napari_sslseg.config import Registry


class Head(nn.Module, ABC):
    """Contract of a head.

    Parameters
    ----------
    in_channels : int
        Channels of the image.
    channels, strides : tuple of int
        Channels and strides of the encoder's maps, finest first.

    Attributes
    ----------
    width : int
        Channels of the result.
    """

    width: int

    def __init__(self, in_channels: int, channels: tuple[int, ...], strides: tuple[int, ...]) -> None:
        super().__init__()
        self.in_channels, self.channels, self.strides = in_channels, channels, strides

    @abstractmethod
    def forward(self, image: Tensor, maps: list[Tensor]) -> Tensor:
        """Bring the maps together.

        Parameters
        ----------
        image : torch.Tensor
            (B, C, Y, X), the image the maps were made of.
        maps : list of torch.Tensor
            The encoder's maps, finest first.

        Returns
        -------
        torch.Tensor
            (B, width, Y, X).
        """


HEADS: Registry[type[Head]] = Registry("head", __name__)
