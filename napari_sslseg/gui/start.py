"""Opens napari with a project and the dock: what the command line shows at the end of the demonstration."""

from pathlib import Path

import napari

PLUGIN = "napari-sslseg"
WIDGET = "SSL Segmentation"


def open_project(path: Path) -> None:
    """Open napari on a project and stay until its window is closed.

    Parameters
    ----------
    path : Path
        Project folder.
    """
    viewer = napari.Viewer()
    viewer.open(path, plugin=PLUGIN)
    viewer.window.add_plugin_dock_widget(PLUGIN, WIDGET)
    napari.run()
