"""Drawn: what is learnt from of accepted masks, beside strokes."""

from dataclasses import replace

import numpy as np
import pytest
from scenes import disks, objects, paint

from napari_sslseg import drawn, lot
from napari_sslseg.annotation import Annotation
from napari_sslseg.drawn import draw, joined
from napari_sslseg.errors import LabelError, StoppedError
from napari_sslseg.image import Image
from napari_sslseg.job import Stop
from napari_sslseg.labelled import collect
from napari_sslseg.magnify import magnified
from napari_sslseg.regions import Region


def accepted(size=700, strokes=6):
    """An image, its accepted masks with strokes over them, and the strokes alone."""
    image, truth = disks(size)
    by_hand = paint(truth, strokes)
    wrong = np.where(by_hand > 0, 3 - truth, truth).astype(np.uint16)  # else they would say nothing new
    return image, Annotation(np.where(by_hand > 0, by_hand, wrong), accepted=wrong), by_hand


def test_without_accepted_masks_everything_is_painted_by_hand():
    annotation = Annotation(paint(disks()[1]))
    assert annotation.by_hand() is annotation
    (found,), strokes = draw([annotation])
    assert found is annotation
    assert strokes == []


def test_of_accepted_masks_some_is_drawn_for_what_is_painted(monkeypatch):
    monkeypatch.setattr(drawn, "PIXELS", 10)
    _, annotation, by_hand = accepted(strokes=30)
    (found,), strokes = draw([annotation])
    np.testing.assert_array_equal(found.labels, by_hand)
    total = 0
    for value in (1, 2):
        pixels = np.concatenate([s.points for s in strokes if s.value == value])
        total += len(pixels)
        assert len(np.unique(pixels, axis=0)) == len(pixels) == round(drawn.SHARE * (by_hand == value).sum())
        assert (annotation.labels[tuple(pixels.T)] == value).all()
        assert not by_hand[tuple(pixels.T)].any()
        assert len(np.unique(pixels // 100, axis=0)) > 20  # of 49: from all over the image
    labels = joined(found, strokes).labels
    assert (labels > 0).sum() == (by_hand > 0).sum() + total
    assert np.array_equal(labels[by_hand > 0], by_hand[by_hand > 0])
    assert joined(found, []) is found


def test_however_little_is_painted_some_is_drawn_and_the_same_whenever_it_is_asked(monkeypatch):
    monkeypatch.setattr(drawn, "SQUARES", 4)
    _, annotation, _ = accepted(strokes=2)
    once, again = (draw([annotation])[1] for _ in range(2))
    assert all(np.array_equal(a.points, b.points) for a, b in zip(once, again, strict=True))
    for value in (1, 2):
        of_class = [s for s in once if s.value == value]
        assert sum(len(s.points) for s in of_class) == drawn.PIXELS
        assert len(of_class) == 4
        assert all(len(np.unique(s.points // drawn.SIDE, axis=0)) == 1 for s in of_class)


def test_the_more_is_painted_the_more_is_drawn_for_it(monkeypatch):
    monkeypatch.setattr(drawn, "PIXELS", 10)
    monkeypatch.setattr(drawn, "MASS", 1000)
    _, annotation, by_hand = accepted(strokes=100)
    painted = int((by_hand == 1).sum())
    assert 300 < painted < 1000
    _, strokes = draw([annotation])
    assert sum(len(s.points) for s in strokes if s.value == 1) == round(painted**2 / 1000)
    monkeypatch.setattr(drawn, "MASS", 100)
    _, strokes = draw([annotation])
    assert sum(len(s.points) for s in strokes if s.value == 1) == painted


def test_of_very_many_pixels_those_of_the_lowest_ranks_are_drawn():
    _, annotation, by_hand = accepted(strokes=2)
    _, strokes = draw([annotation])
    every = np.argwhere((annotation.labels == 1) & (by_hand == 0))
    ranks = lot.rank(every, 0)
    lowest = every[np.argsort(ranks)[: drawn.PIXELS]]
    found = np.concatenate([s.points for s in strokes if s.value == 1])
    assert {tuple(p) for p in found} == {tuple(p) for p in lowest}


def test_planes_of_a_stack_and_images_share_what_is_drawn():
    _, annotation, by_hand = accepted(300)
    nothing = np.zeros_like(by_hand)
    stack = Annotation(
        np.stack([annotation.labels, nothing, annotation.labels]),
        within=(0, 2),
        accepted=np.stack([annotation.accepted, nothing, annotation.accepted]),
    )
    found, strokes = draw([Annotation(by_hand), stack, annotation])
    assert {(s.image, s.z) for s in strokes} == {(1, 0), (1, 2), (2, 0)}
    assert found[1].within == (0, 2)
    assert sum(len(s.points) for s in strokes) == 2 * drawn.PIXELS
    labels = joined(found[1], [s for s in strokes if s.image == 1]).labels
    assert labels[0].any() and labels[2].any() and not labels[1].any()


def test_what_lies_in_a_validation_box_is_said_to_be_right():
    image, annotation, by_hand = accepted(300)
    box = Region((0, 1), (0, 100), (0, 300), validation=True)
    boxed = replace(annotation, regions=(box,)).by_hand()
    np.testing.assert_array_equal(boxed.labels[:100], annotation.labels[:100])
    np.testing.assert_array_equal(boxed.labels[100:], by_hand[100:])
    labelled = collect([(image, replace(annotation, regions=(box,)))], 0.2)
    assert {tuple(p) for s in labelled.apart for p in s.points} == {(y, x) for y in range(100) for x in range(300)}
    assert all((s.points[:, 0] >= 100).all() for s in labelled.train)


def test_of_accepted_masks_none_is_kept_apart_for_the_score():
    image, annotation, by_hand = accepted(300, strokes=8)
    labelled = collect([(image, annotation)], 0.25)
    assert labelled.apart
    assert all(by_hand[tuple(s.points.T)].all() for s in labelled.apart)
    assert sum(len(s.points) for s in labelled.train if not by_hand[tuple(s.points.T)].any()) == 2 * drawn.PIXELS
    assert (labelled.targets[0][0] > 0).sum() == (by_hand > 0).sum() + 2 * drawn.PIXELS


def test_accepted_objects_are_all_learnt_from():
    image, truth = objects()
    labelled = collect([(image, Annotation(truth, "instance", accepted=truth))], 0.2)
    assert (labelled.targets[0][0] > 0).all()


def test_masks_that_are_accepted_alone_can_be_learnt_from():
    image, truth = disks(300)
    labelled = collect([(image, Annotation(truth, accepted=truth))], 0.2)
    assert labelled.values == (1, 2)
    assert not labelled.apart
    assert sum(len(s.points) for s in labelled.train) == 2 * drawn.PIXELS


def test_what_was_accepted_is_enlarged_with_the_labels():
    _, annotation, by_hand = accepted(60)
    larger = magnified(annotation, 3).by_hand()
    np.testing.assert_array_equal(larger.labels, by_hand.repeat(3, 0).repeat(3, 1))


def test_accepted_labels_of_another_shape_are_told():
    with pytest.raises(LabelError, match="Both are of the shape of the image"):
        Annotation(np.ones((4, 4), np.uint16), accepted=np.ones((4, 5), np.uint16))


def test_a_stop_is_heeded():
    image, annotation, _ = accepted(60)
    stop = Stop()
    stop.request()
    with pytest.raises(StoppedError):
        collect([(Image(image.data), annotation)], 0.2, stop)
