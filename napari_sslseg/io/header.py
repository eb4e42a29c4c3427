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
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length) if length < LONGEST else b"")
        config = json.loads(header["__metadata__"]["json"])["config"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return config if isinstance(config, dict) else {}
