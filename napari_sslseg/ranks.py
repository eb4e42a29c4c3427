"""Ranks: how many processes were started together, as by torchrun, and which of them this one is; loads no torch."""

import os


def count() -> int:
    """Say how many processes were started together.

    Returns
    -------
    int
        1 for a process of its own.
    """
    return int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1


def first() -> bool:
    """Say whether this process speaks and writes for all.

    Returns
    -------
    bool
        True for rank 0, and for a process of its own.
    """
    return count() == 1 or os.environ["RANK"] == "0"


def local() -> int:
    """Say which of the processes on this machine this one is.

    Returns
    -------
    int
        0 for a process of its own.
    """
    return int(os.environ.get("LOCAL_RANK", "0")) if count() > 1 else 0
