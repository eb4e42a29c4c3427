"""Contributions: what napari.yaml names: sample data, the reader of projects and medical images, and the commands."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from napari.viewer import Viewer
from qtpy.QtWidgets import QWidget

from napari_sslseg.contents import FILE
from napari_sslseg.gui import layers, origin
from napari_sslseg.gui.words import explaining
from napari_sslseg.io import read_image
from napari_sslseg.io.files import is_medical
from napari_sslseg.project import Project

LayerData = tuple[Any, dict[str, Any], str]
PLUGIN, WIDGET = "napari-sslseg", "SSL Segmentation"


# -------------------------------------------------------------------- sample data
def _sample(name: str) -> list[LayerData]:
    from napari_sslseg import samples

    with explaining():
        return layers.layer_data(samples.load(name))


def ihc() -> list[LayerData]:
    """Load tissue with a brown stain, RGB.

    Returns
    -------
    list of tuple
        Layer data.
    """
    return _sample("ihc")


def retina() -> list[LayerData]:
    """Load a retina, RGB.

    Returns
    -------
    list of tuple
        Layer data.
    """
    return _sample("retina")


def coins() -> list[LayerData]:
    """Load coins, grey.

    Returns
    -------
    list of tuple
        Layer data.
    """
    return _sample("coins")


def cell() -> list[LayerData]:
    """Load one cell in phase contrast, grey.

    Returns
    -------
    list of tuple
        Layer data.
    """
    return _sample("cell")


def cells3d() -> list[LayerData]:
    """Download a stack of cells with two channels.

    Returns
    -------
    list of tuple
        Layer data.
    """
    return _sample("cells3d")


def nuclei3d() -> list[LayerData]:
    """Make a stack of nuclei, with the exact truth as a second, hidden layer.

    Returns
    -------
    list of tuple
        Layer data.
    """
    from napari_sslseg import samples

    image, truth = samples.nuclei3d()
    described = layers.layer_data(image)
    place = {name: described[0][1][name] for name in ("scale", "units", "axis_labels")}
    return [*described, (truth, {"name": "nuclei3d truth", "visible": False, **place}, "labels")]


# -------------------------------------------------------------------- project folders and medical images
def get_reader(path: str | Sequence[str]) -> Callable[[Any], list[LayerData]] | None:
    """Say how to read a project folder, or NIfTI and DICOM files; decline anything else.

    Parameters
    ----------
    path : str or sequence of str
        What the user opens.

    Returns
    -------
    callable or None
        Reads it.
    """
    if isinstance(path, str) and (Path(path) / FILE).is_file():
        return read_project
    paths = [path] if isinstance(path, str) else list(path)
    return read_medical if paths and all(is_medical(Path(p)) for p in paths) else None


def read_medical(paths: str | Sequence[str]) -> list[LayerData]:
    """Read NIfTI and DICOM images, with their millimetres.

    Parameters
    ----------
    paths : str or sequence of str
        The files.

    Returns
    -------
    list of tuple
        Layer data.
    """
    found = [Path(p) for p in ([paths] if isinstance(paths, str) else paths)]
    with explaining():
        return [layer for p in found for layer in layers.layer_data(read_image(p), {origin.KEY: str(p)})]


def read_project(path: str) -> list[LayerData]:
    """Read the first image of a project with its labels; the dock shows the others.

    Parameters
    ----------
    path : str
        The project folder.

    Returns
    -------
    list of tuple
        Layer data.
    """
    with explaining():
        project = Project.open(path)
        if not project.images:
            return [(None,)]  # type: ignore[list-item] # what napari takes for: read, and nothing to show
        id = project.images[0].id
        return layers.image_data(project, id) + layers.labels_data(project, id)


# -------------------------------------------------------------------- commands
def dock_in(viewer: Viewer) -> Any:
    """Open the dock, or bring it to the front, however it was opened: napari names it otherwise from its menu.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.

    Returns
    -------
    Dock
        The only one of this viewer.
    """
    window = getattr(viewer, "__wrapped__", viewer).window
    for widget in window.dock_widgets.values():
        if isinstance(widget, QWidget) and widget.objectName() == PLUGIN:
            widget.parent().show()
            widget.parent().raise_()
            return widget
    return window.add_plugin_dock_widget(PLUGIN, WIDGET)[1]


def learn(viewer: Viewer) -> None:
    """Start to learn from the images.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    dock_in(viewer).learn.start()


def paint(viewer: Viewer) -> None:
    """Make a layer to paint on.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    dock_in(viewer).desk.paint()


def suggest(viewer: Viewer) -> None:
    """Go to the next part that is worth painting on.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    dock_in(viewer).desk.suggest()


def train(viewer: Viewer) -> None:
    """Train on what was painted.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    dock_in(viewer).train.start()


def predict(viewer: Viewer) -> None:
    """Predict the plane that is looked at.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    dock_in(viewer).result.predict(everything=False)


def predict_image(viewer: Viewer) -> None:
    """Predict all of the image that is looked at.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    dock_in(viewer).result.predict_image()


def predict_everything(viewer: Viewer) -> None:
    """Predict all images of the project.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    dock_in(viewer).result.predict(everything=True)


def objects(viewer: Viewer) -> None:
    """Show a table of the objects in the masks.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    dock_in(viewer).result.adjust.objects.click()


def stop(viewer: Viewer) -> None:
    """Ask the running job to stop, and accept no more.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    dock = dock_in(viewer)
    dock.desk.stop()
    dock.result.accept.accept.stop()


def accept_view(viewer: Viewer) -> None:
    """Accept the masks that are in view.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    dock_in(viewer).result.accept.accept.view()


def accept_plane(viewer: Viewer) -> None:
    """Accept the masks of the plane that is looked at.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    dock_in(viewer).result.accept.accept.plane()


def accept_object(viewer: Viewer) -> None:
    """Accept the object that is clicked next.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    dock_in(viewer).result.accept.accept.pick.wait(True)


def accept_image(viewer: Viewer) -> None:
    """Accept all masks of the current image.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    dock_in(viewer).result.accept.accept.image()


def export(viewer: Viewer) -> None:
    """Write the masks of all images to a folder.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    dock_in(viewer).result.export.all_images()


def predict_folder(viewer: Viewer) -> None:
    """Make and write the masks of a folder of images.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    dock_in(viewer).result.export.predict_folder()
