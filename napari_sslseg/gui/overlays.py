"""Overlays: what is laid over images, or beside them, but for masks and labels: seen with its image, unless hidden."""

import weakref
from collections.abc import Collection

from napari.components import ViewerModel
from napari.layers import Layer

from napari_sslseg.gui import beside, marks
from napari_sslseg.project import Project

ROLES = ("probability", "unsure", "doubt", "colours", "alike", "restored", "denoised")


def seen(viewer: ViewerModel, project: Project, current: str | None) -> set[str]:
    """List the images that are seen: the one that is worked on, and those whose own layers are visible.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The viewer.
    project : Project
        The project.
    current : str, optional
        The image that is worked on.

    Returns
    -------
    set of str
        Their ids.
    """
    pictures = [layer for layer in marks.marked(viewer, project, None, "image") if layer.visible]
    found = {mark.image for layer in pictures if (mark := marks.mark_of(layer)) is not None}
    return found | ({current} if current is not None else set())


class Overlays:
    """Hides overlays and brings them back; what the user hid is left hidden."""

    def __init__(self) -> None:
        self.held = False  # whether all that covers an image makes way for as long as a key is held
        self._away: weakref.WeakSet[Layer] = weakref.WeakSet()  # hidden here, and not by the user

    def arrange(self, viewer: ViewerModel, project: Project, images: Collection[str]) -> None:
        """Show the overlays of some images, and hide those of all others.

        Parameters
        ----------
        viewer : napari.components.ViewerModel
            The viewer.
        project : Project
            The project.
        images : collection of str
            The images that are seen.
        """
        for role in ROLES:
            for layer in marks.marked(viewer, project, None, role):
                self._arrange(layer, images)

    def _arrange(self, layer: Layer, images: Collection[str]) -> None:
        mark = marks.mark_of(layer)
        wanted = layer.visible or layer in self._away
        shown = wanted and mark is not None and mark.image in images and (not self.held or mark.role in beside.ROLES)
        layer.visible = shown
        if wanted and not shown:
            self._away.add(layer)
        else:
            self._away.discard(layer)
