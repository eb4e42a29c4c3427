"""What of masks becomes labels: only what nobody painted, objects whole and with numbers of their own."""

import numpy as np
import pytest

from napari_sslseg import accepting, new_objects
from napari_sslseg.accepting import Kept, Outcome, fill_classes
from napari_sslseg.errors import LabelError
from napari_sslseg.new_objects import fill_objects, piece_around
from napari_sslseg.regions import Region

PLANE = np.s_[0:20, 0:30]


def all_of(labels):
    return tuple(slice(0, n) for n in labels.shape)


def filled(labels, filling):
    """The labels after a filling, and what it said; the labels that were given stay as they are."""
    result = labels.copy()
    while True:
        try:
            _, piece = next(filling)
        except StopIteration as end:
            return result, end.value
        if piece is not None:
            assert not result[piece.part][piece.values != 0].any()  # nothing painted is touched
            result[piece.part] += piece.values


@pytest.fixture(params=[2**18, 7], ids=["whole", "in small parts"])
def piece(request, monkeypatch):
    monkeypatch.setattr(accepting, "PIECE", request.param)


@pytest.fixture
def masks():
    """Background and two objects, or background and two classes."""
    found = np.ones((20, 30), np.uint32)
    found[2:8, 2:12] = 2
    found[10:18, 15:27] = 3
    return found


@pytest.fixture
def labels():
    return np.zeros((20, 30), np.uint16)


@pytest.mark.usefixtures("piece")
class TestClasses:
    def test_what_is_unlabelled_becomes_what_was_found_and_what_is_painted_stays(self, labels, masks):
        labels[0:5] = 3
        found, said = filled(labels, fill_classes(labels, masks, PLANE, (1, 2, 3)))
        np.testing.assert_array_equal(found, np.where(labels > 0, labels, masks))
        assert said == Outcome(15 * 30)

    def test_only_the_box_is_filled(self, labels, masks):
        found, said = filled(labels, fill_classes(labels, masks, np.s_[4:9, 5:30], (1, 2, 3)))
        assert said.pixels == np.count_nonzero(found) == 5 * 25
        assert found[4:9, 5:30].all()

    def test_what_is_no_class_or_was_not_looked_for_is_not_accepted(self, labels, masks):
        masks[0] = 0
        found, _ = filled(labels, fill_classes(labels, masks, PLANE, (1, 3)))
        assert set(np.unique(found)) == {0, 1, 3}
        assert not found[masks == 2].any()
        assert not found[0].any()

    def test_nothing_is_accepted_in_validation_boxes(self, labels, masks):
        boxes = [Region((0, 1), (0, 10), (0, 30), validation=True), Region((0, 1), (12, 14), (0, 30), complete=True)]
        found, said = filled(labels, fill_classes(labels, masks, PLANE, (1, 2, 3), boxes))
        assert not found[:10].any()
        assert found[10:].all()
        assert said == Outcome(300, guarded=300)

    def test_one_piece_of_a_class_is_filled(self, labels, masks):
        masks[0, 20] = 2
        box, wanted = piece_around(masks, (4, 4))
        found, _ = filled(labels, fill_classes(labels, masks, box, (1, 2, 3), wanted=wanted))
        np.testing.assert_array_equal(found == 2, (masks == 2) & (np.arange(20) > 0)[:, None])
        assert set(np.unique(found)) == {0, 2}


def test_a_piece_is_searched_as_far_as_it_reaches_and_no_further_than_can_be_done_at_once(monkeypatch):
    monkeypatch.setattr(new_objects, "REACH", 64)
    plane = np.ones((200, 200), np.uint16)
    plane[90:110, 90:125] = 2
    box, wanted = piece_around(plane, (100, 100))
    assert wanted.sum() == 20 * 35
    assert (plane[box][wanted] == 2).all()
    with pytest.raises(LabelError, match="further than 32 px"):
        piece_around(plane, (50, 50))


