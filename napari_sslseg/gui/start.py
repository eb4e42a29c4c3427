"""Start: napari with the dock and a project, for those who begin at the command line."""

from pathlib import Path

import napari

from napari_sslseg.gui.contributions import PLUGIN, WIDGET


def open_project(path: Path) -> None:
    """Open napari with a project, and return when the window is closed.

    Parameters
    ----------
    path : Path
        The project folder.
    """
    viewer = napari.Viewer()
    _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, WIDGET)
    dock.desk.open_project(path)
    napari.run()
