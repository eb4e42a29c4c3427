"""Basins of a landscape, joined by dynamics."""

import numpy as np
import pytest
from scipy import ndimage
from skimage.morphology import h_maxima
from skimage.segmentation import watershed

from napari_sslseg.dynamics import basins


def hills(*heights, width=9, way=0.3):
    """Cones of some heights in a row, with passes between them."""
    x = np.arange(width * len(heights))
    each = np.abs(x % width - width // 2) / (width // 2)
    profile = np.repeat(heights, width) * (1 - each) + way * each
    return np.tile(profile, (5, 1)).astype(np.float32)


def count(landscape, mask=None, rise=0.4, floor=0.0, least=0.1):
    mask = np.ones(landscape.shape, bool) if mask is None else mask
    return len(np.setdiff1d(basins(landscape, mask, rise=rise, floor=floor, least=least), 0))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("shape", [(60, 70), (8, 20, 24)])
def test_they_are_those_of_a_watershed_seeded_at_the_h_maxima(seed, shape):
    rng = np.random.default_rng(seed)
    landscape = ndimage.gaussian_filter(rng.normal(size=shape), 2)
    landscape = (landscape / np.abs(landscape).max()).astype(np.float32)
    mask, rise, floor = landscape > -0.4, 0.3, -0.2
    found = basins(landscape, mask, rise=rise, floor=floor, least=floor + rise)
    neighbours = ndimage.generate_binary_structure(len(shape), 1)
    heights = np.where(mask, np.maximum(landscape, floor), floor)
    seeds, _ = ndimage.label(h_maxima(heights, rise, neighbours), np.ones((3,) * len(shape)))
    expected = watershed(-landscape, seeds, mask=mask)
    assert expected.max() > 3
    seeded = np.array([found[seeds == k][0] for k in range(1, seeds.max() + 1)])
    assert len(np.unique(seeded)) == len(seeded) == len(np.unique(found)) - 1
    assert (np.insert(seeded, 0, 0)[expected] == found).mean() > 0.99  # a pixel between two is of either
    assert (found[~mask] == 0).all()


@pytest.mark.parametrize(("way", "expected"), [(0.2, 3), (0.45, 3), (0.55, 2), (0.7, 1)])
def test_tops_are_joined_that_rise_too_little_above_the_pass(way, expected):
    assert count(hills(1.0, 0.9, 1.1, way=way)) == expected


def test_a_pass_below_the_floor_is_as_high_as_the_floor():
    assert count(hills(1.0, 0.5, way=-1.0), floor=0.2) == 1
    assert count(hills(1.0, 0.5, way=-1.0), floor=0.0) == 2


def test_a_low_top_is_left_out_with_all_that_it_has():
    landscape = hills(1.0, 0.3, way=-1.0)
    found = basins(landscape, landscape > -0.8, rise=0.2, floor=-1.0, least=0.5)
    assert len(np.unique(found)) == 2
    assert (found[:, 9:] == 0).all()


def test_equal_tops_are_joined_or_not_as_others_are():
    assert count(hills(1.0, 1.0, way=0.5)) == 2
    assert count(hills(1.0, 1.0, way=0.7)) == 1


def test_a_plain_is_one():
    assert count(np.full((6, 7), 0.5, np.float32)) == 1


def test_nothing_to_look_at_gives_nothing():
    assert count(hills(1.0), np.zeros((5, 9), bool)) == 0
