"""Live: the masks of what is looked at follow the brush, computed by a Python process of their own."""

from collections.abc import Callable, Iterable
from typing import Any, Protocol

import numpy as np
from napari.layers import Image as ImageLayer
from napari.layers import Labels as LabelsLayer
from qtpy.QtCore import QObject, QTimer, Signal

from napari_sslseg import vast
from napari_sslseg.errors import StoppedError, UserError
from napari_sslseg.gui import layers, marks, masks
from napari_sslseg.gui.canvas import Canvas
from napari_sslseg.gui.process import FOLLOWING, Call, Process
from napari_sslseg.gui.words import explained, in_words
from napari_sslseg.gui.worker import JobWorker
from napari_sslseg.job import Event, Job, Notice, Progress, Stop
from napari_sslseg.overlay import Box, Overlay, Stroke
from napari_sslseg.project import Project
from napari_sslseg.settings import RuntimeConfig

SETTLE = 150  # ms without movement, of the view or of the brush, after which it asks
PATIENCE, LONGEST = 1.0, 8.0  # s that strokes are looked at before an answer, the first one and a later one
MOST = 2048  # px: side of the part of a view that is shown, around its middle


class Answering(Protocol):
    """What answers: the real one in another process, or a scripted one in tests."""

    def refresh(
        self,
        project: Project,
        *,
        id: str,
        z: int,
        box: Box,
        strokes: Iterable[Stroke],
        reread: bool,
        doubts: bool,
        patience: float,
        runtime: RuntimeConfig,
        stop: Stop,
    ) -> Job[Overlay]:
        """Learn from all strokes and say what is where."""

    def start(self) -> None:
        """Get ready."""

    def close(self) -> None:
        """End; it may be started again."""


class RemoteAnswering:
    """`Feedback` in a process of its own, beside that of the jobs, so that it answers while one of them runs."""

    def __init__(self) -> None:
        self._process = Process("napari_sslseg.gui.jobs:LiveJobs", patience=FOLLOWING)

    def refresh(self, project: Project, *, stop: Stop, **arguments: Any) -> Job[Overlay]:
        """Learn from all strokes and say what is where."""
        return self._process.run(Call("refresh", str(project.path.resolve()), arguments), project, stop)

    def start(self) -> None:
        """Start the process, which loads torch."""
        self._process.start()

    def close(self) -> None:
        """End the process."""
        self._process.close()


