"""Jigsaw: tell of each shuffled piece where it belongs."""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_sslseg import augment
from napari_sslseg.distributed import together
from napari_sslseg.methods import Method
from napari_sslseg.model import Network
from napari_sslseg.objective import Batch

GRID = 4  # pieces along a side
BORDER = 2  # px: of each piece hidden, since edges that fit would give its place away


class Jigsaw(Method):
    """Jigsaw puzzles (Noroozi and Favaro, ECCV 2016) in a dense form: each piece says its own place.

    Crops are neither turned nor mirrored, or no place would differ from another.

    Parameters
    ----------
    network : Network
        Encoder and head that learn.
    side : int
        Side of the crops.
    """

    dimensions = (2, 3)

    def __init__(self, network: Network, side: int) -> None:
        super().__init__(network, side)
        self.output = nn.Linear(network.head.width, GRID * GRID)

    def prepare(self, crops: Tensor) -> Batch:
        """Cut the middle of each crop into pieces and shuffle them."""
        margin, piece = (crops.shape[-1] - self.side) // 2, self.side // GRID
        side = piece * GRID
        clean = crops[..., margin : margin + self.side, margin : margin + self.side]
        order = torch.rand(len(clean), GRID * GRID).argsort(1)
        seen = clean.clone()
        seen[..., :side, :side] = shuffled(clean[..., :side, :side], order)
        inner = torch.zeros(piece, dtype=torch.bool)
        inner[BORDER : piece - BORDER] = True
        shown = F.pad((inner[:, None] & inner).repeat(GRID, GRID), (0, self.side - side, 0, self.side - side))
        return {"seen": augment.intensity(seen) * shown, "order": order}

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Compute the cross-entropy of the pieces' places."""
        return {"loss": F.cross_entropy(together(self._scores, batch["seen"]).flatten(0, 1), batch["order"].flatten())}

    def _scores(self, seen: Tensor) -> Tensor:
        """How likely each piece, (B, pieces, pieces), belongs to each place."""
        features = self.network.features(seen)
        piece = self.side // GRID
        if features.ndim == 5:  # a piece goes through all planes
            features = features.mean(2)
        means = F.avg_pool2d(features[..., : piece * GRID, : piece * GRID], piece).flatten(2).transpose(1, 2)
        return cast(Tensor, self.output(means))


def shuffled(images: Tensor, order: Tensor) -> Tensor:
    """Put the pieces of images into another order; of volumes they are pillars through all planes.

    Parameters
    ----------
    images : torch.Tensor
        (B, C, [Z,] n, n), n divisible by the pieces along a side.
    order : torch.Tensor
        (B, pieces): which piece, row by row, comes to each place.

    Returns
    -------
    torch.Tensor
        (B, C, [Z,] n, n).
    """
    if images.ndim == 5:
        return shuffled(images.flatten(1, 2), order).view_as(images)
    count, channels, size, _ = images.shape
    piece = size // GRID
    cells = images.reshape(count, channels, GRID, piece, GRID, piece).permute(0, 2, 4, 1, 3, 5).flatten(1, 2)
    moved = cells[torch.arange(count)[:, None], order].unflatten(1, (GRID, GRID))
    result: Tensor = moved.permute(0, 3, 1, 4, 2, 5).reshape(count, channels, size, size)
    return result


component = Jigsaw
