"""Foot: what the line at the foot of the window says while one paints: the keys of our layer, not those of napari."""

from typing import Any

from napari.layers import Labels as LabelsLayer

HELP = "1 to 9: paint a class · 0: erase · G: fill · A: accept · N: where next · [ ]: brush size · Space: move"
POLYGON = "Click around an object · Enter: fill it · Escape: give it up · 1 to 9: its class · Space: move"


def say_keys(layer: LabelsLayer) -> None:
    """Let a layer say its keys; napari writes anew what each number did in its own layers, whenever the tool changes.

    Parameters
    ----------
    layer : napari.layers.Labels
        A layer to paint on, whose numbers choose classes.
    """
    layer.events.help.connect(_put_right)
    layer.help = HELP


def _put_right(event: Any) -> None:
    layer = event.source
    with layer.events.help.blocker():
        layer.help = POLYGON if layer.mode == "polygon" else HELP
