"""Files that say how unsure the masks of a project are, one an image."""

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from napari_sslseg.io.atomic import replacing
from napari_sslseg.project import Project
from napari_sslseg.uncertainty import Uncertainty


def read(project: Project, id: str) -> Uncertainty | None:
    """Read how unsure the latest masks of an image are.

    Parameters
    ----------
    project : Project
        The project.
    id : str
        Image id.

    Returns
    -------
    Uncertainty, optional
        None if nothing was predicted, or the file cannot be read, which costs no more than predicting again.
    """
    try:
        with safe_open(_place(project, id), framework="numpy") as file:
            said = json.loads((file.metadata() or {})["json"])
            return Uncertainty(file.get_tensor("entropy"), file.get_tensor("pixels"), int(said["side"]), said["model"])
    except (SafetensorError, OSError, ValueError, KeyError):
        return None


def write(project: Project, id: str, newer: Uncertainty) -> None:
    """Keep how unsure the masks of an image are; planes not predicted anew stay, if the same model predicted them.

    Parameters
    ----------
    project : Project
        The project.
    id : str
        Image id.
    newer : Uncertainty
        What was predicted now.
    """
    older = read(project, id)
    kept = older.updated(newer) if older else newer
    said = {"json": json.dumps({"side": kept.side, "model": kept.model})}
    packed = save({"entropy": kept.entropy, "pixels": kept.pixels}, said)
    with replacing(_place(project, id), len(packed)) as unfinished:
        unfinished.write_bytes(packed)


def _place(project: Project, id: str) -> Path:
    return project.path / "predictions" / f"{id}.uncertainty.safetensors"
