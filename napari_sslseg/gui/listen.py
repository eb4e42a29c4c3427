"""listen: connect a widget to a signal of the session for as long as the widget lives."""

import weakref
from collections.abc import Callable
from types import MethodType
from typing import Any

from psygnal import SignalInstance
from qtpy.QtCore import QObject


def listen(owner: QObject, signal: SignalInstance, slot: Callable[..., Any]) -> None:
    """Call a method of a widget whenever a signal is emitted, until Qt or Python deletes the widget.

    Parameters
    ----------
    owner : QObject
        The widget.
    signal : psygnal.SignalInstance
        The signal.
    slot : callable
        The method, or a function that lives as long as the widget.
    """

    # PySide holds on to what is connected, and so would the widget to itself.
    held = weakref.WeakMethod(slot) if isinstance(slot, MethodType) else lambda: slot

    def end() -> None:
        if (found := held()) is not None:
            signal.disconnect(found, missing_ok=True)

    signal.connect(slot)
    owner.destroyed.connect(end)
    if not isinstance(slot, MethodType):  # which a signal forgets with its widget
        weakref.finalize(owner, end).atexit = False  # PyQt does not say "destroyed" of what Python collects
