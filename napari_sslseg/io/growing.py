"""Labels that grow on disk piece by piece, may be larger than memory, and are gone on with after a stop."""

import hashlib
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import zarr

from napari_sslseg.io import zarr_format
from napari_sslseg.io.atomic import exchange, flush, remove, storage_errors, write_text

PIECE = {"Z": 16, "Y": 1024, "X": 1024}  # pixels: whole chunks of what `zarr_format` writes
NOTE = "unfinished.json"  # says which pieces there are


class Growing:
    """A zarr folder of labels that is hidden beside its place until all pieces are there.

    Parameters
    ----------
    target : Path
        Its place.
    array : zarr.Array
        What is written to.
    folder : Path
        Where that lies.
    key : str
        Tells what the pieces are made of.
    done : int
        How many pieces there are already, the first ones.
    """

    def __init__(self, target: Path, array: Any, folder: Path, key: str, done: int) -> None:
        self._target, self._array, self._folder, self._key = target, array, folder, key
        self.done = done
        axes = "ZYX"[-array.ndim :]
        starts = (range(0, n, PIECE[a]) for a, n in zip(axes, array.shape, strict=True))
        self.pieces: list[tuple[slice, ...]] = [
            tuple(slice(s, min(s + PIECE[a], n)) for s, a, n in zip(corner, axes, array.shape, strict=True))
            for corner in itertools.product(*starts)
        ]

    @classmethod
    def open(
        cls,
        target: Path,
        shape: tuple[int, ...],
        dtype: npt.DTypeLike,
        *,
        spacing: Sequence[float] = (),
        unit: str = "pixel",
        axes: str = "",
        asked: Sequence[Any] = (),
    ) -> Self:
        """Go on with what was left off, if it was of the same, or begin.

        Parameters
        ----------
        target : Path
            A zarr folder; what may be there stays until all is done.
        shape : tuple of int
            ([Z,] Y, X).
        dtype : dtype
            Type of the labels.
        spacing : sequence of float, optional
            Pixel size ([Z,] Y, X).
        unit : str, optional
            Unit of `spacing`.
        axes : str, optional
            One letter an axis: ``YX``, ``ZYX``, or ``TYX``; else it is a stack if it has three.
        asked : sequence, optional
            All that must be the same for the pieces to be the same; what JSON can hold.

        Returns
        -------
        Growing
            With the number of pieces that are `done`.

        Raises
        ------
        StorageError
            If the disk is full or the place may not be written to.
        """
        key = hashlib.sha256(
            json.dumps([PIECE, shape, np.dtype(dtype).str, *asked], sort_keys=True).encode()
        ).hexdigest()
        folder = target.with_name(f".{target.name}.unfinished")
        done, axes = _known(folder, key), axes or "ZYX"[-len(shape) :]
        with storage_errors(target):
            if done is None:
                remove(folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                sizes = {a: s for a, s in zip(axes, spacing, strict=True) if a != "T" or s != 1} if spacing else {}
                zarr_format.create(folder, target, shape, np.dtype(dtype), axes, sizes, unit)
            node: Any = zarr.open(folder, mode="r+")
        array = node["0"] if isinstance(node, zarr.Group) else node
        return cls(target, array, folder, key, done or 0)

    def write(self, values: npt.NDArray[Any]) -> None:
        """Write the next piece.

        Parameters
        ----------
        values : numpy.ndarray
            Of the shape of that piece.

        Raises
        ------
        StorageError
            If the disk is full or the place may not be written to; the pieces before stay.
        """
        piece = self.pieces[self.done]
        with storage_errors(self._target, values.nbytes):
            zarr_format.fill(self._array, values, tuple(s.start for s in piece))
            self.done += 1
            write_text(self._folder / NOTE, json.dumps({"key": self._key, "done": self.done}))

    def finish(self) -> None:
        """Put the whole at its place.

        Raises
        ------
        StorageError
            If that is not possible; then all pieces stay where they are.
        """
        with storage_errors(self._target):
            flush(self._folder)
            exchange(self._folder, self._target)
            (self._target / NOTE).unlink(missing_ok=True)  # not before: without it pieces would be begun anew


def _known(folder: Path, key: str) -> int | None:
    """How many pieces are there; None if they are of something else."""
    try:
        said = json.loads((folder / NOTE).read_text(encoding="utf-8"))
        return int(said["done"]) if said["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


__all__ = ["Growing"]
