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


def chances(head, known):
    logits = known.astype(np.float64) @ head.weight.T.astype(np.float64) + head.bias
    chance = np.exp(logits - logits.max(1, keepdims=True))
    return chance / chance.sum(1, keepdims=True)


def surprises(head, known, targets):
    """By class: mean of minus the logarithm of the probability."""
    surprise = -np.log(chances(head, known)[np.arange(len(targets)), targets])
    return {c: surprise[targets == c].mean() for c in np.unique(targets)}


def loss(head, known, targets, penalty, unlabelled=None, images=None):
    """The definition, in float64: each class weighs the same, weights count for features of standard deviation 1."""
    total = np.mean(list(surprises(head, known, targets).values()))
    if (
        unlabelled is not None
    ):  # guesses of the head before this one: half a label, a class by the root of its frequency
        others, chance = unlabelled
        sure = chance.max(1) >= linear.SURE
        guessed = chance.argmax(1)[sure]
        each = surprises(head, others[sure], guessed)
        roots = {c: np.sqrt(np.count_nonzero(guessed == c)) for c in each}
        taught = sum(roots[c] / sum(roots.values()) * each[c] for c in each)
        total = (total + linear.GUESSED * taught) / (1 + linear.GUESSED)
    if images is not None:  # how differently the images are scored on average, each class by itself
        total += linear.SPREAD / 2 * (images @ head.weight.T).var(0).sum()
    return total + penalty / 2 * ((head.weight * known.std(0)) ** 2).sum()


@pytest.mark.parametrize("penalty", [0.3, 0.01])
@pytest.mark.parametrize("guess", [False, True])
@pytest.mark.parametrize("images", [None, clouds(seed=3, counts=(2, 2))[0]])
def test_no_change_of_the_weights_makes_the_loss_smaller(penalty, guess, images):
    known, targets = clouds()
    others = clouds(seed=0, counts=(300, 60, 90))[0] + np.float32(2)
    head = linear.fit(known, targets, 3, penalty=penalty, unlabelled=others if guess else None, images=images)
    taught = (others, chances(head.earlier[-1], others)) if guess else None
    if guess:
        assert len(np.unique(taught[1].argmax(1)[taught[1].max(1) > linear.SURE])) == 3
    best, rng = loss(head, known, targets, penalty, taught, images), np.random.default_rng(1)
    for size in (0.3, 0.1, 0.03):
        for _ in range(30):
            weight = head.weight + size * rng.normal(0, 1, head.weight.shape) / known.std(0)
            bias = head.bias + (head.weight - weight) @ known.mean(0) + size * rng.normal(0, 1, 3)
            other = Linear(weight.astype(np.float32), bias.astype(np.float32))
            assert loss(other, known, targets, penalty, taught, images) > best - 1e-4


def test_what_was_learnt_before_changes_nothing_but_the_time():
    known, targets = clouds()
    others = linear.fit(*clouds(seed=5), 3)
    fresh, after = linear.fit(known, targets, 3), linear.fit(known, targets, 3, before=others)
    assert np.abs(chances(fresh, known) - chances(after, known)).max() < 0.02
    assert np.abs(chances(fresh, known) - np.eye(3)[targets]).max() > 0.5  # which says something


def test_learning_from_guesses_begins_with_labels_alone_and_starts_from_what_was_learnt_before():
    known, targets = clouds()
    others = clouds(counts=(100, 100, 100))[0]
    fresh = linear.fit(known, targets, 3, unlabelled=others)
    assert len(fresh.earlier) == linear.ROUNDS
    alone = linear.fit(known, targets, 3)
    assert np.array_equal(alone.weight, fresh.earlier[0].weight)
    assert np.abs(chances(fresh, known) - chances(alone, known)).max() > 0.02  # guesses say something
    for before in (fresh, alone, linear.fit(*clouds(seed=5), 3, unlabelled=others)):
        after = linear.fit(known, targets, 3, unlabelled=others, before=before)
        assert np.abs(chances(fresh, known) - chances(after, known)).max() < 0.02


def test_guesses_move_the_border_to_where_there_are_few_pixels():
    every = np.concatenate([np.linspace(0, 1.3, 300), np.linspace(1.7, 3, 300)])[:, None].astype(np.float32)
    truth = np.repeat([0, 1], 300)
    labelled = (every[:, 0] < 0.1) | ((every[:, 0] > 1.69) & (every[:, 0] < 1.8))  # each class at its lower end alone
    alone, taught = (linear.fit(every[labelled], truth[labelled], 2, unlabelled=u, penalty=0.01) for u in (None, every))
    right = [(h(every).argmax(1) == truth).mean() for h in (alone, taught)]
    assert right[0] < 0.9
    assert right[1] > right[0] + 0.05


def test_where_it_is_sure_of_nothing_nothing_is_learnt_from_guesses():
    known, targets = clouds()
    middle = np.repeat(known.mean(0, keepdims=True), 50, 0)
    alone, taught = (linear.fit(known, targets, 3, unlabelled=u) for u in (None, middle))
    assert chances(alone, middle).max() < linear.SURE
    assert np.abs(chances(alone, known) - chances(taught, known)).max() < 0.01


def test_what_differs_between_images_tells_classes_apart_less():
    rng = np.random.default_rng(0)
    targets, image = np.arange(400) % 2, np.arange(400) // 300
    known = rng.normal(0, 1, (400, 200)).astype(np.float32)
    known[:, 100:130] += targets[:, None]  # what a class looks like
    known[:, :100] += 4 * image[:, None]  # what an image looks like
    painted = (image == 0) | (targets == 1)
    means = np.stack([known[image == k].mean(0) for k in (0, 1)])
    right = []
    for images in (None, means[:1], means):
        head = linear.fit(known[painted], targets[painted], 2, images=images)
        right.append((head(known).argmax(1) == targets)[image == 1].mean())
    assert right[0] == right[1]
    assert right[2] > right[0] + 0.1


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
