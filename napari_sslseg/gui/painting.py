"""Painting: the Labels layers one paints on: bound to the project, in its classes, with a key for each."""

import weakref
from typing import Any

from napari.components import ViewerModel
from napari.layers import Image as ImageLayer
from napari.layers import Labels as LabelsLayer
from qtpy.QtCore import QObject, Signal

from napari_sslseg.accepting import Piece
from napari_sslseg.errors import StorageError
from napari_sslseg.gui import layers, marks
from napari_sslseg.gui.foot import say_keys
from napari_sslseg.gui.strokes import Strokes
from napari_sslseg.gui.writer import LabelWriter
from napari_sslseg.session import Session

PUT_BACK = "Its folder is gone: put it back and try again, or close the window, which gives them up"


class Painting(QObject):
    """Keeps the Labels layers and the labels of the project the same."""

    failed = Signal(object)  # an error while labels were written
    painted = Signal(object)  # a Stroke, or what there is of it so far, on its way to the disk
    pressed = Signal()  # the brush: a stroke begins
    lifted = Signal()  # the brush: the stroke is done
    wrote = Signal(object, object)  # a layer, and the index that something was just written to
    accepting = Signal()  # a key asks to accept the object under the cursor
    boxed = Signal()  # a key asks to draw a validation box
    stepped = Signal(int)  # a key asks for the next suggestion, 1, or the one before, -1
    filling = Signal()  # a key asks to fill an outline
    tool_changed = Signal()  # another layer is painted on, or with another tool

    def __init__(self, viewer: ViewerModel, session: Session, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = weakref.ref(viewer)
        self.session = session
        self._strokes: dict[str, Strokes] = {}
        self._writer: LabelWriter | None = None
        self._values: set[int] = set()  # of the classes
        viewer.layers.events.removed.connect(self._removed)
        session.project_changed.connect(self._project_changed)
        session.classes_changed.connect(self._classes_changed)
        session.chosen_changed.connect(self._chosen_changed)
        session.labels_rewritten.connect(self._labels_rewritten)
        session.activity_changed.connect(self._activity_changed)
        session.current_changed.connect(self._tool_changed)

    @property
    def viewer(self) -> ViewerModel:
        """The viewer."""
        viewer = self._viewer()
        assert viewer is not None, "the viewer outlives its layers"
        return viewer

    @property
    def layer(self) -> LabelsLayer | None:
        """The layer to paint on of the current image; None while there is none."""
        strokes = self._strokes.get(self.session.current or "")
        return strokes.layer if strokes is not None else None

    @property
    def drawing(self) -> bool:
        """Whether a stroke is being drawn."""
        return any(strokes.drawing for strokes in self._strokes.values())

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
            metadata = marks.mark(session.project, id, "labels") | layers.class_table(session.project)
            self.flush()  # of a layer that was just closed, some may not be on the disk yet
            unwritten = self._writer.unwritten(id) if self._writer is not None else None
            labels = session.project.labels(id) if unwritten is None else unwritten
            layer = LabelsLayer(labels, name=f"{id} labels", opacity=0.8, metadata=metadata, **said)
            self._bind(layer, id)
            self.viewer.add_layer(layer)
        self.viewer.layers.selection.active = layer
        self.choose(session.chosen or 1)
        return layer

    def note_accepted(self, id: str, piece: Piece) -> None:
        """Let it be known which labels are masks that were accepted.

        Parameters
        ----------
        id : str
            The image.
        piece : Piece
            What of them.
        """
        assert self._writer is not None, "a project has a writer"
        self._writer.note_accepted(id, piece.values, piece.part)

    def bind_image(self, layer: ImageLayer) -> None:
        """Let the keys of classes paint where an image of the project is the active layer, not turn or move it.

        Parameters
        ----------
        layer : napari.layers.Image
            The layer.
        """

        def take_up(layer: ImageLayer, value: int) -> None:
            if marks.belongs(layer, self.session.project) and (value == 0 or self._exists(value)):
                self.annotate()
                self.choose(value)

        for value in range(10):
            layer.bind_key(str(value), lambda layer, v=value: take_up(layer, v), overwrite=True)

    def _bind(self, layer: LabelsLayer, id: str) -> None:
        assert self._writer is not None, "a project has a writer"
        boxes = self.session.needed_project.painted_boxes(id)
        self._strokes[id] = Strokes(layer, id, boxes, self._writer, self)
        self._strokes[id].saved.connect(self.painted)
        self._strokes[id].pressed.connect(self.pressed)
        self._strokes[id].pressed.connect(self._writer.tell_again)
        self._strokes[id].lifted.connect(self.lifted)
        self._strokes[id].wrote.connect(self.wrote)
        layer.events.selected_label.connect(self._label_selected)
        layer.events.mode.connect(self._tool_changed)
        layer.editable = self._editable
        for value in range(1, 10):
            layer.bind_key(str(value), lambda _, v=value: self.choose(v), overwrite=True)
        layer.bind_key("0", lambda _: self.choose(0), overwrite=True)
        layer.bind_key("a", lambda _: self.accepting.emit(), overwrite=True)
        layer.bind_key("v", lambda _: self.boxed.emit(), overwrite=True)
        layer.bind_key("g", lambda _: self.filling.emit(), overwrite=True)
        layer.bind_key("n", lambda _: self.stepped.emit(1), overwrite=True)
        layer.bind_key("p", lambda _: self.stepped.emit(-1), overwrite=True)
        say_keys(layer)
        layer.brush_size = max(3, round(min(layer.data.shape[-2:]) / 120))
        self.tool_changed.emit()

    def choose(self, value: int) -> None:
        """Paint with a class from now on; 0 erases. The layer to paint on, if there is one, becomes the active one.

        Parameters
        ----------
        value : int
            Value of the class.
        """
        if value == 0 or self._exists(value):
            self.session.choose(value)
            self._chosen_changed()
            if self.layer is not None:
                self.viewer.layers.selection.active = self.layer

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

    def _tool_changed(self) -> None:
        self.tool_changed.emit()

    @property
    def _editable(self) -> bool:
        """Whether one can paint: not while the pixels of a class become another one on the disk."""
        return self.session.running != "merge"

    def _activity_changed(self, step: str) -> None:
        if step == "merge":
            for strokes in self._strokes.values():
                strokes.layer.editable = self._editable  # napari forgets what could be undone
            if self._editable:
                self._chosen_changed()

    def _label_selected(self, event: Any) -> None:
        if self._exists(event.source.selected_label):
            self.session.choose(event.source.selected_label)

    def _classes_changed(self) -> None:
        if self.session.project is None:
            return
        was, self._values = self._values, {c.value for c in self.session.project.classes}
        for strokes in self._strokes.values():
            if was - self._values:
                strokes.forget()  # else an undo would bring a class back that is not in the table
            self._show_classes(strokes.layer)

    def _show_classes(self, layer: LabelsLayer) -> None:
        """Give a layer the classes as they are now: to be seen, and in its metadata for whoever gets the layer."""
        project = self.session.needed_project
        for name, value in layers.look(project).items():
            setattr(layer, name, value)
        layer.metadata = {**layer.metadata, **layers.class_table(project)}

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

    def needed_flush(self) -> None:
        """Write what was painted; a StorageError if that cannot be done, for it is held in memory only.

        Raises
        ------
        StorageError
            If something is not on the disk.
        """
        if not self.flush():
            there = self.session.needed_project.path.is_dir()
            raise StorageError(
                "Some strokes of this project are not on the disk yet",
                "They would be lost if another project were opened now",
                "Make room on the disk and try again" if there else PUT_BACK,
            )

    def _labels_rewritten(self, id: str) -> None:
        if self._writer is not None:
            self._writer.forget(id)
        if id in self._strokes and self.session.project is not None:
            project = self.session.project
            self._strokes[id].replace(project.labels(id), project.painted_boxes(id))

    def _written(self, id: str, counts: dict[int, int], when: float) -> None:
        self.session.set_counts(id, counts, when)

    def _project_changed(self) -> None:
        self.flush()
        for strokes in self._strokes.values():
            strokes.release()
        self._strokes.clear()
        self._writer = None
        if self.session.project is not None:
            self._values = {c.value for c in self.session.project.classes}
            self._writer = LabelWriter(self.session.project, self)
            self._writer.written.connect(self._written)
            self._writer.failed.connect(self.failed)
            self.bind_all()
        self.tool_changed.emit()

    def bind_all(self) -> None:
        """Bind the Labels layers of the project that are in the viewer and not bound yet."""
        if self.session.project is None:
            return
        for layer in marks.marked(self.viewer, self.session.project, None, "labels"):
            mark = marks.mark_of(layer)
            if mark is not None and mark.image not in self._strokes:
                self._bind(layer, mark.image)
                self._show_classes(layer)

    def _removed(self, event: Any) -> None:
        for id, strokes in list(self._strokes.items()):
            if strokes.layer is event.value:
                del self._strokes[id]
                strokes.release()
                self.tool_changed.emit()
