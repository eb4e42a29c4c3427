"""Zarr folders: OME-Zarr images at full resolution, and plain arrays; opened at once whatever their size."""

import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr

from napari_sslseg.errors import ImageError
from napari_sslseg.image import Image
from napari_sslseg.io.atomic import replacing
from napari_sslseg.io.files import stem
from napari_sslseg.io.layout import LONG_NAMES, image_from, interval, same_unit
from napari_sslseg.io.lazy import LazyArray
from napari_sslseg.io.reading import reading

OLDEST_AXES = "TCZYX"  # OME-Zarr 0.1 and 0.2 had these five and did not write them down
CHUNK = {"Z": 16, "Y": 512, "X": 512}  # pixels


def read(path: Path, axes: str | None = None) -> Image:
    """Open a zarr folder: OME-Zarr 0.1 to 0.5 at its highest resolution, or a group of one array, or an array.

    Parameters
    ----------
    path : pathlib.Path
        The folder.
    axes : str, optional
        One letter an axis, instead of what the metadata says.

    Returns
    -------
    Image
        The image; only metadata is read of a large one.

    Raises
    ------
    ImageError
        If there is no image in it, several, or its metadata is damaged.
    """
    with reading(path, "zarr"):
        node = zarr.open(path, mode="r")
        if isinstance(node, zarr.Group):
            array, declared, sizes, unit = _from_group(node, path)
        else:
            array, (declared, sizes, unit) = node, _plain_description(node)
        pixels = LazyArray(array, path)
        if len(declared) == 5 and axes is None:  # five axes were once a duty; those of length 1 then mean nothing
            pixels, declared = _without(pixels, declared, "TZ")
    return image_from(pixels, path, axes, declared=declared, sizes=sizes, unit=unit)


def write(path: Path, data: npt.NDArray[Any], axes: str, spacing: Mapping[str, float], unit: str) -> None:
    """Write an OME-Zarr 0.5 image of one resolution if the name says so, else a plain zarr array; whole or not at all.

    Parameters
    ----------
    path : pathlib.Path
        The folder; replaced if it exists.
    data : numpy.ndarray
        Pixels of any shape that `axes` describes.
    axes : str
        One letter an axis out of C, T, Z, Y, X.
    spacing : mapping of str to float
        Pixel size by axis, and of T the seconds from frame to frame; empty if unknown.
    unit : str
        Unit of `spacing`.

    Raises
    ------
    StorageError
        If the disk is full or the place may not be written to.
    """
    with replacing(path, data.nbytes) as temporary:
        fill(create(temporary, path, data.shape, data.dtype, axes, spacing, unit), data)


def create(
    folder: Path,
    path: Path,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    axes: str,
    spacing: Mapping[str, float],
    unit: str,
) -> Any:
    """Make what `write` writes, full of zeros.

    Parameters
    ----------
    folder : pathlib.Path
        Where to make it; there is nothing yet.
    path : pathlib.Path
        Its final place, whose name says what it is.
    shape : tuple of int
        A length for each of `axes`.
    dtype : numpy.dtype
        Type of the pixels.
    axes : str
        One letter an axis out of C, T, Z, Y, X.
    spacing : mapping of str to float
        Pixel size by axis, and of T the seconds from frame to frame; empty if unknown.
    unit : str
        Unit of `spacing`.

    Returns
    -------
    zarr.Array
        The array, for `fill`.
    """
    options: dict[str, Any] = {
        "shape": shape,
        "dtype": dtype,
        "chunks": tuple(max(1, min(n, CHUNK.get(axis, 1))) for axis, n in zip(axes, shape, strict=True)),
        "dimension_names": list(axes.lower()),
    }
    if path.name.lower().endswith(".ome.zarr"):
        group = zarr.create_group(folder, zarr_format=3)
        array: Any = group.create_array("0", **options)
        group.attrs["ome"] = {"version": "0.5", "multiscales": [_multiscale(stem(path), axes, spacing, unit)]}
    else:
        array = zarr.create_array(folder, zarr_format=3, **options)
        sizes = [spacing[a] for a in axes if a in spacing and a != "T"]
        array.attrs.update(axes=axes, spacing=sizes, unit=unit)
        array.attrs.update({"interval": spacing["T"]} if "T" in spacing else {})
    return array


def fill(array: Any, data: npt.NDArray[Any], corner: tuple[int, ...] = ()) -> None:
    """Write chunk after chunk: zarr writes many at once, and after a failure goes on writing those under way.

    Parameters
    ----------
    array : zarr.Array
        What is written to.
    data : numpy.ndarray
        Pixels.
    corner : tuple of int, optional
        Where in the array the first of them belongs, at the beginning of a chunk; (0, ...) if not given.
    """
    corner = corner or (0,) * data.ndim
    starts = (range(0, n, step) for n, step in zip(data.shape, array.chunks, strict=True))
    for first in itertools.product(*starts):
        chunk = data[tuple(slice(s, s + step) for s, step in zip(first, array.chunks, strict=True))]
        place = (slice(c + s, c + s + n) for c, s, n in zip(corner, first, chunk.shape, strict=True))
        array[tuple(place)] = chunk


