"""Adaptation: restore and agree on the user's images while staying near what the encoder knew before."""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_sslseg import views
from napari_sslseg.corruption import restoration
from napari_sslseg.distributed import together
from napari_sslseg.methods import Restoring, projector, turned
from napari_sslseg.model import Network
from napari_sslseg.objective import Batch

POINTS = 64  # matched points a crop
AGREEMENT, ANCHOR = 0.1, 1.0  # weights beside restoration


class Adapt(Restoring):
    """Restoration and dense contrast, anchored to the features at the start.

    The anchor is feature distillation (Romero et al., ICLR 2015) from the encoder's own start, against forgetting as
    in Li and Hoiem (ECCV 2016); an encoder that starts from random weights has nothing to forget and no anchor.

    Parameters
    ----------
    network : Network
        Encoder and head that learn.
    side : int
        Side of the crops.
    """

    def __init__(self, network: Network, side: int) -> None:
        super().__init__(network, side)
        self.project = projector(network.head.width + sum(network.encoder.channels))
        self._start = [copy.deepcopy(network.encoder).requires_grad_(False).eval()]  # in a list: not to be stored

    def prepare(self, crops: Tensor) -> Batch:
        """Corrupt every crop, and make two views of every other one."""
        restoring = super().prepare(crops)
        return {**restoring, **views.matched(crops[::2], self.side, POINTS, self.orientation)}

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Compute how far crops are from restored, views from agreeing, features from those at the start."""
        found = together(self.restored, batch["seen"])
        restore = restoration(found, batch["clean"], batch["mask"])
        features, drift = together(self._looked, batch["views"], batch["places"])
        a, b = features.chunk(2)
        inside, apart = batch["inside"], batch["apart"]
        agree = 0.5 * (views.contrast(a, b, inside, apart) + views.contrast(b, a, inside, apart))
        parts = {"restoration": restore, "contrast": agree}
        loss = restore + AGREEMENT * agree
        if self.frozen_norm:  # it starts from trained weights
            parts["drift"] = drift.mean()
            loss = loss + ANCHOR * parts["drift"]
        return {"loss": loss, **parts}

    def _looked(self, looks: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """Projections of unit length of all points of all views, and how far each view's maps drifted, (B,)."""
        maps = self.network.encoder(looks)
        features = F.normalize(self.project(views.at([*maps, self.network.head(looks, maps)], places)))
        return features, self._drift(looks, maps) if self.frozen_norm else looks.new_zeros(len(looks))

    def _drift(self, images: Tensor, maps: list[Tensor]) -> Tensor:
        with torch.no_grad():
            before = self._start[0].to(images.device)(images)
        return turned(maps, before)


component = Adapt
