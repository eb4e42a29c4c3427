"""Paint commands: what the command palette and the menus offer of classes, tools, suggestions and check boxes."""

from napari.utils.notifications import show_info
from napari.viewer import Viewer

from napari_sslseg.gui.contributions import dock_in


def add_class(viewer: Viewer) -> None:
    """Add a class, or the next object, and paint with it.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    dock_in(viewer).paint.add_class()


def remove_class(viewer: Viewer) -> None:
    """Remove the chosen class, after asking.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    dock_in(viewer).paint.remove.click()


def class_menu(viewer: Viewer) -> None:
    """Offer what can be done with the chosen class: rename, colour, merge, remove.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    dock_in(viewer).paint.table.offer()


def brush(viewer: Viewer) -> None:
    """Paint with the brush.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    dock_in(viewer).paint.tools.use("brush")


def eraser(viewer: Viewer) -> None:
    """Take back what was painted.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    dock_in(viewer).paint.tools.use("eraser")


def fill(viewer: Viewer) -> None:
    """Let the next click fill an outline.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    dock_in(viewer).paint.tools.use("fill")


def polygon(viewer: Viewer) -> None:
    """Click around an object.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    dock_in(viewer).paint.tools.use("polygon")


def suggest_before(viewer: Viewer) -> None:
    """Go back to the suggestion before.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    dock_in(viewer).desk.guide.step(-1)


def check_box(viewer: Viewer) -> None:
    """Draw a box in which masks are checked.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    dock_in(viewer).desk.draw_box()


def all_labelled(viewer: Viewer) -> None:
    """Say that all in the check boxes of this image is labelled, or no longer.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    complete = dock_in(viewer).paint.guide.complete
    if complete.isHidden():
        show_info("There is no check box on this image: draw one first (key V)")
    else:
        complete.click()
