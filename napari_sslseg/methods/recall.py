"""Recall: restore corrupted crops, and say from them what the network at its start sees in clean ones."""

import copy

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from napari_sslseg.corruption import corrupted, restoration
from napari_sslseg.distributed import together
from napari_sslseg.methods import Method, painter, side_by_side
from napari_sslseg.model import Network
from napari_sslseg.objective import Batch

RECALL = 1.0  # weight beside restoration


class Recall(Method):
    """Masked prediction of a frozen teacher's features (MaskDistill, Peng et al. 2022), beside restoration.

    The teacher is the network at its start: its encoder's maps and its head's features of the clean crop are predicted
    from the corrupted one. So it learns what the user's images look like in terms of what it knows already, and forgets
    nothing. A network that starts from random weights knows nothing, and restores alone.

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
        self.output = painter(network)
        self._start = [copy.deepcopy(network).requires_grad_(False).eval()]  # in a list: not to be stored

    def prepare(self, crops: Tensor) -> Batch:
        """Turn and mirror the crops, then corrupt copies of them."""
        clean = self.moved(crops)
        seen, mask = corrupted(clean)
        return {"seen": seen, "clean": clean, "mask": mask}

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Compute how far crops are from restored, and features from those of the clean crops at the start."""
        found, apart = together(self._looked, batch["seen"], batch["clean"])
        restore = restoration(found, batch["clean"], batch["mask"])
        if not self.frozen_norm:  # it starts from random weights
            return {"loss": restore}
        recall = apart.mean()
        return {"loss": restore + RECALL * recall, "restoration": restore, "recall": recall}

    def _looked(self, seen: Tensor, clean: Tensor) -> tuple[Tensor, Tensor]:
        """Restored crops, and how far the features of each are from what was known, (B,)."""
        maps = self.network.encoder(seen)
        features = self.network.head(seen, maps)
        found: Tensor = self.output(features)
        if not self.frozen_norm:
            return found, seen.new_zeros(len(seen))
        with torch.no_grad():
            start = self._start[0].to(seen.device)
            known = start.encoder(clean)
            wanted = start.head(clean, known)
        sides = tuple(range(1, seen.ndim - 1))
        turned = [1 - F.cosine_similarity(m, k).mean(sides) for m, k in zip(maps, known, strict=True)]
        moved = F.smooth_l1_loss(features, wanted, reduction="none").flatten(1).mean(1)
        return found, torch.stack(turned).mean(0) + moved

    @torch.no_grad()
    def picture(self, batch: Batch) -> npt.NDArray[np.float32]:
        """Show clean, corrupted and restored side by side, of the first crop's first channel."""
        found = self.output(self.network.features(batch["seen"][:1]))
        return side_by_side([m[0, 0] for m in (batch["clean"], batch["seen"], found)])


component = Recall
