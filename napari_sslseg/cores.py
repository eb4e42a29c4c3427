"""Cores: on how many this process may compute, hyper-threads told apart from cores."""

import os
from pathlib import Path

TOPOLOGY = Path("/sys/devices/system/cpu")


def usable() -> set[int]:
    """Number the processors that this process may run on, hyper-threads included.

    Returns
    -------
    set of int
        Their numbers.
    """
    if hasattr(os, "sched_getaffinity"):
        return set(os.sched_getaffinity(0))
    return set(range(os.cpu_count() or 1))


def physical(processors: set[int], topology: Path = TOPOLOGY) -> int:
    """Count the cores behind some processors.

    Parameters
    ----------
    processors : set of int
        Numbers of processors.
    topology : pathlib.Path, optional
        Where Linux describes them; elsewhere every processor counts as a core.

    Returns
    -------
    int
        At least 1.
    """
    cores = set()
    for number in processors:
        try:
            cores.add((topology / f"cpu{number}" / "topology" / "thread_siblings_list").read_text().strip())
        except OSError:
            cores.add(str(number))
    return max(1, len(cores))
