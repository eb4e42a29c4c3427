"""Masks are changed without predicting again: surer, smoother, without specks, parted; and nothing else changes."""

import numpy as np
import pytest

from napari_sslseg.instances import ObjectSize
from napari_sslseg.refining import Known, refine, weighed
from napari_sslseg.settings import Refinement

SQUARE = Known("semantic", (1.0, 1.0))
OBJECTS = Known("instance", (1.0, 1.0))


def test_the_defaults_change_nothing():
    masks = np.random.default_rng(0).integers(0, 4, (9, 9)).astype(np.uint32)
    assert refine(masks, Refinement(), SQUARE) is masks


@pytest.mark.parametrize(("sure", "expected"), [(0.3, [2, 2, 2, 1]), (0.5, [2, 2, 1, 1]), (0.75, [2, 1, 1, 1])])
def test_a_class_needs_to_be_so_sure_against_background(sure, expected):
    found = np.array([0.9, 0.6, 0.4, 0.1])
    shares = np.rint(255 * np.array([1 - found, found])).astype(np.uint8)[:, None]
    masks = np.array([[2, 2, 1, 1]], np.uint32)
    assert refine(masks, Refinement(sure=sure), Known("semantic", (1, 1), "px", shares, (1, 2))).tolist() == [expected]


def test_how_sure_leaves_classes_among_themselves_as_they_are():
    shares = np.array([[[100]], [[80]], [[60]]], np.uint8)  # background is ahead, then class 2, then 5
    known = Known("semantic", (1, 1), "px", shares, (1, 2, 5))
    assert refine(np.array([[1]], np.uint32), Refinement(sure=0.2), known).item() == 2


def test_even_odds_change_no_share():
    shares = np.array([[[51]], [[204]]], np.uint8)
    assert weighed(shares, 0.5).reshape(-1).tolist() == pytest.approx([0.2, 0.8])


def test_without_probabilities_how_sure_changes_nothing():
    masks = np.array([[1, 2]], np.uint32)
    assert refine(masks, Refinement(sure=0.9), SQUARE).tolist() == [[1, 2]]
    shares = np.zeros((2, 1, 2), np.uint8)
    assert not Known("semantic", (1, 1), "px", shares, (2, 3)).sure  # no background to weigh
    assert not Known("instance", (1, 1), "px", shares, (1, 2, 3)).sure


def test_specks_and_holes_take_the_class_around_them():
    masks = np.ones((12, 12), np.uint32)
    masks[2:10, 2:10] = 2
    masks[5:7, 5] = 3  # 2 pixels
    masks[0, 0] = 2
    found = refine(masks, Refinement(least=3), SQUARE)
    assert (found[2:10, 2:10] == 2).all()
    assert (found == 1).sum() == 144 - 64
    assert (refine(masks, Refinement(least=2), SQUARE)[5:7, 5] == 3).all()


def test_the_least_size_is_in_the_unit_of_the_image():
    masks = np.ones((8, 8), np.uint32)
    masks[2:4, 2:4] = 2  # 4 pixels of 0.25 µm²: 1 µm²
    fine = Known("semantic", (0.5, 0.5), "µm")
    assert (refine(masks, Refinement(least=1.0), fine) == masks).all()
    assert (refine(masks, Refinement(least=1.1), fine) == 1).all()
    assert (refine(masks, Refinement(least=1.1), Known("semantic", (0.5, 0.5))) == masks).all()  # of pixels


def test_specks_of_specks_are_all_gone():
    masks = np.ones((9, 9), np.uint32)
    masks[3:6, 3:6] = 2
    masks[4, 4] = 3
    assert (refine(masks, Refinement(least=20), SQUARE) == 1).all()


def test_smoothing_takes_what_most_around_is():
    masks = np.ones((9, 9), np.uint32)
    masks[:, 5:] = 2
    masks[4, 1], masks[4, 5] = 2, 1  # a speck, and a dent
    expected = np.ones((9, 9), np.uint32)
    expected[:, 5:] = 2
    assert (refine(masks, Refinement(smooth=1), SQUARE) == expected).all()