def _multiscale(name: str, axes: str, spacing: Mapping[str, float], unit: str) -> dict[str, Any]:
    """Describe one resolution in the words of OME-Zarr 0.5 (Moore et al. 2023, https://ngff.openmicroscopy.org/0.5/)."""
    long = {short: name for name, short in LONG_NAMES.items()}.get(unit)
    described: list[dict[str, str]] = []
    for axis in axes.lower():
        space = {"name": axis, "type": "space"} | ({"unit": long} if long and spacing else {})
        time = {"name": axis, "type": "time"} | ({"unit": "second"} if "T" in spacing else {})
        described.append({"c": {"name": axis, "type": "channel"}, "t": time}.get(axis, space))
    scale = {"type": "scale", "scale": [float(spacing.get(axis, 1.0)) for axis in axes]}
    dataset = {"path": "0", "coordinateTransformations": [scale]}
    return {"name": name, "axes": described, "datasets": [dataset]}


def _from_group(group: zarr.Group, path: Path) -> tuple[Any, str, dict[str, float], str]:
    """Find the array to show in a group, with its axes and pixel size."""
    attributes: dict[str, Any] = dict(group.attrs)
    attributes = attributes.get("ome", attributes)
    if attributes.get("multiscales"):
        scale = attributes["multiscales"][0]
        array: Any = group[scale["datasets"][0]["path"]]
        return (array, *_multiscale_description(scale, len(array.shape)))
    if "bioformats2raw.layout" in attributes and "0" in group:
        series = group["0"]
        if isinstance(series, zarr.Group):
            return _from_group(series, path)
    arrays = dict(group.arrays())
    if len(arrays) == 1:
        (array,) = arrays.values()
        return (array, *_plain_description(array))
    inside = ", ".join(sorted(group.keys())[:8]) or "nothing"
    raise ImageError(
        f"{path} is a zarr group of {inside} without an OME-Zarr image at its top",
        "An OME-Zarr image or a single array is needed",
        "Name the folder of one image inside it",
    )


def _multiscale_description(scale: Mapping[str, Any], ndim: int) -> tuple[str, dict[str, float], str]:
    """Read axes and pixel size of the highest resolution."""
    described: Sequence[Any] = scale.get("axes") or OLDEST_AXES[-ndim:]
    entries = [{"name": e} if isinstance(e, str) else e for e in described]
    letters = "".join(str(e["name"])[:1].upper() for e in entries)
    steps = [
        t["scale"]
        for part in (scale["datasets"][0], scale)
        for t in part.get("coordinateTransformations", ())
        if t.get("type") == "scale" and "scale" in t
    ]
    if not steps:
        return letters, {}, "pixel"
    total = np.prod(np.asarray(steps, float), axis=0)
    units = {a: e.get("unit") for a, e in zip(letters, entries, strict=True)}
    known = dict(zip(letters, total.tolist(), strict=True))
    sizes, unit = same_unit({a: (float(s), units[a]) for a, s in known.items() if a in "ZYX"})
    return letters, sizes | interval(float(known.get("T", math.nan)), units.get("T")), unit


def _plain_description(array: Any) -> tuple[str, dict[str, float], str]:
    """Read axes and pixel size that this project writes beside a plain array, or the names of its dimensions."""
    attributes = dict(array.attrs)
    names = attributes.get("_ARRAY_DIMENSIONS") or getattr(array.metadata, "dimension_names", None) or ()
    axes = str(attributes.get("axes") or "".join(str(n or "?") for n in names)).upper()
    if len(axes) != array.ndim or not set(axes) <= set("TCSZYX"):
        return "", {}, "pixel"
    spacing = attributes.get("spacing") or ()
    spatial = [a for a in axes if a in "TZYX"][-len(spacing) :]
    if len(spacing) != len(spatial):
        return axes, {}, "pixel"
    sizes, unit = same_unit({a: (float(s), attributes.get("unit")) for a, s in zip(spatial, spacing, strict=True)})
    return axes, sizes | interval(float(attributes.get("interval", math.nan)), "s"), unit


def _without(pixels: LazyArray, axes: str, dropped: str) -> tuple[LazyArray, str]:
    """Drop those of some axes that have length 1."""
    drop = [a in dropped and n == 1 for a, n in zip(axes, pixels.shape, strict=True)]
    return pixels[tuple(0 if d else slice(None) for d in drop)], "".join(
        a for a, d in zip(axes, drop, strict=True) if not d
    )
