"""Ending: what is to be done before Python ends, while threads can still be used."""

import atexit
import threading
from collections.abc import Callable
from typing import TypeVar

Function = TypeVar("Function", bound=Callable[[], None])


def at_the_end(function: Function) -> Function:
    """Call a function when Python is about to end, however it was started.

    What is registered with `atexit` comes too late to write: zarr needs pools of threads, which take nothing any more
    by then. They end where `threading` itself tells them to; what was registered there later is called before.

    Parameters
    ----------
    function : callable
        The function.

    Returns
    -------
    callable
        The same.
    """
    getattr(threading, "_register_atexit", atexit.register)(function)
    return function
