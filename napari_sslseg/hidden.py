"""One hidden layer over standardised values of single pixels, and how it is learnt."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from napari_sslseg.job import Stop

WIDTH = 64  # hidden units
UNITS = 8  # hidden units computed at once: more do not fit the cache of a processor, and cost twice as much


class Hidden(nn.Module):
    """Weights of one hidden layer, and of the standardisation of what it reads.

    Parameters
    ----------
    inputs : int
        Values known of each pixel.
    classes : int
        Classes to tell apart.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(inputs, WIDTH)
        self.output = nn.Linear(WIDTH, classes)
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("std", torch.ones(inputs))

    def standardise(self, columns: Tensor) -> None:
        """Take the mean and the spread of values to standardise by from them.

        Parameters
        ----------
        columns : torch.Tensor
            (N, inputs).
        """
        self.mean.copy_(columns.mean(0))
        self.std.copy_(columns.std(0, correction=0).clamp_min(1e-4))

    def folded(self) -> tuple[Tensor, Tensor]:
        """Return the hidden layer as it reads values that are not standardised.

        Returns
        -------
        torch.Tensor
            (WIDTH, inputs) weights.
        torch.Tensor
            (WIDTH,) bias.
        """
        weight = self.hidden.weight / self.std
        return weight, self.hidden.bias - weight @ self.mean

    def learn(self, loss: Callable[[], Tensor], steps: int, rate: float, decay: float, stop: Stop) -> None:
        """Learn both layers anew, at a rate that falls as a cosine.

        Parameters
        ----------
        loss : callable
            Computes the loss of a batch.
        steps : int
            How many.
        rate, decay : float
            Learning rate at first, and weight decay, of AdamW.
        stop : Stop
            Looked at before every step; what was learnt until then stays.
        """
        weights = [*self.hidden.parameters(), *self.output.parameters()]
        self.hidden.reset_parameters()
        self.output.reset_parameters()
        optimizer = torch.optim.AdamW(weights, rate, weight_decay=decay, fused=True)
        for step in range(steps):
            if stop.requested:
                return
            for group in optimizer.param_groups:
                group["lr"] = rate * 0.5 * (1 + math.cos(math.pi * step / steps))
            found = loss()
            optimizer.zero_grad(set_to_none=True)
            found.backward()
            optimizer.step()


def halved(values: Tensor) -> Tensor:
    """Set half of all values to zero, at random, and double the others: dropout (Srivastava et al., JMLR 2014).

    Each random byte decides for eight of them, which takes a fifth of the time of torch's own dropout on a processor.

    Parameters
    ----------
    values : torch.Tensor
        Of any shape.

    Returns
    -------
    torch.Tensor
        Of the same shape.
    """
    drawn = torch.randint(256, (-(-values.numel() // 8), 1), dtype=torch.uint8, device=values.device)
    kept = (drawn >> torch.arange(8, dtype=torch.uint8, device=values.device)) & 1
    return values * (2.0 * kept.flatten()[: values.numel()].view(values.shape)).to(values.dtype)


__all__ = ["UNITS", "WIDTH", "Hidden", "halved"]
