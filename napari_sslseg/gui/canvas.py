"""Canvas: the layers of one viewer that belong to the project: images, labels being painted, masks."""

import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Labels as LabelsLayer
from napari.layers import Layer
from qtpy.QtCore import QObject, QTimer, Signal

from napari_sslseg.gui import layers, marks, masks
from napari_sslseg.gui.strokes import Strokes
from napari_sslseg.gui.writer import LabelWriter
from napari_sslseg.prediction import Prediction
from napari_sslseg.session import Session


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

    failed = Signal(object)  # an error while labels were written
    met = Signal(object)  # path of the project of a layer that was added, which is not the open one
    layers_changed = Signal()

    def __init__(self, viewer: ViewerModel, session: Session, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = weakref.ref(viewer)
        self.session = session
        self.look = masks.Look()
        self._strokes: dict[str, Strokes] = {}
        self._writer: LabelWriter | None = None
        self._met: Path | None = None  # project of a layer that somebody else added
        self._later = QTimer(self)  # a layer list is not changed while it tells of a change
        self._later.setSingleShot(True)
        self._later.timeout.connect(self._adopt)
        viewer.layers.events.inserted.connect(self._inserted)
        viewer.layers.events.removed.connect(self._removed)
        viewer.layers.selection.events.active.connect(self.follow)
        session.project_changed.connect(self._project_changed)
        session.classes_changed.connect(self._classes_changed)
        session.chosen_changed.connect(self._chosen_changed)
        session.labels_rewritten.connect(self._labels_rewritten)

    @property
    def viewer(self) -> ViewerModel:
        """The viewer."""
        viewer = self._viewer()
        assert viewer is not None, "the viewer outlives its canvas"
        return viewer

    # ---------------------------------------------------------------- painting
    def annotate(self) -> LabelsLayer | None:
        """Give the current image a Labels layer to paint on, with what was painted before.

        Returns
        -------
        napari.layers.Labels or None
            The layer, active and ready to paint; None where there is no image.
        """
        session = self.session
        if session.project is None or session.current is None:
            return None
        id = session.current
        if id in self._strokes:
            layer = self._strokes[id].layer
        else:
            below = layers.show_image(self.viewer, session.project, id)[0]
            said = layers.geometry(below) | layers.look(session.project)
            metadata = marks.mark(session.project, id, "labels")
            labels = session.project.labels(id)
            layer = LabelsLayer(labels, name=f"{id} labels", opacity=0.8, metadata=metadata, **said)
            self._bind(layer, id)
            self.viewer.add_layer(layer)
        self.viewer.layers.selection.active = layer
        self.choose(session.chosen or 1)
        return layer

    def _bind(self, layer: LabelsLayer, id: str) -> None:
        assert self._writer is not None, "a project has a writer"
        self._strokes[id] = Strokes(layer, id, self._writer, self)
        layer.events.selected_label.connect(self._label_selected)
        for value in range(1, 10):
            layer.bind_key(str(value), lambda _, v=value: self.choose(v), overwrite=True)
        layer.bind_key("0", lambda _: self.choose(0), overwrite=True)
        layer.brush_size = max(3, round(min(layer.data.shape[-2:]) / 120))

    def choose(self, value: int) -> None:
        """Paint with a class from now on; 0 erases.

        Parameters
        ----------
        value : int
            Value of the class.
        """
        if value == 0 or self._exists(value):
            self.session.choose(value)
            self._chosen_changed()

    def _exists(self, value: int) -> bool:
        project = self.session.project
        if project is None:
            return False
        return project.task == "instance" or any(c.value == value for c in project.classes)

    def _chosen_changed(self) -> None:
        strokes = self._strokes.get(self.session.current or "")
        if strokes is None:
            return
        value = self.session.chosen
        if value == 0:
            strokes.layer.mode = "erase"
        else:
            strokes.layer.selected_label = value
            if strokes.layer.mode in ("erase", "pan_zoom", "pick", "transform"):
                strokes.layer.mode = "paint"

    def _label_selected(self, event: Any) -> None:
        if self._exists(event.source.selected_label):
            self.session.choose(event.source.selected_label)

    def _classes_changed(self) -> None:
        if self.session.project is None:
            return
        for strokes in self._strokes.values():
            for name, value in layers.look(self.session.project).items():
                setattr(strokes.layer, name, value)
        masks.recolour(self.viewer, self.session.project)

    # ---------------------------------------------------------------- nothing is lost
    def flush(self) -> bool:
        """Write what was painted and wait until it is on disk.

        Returns
        -------
        bool
            Whether it is.
        """
        for strokes in self._strokes.values():
            strokes.save()
        return self._writer is None or self._writer.flush()

    def _labels_rewritten(self, id: str) -> None:
        if id in self._strokes and self.session.project is not None:
            self._strokes[id].replace(self.session.project.labels(id))

    def _written(self, id: str, counts: dict[int, int], when: float) -> None:
        self.session.set_counts(id, counts, when)

    def _not_written(self, error: Exception, id: str, region: Any) -> None:
        if id in self._strokes:
            self._strokes[id].keep(region)
        self.failed.emit(error)

    def _project_changed(self) -> None:
        self.flush()
        for strokes in self._strokes.values():
            strokes.release()
        self._strokes.clear()
        self._writer = None
        for layer in marks.foreign(self.viewer, self.session.project):
            self.viewer.layers.remove(layer)
        if self.session.project is not None:
            self._writer = LabelWriter(self.session.project, self)
            self._writer.written.connect(self._written)
            self._writer.failed.connect(self._not_written)
            self._bind_all()

    # ---------------------------------------------------------------- layers come and go
    def _inserted(self, event: Any) -> None:
        self.meet(event.value)
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
            self._met = Path(mark.project)
            self._later.start(0)

    def _adopt(self) -> None:
        if self._met is not None and self.session.running is None:
            path, self._met = self._met, None
            if self.session.project is None or self.session.project.path.resolve() != path:
                self.met.emit(path)
            self._bind_all()

    def _bind_all(self) -> None:
        if self.session.project is None:
            return
        for layer in marks.marked(self.viewer, self.session.project, None, "labels"):
            mark = marks.mark_of(layer)
            if mark is not None and mark.image not in self._strokes:
                self._bind(layer, mark.image)

    def _removed(self, event: Any) -> None:
        for id, strokes in list(self._strokes.items()):
            if strokes.layer is event.value:
                del self._strokes[id]
                strokes.release()
        self.layers_changed.emit()

    def follow(self) -> None:
        """Make the image of the active layer the current one."""
        layer: Layer | None = self.viewer.layers.selection.active
        mark = marks.mark_of(layer) if layer is not None else None
        project = self.session.project
        if mark and project and mark.project == str(project.path.resolve()):
            self.session.select(mark.image)

    # ---------------------------------------------------------------- images and results
    def show_current(self, *, fit: bool = False) -> None:
        """Show the current image, and hide the other images of the project with all that lies on them.

        Parameters
        ----------
        fit : bool, optional
            Whether the view is fitted to the image.
        """
        project, id = self.session.project, self.session.current
        if project is None or id is None:
            return
        shown = layers.show_image(self.viewer, project, id)
        if id in self.session.predicted and not marks.marked(self.viewer, project, id, "result"):
            kept = project.prediction(id)
            if kept is not None:
                self.show([Prediction(id, kept)])
        for layer in self.viewer.layers:
            mark = marks.mark_of(layer)
            if mark is not None and mark.role != "probability":
                layer.visible = mark.image == id and (mark.role != "result" or self.look.visible)
        if self.viewer.layers.selection.active not in marks.marked(self.viewer, project, id, "labels"):
            self.viewer.layers.selection.active = shown[0]
        if fit:
            whole = all(layer.ndim == self.viewer.dims.ndim for layer in shown)  # else napari cannot fit to them
            self.viewer.reset_view(layers=shown if whole else None)

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

    def show(self, predictions: Sequence[Prediction]) -> None:
        """Show masks, in the layers that showed them before where there are such.

        Parameters
        ----------
        predictions : sequence of Prediction
            What a model says.
        """
        if self.session.project is not None:
            masks.show(self.viewer, self.session.project, predictions, self.look)

    def set_look(self, look: masks.Look) -> None:
        """Change how masks are drawn.

        Parameters
        ----------
        look : Look
            How.
        """
        self.look = look
        if self.session.project is not None:
            masks.apply(self.viewer, self.session.project, look)
