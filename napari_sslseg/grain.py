"""Grain: how coarse an image is, and by how much to resize one whose grain is not like that of the painted ones."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.measure import block_reduce
from skimage.transform import resize

from napari_sslseg.image import Floats, Image

SEEN = 512  # px of each side, in the middle of the plane, that are looked at
ALIKE = 1.3  # up to this factor beyond the painted images an image is left as it is
SMALLEST, LARGEST = 0.25, 2.0  # factors of size
MOST = 2**27  # values of an image: larger ones are left as they are
OCTAVES = 5

Doubles = npt.NDArray[np.float64]


def grain(image: Image) -> tuple[float, float]:
    """Measure how coarse an image is, in the middle of its middle plane and in two ways.

    Parameters
    ----------
    image : Image
        The image.

    Returns
    -------
    float
        Pixels over which its autocorrelation, averaged over directions, falls to a half.
    float
        Scale in pixels, 1 to 32, at which blobs stand out most: that of the greatest standard deviation of its
        normalised Laplacian of Gaussian (Lindeberg 1998).
    """
    plane = image.data[:, image.planes // 2] if image.data.ndim == 4 else image.data
    cut = tuple(slice(max(0, (n - SEEN) // 2), max(0, (n - SEEN) // 2) + SEEN) for n in plane.shape[-2:])
    pixels = np.nan_to_num(np.asarray(plane[(slice(None), *cut)], np.float64), posinf=0, neginf=0).mean(0)
    return _correlated(pixels - pixels.mean()), _blobs(pixels)


def factor(found: tuple[float, float], painted: Sequence[tuple[float, float]]) -> float:
    """Choose by how much to resize an image, so that it is no coarser or finer than the painted ones.

    Parameters
    ----------
    found : tuple of float
        Its grain.
    painted : sequence of tuple of float
        Those of the painted images.

    Returns
    -------
    float
        0.25 to 2. 1 where it lies between the painted ones or less than a third beyond them in one of the two ways of
        measuring; else what the more cautious of the two says.
    """
    each = []
    for at, known in zip(found, zip(*painted, strict=True), strict=True):
        beyond = max(known) / at if at > ALIKE * max(known) else min(known) / at if at < min(known) / ALIKE else 1.0
        each.append(float(np.log(beyond)))
    if not each or min(each) * max(each) <= 0:
        return 1.0
    return float(np.clip(np.exp(min(each, key=abs)), SMALLEST, LARGEST))


def resized(image: Image, by: float) -> Image:
    """Resize the planes of an image.

    Parameters
    ----------
    image : Image
        The image; read whole unless `by` is 1.
    by : float
        Factor of Y and X.

    Returns
    -------
    Image
        The image itself for 1.
    """
    if by == 1:
        return image
    pixels = np.asarray(image.data, np.float32)
    shape = [max(1, round(n * by)) for n in pixels.shape[-2:]]
    flat = [resize(p, shape, order=1, anti_aliasing=by < 1) for p in pixels.reshape(-1, *pixels.shape[-2:])]
    sides = zip(image.spacing[-2:], pixels.shape[-2:], shape, strict=True)
    spacing = (*image.spacing[:-2], *(side * before / after for side, before, after in sides))
    return replace(image, data=np.stack(flat).reshape(*pixels.shape[:-2], *shape), spacing=spacing)


def brought_back(maps: Floats, shape: Sequence[int]) -> Floats:
    """Bring maps of a resized plane back to the size of the plane.

    Parameters
    ----------
    maps : numpy.ndarray
        (K, Y, X).
    shape : sequence of int
        (Y, X) of the plane.

    Returns
    -------
    numpy.ndarray
        (K, Y, X) float32.
    """
    return np.stack([resize(m, shape, order=1, anti_aliasing=False) for m in maps]).astype(np.float32)


def _correlated(pixels: Doubles) -> float:
    size, near = [2 * n for n in pixels.shape], min(pixels.shape) // 2
    power = np.abs(np.fft.rfft2(pixels, size)) ** 2
    pairs = np.fft.irfft2(np.abs(np.fft.rfft2(np.ones(pixels.shape), size)) ** 2, size)[:near, :near]
    found = np.fft.irfft2(power, size)[:near, :near] / np.maximum(pairs, 1)
    distance = np.hypot(*np.indices(found.shape)).astype(int).ravel()
    curve = np.bincount(distance, found.ravel()) / np.bincount(distance)
    below = np.flatnonzero(curve < curve[0] / 2) if len(curve) and curve[0] > 0 else np.array([], int)
    if not len(below):
        return float(max(1, near))
    last = int(below[0]) - 1
    return max(1.0, float(last + (curve[last] - curve[0] / 2) / (curve[last] - curve[last + 1])))


def _blobs(pixels: Doubles) -> float:
    best, scale = 0.0, 1.0
    for octave in range(OCTAVES):
        for step in range(4):
            sigma = 2 ** (step / 4)
            strength = sigma**2 * float(ndimage.gaussian_laplace(pixels, sigma, mode="reflect").std())
            if strength > best:
                best, scale = strength, sigma * 2**octave
        if min(pixels.shape) < 16:
            break
        pixels = block_reduce(pixels[: pixels.shape[0] // 2 * 2, : pixels.shape[1] // 2 * 2], (2, 2), np.mean)
    return scale
