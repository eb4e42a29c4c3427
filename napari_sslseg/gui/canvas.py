"""Canvas: the layers of one viewer that belong to the project: images, what is painted on them, masks."""

import math
import weakref
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image as ImageLayer
from napari.layers import Layer
from qtpy.QtCore import QObject, QTimer, Signal

from napari_sslseg.gui import beside, layers, marks, masks, preferences, sight
from napari_sslseg.gui.beside import Beside
from napari_sslseg.gui.overlays import ROLES, Overlays, seen
from napari_sslseg.gui.painting import Painting
from napari_sslseg.overlay import Box
from napari_sslseg.prediction import Prediction
from napari_sslseg.session import Session

VAST = 4096**2  # px of a plane


class Canvas(QObject):
    """Keeps the layers of a viewer and the session in step.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The viewer; held weakly.
    session : Session
        What the user is doing.
    parent : QObject
        Owner.
    """

    met = Signal(object)  # path of the project of a layer that was added, which is not the open one
    layers_changed = Signal()
    look_changed = Signal()  # masks are drawn in another way

    def __init__(self, viewer: ViewerModel, session: Session, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = weakref.ref(viewer)
        self.session = session
        self.look = preferences.look()
        self._instead: set[str] = set()  # what masks make way for: live ones, or each object in its own colour
        self._overlays = Overlays()
        self._beside = Beside()
        self.painting = Painting(viewer, session, self)
        self._met: list[Layer] = []  # of a project, that somebody else added
        self._again: list[Layer] = []  # that are in the viewer already
        self._later = QTimer(self)  # a layer list is not changed while it tells of a change
        self._later.setSingleShot(True)
        self._later.timeout.connect(self._adopt)
        viewer.layers.events.inserted.connect(self._inserted)
        viewer.layers.events.removed.connect(self._removed)
        viewer.layers.selection.events.active.connect(self.follow)
        session.project_changed.connect(self._project_changed)
        session.classes_changed.connect(self._classes_changed)

    @property
    def viewer(self) -> ViewerModel:
        """The viewer."""
        viewer = self._viewer()
        assert viewer is not None, "the viewer outlives its canvas"
        return viewer

    @property
    def alive(self) -> bool:
        """Whether there still is a viewer."""
        return self._viewer() is not None

    # ---------------------------------------------------------------- layers come and go
    def _inserted(self, event: Any) -> None:
        if self.session.project is not None and marks.is_twin(self.viewer, self.session.project, event.value):
            if event.value.source.reader_plugin == marks.KEY:  # the folder of this project was opened again
                self._again.append(event.value)
                self._later.start(0)
            marks.unmark(event.value)
        self.meet(event.value)
        self._arrange()
        self.layers_changed.emit()

    def meet(self, layer: Layer) -> None:
        """Look whether a layer belongs to a project, as those do that the reader of project folders makes.

        Parameters
        ----------
        layer : napari.layers.Layer
            Any layer.
        """
        mark = marks.mark_of(layer)
        if mark is not None and mark.role in ("image", "labels"):
            self._met.append(layer)
            self._later.start(0)

    def _adopt(self) -> None:
        while self._again:
            if (layer := self._again.pop()) in self.viewer.layers:
                self.viewer.layers.remove(layer)
            self.show_current()
        met, self._met = self._met, []
        mark = marks.mark_of(met[-1]) if met else None
        if mark is not None:
            if not self._is_open(Path(mark.project)):
                self.met.emit(Path(mark.project))
            if not self._is_open(Path(mark.project)):  # why was told; what is painted on these would be kept nowhere
                for layer in met:
                    if layer in self.viewer.layers and not marks.belongs(layer, self.session.project):
                        self.viewer.layers.remove(layer)
                self._project_changed()
            self.painting.bind_all()

    def _is_open(self, path: Path) -> bool:
        return self.session.project is not None and self.session.project.path.resolve() == path

    def _removed(self) -> None:
        if self._beside.taken_in and not self._lies_beside():
            self._beside.let_go(self.viewer)
        self.layers_changed.emit()

    def _project_changed(self) -> None:
        for layer in marks.foreign(self.viewer, self.session.project):
            self.viewer.layers.remove(layer)

    def _classes_changed(self) -> None:
        if self.session.project is not None:
            masks.recolour(self.viewer, self.session.project)

    def follow(self) -> None:
        """Make the image of the active layer the current one."""
        layer: Layer | None = self.viewer.layers.selection.active
        mark = marks.mark_of(layer) if layer is not None else None
        project = self.session.project
        if mark and project and mark.project == str(project.path.resolve()):
            self.session.select(mark.image)
            if mark.role == "image" and isinstance(layer, ImageLayer):
                self.painting.bind_image(layer)

    # ---------------------------------------------------------------- images and results
    def look_at(self, id: str, *, alone: bool = False) -> None:
        """Make an image the current one, and fit the view to it.

        Parameters
        ----------
        id : str
            The image.
        alone : bool, optional
            Whether the view leaves out what lies beside the image.
        """
        self.session.select(id)
        self.show_current(fit=True, alone=alone)

    def show_current(self, *, fit: bool = False, alone: bool = False) -> None:
        """Show the current image, and hide the other images of the project with all that lies on them.

        Parameters
        ----------
        fit : bool, optional
            Whether the view is fitted to the image, and to what lies beside it.
        alone : bool, optional
            Whether it is fitted to the image alone.
        """
        project, id = self.session.project, self.session.current
        if project is None or id is None:
            return
        shown = layers.show_image(self.viewer, project, id)
        if id in self.session.predicted and not marks.marked(self.viewer, project, id, "result"):
            kept = masks.kept(project, id)
            if kept is not None:
                self.show([kept])
        for layer in self.viewer.layers:
            mark = marks.mark_of(layer)
            if mark is not None and mark.role not in ROLES:
                seen_now = mark.image == id and self._visible(mark.role)
                if layer.visible != seen_now:  # else napari puts the brush down
                    layer.visible = seen_now
        self._arrange()
        painted = marks.marked(self.viewer, project, id, "labels")
        if self.viewer.layers.selection.active not in painted:
            self.viewer.layers.selection.active = (painted or shown)[0]
        if fit:
            plane = (self.current_plane() or {id: (0,)})[id][0]
            near = [] if alone else [x for x in self._lies_beside() if x.metadata["z"] == plane]
            self._beside.look(self.viewer, shown, near)

    def current_plane(self) -> dict[str, tuple[int, ...]] | None:
        """Tell which plane of the current image is looked at.

        Returns
        -------
        dict of str to tuple of int
            The image and its plane; None where there is only one.
        """
        project, id = self.session.project, self.session.current
        if project is None or id is None or len(project.entry(id).shape) == 2:
            return None
        layer = layers.show_image(self.viewer, project, id)[0]
        z = round(float(layer.world_to_data(self.viewer.dims.point)[0]))
        return {id: (int(np.clip(z, 0, project.entry(id).shape[0] - 1)),)}

    def view(self, most: int) -> tuple[int, Box] | None:
        """Tell what of the current image is looked at.

        Parameters
        ----------
        most : int
            Greatest side in pixels; of a larger view the middle is taken.

        Returns
        -------
        tuple, optional
            The plane, and the part of it that is in the view; None if nothing is.
        """
        project, id = self.session.project, self.session.current
        if project is None or id is None:
            return None
        layer = layers.show_image(self.viewer, project, id)[0]
        planes, box = self.current_plane(), list(sight.box(self.viewer, layer, project.entry(id).shape[-2:]))
        for first, last in ((0, 2), (1, 3)):
            middle = (box[first] + box[last]) // 2
            box[first] = max(box[first], middle - most // 2)
            box[last] = min(box[last], middle - most // 2 + most)
        return (planes[id][0] if planes else 0), Box(*box)

    @property
    def vast(self) -> bool:
        """Whether planes of the current image are so large that only what is in the view is predicted."""
        project, id = self.session.project, self.session.current
        return project is not None and id is not None and math.prod(project.entry(id).shape[-2:]) > VAST

    def show(self, predictions: Sequence[Prediction]) -> None:
        """Show masks, in the layers that showed them before where there are such.

        Parameters
        ----------
        predictions : sequence of Prediction
            What a model says.
        """
        project = self.session.project
        if project is not None:  # what is not in the viewer is on disk, and shown when its image is
            here = [p for p in predictions if marks.marked(self.viewer, project, p.image, "image")]
            masks.show(self.viewer, project, here, self._mask_look)
            images = seen(self.viewer, project, self.session.current)
            for layer in marks.marked(self.viewer, project, None, "result"):
                mark = marks.mark_of(layer)
                layer.visible = layer.visible and mark is not None and mark.image in images
            self._arrange()  # napari makes a new layer the active one, and so its image that of the moment

    def set_look(self, look: masks.Look) -> None:
        """Change how masks are drawn.

        Parameters
        ----------
        look : Look
            How.
        """
        self.look = look
        if self.session.project is not None:
            masks.apply(self.viewer, self.session.project, self._mask_look, self.session.current)
            masks.apply(self.viewer, self.session.project, look, self.session.current, "live")
            masks.apply(self.viewer, self.session.project, self.objects_look, self.session.current, "objects")
        self.look_changed.emit()

    def _visible(self, role: str) -> bool:
        looks = {"result": self._mask_look, "live": self.look, "objects": self.objects_look}
        return role not in looks or looks[role].visible

    @property
    def _mask_look(self) -> masks.Look:
        return replace(self.look, visible=self.look.visible and not self._instead)

    @property
    def objects_look(self) -> masks.Look:
        """How masks are drawn that show each object in a colour of its own."""
        return replace(self.look, visible=self.look.visible and "live" not in self._instead)

    def hold(self, on: bool) -> None:
        """Hide all that lies over the images but masks and labels for as long as a key is held.

        What lies beside an image covers nothing and stays, so the view does not move.

        Parameters
        ----------
        on : bool
            Whether it is held.
        """
        self._overlays.held = on
        self._arrange()

    def _arrange(self) -> None:
        project = self.session.project
        if project is not None:
            self._overlays.arrange(self.viewer, project, seen(self.viewer, project, self.session.current))

    def follow_brush(self, on: bool) -> None:
        """Let masks make way for live ones, or come back.

        Parameters
        ----------
        on : bool
            Whether live masks are shown.
        """
        self.make_way("live", on)

    def make_way(self, what: str, on: bool) -> None:
        """Let masks make way for what shows the same in another way, or come back.

        Parameters
        ----------
        what : str
            ``live`` or ``objects``.
        on : bool
            Whether that is shown.
        """
        if on != (what in self._instead):
            self._instead ^= {what}
            self.set_look(self.look)

    # ---------------------------------------------------------------- what lies beside the image
    def take_in(self) -> None:
        """Bring what lies beside the current image into view together with it; once it has gone, the view goes back."""
        found = self._lies_beside()
        if found:
            project, id = self.session.needed_project, self.session.current or ""
            for layer in found:
                layer.events.visible.connect(self._turned)
            self._beside.take_in(self.viewer, layers.show_image(self.viewer, project, id), found)

    def _turned(self) -> None:
        """Follow what is hidden and shown beside the image."""
        if not self._lies_beside():
            self._beside.let_go(self.viewer)
        elif not self._beside.taken_in:
            self.take_in()

    def _lies_beside(self) -> list[Layer]:
        project, id = self.session.project, self.session.current
        if project is None or id is None:
            return []
        return [x for role in beside.ROLES for x in marks.marked(self.viewer, project, id, role) if x.visible]
