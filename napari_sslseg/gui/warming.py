"""Warming: loads beside the window what napari loads for its first layer of labels, so that painting begins at once."""

import sys
import threading
from contextlib import suppress
from importlib import import_module

from qtpy.QtCore import QObject, QTimer

MODULES = ("pandas", "skimage.exposure", "skimage.color", "skimage.util", "scipy.linalg")
AFTER = 300  # ms after the dock was opened, which is not to wait for it


def warm(owner: QObject) -> None:
    """Load in a thread of its own, soon, and once.

    Parameters
    ----------
    owner : QObject
        If it is deleted before, nothing is loaded.
    """
    if all(name in sys.modules for name in MODULES):
        return
    soon = QTimer(owner)
    soon.setSingleShot(True)
    soon.timeout.connect(lambda: threading.Thread(target=_load, name="napari-sslseg warming", daemon=True).start())
    soon.start(AFTER)


def _load() -> None:
    for name in MODULES:
        with suppress(Exception):  # then napari will say so, or do without it
            import_module(name)
