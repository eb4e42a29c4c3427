"""Shelves: where a project keeps its images, its labels and its predictions, each image by its id."""

from collections.abc import Iterable
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


class ImageShelf:
    """Images of a project: copies inside its folder, and files elsewhere that it refers to.

    Parameters
    ----------
    path : Path
        The project's folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open: dict[str, Image] = {}

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

    def put(
        self, id: str, image: Image, file: Path | None, read_as: str | None = None, known: ImageEntry | None = None
    ) -> ImageEntry:
        """Refer to an image's file, or copy an image that has none into the folder.

        Parameters
        ----------
        id : str
            Its id.
        image : Image
            The image.
        file : Path, optional
            Where it is; None to copy it.
        read_as : str, optional
            Axes of the array in the file, instead of what the file says.
        known : ImageEntry, optional
            What was remembered of it before; a copy with the same axes is not made again.

        Returns
        -------
        ImageEntry
            What to remember of it.
        """
        self._open[id] = image
        source = str(file) if file is not None else self._copied(id, image, known)
        said = (image.axes, image.shape, image.channels, image.spacing, image.unit)
        return ImageEntry(id, source, *said, read_as)

    def _copied(self, id: str, image: Image, known: ImageEntry | None) -> str:
        """Copy an image into the folder, beside a copy of it with other axes; return where, inside the folder."""
        copied = known is not None and not Path(known.source).is_absolute() and self.place(known).exists()
        if known is not None and copied and (known.axes, known.channels) == (image.axes, image.channels):
            return known.source
        source, n = f"images/{id}.zarr", 2
        while known is not None and (self.path / source).exists():
            source, n = f"images/{id}-{n}.zarr", n + 1
        chunks.write_image(self.path / source, image)
        return source

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
        if entry.id not in self._open:
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
            self._open[entry.id] = replace(image, spacing=entry.spacing, unit=entry.unit)
        return self._open[entry.id]

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
        return chunks.read(self.place(id)).astype(self.dtype, copy=False) if self.place(id).exists() else None

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

    def write(self, entry: ImageEntry, values: npt.NDArray[Any], region: tuple[slice, ...] | None) -> None:
        """Write an array or a part of it; only the chunks of that part are touched, each one atomically.

        Parameters
        ----------
        entry : ImageEntry
            The image.
        values : numpy.ndarray
            Whole numbers: ([Z,] Y, X), or the shape of `region`.
        region : tuple of slice, optional
            Where the part belongs; all of the image if not given.
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
        if not self.place(entry.id).exists():
            chunks.create(self.place(entry.id), entry.shape, self.dtype)
        chunks.write(self.place(entry.id), values, region)


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
