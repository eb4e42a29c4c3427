"""Small images with known truth, made on the spot for the tests."""

import numpy as np

from napari_sslseg.annotation import Annotation
from napari_sslseg.image import Image


def disks(size: int = 96, channels: int = 1, seed: int = 0, planes: int | None = None) -> tuple[Image, np.ndarray]:
    """Bright disks on a dark noisy ground, and the truth: 1 ground, 2 disk."""
    rng = np.random.default_rng(seed)
    shape = (planes or 1, size, size)
    truth = np.ones(shape, np.uint16)
    y, x = np.mgrid[:size, :size]
    for _ in range(max(3, size // 12)):
        cy, cx, r = *rng.integers(8, size - 8, 2), rng.integers(5, 9)
        truth[:, (y - cy) ** 2 + (x - cx) ** 2 < r * r] = 2
    pixels = 1000 + 3000 * (truth == 2) + rng.normal(0, 300, (channels, *shape))
    pixels = pixels.clip(0, 65535).astype(np.uint16)
    if planes is None:
        return Image(pixels[:, 0], name=f"disks{seed}"), truth[0]
    return Image(pixels, name=f"disks{seed}"), truth


def objects(size: int = 96, seed: int = 0) -> tuple[Image, np.ndarray]:
    """Disks that keep apart, numbered from 2, on ground 1."""
    image, _ = disks(size, seed=seed)
    rng = np.random.default_rng(seed + 1)
    truth = np.ones((size, size), np.uint16)
    y, x = np.mgrid[:size, :size]
    value = 2
    for cy in range(12, size - 8, 24):
        for cx in range(12, size - 8, 24):
            truth[(y - cy) ** 2 + (x - cx) ** 2 < int(rng.integers(6, 9)) ** 2] = value
            value += 1
    pixels = (1000 + 3000 * (truth > 1) + rng.normal(0, 300, truth.shape)).clip(0, 65535).astype(np.uint16)
    return Image(pixels[None], name=image.name), truth


def balls(
    planes: int = 16, size: int = 64, channels: int = 1, seed: int = 0, apart: float = 1.0, objects: bool = False
) -> tuple[Image, np.ndarray]:
    """Bright balls on a dark noisy ground, and the truth: 1 ground, 2 ball; of objects each ball has its own number.

    Planes are `apart` times further apart than pixels; objects do not touch.
    """
    rng = np.random.default_rng(seed)
    truth = np.ones((planes, size, size), np.uint16)
    z, y, x = np.mgrid[:planes, :size, :size]
    middles = rng.integers(0, (planes, size, size), (size * planes // 64, 3))
    if objects:
        grid = range(10, size - 6, 18)
        middles = [(rng.integers(planes // 3, planes - planes // 3), cy, cx) for cy in grid for cx in grid]
    for k, (cz, cy, cx) in enumerate(middles):
        near = ((z - cz) * apart) ** 2 + (y - cy) ** 2 + (x - cx) ** 2 < int(rng.integers(5, 8)) ** 2
        truth[near] = 2 + k * objects
    pixels = 1000 + 3000 * (truth > 1) + rng.normal(0, 500, (channels, *truth.shape))
    return Image(pixels.clip(0, 65535).astype(np.uint16), (apart, 1.0, 1.0), name=f"balls{seed}"), truth


def paint(truth: np.ndarray, strokes: int = 6, seed: int = 0, length: int = 8) -> np.ndarray:
    """Short horizontal strokes of every class of a (Y, X) truth."""
    rng = np.random.default_rng(seed)
    painted = np.zeros(truth.shape, np.uint16)
    for value in np.unique(truth):
        for y, x in rng.permutation(np.argwhere(truth == value))[:strokes]:
            row = slice(x, x + length)
            part = painted[y, row]
            part[truth[y, row] == value] = value
    return painted


def annotated(size: int = 96, seed: int = 0) -> tuple[Image, Annotation, np.ndarray]:
    """An image of disks, strokes on it, and the truth."""
    image, truth = disks(size, seed=seed)
    return image, Annotation(paint(truth, seed=seed)), truth
