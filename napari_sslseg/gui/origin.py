"""Origin: the file that a layer was opened from, and what the file itself says of axes and pixel size."""

from functools import lru_cache
from itertools import permutations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from napari.layers import Image as ImageLayer

from napari_sslseg.errors import UserError
from napari_sslseg.image import Image
from napari_sslseg.io import read_image
from napari_sslseg.io.files import is_single, suffix

KEY = "napari-sslseg file"  # of layers that this plugin opened from a file
DESCRIBED = (".tif", ".tiff", ".nii", ".nii.gz", ".dcm")  # a PNG says nothing, and would be read whole to find that out


class Facts(NamedTuple):
    """What a file says of its image: axes with the channels first, spatial shape, channels, colour, pixel size."""

    axes: str
    shape: tuple[int, ...]
    channels: int
    rgb: bool
    spacing: tuple[float, ...]
    unit: str


def file_of(layer: ImageLayer) -> Path | None:
    """Return the file of a layer.

    Parameters
    ----------
    layer : napari.layers.Image
        The layer.

    Returns
    -------
    Path or None
        A file or zarr folder that is there; None where the layer is only in memory.
    """
    path = layer.source.path or layer.metadata.get(KEY)
    if not path or not (Path(path).is_file() or is_single(Path(path))):
        return None
    return Path(path)


def facts_of(layer: ImageLayer) -> Facts | None:
    """Return what the file of a layer says.

    Parameters
    ----------
    layer : napari.layers.Image
        The layer.

    Returns
    -------
    Facts or None
        None where there is no file, or none that says anything.
    """
    file = file_of(layer)
    if file is None or not (suffix(file).endswith(DESCRIBED) or is_single(file)):
        return None
    return _facts(file, file.stat().st_mtime_ns)


@lru_cache(maxsize=256)
def _facts(file: Path, _: int) -> Facts | None:
    try:
        image = read_image(file)
    except UserError:
        return None
    return Facts(image.axes, image.shape, image.channels, image.rgb, image.spacing, image.unit)


def reference(layer: ImageLayer, axes: str | None, image: Image) -> tuple[Path, dict[str, Any]] | None:
    """Tell how a project can refer to the file of a layer in place of keeping a copy.

    Parameters
    ----------
    layer : napari.layers.Image
        The layer.
    axes : str, optional
        Axes of its array; None where the file has to say by itself what they are.
    image : Image
        What was made of it.

    Returns
    -------
    Path
        The file.
    dict
        ``axes``, ``spacing`` and ``unit``, as far as the file says others or none.
        None in place of both where reading the file does not give the same image.
    """
    file = file_of(layer)
    if file is None:
        return None
    for said in ({}, {"axes": axes}) if axes else ({},):
        try:
            read = read_image(file, **said)
        except UserError:
            continue
        if _same(read, image):
            near = len(read.spacing) == len(image.spacing) and np.allclose(read.spacing, image.spacing, rtol=1e-4)
            place = {} if near and read.unit == image.unit else {"spacing": image.spacing, "unit": image.unit}
            return file, {**said, **place}
    return None


def read_as(file: Path, axes: str, image: Image) -> tuple[Path, str | None] | None:
    """Tell how a file has to be read so that it gives an image, in whatever order its array is.

    Parameters
    ----------
    file : Path
        The file.
    axes : str
        Letters of its axes, of which the order is tried.
    image : Image
        The image.

    Returns
    -------
    Path
        The file.
    str or None
        Axes of its array; None where it says them by itself.
        None in place of both where the file gives no such image.
    """
    orders = ("".join(order) for order in permutations(axes))
    for said in (None, axes, *(order for order in orders if order.index("Y") < order.index("X"))):
        try:
            read = read_image(file, said)
        except UserError:
            continue
        if _same(read, image) and all(np.array_equal(read.read(z), image.read(z)) for z in {0, image.planes - 1}):
            return file, said
    return None


def _same(read: Image, image: Image) -> bool:
    return (read.axes, read.shape, read.channels, read.rgb, np.dtype(read.data.dtype)) == (
        image.axes,
        image.shape,
        image.channels,
        image.rgb,
        np.dtype(image.data.dtype),
    )
