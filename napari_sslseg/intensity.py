"""Intensity: how the pixel values of an image are spread, measured from a part of it, and brought to a common scale."""

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_sslseg.errors import ImageError

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Intensity:
    """How the pixel values of one image are brought to zero mean and unit variance.

    Parameters
    ----------
    mean, std : tuple of float
        One value a channel, of the finite pixels between the 0.1 and 99.9 percentiles.
    low, high : tuple of float
        One value a channel: the percentiles at which pixels are clipped.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    @property
    def constant(self) -> bool:
        """Whether every channel has the same value everywhere."""
        return all(s == 0 for s in self.std)

    def normalise(self, pixels: Array) -> Floats:
        """Scale pixels; NaN and infinite ones become 0, which is the mean.

        Parameters
        ----------
        pixels : numpy.ndarray
            (C, ...) raw values.

        Returns
        -------
        numpy.ndarray
            (C, ...) float32, mean about 0, standard deviation about 1.
        """
        column = (-1, *[1] * (pixels.ndim - 1))
        low, high, mean, std = (
            np.asarray(v, np.float32).reshape(column) for v in (self.low, self.high, self.mean, self.std)
        )
        x = np.asarray(pixels, np.float32)
        wild = ~np.isfinite(x) if pixels.dtype.kind == "f" else None
        x = ((np.clip(x, low, high) - mean) / np.where(std > 0, std, 1)).astype(np.float32, copy=False)
        if wild is not None:
            x[wild] = 0
        return x

    def restore(self, pixels: Floats) -> Floats:
        """Scale normalised pixels back to the units of the image.

        Parameters
        ----------
        pixels : numpy.ndarray
            (C, ...), mean about 0, standard deviation about 1.

        Returns
        -------
        numpy.ndarray
            (C, ...) float32.
        """
        mean, std = (np.asarray(v).reshape(-1, *[1] * (pixels.ndim - 1)) for v in (self.mean, self.std))
        restored: Floats = np.asarray(pixels * std + mean, np.float32)
        return restored


def measure(data: Any, name: str) -> Intensity:
    """Measure the pixel values of an image: at most 16 planes and about a million pixels of each.

    Parameters
    ----------
    data : array
        (C, [Z,] Y, X), perhaps lazy: of an array on disk little is read.
    name : str
        Name of the image, for messages.

    Returns
    -------
    Intensity
        Mean, deviation and clipping points of each channel.

    Raises
    ------
    ImageError
        If a channel has no finite pixel.
    """
    stack = data.ndim == 4
    count = data.shape[1] if stack else 1
    columns: list[list[Array]] = [[] for _ in range(data.shape[0])]
    planes = np.unique(np.linspace(0, count - 1, min(16, count)).round().astype(int))
    for z, part in itertools.product(planes, _parts(data.shape[-2:], isinstance(data, np.ndarray))):
        pixels = np.asarray(data[:, int(z), *part] if stack else data[:, *part])
        for values, channel in zip(columns, pixels, strict=True):
            values.append(channel[np.isfinite(channel)] if pixels.dtype.kind == "f" else channel.reshape(-1))
    rows = [_describe(np.concatenate(values), name) for values in columns]
    mean, std, low, high = zip(*rows, strict=True)
    return Intensity(mean, std, low, high)


def _parts(size: tuple[int, ...], in_memory: bool) -> list[tuple[slice, slice]]:
    """What stands for a plane: every n-th pixel in memory; on disk 16 tiles, which read little of the file."""
    if in_memory:
        every = slice(None, None, max(1, int(np.ceil(max(size) / 1024))))
        return [(every, every)]
    y, x = ([slice(a, a + 256) for a in np.unique(np.linspace(0, max(0, n - 256), 4).astype(int))] for n in size)
    return list(itertools.product(y, x))


def _describe(values: Array, name: str) -> tuple[float, float, float, float]:
    if values.size == 0:
        raise ImageError(
            f"{name} has a channel of NaN or infinite pixels only",
            "At least some pixels must be ordinary numbers",
            "Check the file in the program that wrote it",
        )
    values = values.astype(np.float64)
    low, high = np.percentile(values, (0.1, 99.9))
    if low == high:  # more than 99.8 % of the pixels are alike: clip nothing
        low, high = float(values.min()), float(values.max())
    clipped = np.clip(values, low, high)
    return float(clipped.mean()), float(clipped.std()), float(low), float(high)
