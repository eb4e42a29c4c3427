"""Arrays that a project keeps in zarr: a crash or a full disk leaves every chunk as it was, or new and whole."""

import itertools
import secrets
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr

from napari_sslseg import vast
from napari_sslseg.errors import StoppedError
from napari_sslseg.image import Image
from napari_sslseg.io.atomic import exchange, flush, remove, remove_beside, replacing, storage_errors
from napari_sslseg.io.lazy import SMALL, LazyArray
from napari_sslseg.job import Clock, Job, Stop

CHUNK = 512  # px: side of a chunk, which is of one plane
WRITTEN = 0.9  # of the work of copying an image, before it is made sure that the disk has it

Region = tuple[slice, ...]


def create(path: Path, shape: tuple[int, ...], dtype: npt.DTypeLike) -> None:
    """Make an array of zeros.

    Parameters
    ----------
    path : pathlib.Path
        The zarr folder.
    shape : tuple of int
        Its shape, the last two axes being Y and X.
    dtype : dtype
        Type of its elements.

    Raises
    ------
    StorageError
        If the disk is full or the place may not be written to; then there is no array.
    """
    with replacing(path) as temporary:
        _create(temporary, shape, dtype)


def write(path: Path, values: npt.NDArray[Any], region: Region, before: npt.NDArray[Any] | None = None) -> None:
    """Write a part of an array. All of it is on the disk before the first old chunk is replaced.

    Parameters
    ----------
    path : pathlib.Path
        The zarr folder.
    values : numpy.ndarray
        What to write, of the shape of `region`.
    region : tuple of slice
        Where it belongs, one slice an axis, without steps.
    before : numpy.ndarray, optional
        Of the shape of `values`: only where they differ from it they are written. Everywhere if not given.

    Raises
    ------
    StorageError
        If the disk is full or the place may not be written to; then the array is as it was.
    """
    array: Any = zarr.open_array(path, mode="r")
    inner = [range(*part.indices(n)) for part, n in zip(region, array.shape, strict=True)]
    outer = [
        range(r.start // c * c, min(-(-r.stop // c) * c, n))
        for r, c, n in zip(inner, array.chunks, array.shape, strict=True)
    ]
    block = values.astype(array.dtype)
    if inner != outer or before is not None:
        block = array[_slices(outer)]
        changed = True if before is None else values != before
        np.copyto(block[_slices(inner, outer)], values, casting="unsafe", where=changed)
    temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}.tmp")
    with storage_errors(path, block.nbytes):
        try:
            keys = _write_chunks(temporary, array, block, outer)
            for key in keys:
                (path / key).parent.mkdir(parents=True, exist_ok=True)
            flush(temporary)
            for key in keys:
                if (temporary / key).exists():
                    exchange(temporary / key, path / key)
                else:  # zarr stores no chunk of zeros
                    (path / key).unlink(missing_ok=True)
        finally:
            remove(temporary)


