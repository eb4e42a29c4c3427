"""Several processes started together, as by torchrun: the command line joins them, or refuses; alone without torch."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from napari_sslseg import ranks
from napari_sslseg.errors import ConfigError

DISTRIBUTED = "pretrain"  # the verb that several processes can share


def check_alone(arguments: list[str]) -> None:
    """Refuse several processes for what only one can do.

    Parameters
    ----------
    arguments : list of str
        Those of the command line.

    Raises
    ------
    ConfigError
        If there are several.
    """
    verb = (arguments or ["nothing"])[0]
    if ranks.count() > 1 and verb != DISTRIBUTED:
        raise ConfigError(
            f"{ranks.count()} processes were started together for {verb}",
            f"Only {DISTRIBUTED} can use several",
            "Start it without torchrun",
        )


@contextmanager
def joined() -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """Join the processes that were started together, if any.

    Yields
    ------
    callable
        Makes a context through which the first process goes before the others.
    """
    if ranks.count() == 1:
        yield nullcontext
        return
    from napari_sslseg import distributed

    with distributed.joined():
        yield distributed.in_turn
