"""Image: a (C, [Z,] Y, X) array, perhaps lazy, with its spacing, unit, name and axes."""

import math
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from napari_sslseg.errors import ImageError
from napari_sslseg.intensity import Intensity, measure

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]

SPATIAL = "ZYX"
FRAMES = "ZT"  # axes whose planes are looked at one by one
PIXEL = ("", "pixel", "px")  # units that are none
LEAST_SIZE = 8  # px: an image with a shorter side has no neighbourhood to learn from


@dataclass(frozen=True, eq=False)
class Image:
    """An image of any number of channels in two dimensions or a stack of planes.

    Parameters
    ----------
    data : array
        (C, Y, X) or (C, Z, Y, X); NumPy, Dask, zarr or anything that slices into NumPy.
    spacing : tuple of float
        Pixel size ([Z,] Y, X) in `unit`; of a time series the first is the time from frame to frame in seconds, 1
        where that is not known.
    unit : str
        Unit of the spacing, such as ``µm``, ``mm`` or ``pixel``.
    name : str
        Name of the image.
    axes : str
        Axes of `data`: ``CYX``, ``CZYX``, or ``CTYX`` for a time series.
    rgb : bool
        Whether the channels are red, green and blue.
    """

    data: Any
    spacing: tuple[float, ...] = ()
    unit: str = "pixel"
    name: str = "image"
    axes: str = ""
    rgb: bool = False
    _cache: dict[str, Intensity] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.data.ndim not in (3, 4) or 0 in self.data.shape:
            raise ImageError(
                f"{self.name} has shape {tuple(self.data.shape)}",
                "An image here is (C, Y, X) or (C, Z, Y, X), none of them 0",
                "Image.from_array takes other orders, with their axes named",
            )
        if np.dtype(self.data.dtype).kind not in "uifb":
            raise ImageError(
                f"{self.name} has pixels of type {self.data.dtype}",
                "Pixels are integers or real floating-point numbers",
            )
        axes = self.axes or ("CYX" if self.data.ndim == 3 else "CZYX")
        object.__setattr__(self, "axes", axes)
        object.__setattr__(self, "spacing", tuple(self.spacing) or (1.0,) * (self.data.ndim - 1))
        if len(self.spacing) != self.data.ndim - 1 or not all(s > 0 for s in self.spacing):
            raise ImageError(
                f"{self.name} has spacing {self.spacing}",
                f"Spacing is one number above 0 for each of its {self.data.ndim - 1} spatial axes",
            )

    @classmethod
    def from_array(
        cls,
        array: Any,
        axes: str | None = None,
        *,
        spacing: tuple[float, ...] = (),
        unit: str = "pixel",
        name: str = "image",
    ) -> Self:
        """Make an image from an array in any order of axes.

        Parameters
        ----------
        array : array
            The pixels; not copied, not read if lazy.
        axes : str, optional
            One letter an axis: Y, X, Z (depth), T (time), C (channel), S (red, green, blue).
            Without it (Y, X), (Y, X, 3 or 4) and (Z, Y, X) are told apart by shape.
        spacing : tuple of float, optional
            Pixel size of the spatial axes, in order ([Z,] Y, X).
        unit : str, optional
            Unit of `spacing`.
        name : str, optional
            Name of the image.

        Returns
        -------
        Image
            The image, its channels first.
        """
        axes = (axes or guess_axes(array.shape, name)).upper()
        if len(axes) != array.ndim or len(set(axes)) != len(axes) or not {"Y", "X"} <= set(axes) <= set("TCSZYX"):
            raise ImageError(
                f"{name} of shape {tuple(array.shape)} was given the axes {axes!r}",
                "Axes are one letter a dimension out of T, C, S, Z, Y, X, with Y and X among them",
                "For a stack of planes that is ZYX, for a colour image YXS",
            )
        if not isinstance(array, np.ndarray) and not hasattr(array, "transpose"):
            import dask.array

            array = dask.array.from_array(array, chunks=getattr(array, "chunks", "auto"))
        if "C" in axes and "S" in axes:
            array, axes = _squeeze(array, axes, "C", name)
        if "Z" in axes and "T" in axes:
            array, axes = _squeeze(array, axes, "T", name)
        rgb = "S" in axes
        if rgb and array.shape[axes.index("S")] == 4:  # the fourth is opacity
            array = array[tuple(slice(3) if a == "S" else slice(None) for a in axes)]
        axes = axes.replace("S", "C")
        if "C" not in axes:
            array, axes = array[None], "C" + axes
        order = "C" + "".join(a for a in "TZYX" if a in axes)
        data = array.transpose([axes.index(a) for a in order])
        return cls(data, tuple(spacing), unit, name, order, rgb)

    @property
    def channels(self) -> int:
        """Number of channels."""
        return int(self.data.shape[0])

    @property
    def shape(self) -> tuple[int, ...]:
        """Spatial shape ([Z,] Y, X)."""
        return tuple(int(n) for n in self.data.shape[1:])

    @property
    def timed(self) -> bool:
        """Whether it is a time series, each frame of which stands by itself."""
        return "T" in self.axes

    @property
    def planes(self) -> int:
        """Number of planes; 1 for a 2-D image."""
        return 1 if self.data.ndim == 3 else int(self.data.shape[1])

    def read(self, z: int | slice, y: slice = slice(None), x: slice = slice(None)) -> Array:
        """Read raw pixels of one plane, or of several of a stack; only this part of a lazy image is loaded.

        Parameters
        ----------
        z : int or slice
            Plane index, 0 for a 2-D image; or planes.
        y, x : slice, optional
            The part of the plane.

        Returns
        -------
        numpy.ndarray
            (C, Y, X), or (C, Z, Y, X) of several planes, in the type of the file.
        """
        return np.asarray(self.data[:, y, x] if self.data.ndim == 3 else self.data[:, z, y, x])

    def normalised(self, z: int | slice, y: slice = slice(None), x: slice = slice(None)) -> Floats:
        """Read pixels of one plane, or of several of a stack, scaled to zero mean and unit variance per channel.

        Parameters
        ----------
        z : int or slice
            Plane index, 0 for a 2-D image; or planes.
        y, x : slice, optional
            The part of the plane.

        Returns
        -------
        numpy.ndarray
            (C, Y, X), or (C, Z, Y, X) of several planes, float32.
        """
        return self.intensity().normalise(self.read(z, y, x))

    def part(self, y: slice, x: slice) -> Self:
        """Cut out a part of its planes, which keeps the intensity of the whole.

        Parameters
        ----------
        y, x : slice
            The part.

        Returns
        -------
        Image
            Of arrays that are cut without being read, such as those of a project, nothing is read.
        """
        part = replace(self, data=self.data[..., y, x])
        part._cache["intensity"] = self.intensity()
        return part

    def intensity(self) -> Intensity:
        """Measure the pixel values, once: at most 16 planes and about a million pixels of each.

        Returns
        -------
        Intensity
            Mean, deviation and clipping points of each channel.
        """
        if "intensity" not in self._cache:
            self._cache["intensity"] = measure(self.data, self.name)
        return self._cache["intensity"]


