"""Axes: what the axes of an open layer are: what the user said, what the layer says, or a guess."""

import math
from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any

import numpy as np
from napari.layers import Image as ImageLayer

from napari_sslseg.counting import count
from napari_sslseg.gui.origin import facts_of
from napari_sslseg.image import Image

KEY = "napari-sslseg axes"
LETTERS = {"t": "T", "time": "T", "frame": "T", "c": "C", "channel": "C", "z": "Z", "depth": "Z", "y": "Y", "x": "X"}
WORDS = {"Z": "plane", "T": "time", "C": "channel"}
MOST = 64  # channels
COLOURS = (3, 4)


def shape_of(layer: ImageLayer) -> tuple[int, ...]:
    """Return the shape of the array of a layer, at its finest level, with an axis of colours where there is one.

    Parameters
    ----------
    layer : napari.layers.Image
        The layer.

    Returns
    -------
    tuple of int
        The shape.
    """
    return tuple(int(n) for n in (layer.data[0] if layer.multiscale else layer.data).shape)


def axes_of(layer: ImageLayer) -> str:
    """Tell the axes of the array of a layer.

    Parameters
    ----------
    layer : napari.layers.Image
        The layer.

    Returns
    -------
    str
        One letter an axis: T, C, Z, Y, X, and S for the colours of an RGB layer.
    """
    said = layer.metadata.get(KEY)
    if isinstance(said, str) and len(said) == len(shape_of(layer)):
        return said
    colours = "S" if layer.rgb else ""
    named = "".join(LETTERS.get(label.lower(), "?") for label in layer.axis_labels)
    if "?" not in named and len(set(named)) == len(named) and {"Y", "X"} <= set(named):
        return named + colours
    facts = facts_of(layer)
    if facts is not None:
        like = [a for a in choices(shape_of(layer)) if gives(a, shape_of(layer)) == facts[:4]]
        if like:
            return like[0]
    if layer.ndim == 3:
        return ("T" if LETTERS.get(layer.axis_labels[0].lower()) == "T" else "Z") + "YX" + colours
    return "TCZYX"[-layer.ndim :] + colours if layer.ndim > 4 else "TZYX"[-layer.ndim :] + colours


def array_of(image: Image) -> tuple[Any, str]:
    """Return the pixels of an image as one array, whose axes can be given other names.

    Parameters
    ----------
    image : Image
        The image.

    Returns
    -------
    array
        As a layer shows them; of several channels that are no colours, the channels first.
    str
        Its axes, one letter each.
    """
    if image.rgb:
        return image.data.transpose((*range(1, image.data.ndim), 0)), image.axes[1:] + "S"
    return (image.data[0], image.axes[1:]) if image.channels == 1 else (image.data, image.axes)


def gives(axes: str, shape: tuple[int, ...]) -> tuple[str, tuple[int, ...], int, bool]:
    """Tell what image an array with these axes is.

    Parameters
    ----------
    axes : str
        One letter an axis.
    shape : tuple of int
        The shape.

    Returns
    -------
    str
        Axes of the image, channels first.
    tuple of int
        Spatial shape.
    int
        Channels.
    bool
        Whether they are colours.
    """
    size = dict(zip(axes, shape, strict=True))
    order = "ZYX" if "Z" in axes else "TYX" if "T" in axes else "YX"
    channels = 3 if "S" in axes else size.get("C", 1)
    return "C" + order, tuple(size[a] for a in order), channels, "S" in axes


def say(layers: Sequence[ImageLayer], axes: str) -> None:
    """Note what the axes of the layers of one image are.

    Parameters
    ----------
    layers : sequence of napari.layers.Image
        The layers.
    axes : str
        One letter an axis of the array of each.
    """
    for layer in layers:
        layer.metadata = {**layer.metadata, KEY: axes}


def choices(shape: tuple[int, ...], *, single: bool = True) -> list[str]:
    """List what the axes of an array may be, the most usual first.

    Parameters
    ----------
    shape : tuple of int
        Its shape.
    single : bool, optional
        Whether it is the whole image, and not one of several layers that are its channels.

    Returns
    -------
    list of str
        One letter an axis.
    """
    found = list[str]()
    for chosen in permutations("ZTCS" if single else "ZT", len(shape) - 2):
        before = "".join(chosen)
        for axes in (before + "YX", before[:-1] + "YX" + before[-1:]):
            if axes not in found and _possible(axes, dict(zip(axes, shape, strict=True))):
                found.append(axes)
    return found


