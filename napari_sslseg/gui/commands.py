"""Commands: what the command palette and the menus offer beside the verbs of `contributions`."""

from napari.viewer import Viewer

from napari_sslseg.gui import keys
from napari_sslseg.gui.contributions import dock_in


# -------------------------------------------------------------------- projects and images
def new_project(viewer: Viewer) -> None:
    """Choose where a new project is kept.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    dock_in(viewer).header.new.click()


def open_project(viewer: Viewer) -> None:
    """Choose a project to go on with.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    dock_in(viewer).header.open.click()


def use_images(viewer: Viewer) -> None:
    """Take the selected open images into the project.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    dock_in(viewer).images.use_selected()


def denoise(viewer: Viewer) -> None:
    """Show the plane that is looked at without its noise.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    dock_in(viewer).desk.denoise()


def use_region(viewer: Viewer) -> None:
    """Make what is in the view an image of its own.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    dock_in(viewer).images.use_region()


def take_out(viewer: Viewer) -> None:
    """Take the selected images out of the project; what is painted on them is kept.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    dock_in(viewer).images.out.click()


# -------------------------------------------------------------------- learn
def colours(viewer: Viewer) -> None:
    """Show as colours what the network takes for alike, or no longer.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    dock_in(viewer).learn.sees.colours.click()


def alike(viewer: Viewer) -> None:
    """Light up what looks like what is clicked next, or no longer.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    dock_in(viewer).learn.sees.alike.click()


def restored(viewer: Viewer) -> None:
    """Show the plane as the network draws it from what lies around each part, or no longer.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    dock_in(viewer).learn.sees.restored.click()


# -------------------------------------------------------------------- paint
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


# -------------------------------------------------------------------- train
def live(viewer: Viewer) -> None:
    """Let masks follow the brush, or no longer.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    dock_in(viewer).train.live.click()


def doubts(viewer: Viewer) -> None:
    """Show where live masks are unsure, or no longer; turns live on.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    train = dock_in(viewer).train
    if not train.live.isChecked():
        train.live.click()
    train.doubts.click()


def back(viewer: Viewer) -> None:
    """Go back to the round that was better, where there is one.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    dock_in(viewer).train.go_back()


def compare(viewer: Viewer) -> None:
    """Train with and without what was learnt from the images, and say which is better.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    dock_in(viewer).train.compare()


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
