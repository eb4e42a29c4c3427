"""Unfinished: the state of a run that was stopped, kept so that the same run asked for again goes on from there."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sslseg import __version__
from napari_sslseg.errors import CheckpointError, ConfigError
from napari_sslseg.io.header import read_history
from napari_sslseg.project import Project
from napari_sslseg.settings import PretrainConfig

if TYPE_CHECKING:
    from napari_sslseg.checkpoint import Checkpoint

PRETRAIN = Path("unfinished") / "pretrain.safetensors"  # in the folder of a project


@dataclass(frozen=True)
class LeftOff:
    """A pretraining that was stopped, and goes on if the same is asked for again.

    Parameters
    ----------
    config : PretrainConfig
        What was asked for.
    seed : int
        With which seed.
    steps : int
        Steps done.
    share : float
        How much of the run is done, 0 to 1.
    """

    config: PretrainConfig
    seed: int
    steps: int
    share: float


def asked_to_pretrain(project: Project, config: PretrainConfig, seed: int) -> list[Any]:
    """List all that must be the same for a pretraining to be the same.

    Parameters
    ----------
    project : Project
        Its images.
    config : PretrainConfig
        What is asked for.
    seed : int
        Seed of everything random.

    Returns
    -------
    list
        What JSON can hold.
    """
    return [config.to_dict(), seed, [[e.id, e.shape, e.source] for e in project.images]]


def left_off(project: Project) -> LeftOff | None:
    """Tell whether a pretraining of a project was stopped and can go on; torch is not loaded for it.

    Parameters
    ----------
    project : Project
        The project.

    Returns
    -------
    LeftOff, optional
        None if there is none, or it is one of other images or of another version.
    """
    said = read_history(project.path / PRETRAIN)
    try:
        values, seed, _ = said["asked"]
        config, steps = PretrainConfig.from_dict(values), int(said["steps"])
        share = steps / config.steps if config.steps else float(said["seconds"]) / (60 * config.minutes)
    except (KeyError, ValueError, TypeError, ConfigError):
        return None
    fits = said.get("key") == _key(asked_to_pretrain(project, config, seed))
    return LeftOff(config, seed, steps, min(1.0, share)) if fits and steps else None


def _key(asked: list[Any]) -> str:
    return hashlib.sha256(json.dumps([__version__, *asked], sort_keys=True).encode()).hexdigest()


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
        self._path, self._asked = path, asked
        self._key = _key(asked)

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

    def best(self) -> "Checkpoint | None":
        """Return the best weights of a pretraining so far, as it would return them if it ended there.

        Returns
        -------
        Checkpoint, optional
            None if nothing is stored yet.
        """
        from napari_sslseg.checkpoint import Checkpoint

        stored = self.load()
        weights = stored.part("best") if stored is not None else {}
        return Checkpoint(weights, stored.config, stored.history) if stored is not None and weights else None

    def keep(self, state: "Checkpoint") -> None:
        """Store a state; where the project is gone, nothing is made in its place: perhaps it comes back.

        Parameters
        ----------
        state : Checkpoint
            The state.
        """
        if not self._path.parents[1].is_dir():
            return
        state.history["key"], state.history["asked"] = self._key, self._asked
        state.save(self._path)

    def remove(self) -> None:
        """Forget the stored state."""
        self._path.unlink(missing_ok=True)
