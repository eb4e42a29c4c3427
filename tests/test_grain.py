"""Grain: coarseness is measured, and images of another magnification are predicted at the size of painted ones."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from napari_sslseg import grain
from napari_sslseg.annotation import Annotation
from napari_sslseg.finetuning import finetune
from napari_sslseg.image import Image
from napari_sslseg.job import run
from napari_sslseg.overlay import Box
from napari_sslseg.predicting import predict
from napari_sslseg.settings import FinetuneConfig, PredictConfig


def discs(radius: float, side: int = 256, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Bright discs that do not touch, and their numbers."""
    random, pitch = np.random.default_rng(seed), 3.2 * radius
    y, x = np.mgrid[:side, :side]
    objects = np.zeros((side, side), np.uint16)
    for number, (row, column) in enumerate(np.ndindex(int(side // pitch), int(side // pitch))):
        middle = (np.array([row, column]) + 0.5) * pitch + random.normal(0, 0.15 * radius, 2)
        objects[np.hypot(y - middle[0], x - middle[1]) < radius] = number + 1
    return (40 + 120 * (objects > 0) + random.normal(0, 8, objects.shape)).clip(0, 255).astype(np.uint8), objects


@pytest.mark.parametrize("radius", [5, 10, 20])
def test_grain_grows_with_what_is_to_be_seen(radius: int) -> None:
    known = np.array(grain.grain(Image.from_array(discs(5)[0])))
    found = np.array(grain.grain(Image.from_array(discs(radius, side=51 * radius)[0])))
    np.testing.assert_allclose(found / known, radius / 5, rtol=0.25)


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((40, 30)), np.full((3, 3), 7.0), np.eye(2), np.full((40, 40), np.nan), np.full((40, 40), np.inf)],
)
def test_images_without_any_grain_have_one(pixels: np.ndarray) -> None:
    assert np.isfinite(grain.grain(Image.from_array(pixels))).all()


def test_a_slope_of_light_alone_changes_nothing() -> None:
    pixels = discs(8)[0].astype(float)
    lit = pixels + np.linspace(0, 400, 256)
    assert grain.factor(grain.grain(Image.from_array(lit)), [grain.grain(Image.from_array(pixels))]) == 1


@pytest.mark.parametrize(
    ("found", "by"),
    [
        ((10, 10), 1),  # between the painted ones
        ((19, 19), 1),  # a little beyond
        ((32, 32), 0.5),
        ((32, 20), 1),  # one of the two says that it is as the others
        ((40, 32), 0.5),  # the more cautious of the two
        ((4, 4), 2),
        ((1, 1), 2),  # not more
        ((1000, 1000), 0.25),  # not less
        ((32, 4), 1),  # they say the contrary
    ],
)
def test_an_image_is_resized_where_it_lies_beyond_the_painted_ones(found: Any, by: float) -> None:
    assert grain.factor(found, [(8, 8), (16, 16)]) == pytest.approx(by)


def test_resizing_keeps_the_extent() -> None:
    image = Image.from_array(np.random.default_rng(0).random((3, 20, 30)), "ZYX", spacing=(2, 1, 1), unit="µm")
    half = grain.resized(image, 0.5)
    assert (half.shape, half.spacing) == ((3, 10, 15), (2, 2, 2))
    assert grain.resized(image, 1) is image
    assert grain.brought_back(np.ones((2, 10, 15), np.float32), (20, 30)).shape == (2, 20, 30)


@pytest.fixture(scope="module")
def trained() -> Any:
    """A network that has learnt small discs."""
    pixels, objects = discs(7)
    labels = np.where(objects > 0, objects + 1, 1).astype(np.uint16)
    config = FinetuneConfig(encoder="unet", start="random", steps=60, batch=4, crop=64, pixels=0, hold_out=0)
    return run(finetune([(Image.from_array(pixels, name="small"), Annotation(labels, "instance"))], config))


def test_an_image_of_a_larger_magnification_is_seen_at_the_size_of_the_painted_one(trained: Any) -> None:
    pixels, objects = discs(21, side=500, seed=1)
    large = Image.from_array(pixels, name="large")
    by = grain.factor(grain.grain(large), trained.config["grains"])
    assert by == pytest.approx(1 / 3, rel=0.25)
    config = PredictConfig(probabilities=True, tile=128)
    small = replace(grain.resized(large, by), name="small again")
    found, seen = (run(predict([image], trained, config))[0] for image in (large, small))
    assert found.labels.shape == objects.shape
    assert found.probabilities is not None
    assert seen.probabilities is not None
    expected = grain.brought_back(seen.probabilities.astype(np.float32), objects.shape)
    np.testing.assert_allclose(found.probabilities, expected, atol=2e-3)


def test_an_image_like_the_painted_one_is_left_as_it_is(trained: Any) -> None:
    like = Image.from_array(discs(7, seed=2)[0], name="like")
    plain = type(trained)(trained.weights, {**trained.config, "grains": []}, trained.history)
    a, b = (run(predict([like], c, PredictConfig()))[0].labels for c in (trained, plain))
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("radius", [7, 21])  # as large as the painted ones, and resized
@pytest.mark.parametrize(("tile", "enlarged"), [(128, False), (1024, True)])  # the whole does not fit into one, or does
def test_a_part_is_enlarged_where_the_whole_image_is(trained: Any, radius: int, tile: int, enlarged: bool) -> None:
    side = 24 * radius
    image = Image.from_array(discs(radius, side, seed=1)[0], name="whole")
    box = Box(side // 4, side // 4, side // 2, side // 2)  # twice as large, it would fit into either tile
    config = PredictConfig(tile=tile, overlap=8, flips=False, probabilities=True)
    plain, twice = (type(trained)(trained.weights, {**trained.config, "magnification": n}, {}) for n in (1, 2))
    a, b = (run(predict([image], c, config, boxes={"whole": box}))[0].probabilities for c in (plain, twice))
    assert np.array_equal(a, b) is not enlarged
