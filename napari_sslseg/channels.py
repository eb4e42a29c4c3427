"""Channels: weights that read red, green and blue, fitted to any number of channels."""

from torch import Tensor


def spread(stem: Tensor, in_channels: int) -> Tensor:
    """Fit the first weights of a network for RGB to any number of channels.

    Parameters
    ----------
    stem : torch.Tensor
        (N, 3, k, k).
    in_channels : int
        Channels of the image.

    Returns
    -------
    torch.Tensor
        (N, in_channels, k, k): the sum for one channel, else repeated and scaled by 3 / in_channels.
    """
    if in_channels == 1:
        return stem.sum(1, keepdim=True)
    return stem[:, [c % 3 for c in range(in_channels)]] * (3 / in_channels)