def test_what_was_never_predicted_stays_so():
    masks = np.ones((9, 9), np.uint32)
    masks[:, 4:] = 0
    assert (refine(masks, Refinement(smooth=3, least=10), SQUARE)[:, 4:] == 0).all()


def test_touching_objects_of_a_class_are_parted_by_background():
    y, x = np.mgrid[:40, :60]
    both = np.minimum((x - 20) ** 2, (x - 38) ** 2) + (y - 20) ** 2 < 100
    masks = np.where(both, 2, 1).astype(np.uint32)
    masks[0:3, 0:3] = 3
    found = refine(masks, Refinement(split=2), SQUARE)
    from scipy import ndimage

    assert ndimage.label(found == 2, np.ones((3, 3)))[1] == 2  # apart at corners too
    assert 0 < (found != masks).sum() < 20
    assert (found == 3).sum() == 9


def test_small_objects_are_removed():
    masks = np.ones((10, 10), np.uint32)
    masks[1:3, 1:3], masks[5:9, 5:9] = 7, 9
    found = refine(masks, Refinement(least=5), OBJECTS)
    assert np.unique(found).tolist() == [1, 9]


def test_holes_of_an_object_are_filled_and_gaps_between_objects_are_not():
    masks = np.ones((12, 20), np.uint32)
    masks[1:8, 1:8], masks[4, 4] = 2, 1
    masks[1:8, 12:16], masks[1:8, 16:19], masks[3:5, 15:17] = 3, 4, 1  # closed, but by two
    masks[9:12, 2:7], masks[11, 4] = 5, 1  # open to the border
    found = refine(masks, Refinement(holes=True), OBJECTS)
    assert found[4, 4] == 2
    assert (found[3:5, 15:17] == 1).all()
    assert found[11, 4] == 1


def test_outlines_are_smoothed_object_by_object():
    masks = np.ones((12, 12), np.uint32)
    masks[2:10, 2:6], masks[2:10, 6:10] = 2, 3
    masks[5, 1], masks[5, 6] = 2, 2  # a spur into the background, and one into the other object
    found = refine(masks, Refinement(smooth=1), OBJECTS)
    assert (found[5, 1], found[5, 6]) == (1, 3)
    assert (found[3:9, 3:6] == 2).all()
    assert (found[3:9, 6:9] == 3).all()


def test_objects_are_separated_anew_from_how_sure_they_are():
    y, x = np.mgrid[:30, :60]
    sure = (y - 15) ** 2 + (x - 15) ** 2 < 64
    faint = (y - 15) ** 2 + (x - 42) ** 2 < 64
    core = np.where(sure, 0.97, np.where(faint, 0.7, 0.02))
    shares = np.rint(255 * np.stack([1 - core, core, np.zeros_like(core)])).astype(np.uint8)
    known = Known("instance", (1.0, 1.0), "px", shares, (1, 2, 3), ObjectSize(100, 190))
    masks = np.where(sure, 2, 1).astype(np.uint32)
    assert len(np.unique(refine(masks, Refinement(sure=0.1), known))) == 3  # background and both
    assert len(np.unique(refine(masks, Refinement(sure=0.9), known))) == 2


def test_objects_of_a_stack_are_measured_as_volumes():
    masks = np.ones((6, 10, 10), np.uint32)
    masks[1:5, 1:5, 1:5], masks[2, 7:9, 7:9] = 2, 3  # 64 and 4 voxels of 2 µm³
    known = Known("instance", (2.0, 1.0, 1.0), "µm")
    assert np.unique(refine(masks, Refinement(least=9), known)).tolist() == [1, 2]
    assert np.unique(refine(masks, Refinement(least=7), known)).tolist() == [1, 2, 3]
