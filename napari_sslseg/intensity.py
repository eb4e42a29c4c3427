"""Intensity: how the pixel values of an image are spread, measured from a part of it, and brought to a common scale."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_sslseg.errors import ImageError

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
Place = tuple[slice | int, ...]

TILE = 256  # px: side of the tiles that stand for a plane on disk
SAMPLES = ((16, 4), (8, 3), (4, 3), (4, 2), (2, 2), (1, 2), (1, 1))  # planes, and tiles along a side
MOST = 256 * 2**20  # bytes decoded to measure an image; of several samples the first that needs no more is taken


@dataclass(frozen=True)
class Intensity:
    """How the pixel values of one image are brought to zero mean and unit variance.

    Parameters
    ----------
    mean, std : tuple of float
        One value a channel, of the finite pixels between the 0.1 and 99.9 percentiles.
    low, high : tuple of float
        One value a channel: the percentiles at which pixels are clipped.
    wild : bool
        Whether some of the pixels measured were NaN or infinite.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    wild: bool = False

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
        (C, [Z,] Y, X), perhaps lazy: of an array on disk about `MOST` bytes are decoded, and as many again if these
        are all alike.
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
    columns: list[list[Array]] = [[] for _ in range(data.shape[0])]
    wild = False
    for pixels in _sample(data):
        for values, channel in zip(columns, pixels, strict=True):
            values.append(channel[np.isfinite(channel)] if pixels.dtype.kind == "f" else channel.reshape(-1))
            wild |= values[-1].size < channel.size
    rows = [_describe(np.concatenate(values), name) for values in columns]
    mean, std, low, high = zip(*rows, strict=True)
    return Intensity(mean, std, low, high, wild)


def _sample(data: Any) -> Iterator[Array]:
    """Read what stands for an image: every n-th pixel in memory; on disk tiles, for which little is decoded."""
    if isinstance(data, np.ndarray):
        every = slice(None, None, max(1, int(np.ceil(max(data.shape[-2:]) / 1024))))
        yield from (data[place] for place in _places(data, _spread(data.shape[-3], SAMPLES[0][0]), [(every, every)]))
        return
    everything, *fewer = (_tiles(data, *sample) for sample in SAMPLES)
    tiles = next((t for t in (everything, *fewer) if sum(_decoded(data, place) for place in t) <= MOST), fewer[-1])
    values, spent = set[Any](), 0
    for place in tiles:
        pixels = np.asarray(data[place])
        values |= {pixels.min(), pixels.max()}
        yield pixels
    if tiles is not everything and len(values) == 1:  # most of a large volume may be empty: look on
        for place in everything:
            spent += _decoded(data, place)
            if spent > MOST or len(values) > 1:
                return
            pixels = np.asarray(data[place])
            values |= {pixels.min(), pixels.max()}
            yield pixels


def _decoded(data: Any, place: Place) -> int:
    """Bytes to decode for a part, where the array tells."""
    return int(data[place].decoded) if hasattr(data, "decoded") else 0


def _tiles(data: Any, planes: int, tiles: int) -> list[Place]:
    ends = (planes, tiles) == SAMPLES[0]  # of a few, none lies at the edge, where there is often nothing to see
    y, x = ([slice(a, a + TILE) for a in _spread(n - TILE + 1, tiles, ends)] for n in data.shape[-2:])
    return _places(data, _spread(data.shape[-3], planes, ends), list(itertools.product(y, x)))


def _places(data: Any, planes: list[int], parts: list[tuple[slice, slice]]) -> list[Place]:
    if data.ndim == 3:
        return [(slice(None), *part) for part in parts]
    return [(slice(None), z, *part) for z, part in itertools.product(planes, parts)]


def _spread(length: int, count: int, ends: bool = True) -> list[int]:
    """Choose positions along an axis, from end to end or in the middles of equal parts."""
    last = max(0, length - 1)
    places = np.linspace(0, last, min(count, last + 1)) if ends else (np.arange(count) + 0.5) / count * last
    return [int(p) for p in np.unique(places.round())]


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
