"""Result commands: what the command palette and the menus offer of masks: how they look, objects in them, files."""

from napari.viewer import Viewer

from napari_sslseg.gui import keys, object_table
from napari_sslseg.gui.contributions import dock_in


# -------------------------------------------------------------------- how masks look
def masks(viewer: Viewer) -> None:
    """Hide the masks, or show them.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    keys.masks(dock_in(viewer).desk.canvas)


def outline(viewer: Viewer) -> None:
    """Draw outlines of the masks, or whole ones.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    keys.outline(dock_in(viewer).desk.canvas)


def fainter(viewer: Viewer) -> None:
    """Let the masks cover less of the image.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    keys.fainter(dock_in(viewer).desk.canvas)


def stronger(viewer: Viewer) -> None:
    """Let the masks cover more of the image.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    keys.stronger(dock_in(viewer).desk.canvas)


def adjust_apply(viewer: Viewer) -> None:
    """Change all masks of the project as those in view were adjusted.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    dock_in(viewer).result.adjust.apply.click()


def adjust_reset(viewer: Viewer) -> None:
    """Go back to the masks as they were predicted.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    dock_in(viewer).result.adjust.reset.click()


def probabilities(viewer: Viewer) -> None:
    """Keep how probable each class is beside masks, or no longer.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    form = dock_in(viewer).result.form
    form["probabilities"].value = not form["probabilities"].value


# -------------------------------------------------------------------- objects and files
def save_objects(viewer: Viewer) -> None:
    """Save the table of objects as a CSV file.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    object_table.show(dock_in(viewer).desk).save_as()


def objects_all_planes(viewer: Viewer) -> None:
    """Follow objects through all planes of a stack, or no longer.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    object_table.show(dock_in(viewer).desk).all_planes.click()


def export_this(viewer: Viewer) -> None:
    """Write the masks of this image to a folder.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    dock_in(viewer).result.export.this_image()


def show_exported(viewer: Viewer) -> None:
    """Open the folder of the files that were written last.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    dock_in(viewer).result.export.open_folder()


def unsure(viewer: Viewer) -> None:
    """Show where the masks are unsure, or no longer.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    dock_in(viewer).result.over.unsure.click()


def single_objects(viewer: Viewer) -> None:
    """Show each object in the masks in a colour of its own, or classes again.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    dock_in(viewer).result.over.objects.click()
