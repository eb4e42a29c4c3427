"""Objectives: from a batch to losses. What the one training loop minimises, and losses on sparse labels."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Batch = Mapping[str, Tensor]


class Objective(nn.Module, ABC):
    """Contract of what `fit` minimises."""

    def begin(self, fraction: float, average: Mapping[str, Tensor]) -> None:
        """Learn, before a step, how far the run is; most objectives do not care.

        Parameters
        ----------
        fraction : float
            How much of the run is over, 0 to 1.
        average : mapping of str to torch.Tensor
            Exponential average of this objective's state.
        """
        return None

    @abstractmethod
    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Compute the losses.

        Parameters
        ----------
        batch : mapping of str to torch.Tensor
            What the batches of this objective hold.

        Returns
        -------
        dict of str to torch.Tensor
            Scalars; ``loss`` is minimised, the others are shown.
        """

    @abstractmethod
    def groups(self, rate: float) -> list[dict[str, Any]]:
        """Split the weights by learning rate.

        Parameters
        ----------
        rate : float
            Learning rate of new layers.

        Returns
        -------
        list of dict
            Parameter groups for a torch optimiser.
        """


def freeze_norm(network: nn.Module) -> None:
    """Let batch normalisation use the statistics it came with, also while training.

    Parameters
    ----------
    network : torch.nn.Module
        Network; its batch normalisation is put into evaluation mode.
    """
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            module.eval()


def partial_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy on labelled pixels, every class of the batch weighing the same.

    Parameters
    ----------
    logits : torch.Tensor
        (B, K, [Z,] Y, X).
    targets : torch.Tensor
        (B, [Z,] Y, X) integers, 0 unlabelled, 1..K classes.

    Returns
    -------
    torch.Tensor
        Scalar; 0 where nothing is labelled.
    """
    classes = logits.shape[1]
    counts = torch.bincount(targets.reshape(-1), minlength=classes + 1)[1:].to(logits.dtype)
    weight = torch.where(counts > 0, 1 / counts.clamp_min(1), torch.zeros_like(counts))
    each = F.cross_entropy(logits, targets - 1, weight=weight, ignore_index=-1, reduction="sum")
    return each / (counts > 0).sum().clamp_min(1)


def partial_dice(logits: Tensor, targets: Tensor) -> Tensor:
    """Soft Dice loss on labelled pixels, averaged over the classes that the batch holds (Milletari et al. 2016).

    Parameters
    ----------
    logits : torch.Tensor
        (B, K, [Z,] Y, X).
    targets : torch.Tensor
        (B, [Z,] Y, X) integers, 0 unlabelled, 1..K classes.

    Returns
    -------
    torch.Tensor
        Scalar in 0 to 1; 0 where nothing is labelled.
    """
    labelled = targets > 0
    probability = logits.softmax(1).movedim(1, -1)[labelled]
    truth = F.one_hot(targets[labelled] - 1, logits.shape[1]).to(logits.dtype)
    overlap, size, count = (probability * truth).sum(0), probability.sum(0), truth.sum(0)
    dice = (2 * overlap + 1e-6) / (size + count + 1e-6)
    present = count > 0
    return (1 - dice)[present].sum() / present.sum().clamp_min(1)


def agreement(logits: Tensor, taught: Tensor) -> Tensor:
    """Cross-entropy with a teacher's probabilities, pixels it is sure of weighing more.

    Parameters
    ----------
    logits : torch.Tensor
        (B, K, [Z,] Y, X) of the student.
    taught : torch.Tensor
        (B, K, [Z,] Y, X) probabilities of the teacher.

    Returns
    -------
    torch.Tensor
        Scalar.
    """
    classes = logits.shape[1]
    sure = ((taught.amax(1) - 1 / classes) / (1 - 1 / classes)).clamp_min(0)
    each = -(taught * logits.log_softmax(1)).sum(1)
    return (sure * each).mean()
