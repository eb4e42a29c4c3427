"""Lot: which of very many pixels are drawn."""

import numpy as np

from napari_sslseg import lot


def test_groups_take_turns_and_the_largest_is_not_sorted_as_a_whole():
    points = np.argwhere(np.ones((300, 400)))
    groups = np.zeros(len(points), int)
    groups[500:530], groups[9000:9100] = 2, 1
    ranks = lot.rank(points, 3)
    at, turns = lot.turns(ranks, groups, 50)
    assert np.bincount(groups[at])[1:].tolist() == [100, 30]
    assert 50 < (groups[at] == 0).sum() < 400
    for group in range(3):
        mine = at[groups[at] == group][np.argsort(turns[groups[at] == group])]
        order = np.flatnonzero(groups == group)[np.argsort(ranks[groups == group])]
        assert np.array_equal(mine, order[: len(mine)])
    drawn = groups[at[lot.lowest(turns, np.arange(len(at)), 150)]]
    assert np.bincount(drawn).tolist() == [60, 60, 30]


def test_one_group_is_drawn_from_as_by_rank_alone():
    points = np.random.default_rng(0).permutation(np.argwhere(np.ones((50, 60))))
    ranks = lot.rank(points, 0)
    at, turns = lot.turns(ranks, np.zeros(len(points), int), 100)
    assert np.array_equal(at[lot.lowest(turns, np.arange(len(at)), 100)], lot.lowest(ranks, np.arange(3000), 100))
