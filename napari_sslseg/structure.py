"""Structure: how separable and how rich dense features are, told without labels."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

LOCAL = 3  # clusters of one crop
GROUP, TOGETHER = 8, 24  # crops that are clustered together, and into how many clusters
ROUNDS = 20  # of k-means
BLANK = 1e-6  # mean distance of unit vectors from their mean, below which they are all the same
SINGULAR = 1e-7  # added to the share of a singular value, as RankMe does


@dataclass(frozen=True)
class Structure:
    """The parts of DSE, and the effective rank.

    Parameters
    ----------
    inter : float
        Mean distance of a feature to the nearest centre of another cluster, in units of the features' spread.
    intra : float
        Mean radius of the clusters, in the same units.
    dimension : float
        Effective rank of features of different crops as a share of the greatest possible one, 0 to 1.
    rank : float
        Effective rank of all features, 1 or more.
    """

    inter: float
    intra: float
    dimension: float
    rank: float

    @property
    def dse(self) -> float:
        """The score: the higher, the better."""
        return self.inter - self.intra + self.dimension


def estimate(
    features: Tensor,
    numbers: np.random.Generator,
    *,
    local: int = LOCAL,
    group: int = GROUP,
    together: int = TOGETHER,
) -> Structure:
    """Compute the Dense representation Structure Estimator (Dai et al., NeurIPS 2025) and RankMe.

    Clusters stand for the unknown classes: DSE is high where they lie apart, are tight, and features of different
    crops fill many directions. The paper weighs the last part by the spread of both over the checkpoints compared; a
    run that is still going on does not know that, so the weight is 1 here. RankMe is that of Garrido et al. (ICML
    2023); it tells a collapse, not which of two sound encoders is better.

    Parameters
    ----------
    features : torch.Tensor
        (B, N, D): of B crops at N places each.
    numbers : numpy.random.Generator
        Random numbers of the clustering.
    local, group, together : int, optional
        Clusters of one crop; crops that are clustered together, and clusters of those.

    Returns
    -------
    Structure
        The parts.
    """
    known = F.normalize(features.detach().cpu().double(), dim=-1)
    crops, places, length = known.shape
    flat = known.reshape(-1, length)
    order = torch.from_numpy(numbers.permuted(np.tile(np.arange(places), (crops, 1)), axis=1))
    mixed = known.gather(1, order[..., None].expand(-1, -1, length)).movedim(1, 0)
    dimension = float(effective_rank(mixed).mean()) / min(crops, length)
    rank = float(effective_rank(flat))
    spread = float((flat - flat.mean(0)).norm(dim=1).mean())
    if spread < BLANK:
        return Structure(0.0, 0.0, dimension, rank)
    alone = [_radius(crop, cluster(crop, local, numbers)[1]) for crop in known]
    inter, radii = [], []
    for part in known.split(group):
        points = part.reshape(-1, length)
        centres, own = cluster(points, together, numbers)
        inter.append(_apart(points, centres, own))
        radii.append(_radius(points, own))
    intra = (float(np.mean(alone)) + float(np.mean(radii))) / 2
    return Structure(float(np.mean(inter)) / spread, intra / spread, dimension, rank)


def effective_rank(features: Tensor) -> Tensor:
    """Count the directions that features fill: the exponential of the entropy of their singular values.

    Parameters
    ----------
    features : torch.Tensor
        (..., N, D).

    Returns
    -------
    torch.Tensor
        (...), 1 to min(N, D).
    """
    values = _singular_values(features)
    share = values / values.sum(-1, keepdim=True).clamp_min(torch.finfo(values.dtype).tiny) + SINGULAR
    entropy: Tensor = -(share * share.log()).sum(-1)
    return entropy.exp()


def _singular_values(features: Tensor) -> Tensor:
    """Singular values by the eigenvalues of the smaller Gram matrix, which takes a fraction of the time."""
    turned = features.mT if features.shape[-2] > features.shape[-1] else features
    squares: Tensor = torch.linalg.eigvalsh(turned @ turned.mT)
    return squares.clamp_min(0).sqrt()


def cluster(points: Tensor, count: int, numbers: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Cluster points by k-means from distant centres (k-means++, Arthur and Vassilvitskii 2007).

    Parameters
    ----------
    points : torch.Tensor
        (N, D).
    count : int
        Clusters, at most N.
    numbers : numpy.random.Generator
        Random numbers, to choose the first centres.

    Returns
    -------
    torch.Tensor
        (count, D) centres.
    torch.Tensor
        (N,) cluster of each point.
    """
    chosen = [int(numbers.integers(len(points)))]
    nearest = (points - points[chosen[0]]).square().sum(1)
    for _ in range(min(count, len(points)) - 1):
        weight = nearest.numpy()
        chance = weight / weight.sum() if weight.sum() > 0 else None
        chosen.append(int(numbers.choice(len(points), p=chance)))
        nearest = torch.minimum(nearest, (points - points[chosen[-1]]).square().sum(1))
    centres = points[chosen]
    own = torch.cdist(points, centres).argmin(1)
    for _ in range(ROUNDS):
        sums = torch.zeros_like(centres).index_add_(0, own, points)
        sizes = torch.bincount(own, minlength=len(centres))[:, None]
        centres = torch.where(sizes > 0, sums / sizes.clamp_min(1), centres)
        before, own = own, torch.cdist(points, centres).argmin(1)
        if torch.equal(before, own):
            break
    return centres, own


def _apart(points: Tensor, centres: Tensor, own: Tensor) -> float:
    """Mean distance of points to the nearest centre of another cluster than their own."""
    distance = torch.cdist(points, centres).scatter_(1, own[:, None], torch.inf)
    return float(distance.amin(1).mean())


def _radius(points: Tensor, own: Tensor) -> float:
    """Mean over clusters of the sum of singular values of the centred points, by the root of points or directions."""
    radii = []
    for k in own.unique():
        members = points[own == k]
        if len(members) > 1:
            values = _singular_values(members - members.mean(0))
            radii.append(float(values.sum()) / max(len(members) - 1, points.shape[1]) ** 0.5)
    return float(np.mean(radii)) if radii else 0.0
