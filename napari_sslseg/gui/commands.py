"""Commands: what the command palette, menus and keys offer of projects, learning and training, beside the verbs."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from napari.viewer import Viewer

from napari_sslseg.gui import contributions
from napari_sslseg.gui.contributions import dock_in
from napari_sslseg.gui.next_image import go

QUICK, STANDARD, THOROUGH = range(3)  # places in the list of lengths


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


def add_files(viewer: Viewer) -> None:
    """Choose image files, and open them.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    dock_in(viewer).images.add.add_files()


def add_folder(viewer: Viewer) -> None:
    """Choose a folder of images, and open them.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    dock_in(viewer).images.add.add_folder()


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


def next_image(viewer: Viewer) -> None:
    """Look at the next image of the project, and at its masks once something was trained.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    go(dock_in(viewer).desk, 1)


def image_before(viewer: Viewer) -> None:
    """Look at the image before, and at its masks once something was trained.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    go(dock_in(viewer).desk, -1)


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


def tour(viewer: Viewer) -> None:
    """Show how it goes: a short text for each step.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    dock_in(viewer).tour.begin()


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


def learn_anew(viewer: Viewer) -> None:
    """Learn from the start, and do not go on from where learning was left.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    dock_in(viewer).learn.begin_anew()


def learn_quick(viewer: Viewer) -> None:
    """Learn for a short time from now on.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    dock_in(viewer).learn.length.setCurrentIndex(QUICK)


def learn_standard(viewer: Viewer) -> None:
    """Learn for the usual time from now on.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    dock_in(viewer).learn.length.setCurrentIndex(STANDARD)


def learn_thorough(viewer: Viewer) -> None:
    """Learn for a long time from now on.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    dock_in(viewer).learn.length.setCurrentIndex(THOROUGH)


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


def find_classes(viewer: Viewer) -> None:
    """Find what each pixel is, from now on.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    box = dock_in(viewer).train.task
    box.setCurrentIndex(box.findData("semantic"))


def find_objects(viewer: Viewer) -> None:
    """Find single objects, each with a number of its own, from now on.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    """
    box = dock_in(viewer).train.task
    box.setCurrentIndex(box.findData("instance"))


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


# -------------------------------------------------------------------- keys
BY_KEY: Mapping[str, Callable[[Viewer], None]] = MappingProxyType(
    {
        "use_images": use_images,
        "learn": contributions.learn,
        "paint": contributions.paint,
        "train": contributions.train,
        "predict": contributions.predict,
        "next_image": next_image,
        "image_before": image_before,
        "live": live,
        "accept_view": contributions.accept_view,
        "export": contributions.export,
    }
)
