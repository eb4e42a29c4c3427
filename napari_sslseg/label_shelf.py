"""LabelShelf: where a project keeps its labels, or its predictions, each image's by its id."""

import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_sslseg.annotation import Annotation
from napari_sslseg.contents import ImageEntry
from napari_sslseg.errors import LabelError
from napari_sslseg.io import chunks
from napari_sslseg.io.atomic import remove, storage_errors
from napari_sslseg.io.lazy import LazyArray
from napari_sslseg.io.locks import FOLDER, alone
from napari_sslseg.io.on_disk import OnDisk

WAIT = 60.0  # s, for somebody else who writes all of a stack


class LabelShelf:
    """One array of whole numbers an image, in chunks on disk.

    Parameters
    ----------
    path : Path
        The folder of the arrays; made when it is needed.
    dtype : numpy.dtype
        Type of unsigned whole numbers that is stored.
    """

    def __init__(self, path: Path, dtype: npt.DTypeLike) -> None:
        self.path, self.dtype = path, np.dtype(dtype)
        self._seen: dict[str, bytes] = {}  # which writing was the last one, by image, when it was read or written
        self._quiet: bytes | None = None  # which was the last one of all, when all that others wrote had been read

    def place(self, id: str) -> Path:
        """Say where the array of an image is.

        Parameters
        ----------
        id : str
            Image id.

        Returns
        -------
        Path
            Exists once something was written.
        """
        return self.path / f"{id}.zarr"

    def read(self, id: str) -> npt.NDArray[Any] | None:
        """Read an array.

        Parameters
        ----------
        id : str
            Image id.

        Returns
        -------
        numpy.ndarray, optional
            ([Z,] Y, X); None if nothing was written yet.
        """
        self._seen[id] = self._last(id)
        return chunks.read(self.place(id)).astype(self.dtype, copy=False) if self.place(id).exists() else None

    def opened(self, id: str, dtype: npt.DTypeLike) -> OnDisk | None:
        """Open an array, to read what is asked for when it is asked for.

        Parameters
        ----------
        id : str
            Image id.
        dtype : dtype
            As what to read it.

        Returns
        -------
        OnDisk, optional
            ([Z,] Y, X); None if nothing was written yet. It may go on giving what was there when it was opened.
        """
        place = self.place(id)
        return OnDisk(LazyArray(chunks.opened(place), place), dtype) if place.exists() else None

    def changed(self, ids: Iterable[str]) -> tuple[str, ...]:
        """Say which arrays another window or command wrote since they were read here.

        Parameters
        ----------
        ids : iterable of str
            Image ids.

        Returns
        -------
        tuple of str
            Those of them; also those that were written and never read here.
        """
        last = self._last()
        if last == self._quiet:
            return ()
        found = tuple(id for id in ids if self._seen.get(id) != self._last(id) and self.place(id).exists())
        if not found:
            self._quiet = last
        return found

    def _lock(self, id: str) -> str:
        return f"{self.path.name} {id}"[:60]  # some letters are 4 bytes, of 255 that a name may have

    def _noted(self, id: str) -> Path:
        return self.path.parent / FOLDER / f"{self._lock(id)}.last"

    def _last(self, id: str = "") -> bytes:
        """Any bytes, others after each writing of an array, or of any of them."""
        try:
            return self._noted(id).read_bytes()
        except OSError:  # nobody has written yet
            return b""

    def version(self, id: str) -> str:
        """Name what an array is now.

        Parameters
        ----------
        id : str
            Image id.

        Returns
        -------
        str
            Another one after each writing.
        """
        return self._last(id).hex()

    def planes(self, id: str) -> tuple[int, ...]:
        """Say in which planes something may be other than 0, without reading any.

        Parameters
        ----------
        id : str
            Image id.

        Returns
        -------
        tuple of int
            In order; none if nothing was written yet, (0,) for an image of one plane.
        """
        return chunks.planes(self.place(id)) if self.place(id).exists() else ()

    def boxes(self, id: str) -> list[tuple[slice, ...]]:
        """Say in which parts something may be other than 0, without reading any.

        Parameters
        ----------
        id : str
            Image id.

        Returns
        -------
        list of tuple of slice
            With start and stop; none if nothing was written yet.
        """
        return chunks.boxes(self.place(id)) if self.place(id).exists() else []

    def write(
        self,
        entry: ImageEntry,
        values: npt.NDArray[Any],
        region: tuple[slice, ...] | None,
        before: npt.NDArray[Any] | None = None,
    ) -> None:
        """Write an array or a part of it; only the chunks of that part are touched, each one atomically.

        Parameters
        ----------
        entry : ImageEntry
            The image.
        values : numpy.ndarray
            Whole numbers: ([Z,] Y, X), or the shape of `region`.
        region : tuple of slice, optional
            Where the part belongs; all of the image if not given.
        before : numpy.ndarray, optional
            What `values` were when they were read: only what differs is written, so that what others wrote stays.
        """
        if region is None:
            region = tuple(slice(0, n) for n in entry.shape)
        part = tuple(len(range(*s.indices(n))) for s, n in zip(region, entry.shape, strict=True))
        Annotation(values).check(part, entry.id)
        low, high, most = int(values.min(initial=0)), int(values.max(initial=0)), np.iinfo(self.dtype).max
        if low < 0 or high > most:
            raise LabelError(
                f"The labels of {entry.id} go from {low} to {high}", f"Values from 0 to {most} can be stored"
            )
        with alone(self.path.parent, self._lock(entry.id), WAIT):
            if not self.place(entry.id).exists():
                chunks.create(self.place(entry.id), entry.shape, self.dtype)
            chunks.write(self.place(entry.id), values, region, before)
            self._note(entry.id)

    def drop(self, id: str, *, empty: bool = True) -> None:
        """Remove an array, so that the next one may have another shape.

        Parameters
        ----------
        id : str
            Image id.
        empty : bool, optional
            Whether only one in which all is 0.
        """
        with alone(self.path.parent, self._lock(id), WAIT):
            if self.place(id).exists() and not (empty and self.boxes(id)):
                remove(self.place(id))
                self._note(id)

    def _note(self, id: str) -> None:
        """Let others know that something was written."""
        new, last, any_last = secrets.token_bytes(8), self._last(id), self._last()
        with storage_errors(self.path):
            self._noted(id).write_bytes(new)
            self._noted("").write_bytes(new)
        if self._seen.get(id, last) == last:
            self._seen[id] = new
        if self._quiet == any_last:
            self._quiet = new
