"""Trees: what extremely randomised trees over a filter bank say of single pixels, kept as a small network."""

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_sslseg.hidden import UNITS, Hidden
from napari_sslseg.job import Stop

TREES, LEAST = 30, 2  # how many, and pixels of a leaf
MOST = 20000  # pixels the trees grow from; of more, some are drawn
STEPS, BATCH, RATE, DECAY = 400, 1024, 5e-3, 1e-3


class Trees(Hidden):
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
        weight, bias = self.folded()
        weight, output = weight[:, :, None, None], self.output.weight[:, :, None, None]
        logits = self.output.bias[None, :, None, None]
        for start in range(0, self.hidden.out_features, UNITS):
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
        seen = torch.cat([known, others])
        told = self._told(known, targets, seen)
        self.standardise(seen)
        seen = (seen - self.mean) / self.std

        def loss() -> Tensor:
            chosen = torch.randint(len(seen), (BATCH,)).to(seen.device)
            return F.cross_entropy(self.output(F.relu(self.hidden(seen[chosen]))), told[chosen])

        self.learn(loss, STEPS, RATE, DECAY, stop)

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
