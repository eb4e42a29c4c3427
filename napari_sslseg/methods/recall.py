"""Recall: restore corrupted crops, and say from them what the network at its start sees in clean ones."""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_sslseg.corruption import restoration
from napari_sslseg.distributed import together
from napari_sslseg.methods import Restoring, turned
from napari_sslseg.model import Network
from napari_sslseg.objective import Batch

RECALL = 1.0  # weight beside restoration


class Recall(Restoring):
    """Masked prediction of a frozen teacher's features (MaskDistill, Peng et al. 2022), beside restoration.

    The teacher is the network at its start: its encoder's maps and its head's features of the clean crop are predicted
    from the corrupted one. So it learns what the user's images look like in terms of what it knows already, and forgets
    nothing: where the user does not say otherwise, a trained encoder stays as it is and the head learns. A network that
    starts from random weights knows nothing, and restores alone.

    Parameters
    ----------
    network : Network
        Encoder and head that learn.
    side : int
        Side of the crops.
    """

    trained_rate = 0.0  # docs/benchmarks.md: whatever moved it made single pixels harder to tell apart

    def __init__(self, network: Network, side: int) -> None:
        super().__init__(network, side)
        self._start = [copy.deepcopy(network).requires_grad_(False).eval()]  # in a list: not to be stored

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
        moved = F.smooth_l1_loss(features, wanted, reduction="none").flatten(1).mean(1)
        return found, turned(maps, known) + moved


component = Recall