def _possible(axes: str, size: dict[str, int]) -> bool:
    """Whether an image can have these axes; of what lies behind Y and X there are but few."""
    if ("Z" in axes and size.get("T", 1) > 1) or ("S" in axes and size.get("C", 1) > 1):
        return False
    if axes[-1] != "X" and size[axes[-1]] * 4 > min(size["Y"], size["X"]):
        return False
    return size.get("S", COLOURS[0]) in COLOURS and size.get("C", 1) <= MOST


def words(axes: str, shape: tuple[int, ...]) -> str:
    """Say axes to a user.

    Parameters
    ----------
    axes : str
        One letter an axis.
    shape : tuple of int
        The shape.

    Returns
    -------
    str
        Such as ``60 planes × 2 channels · ZCYX``.
    """
    both = zip(axes, shape, strict=True)
    parts = ["colour" if a == "S" else count(n, WORDS[a]) for a, n in both if a not in "YX"]
    return (" × ".join(parts) or "one plane") + f" · {axes}"


def describe(image: Image, channels: int | None = None) -> str:
    """Say size, kind, spacing and memory of an image in a few words.

    Parameters
    ----------
    image : Image
        The image.
    channels : int, optional
        How many channels it has; as many as it says if not given.

    Returns
    -------
    str
        Such as ``60 planes · 256×256 · 2 channels · 16-bit · 0.5×0.29×0.29 µm · 16 MB``.
    """
    channels = channels or image.channels
    depth = [count(image.planes, WORDS[image.axes[1]])] if image.data.ndim == 4 else []
    size = f"{image.shape[-2]}×{image.shape[-1]}" + (" RGB" if image.rgb else "")
    several = [f"{channels} channels"] if channels > 1 and not image.rgb else []
    sides = [f"{s:.3g}" for s in (image.spacing if image.axes[1:2] == "Z" else image.spacing[-2:])]
    side = "×".join(sides if len(set(sides)) > 1 else sides[:1])
    spacing = [f"{side} {image.unit}"] if image.unit != "pixel" else []
    dtype = np.dtype(image.data.dtype)
    bits = "yes/no" if dtype.kind == "b" else f"{8 * dtype.itemsize}-bit" + (" float" if dtype.kind == "f" else "")
    memory = channels * math.prod(image.shape) * dtype.itemsize
    return " · ".join([*depth, size, *several, bits, *spacing, megabytes(memory)])


def megabytes(size: float) -> str:
    """Say how much memory something takes.

    Parameters
    ----------
    size : float
        Bytes.

    Returns
    -------
    str
        Such as ``16 MB``.
    """
    for unit in ("B", "KB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.3g} {unit}" if unit != "B" else f"{round(size)} B"
        size /= 1000
    return f"{size:.3g} TB"


def place_of(layer: ImageLayer, axes: str) -> tuple[tuple[float, ...], str]:
    """Return the pixel size of a layer, or that of its file where the layer says none.

    Parameters
    ----------
    layer : napari.layers.Image
        The layer.
    axes : str
        Axes of its array.

    Returns
    -------
    tuple of float
        ([Z,] Y, X).
    str
        Its unit, such as ``µm``.
    """
    scale: dict[str, Any] = dict(zip(axes, layer.scale, strict=False))  # an axis of colours has none
    order = [a for a in ("ZYX" if "Z" in axes else "TYX") if a in axes]
    spacing = tuple(float(scale.get(a, 1.0)) for a in order)
    unit = _short(layer.units[min(axes.index("X"), layer.ndim - 1)])
    facts = facts_of(layer) if unit == "pixel" and set(spacing) == {1.0} else None
    if facts is not None and len(facts.spacing) == len(spacing):
        return facts.spacing, facts.unit
    return spacing, unit


def set_place(layer: ImageLayer, axes: str, spacing: Mapping[str, float], unit: str) -> None:
    """Give a layer another pixel size, in the viewer too.

    Parameters
    ----------
    layer : napari.layers.Image
        The layer.
    axes : str
        Axes of its array.
    spacing : mapping of str to float
        Pixel size by axis; axes that are not named keep theirs.
    unit : str
        Its unit.
    """
    letters = [a for a in axes if a != "S"] if layer.rgb else list(axes)
    letters = letters[: layer.ndim]
    layer.units = [unit if a in "ZYX" else "pixel" for a in letters]
    layer.scale = [spacing.get(a, old) for a, old in zip(letters, layer.scale, strict=True)]


def _short(unit: Any) -> str:
    return {"micrometer": "µm", "millimeter": "mm", "nanometer": "nm"}.get(str(unit), str(unit))
