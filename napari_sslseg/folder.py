"""Folder: the folder of a project and what its project.json says, which one at a time changes."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from napari_sslseg.contents import FILE, Contents, ContentsFile
from napari_sslseg.errors import ProjectError
from napari_sslseg.io.atomic import storage_errors
from napari_sslseg.io.locks import alone, gone

LOCK = "project"


class Folder:
    """A folder with a ``project.json``; use `create`, `open` or `open_or_create`.

    Parameters
    ----------
    path : Path
        The folder.
    contents : Contents
        What its ``project.json`` says.
    """

    def __init__(self, path: Path, contents: Contents) -> None:
        self.path = path
        self._contents = contents
        self._file = ContentsFile(path)
        self._lock = threading.RLock()
        self._changing = False

    @classmethod
    def create(cls, path: str | Path, task: str = "semantic") -> Self:
        """Make a new project in a folder that is empty or does not exist.

        Parameters
        ----------
        path : str or Path
            The folder.
        task : str, optional
            ``semantic`` or ``instance``.

        Returns
        -------
        Project
            The project.
        """
        path = Path(path)
        with storage_errors(path):
            _check_empty(path)
            path.mkdir(parents=True, exist_ok=True)
        with alone(path, LOCK):
            _check_empty(path)  # another command may have made one there by now
            file, contents = ContentsFile(path), Contents(task)
            file.write(contents)
        return cls(path, contents)

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Open an existing project.

        Parameters
        ----------
        path : str or Path
            The folder.

        Returns
        -------
        Project
            The project.
        """
        return cls(Path(path), ContentsFile(Path(path)).read())

    @classmethod
    def open_or_create(cls, path: str | Path, task: str = "semantic") -> Self:
        """Open the project at a path, or make one there.

        Parameters
        ----------
        path : str or Path
            The folder.
        task : str, optional
            Task of a new project.

        Returns
        -------
        Project
            The project.
        """
        if not (Path(path) / FILE).exists():
            try:
                return cls.create(path, task)
            except ProjectError:
                if not (Path(path) / FILE).exists():  # else another command made it at the same time
                    raise
        return cls.open(path)

    # ---------------------------------------------------------------- what others change
    def refresh(self) -> bool:
        """Take in what other windows and commands changed; every change of one's own does so too.

        Returns
        -------
        bool
            Whether there was anything.
        """
        with self._lock:
            was, self._contents = self._contents, self._file.read()
            return was != self._contents

    def check(self) -> None:
        """Make sure that the folder is where it was, before anything is made in it.

        Raises
        ------
        StorageError
            If it is gone.
        """
        if not self.path.is_dir():
            raise gone(self.path)

    @contextmanager
    def _newest(self) -> Iterator[None]:
        """Let nobody else change the project: until the end of the block, memory says what the disk says."""
        with self._lock:
            if self._changing:
                yield
                return
            with alone(self.path, LOCK):
                self._contents = self._file.read()
                self._changing = True
                try:
                    yield
                finally:
                    self._changing = False

    def _change(self, **values: Any) -> None:
        """Write the changed contents; memory follows only after the disk has them."""
        with self._newest():
            changed = replace(self._contents, **values)
            if changed != self._contents:
                self._file.write(changed)
                self._contents = changed

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.path.resolve().name


def _check_empty(path: Path) -> None:
    if path.is_file() or (path.is_dir() and any(not p.name.startswith(".") for p in path.iterdir())):
        raise ProjectError(f"{path} is not empty", "A new project needs a folder of its own", "Choose another name")
