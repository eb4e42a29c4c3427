"""Kept: a few values in a small JSON file, which is never in anybody's way: unreadable is empty, unwritable is kept."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from napari_sslseg.errors import StorageError
from napari_sslseg.io.atomic import write_text

T = TypeVar("T")


class Kept:
    """Values by name, as they were left the last time.

    Parameters
    ----------
    path : Path, optional
        The file, which need not exist; None for values that are forgotten.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.damaged = False  # there was a file, and it made no sense
        self._values = self._read()
        self._changed: dict[str, Any] = {}

    def _read(self) -> dict[str, Any]:
        if self.path is None:
            return {}
        try:
            said = json.loads(self.path.read_bytes())
        except OSError:
            return {}
        except ValueError:
            said = None
        self.damaged = not isinstance(said, dict)
        return said if isinstance(said, dict) else {}

    def get(self, name: str, default: T) -> T:
        """Return a value.

        Parameters
        ----------
        name : str
            Its name.
        default : object
            What it is where nothing is kept, or something of another type.

        Returns
        -------
        object
            The value.
        """
        value = self._values.get(name, default)
        return value if isinstance(value, type(default)) else default

    def put(self, name: str, value: Any) -> bool:
        """Keep a value; `write` brings it to the disk.

        Parameters
        ----------
        name : str
            Its name.
        value : object
            Anything that JSON can hold.

        Returns
        -------
        bool
            Whether it is another one than before.
        """
        if self._values.get(name) == value:
            return False
        self._values[name] = self._changed[name] = value
        return True

    def write(self) -> None:
        """Write what was changed, whole or not at all; what others wrote stays, and a full disk is ignored."""
        if self.path is None or not self._changed:
            return
        with suppress(StorageError, OSError):
            write_text(self.path, json.dumps({**self._read(), **self._changed}, indent=1, ensure_ascii=False))
        self._changed = {}
