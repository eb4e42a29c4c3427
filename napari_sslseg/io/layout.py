"""Makes an Image of an array with what its file says of axes and pixel size."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from napari_sslseg.errors import ImageError
from napari_sslseg.image import Image, guess_axes
from napari_sslseg.io.files import stem
from napari_sslseg.io.lazy import SMALL

METRES = {"m": 1.0, "cm": 1e-2, "mm": 1e-3, "µm": 1e-6, "nm": 1e-9, "pm": 1e-12, "Å": 1e-10, "in": 0.0254}
SECONDS = {"s": 1.0, "sec": 1.0, "second": 1.0, "ms": 1e-3, "msec": 1e-3, "millisecond": 1e-3}
SECONDS |= {"µs": 1e-6, "usec": 1e-6, "microsecond": 1e-6, "min": 60.0, "minute": 60.0, "h": 3600.0, "hour": 3600.0}
LONG_NAMES = {
    "meter": "m",
    "centimeter": "cm",
    "millimeter": "mm",
    "micrometer": "µm",
    "nanometer": "nm",
    "picometer": "pm",
    "angstrom": "Å",
    "inch": "in",
}
OTHER_NAMES = {
    "micron": "µm",
    "um": "µm",
    "\u03bcm": "µm",
    "\\u00b5m": "µm",
    "\u212b": "Å",
    "": "pixel",
    "none": "pixel",
}
UNKNOWN_AXES = "QI"  # tifffile's letters for an axis that the file does not describe


def unit_name(unit: str | None) -> str:
    """Bring the many spellings of a unit to one.

    Parameters
    ----------
    unit : str, optional
        As found in a file, such as ``micron`` or ``micrometer``.

    Returns
    -------
    str
        Such as ``µm``; ``pixel`` for nothing; an unknown unit as it is.
    """
    plain = (unit or "").strip()
    lower = plain.lower().replace("metre", "meter")
    singular = lower.removesuffix("s")
    for names in (LONG_NAMES, OTHER_NAMES):
        found = names.get(lower) or names.get(singular)
        if found:
            return found
    return "pixel" if singular == "pixel" else plain


def same_unit(sizes: Mapping[str, tuple[float, str | None]]) -> tuple[dict[str, float], str]:
    """Bring pixel sizes, each with a unit of its own, to one unit: that of X.

    Parameters
    ----------
    sizes : mapping of str to tuple of float and str
        Pixel size and unit by axis.

    Returns
    -------
    dict of str to float
        Pixel size by axis; nonsense sizes are left out.
    str
        Their unit.
    """
    good = {a: (size, unit_name(u)) for a, (size, u) in sizes.items() if math.isfinite(size) and size > 0}
    if not good:
        return {}, "pixel"
    unit = good.get("X", next(iter(good.values())))[1]
    return {
        axis: size * METRES[own] / METRES[unit] if own != unit and {own, unit} <= METRES.keys() else size
        for axis, (size, own) in good.items()
    }, unit


def interval(size: float, unit: str | None) -> dict[str, float]:
    """Bring the time from frame to frame to seconds.

    Parameters
    ----------
    size : float
        As found in a file.
    unit : str, optional
        Its unit, such as ``ms`` or ``second``.

    Returns
    -------
    dict of str to float
        Under T, in seconds; empty if the unit is none of time or the time is nonsense.
    """
    seconds = size * SECONDS.get((unit or "").strip(), math.nan)
    return {"T": float(f"{seconds:.7g}")} if math.isfinite(seconds) and seconds > 0 else {}


def image_from(
    pixels: Any,
    path: Path,
    axes: str | None,
    *,
    declared: str = "",
    sizes: Mapping[str, float] | None = None,
    unit: str = "pixel",
) -> Image:
    """Make an Image of an array that was read from a file.

    Parameters
    ----------
    pixels : array
        NumPy or LazyArray; one that is small is read now.
    path : pathlib.Path
        Its file.
    axes : str, optional
        Axes that the user named; they win over what the file says.
    declared : str, optional
        Axes by the file, in the letters of tifffile; empty if it does not say.
    sizes : mapping of str to float, optional
        Pixel size by axis, as far as the file says; of T in seconds.
    unit : str, optional
        Unit of `sizes`.

    Returns
    -------
    Image
        The image, named after the file.

    Raises
    ------
    ImageError
        If the array has axes or values that an Image cannot have.
    """
    name = stem(path)
    if axes is None:
        pixels, axes = _known_axes(pixels, declared or guess_axes(pixels.shape, name), name)
    if not isinstance(pixels, np.ndarray) and pixels.nbytes <= SMALL:
        pixels = np.asarray(pixels)
    image = Image.from_array(pixels, axes, name=name)
    if not sizes:
        return image
    spacing = tuple(sizes.get(axis, 1.0) for axis in image.axes[1:])
    return Image(image.data, spacing, unit, name, image.axes, image.rgb)


def _known_axes(pixels: Any, axes: str, name: str) -> tuple[Any, str]:
    """Drop axes of length 1 that an Image does not have, and find what the unknown ones are."""
    if set(axes) <= set(UNKNOWN_AXES + "YX") and pixels.shape[-1] in (3, 4):
        axes = guess_axes(pixels.shape, name)
    drop = [n == 1 and a not in "TCSZYX" for a, n in zip(axes, pixels.shape, strict=True)]
    if any(drop):
        pixels = pixels[tuple(0 if d else slice(None) for d in drop)]
        axes = "".join(a for a, d in zip(axes, drop, strict=True) if not d)
    if "S" in axes and pixels.shape[axes.index("S")] not in (3, 4) and "C" not in axes:
        axes = axes.replace("S", "C")
    unknown = [a for a in axes if a not in "TCSZYX"]
    if len(unknown) == 1 and unknown[0] in UNKNOWN_AXES and "Z" not in axes:
        return pixels, axes.replace(unknown[0], "Z")
    if unknown:
        letters = "TZCYX"[-pixels.ndim :]
        raise ImageError(
            f"{name} of shape {tuple(pixels.shape)} has axes that its file does not explain ({axes})",
            "An image here has T, C, Z, Y and X",
            f"Name the axes, for example --axes {letters}, or axes={letters!r} in Python",
        )
    return pixels, axes
