"""Checkpoint: weights, configuration, classes and history in one safetensors file, written atomically."""

import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from napari_sslseg.errors import CheckpointError
from napari_sslseg.io.atomic import replacing

FORMAT = "napari-sslseg checkpoint"
VERSION = 1


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What was learned, and with what.

    Parameters
    ----------
    weights : dict of str to torch.Tensor
        Tensors by name, on the CPU.
    config : dict
        Everything needed to build the network again: encoder, channels, classes and so on.
    history : dict
        What happened: steps, seconds, losses, scores.
    """

    weights: dict[str, Tensor]
    config: dict[str, Any]
    history: dict[str, Any] = field(default_factory=dict)

    def save(self, path: str | Path) -> None:
        """Write the file; an older one stays whole until the new one is complete.

        Parameters
        ----------
        path : str or Path
            Where to write.
        """
        path = Path(path)
        said = {"format": FORMAT, "version": VERSION, "config": self.config, "history": self.history}
        with replacing(path) as unfinished:
            tensors = {k: v.detach().cpu().contiguous() for k, v in self.weights.items()}
            try:
                save_file(tensors, unfinished, {"json": json.dumps(said)})
            except SafetensorError as error:
                raise _refused(error) from error

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a file; nothing in it is executed.

        Parameters
        ----------
        path : str or Path
            The file.

        Returns
        -------
        Checkpoint
            The checkpoint.
        """
        path = Path(path)
        if not path.is_file():
            raise CheckpointError(f"There is no checkpoint {path}", "A .safetensors file of this program is needed")
        try:
            with safe_open(path, framework="pt") as file:
                said = json.loads((file.metadata() or {})["json"])
                weights = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
        except (SafetensorError, ValueError, KeyError, OSError) as error:
            raise CheckpointError(
                f"{path.name} cannot be read as a checkpoint ({error})",
                "It must be a .safetensors file this program wrote",
            ) from error
        if said.get("format") != FORMAT:
            raise CheckpointError(f"{path.name} is not a {FORMAT}", "It must be a file this program wrote")
        if said["version"] > VERSION:
            raise CheckpointError(
                f"{path.name} was written by a newer version (checkpoint format {said['version']})",
                f"This version reads formats up to {VERSION}",
                "Update with: pip install -U napari-sslseg",
            )
        return cls(weights, said["config"], said["history"])

    def part(self, prefix: str) -> dict[str, Tensor]:
        """Return the tensors of one part of the network.

        Parameters
        ----------
        prefix : str
            Name of the part, such as ``encoder``.

        Returns
        -------
        dict of str to torch.Tensor
            Their names without the prefix.
        """
        start = prefix + "."
        return {k.removeprefix(start): v for k, v in self.weights.items() if k.startswith(start)}


def _refused(error: SafetensorError) -> OSError:
    """What the operating system said, such as that the disk is full."""
    found = re.search(r"\(os error (\d+)\)", str(error))
    return OSError(int(found[1]), os.strerror(int(found[1]))) if found else OSError(str(error))