@pytest.mark.usefixtures("piece")
class TestObjects:
    def test_objects_get_numbers_that_nothing_painted_has(self, labels, masks):
        labels[0, 0] = 7
        found, said = filled(labels, fill_objects(labels, masks, PLANE))
        assert (found[masks == 2] == 8).all()
        assert (found[masks == 3] == 9).all()
        assert (found[(masks == 1) & (labels == 0)] == 1).all()
        assert said == Outcome(20 * 30 - 1, objects=2, by_object=True)

    def test_numbers_are_above_the_one_that_somebody_is_about_to_paint_with(self, labels, masks):
        found, _ = filled(labels, fill_objects(labels, masks, PLANE, above=11))
        assert set(np.unique(found)) == {1, 12, 13}

    @pytest.mark.parametrize("painted", [np.s_[2:8, 2:10], np.s_[4:6, 3:6]], ids=["most of it", "a stroke in it"])
    def test_an_object_that_is_painted_already_is_left_out(self, labels, masks, painted):
        labels[painted] = 5
        found, said = filled(labels, fill_objects(labels, masks, PLANE))
        assert set(np.unique(found[masks == 2])) <= {0, 5}
        assert (said.objects, said.painted) == (1, 1)

    def test_an_object_that_a_painted_one_touches_is_accepted_without_the_pixels_they_share(self, labels, masks):
        labels[6:14, 2:12] = 5  # 20 of the 80 pixels are in object 2, which has 60
        found, said = filled(labels, fill_objects(labels, masks, PLANE))
        assert (found[2:6, 2:12] == 6).all()
        assert (found[6:14, 2:12] == 5).all()
        assert said.painted == 0

    def test_an_object_where_background_is_painted_is_left_out(self, labels, masks):
        labels[2:6, 2:12] = 1
        found, said = filled(labels, fill_objects(labels, masks, PLANE))
        assert not found[6:8, 2:12].any()
        assert (said.objects, said.painted) == (1, 1)

    def test_an_object_that_reaches_beyond_the_view_or_into_a_validation_box_is_left_out(self, labels, masks):
        box = Region((0, 1), (17, 20), (20, 30), validation=True)
        found, said = filled(labels, fill_objects(labels, masks, np.s_[0:20, 5:30], [box]))
        assert not found[masks > 1].any()
        assert not found[17:, 20:].any()
        assert (said.objects, said.cut, said.guarded) == (0, 1, 1)

    def test_an_object_at_the_edge_of_the_image_is_whole(self, labels, masks):
        masks[0:4, 20:30] = 4
        _, said = filled(labels, fill_objects(labels, masks, PLANE))
        assert (said.objects, said.cut) == (3, 0)

    def test_one_object_is_accepted_alone(self, labels, masks):
        found, said = filled(labels, fill_objects(labels, masks, PLANE, at=(12, 20)))
        np.testing.assert_array_equal(found == 2, masks == 3)
        assert said == Outcome(8 * 12, objects=1, by_object=True)

    def test_more_objects_than_numbers_are_told(self, labels, masks):
        labels[0, 0] = 65534
        with pytest.raises(LabelError, match="2 objects, and the first free number is 65535"):
            filled(labels, fill_objects(labels, masks, PLANE))


@pytest.fixture
def stack():
    """An object through planes 0 to 2, and in planes 2 and 4 others that have its number elsewhere."""
    found = np.ones((5, 20, 30), np.uint32)
    found[0:3, 2:12, 2:12] = 2
    found[3, 14:18, 20:28] = 2
    found[4, 2:12, 2:12] = 2
    return found