class Live(QObject):
    """Asks again after each stroke and each move, one question at a time, and shows the newest answer.

    Parameters
    ----------
    canvas : Canvas
        The layers.
    parent : QObject
        Owner.
    answering : Answering, optional
        What answers.
    """

    changed = Signal()  # it was turned on or off, or has something else to say

    def __init__(self, canvas: Canvas, parent: QObject, answering: Answering | None = None) -> None:
        super().__init__(parent)
        self._canvas, self._session = canvas, canvas.session
        self._answering: Answering = answering or RemoteAnswering()
        self.on = False
        self._rests = False  # it was on when the dock was closed
        self.doubts = False  # whether it is shown where the masks are unsure
        self.said = ""  # what is going on, in a few words
        self._strokes: list[Stroke] = []  # painted since the last question
        self._reread = True  # whether what is on the disk is to be read first
        self._again = False
        self._patience = PATIENCE
        self._worker: JobWorker | None = None
        self._shown: Overlay | None = None
        self._moved = QTimer(self)
        self._moved.setSingleShot(True)
        self._moved.setInterval(SETTLE)
        self._moved.timeout.connect(self.ask)
        canvas.painting.painted.connect(self._painted)
        canvas.painting.lifted.connect(self._lifted)
        viewer, session = canvas.viewer, canvas.session
        for event in (viewer.scene.camera.events, viewer.dims.events.current_step, viewer.dims.events.order):
            event.connect(self._move)
        session.current_changed.connect(self._move)
        session.project_changed.connect(self._project_changed)
        session.images_changed.connect(self._images_changed)
        session.labels_rewritten.connect(self._rewritten)
        session.activity_changed.connect(self._ended)

    # ---------------------------------------------------------------- on and off
    def prepare(self) -> None:
        """Start what answers, which takes some seconds: somebody paints, and may soon turn it on."""
        self._answering.start()

    def turn(self, on: bool) -> None:
        """Begin or end to follow the brush.

        Parameters
        ----------
        on : bool
            Whether to.
        """
        self._rests = False
        if on == self.on:
            return
        self.on, self._reread, self.said = on, True, ""
        if on:
            self._canvas.painting.flush()
            self._answering.start()
            self._canvas.follow_brush(True)
            self.ask()
        else:
            if self._worker is not None:
                self._worker.quit()
            self._answering.close()
            if self._canvas.alive:
                self._clear()
                self._canvas.follow_brush(False)
        self.changed.emit()

    def rest(self) -> None:
        """Leave off until `wake`: nobody sees that it is on."""
        on = self.on
        self.turn(False)
        self._rests = on

    def wake(self) -> None:
        """Go on if it was on."""
        if self._rests:
            self.turn(True)

    def show_doubts(self, on: bool) -> None:
        """Show where the masks are unsure, or no longer.

        Parameters
        ----------
        on : bool
            Whether to.
        """
        self.doubts = on
        if not on:
            self._remove("unsure")
        self.ask()
        self.changed.emit()

    def _project_changed(self) -> None:
        self.turn(False)

    def _images_changed(self) -> None:
        """What was painted on an image that is not there any more is not told."""
        project = self._session.needed_project
        self._strokes = [s for s in self._strokes if project.holds(s.image)]

    def _clear(self) -> None:
        self._shown = None
        self._strokes.clear()
        for role in ("live", "unsure"):
            self._remove(role)

    def _remove(self, role: str) -> None:
        project = self._session.project
        if project is not None:
            for layer in marks.marked(self._canvas.viewer, project, None, role):
                self._canvas.viewer.layers.remove(layer)

    # ---------------------------------------------------------------- what makes it ask
    def _painted(self, stroke: Stroke) -> None:
        """Ask, but not while the brush moves: it needs the processor itself."""
        if self.on:
            self._strokes.append(stroke)
            if self._canvas.painting.drawing:
                self._moved.start()
            else:
                self.ask()

    def _lifted(self) -> None:
        if self._strokes:
            self.ask()

    def _move(self) -> None:
        if self.on:
            self._moved.start()

    def _rewritten(self) -> None:
        self._reread = True
        self.ask()

    def _ended(self, step: str) -> None:
        if self.on and step == "learn" and self._session.running is None:  # there is a new encoder
            self.ask()

    # ---------------------------------------------------------------- question and answer
    def ask(self) -> None:
        """Ask for the masks of what is looked at, now or once the question under way is answered."""
        if not self.on:
            return
        self._moved.stop()
        if self._worker is not None:
            self._again = True
            if self._further:
                self._worker.quit()  # what it has looked at by then is known
            return
        self._patience = PATIENCE
        self._ask()

    @property
    def _further(self) -> bool:
        """Whether the question under way is no new one: it looks at strokes that are left."""
        return self._patience > PATIENCE

    def _ask(self) -> None:
        project, id = self._session.project, self._session.current
        if project is None or id is None:
            return
        view = self._canvas.view(MOST)
        if view is None:
            return
        z, box = view
        asked: dict[str, Any] = {"id": id, "z": z, "box": box, "strokes": self._strokes, "reread": self._reread}
        asked |= {"doubts": self.doubts, "patience": self._patience, "runtime": self._session.runtime}
        self._strokes, self._reread, self._again = [], False, False
        self._worker = JobWorker(lambda stop: self._answering.refresh(project, stop=stop, **asked))
        self._worker.spoke.connect(self._heard)
        self._worker.returned.connect(self._returned)
        self._worker.errored.connect(self._errored)
        self._worker.start()

    def _say(self, text: str) -> None:
        if text != self.said:
            self.said = text
            self.changed.emit()

    def _heard(self, event: Event) -> None:
        if self.on and (isinstance(event, Notice) or (isinstance(event, Progress) and event.fraction < 1)):
            share = event.fraction if isinstance(event, Progress) else 0.0
            self._say(in_words(event.text) + (f", {share:.0%}" if share else ""))

    def _returned(self, overlay: Overlay) -> None:
        self._worker = None
        if not self.on:
            return
        if overlay.labels is not None:
            if overlay.known == 1:
                self._say("")
            if self._session.project is not None and self._session.project.holds(overlay.image):
                self._show(self._session.project, overlay)
        elif not self._further:
            self._say("paint two classes to see masks")
        if self._again:
            self.ask()
        elif overlay.known < 1:
            self._patience = min(2 * self._patience, LONGEST)
            self._ask()

    def _errored(self, error: Exception) -> None:
        self._worker = None
        if not self.on:
            return
        self._reread = True  # whatever was under way, the next question says all
        if isinstance(error, UserError):
            if not isinstance(error, StoppedError):  # it was turned off and on again
                self._say(explained(error))
            if self._again:
                self.ask()
        else:
            self.turn(False)
            self._say(f"Live ended: {error}")

    # ---------------------------------------------------------------- the layers
    def _show(self, project: Project, overlay: Overlay) -> None:
        before = self._shown
        if before is not None and before[:3] == overlay[:3]:
            before = None  # it is painted over
        self._put(self._masks(project, overlay), overlay, overlay.labels, before)
        if overlay.unsure is not None and self.doubts:
            self._put(self._doubts(project, overlay.image), overlay, overlay.unsure, before)
        self._shown = overlay._replace(labels=None, unsure=None)

    def _put(self, layer: Any, overlay: Overlay, values: Any, before: Overlay | None) -> None:
        if before is not None and before.image == overlay.image:
            _part(layer.data, before)[...] = 0
        _part(layer.data, overlay)[...] = values
        layer.refresh()

    def _masks(self, project: Project, overlay: Overlay) -> Any:
        shape, kind = project.entry(overlay.image).shape, masks.of_classes(project, overlay.labels)

        def make(geometry: dict[str, Any]) -> LabelsLayer:
            layer = LabelsLayer(vast.zeros(shape, kind), name=f"{overlay.image} live", **geometry)
            masks.colour(layer, project)
            masks.style(layer, self._canvas.look)
            return layer

        layer = self._layer(project, overlay.image, "live", "image", make)
        if layer.data.dtype.itemsize < kind.itemsize:
            layer.data = vast.zeros(shape, kind)  # nothing is lost: what is looked at is answered anew
        return layer

    def _doubts(self, project: Project, id: str) -> Any:
        def make(geometry: dict[str, Any]) -> ImageLayer:
            values = vast.zeros(project.entry(id).shape, np.float32)
            return ImageLayer(values, name=f"{id} unsure", **masks.UNSURE, **geometry)

        return self._layer(project, id, "unsure", "live", make)

    def _layer(self, project: Project, id: str, role: str, over: str, make: Callable[[dict[str, Any]], Any]) -> Any:
        """The layer of a role, made if need be and put over others of its image; the brush stays in the hand."""
        viewer = self._canvas.viewer
        found = marks.marked(viewer, project, id, role)
        if found:
            return found[0]
        active = viewer.layers.selection.active
        layer = make(layers.geometry(layers.show_image(viewer, project, id)[0]))
        layer.metadata = marks.mark(project, id, role)
        viewer.layers.insert(viewer.layers.index(marks.marked(viewer, project, id, over)[-1]) + 1, layer)
        if active is not None:
            viewer.layers.selection.active = active
        return layer

    # ---------------------------------------------------------------- the end
    def close(self) -> None:
        """End it: nobody looks any more."""
        self.turn(False)
        self._answering.close()

    def wait(self, seconds: float) -> bool:
        """Block until no question is under way, at most so long, and tell whether that is so."""
        return self._worker is None or self._worker.wait(seconds)


def _part(whole: Any, overlay: Overlay) -> Any:
    """The part of all masks of an image that an overlay is of."""
    plane = whole[overlay.z] if whole.ndim == 3 else whole
    return plane[overlay.box.slices]
