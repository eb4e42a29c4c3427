"""Header: what a checkpoint file says of itself, read without its weights and without torch."""

import json
from pathlib import Path
from typing import Any

LONGEST = 2**28  # bytes: no header is so long


def read_config(path: Path) -> dict[str, Any]:
    """Read with what a checkpoint was made.

    Parameters
    ----------
    path : Path
        A file of this program, in the safetensors format: the length of the header, the header, the weights.

    Returns
    -------
    dict
        The configuration; empty if the file is gone or is none of this program.
    """
    return _read(path, "config")


def read_history(path: Path) -> dict[str, Any]:
    """Read what happened when a checkpoint was made.

    Parameters
    ----------
    path : Path
        A file of this program.

    Returns
    -------
    dict
        The history; empty if the file is gone or is none of this program.
    """
    return _read(path, "history")


def read_names(path: Path) -> tuple[str, ...]:
    """Read the names of the weights of a checkpoint.

    Parameters
    ----------
    path : Path
        A file of this program.

    Returns
    -------
    tuple of str
        The names; none if the file is gone or is none of this program.
    """
    return tuple(name for name in _header(path) if name != "__metadata__")


def _read(path: Path, part: str) -> dict[str, Any]:
    try:
        found = json.loads(_header(path)["__metadata__"]["json"])[part]
    except (ValueError, KeyError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def _header(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length) if length < LONGEST else b"")
    except (OSError, ValueError):
        return {}
    return header if isinstance(header, dict) else {}
