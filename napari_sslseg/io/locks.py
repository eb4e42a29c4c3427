"""Locks: whoever changes something in a folder keeps others out meanwhile, here, in other processes and computers."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from napari_sslseg.errors import StorageError
from napari_sslseg.io.atomic import storage_errors

FOLDER = ".locks"
SHARED = 0o666  # others who may write into the folder may use the same file
POLL = 0.01  # s
WITHOUT = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL)  # there are no locks on this disk


@contextmanager
def alone(folder: Path, name: str, seconds: float = 10.0) -> Iterator[None]:
    """Change something while nobody else does; whoever else asks for the same waits.

    The system frees what a process held that was killed. Where a disk has no locks, as some of networks, a file stands
    for one.

    Parameters
    ----------
    folder : pathlib.Path
        The folder of a project.
    name : str
        What is changed in it, as it can be the name of a file.
    seconds : float, optional
        How long to wait at most.

    Yields
    ------
    None
        Nothing.

    Raises
    ------
    StorageError
        If somebody else does not come to an end, or the folder is gone or may not be written to.
    """
    place = folder / FOLDER / name
    with storage_errors(folder):
        try:
            place.parent.mkdir(exist_ok=True)
        except FileNotFoundError as error:
            raise gone(folder) from error
        lock = _locked(place, seconds)
    try:
        yield
    finally:
        lock.release()


def gone(folder: Path) -> StorageError:
    """Make the error that says that the folder of a project is no longer there.

    Parameters
    ----------
    folder : pathlib.Path
        The folder.

    Returns
    -------
    StorageError
        The error.
    """
    return StorageError(
        f"The folder {folder} is gone",
        "A project stays where it is while one works on it",
        "Put it back, or open it where it is now",
    )


def _locked(place: Path, seconds: float) -> BaseFileLock:
    lock: BaseFileLock = FileLock(place, seconds, SHARED, poll_interval=POLL)
    try:
        try:
            lock.acquire()
        except (OSError, NotImplementedError) as error:
            if isinstance(error, OSError) and error.errno not in WITHOUT:
                raise
            lock = SoftFileLock(place.with_name(f"{place.name}.held"), seconds, poll_interval=POLL)
            lock.acquire()
    except Timeout as error:
        raise StorageError(
            f"Another window or command has been writing to {place.parent.parent} for more than {seconds:.0f} s",
            "One writes at a time",
            f"Wait for it, or delete the folder {place.parent} if nothing else runs",
        ) from error
    return lock
