"""Volumes: what a network that looks in three dimensions needs of images, and how large the boxes are that it sees."""

import math
from dataclasses import dataclass

import numpy as np

from napari_sslseg.errors import ConfigError
from napari_sslseg.image import Image

VOXELS = 2  # of a box, for each pixel of the square whose side was asked for
LEAST_SIDE = 32  # px: of a box


@dataclass(frozen=True)
class Piece:
    """How large the pieces of images are that a network sees.

    Parameters
    ----------
    side : int
        Pixels along Y and X.
    depth : int, optional
        Planes of a box; 0 for a square of one plane.
    """

    side: int
    depth: int = 0


def is_volume(image: Image) -> bool:
    """Tell whether an image has a depth: several planes along Z, and not along time.

    Parameters
    ----------
    image : Image
        The image.

    Returns
    -------
    bool
        Whether it can be looked at in three dimensions.
    """
    return "Z" in image.axes and image.planes > 1


def checked(images: list[Image]) -> float:
    """Check that all images have a depth, and measure how much further apart voxels are along Z than along Y and X.

    Parameters
    ----------
    images : list of Image
        What a network that looks at volumes is given.

    Returns
    -------
    float
        Of a typical image; 1 where the spacing is not known.

    Raises
    ------
    ConfigError
        If one of them has no depth.
    """
    flat = next((i for i in images if not is_volume(i)), None)
    if flat is not None:
        size = f"{' x '.join(map(str, flat.shape))} pixels along {', '.join(flat.axes[1:])}"
        raise ConfigError(
            f"The network looks at volumes, and {flat.name} has no depth ({size})",
            "It needs at least two planes along Z",
            "Use images with a depth, or an encoder that looks at planes, such as --encoder efficientnet_lite0",
        )
    return float(np.median([i.spacing[0] / math.sqrt(i.spacing[-2] * i.spacing[-1]) for i in images]))


def unsaid(images: list[Image]) -> str:
    """Say which image does not tell its spacing.

    Parameters
    ----------
    images : list of Image
        Volumes.

    Returns
    -------
    str
        One sentence; empty if all do.
    """
    deep = (i for i in images if is_volume(i))
    silent = next((i for i in deep if i.unit == "pixel" and len(set(i.spacing)) == 1), None)
    if silent is None:
        return ""
    return f"{silent.name} does not say how far apart its planes are: its voxels are taken for cubes."


def fitted(
    voxels: int, planes: int, most: int, apart: float = 1.0, multiple: int = 1, depth_multiple: int = 1
) -> Piece:
    """Choose the size of a box: about a cube in space, no deeper than the volume, and of about so many voxels.

    Parameters
    ----------
    voxels : int
        About how many voxels it has.
    planes : int
        Planes of the volume.
    most : int
        Greatest side in pixels.
    apart : float, optional
        How much further apart voxels are along Z than along Y and X.
    multiple, depth_multiple : int, optional
        What the side and the number of planes are divisible by.

    Returns
    -------
    Piece
        The size; at least `LEAST_SIDE` pixels and `depth_multiple` planes.
    """
    deepest = -(-planes // depth_multiple) * depth_multiple
    depth = _floored((voxels / apart**2) ** (1 / 3), depth_multiple, deepest)
    side = max(_floored(math.sqrt(voxels / depth), multiple, most), -(-LEAST_SIDE // multiple) * multiple)
    return Piece(side, _floored(voxels / side**2, depth_multiple, deepest))


def _floored(length: float, multiple: int, most: int) -> int:
    """The greatest multiple up to a length, and up to `most`, but no less than one."""
    return max(1, int(min(length, most) / multiple + 1e-6)) * multiple
