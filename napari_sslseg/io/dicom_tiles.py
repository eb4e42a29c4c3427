"""A slide in DICOM, whose frames are tiles of one large plane: put together where one looks (PS3.3, C.7.6.17)."""

import itertools
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_sslseg.errors import ImageError
from napari_sslseg.io.dicom_frames import Header
from napari_sslseg.io.reading import reading, unreadable

WHITE, BLACK = 255, 0  # where a slide has no tile: of one in colour nothing lies there, of a dark one nothing shines
ROW, COLUMN = "RowPositionInTotalImagePixelMatrix", "ColumnPositionInTotalImagePixelMatrix"
LAYERS = {"NumberOfOpticalPaths": "optical paths", "TotalPixelMatrixFocalPlanes": "focal planes"}
EACH = {"OpticalPathIdentifier": "optical paths", "ZOffsetInSlideCoordinateSystem": "focal planes"}


def tiled(headers: list[Header]) -> bool:
    """Tell whether the frames of a file are tiles of a plane.

    Parameters
    ----------
    headers : list of dict
        What the file says of each of its frames.

    Returns
    -------
    bool
        Whether they are.
    """
    first = headers[0]
    height, width = (int(first[name] or 0) for name in ("TotalPixelMatrixRows", "TotalPixelMatrixColumns"))
    return height > int(first["Rows"]) or width > int(first["Columns"]) or (height > 0 and len(headers) > 1)


class Tiles:
    """Reads the tiles under the part that is asked for.

    Parameters
    ----------
    file : pathlib.Path
        The file.
    headers : list of dict
        What it says of each of its frames.
    dtype : numpy.dtype
        Type of its values.

    Raises
    ------
    ImageError
        If it holds several focal planes or optical paths, or does not say where its tiles lie.
    """

    def __init__(self, file: Path, headers: list[Header], dtype: np.dtype[Any]) -> None:
        self._file, self.dtype, first = file, dtype, headers[0]
        self._tile = int(first["Rows"]), int(first["Columns"])
        colours = int(first["SamplesPerPixel"] or 1)
        behind = (colours,) if colours > 1 else ()
        self.shape = (int(first["TotalPixelMatrixRows"]), int(first["TotalPixelMatrixColumns"]), *behind)
        self.ndim, self.chunks = len(self.shape), (*self._tile, *behind)
        self._absent = WHITE if behind else BLACK
        _check_single(file, headers)
        self._lying: dict[tuple[int, int], list[tuple[int, int, int]]] = defaultdict(list)
        for k, (top, left) in enumerate(_corners(file, headers, self._tile, self.shape)):
            for cell in self._cells(range(top, top + self._tile[0]), range(left, left + self._tile[1])):
                self._lying[cell].append((k, top, left))

    def __getitem__(self, key: tuple[Any, ...]) -> npt.NDArray[Any]:
        rows, columns = (
            range(k, k + 1) if isinstance(k, int) else range(n)[k] for k, n in zip(key, self.shape[:2], strict=False)
        )
        found = np.full((len(rows), len(columns), *self.shape[2:]), self._absent, self.dtype)
        under = {place for cell in self._cells(rows, columns) for place in self._lying.get(cell, ())}
        places = sorted(under)
        for (_, top, left), tile in zip(places, self._read([k for k, *_ in places]), strict=True):
            mine, theirs = zip(
                *(_both(s, first, n) for s, first, n in zip((rows, columns), (top, left), self._tile, strict=True)),
                strict=True,
            )
            found[mine] = tile.reshape(*self._tile, *self.shape[2:])[theirs]
        inside = tuple(0 if isinstance(k, int) else slice(None) for k in key[:2])
        part: npt.NDArray[Any] = found[(*inside, *key[2:])]
        return part

    def _read(self, frames: list[int]) -> list[npt.NDArray[Any]]:
        """Decode frames, in the order in which they are asked for."""
        from pydicom.pixels.utils import iter_pixels

        with reading(self._file, "DICOM"):
            return list(iter_pixels(self._file, indices=frames)) if frames else []

    def _cells(self, rows: range, columns: range) -> Iterator[tuple[int, int]]:
        """Squares of the size of a tile, side by side from the first pixel on, that a part touches."""
        down, across = (
            range(max(0, min(s)) // n, max(s) // n + 1) if s else range(0)
            for s, n in zip((rows, columns), self._tile, strict=True)
        )
        return itertools.product(down, across)


def _both(span: range, first: int, length: int) -> tuple[slice, slice]:
    """Where a tile lies in what is asked for, and that in the tile, along one axis; `span` may have a step."""
    inside = [(k, p - first) for k, p in enumerate(span) if first <= p < first + length]
    if not inside:
        return slice(0, 0), slice(0, 0)
    (low, start), (high, end) = inside[0], inside[-1]
    step = span.step
    return slice(low, high + 1), slice(start, end + 1 if step > 0 else None if end == 0 else end - 1, step)


def _check_single(file: Path, headers: list[Header]) -> None:
    counts = {words: int(headers[0][name] or 1) for name, words in LAYERS.items()}
    for name, words in EACH.items():
        counts[words] = max(counts[words], len({str(h.get(name)) for h in headers}))
    for words, count in counts.items():
        if count > 1:
            raise ImageError(
                f"{file} is a slide of {count} {words}",
                "A slide here has one",
                "Save one of them as a file of its own, or the slide as OME-Zarr or OME-TIFF",
            )


def _corners(file: Path, headers: list[Header], tile: tuple[int, int], shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """First row and column of each tile, from 0."""
    if all(h.get(ROW) is not None and h.get(COLUMN) is not None for h in headers):
        return [(int(h[ROW]) - 1, int(h[COLUMN]) - 1) for h in headers]
    corners = [(top, left) for top in range(0, shape[0], tile[0]) for left in range(0, shape[1], tile[1])]
    if headers[0]["DimensionOrganizationType"] != "TILED_FULL" or len(headers) != len(corners):
        raise unreadable(
            file, "DICOM", f"it does not say where its {len(headers)} tiles lie; {len(corners)} would cover the slide"
        )
    return corners


__all__ = ["Tiles", "tiled"]
