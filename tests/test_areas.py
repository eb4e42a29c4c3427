"""Areas: what is labelled completely is cut into squares, of which whole ones are kept apart."""

from collections import Counter

import numpy as np
import pytest
from scenes import paint

from napari_sslseg import areas, atlas
from napari_sslseg.annotation import Annotation
from napari_sslseg.image import Image
from napari_sslseg.labelled import collect
from napari_sslseg.regions import Region
from napari_sslseg.strokes import SQUARE, find_strokes, hold_out


@pytest.mark.parametrize("side", [areas.SIDE, areas.SIDE - 1])
def test_an_area_is_what_wholly_labelled_squares_cover(monkeypatch, side):
    monkeypatch.setattr(areas, "SIDE", side)
    plane = np.zeros((230, 210), np.uint16)
    plane[10 : 10 + side, 20 : 20 + side] = np.random.default_rng(0).integers(1, 4, (side, side))
    plane[120 : 120 + side - 1] = 2  # too narrow by a pixel
    plane[230 - side - 3 :, :60] = 1  # in a corner
    expected = np.zeros(plane.shape, bool)
    expected[10 : 10 + side, 20 : 20 + side] = True
    expected[230 - side - 3 :, :60] = True
    assert np.array_equal(areas.area(plane, plane.shape), expected)


def test_strokes_are_no_area():
    truth = np.ones((256, 256), np.uint16)
    truth[:, 128:] = 2
    drawn = paint(truth, strokes=20, seed=0, length=40)
    assert (drawn > 0).any()
    assert not areas.area(drawn, drawn.shape).any()


def test_a_plane_of_few_pixels_holds_strokes_alone():
    plane = np.ones((areas.LEAST * 2 - 1, 100), np.uint16)
    assert not areas.area(plane, plane.shape).any()
    wide = np.ones((areas.LEAST * 2, 100), np.uint16)
    assert areas.area(wide, wide.shape).all()


def disks(height=256, width=320, seed=0):
    """One large background with disks of class 2, and specks of background in some of them."""
    rng, (y, x) = np.random.default_rng(seed), np.ogrid[:height, :width]
    truth = np.ones((height, width), np.uint16)
    for cy, cx in zip(rng.integers(0, height, 12), rng.integers(0, width, 12), strict=True):
        truth[(y - cy) ** 2 + (x - cx) ** 2 < 20**2] = 2
        truth[cy - 1 : cy + 1, cx - 1 : cx + 1] = 1
    return truth


def test_a_completely_labelled_plane_is_cut_into_squares_by_class():
    truth = disks()
    found = list(find_strokes([Annotation(truth)]))
    seen = np.zeros_like(truth)
    for stroke in found:
        at = tuple(stroke.points.T)
        assert (truth[at] == stroke.value).all()
        assert not seen[at].any()
        seen[at] = 1
        assert {tuple(p) for p in stroke.points // SQUARE * SQUARE} == {stroke.square}
    assert seen.all()
    assert len({(s.square, s.value) for s in found}) == len(found)


def test_strokes_beside_an_area_stay_strokes():
    labels = np.zeros((256, 320), np.uint16)
    labels[:100, :100] = 1
    labels[200:203, 100:300] = 2
    labels[40:140, 250:253] = 1
    found = list(find_strokes([Annotation(labels)]))
    whole = [s for s in found if s.square is None]
    assert sorted((s.value, len(s.points)) for s in whole) == [(1, 300), (2, 600)]
    assert sum(len(s.points) for s in found if s.square is not None) == 100 * 100


def test_objects_stay_whole():
    labels = np.ones((200, 200), np.uint16)
    labels[20:120, 30:130] = 2
    labels[140:190, 140:190] = 3
    found = list(find_strokes([Annotation(labels, "instance")]))
    assert sorted((s.value, len(s.points), s.square) for s in found if s.value == 2) == [
        (2, 2500, None),
        (2, 10000, None),
    ]


def test_whole_squares_are_kept_apart_with_all_classes_in_them():
    found = list(find_strokes([Annotation(disks(k, k + 64, k)) for k in (192, 256)]))
    train, apart = hold_out(found, 0.2)
    assert len(train) + len(apart) == len(found)
    for value in (1, 2):
        count = sum(s.value == value for s in found)
        kept = sum(s.value == value for s in apart)
        assert np.ceil(0.2 * count) <= kept <= count // 2
    held = {(s.image, s.square) for s in apart}
    assert not held & {(s.image, s.square) for s in train}


def test_at_least_half_of_a_class_is_learnt_from():
    found = list(find_strokes([Annotation(disks())]))
    rare = [s for s in found if s.value == 2]
    first = sorted(s.key for s in found if s.value == 1)[:4]
    rare = [s for s in rare if s.key in first]  # all of them in squares that background has kept apart
    both = [s for s in found if s.value == 1] + rare
    assert len(rare) >= 2
    train, _ = hold_out(both, 0.2, least=1)
    assert sum(s.value == 2 for s in train) >= len(rare) - max(1, len(rare) // 2)


def test_the_same_squares_are_kept_apart_when_a_label_changes():
    truth = disks()
    _, before = hold_out(list(find_strokes([Annotation(truth)])), 0.2)
    y, x = np.argwhere(truth == 2)[0]
    truth[y, x] = 1
    _, after = hold_out(list(find_strokes([Annotation(truth)])), 0.2)
    assert {s.square for s in before} == {s.square for s in after}


def test_specks_of_background_are_not_all_that_is_kept_apart():
    images = [Image(np.zeros((1, 256, 320), np.uint8), name=str(k)) for k in range(3)]
    labelled = collect([(i, Annotation(disks(seed=k))) for k, i in enumerate(images)], 0.2)
    assert {s.value for s in labelled.apart} == {1, 2}
    pixels = Counter[int]()
    for stroke in labelled.apart:
        pixels[stroke.value] += len(stroke.points)
    assert pixels[1] + pixels[2] > 0.1 * 3 * 256 * 320


def test_a_box_that_is_labelled_completely_is_an_area():
    labels = np.zeros((400, 400), np.uint16)
    labels[120:140, 150:170] = 2
    box = Region((0, 1), (100, 300), (100, 300), complete=True)
    found = list(find_strokes([Annotation(labels, regions=(box,)).completed()]))
    assert all(s.square is not None for s in found)
    assert sum(s.value == 1 for s in found) >= 4


def test_completely_labelled_images_say_where_classes_lie():
    y, x = np.ogrid[:128, :128]
    truths = []
    for k in range(3):
        truth = np.ones((128, 128), np.uint16)
        truth[(y - 60 - k) ** 2 + (x - 64 + k) ** 2 < 25**2] = 2
        truths.append(truth)
    images = [Image(np.zeros((1, 128, 128), np.uint8)) for _ in truths]
    found = list(find_strokes([Annotation(t) for t in truths]))
    assert len(atlas.gains(found, images, (1, 2))) == 3


def test_where_classes_lie_is_learnt_from_so_many_pixels_however_much_is_labelled(monkeypatch):
    sizes, powers = [], atlas._powers
    monkeypatch.setattr(atlas, "_powers", lambda places: sizes.append(len(places)) or powers(places))
    truth = disks(1024, 1024)
    truth[:, ::40] = 3
    found = list(find_strokes([Annotation(truth)]))
    assert len(found) > 500
    atlas.fit(found, [Image(np.zeros((1, *truth.shape), np.uint8))], (1, 2, 3))
    assert sum(sizes) <= atlas.ALL_PIXELS
