"""Losses against slow NumPy ones of their own."""

import numpy as np
import pytest
import torch

from napari_sslseg.corruption import BLOCKS, MASKED, block_mask, shuffle
from napari_sslseg.objective import partial_cross_entropy, partial_dice
from napari_sslseg.views import TEMPERATURE, contrast


def example(seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(2, 3, 5, 4)), rng.integers(0, 4, (2, 5, 4))


def softmax(logits):
    e = np.exp(logits - logits.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def test_partial_cross_entropy_is_the_mean_over_classes_of_the_mean_over_their_pixels():
    logits, targets = example()
    p = softmax(logits)
    by_class = []
    for c in (1, 2, 3):
        b, y, x = np.nonzero(targets == c)
        by_class.append(-np.log(p[b, c - 1, y, x]).mean())
    found = partial_cross_entropy(torch.tensor(logits), torch.tensor(targets))
    assert float(found) == pytest.approx(np.mean(by_class))


def test_partial_dice_is_one_minus_dice_on_labelled_pixels():
    logits, targets = example(1)
    p, said = softmax(logits), targets > 0
    by_class = []
    for c in (1, 2, 3):
        q, t = p[:, c - 1][said], (targets == c)[said]
        by_class.append(1 - 2 * (q * t).sum() / (q.sum() + t.sum()))
    found = partial_dice(torch.tensor(logits), torch.tensor(targets))
    assert float(found) == pytest.approx(np.mean(by_class), abs=1e-5)


@pytest.mark.parametrize("loss", [partial_cross_entropy, partial_dice])
def test_unlabelled_pixels_have_no_gradient(loss):
    logits, targets = (torch.tensor(a) for a in example(2))
    logits.requires_grad_()
    loss(logits, targets).backward()
    assert (logits.grad.abs().sum(1)[targets == 0] == 0).all()
    assert (logits.grad.abs().sum(1)[targets > 0] > 0).any()


@pytest.mark.parametrize("loss", [partial_cross_entropy, partial_dice])
def test_nothing_labelled_is_a_loss_of_zero(loss):
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    value = loss(logits, torch.zeros(1, 4, 4, dtype=torch.long))
    value.backward()
    assert float(value.detach()) == 0
    assert torch.isfinite(logits.grad).all()


def test_contrast_is_infonce_over_the_spots_that_may_serve():
    rng = np.random.default_rng(0)
    a, b = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in rng.normal(size=(2, 6, 4)))
    inside = np.array([1, 1, 0, 1, 1, 1], bool)
    apart = rng.random((6, 6)) < 0.6
    each = []
    for i in np.flatnonzero(inside):
        own = np.exp(a[i] @ b[i] / TEMPERATURE)
        others = sum(np.exp(a[i] @ b[j] / TEMPERATURE) for j in range(6) if j != i and apart[i, j])
        each.append(-np.log(own / (own + others)))
    found = contrast(*(torch.tensor(v) for v in (a, b, inside, apart)))
    assert float(found) == pytest.approx(np.mean(each))


def test_a_mask_has_blocks_and_about_the_stated_share():
    torch.manual_seed(0)
    mask = block_mask(64, 128)
    assert float(mask.float().mean()) == pytest.approx(MASKED, abs=0.05)
    smallest = mask.unfold(2, BLOCKS[0], BLOCKS[0]).unfold(3, BLOCKS[0], BLOCKS[0]).flatten(4)
    assert (smallest.all(-1) | ~smallest.any(-1)).all()


def test_shuffling_moves_pixels_only_inside_their_window():
    torch.manual_seed(0)
    image = torch.arange(2 * 16 * 16.0).reshape(1, 2, 16, 16)
    mixed = shuffle(image)
    assert not torch.equal(mixed, image)

    def windows(a):
        return a.unfold(2, 4, 4).unfold(3, 4, 4).flatten(4).sort(-1).values

    assert torch.equal(windows(mixed), windows(image))
