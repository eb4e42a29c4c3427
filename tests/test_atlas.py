"""Where classes lie: learnt only from images that agree, and used in every place that predicts."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scenes import annotated

from napari_sslseg import atlas, outlook, segmenter
from napari_sslseg.annotation import Annotation
from napari_sslseg.atlas import Atlas
from napari_sslseg.finetuning import finetune
from napari_sslseg.image import Image
from napari_sslseg.job import Notice, Stop, run
from napari_sslseg.labelled import collect
from napari_sslseg.model import Network
from napari_sslseg.patches import Place
from napari_sslseg.predicting import predict
from napari_sslseg.runtime import Runtime
from napari_sslseg.segmenter import Segmenter
from napari_sslseg.settings import FinetuneConfig, PredictConfig, RuntimeConfig
from napari_sslseg.strokes import Stroke
from napari_sslseg.validation import look

SIDE = 64
SMALL = {"crop": 32, "batch": 4, "steps": 4, "encoder": "unet", "start": "random"}


def noise(seed, shape=(SIDE, SIDE)):
    return Image.from_array(np.random.default_rng(seed).normal(size=shape).astype(np.float32), name=f"noise{seed}")


def painted(seed, middle=True):
    """Strokes of class 3 in the middle and of class 2 at the sides; or of both anywhere."""
    numbers = np.random.default_rng(seed)
    labels = np.zeros((SIDE, SIDE), np.uint16)
    for k in range(8):
        value = 2 + k % 2
        y = int(numbers.integers(4, SIDE - 4))
        x = int(numbers.integers(24, 36)) if value == 3 else int(numbers.choice([4, 8, 52, 56]))
        if not middle:
            x = int(numbers.integers(4, SIDE - 8))
        labels[y, x : x + 4] = value
    return labels


def pairs(count=3, middle=True):
    return [(noise(k), Annotation(painted(k, middle), "semantic")) for k in range(count)]


def labelled(count=3, middle=True):
    return collect(pairs(count, middle), 0.0)


def agreed(known):
    return atlas.agree(known.train, known.images, known.values)


def fitted(known):
    return atlas.fit(known.train, known.images, known.values)


def test_images_that_agree_give_an_atlas_that_knows_the_middle():
    assert agreed(labelled())
    sides, middle = fitted(labelled()).at(np.array([[0.0, 0.2, -0.9], [0.0, 0.2, 0.0]]))
    assert sides[0] > 2 * sides[1] > 0
    assert middle[1] > 2 * middle[0] > 0


def test_images_that_do_not_agree_are_found_out():
    assert not agreed(labelled(middle=False))


@pytest.mark.parametrize("axes", ["ZYX", "TYX"])
def test_frames_of_time_are_no_places_as_planes_in_space_are(axes):
    films = [Image.from_array(np.zeros((9, SIDE, SIDE), np.float32), axes, name=str(k)) for k in range(3)]
    strokes = [
        Stroke(n, 2 * (k % 2) + 5 * (k % 2), 2 + k % 2, np.array([[y, 30]]))
        for n in range(3)
        for k, y in enumerate(np.random.default_rng(n).integers(0, SIDE, 8))
    ]
    assert atlas.agree(strokes, films, (2, 3)) == (axes == "ZYX")


def test_one_image_of_four_that_disagrees_is_enough_to_do_without():
    known = labelled(4)
    turned = [replace_stroke(s) if s.image == 2 else s for s in known.train]
    assert agreed(known)
    assert not atlas.agree(turned, known.images, known.values)


def replace_stroke(stroke):
    return Stroke(stroke.image, stroke.z, {2: 3, 3: 2}[stroke.value], stroke.points)


@pytest.mark.parametrize("count", [1, 2])
def test_fewer_than_three_images_do_not_agree(count):
    assert not agreed(labelled(count))


def test_images_with_a_few_strokes_of_some_classes_show_no_agreement():
    known = labelled(4)
    assert agreed(known)
    of = {n: [s for s in known.train if s.image == n] for n in range(4)}
    for left in (lambda found: [s for s in found if s.value == 3], lambda found: one_of_each(found)[:3]):
        few = [*of[0], *of[1], *left(of[2]), *left(of[3])]  # corrected in one place, and in another
        assert not atlas.agree(few, known.images, known.values)
        assert len(atlas.gains(few, known.images, known.values)) == 2
    enough = [*of[0], *of[1], *of[2], *one_of_each(of[3])]
    assert len(atlas.gains(enough, known.images, known.values)) == 3
    assert atlas.agree(enough, known.images, known.values)


def one_of_each(strokes):
    return list({s.value: s for s in strokes}.values())


def test_a_class_seen_in_one_image_only_is_no_agreement():
    known = labelled()
    extra = Stroke(0, 0, 4, np.array([[2, 2]]))
    assert not atlas.agree([*known.train, extra], known.images, (*known.values, 4))


def test_many_pixels_of_a_stroke_count_as_one_observation():
    known = labelled()
    twice = [replace_points(s, np.repeat(s.points, 7, 0)) for s in known.train]
    places = np.array([[0.0, 0.3, 0.1], [0.0, -0.8, 0.8]])
    once, often = (atlas.fit(s, known.images, known.values).at(places) for s in (known.train, twice))
    np.testing.assert_allclose(once, often, rtol=1e-3)


def test_of_a_large_region_no_more_is_fitted_than_it_takes():
    known = labelled()
    region = replace_points(known.train[0], np.argwhere(np.ones((SIDE, SIDE), bool)))
    terms, _, weight = atlas._observed([region, *known.train[1:]], known.images, known.values)
    others = sum(len(s.points) for s in known.train[1:])
    assert atlas.MOST_PIXELS / 2 < len(terms) - others <= atlas.MOST_PIXELS
    assert weight.sum() == pytest.approx(1)


def replace_points(stroke, points):
    return Stroke(stroke.image, stroke.z, stroke.value, points)


def test_the_fit_is_that_of_logistic_regression_with_a_ridge():
    known = labelled()
    found = np.array(atlas.fit(known.train, known.images, known.values).weights)
    terms, truth, weight = atlas._observed(known.train, known.images, known.values)
    weights = torch.zeros(found.shape, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=500, tolerance_grad=1e-10, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        logs = torch.log_softmax(torch.from_numpy(terms) @ weights.T, 1)
        likelihood = (torch.from_numpy(weight) * logs[torch.arange(len(truth)), torch.from_numpy(truth)]).sum()
        loss = -likelihood * len(known.train) + atlas.RIDGE / 2 * weights[:, 1:].square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    places = np.random.default_rng(0).uniform(-1, 1, (50, 3))
    np.testing.assert_allclose(
        Atlas(tuple(map(tuple, found.tolist()))).at(places),
        Atlas(tuple(map(tuple, weights.tolist()))).at(places),
        rtol=0.02,
    )


def test_a_grid_and_a_mirrored_square_say_the_same_as_single_places():
    found, image = fitted(labelled()), noise(0)
    grid = found.over(image.shape, [0], range(SIDE), range(SIDE))[:, 0]
    y, x = 10, 50
    place = np.array([[0, y, x]])
    np.testing.assert_allclose(grid[:, y, x], found.at(atlas.relative(place, image.shape))[0], rtol=1e-6)
    square = found.around(image, Place(0, 0, -8, SIDE - 16, 32))
    np.testing.assert_allclose(square[:, 8:, :16], grid[:, :24, -16:], rtol=1e-6)
    np.testing.assert_allclose(square[:, 7, 0], grid[:, 1, -16], rtol=1e-6)
    box = found.around(image, Place(0, 0, 0, 0, 32, 2))
    np.testing.assert_allclose(box[:, 1], grid[:, :32, :32], rtol=1e-6)


def test_places_do_not_depend_on_magnification():
    small, large = (np.array([[0, 3, 5]]), (32, 48)), (np.array([[0, 10, 16]]), (96, 144))
    np.testing.assert_allclose(atlas.relative(*small), atlas.relative(*large))
    assert atlas.relative(*small)[0, 0] == 0


def test_an_atlas_outlives_json():
    found = fitted(labelled())
    assert Atlas.from_dict(found.to_dict()) == found
    assert Atlas.from_dict(None) is None


def test_training_says_and_stores_it_and_prediction_uses_it():
    heard = []
    with_atlas = run(finetune(pairs(), FinetuneConfig(**SMALL, hold_out=0.0, pixels=0.0)), heard.append)
    without = run(finetune(pairs(), FinetuneConfig(**SMALL, hold_out=0.0, pixels=0.0, atlas=False)))
    assert any("like places" in e.text for e in heard if isinstance(e, Notice))
    assert "atlas" not in without.config
    machine = Runtime.make(RuntimeConfig())
    assert segmenter.load(with_atlas, machine).atlas == Atlas.from_dict(with_atlas.config["atlas"])
    config = PredictConfig(probabilities=True)
    plain = replace(with_atlas, config={k: v for k, v in with_atlas.config.items() if k != "atlas"})
    (used,), (unused,) = (run(predict([noise(7)], c, config)) for c in (with_atlas, plain))
    expected = Atlas.from_dict(with_atlas.config["atlas"]).over((SIDE, SIDE), [0], range(SIDE), range(SIDE))[:, 0]
    product = unused.probabilities.astype(np.float32) * expected
    np.testing.assert_allclose(used.probabilities, product / product.sum(0), atol=4e-3)
    assert (used.labels[:, 28:36] == 3).mean() > (unused.labels[:, 28:36] == 3).mean()


def test_objects_have_no_atlas():
    image, annotation, _ = annotated()
    labels = annotation.plane(0)
    several = [(replace(image, name=str(k)), Annotation(labels, "instance")) for k in range(3)]
    assert "atlas" not in run(finetune(several, FinetuneConfig(**SMALL))).config


def test_the_score_and_the_frequencies_take_it_into_account():
    known = collect(pairs(), 0.25)
    torch.manual_seed(0)
    network = Network("unet", "fpn", 1, 2)
    found = atlas.fit([*known.train, *known.apart], known.images, known.values)
    blind, placed = (Segmenter(network, None, 0.0, atlas=a).eval() for a in (None, found))
    scores = [run(look(s, known, 0.0, stop=Stop()))[0].score(known)["score"] for s in (blind, placed)]
    assert scores[1] > 0.9 > scores[0]
    only = Atlas(((5.0, *[0.0] * 9), (0.0,) * 10))  # the first class everywhere
    shares = [
        run(outlook.look(s, known.images, np.random.default_rng(0), Stop())).frequencies
        for s in (blind, Segmenter(network, None, 0.0, atlas=only).eval())
    ]
    assert shares[1][0] > 0.9 > shares[0][0]
