"""Segment: the objective of fine-tuning, losses on labelled pixels and agreement with a teacher on the others."""

from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import Tensor
from torch.func import functional_call

from napari_sslseg import model
from napari_sslseg.objective import Batch, Objective, agreement, freeze_norm, partial_cross_entropy, partial_dice
from napari_sslseg.settings import FinetuneConfig

TEACHER_RAMP = 0.4  # part of the run over which the teacher comes to count in full


class Segment(Objective):
    """Cross-entropy and Dice on labelled pixels, agreement with the averaged network on unlabelled crops.

    The averaged network as teacher is that of Tarvainen and Valpola (Mean Teacher, NeurIPS 2017).

    Parameters
    ----------
    network : model.Network
        Network with a classifier.
    config : FinetuneConfig
        Weights of the losses and rates.
    """

    def __init__(self, network: model.Network, config: FinetuneConfig) -> None:
        super().__init__()
        self.network, self.dice, self.encoder_rate = network, config.dice, config.encoder_rate
        self.teacher, self._weight = config.teacher, 0.0
        self._average: dict[str, Tensor] = {}
        self.frozen_norm = config.norm == "frozen" and config.start != "random"

    def train(self, mode: bool = True) -> Self:
        """Switch between training and use; frozen normalisation stays in use."""
        super().train(mode)
        if self.frozen_norm:
            freeze_norm(self.network.encoder)
        return self

    def begin(self, fraction: float, average: Mapping[str, Tensor]) -> None:
        """Let the teacher count more as it gets better."""
        self._weight = self.teacher * min(1.0, fraction / TEACHER_RAMP)
        self._average = {k.removeprefix("network."): v for k, v in average.items()}

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Compute the loss of (B, C, [Z,] Y, X) images, targets of 0 where unlabelled, and of unlabelled crops."""
        target = batch["target"]
        images = torch.cat([batch["image"], batch["seen"]]) if "seen" in batch else batch["image"]
        logits = self.network(images)
        labelled, others = logits[: len(target)], logits[len(target) :]
        loss = partial_cross_entropy(labelled, target) + self.dice * partial_dice(labelled, target)
        if "seen" in batch:
            loss = loss + self._weight * agreement(others, self._teach(batch["clean"]))
        return {"loss": loss}

    @torch.no_grad()
    def _teach(self, clean: Tensor) -> Tensor:
        self.network.eval()
        taught: Tensor = functional_call(self.network, self._average, (clean,)).softmax(1)
        self.train()
        return taught

    def groups(self, rate: float) -> list[dict[str, Any]]:
        """Split the weights: the encoder learns at `encoder_rate` times the rate of the rest."""
        encoder = list(self.network.encoder.parameters())
        known = {id(p) for p in encoder}
        rest = [p for p in self.network.parameters() if id(p) not in known]
        return [{"params": rest, "lr": rate}, {"params": encoder, "lr": rate * self.encoder_rate}]
