"""Colourisation: predict colours from grey, or one stain or modality from the others."""

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from napari_sslseg.distributed import together
from napari_sslseg.methods import Method, painter, side_by_side
from napari_sslseg.model import Network
from napari_sslseg.objective import Batch


class Colorize(Method):
    """Colourisation (Zhang et al., ECCV 2016) for any channels: what is hidden is predicted from the mean of the rest.

    Parameters
    ----------
    network : Network
        Encoder and head that learn.
    side : int
        Side of the crops.
    """

    dimensions = (2, 3)
    least_channels = 2

    def __init__(self, network: Network, side: int) -> None:
        super().__init__(network, side)
        self.output = painter(network)

    def prepare(self, crops: Tensor) -> Batch:
        """Turn and mirror the crops; of half of them hide one channel, of the others all but their mean."""
        clean = self.moved(crops)
        count, channels = clean.shape[:2]
        one = F.one_hot(torch.randint(channels, (count,)), channels).bool()
        hidden = torch.where(torch.rand(count, 1) < 0.5, one, torch.ones_like(one))
        hidden = hidden.view(count, channels, *(1 for _ in clean.shape[2:]))
        return {"seen": greyed(clean, hidden), "clean": clean, "hidden": hidden}

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Compute the error of the hidden channels."""
        found: Tensor = together(lambda seen: self.output(self.network.features(seen)), batch["seen"])
        error = F.smooth_l1_loss(found, batch["clean"], reduction="none")
        return {"loss": error[batch["hidden"].expand_as(error)].mean()}

    @torch.no_grad()
    def picture(self, batch: Batch) -> npt.NDArray[np.float32]:
        """Show a hidden channel of the first crop: as it is, what stood in its place, as predicted."""
        channel = int(batch["hidden"][0].flatten().int().argmax())
        found = self.output(self.network.features(batch["seen"][:1]))
        return side_by_side([m[0, channel] for m in (batch["clean"], batch["seen"], found)])


def greyed(images: Tensor, hidden: Tensor) -> Tensor:
    """Put the mean of the visible channels into the hidden ones; where all are hidden, the mean of all.

    Parameters
    ----------
    images : torch.Tensor
        (B, C, [Z,] Y, X).
    hidden : torch.Tensor
        (B, C, [1,] 1, 1) bool.

    Returns
    -------
    torch.Tensor
        (B, C, [Z,] Y, X).
    """
    used = (~hidden | hidden.all(1, keepdim=True)).to(images.dtype)
    return torch.where(hidden, (images * used).sum(1, keepdim=True) / used.sum(1, keepdim=True), images)


component = Colorize
