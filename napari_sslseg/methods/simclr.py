"""Contrast of whole crops: two views of one crop are alike, and unlike every other crop."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_sslseg import augment
from napari_sslseg.distributed import together
from napari_sslseg.methods import WIDTH, Method, projector
from napari_sslseg.model import Network
from napari_sslseg.objective import Batch

TEMPERATURE = 0.2
MEMORY = 256  # features of earlier crops that serve as counter-examples, so that small batches are enough


class SimCLR(Method):
    """SimCLR (Chen et al., ICML 2020) with a memory bank (Wu et al., CVPR 2018).

    Parameters
    ----------
    network : Network
        Encoder and head that learn.
    side : int
        Side of the crops.
    """

    dimensions = (2, 3)
    memory: Tensor
    written: Tensor

    def __init__(self, network: Network, side: int) -> None:
        super().__init__(network, side)
        self.project = projector(network.head.width + network.encoder.channels[-1])
        self.register_buffer("memory", torch.zeros(MEMORY, WIDTH))
        self.register_buffer("written", torch.tensor(0))
        self._usable = 0

    def begin(self, fraction: float, average: Mapping[str, Tensor]) -> None:
        """Let the features of the steps before count."""
        self._usable = min(int(self.written), MEMORY)

    def prepare(self, crops: Tensor) -> Batch:
        """Make two views of each crop."""
        both = [self.moved(crops, turn=45.0, zoom=(0.6, 1.5)) for _ in range(2)]
        return {"views": augment.intensity(torch.cat(both), 1.5)}

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Contrast the views with each other and with earlier crops."""
        features = together(self._features, batch["views"])
        loss = nt_xent(features, self.memory[: self._usable])
        if self.training:
            self._remember(features.detach())
        return {"loss": loss}

    def _features(self, seen: Tensor) -> Tensor:
        """Projections of unit length of whole views."""
        maps = self.network.encoder(seen)
        sides = tuple(range(2, seen.ndim))
        whole = torch.cat([maps[-1].mean(sides), self.network.head(seen, maps).mean(sides)], 1)
        return F.normalize(self.project(whole), dim=1)

    @torch.no_grad()
    def _remember(self, features: Tensor) -> None:
        at = (int(self.written) + torch.arange(len(features), device=features.device)) % MEMORY
        self.memory[at] = features
        self.written += len(features)


def nt_xent(features: Tensor, memory: Tensor) -> Tensor:
    """Normalised temperature-scaled cross-entropy.

    Parameters
    ----------
    features : torch.Tensor
        (2 B, D) of unit length; rows i and B + i are two views of one crop.
    memory : torch.Tensor
        (M, D) of unit length, further counter-examples.

    Returns
    -------
    torch.Tensor
        Scalar.
    """
    count = len(features)
    similar = features @ torch.cat([features, memory]).T / TEMPERATURE
    similar = similar.masked_fill(torch.eye(count, len(similar.T), dtype=torch.bool, device=similar.device), -torch.inf)
    partner = torch.arange(count, device=features.device).roll(count // 2)
    return F.cross_entropy(similar, partner)


component = SimCLR