@pytest.mark.usefixtures("piece")
class TestStacks:
    def test_an_object_goes_on_in_the_next_plane_where_its_number_does(self, stack):
        labels = np.zeros(stack.shape, np.uint16)
        found, said = filled(labels, fill_objects(labels, stack, all_of(stack)))
        assert [set(np.unique(plane)) - {1} for plane in found] == [{2}, {2}, {2}, {3}, {4}]
        assert said.objects == 3

    def test_an_object_that_is_painted_in_one_plane_is_left_out_in_all(self, stack):
        labels = np.zeros(stack.shape, np.uint16)
        labels[1, 2:12, 2:12] = 9
        found, said = filled(labels, fill_objects(labels, stack, all_of(stack)))
        assert not found[0, 2:12, 2:12].any()
        assert (said.objects, said.painted) == (2, 1)

    def test_one_object_is_accepted_in_all_its_planes(self, stack):
        labels = np.zeros(stack.shape, np.uint16)
        found, _ = filled(labels, fill_objects(labels, stack, all_of(stack), at=(1, 5, 5)))
        assert [set(np.unique(plane)) for plane in found] == [{0, 2}, {0, 2}, {0, 2}, {0}, {0}]

    def test_objects_of_a_time_series_are_of_one_frame(self, stack):
        labels = np.zeros(stack.shape, np.uint16)
        labels[1, 2:12, 2:12] = 9
        found, said = filled(labels, fill_objects(labels, stack, all_of(stack), timed=True))
        assert (said.objects, said.painted) == (4, 1)
        assert found[0, 5, 5] != found[2, 5, 5]
        labels[:] = 0
        found, _ = filled(labels, fill_objects(labels, stack, all_of(stack), at=(1, 5, 5), timed=True))
        assert [z for z, plane in enumerate(found) if plane.any()] == [1]

    def test_a_plane_is_filled_and_no_other(self, stack):
        labels = np.zeros(stack.shape, np.uint16)
        found, _ = filled(labels, fill_classes(labels, stack, np.s_[3:4, 0:20, 0:30], (1, 2)))
        assert [z for z, plane in enumerate(found) if plane.any()] == [3]


def test_what_was_accepted_is_taken_back_and_brought_back_and_what_was_painted_since_stays(labels, masks):
    pieces = [piece for _, piece in fill_classes(labels, masks, PLANE, (1, 2, 3)) if piece]
    kept = [Kept.of(piece) for piece in pieces]
    after = masks.astype(np.uint16)
    after[0] = 3
    for one in kept:
        after[one.part] = one.after(after[one.part], back=True)
    assert (after[0] == 3).all()
    assert not after[1:].any()
    for one in kept:
        after[one.part] = one.after(after[one.part], back=False)
    np.testing.assert_array_equal(after[1:], masks[1:])
    assert (after[0] == 3).all()


def test_classes_that_were_accepted_become_what_the_masks_say_now_and_painted_ones_stay(labels, masks):
    """Taken back they are what was accepted before, and so they are brought back."""
    rng = np.random.default_rng(3)
    box = tuple(slice(0, n) for n in labels.shape)
    first, second = (rng.integers(1, 3, labels.shape).astype(np.uint16) for _ in range(2))
    by_hand, accepted = labels.copy(), np.zeros_like(labels)
    states, changes = [labels.copy()], []
    for found in (first, second):
        kept, outcome = [], None
        filling = fill_classes(labels, found, box, [1, 2], accepted=accepted.copy())
        while outcome is None:
            try:
                _, piece = next(filling)
            except StopIteration as end:
                outcome = end.value
                continue
            if piece is not None:
                kept.append(Kept.of(piece))
                part = labels[piece.part]
                part[piece.values > 0] = piece.values[piece.values > 0]
                accepted[piece.part][piece.values > 0] = piece.values[piece.values > 0]
        np.testing.assert_array_equal(labels, np.where(by_hand > 0, by_hand, found))
        changes.append(kept)
        states.append(labels.copy())
    changed = int(((first != second) & (by_hand == 0)).sum())
    assert (outcome.pixels, outcome.replaced) == (changed, changed)
    assert str(outcome) == f"Accepted {changed:,} px in place of what was accepted before"
    assert str(Outcome(1200, replaced=30)) == "Accepted 1,200 px, 30 of them in place of what was accepted before"
    for kept, before in zip(reversed(changes), reversed(states[:-1]), strict=True):
        for one in kept:
            labels[one.part] = one.after(labels[one.part], back=True)
        np.testing.assert_array_equal(labels, before)
    for kept, after in zip(changes, states[1:], strict=True):
        for one in kept:
            labels[one.part] = one.after(labels[one.part], back=False)
        np.testing.assert_array_equal(labels, after)