def _squeeze(array: Any, axes: str, axis: str, name: str) -> tuple[Any, str]:
    """Drop an axis of length 1 that cannot be kept; an error if it is longer."""
    at = axes.index(axis)
    if array.shape[at] != 1:
        raise ImageError(
            f"{name} of shape {tuple(array.shape)} has the axes {axes}",
            "An image here has one stack of planes (depth or time) and one axis of channels",
            f"Open one position along {axis} at a time",
        )
    return array[tuple(0 if a == axis else slice(None) for a in axes)], axes.replace(axis, "")


def guess_axes(shape: tuple[int, ...], name: str = "the image") -> str:
    """Tell the axes of an array that carries no description.

    Parameters
    ----------
    shape : tuple of int
        Its shape.
    name : str, optional
        Its name, for the message.

    Returns
    -------
    str
        ``YX``, ``YXS``, ``ZYX`` or ``ZYXS``.
    """
    colour = len(shape) > 2 and shape[-1] in (3, 4)
    spatial = len(shape) - colour
    if spatial not in (2, 3):
        raise ImageError(
            f"{name} has shape {tuple(shape)} and does not say what its axes are",
            "(Y, X), (Y, X, 3) and (Z, Y, X) are understood without being told",
            "Name the axes, for example --axes TCYX, or axes='TCYX' in Python",
        )
    return SPATIAL[-spatial:] + ("S" if colour else "")


def flattened(array: Array, shape: tuple[int, ...]) -> Array:
    """Take a stack or time series of one plane for that plane, or a plane for a stack of one, if that makes it fit.

    Parameters
    ----------
    array : numpy.ndarray
        ([Z,] Y, X), such as labels.
    shape : tuple of int
        The shape that is needed.

    Returns
    -------
    numpy.ndarray
        Of that shape if it has the same planes, else as it was.
    """
    same = array.shape[-2:] == tuple(shape[-2:]) and array.size == math.prod(shape)
    return array.reshape(shape) if same else array


def unusable(image: Image) -> str:
    """Say why nothing can be learnt from an image.

    Parameters
    ----------
    image : Image
        The image; it is measured.

    Returns
    -------
    str
        The reason, without a full stop; empty if the image can be used.
    """
    if min(image.shape[-2:]) < LEAST_SIZE:
        size = " x ".join(map(str, image.shape))
        return f"{image.name} is {size} pixels; planes of at least {LEAST_SIZE} x {LEAST_SIZE} are needed"
    try:
        constant = image.intensity().constant
    except ImageError as error:
        return error.given
    return f"{image.name} has the same value everywhere, so there is nothing to learn from it" if constant else ""


def _wild(image: Image) -> bool:
    """Whether the first plane of an image in memory has NaN or infinite pixels."""
    if not isinstance(image.data, np.ndarray) or image.data.dtype.kind != "f":
        return False
    rows = (slice(y, y + 1024) for y in range(0, image.shape[-2], 1024))
    return not all(np.isfinite(image.read(0, row)).all() for row in rows)


def check_usable(images: list[Image]) -> tuple[list[Image], list[str]]:
    """Leave out images that nothing can be learnt from and check that the others go together.

    Parameters
    ----------
    images : list of Image
        The images.

    Returns
    -------
    list of Image
        Those to use.
    list of str
        One sentence for each image left out, or with pixels that are not numbers.
    """
    if not images:
        raise ImageError("No image was given", "At least one image is needed", "Name image files or a folder of them")
    kept, said = [], []
    for image in images:
        if reason := unusable(image):
            said.append(reason)
        else:
            kept.append(image)
    if not kept:
        raise ImageError("; ".join(said), "At least one image with structure is needed", "Choose other images")
    for image in kept:
        if image.intensity().wild or _wild(image):
            said.append(f"{image.name} has NaN or infinite pixels; they are treated as its mean value")
    counts = {image.channels for image in kept}
    if len(counts) > 1:
        first = next(i for i in kept if i.channels != kept[0].channels)
        raise ImageError(
            f"{kept[0].name} has {kept[0].channels} channels and {first.name} has {first.channels}",
            "All images of a project have the same channels",
            "Use one project for each kind of image",
        )
    return kept, [s + "." for s in said]
