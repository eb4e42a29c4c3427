"""Annotation: sparse labels, their planes, values and strokes, and what is said of labels that do not fit."""

import re

import numpy as np
import pytest

from napari_sslseg.annotation import FIRST_COLOURS, Annotation, LabelClass, count, painted, strokes
from napari_sslseg.errors import LabelError
from napari_sslseg.regions import Region

FLAT = np.array([[0, 1, 1, 0], [0, 0, 0, 0], [2, 0, 0, 1]], np.uint16)


def test_the_first_class_is_the_background() -> None:
    assert LabelClass.default(1) == LabelClass(1, "background", FIRST_COLOURS[0])


def test_every_class_has_a_name_and_a_colour_of_its_own() -> None:
    classes = [LabelClass.default(value) for value in range(1, 40)]
    assert len({c.name for c in classes}) == len({c.colour for c in classes}) == 39
    assert all(re.fullmatch("#[0-9a-f]{6}", c.colour) for c in classes)


def test_a_class_becomes_plain_values() -> None:
    assert LabelClass(2, "nucleus", "#ff0000").to_dict() == {"value": 2, "name": "nucleus", "colour": "#ff0000"}


def test_values_are_those_painted_without_zero() -> None:
    assert Annotation(FLAT).values == (1, 2)
    assert Annotation(np.zeros_like(FLAT)).values == ()


def test_a_flat_annotation_has_one_plane_if_anything_is_painted() -> None:
    assert Annotation(FLAT).planes() == (0,)
    assert Annotation(np.zeros_like(FLAT)).planes() == ()


def test_the_planes_of_a_stack_are_those_that_are_painted() -> None:
    stack = np.zeros((5, 3, 4), np.uint16)
    stack[1], stack[4, 0, 0] = FLAT, 1
    annotation = Annotation(stack)
    assert annotation.planes() == (1, 4)
    np.testing.assert_array_equal(annotation.plane(1), FLAT)


def test_labels_of_the_shape_of_the_image_fit() -> None:
    Annotation(FLAT).check((3, 4))


@pytest.mark.parametrize("shape", [(4, 3), (1, 3, 4), (3,)])
def test_labels_of_another_shape_are_told(shape: tuple[int, ...]) -> None:
    needed = re.escape(f"The labels of cells have shape (3, 4). The image has spatial shape {shape}")
    with pytest.raises(LabelError, match=needed + ".*resample the labels with nearest-neighbour"):
        Annotation(FLAT).check(shape, "cells")


@pytest.mark.parametrize("labels", [np.zeros(4, np.uint8), np.zeros((2, 2, 3, 4), np.uint8), np.zeros((3, 4))])
def test_what_is_no_label_array_is_told(labels: np.ndarray) -> None:
    with pytest.raises(LabelError, match=r"Labels of shape .* and type .*whole numbers in 2 or 3 dimensions"):
        Annotation(labels)


def test_strokes_are_connected_pixels_of_one_value() -> None:
    plane = np.array([[1, 1, 0, 2], [0, 0, 2, 0], [1, 0, 0, 2], [1, 2, 2, 0]], np.uint16)
    numbered, count = strokes(plane)
    assert count == 3
    assert numbered[0, 3] == numbered[1, 2] == numbered[3, 1]  # touching by corners
    assert numbered[2, 0] != numbered[3, 1]  # touching, but of another value
    assert not numbered[plane == 0].any()


def test_an_empty_plane_has_no_strokes() -> None:
    numbered, count = strokes(np.zeros((3, 4), np.uint16))
    assert count == 0
    assert numbered.dtype == np.int32


def test_painted_pixels_are_counted_by_value():
    labels = np.zeros((2, 3000, 1000), np.uint16)
    labels[0, :2], labels[1, -1, -5:] = 3, 700
    assert count(labels) == {3: 2000, 700: 5}


def test_what_is_painted_lies_in_boxes_that_do_not_touch():
    plane = np.zeros((2000, 1500), np.uint16)
    plane[10:20, 10], plane[1999, 1499] = 1, 2
    plane[600:1100, 700], plane[1100, 300:700] = 3, 3  # a bent stroke, with one of its own in the bend
    plane[650, 300] = 4
    assert painted(plane) == [
        (slice(0, 256), slice(0, 256)),
        (slice(512, 1280), slice(256, 768)),
        (slice(1792, 2000), slice(1280, 1500)),
    ]
    assert painted(np.zeros((300, 300), np.uint16)) == []


def test_planes_that_are_known_to_be_empty_are_not_looked_at():
    labels = np.zeros((5, 20, 30), np.uint16)
    labels[1, 3:6, 3:9], labels[3, 2:4, 2:4] = 1, 2
    every, some = Annotation(labels), Annotation(labels, within=(1, 2))
    assert (every.planes(), some.planes()) == ((1, 3), (1,))
    assert (every.values, some.values) == ((1, 2), (1,))
    assert every.counted() == {1: 18, 2: 4}
    assert some.counted() == {1: 18}


def test_boxes_add_to_the_planes_that_are_looked_at():
    labels = np.zeros((5, 20, 30), np.uint16)
    labels[1, 3:6, 3:9] = 2
    complete = Region((3, 5), (0, 10), (0, 10), complete=True)
    checked = Region((1, 2), (0, 5), (0, 30), validation=True)
    annotation = Annotation(labels, regions=(complete, checked), within=(1,)).completed()
    assert annotation.planes() == (1, 3, 4)
    outside, inside = annotation.parted()
    assert (outside.planes(), inside.planes()) == ((1, 3, 4), (1,))
    assert inside.counted() == {2: 12}
    assert outside.counted() == {1: 200, 2: 6}
