"""Where to look: squares, strokes, what is held out, and tiles blended back."""

import itertools

import numpy as np
import pytest
from scenes import paint

from napari_sslseg import patches, strokes, tiles
from napari_sslseg.annotation import Annotation
from napari_sslseg.image import Image
from napari_sslseg.patches import Place
from napari_sslseg.tiles import Blend


def ramp(height=20, width=30):
    return Image(np.arange(height * width, dtype=np.float32).reshape(1, height, width))


def test_a_square_inside_is_what_the_image_holds():
    image = ramp()
    assert np.array_equal(patches.cut(image, Place(0, 0, 3, 4, 8)), image.normalised(0)[:, 3:11, 4:12])


@pytest.mark.parametrize("y, x, side", [(-5, -7, 12), (15, 25, 12), (-50, -50, 130)])
def test_a_square_over_the_border_is_mirrored(y, x, side):
    image = ramp()
    whole = np.pad(image.normalised(0), ((0, 0), (60, 80), (60, 80)), mode="reflect")
    assert np.array_equal(patches.cut(image, Place(0, 0, y, x, side)), whole[:, y + 60 :, x + 60 :][:, :side, :side])


def test_a_one_pixel_image_can_be_cut():
    assert patches.cut(Image(np.full((1, 1, 1), 7.0)), Place(0, 0, -2, -2, 5)).shape == (1, 5, 5)


@pytest.mark.parametrize("y, x", [(-5, -7), (15, 25), (3, 4), (40, 40), (-30, 2)])
def test_targets_outside_the_plane_are_unlabelled(y, x):
    plane = np.ones((20, 30), np.uint8)
    found = patches.cut_targets(plane, Place(0, 0, y, x, 12))
    rows, columns = np.mgrid[y : y + 12, x : x + 12]
    inside = (rows >= 0) & (rows < 20) & (columns >= 0) & (columns < 30)
    assert np.array_equal(found, inside.astype(np.uint8))


def strokes_of(seed=0):
    truth = np.ones((64, 64), np.uint16)
    truth[:, 32:] = 2
    return list(strokes.find_strokes([Annotation(paint(truth, strokes=10, seed=seed, length=4))]))


def test_strokes_are_held_out_whole_and_by_class():
    found = strokes_of()
    train, apart = strokes.hold_out(found, 0.2)
    assert len(train) + len(apart) == len(found)
    for value in (1, 2):
        count = sum(s.value == value for s in found)
        assert sum(s.value == value for s in apart) == int(np.ceil(0.2 * count))


def test_the_same_strokes_are_held_out_when_others_are_added():
    found = strokes_of()
    _, before = strokes.hold_out(found[:-1], 0.2)
    _, after = strokes.hold_out(found, 0.2)
    keys = {s.key for s in after}
    assert sum(s.key in keys for s in before) >= len(before) - 1


def test_a_class_with_few_strokes_keeps_them_all():
    found = strokes_of()
    few = [s for s in found if s.value == 1][:3]
    train, apart = strokes.hold_out(few, 0.5)
    assert (len(train), apart) == (3, [])


def test_a_square_around_a_stroke_holds_one_of_its_pixels():
    found, rng = strokes_of(), np.random.default_rng(0)
    for _ in range(50):
        place = patches.around(found, 2, 16, rng)
        held = [
            ((s.points >= (place.y, place.x)) & (s.points < (place.y + 16, place.x + 16))).all(1).any()
            for s in found
            if s.value == 2
        ]
        assert any(held)


@pytest.mark.parametrize("size, tile, overlap", [(10, 64, 8), (64, 64, 8), (65, 64, 8), (500, 64, 16), (127, 64, 0)])
def test_tiles_cover_an_axis_and_overlap(size, tile, overlap):
    found = tiles.starts(size, tile, overlap)
    assert found[0] == 0
    assert found[-1] + tile >= size
    assert all(b - a <= tile - overlap for a, b in itertools.pairwise(found))


def test_blending_tiles_of_one_image_gives_it_back():
    image = np.random.default_rng(0).random((2, 50, 70)).astype(np.float32)
    blend, result = Blend(2, 50, 70, 8), np.zeros_like(image)
    rows = tiles.starts(50, 24, 8)
    for y, below in zip(rows, [*rows[1:], 50], strict=True):
        for x in tiles.starts(70, 24, 8):
            blend.add(image[:, y : y + 24, x : x + 24], y, x)
        for top, band in blend.finished(below):
            result[:, top : top + band.shape[1]] = band
    assert np.allclose(result, image, atol=1e-6)
