"""Preferences: what a user sets for all projects, in napari's own window for it; `napari.yaml` says what there is."""

from pathlib import Path
from typing import Any

from napari.settings import get_plugin_settings

from napari_sslseg.gui.masks import Look

NAME = "napari-sslseg"


def home() -> Path:
    """Tell where projects are kept that nobody chose a place for.

    Returns
    -------
    Path
        The folder that was set, or else ``napari-sslseg`` in that of the user; it need not exist.
    """
    said = _said()
    folder = said.projects.folder.strip() if said else ""
    return Path.home() / (Path(folder).expanduser() if folder else NAME)


def look() -> Look:
    """Tell how masks are drawn in a project in which it was not changed.

    Returns
    -------
    Look
        Their opacity, and whether only outlines are drawn.
    """
    said = _said()
    return Look(opacity=said.masks.opacity, outline=said.masks.outline) if said else Look()


def _said() -> Any:
    """What is set; None where napari does not know the plugin, as in a script that runs from a copy of it."""
    try:
        return get_plugin_settings(NAME)
    except KeyError:
        return None
