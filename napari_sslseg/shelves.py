"""Shelves: where a project keeps its images, its labels and its predictions, each image by its id."""

import secrets
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_sslseg.annotation import Annotation
from napari_sslseg.contents import ImageEntry
from napari_sslseg.errors import LabelError, ProjectError
from napari_sslseg.image import Image
from napari_sslseg.io import chunks, read_image
from napari_sslseg.io.atomic import exchange, remove, storage_errors
from napari_sslseg.io.lazy import LazyArray
from napari_sslseg.io.locks import FOLDER, alone
from napari_sslseg.io.on_disk import OnDisk
from napari_sslseg.job import Job, Stop, run

WAIT = 60.0  # s, for somebody else who writes all of a stack


class ImageShelf:
    """Images of a project: copies inside its folder, and files elsewhere that it refers to.

    Parameters
    ----------
    path : Path
        The project's folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open: dict[str, tuple[ImageEntry, Image]] = {}

    def place(self, entry: ImageEntry) -> Path:
        """Say where an image is.

        Parameters
        ----------
        entry : ImageEntry
            The image.

        Returns
        -------
        Path
            Its file, which may be gone.
        """
        return (self.path / entry.source).resolve()

    def refer(self, id: str, image: Image, file: Path, read_as: str | None = None) -> ImageEntry:
        """Refer to an image's file.

        Parameters
        ----------
        id : str
            Its id.
        image : Image
            The image.
        file : Path
            Where it is.
        read_as : str, optional
            Axes of the array in the file, instead of what the file says.

        Returns
        -------
        ImageEntry
            What to remember of it.
        """
        return self._remembered(id, image, str(file), read_as)

    def _remembered(self, id: str, image: Image, source: str, read_as: str | None = None) -> ImageEntry:
        said = (image.axes, image.shape, image.channels, image.spacing, image.unit)
        entry = ImageEntry(id, source, *said, read_as)
        self._open[id] = entry, image
        return entry

    def copied(self, known: ImageEntry | None) -> Image | None:
        """Open the copy that the folder has of an image.

        Parameters
        ----------
        known : ImageEntry, optional
            What was remembered of the image.

        Returns
        -------
        Image, optional
            None if there is none.
        """
        if known is None or Path(known.source).is_absolute() or not self.place(known).exists():
            return None
        return chunks.read_image(self.place(known), known.id)

    def copy(self, image: Image, stop: Stop) -> Job[Path]:
        """Copy an image into the folder, where nothing refers to it yet.

        Parameters
        ----------
        image : Image
            The image.
        stop : Stop
            Looked at several times a second.

        Yields
        ------
        Progress
            How much is copied.

        Returns
        -------
        Path
            Where it is.
        """
        place = self.path / "images" / f".{secrets.token_hex(8)}.zarr"
        yield from chunks.write_image(place, image, stop)
        return place

    def put(self, id: str, image: Image, copy: Path | None, known: ImageEntry | None = None) -> ImageEntry:
        """Give a copy of an image its name, beside a copy of it with other axes or pixels.

        Parameters
        ----------
        id : str
            Its id.
        image : Image
            The image.
        copy : Path, optional
            What `copy` made; None where the copy that is known is the same, and made now where none is known.
        known : ImageEntry, optional
            What was remembered of it before.

        Returns
        -------
        ImageEntry
            What to remember of it.
        """
        if known is not None and copy is None:
            return self._remembered(id, image, known.source)
        return self.keep(id, image, copy or run(self.copy(image, Stop())), beside=known is not None)

    def keep(self, id: str, image: Image, copy: Path, *, beside: bool) -> ImageEntry:
        """Give a copy of an image its name.

        Parameters
        ----------
        id : str
            Its id.
        image : Image
            The image.
        copy : Path
            What `copy` made.
        beside : bool
            Whether a copy that has that name already stays, and this one gets a number.

        Returns
        -------
        ImageEntry
            What to remember of it.
        """
        source, n = f"images/{id}.zarr", 2
        while beside and (self.path / source).exists():
            source, n = f"images/{id}-{n}.zarr", n + 1
        with storage_errors(self.path):
            exchange(copy, self.path / source)
        entry = self._remembered(id, image, source)
        if isinstance(image.data, LazyArray) and image.data.path.resolve().is_relative_to(self.path.resolve()):
            self.close(id)  # else it would be read from the copy that it was made of
        return entry

    def discard(self, copies: Iterable[Path], entries: Iterable[ImageEntry]) -> None:
        """Remove copies that nothing refers to; files elsewhere are nobody's to remove.

        Who reads one just now is told that it is gone: it goes as a whole.

        Parameters
        ----------
        copies : iterable of Path
            Folders, which need not exist.
        entries : iterable of ImageEntry
            All images of the project, and those that were taken out.
        """
        own, used = (self.path / "images").resolve(), {self.place(entry) for entry in entries}
        for copy in {copy.resolve() for copy in copies} - used:
            if copy.parent == own and copy.exists():
                aside = copy.with_name(f".{secrets.token_hex(8)}.old")
                with suppress(OSError):  # some systems keep what is open; then it stays
                    copy.rename(aside)
                    remove(aside)

    def close(self, id: str) -> None:
        """Forget an open image.

        Parameters
        ----------
        id : str
            Its id.
        """
        self._open.pop(id, None)

    def get(self, entry: ImageEntry) -> Image:
        """Open an image; its pixels are read when they are needed.

        Parameters
        ----------
        entry : ImageEntry
            The image.

        Returns
        -------
        Image
            The image.

        Raises
        ------
        ProjectError
            If its file was moved, or changed its shape since it was added.
        """
        if entry.id not in self._open or self._open[entry.id][0] != entry:
            path = self.place(entry)
            if not path.exists():
                raise ProjectError(
                    f"The image file {path} is gone",
                    "The project refers to it and holds no copy",
                    "Put it back, or add it again from where it is now",
                )
            own = path.is_relative_to(self.path.resolve())
            image = chunks.read_image(path, entry.id) if own else read_image(path, entry.read_as)
            if (image.shape, image.channels) != (entry.shape, entry.channels):
                raise ProjectError(
                    f"The image file {path} has {image.channels} channel(s) of {image.shape} pixels now",
                    f"It had {entry.channels} of {entry.shape} when it was added, and the labels have that shape",
                    "Put the old file back, or add the new one under another name",
                )
            self._open[entry.id] = entry, replace(image, spacing=entry.spacing, unit=entry.unit)
        return self._open[entry.id][1]

    def moved(self, image: Image, entries: Iterable[ImageEntry]) -> ImageEntry | None:
        """Find the entry of a file of the same name and shape that is no longer where it was.

        Parameters
        ----------
        image : Image
            The image, read from its new place.
        entries : iterable of ImageEntry
            The images so far.

        Returns
        -------
        ImageEntry, optional
            None if it is a new image.
        """
        asked = (safe(image.name), image.shape, image.channels)
        like = [e for e in entries if (e.id, e.shape, e.channels) == asked]
        return next((e for e in like if not self.place(e).exists()), None)


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

    def drop_empty(self, id: str) -> None:
        """Remove an array in which all is 0, so that the next one may have another shape.

        Parameters
        ----------
        id : str
            Image id.
        """
        with alone(self.path.parent, self._lock(id), WAIT):
            if self.place(id).exists() and not self.boxes(id):
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


def free_id(name: str, entries: Iterable[ImageEntry]) -> str:
    """Make an id that is not taken.

    Parameters
    ----------
    name : str
        Name of the image.
    entries : iterable of ImageEntry
        The images so far.

    Returns
    -------
    str
        The name, with a number after it if need be.
    """
    taken, wanted, n = {e.id.lower() for e in entries}, safe(name), 2  # some disks do not tell A from a
    id = wanted
    while id.lower() in taken:
        id, n = f"{wanted}-{n}", n + 1
    return id


def safe(name: str) -> str:
    """Keep what of a name can be the name of a file anywhere.

    Parameters
    ----------
    name : str
        Any text.

    Returns
    -------
    str
        Not empty.
    """
    return "".join(c if c.isalnum() or c in " -_." else "_" for c in name).strip(" .") or "image"
