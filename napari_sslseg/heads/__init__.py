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
    depth_strides : tuple of int, optional
        Strides along Z of the maps of an encoder that looks at volumes; given to no head of one that looks at planes.

    Attributes
    ----------
    width : int
        Channels of the result.
    """

    width: int

    def __init__(
        self,
        in_channels: int,
        channels: tuple[int, ...],
        strides: tuple[int, ...],
        depth_strides: tuple[int, ...] = (),
    ) -> None:
        super().__init__()
        self.in_channels, self.channels, self.strides = in_channels, channels, strides
        self.depth_strides = depth_strides

    @abstractmethod
    def forward(self, image: Tensor, maps: list[Tensor]) -> Tensor:
        """Bring the maps together.

        Parameters
        ----------
        image : torch.Tensor
            (B, C, [Z,] Y, X), the image the maps were made of.
        maps : list of torch.Tensor
            The encoder's maps, finest first.

        Returns
        -------
        torch.Tensor
            (B, width, [Z,] Y, X).
        """


def pointwise(inputs: int, outputs: int, dimensions: int) -> nn.Module:
    """Build a layer that computes from the features of each pixel alone.

    Parameters
    ----------
    inputs, outputs : int
        Features before and after.
    dimensions : int
        2 for planes, 3 for volumes.

    Returns
    -------
    torch.nn.Module
        From (B, inputs, [Z,] Y, X) to (B, outputs, [Z,] Y, X).
    """
    return (nn.Conv3d if dimensions == 3 else nn.Conv2d)(inputs, outputs, 1)


HEADS: Registry[type[Head]] = Registry("head", __name__)
