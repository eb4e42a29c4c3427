"""Sample images: real ones that scikit-image ships or downloads, and synthetic nuclei with exact ground truth."""

from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException

import numpy as np
import numpy.typing as npt
import skimage.data
from scipy.ndimage import gaussian_filter

from napari_sslseg.annotation import Annotation
from napari_sslseg.errors import ConfigError, ImageError
from napari_sslseg.image import Image

Stack = npt.NDArray[np.float32]

SPACING = (1.0, 0.25, 0.25)  # µm: planes four times as far apart as pixels, as confocal stacks often have them
RADIUS = (2.5, 4.0)  # µm: least and greatest half axis of a nucleus
BLUR = (1.2, 0.3, 0.3)  # µm: standard deviations of the point spread function, long along the light
CROWDING = 1 / 700  # nuclei per µm³


@dataclass(frozen=True)
class Sample:
    """An image to try things on.

    Parameters
    ----------
    name : str
        Its short name.
    title : str
        What it shows, in a few words.
    make : callable
        Makes the Image.
    truth : callable, optional
        Makes the Annotation of every pixel, where the truth is known.
    download : bool
        Whether it is fetched from the internet when first used.
    """

    name: str
    title: str
    make: Callable[[], Image]
    truth: Callable[[], Annotation] | None = None
    download: bool = False


def names() -> tuple[str, ...]:
    """List the samples.

    Returns
    -------
    tuple of str
        Their names.
    """
    return tuple(SAMPLES)


def load(name: str) -> Image:
    """Make or fetch one sample image.

    Parameters
    ----------
    name : str
        One of names().

    Returns
    -------
    Image
        The image.

    Raises
    ------
    ConfigError
        If there is no sample of this name.
    ImageError
        If it has to be downloaded and cannot be.
    """
    if name not in SAMPLES:
        raise ConfigError(f"There is no sample {name!r}", f"There are {', '.join(SAMPLES)}")
    return SAMPLES[name].make()


def nuclei3d(seed: int = 0, shape: tuple[int, int, int] = (32, 128, 128)) -> tuple[Image, npt.NDArray[np.uint16]]:
    """Make a confocal stack of nuclei as a microscope would see them, and the nuclei themselves.

    Ellipsoids in all directions, about a third of them touching another, with uneven chromatin; blurred by an
    anisotropic point spread function; with background, photon (Poisson) and read-out (Gaussian) noise.

    Parameters
    ----------
    seed : int, optional
        Another seed gives other nuclei; the same seed gives the same stack.
    shape : tuple of int, optional
        (Z, Y, X) in pixels of 1.0 × 0.25 × 0.25 µm.

    Returns
    -------
    Image
        One channel of uint16, about 100 where it is dark.
    numpy.ndarray
        (Z, Y, X) uint16: 0 background, 1, 2, ... the nuclei.

    Raises
    ------
    ImageError
        If the shape is not three numbers of at least 8.
    """
    if len(shape) != 3 or min(shape) < 8:
        raise ImageError(f"The shape {tuple(shape)} was asked for", "It is (Z, Y, X), each at least 8")
    random = np.random.default_rng(seed)
    truth = _ellipsoids(shape, random)
    photons = 6 + _chromatin(truth, random)
    blur = [sigma / step for sigma, step in zip(BLUR, SPACING, strict=True)]
    noisy = random.poisson(gaussian_filter(photons, blur)) * 8 + random.normal(100, 6, shape)
    pixels = np.clip(noisy.round(), 0, 65535).astype(np.uint16)
    return Image.from_array(pixels, "ZYX", spacing=SPACING, unit="µm", name="nuclei3d"), truth


