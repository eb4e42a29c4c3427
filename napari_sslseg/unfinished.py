"""Unfinished: the state of a run that was stopped, kept so that the same run asked for again goes on from there."""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sslseg import __version__
from napari_sslseg.errors import CheckpointError

if TYPE_CHECKING:
    from napari_sslseg.checkpoint import Checkpoint


class Unfinished:
    """The state of a run that was not finished, so that the same run asked for again goes on from it.

    Parameters
    ----------
    path : Path
        Where it is stored.
    asked : list
        All that must be the same for the run to be the same.
    """

    def __init__(self, path: Path, asked: list[Any]) -> None:
        self._path = path
        self._key = hashlib.sha256(json.dumps([__version__, *asked], sort_keys=True).encode()).hexdigest()

    def load(self) -> "Checkpoint | None":
        """Return the stored state.

        Returns
        -------
        Checkpoint, optional
            None if there is none, it is damaged, or it is one of another run or version.
        """
        from napari_sslseg.checkpoint import Checkpoint

        try:
            stored = Checkpoint.load(self._path)
        except CheckpointError:  # there is none, or none that can be read: the run begins anew
            return None
        return stored if stored.history.get("key") == self._key else None

    def keep(self, state: "Checkpoint") -> None:
        """Store a state.

        Parameters
        ----------
        state : Checkpoint
            The state.
        """
        state.history["key"] = self._key
        state.save(self._path)

    def remove(self) -> None:
        """Forget the stored state."""
        self._path.unlink(missing_ok=True)
