"""Objects to targets and back."""

import numpy as np
import pytest
from scenes import objects

from napari_sslseg import instances, metrics


def test_touching_objects_have_a_contour_between_them():
    plane = np.ones((20, 20), np.uint16)
    plane[5:15, 2:10], plane[5:15, 10:18] = 2, 3
    targets = instances.to_targets(plane, 1)
    assert (targets[6:14, 9:11] == instances.CONTOUR).all()
    assert (targets[7:13, 4:8] == instances.CORE).all()
    assert (targets[plane == 1] == instances.BACKGROUND).all()


def test_the_border_of_the_image_is_no_contour():
    plane = np.zeros((12, 12), np.uint16)
    plane[0:6, 0:12] = 2
    assert (instances.to_targets(plane, 2)[:4] == instances.CORE).all()


def test_unlabelled_pixels_stay_unlabelled():
    plane = np.zeros((12, 12), np.uint16)
    plane[4:8, 4:8] = 2
    assert (instances.to_targets(plane, 1)[plane == 0] == 0).all()


def perfect(truth, width):
    targets = instances.to_targets(truth, width)
    return np.stack([targets == c for c in (1, 2, 3)]).astype(np.float32)


def test_objects_are_found_again_from_perfect_probabilities():
    _, truth = objects()
    size = instances.measure([truth])
    found = instances.separate(perfect(truth, instances.contour_width(size)), size, (1.0, 1.0))
    assert metrics.average_precision([(found, truth)]).at_50 == 1.0


def test_objects_of_a_stack_are_found_again():
    plane = objects()[1]
    truth = np.stack([np.ones_like(plane), plane, plane, plane, np.ones_like(plane)])
    size = instances.measure([plane])
    probabilities = np.stack([perfect(p, instances.contour_width(size)) for p in truth], 1)
    found = instances.separate(probabilities, size, (3.0, 1.0, 1.0))
    assert metrics.average_precision([(found, truth)]).at_50 == 1.0


def test_specks_much_smaller_than_the_painted_objects_are_dropped():
    _, truth = objects()
    size = instances.measure([truth])
    truth[0:2, 0:2] = truth.max() + 1
    found = instances.separate(perfect(truth, 1), size, (1.0, 1.0))
    assert (found[0:2, 0:2] == 1).all()


def doubtful(truth, doubts):
    """Perfect probabilities but for so much background inside each object, by its value."""
    found = perfect(truth, 1)
    for value, doubt in doubts.items():
        found[:, truth == value] *= 1 - doubt
        found[0, truth == value] += doubt
    return found


def test_an_object_that_may_be_background_all_over_is_left_out():
    _, truth = objects()
    size = instances.measure([truth])
    found = instances.separate(doubtful(truth, {3: 0.3}), size, (1.0, 1.0))
    assert (found[truth == 3] == 1).all()
    assert len(np.unique(found)) == len(np.unique(truth)) - 1


def test_an_object_that_is_sure_somewhere_stays():
    _, truth = objects()
    size = instances.measure([truth])
    probabilities = doubtful(truth, {3: 0.3})
    y, x = (int(v) for v in np.argwhere(truth == 3).mean(0).round())
    probabilities[:, y - 2 : y + 3, x - 2 : x + 3] = np.array([0, 1, 0])[:, None, None]
    assert len(np.unique(instances.separate(probabilities, size, (1.0, 1.0)))) == len(np.unique(truth))


def test_where_nearly_all_objects_are_in_doubt_they_stay():
    _, truth = objects()
    size, values = instances.measure([truth]), np.unique(truth)[1:].tolist()
    few = dict.fromkeys(values, 0.3)
    found = instances.separate(doubtful(truth, few), size, (1.0, 1.0))
    assert len(np.unique(found)) == len(np.unique(truth))
    half = dict.fromkeys(values[len(values) // 2 :], 0.3)
    found = instances.separate(doubtful(truth, half), size, (1.0, 1.0))
    assert [v for v in values if (found[truth == v] > 1).any()] == values[: len(values) // 2]


def merging(way):
    """Two cores, and how sure core is on the way between them."""
    core = np.zeros((21, 44), np.float32)
    core[4:17, 4:20], core[4:17, 24:40] = 0.95, 0.9
    core[4:17, 20:24] = way
    inside = np.zeros(core.shape, bool)
    inside[2:19, 2:42] = True
    return np.stack([~inside, core, inside - core]).astype(np.float32)


@pytest.mark.parametrize(("way", "expected"), [(0.2, (1, 2, 2)), (0.75, (1, 1, 2)), (0.9, (1, 1, 1))])
def test_cores_that_grow_together_are_two_objects_if_there_is_a_dip_between_them(way, expected):
    size = instances.ObjectSize(100, 250)
    found = [instances.separate(merging(way), size, (1.0, 1.0), apart) for apart in (0.0, 0.5, 1.0)]
    assert tuple(len(np.unique(f)) - 1 for f in found) == expected


def holed():
    """Probabilities of a disk that may be background in its middle, as in a large nucleus."""
    y, x = np.mgrid[:40, :40] - 20
    r = np.hypot(y, x)
    core = (r < 12) & (r > 3)
    contour = (r >= 12) & (r < 14)
    return np.stack([~(core | contour), core, contour]).astype(np.float32)


@pytest.mark.parametrize("solid", [False, True])
def test_holes_are_filled_if_the_painted_objects_have_none(solid):
    painted = np.ones((40, 40), np.uint16)
    painted[8:20, 8:20] = 2
    if not solid:
        painted[12:14, 12:14] = 1
    size = instances.measure([painted])
    assert size.solid is solid
    found = instances.separate(holed(), size, (1.0, 1.0))
    assert found[20, 20] == (found[20, 28] if solid else 1)
    assert found[20, 28] > 1
    assert found[0, 0] == 1


def test_what_lies_between_objects_is_no_hole():
    probabilities = np.concatenate([holed(), holed()], 2)
    found = instances.separate(probabilities, instances.ObjectSize(100, 400, solid=True), (1.0, 1.0))
    assert sorted(np.unique(found)) == [1, 2, 3]
    assert (found[:, 38:42] == 1).all()
    np.testing.assert_array_equal(found[:, :40] > 1, found[:, 40:] > 1)


def test_holes_of_a_stack_are_filled_where_they_are_closed_on_all_sides():
    stack = np.repeat(holed()[:, None], 12, 1)
    stack[:, :2], stack[:, 10:] = np.array([1, 0, 0], np.float32)[:, None, None, None], 0
    stack[0, 10:] = 1
    size = instances.ObjectSize(100, 400, solid=True)
    open_, closed = stack.copy(), stack.copy()
    closed[:, 3], closed[:, 9] = (
        np.where(holed()[0, 20, 20] * (np.hypot(*(np.mgrid[:40, :40] - 20)) < 5), np.array([0, 1, 0])[:, None, None], p)
        for p in (stack[:, 3], stack[:, 9])
    )
    assert instances.separate(open_, size, (1.0,) * 3)[6, 20, 20] == 1
    assert instances.separate(closed, size, (1.0,) * 3)[6, 20, 20] == 2


def test_a_size_of_an_older_model_fills_nothing():
    assert not instances.ObjectSize(**{"least": 3.0, "median": 9.0}).solid
    assert instances.ObjectSize(16, 64, solid=True).reduced(2) == instances.ObjectSize(4, 16, solid=True)
