"""Logistic regression: what it minimises, and that it has one answer."""

import numpy as np
import pytest

from napari_sslseg import linear
from napari_sslseg.linear import Linear


def clouds(seed=0, counts=(40, 200, 10), features=5):
    rng = np.random.default_rng(seed)
    targets = np.repeat(np.arange(len(counts)), counts)
    middles = rng.normal(0, 1, (len(counts), features))
    known = 30 + 7 * (middles[targets] + rng.normal(0, 1, (len(targets), features)))
    return known.astype(np.float32), targets


def loss(head, known, targets, penalty):
    """The definition, in float64: each class weighs the same, weights count for features of standard deviation 1."""
    known = known.astype(np.float64)
    logits = known @ head.weight.T.astype(np.float64) + head.bias
    surprise = np.log(np.exp(logits - logits.max(1, keepdims=True)).sum(1)) + logits.max(1)
    surprise -= logits[np.arange(len(targets)), targets]
    classes = [surprise[targets == c].mean() for c in np.unique(targets)]
    return np.mean(classes) + penalty / 2 * ((head.weight * known.std(0)) ** 2).sum()


@pytest.mark.parametrize("penalty", [0.3, 0.01])
def test_no_change_of_the_weights_makes_the_loss_smaller(penalty):
    known, targets = clouds()
    head = linear.fit(known, targets, 3, penalty=penalty)
    best, rng = loss(head, known, targets, penalty), np.random.default_rng(1)
    for size in (0.3, 0.1, 0.03):
        for _ in range(30):
            weight = head.weight + size * rng.normal(0, 1, head.weight.shape) / known.std(0)
            bias = head.bias + (head.weight - weight) @ known.mean(0) + size * rng.normal(0, 1, 3)
            other = Linear(weight.astype(np.float32), bias.astype(np.float32))
            assert loss(other, known, targets, penalty) > best - 1e-4


def test_what_was_learnt_before_changes_nothing_but_the_time():
    known, targets = clouds()
    others = linear.fit(*clouds(seed=5), 3)
    fresh, after = linear.fit(known, targets, 3), linear.fit(known, targets, 3, before=others)
    chances = [np.exp(h(known)) / np.exp(h(known)).sum(1, keepdims=True) for h in (fresh, after)]
    assert np.abs(chances[0] - chances[1]).max() < 0.02
    assert np.abs(chances[0] - np.eye(3)[targets]).max() > 0.5  # which says something


def test_a_class_without_a_pixel_is_never_found():
    known, targets = clouds()
    head = linear.fit(known, np.where(targets == 2, 3, targets), 5)
    assert set(head(known).argmax(1)) == {0, 1, 3}
    assert np.isneginf(head(known)[:, [2, 4]]).all()
    again = linear.fit(known, targets, 5, before=head)
    assert set(again(known).argmax(1)) == {0, 1, 2}


def test_a_feature_that_never_changes_does_no_harm():
    known, targets = clouds()
    same = np.concatenate([known, np.full((len(known), 1), 3, np.float32)], 1)
    assert np.allclose(linear.fit(same, targets, 3)(same), linear.fit(known, targets, 3)(known), atol=0.05)
