"""Writes files so that a reader sees the old one or the new one whole, and tells plainly what the disk says."""

import contextlib
import errno
import os
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_sslseg.errors import StorageError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
REMOVING = "napari-sslseg removing"  # name of the thread
READ = (5, 32)  # as Windows calls it
PAUSES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)  # s
MISPLACED = (errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.EIO)


@contextmanager
def replacing(path: Path, needed: int = 0) -> Iterator[Path]:
    """Write a file or a folder beside its final place and put it there only when it is complete and on the disk.

    Parameters
    ----------
    path : pathlib.Path
        The final place; its folder is made if missing. A symbolic link is followed.
    needed : int, optional
        About how many bytes will be written, for the message of a full disk.

    Yields
    ------
    pathlib.Path
        A path in the same folder at which to make the file or folder; it does not exist yet.

    Raises
    ------
    StorageError
        If the disk is full or the place may not be written to. What was at `path` is untouched.
    """
    place = Path(os.path.realpath(path))
    temporary = place.with_name(f".{place.name[:100]}.{secrets.token_hex(4)}.tmp")
    with storage_errors(path, needed):
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            flush(temporary)
            exchange(temporary, place)
        finally:
            remove(temporary)
        with contextlib.suppress(OSError):  # some file systems cannot sync a folder; the file itself is in place
            _sync(place.parent)


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all.

    Parameters
    ----------
    path : pathlib.Path
        The file; replaced if it exists.
    text : str
        What it will hold, as UTF-8 with Unix line ends.

    Raises
    ------
    StorageError
        If the disk is full or the place may not be written to.
    """
    with replacing(path, len(text)) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


@contextmanager
def storage_errors(path: Path, needed: int = 0) -> Iterator[None]:
    """Turn what the operating system says about a full or protected disk into one clear error.

    Parameters
    ----------
    path : pathlib.Path
        What is being written, for the message.
    needed : int, optional
        About how many bytes are to be written.

    Raises
    ------
    StorageError
        In place of an OSError of a full disk, a missing permission or an impossible place; others pass.
    """
    try:
        yield
    except OSError as error:
        if error.errno in FULL or (error.errno is None and " requested and " in str(error)):  # NumPy's short write
            raise _full(path, needed) from error
        if error.errno in FORBIDDEN:
            raise StorageError(
                f"There is no permission to write {path}",
                "A folder that may be written to is needed",
                "Choose another folder, or ask its owner for write permission",
            ) from error
        if error.errno in MISPLACED:
            raise StorageError(
                f"{path} cannot be written ({error.strerror}: {error.filename})", "A folder on a working disk is needed"
            ) from error
        raise


def remove(path: Path) -> None:
    """Delete a file or a folder with all it holds; nothing happens if it does not exist.

    Parameters
    ----------
    path : pathlib.Path
        What to delete.
    """
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def remove_beside(path: Path) -> None:
    """Delete a folder of many files in a thread of its own: some disks take seconds for it, and a stop takes none.

    Python does not end before it is gone.

    Parameters
    ----------
    path : pathlib.Path
        The folder; what is at this place is gone at once.
    """
    aside = path.with_name(f"{path.name}.old")
    with contextlib.suppress(OSError):  # then it is left to whoever made it
        path.rename(aside)
        threading.Thread(target=remove, args=(aside,), name=REMOVING).start()


def flush(path: Path) -> None:
    """Wait until a file, or every file of a folder, is on the disk.

    Parameters
    ----------
    path : pathlib.Path
        The file or folder.
    """
    for file in path.rglob("*") if path.is_dir() else [path]:
        if file.is_file():
            _sync(file)


def exchange(new: Path, place: Path) -> None:
    """Put a file or folder at a place; an old folder, which cannot be replaced in one step, steps aside.

    Parameters
    ----------
    new : pathlib.Path
        What is put there.
    place : pathlib.Path
        The place; what was there is deleted once the new one is there, and comes back on failure.
    """
    if not (new.is_dir() or place.is_dir()):
        _replace(new, place)
        return
    aside = place.with_name(f".{place.name[:100]}.{secrets.token_hex(4)}.old")
    if place.exists():
        place.replace(aside)
    try:
        new.replace(place)
    except OSError:
        if aside.exists():
            aside.rename(place)
        raise
    remove(aside)


def _replace(new: Path, place: Path) -> None:
    """Put a file in the place of another one; Windows refuses as long as somebody reads that one."""
    for pause in PAUSES:
        try:
            new.replace(place)
        except PermissionError as error:
            if getattr(error, "winerror", None) not in READ:
                raise
            time.sleep(pause)
        else:
            return
    new.replace(place)


def _full(path: Path, needed: int) -> StorageError:
    folder = next((p for p in Path(path).absolute().parents if p.exists()), Path.cwd())
    free = f"{shutil.disk_usage(folder).free / 1e6:,.1f} MB are free"
    wanted = f" and about {needed / 1e6:,.1f} MB are needed" if needed >= 1e5 else ""
    return StorageError(
        f"The disk of {path} is full: {free}{wanted}",
        "What was there before is untouched",
        "Make room or choose a folder on another disk",
    )


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
