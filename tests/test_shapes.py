"""Drawn scenes, from which the starter learns: their labels are what training makes of the same objects."""

import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_sslseg import instances

FILE = Path(__file__).parents[1] / "benchmarks" / "shapes.py"


@pytest.fixture(scope="module")
def shapes():
    spec = importlib.util.spec_from_file_location("shapes", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_same_seed_draws_the_same_scenes(shapes):
    drawn = [shapes.Scenes(64, torch.device("cpu")).draw(4, seed) for seed in (5, 5, 6)]
    assert all(torch.equal(drawn[0][k], drawn[1][k]) for k in drawn[0])
    assert not torch.equal(drawn[0]["image"], drawn[2]["image"])
    image, target = drawn[0]["image"], drawn[0]["target"]
    assert (image.shape, target.shape) == ((4, 3, 64, 64), (4, 64, 64))
    assert image.mean((2, 3)).abs().max() < 1e-5
    assert torch.allclose(image.std((2, 3)), torch.ones(4, 3), atol=0.02)
    assert set(target.unique().tolist()) <= {1, 2, 3}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("diameter", [9.0, 16.0, 30.0])
def test_core_and_contour_are_those_of_painted_objects(shapes, packed, diameter):
    scenes = shapes.Scenes(64, torch.device("cpu"))
    scenes.random.manual_seed(1)
    near, labels = scenes._shapes(scenes.noise(1, 2, 3)[0], diameter, packed)
    assert len(labels.unique()) > 3
    assert bool((near[labels > 0] < 1).all())
    width = instances.contour_width(instances.ObjectSize(1.0, math.pi / 4 * diameter**2))
    wanted = instances.to_targets(labels.numpy().astype(np.uint16) + 1, width)
    np.testing.assert_array_equal(shapes._classes(labels, diameter).numpy(), wanted)