def _ellipsoids(shape: tuple[int, ...], random: np.random.Generator) -> npt.NDArray[np.uint16]:
    """Fill a stack with numbered ellipsoids; a pixel inside two belongs to the one whose centre it is nearer to."""
    size = np.multiply(shape, SPACING)
    truth, depth = np.zeros(shape, np.uint16), np.ones(shape, np.float32)
    centres, radii = np.zeros((0, 3)), np.zeros(0)
    wanted = max(1, round(float(np.prod(size)) * CROWDING))
    for _ in range(40 * wanted):
        if len(centres) == wanted:
            break
        axes = random.uniform(*RADIUS, 3)
        centre, radius = random.uniform(0, size), float(axes.mean())
        if len(centres) and random.random() < 0.35:  # beside another, so that they touch
            other, way = int(random.integers(len(centres))), random.normal(size=3)
            centre = centres[other] + way / np.linalg.norm(way) * 0.95 * (radius + radii[other])
        apart = np.linalg.norm(centres - centre, axis=1)
        if (centre < 0).any() or (centre >= size).any() or (apart < 0.9 * (radius + radii)).any():
            continue
        turn, _ = np.linalg.qr(random.normal(size=(3, 3)))
        if _place(truth, depth, len(centres) + 1, centre, turn / axes):
            centres, radii = np.vstack([centres, centre]), np.append(radii, radius)
    return truth


def _place(
    truth: npt.NDArray[np.uint16],
    depth: Stack,
    number: int,
    centre: npt.NDArray[np.float64],
    shrink: npt.NDArray[np.float64],
) -> bool:
    """Write one ellipsoid into its box: `shrink` turns µm from the centre into parts of the half axes."""
    at, step = centre / SPACING, np.asarray(SPACING)
    reach = RADIUS[1] / step
    box = tuple(
        slice(max(0, int(a - r)), min(n, int(a + r) + 2)) for a, r, n in zip(at, reach, truth.shape, strict=True)
    )
    grid = np.moveaxis(np.mgrid[box], 0, -1) * step - centre
    inside = np.square(grid @ shrink).sum(axis=-1)
    won = inside < depth[box]
    truth[box][won], depth[box][won] = number, inside[won]
    return bool(won.any())


def _chromatin(truth: npt.NDArray[np.uint16], random: np.random.Generator) -> Stack:
    """Give each nucleus a brightness of its own, uneven inside, in photons per pixel."""
    coarse = [0.9 / step for step in SPACING]
    cloud = gaussian_filter(random.normal(size=truth.shape), coarse)
    cloud = np.clip(1 + 0.45 * cloud / max(float(cloud.std()), 1e-9), 0.15, None)
    brightness = np.append(0.0, random.uniform(25, 80, int(truth.max())))
    return np.asarray(brightness[truth] * cloud, np.float32)


def _nuclei3d_truth() -> Annotation:
    return Annotation(nuclei3d()[1] + np.uint16(1), "instance")  # in an annotation 1 is background


def _shipped(name: str, fetch: Callable[[], npt.NDArray[np.uint8]]) -> Image:
    """Make an Image of a picture that lies inside the installed scikit-image."""
    pixels = fetch()
    return Image.from_array(pixels, "YXS" if pixels.ndim == 3 else "YX", name=name)


def _cells3d() -> Image:
    """Fetch the fluorescent cells of the Allen Institute for Cell Science that scikit-image offers."""
    try:
        pixels = skimage.data.cells3d()
    except (ImportError, OSError, HTTPException, ValueError, RuntimeError) as error:  # no pooch; no network; damaged
        raise ImageError(
            f"The sample cells3d could not be downloaded ({type(error).__name__})",
            "It needs the package pooch and, the first time, an internet connection",
            "Without one, take nuclei3d, which is made on the spot",
        ) from error
    return Image.from_array(pixels, "ZCYX", spacing=(0.29, 0.26, 0.26), unit="µm", name="cells3d")


SAMPLES: dict[str, Sample] = {
    sample.name: sample
    for sample in (
        Sample("ihc", "Tissue, brown stain (RGB)", lambda: _shipped("ihc", skimage.data.immunohistochemistry)),
        Sample("retina", "Retina (RGB)", lambda: _shipped("retina", skimage.data.retina)),
        Sample("coins", "Coins", lambda: _shipped("coins", skimage.data.coins)),
        Sample("cell", "One cell, phase contrast", lambda: _shipped("cell", skimage.data.cell)),
        Sample("nuclei3d", "Synthetic nuclei (3-D)", lambda: nuclei3d()[0], _nuclei3d_truth),
        Sample("cells3d", "Cells, two channels (3-D, download)", _cells3d, download=True),
    )
}