def _write_chunks(path: Path, like: Any, block: npt.NDArray[Any], place: list[range]) -> list[str]:
    """Write a block of whole chunks to an array of its own, one by one: zarr goes on with others after a failure."""
    new: Any = zarr.create_array(path, shape=like.shape, dtype=like.dtype, chunks=like.chunks, fill_value=0)
    keys = []
    for corner in itertools.product(*(range(r.start, r.stop, c) for r, c in zip(place, like.chunks, strict=True))):
        chunk = [range(a, min(a + c, r.stop)) for a, c, r in zip(corner, like.chunks, place, strict=True)]
        new[_slices(chunk)] = block[_slices(chunk, place)]
        keys.append(like.metadata.encode_chunk_key(tuple(a // c for a, c in zip(corner, like.chunks, strict=True))))
    return keys


def _slices(bounds: list[range], within: list[range] | None = None) -> Region:
    """Slices of a box, counted from the corner of another box."""
    starts = [r.start for r in within] if within else [0] * len(bounds)
    return tuple(slice(r.start - s, r.stop - s) for r, s in zip(bounds, starts, strict=True))


def planes(path: Path) -> tuple[int, ...]:
    """Say in which planes an array may be other than 0: of the others no chunk was stored.

    Parameters
    ----------
    path : pathlib.Path
        The zarr folder.

    Returns
    -------
    tuple of int
        Indices along the last axis but two, in order; (0,) where there is none.
    """
    array: Any = zarr.open_array(path, mode="r")
    if array.ndim < 3:
        return (0,)
    return tuple(sorted({at[-3] for at in _stored(path)}))


def boxes(path: Path) -> list[Region]:
    """Say in which parts an array may be other than 0: of the others no chunk was stored.

    Parameters
    ----------
    path : pathlib.Path
        The zarr folder.

    Returns
    -------
    list of tuple of slice
        One a chunk, with start and stop.
    """
    array: Any = zarr.open_array(path, mode="r")
    return [
        tuple(slice(k * c, min((k + 1) * c, n)) for k, c, n in zip(at, array.chunks, array.shape, strict=True))
        for at in _stored(path)
    ]


def _stored(path: Path) -> list[list[int]]:
    """Which chunks are on the disk, by their numbers along each axis."""
    files = (file for file in (path / "c").rglob("*") if file.is_file() and not file.name.startswith("."))
    return [[int(n) for n in file.relative_to(path / "c").parts] for file in files]


def read(path: Path, region: Region | None = None) -> npt.NDArray[Any]:
    """Read an array, or a part of it.

    Parameters
    ----------
    path : pathlib.Path
        The zarr folder.
    region : tuple of slice, optional
        The part, one slice an axis; all of it if not given.

    Returns
    -------
    numpy.ndarray
        The array.
    """
    array: Any = zarr.open_array(path, mode="r")
    if region is not None:
        return np.asarray(array[region])
    values = vast.zeros(array.shape, array.dtype)
    for at in _stored(path):
        box = tuple(slice(k * c, (k + 1) * c) for k, c in zip(at, array.chunks, strict=True))
        values[box] = array[box]
    return values


def opened(path: Path) -> Any:
    """Open an array, to read parts of it.

    Parameters
    ----------
    path : pathlib.Path
        The zarr folder.

    Returns
    -------
    zarr.Array
        What reads pixels when sliced.
    """
    return zarr.open_array(path, mode="r")


def write_image(path: Path, image: Image, stop: Stop) -> Job[None]:
    """Copy an image, plane by plane, so that one larger than memory can be copied too.

    Parameters
    ----------
    path : pathlib.Path
        The zarr folder; replaced if it exists.
    image : Image
        The image.
    stop : Stop
        Looked at before each chunk.

    Yields
    ------
    Progress
        How much is copied.

    Raises
    ------
    StoppedError
        If it was stopped; then there is no copy.
    StorageError
        If the disk is full or the place may not be written to; then there is no copy.
    """
    size = int(np.prod(image.data.shape, dtype=np.int64)) * np.dtype(image.data.dtype).itemsize
    with replacing(path, size) as temporary:
        try:
            yield from _copy_image(temporary, image, stop)
        except StoppedError:
            remove_beside(temporary)
            raise


def _copy_image(path: Path, image: Image, stop: Stop) -> Job[None]:
    shape = tuple(image.data.shape)
    corners = list(itertools.product(range(shape[0]), range(0, shape[-2], CHUNK), range(0, shape[-1], CHUNK)))
    text, clock, total = f"copying {image.name}", Clock(), image.planes * len(corners)
    array: Any = _create(path, shape, image.data.dtype)
    for z in range(image.planes):
        _look(stop, image)
        plane = image.read(z)
        for n, (c, y, x) in enumerate(corners, 1):  # one chunk at a time: zarr goes on with others after a failure
            _look(stop, image)
            at = (c, slice(y, y + CHUNK), slice(x, x + CHUNK))
            array[at if len(shape) == 3 else (at[0], z, *at[1:])] = plane[at]
            if (event := clock.event(text, WRITTEN * (z * len(corners) + n) / total)) is not None:
                yield event
    array.attrs.update(axes=image.axes, spacing=list(image.spacing), unit=image.unit, rgb=image.rgb)
    for n, file in enumerate(files := [file for file in path.rglob("*") if file.is_file()]):
        _look(stop, image)
        flush(file)
        if (event := clock.event(text, WRITTEN + (1 - WRITTEN) * n / len(files))) is not None:
            yield event


def _look(stop: Stop, image: Image) -> None:
    if stop.requested:
        raise StoppedError(f"Copying {image.name} was stopped", "There is nothing to keep", "Start it again")


class _Copy:
    """The pixels of a copy, as long as it is there: zarr takes chunks that are gone for zeros."""

    def __init__(self, array: Any, path: Path) -> None:
        self._array, self._path = array, path
        self.shape, self.ndim, self.dtype, self.chunks = array.shape, array.ndim, array.dtype, array.chunks

    def __getitem__(self, key: Region) -> npt.NDArray[Any]:
        found = np.asarray(self._array[key])
        if not self._path.exists():
            raise FileNotFoundError("another copy has taken its place")
        return found


def read_image(path: Path, name: str) -> Image:
    """Open the copy of an image; a large one is read when it is needed.

    Parameters
    ----------
    path : pathlib.Path
        The zarr folder.
    name : str
        Name of the image.

    Returns
    -------
    Image
        As it was copied.
    """
    array: Any = zarr.open_array(path, mode="r")
    pixels: Any = LazyArray(_Copy(array, path), path)
    said = dict(array.attrs)
    if pixels.nbytes <= SMALL:
        pixels = np.asarray(pixels)
    return Image(pixels, tuple(said["spacing"]), said["unit"], name, said["axes"], bool(said["rgb"]))


def _create(path: Path, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Any:
    chunks = (1,) * (len(shape) - 2) + tuple(min(CHUNK, n) for n in shape[-2:])
    return zarr.create_array(path, shape=shape, dtype=dtype, chunks=chunks, fill_value=0)
