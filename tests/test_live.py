"""Live: the classifier that follows the brush."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scenes import disks, paint

from napari_sslseg import live, model
from napari_sslseg.image import Image
from napari_sslseg.job import Stop, run
from napari_sslseg.live import Live, Where
from napari_sslseg.overlay import Box
from napari_sslseg.runtime import Runtime
from napari_sslseg.settings import RuntimeConfig
from napari_sslseg.tile_cache import TileCache

MACHINE = Runtime.make(RuntimeConfig(device="cpu"))
HERE = Where("a", 0)


@pytest.fixture
def encoder():
    return model.build("random", "unet", 1, MACHINE).encoder


@pytest.fixture
def scene():
    image, truth = disks(96)
    return image, truth, paint(truth, strokes=20)


@pytest.fixture
def read(monkeypatch):
    """How many pixels were read, each time."""
    counts, columns = [], Live._columns
    monkeypatch.setattr(
        Live, "_columns", lambda self, maps, points: (counts.append(len(points)), columns(self, maps, points))[1]
    )
    return counts


def teach(engine, image, labels, where=HERE):
    points = np.argwhere(labels)
    engine.paint(where, points, labels[tuple(points.T)].astype(int) - 1)
    return run(engine.learn(lambda name: image, 2, Stop()))


def whole(image):
    return Box(0, 0, *image.shape[-2:])


def agreement(found, truth):
    return float((found.argmax(0) + 1 == truth).mean())


def test_a_few_strokes_find_the_disks(encoder, scene):
    image, truth, labels = scene
    engine = Live(encoder, MACHINE)
    assert teach(engine, image, labels)
    found = engine.probabilities(image, HERE, whole(image))
    assert found.shape == (2, 96, 96)
    assert np.allclose(found.sum(0), 1, atol=1e-5)
    assert agreement(found, truth) > 0.92
    other, truth = disks(96, seed=4)
    assert agreement(engine.probabilities(other, Where("b", 0), whole(other)), truth) > 0.85


def test_what_is_found_is_the_linear_classifier_of_each_pixels_column(encoder, scene):
    image, _, labels = scene
    engine = Live(encoder, MACHINE)
    teach(engine, image, labels)
    points = np.random.default_rng(0).integers(0, 96, (50, 2))
    crop = torch.from_numpy(image.normalised(0))[None]
    columns = engine._describer.columns(crop, points).numpy()
    logits = engine.head(columns)
    chances = np.exp(logits - logits.max(1, keepdims=True))
    chances /= chances.sum(1, keepdims=True)
    found = engine.probabilities(image, HERE, whole(image))[:, points[:, 0], points[:, 1]].T
    assert np.abs(found - chances).max() < 0.02  # half precision lies between them


def test_a_part_is_a_part_of_the_whole(encoder, scene):
    image, _, labels = scene
    engine = Live(encoder, MACHINE)
    teach(engine, image, labels)
    all_of_it, box = engine.probabilities(image, HERE, whole(image)), Box(10, 30, 50, 41)
    assert np.allclose(engine.probabilities(image, HERE, box), all_of_it[:, 10:50, 30:41], atol=1e-6)


def test_tiles_meet_without_a_seam(encoder, scene, monkeypatch):
    image, truth, labels = scene
    engine = Live(encoder, MACHINE)
    teach(engine, image, labels)
    one = engine.probabilities(image, HERE, whole(image))
    monkeypatch.setattr(live, "TILE", 40)
    several = Live(encoder, MACHINE)
    teach(several, image, labels)
    found = several.probabilities(image, HERE, whole(image))
    assert len(several._cache._near) == 9
    assert (found.argmax(0) == one.argmax(0)).mean() > 0.98
    assert agreement(found, truth) > 0.92


def test_the_order_of_strokes_makes_no_difference(encoder, scene):
    image, _, labels = scene
    at_once, bit_by_bit = Live(encoder, MACHINE), Live(encoder, MACHINE)
    teach(at_once, image, labels)
    for rows in (30, 60, 96):
        so_far = labels.copy()
        so_far[rows:] = 0
        teach(bit_by_bit, image, so_far)
    found = [e.probabilities(image, HERE, whole(image)) for e in (at_once, bit_by_bit)]
    assert np.abs(found[0] - found[1]).mean() < 0.01
    assert (found[0].argmax(0) == found[1].argmax(0)).mean() > 0.99


def test_what_is_erased_is_forgotten(encoder, scene):
    image, truth, labels = scene
    engine = Live(encoder, MACHINE)
    wrong = labels.copy()
    wrong[truth == 1] = 2  # all of the ground is said to be disk
    teach(engine, image, np.where(wrong == 1, 0, wrong) + (labels == 2) * 0)
    assert engine.head is None  # one class only
    assert teach(engine, image, labels)
    assert agreement(engine.probabilities(image, HERE, whole(image)), truth) > 0.92
    assert not teach(engine, image, np.zeros_like(labels))
    assert engine.head is None
    assert not engine._painted


def test_what_it_is_sure_of_where_one_looks_is_learnt_from_whatever_was_looked_at_before(encoder, scene):
    image, truth, labels = scene
    points, targets = np.argwhere(labels), labels[labels > 0].astype(int) - 1

    def found(*views):
        engine = Live(encoder, MACHINE)
        engine.paint(HERE, points, targets)
        for view in views:
            assert run(engine.learn(lambda name: image, 2, Stop(), view))
        return engine.probabilities(image, HERE, whole(image))

    here, there = (HERE, whole(image)), (Where("a", 1), Box(0, 0, 50, 50))
    alone, taught = found(None), found(here)
    assert np.abs(alone - taught).mean() > 0.01
    assert agreement(taught, truth) > 0.92
    assert np.abs(found(there, None, here) - taught).mean() < 0.005


def test_an_image_in_which_one_class_is_painted_does_not_stand_for_it(encoder, scene):
    image, _, labels = scene
    other, truth = disks(96, seed=4)
    noise = np.random.default_rng(0).normal(0, 4 * np.std(other.data), other.data.shape)
    images = {"a": image, "b": replace(other, data=(other.data + noise).astype(np.float32))}
    strokes = paint(truth, strokes=20, seed=1)
    found = []
    for seen in (None, (Where("b", 0), whole(other))):
        engine = Live(encoder, MACHINE)
        for name, painted in (("a", labels), ("b", np.where(strokes == 2, 2, 0))):
            engine.paint(Where(name, 0), np.argwhere(painted), painted[painted > 0].astype(int) - 1)
        assert run(engine.learn(images.__getitem__, 2, Stop(), seen, guess=False))
        found.append(agreement(engine.probabilities(images["b"], Where("b", 0), whole(other)), truth))
    assert found[1] > found[0] + 0.1


def test_the_look_of_an_image_is_the_mean_of_what_is_known_of_its_pixels(encoder, scene, monkeypatch):
    image, _, labels = scene
    monkeypatch.setattr(live, "MARGIN", 0)
    engine = Live(encoder, MACHINE)
    engine.paint(HERE, np.argwhere(labels), labels[labels > 0].astype(int) - 1)
    every = np.argwhere(np.ones((96, 96), bool))
    looks = engine._looks(lambda name: image, engine._chosen(None), Where("b", 0), whole(image))
    columns = engine._columns(engine._maps(image, HERE, whole(image)), every)
    assert looks.shape == (2, columns.shape[1])
    assert np.allclose(looks, columns.astype(np.float32).mean(0), atol=0.05 * np.abs(columns).max())
    monkeypatch.setattr(live, "TILE", 40)
    assert set(live._tiles_of((96, 96), np.argwhere(labels))) == {
        tile for tile in live._tiles((96, 96), whole(image)) if labels[tile.slices].any()
    }


def test_pixels_of_what_one_looks_at_are_read_once(encoder, scene, read):
    image, _, labels = scene
    engine = Live(encoder, MACHINE)
    images = lambda name: image  # noqa: E731
    engine.paint(HERE, np.argwhere(labels), labels[labels > 0].astype(int) - 1)
    for _ in range(3):
        assert run(engine.learn(images, 2, Stop(), (HERE, whole(image))))
    assert read == [np.count_nonzero(labels), live.BESIDE]


def test_only_new_pixels_are_looked_at(encoder, scene, read):
    image, _, labels = scene
    engine = Live(encoder, MACHINE)
    fewer = labels.copy()
    fewer[50:] = 0
    teach(engine, image, fewer)
    teach(engine, image, labels)
    teach(engine, image, labels)
    assert read == [np.count_nonzero(fewer), np.count_nonzero(labels) - np.count_nonzero(fewer)]


def test_what_was_seen_is_not_described_again(encoder, scene, monkeypatch):
    image, _, labels = scene
    engine, described = Live(encoder, MACHINE), []
    describe = Live._describe
    monkeypatch.setattr(Live, "_describe", lambda self, *what: (described.append(what), describe(self, *what))[1])
    assert run(engine.look(image, HERE, whole(image), Stop()))
    assert run(engine.look(image, HERE, Box(3, 3, 9, 9), Stop()))
    teach(engine, image, labels)
    engine.probabilities(image, HERE, whole(image))
    assert len(described) == 1


def test_of_very_many_pixels_the_same_few_are_used_however_many_come_after(encoder, monkeypatch):
    monkeypatch.setattr(live, "PLANE_PIXELS", 60)
    monkeypatch.setattr(live, "CLASS_PIXELS", 100)
    image, truth = disks(96)
    engine = Live(encoder, MACHINE)
    teach(engine, image, truth)
    once = {w: set(p.known) for w, p in engine._painted.items()}
    assert len(once[HERE]) == 120
    assert teach(engine, image, truth, Where("b", 0)) and teach(engine, image, truth, Where("c", 0))
    used = [len(pixels) for _, pixels in engine._chosen(None)]
    assert sum(used) == 200
    assert {w: set(p.known) for w, p in engine._painted.items()}[HERE] == once[HERE]
    assert agreement(engine.probabilities(image, HERE, whole(image)), truth) > 0.92


def test_a_small_stroke_is_learnt_from_as_much_as_a_mass_of_labels(encoder):
    image, truth = disks(192)
    points, by = np.argwhere(truth), np.zeros(truth.shape, int)
    stroke = np.argwhere(truth == 2)[1000:1030]
    by[tuple(stroke.T)] = 7
    drawn = []
    for strokes in (None, by[tuple(points.T)]):
        engine = Live(encoder, MACHINE)
        engine.paint(HERE, points, truth[tuple(points.T)].astype(int) - 1, strokes)
        assert run(engine.learn(lambda name: image, 2, Stop()))
        used = engine._painted[HERE].points[engine._chosen(None)[0][1]]
        assert len(used) == 800
        drawn.append(int(by[tuple(used.T)].astype(bool).sum()))
    assert drawn[0] < 15
    assert drawn[1] == 30


def test_few_pixels_are_learnt_from_whoever_painted_them(encoder, scene):
    image, _, labels = scene
    points, by, found = np.argwhere(labels), np.random.default_rng(0), []
    for strokes in (None, by.integers(0, 50, len(points))):
        engine = Live(encoder, MACHINE)
        engine.paint(HERE, points, labels[tuple(points.T)].astype(int) - 1, strokes)
        assert run(engine.learn(lambda name: image, 2, Stop()))
        found.append(engine.probabilities(image, HERE, whole(image)))
    assert np.array_equal(*found)


def planes_of(truth, images, every=1):
    """A Live that was told of strokes on a plane of each image, not looked at yet."""
    return [(Where(name, 0), np.argwhere(truth)[::every]) for name in images]


def test_strokes_that_take_too_long_are_left_for_the_next_time_those_that_are_near_come_first(encoder):
    image, truth = disks(96)
    images = dict.fromkeys("abcd", image)
    patient, hasty = Live(encoder, MACHINE), Live(encoder, MACHINE)
    for engine in (patient, hasty):
        for where, points in planes_of(truth, images, 40):
            engine.paint(where, points, truth[tuple(points.T)].astype(int) - 1)
    seen = (Where("c", 0), whole(image))
    assert run(patient.learn(images.__getitem__, 2, Stop(), seen))
    assert patient.known == 1
    looked_at = []
    while hasty.known < 1 or not looked_at:
        assert run(hasty.learn(images.__getitem__, 2, Stop(), seen, patience=0.0))
        looked_at.append("".join(where.image for where, p in hasty._painted.items() if p.known))
    assert looked_at == ["c", "ac", "abc", "abcd"]
    found = [e.probabilities(image, seen[0], seen[1]) for e in (patient, hasty)]
    assert np.abs(found[0] - found[1]).mean() < 0.005


def test_strokes_are_looked_at_until_two_classes_are_known_however_long_it_takes(encoder):
    image, truth = disks(96)
    engine = Live(encoder, MACHINE)
    for where, points in planes_of(truth, "abc", 40):
        of_one = points[truth[tuple(points.T)] == (2 if where.image == "c" else 1)]
        engine.paint(where, of_one, truth[tuple(of_one.T)].astype(int) - 1)
    assert run(engine.learn(lambda name: image, 2, Stop(), (Where("a", 0), whole(image)), patience=0.0))
    assert engine.known == 1
    assert engine.head is not None


def test_of_very_many_tiles_some_are_looked_at_in_them_what_one_sees_and_all_classes(encoder, monkeypatch):
    monkeypatch.setattr(live, "MOST", 4)
    image, truth = disks(96)
    engine, names = Live(encoder, MACHINE), [f"{n:02}" for n in range(12)]
    for where, points in planes_of(truth, names, 40):
        of_two = points[truth[tuple(points.T)] < 3]
        engine.paint(where, of_two, truth[tuple(of_two.T)].astype(int) - 1)
    engine.paint(Where("rare", 0), np.array([[5, 5]]), np.array([2]))
    looked_at = []
    for near in ("03", "07"):
        assert run(engine.learn(lambda name: image, 3, Stop(), (Where(near, 0), whole(image))))
        looked_at.append({w.image for w, pixels in engine._chosen((Where(near, 0), whole(image))) if len(pixels)})
        assert {near, "rare"} <= looked_at[-1]
        assert len(looked_at[-1]) in (4, 5)
    assert len(looked_at[0] & looked_at[1]) >= 3
    assert {w.image for w, p in engine._painted.items() if p.known} == looked_at[0] | looked_at[1]
    assert agreement(engine.probabilities(image, Where("07", 0), whole(image)), truth) > 0.9


def test_a_stop_is_heeded_between_tiles_and_what_is_done_stays(encoder, monkeypatch):
    monkeypatch.setattr(live, "TILE", 40)
    image, truth = disks(96)
    engine, stop = Live(encoder, MACHINE), Stop()
    job = engine.look(image, HERE, whole(image), stop)
    next(job), next(job)
    stop.request()
    with pytest.raises(StopIteration) as end:
        next(job)
    assert end.value.value is False
    assert len(engine._cache._near) == 2
    assert run(engine.look(image, HERE, Box(0, 0, 30, 30), stop))  # nothing to do
    points = np.argwhere(truth)
    engine.paint(HERE, points, truth[tuple(points.T)].astype(int) - 1)
    assert not run(engine.learn(lambda name: image, 2, stop))


def test_a_cache_that_holds_one_tile_serves_as_well(encoder, scene, monkeypatch):
    monkeypatch.setattr(live, "TILE", 40)
    image, _, labels = scene
    roomy, tight = Live(encoder, MACHINE), Live(encoder, MACHINE, cache=TileCache(1, 0))
    teach(roomy, image, labels)
    teach(tight, image, labels)
    found = [e.probabilities(image, HERE, whole(image)) for e in (roomy, tight)]
    assert np.array_equal(*found)


def test_numbers_beyond_half_precision_stay_finite(encoder):
    pixels = np.zeros((1, 40, 40), np.float32)
    pixels[:, 20:] = 1e30
    image = Image(pixels, name="wide")
    engine = Live(encoder, MACHINE)
    labels = np.ones((40, 40), int)
    labels[20:] = 2
    assert teach(engine, image, labels)
    assert np.isfinite(engine.probabilities(image, HERE, whole(image))).all()


def test_the_trained_encoder_and_colours_serve_too():
    image, truth = disks(96, channels=3)
    engine = Live(model.build("imagenet", "efficientnet_lite0", 3, MACHINE).encoder, MACHINE)
    assert teach(engine, image, paint(truth, strokes=20))
    assert agreement(engine.probabilities(image, HERE, whole(image)), truth) > 0.92
