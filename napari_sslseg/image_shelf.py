"""ImageShelf: where a project keeps its images, each by its id: copies in its folder, and files elsewhere."""

import secrets
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from napari_sslseg.contents import ImageEntry
from napari_sslseg.errors import ProjectError
from napari_sslseg.image import Image
from napari_sslseg.io import chunks, read_image
from napari_sslseg.io.atomic import exchange, remove, storage_errors
from napari_sslseg.io.lazy import LazyArray
from napari_sslseg.job import Job, Stop, run


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
            image = _as_added(image, entry)
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


def _as_added(image: Image, entry: ImageEntry) -> Image:
    """A time series, of one frame or from NIfTI, as it was read before such ones were known: a plane, or channels."""
    if not image.timed or entry.axes != "CYX":
        return image
    if image.planes == 1:
        return replace(image, data=image.data[:, 0], spacing=image.spacing[1:], axes="CYX")
    if image.channels == 1:
        return replace(image, data=image.data[0], spacing=image.spacing[1:], axes="CYX")
    return image


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
