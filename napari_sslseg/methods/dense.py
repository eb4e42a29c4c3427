"""Contrast of matched pixels: the same spot in two views has the same features, other spots have others."""

import torch.nn.functional as F
from torch import Tensor

from napari_sslseg import views
from napari_sslseg.distributed import together
from napari_sslseg.methods import Method, projector
from napari_sslseg.model import Network
from napari_sslseg.objective import Batch

POINTS = 64  # matched points a crop


class Dense(Method):
    """Dense contrastive learning (DenseCL, Wang et al., CVPR 2021) with the matches known from the geometry.

    The loss is written here and not taken from lightly, which would bring in hydra and pytorch-lightning.

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
        self.project = projector(network.head.width + sum(network.encoder.channels))

    def prepare(self, crops: Tensor) -> Batch:
        """Make two views of each crop and choose points seen in both."""
        return views.matched(crops, self.side, POINTS, self.orientation)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Contrast the points of one view with those of the other, both ways."""
        a, b = together(self._features, batch["views"], batch["places"]).chunk(2)
        inside, apart = batch["inside"], batch["apart"]
        return {"loss": 0.5 * (views.contrast(a, b, inside, apart) + views.contrast(b, a, inside, apart))}

    def _features(self, seen: Tensor, places: Tensor) -> Tensor:
        """Projections of unit length of all points of all views."""
        maps = self.network.encoder(seen)
        return F.normalize(self.project(views.at([*maps, self.network.head(seen, maps)], places)), dim=-1)


component = Dense
