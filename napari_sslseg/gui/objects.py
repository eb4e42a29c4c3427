"""Objects: what is measured of the masks that are shown, and which object is chosen, in the table or in the image."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Shapes
from qtpy.QtCore import QObject, QTimer, Signal

from napari_sslseg import vast
from napari_sslseg.errors import StoppedError
from napari_sslseg.gui import layers, marks
from napari_sslseg.gui.adjusting import Adjusting
from napari_sslseg.gui.desk import Desk
from napari_sslseg.gui.telling import tell, telling
from napari_sslseg.gui.worker import JobWorker
from napari_sslseg.measuring import Table, write_table

SETTLE = 150  # ms after a change of the masks until they are measured
AROUND = 1.0  # px between an object and the box drawn around it
COLOUR = "#ffffff"
STACK = "All of this stack is too large to be measured at once. Without “all {}” the plane you look at is measured"
PLANE = "This plane is too large to be measured at once. Use a part of it as an image: Only this region, in step 1"


class Objects(QObject):
    """Measures the masks that are shown whenever they change, as long as somebody looks at the table.

    Parameters
    ----------
    desk : Desk
        The desk, which owns it.
    """

    changed = Signal()  # there is another table, or something else to say
    chosen_changed = Signal()

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._desk, self._session, self._canvas = desk, desk.session, desk.canvas
        self._adjusting = Adjusting.of(desk)
        self.table: Table | None = None
        self.chosen: int | None = None  # row of the table
        self._chosen_planes: bool | None = None  # whether all planes of a stack, if somebody said so
        self.said = ""
        self.open = False
        self._of: tuple[Any, str, int | None] | None = None  # layer, image and plane of the table
        self._measured: tuple[Path, dict[str, Any]] | None = None  # what the table says
        self._worker: JobWorker | None = None
        self._again = False
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(SETTLE)
        self._later.timeout.connect(self.measure)
        self._adjusting.shown.connect(self._soon)
        self._session.activity_changed.connect(self._soon)
        self._session.current_changed.connect(self._soon)
        self._session.project_changed.connect(self._soon)
        self._canvas.layers_changed.connect(self._layers_changed)
        self._canvas.viewer.dims.events.current_step.connect(self._moved)

    @classmethod
    def of(cls, desk: Desk) -> "Objects":
        """Return the one of a desk, which is made by whoever asks first."""
        found = desk.findChild(cls)
        return found if found is not None else cls(desk)

    def look(self, on: bool) -> None:
        """Tell whether somebody looks at the table.

        Parameters
        ----------
        on : bool
            Whether somebody does.
        """
        if on == self.open:
            return
        self.open = on
        if not self._canvas.alive:
            return
        callbacks = self._canvas.viewer.mouse_drag_callbacks
        if on:
            callbacks.append(self._pressed)
            self.measure()
        else:
            callbacks.remove(self._pressed)
            self._later.stop()
            self._remove()
            self._adjusting.rest()

    def follow(self, all_planes: bool) -> None:
        """Choose between the plane that is looked at and the whole stack.

        Parameters
        ----------
        all_planes : bool
            Whether to measure the stack.
        """
        self._chosen_planes = all_planes
        self.measure()

    @property
    def all_planes(self) -> bool:
        """Whether the objects of a stack are followed through its planes, as they are where it was predicted whole.

        Of a time series, whether those of all frames are measured.
        """
        return self.deep and (self._adjusting.whole if self._chosen_planes is None else self._chosen_planes)

    @property
    def deep(self) -> bool:
        """Whether there is a stack whose objects may be followed through its planes, or a time series."""
        layer, project = self._adjusting.masks(), self._session.project
        stack = layer is not None and layer.ndim == 3
        return stack and project is not None and (project.task == "semantic" or self._adjusting.whole or self.timed)

    @property
    def timed(self) -> bool:
        """Whether it is a time series, whose objects are of one frame each."""
        project, id = self._session.project, self._session.current
        return project is not None and id is not None and project.entry(id).timed

    # ---------------------------------------------------------------- measuring
    @property
    def busy(self) -> bool:
        """Whether a measurement is under way or about to begin."""
        return self._worker is not None or self._later.isActive()

    def _soon(self) -> None:
        if self.open:
            self._later.start()

    def _layers_changed(self) -> None:
        if self._of is None or self._of[0] is not self._adjusting.masks():
            self._soon()

    def _moved(self) -> None:
        if self._of is None or self._of[2] is not None:
            self._soon()

    def measure(self) -> None:
        """Measure what is shown, now or once the last measurement is done."""
        if self._worker is not None:
            self._again = True
            return
        self._again = False
        if not self.open or not self._canvas.alive:
            return
        layer, project, id = self._adjusting.masks(), self._session.project, self._session.current
        if layer is None or project is None or id is None:
            self._take(None, None, "There are no masks yet: predict first")
            return
        z = None if layer.ndim == 2 or self.all_planes else self._adjusting.plane()
        shape = project.entry(id).shape
        if vast.large(shape if z is None else shape[-2:]):
            large = STACK.format("times" if self.timed else "planes")
            self._take(None, None, PLANE if vast.large(shape[-2:]) else large)
            return
        refiner, asked = self._adjusting.refiner, {"id": id, "z": z, **self._adjusting.asked}
        if self.table is not None and (project.path, asked) == self._measured:
            return
        self._measured = project.path, asked
        self._worker = JobWorker(lambda stop: refiner.measure(project, stop=stop, **asked))
        self._worker.returned.connect(lambda table: self._returned(table, (layer, id, z)))
        self._worker.errored.connect(self._errored)
        self._worker.start()
        self.said = "measuring…"
        self.changed.emit()

    def _returned(self, table: Table | None, of: tuple[Any, str, int | None]) -> None:
        self._worker = None
        if self._again:
            self.measure()
        elif table is None:
            self._take(None, None, "There are no masks of this plane yet: predict it first")
        elif self.open:
            found = f"{len(table)} object{'s' * (len(table) != 1)} in {of[1]}"
            self._take(table, of, found + (f", plane {of[2]}" if of[2] is not None else ""))

    def _errored(self, error: Exception) -> None:
        self._worker = None
        self._take(None, None, "")
        if not isinstance(error, StoppedError):
            tell(error)

    def _take(self, table: Table | None, of: tuple[Any, str, int | None] | None, said: str) -> None:
        before, same = self._box(), self._of == of
        self.table, self._of, self.said = table, of, said
        chosen = None
        if table is not None and same and before is not None:  # it may have another number now
            chosen = next(iter(np.flatnonzero((table.boxes == before).all((1, 2)))), None)
        self._choose(None if chosen is None else int(chosen))
        self.changed.emit()

    def _box(self) -> Any:
        """The box of the chosen object."""
        return self.table.boxes[self.chosen] if self.table is not None and self.chosen is not None else None

    def save(self, path: Path) -> None:
        """Write the table as a CSV file.

        Parameters
        ----------
        path : Path
            The file.
        """
        if self.table is not None and self._of is not None:
            with telling():
                write_table(path, {self._of[1]: self.table})

    # ---------------------------------------------------------------- the chosen object
    def choose(self, row: int | None, *, go: bool = False) -> None:
        """Choose an object and draw a box around it.

        Parameters
        ----------
        row : int, optional
            Its row; None for none.
        go : bool, optional
            Whether to bring it into the middle of the view.
        """
        if row != self.chosen:
            self._choose(row, go=go)
            self.chosen_changed.emit()

    def _choose(self, row: int | None, *, go: bool = False) -> None:
        self.chosen = row
        if self._canvas.alive:
            self._remove()
            if row is not None:
                self._draw(row, go)

    def _draw(self, row: int, go: bool) -> None:
        if self.table is None or self._of is None:
            return
        viewer, (layer, id, plane) = self._canvas.viewer, self._of
        first, last = self.table.boxes[row]
        z = plane if len(first) == 2 else int(first[0] + last[0] - 1) // 2
        corners = layers.corners((first[-2], last[-2]), (first[-1], last[-1]), z if layer.ndim == 3 else None)
        corners[:, -2:] += np.sign(corners[:, -2:] - corners[:, -2:].mean(0)) * AROUND
        if go:
            place = np.asarray(layer.data_to_world(corners.mean(0)))
            if layer.ndim == 3:
                viewer.dims.set_point(viewer.dims.ndim - 3, place[0])
            viewer.scene.camera.center = (*viewer.scene.camera.center[:-2], *place[-2:])
        active = viewer.layers.selection.active
        metadata = marks.mark(self._session.needed_project, id, "object")
        width = max(0.5, float((last - first)[-2:].max()) / 50)
        look = {"edge_color": COLOUR, "face_color": "transparent", "edge_width": width}
        box = Shapes(
            [corners], shape_type="polygon", name="object", metadata=metadata, **look, **layers.geometry(layer)
        )
        viewer.add_layer(box)
        box.editable = False
        viewer.layers.selection.active = active

    def _remove(self) -> None:
        project = self._session.project
        for box in marks.marked(self._canvas.viewer, project, None, "object") if project is not None else ():
            self._canvas.viewer.layers.remove(box)

    def _pressed(self, viewer: Any, event: Any) -> Iterator[None]:
        """A click, not a drag, on an object chooses its row."""
        at = event.position
        yield
        while event.type == "mouse_move":
            yield
        if np.allclose(at, event.position) and getattr(viewer.layers.selection.active, "mode", "") in ("", "pan_zoom"):
            self.pick(at)

    def pick(self, position: Any) -> None:
        """Choose the object at a place.

        Parameters
        ----------
        position : sequence of float
            The place, in the coordinates of the viewer.
        """
        if self.table is None or self._of is None:
            return
        numbered, layer = self.table.numbered, self._of[0]
        at = np.round(layer.world_to_data(position)).astype(int)[-numbered.ndim :]
        if (at >= 0).all() and (at < numbered.shape).all() and numbered[tuple(at)]:
            self.choose(int(numbered[tuple(at)]) - 1)
