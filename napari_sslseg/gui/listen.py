"""listen: connect a widget to a signal of the session for as long as the widget lives."""

from collections.abc import Callable
from typing import Any

from psygnal import SignalInstance
from qtpy.QtCore import QObject


def listen(owner: QObject, signal: SignalInstance, slot: Callable[..., Any]) -> None:
    """Call a method of a widget whenever a signal is emitted, until Qt deletes the widget.

    Parameters
    ----------
    owner : QObject
        The widget.
    signal : psygnal.SignalInstance
        The signal.
    slot : callable
        The method.
    """
    signal.connect(slot)
    owner.destroyed.connect(lambda: signal.disconnect(slot, missing_ok=True))
