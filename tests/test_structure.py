"""How separable and how rich features are: DSE and the effective rank, against NumPy and on features of known kind."""

import numpy as np
import pytest
import torch

from napari_sslseg.structure import effective_rank, estimate


def by_hand(features, numbers, local, group, together):
    """The same estimate in loops of NumPy."""

    def rank(x):
        s = np.linalg.svd(x, compute_uv=False)
        p = s / s.sum() + 1e-7
        return np.exp(-(p * np.log(p)).sum())

    def means(points, count):
        chosen = [numbers.integers(len(points))]
        while len(chosen) < count:
            nearest = np.min([((points - points[c]) ** 2).sum(1) for c in chosen], 0)
            chosen.append(numbers.choice(len(points), p=nearest / nearest.sum()))
        centres = points[chosen]
        for _ in range(21):
            own = np.array([np.argmin([np.linalg.norm(p - c) for c in centres]) for p in points])
            centres = np.array([points[own == k].mean(0) if (own == k).any() else centres[k] for k in range(count)])
        return centres, own

    def radius(points, own):
        found = []
        for k in set(own):
            x = points[own == k]
            if len(x) > 1:
                s = np.linalg.svd(x - x.mean(0), compute_uv=False)
                found.append(s.sum() / np.sqrt(max(len(x) - 1, x.shape[1])))
        return np.mean(found)

    known = features / np.linalg.norm(features, axis=-1, keepdims=True)
    crops, places, length = known.shape
    orders = numbers.permuted(np.tile(np.arange(places), (crops, 1)), axis=1)
    mixed = [np.stack([known[b, orders[b, n]] for b in range(crops)]) for n in range(places)]
    flat = known.reshape(-1, length)
    spread = np.linalg.norm(flat - flat.mean(0), axis=1).mean()
    alone = [radius(crop, means(crop, local)[1]) for crop in known]
    inter, radii = [], []
    for first in range(0, crops, group):
        points = known[first : first + group].reshape(-1, length)
        centres, own = means(points, together)
        distance = np.linalg.norm(points[:, None] - centres, axis=2)
        distance[np.arange(len(points)), own] = np.inf
        inter.append(distance.min(1).mean())
        radii.append(radius(points, own))
    intra = (np.mean(alone) + np.mean(radii)) / 2
    dimension = np.mean([rank(m) for m in mixed]) / min(crops, length)
    return np.mean(inter) / spread, intra / spread, dimension, rank(flat)


def blobs(spread, length=12, seed=0):
    """Features of two clusters, of (4, 20, length)."""
    rng = np.random.default_rng(seed)
    centres = np.zeros((2, length))
    centres[0, 0] = centres[1, 1] = 1
    return torch.from_numpy(centres[rng.integers(2, size=(4, 20))] + spread * rng.normal(size=(4, 20, length)))


def dse(features, clusters=2):
    return estimate(features, np.random.default_rng(0), local=clusters, group=4, together=clusters).dse


def noise(seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(4, 20, 12)))


@pytest.mark.parametrize("seed", [0, 1])
def test_the_estimate_is_what_loops_in_numpy_find(seed):
    features = np.random.default_rng(seed).normal(size=(6, 15, 7)) + 1
    found = estimate(torch.from_numpy(features), np.random.default_rng(5), local=3, group=4, together=6)
    inter, intra, dimension, rank = by_hand(features, np.random.default_rng(5), 3, 4, 6)
    assert (found.inter, found.intra) == pytest.approx((inter, intra), rel=1e-8)
    assert (found.dimension, found.rank) == pytest.approx((dimension, rank), rel=1e-8)
    assert found.dse == pytest.approx(inter - intra + dimension)


def test_tight_clusters_that_lie_apart_score_high():
    assert dse(blobs(0.01)) > dse(blobs(0.2)) > dse(noise())


def test_collapsed_features_score_low():
    same = torch.ones(4, 20, 12)
    assert dse(same) < 0.3
    assert dse(same + 1e-3 * noise()) < dse(blobs(0.01)) - 1


def test_the_estimate_is_the_same_for_the_same_random_numbers():
    assert dse(noise()) == dse(noise())


def test_the_estimate_does_not_depend_on_the_scale_of_the_features():
    assert dse(blobs(0.2)) == pytest.approx(dse(1000 * blobs(0.2)))


def test_the_effective_rank_counts_directions():
    assert float(effective_rank(torch.eye(9, dtype=torch.double))) == pytest.approx(9, rel=1e-4)
    assert float(effective_rank(torch.ones(9, 5, dtype=torch.double))) == pytest.approx(1, rel=1e-4)
    assert float(effective_rank(torch.zeros(3, 3))) >= 1 - 1e-4
