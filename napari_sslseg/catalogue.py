"""Catalogue: the images of a project: those it works with, and those that were taken out."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from napari_sslseg.contents import Contents, ImageEntry
from napari_sslseg.errors import ProjectError
from napari_sslseg.folder import Folder
from napari_sslseg.image import Image
from napari_sslseg.image_shelf import ImageShelf, free_id
from napari_sslseg.io import read_image
from napari_sslseg.job import Job, Stop, run
from napari_sslseg.likeness import alike, turned

Entries = tuple[ImageEntry, ...]
Name = Callable[[Path | None], tuple[ImageEntry | None, ImageEntry]]


class Catalogue(Folder):
    """A folder that refers to images; use `create`, `open` or `open_or_create`.

    Parameters
    ----------
    path : Path
        The folder.
    contents : Contents
        What its ``project.json`` says.
    """

    def __init__(self, path: Path, contents: Contents) -> None:
        super().__init__(path, contents)
        self._images = ImageShelf(path)

    @property
    def images(self) -> tuple[ImageEntry, ...]:
        """The images."""
        return self._contents.images

    @property
    def left(self) -> tuple[ImageEntry, ...]:
        """Images that were taken out, whose labels are kept."""
        return self._contents.left

    def holds(self, id: str) -> bool:
        """Tell whether an image is one of the project, and was not taken out.

        Parameters
        ----------
        id : str
            The id.

        Returns
        -------
        bool
            Whether it is.
        """
        return any(e.id == id for e in self.images)

    def entry(self, id: str) -> ImageEntry:
        """Find one image by its id.

        Parameters
        ----------
        id : str
            The id.

        Returns
        -------
        ImageEntry
            The image's entry.
        """
        for entry in self.images:
            if entry.id == id:
                return entry
        known = ", ".join(e.id for e in self.images[:8]) or "none yet"
        gone = any(e.id == id for e in self.left)
        raise ProjectError(
            f"The image {id!r} was taken out" if gone else f"The project has no image {id!r}",
            f"Its images: {known}",
            "Add its file again, and its labels come back" if gone else "",
        )

    def add_file(
        self,
        path: str | Path,
        axes: str | None = None,
        *,
        spacing: tuple[float, ...] | None = None,
        unit: str | None = None,
    ) -> ImageEntry:
        """Refer to an image file; the file stays where it is and is not copied.

        Parameters
        ----------
        path : str or Path
            The file.
        axes : str, optional
            One letter an axis of its array, instead of what the file says.
        spacing : tuple of float, optional
            Pixel size ([Z,] Y, X), instead of what the file says.
        unit : str, optional
            Unit of `spacing`.

        Returns
        -------
        ImageEntry
            Its entry; the one it had, if it was added before, was moved since, or was taken out.
        """
        (entry,) = self.add_files([path], axes, spacing=spacing, unit=unit)
        return entry

    def add_files(
        self,
        paths: Iterable[str | Path],
        axes: str | None = None,
        *,
        spacing: tuple[float, ...] | None = None,
        unit: str | None = None,
    ) -> list[ImageEntry]:
        """Refer to image files as `add_file` does, in one change of the project: all of them or none.

        Parameters
        ----------
        paths : iterable of str or Path
            The files.
        axes : str, optional
            One letter an axis of their arrays, instead of what the files say.
        spacing : tuple of float, optional
            Pixel size ([Z,] Y, X), instead of what the files say.
        unit : str, optional
            Unit of `spacing`.

        Returns
        -------
        list of ImageEntry
            An entry a file.
        """
        files = [Path(path).resolve() for path in paths]
        self.refresh()
        known, read = self._by_place(), dict[Path, Image]()
        for path in files:
            if path not in known and path not in read:
                image = read_image(path, axes)
                read[path] = replace(image, spacing=spacing or image.spacing, unit=unit or image.unit)
        if not read:
            return [known[path] for path in files]
        with self._newest():
            known = self._by_place()
            images, left = self.images, self.left
            for path, image in read.items():
                if path in known:  # another command added it meanwhile
                    continue
                was = [e for e in left if self._images.place(e) == path and e.shape == image.shape]
                before = was[0] if was else self._images.moved(image, images)
                id = before.id if before else free_id(image.name, (*images, *left))
                known[path] = self._images.refer(id, image, path, axes)
                images, left = _with(known[path], before, images, left)
            self._change(images=images, left=left)
            return [known[path] for path in files]

    def placed(self, path: str | Path) -> ImageEntry | None:
        """Find the image that a file is.

        Parameters
        ----------
        path : str or Path
            The file.

        Returns
        -------
        ImageEntry, optional
            Its entry; None if the project does not refer to it.
        """
        return self._by_place().get(Path(path).resolve())

    def _by_place(self) -> dict[Path, ImageEntry]:
        return {self._images.place(e): e for e in reversed(self.images)}

    def add_image(self, image: Image, was: str | None = None) -> ImageEntry:
        """Copy an image that exists only in memory into the project.

        Parameters
        ----------
        image : Image
            The image.
        was : str, optional
            Id of an image that was taken out and is this one; labels of the same shape come back with it, unless its
            axes are in another order now.

        Returns
        -------
        ImageEntry
            Its entry.
        """
        return run(self.copy_image(image, was))

    def copy_image(self, image: Image, was: str | None = None, *, stop: Stop | None = None) -> Job[ImageEntry]:
        """Do what `add_image` does as a job, for an image whose copying takes long.

        Parameters
        ----------
        image : Image
            The image.
        was : str, optional
            Id of an image that was taken out and is this one.
        stop : Stop, optional
            Looked at several times a second.

        Yields
        ------
        Progress
            How much is copied.

        Returns
        -------
        ImageEntry
            Its entry.

        Raises
        ------
        StoppedError
            If it was stopped; then the project is as it was.
        """
        self.refresh()
        stop = stop or Stop()
        left = next((e for e in self.left if e.id == was and e.shape == image.shape), None)
        old = self._images.copied(left)
        if old is not None and turned(old, image):
            left = old = None  # what is painted lies on pixels in another order
        needed = old is None or not (yield from alike(old, image, stop))

        def name(copy: Path | None) -> tuple[ImageEntry | None, ImageEntry]:
            known = left if left in self.left else None  # else somebody else used it meanwhile
            return known, self._images.put(self._id(image, known), image, copy, known)

        return (yield from self._copied(image if needed else None, name, stop))

    def _copied(self, image: Image | None, name: Name, stop: Stop) -> Job[ImageEntry]:
        """Copy an image, if one is given, and put it into the project while nobody else changes that.

        `name` gives the copy its name, and says which entry takes the place of which. Of the copy, and of the one that
        is given up for it if `name` keeps another image, nothing is left that nothing refers to; until the project
        refers to the new one, the old one stays.
        """
        copies: list[Path] = []
        try:
            if image is not None:
                copies.append((yield from self._images.copy(image, stop)))
            with self._newest():
                known, entry = name(copies[0] if copies else None)
                if known in self.images:
                    copies.append(self._images.place(known))
                copies.append(self._images.place(entry))
                return self._added(known, entry)
        finally:
            self._images.discard(copies, (*self.images, *self.left))

    def _id(self, image: Image, known: ImageEntry | None) -> str:
        """An image that was known keeps its id, labels and predictions."""
        return known.id if known else free_id(image.name, (*self.images, *self.left))

    def _added(self, known: ImageEntry | None, entry: ImageEntry) -> ImageEntry:
        images, left = _with(entry, known, self.images, self.left)
        self._change(images=images, left=left)
        return entry

    def set_spacing(self, id: str, spacing: tuple[float, ...], unit: str) -> ImageEntry:
        """Say how large the pixels of an image are; all that belongs to it is in pixels, and stays.

        Parameters
        ----------
        id : str
            Its id.
        spacing : tuple of float
            Pixel size ([Z,] Y, X).
        unit : str
            Unit of `spacing`.

        Returns
        -------
        ImageEntry
            Its entry from now on.
        """
        replace(self.image(id), spacing=spacing, unit=unit)  # an error if an image cannot have it
        with self._newest():
            known = self.entry(id)
            return self._added(known, replace(known, spacing=tuple(spacing), unit=unit))

    def take_out(self, id: str) -> None:
        """Work without an image from now on; what is painted on it stays on disk, and comes back with it.

        Parameters
        ----------
        id : str
            Its id.
        """
        with self._newest():
            entry = self.entry(id)
            self._change(images=tuple(e for e in self.images if e != entry), left=(*self.left, entry))
            self._images.close(id)

    def image(self, id: str) -> Image:
        """Open an image; its pixels are read when they are needed.

        Parameters
        ----------
        id : str
            Its id.

        Returns
        -------
        Image
            The image.

        Raises
        ------
        ProjectError
            If its file was moved, or changed its shape since it was added.
        """
        return self._images.get(self.entry(id))

    def named(self, ids: Iterable[str] | None = None) -> list[Image]:
        """Open images under their ids, by which what is made of them is known.

        Parameters
        ----------
        ids : iterable of str, optional
            The images; all if not given.

        Returns
        -------
        list of Image
            The images, with their ids for names.
        """
        wanted = [e.id for e in self.images] if ids is None else ids
        return [replace(self.image(id), name=self.entry(id).id) for id in wanted]


def _with(entry: ImageEntry, known: ImageEntry | None, images: Entries, left: Entries) -> tuple[Entries, Entries]:
    """Put an entry in the place of the one that was known, or at the end; those taken out, without it."""
    others = tuple(entry if e == known else e for e in images)
    return others if known in images else (*others, entry), tuple(e for e in left if e != known)
