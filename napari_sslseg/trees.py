"""Trees: what extremely randomised trees over a filter bank say of single pixels, kept as a small network."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_sslseg.job import Stop

TREES, LEAST = 30, 2  # how many, and pixels of a leaf
MOST = 20000  # pixels the trees grow from; of more, some are drawn
WIDTH = 64  # hidden units of the network
UNITS = 8  # hidden units computed at once: more do not fit the cache of a processor
STEPS, BATCH, RATE, DECAY = 400, 1024, 5e-3, 1e-3


class Trees(nn.Module):
    """Extremely randomised trees (Geurts et al., Machine Learning 2006), told by one hidden layer (Hinton et al. 2015).

    Trees never say of a pixel what they have not seen of another, so a handful of strokes misleads them less than it
    does a network. The hidden layer learns what they say of pixels with and without a label: it is as easily stored as
    any weights, and a picture takes it a fraction of the time.

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

    def forward(self, maps: Tensor) -> Tensor:
        """Compute class scores of every pixel.

        Parameters
        ----------
        maps : torch.Tensor
            (B, inputs, Y, X).

        Returns
        -------
        torch.Tensor
            (B, classes, Y, X) logits.
        """
        weight = self.hidden.weight / self.std
        bias = self.hidden.bias - weight @ self.mean
        weight, output = weight[:, :, None, None], self.output.weight[:, :, None, None]
        logits = self.output.bias[None, :, None, None]
        for start in range(0, WIDTH, UNITS):
            units = slice(start, start + UNITS)
            logits = logits + F.conv2d(F.relu(F.conv2d(maps, weight[units], bias[units])), output[:, units])
        return logits

    def fit(self, known: Tensor, targets: Tensor, others: Tensor, stop: Stop) -> None:
        """Grow trees from labelled pixels, every class weighing the same, and learn what they say.

        Parameters
        ----------
        known : torch.Tensor
            (N, inputs) of labelled pixels.
        targets : torch.Tensor
            (N,) classes from 0.
        others : torch.Tensor
            (M, inputs) of pixels without a label; what the trees say of them is learnt too.
        stop : Stop
            Looked at before every step; what was learnt until then stays.
        """
        told = self._told(known, targets, torch.cat([known, others]))
        seen = torch.cat([known, others])
        self.mean.copy_(seen.mean(0))
        self.std.copy_(seen.std(0, correction=0).clamp_min(1e-4))
        seen = (seen - self.mean) / self.std
        self.hidden.reset_parameters()
        self.output.reset_parameters()
        optimizer = torch.optim.AdamW(self.parameters(), RATE, weight_decay=DECAY)
        for step in range(STEPS):
            if stop.requested:
                return
            for group in optimizer.param_groups:
                group["lr"] = RATE * 0.5 * (1 + math.cos(math.pi * step / STEPS))
            chosen = torch.randint(len(seen), (BATCH,)).to(seen.device)
            loss = F.cross_entropy(self.output(F.relu(self.hidden(seen[chosen]))), told[chosen])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

    def _told(self, known: Tensor, targets: Tensor, seen: Tensor) -> Tensor:
        """What trees grown from labelled pixels say of others: (S, classes) probabilities."""
        from sklearn.ensemble import ExtraTreesClassifier

        used = torch.randperm(len(targets))[:MOST].to(known.device)
        seed = int(torch.randint(2**31 - 1, ()))
        trees = ExtraTreesClassifier(TREES, min_samples_leaf=LEAST, class_weight="balanced", random_state=seed)
        trees.fit(known[used].cpu().numpy(), targets[used].cpu().numpy())
        told = torch.zeros(len(seen), self.output.out_features)
        told[:, trees.classes_] = torch.from_numpy(trees.predict_proba(seen.cpu().numpy())).to(told.dtype)
        return told.to(known.device)


__all__ = ["Trees"]
