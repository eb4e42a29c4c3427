"""Keys: all keys of the window in one table, of which `docs/keys.md` is made; and those that change how masks look."""

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from napari_sslseg.gui.canvas import Canvas

ANYWHERE, LABELS, TABLE, IMAGES = "anywhere", "labels layer", "class table", "list of images"
NAPARI = "labels layer, by napari"
STEP = 0.1  # of opacity, a press


class Key(NamedTuple):
    """One key: what is pressed, where, what it does, and the command that does the same."""

    key: str
    where: str
    does: str
    command: str = ""


KEYS = (
    *(Key(str(value), LABELS, f"paint with class {value}") for value in range(1, 10)),
    Key("0", LABELS, "eraser", "eraser"),
    Key("G", LABELS, "fill: click inside of an outline", "fill"),
    Key("A", LABELS, "accept the object under the mouse", "accept_object"),
    Key("N", LABELS, "next suggestion where to paint", "suggest"),
    Key("P", LABELS, "suggestion before"),
    Key("V", LABELS, "draw a check box", "check_box"),
    Key("Ctrl+1", ANYWHERE, "use the selected open images", "use_images"),
    Key("Ctrl+2", ANYWHERE, "learn", "learn"),
    Key("Ctrl+3", ANYWHERE, "paint on this image", "paint"),
    Key("Ctrl+4", ANYWHERE, "train", "train"),
    Key("Ctrl+5", ANYWHERE, "predict this plane", "predict"),
    Key("Ctrl+Right", ANYWHERE, "next image, with its masks once something was trained", "next_image"),
    Key("Ctrl+Left", ANYWHERE, "image before", "image_before"),
    Key("Ctrl+L", ANYWHERE, "live on or off", "live"),
    Key("Ctrl+Enter", ANYWHERE, "accept the masks in view", "accept_view"),
    Key("Ctrl+Shift+E", ANYWHERE, "export the masks of all images", "export"),
    Key("H", ANYWHERE, "hide the masks and all else over the image while held", "masks"),
    Key("U", ANYWHERE, "outlines of the masks, or whole ones", "outline"),
    Key(",", ANYWHERE, "masks fainter", "fainter"),
    Key(".", ANYWHERE, "masks stronger", "stronger"),
    Key("Up, Down", TABLE, "choose a class"),
    Key("Enter", TABLE, "paint with the class", "paint"),
    Key("F2", TABLE, "rename the class"),
    Key("Delete", TABLE, "remove the class, after asking"),
    Key("Delete", IMAGES, "take the image out of the project; what is painted on it is kept", "take_out"),
    Key("Menu", TABLE, "colour, merge into another class, remove"),
    Key("Ctrl+Z", NAPARI, "undo a stroke, a fill or what was accepted"),
    Key("Ctrl+Shift+Z", NAPARI, "redo it"),
    Key("right drag", NAPARI, "an outline that closes and fills itself, with the brush"),
    Key("[ and ]", NAPARI, "smaller or larger brush"),
    Key("Space", NAPARI, "move the image while held"),
    Key("Enter", NAPARI, "close the polygon"),
    Key("Escape", NAPARI, "give up the polygon"),
)


def markdown() -> str:
    """Write the table of keys.

    Returns
    -------
    str
        What is in ``docs/keys.md``.
    """
    head = (
        "# Keys",
        "",
        "Written from `napari_sslseg/gui/keys.py`; a test compares them. All commands, also those without a key, are",
        "in napari's command palette (Ctrl+Shift+P).",
        "",
        "| key | where | does | command |",
        "|---|---|---|---|",
    )
    rows = (f"| {k.key} | {k.where} | {k.does} | {f'`{k.command}`' if k.command else ''} |" for k in KEYS)
    return "\n".join([*head, *rows, ""])


def bind(canvas: Canvas, commands: Mapping[str, Callable[[Any], None]]) -> None:
    """Let keys do what buttons do, whichever layer is active; a key that is taken stays what it is.

    A manifest can name keys too, but napari 0.9 does not bind those.

    Parameters
    ----------
    canvas : Canvas
        The layers.
    commands : mapping of str to callable
        Commands by name, as in the table of keys; each takes a viewer.
    """
    viewer = canvas.viewer
    taken = {str(key) for key in (*viewer.keymap, *viewer.class_keymap)}
    calls: dict[str, Callable[[Any], Any]] = {"H": hide(canvas)}
    calls |= {"U": lambda _: outline(canvas), ",": lambda _: fainter(canvas), ".": lambda _: stronger(canvas)}
    calls |= {k.key: commands[k.command] for k in KEYS if k.where == ANYWHERE and k.command in commands}
    for key, call in calls.items():
        pressed = key.replace("Ctrl", "Meta") if sys.platform == "darwin" else key  # what a Mac calls Command
        if pressed not in taken:
            viewer.bind_key(pressed, call)


def hide(canvas: Canvas) -> Callable[[Any], Iterator[None]]:
    """Make what hides the masks, and all else that lies over images, for as long as a key is held.

    Parameters
    ----------
    canvas : Canvas
        The layers.

    Returns
    -------
    callable
        Hides them when it is called, and then brings back what was.
    """

    def held(_: Any) -> Iterator[None]:
        before = canvas.look.visible
        canvas.set_look(replace(canvas.look, visible=False))
        canvas.hold(True)
        yield
        canvas.hold(False)
        canvas.set_look(replace(canvas.look, visible=before))

    return held


def masks(canvas: Canvas) -> None:
    """Hide the masks, or show them.

    Parameters
    ----------
    canvas : Canvas
        The layers.
    """
    canvas.set_look(replace(canvas.look, visible=not canvas.look.visible))


def outline(canvas: Canvas) -> None:
    """Draw outlines of the masks, or whole ones.

    Parameters
    ----------
    canvas : Canvas
        The layers.
    """
    canvas.set_look(replace(canvas.look, outline=not canvas.look.outline))


def fainter(canvas: Canvas) -> None:
    """Let the masks cover less of the image.

    Parameters
    ----------
    canvas : Canvas
        The layers.
    """
    canvas.set_look(replace(canvas.look, opacity=max(0.0, round(canvas.look.opacity - STEP, 2))))


def stronger(canvas: Canvas) -> None:
    """Let the masks cover more of the image.

    Parameters
    ----------
    canvas : Canvas
        The layers.
    """
    canvas.set_look(replace(canvas.look, opacity=min(1.0, round(canvas.look.opacity + STEP, 2))))
