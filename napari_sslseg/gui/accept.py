"""Accept: masks become labels, in the layer that one paints on, as far as nobody painted there."""

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from napari.layers import Labels as LabelsLayer
from qtpy.QtCore import QObject, Signal
from qtpy.QtGui import QKeySequence

from napari_sslseg import vast
from napari_sslseg.accepting import Filling, Outcome, Part, Piece, fill_classes
from napari_sslseg.errors import UserError
from napari_sslseg.gui import marks
from napari_sslseg.gui.desk import Desk
from napari_sslseg.gui.pick import Pick
from napari_sslseg.gui.takeback import Takeback
from napari_sslseg.gui.telling import tell, telling
from napari_sslseg.gui.turns import Turns
from napari_sslseg.new_objects import fill_objects, piece_around
from napari_sslseg.refinement_file import check_applied

LABEL = 4  # bytes of memory a painted pixel takes
WHOLE = 10**9  # px: the view is not cut


def accept_of(desk: Desk) -> "Accept":
    """Return what accepts masks at a desk; there is one for each, however often its dock is closed and opened.

    Parameters
    ----------
    desk : Desk
        The desk.

    Returns
    -------
    Accept
        The one.
    """
    found: Accept | None = desk.findChild(Accept)
    return found or Accept(desk)


class Accept(QObject):
    """Says what of the masks that are shown is to be written, and has it written.

    Parameters
    ----------
    desk : Desk
        The desk, its owner.
    """

    changed = Signal()  # it is further, done, or has something else to say

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._desk, self._canvas, self._session = desk, desk.canvas, desk.session
        self.said = ""
        self._stopped = False
        self.turns = Turns(self)
        self.turns.changed.connect(self.changed)
        self.turns.failed.connect(tell)
        self._takeback = Takeback(self._canvas.painting, self.turns)
        self._takeback.replayed.connect(self._replayed)
        self._takeback.accepted.connect(self._accepted)
        self._canvas.painting.accepting.connect(self.here)
        self.pick = Pick(self._canvas, self)
        self.pick.changed.connect(self.changed)
        self.pick.picked.connect(self.object_at)
        self._session.project_changed.connect(self._project_changed)
        self._session.activity_changed.connect(self._activity_changed)

    # ---------------------------------------------------------------- what is asked for
    def view(self) -> None:
        """Accept what is seen of the plane that is looked at."""
        self._begin(lambda masks, labels: self._plane(masks, labels, seen=True))

    def plane(self) -> None:
        """Accept the plane that is looked at."""
        self._begin(lambda masks, labels: self._plane(masks, labels, seen=False))

    def image(self) -> None:
        """Accept all masks of the current image."""
        if self._desk.live.on:
            error = UserError("Live shows masks of what you look at only", "All of the image needs all of its masks")
            return tell(error)
        self._begin(self._everything)

    def here(self) -> None:
        """Accept the object under the cursor."""
        self.object_at(self._canvas.viewer.cursor.position)

    def object_at(self, position: Any) -> None:
        """Accept one object.

        Parameters
        ----------
        position : sequence of float
            A place on it, in the coordinates of the viewer.
        """
        self._begin(lambda masks, labels: self._one(masks, labels, position))

    def stop(self) -> None:
        """Accept no more; what was accepted stays, and can be taken back."""
        self._stopped = self.turns.busy
        self.pick.wait(False)

    def _begin(self, make: Callable[[Any, Any], Filling]) -> None:
        with telling():
            if not self._desk.ready() or self._session.current is None:
                return
            if self._session.running == "result":
                raise UserError("The masks are being made", "They can be accepted when they are there")
            masks, layer = self._masks().data, self._labels()
            self.turns.add(self._accept(self._session.current, layer, make(masks, np.asarray(layer.data))))

    def _masks(self) -> LabelsLayer:
        """The masks that are shown."""
        role = "live" if self._desk.live.on else "result"
        found = marks.marked(self._canvas.viewer, self._session.needed_project, self._session.current, role)
        if not found:
            raise UserError("There are no masks here yet", "They are made by predicting", "Press ▶ This plane first")
        layer: LabelsLayer = found[0]
        objects = marks.marked(self._canvas.viewer, self._session.needed_project, self._session.current, "objects")
        if not any(x.visible for x in (layer, *objects)):
            raise UserError("The masks are hidden", "Only masks that you see are accepted", "Tick “show” first")
        return layer

    def _labels(self) -> LabelsLayer:
        """The layer to paint on, with the tool in the hand that was there."""
        found = marks.marked(self._canvas.viewer, self._session.needed_project, self._session.current, "labels")
        tool = found[0].mode if found else "pan_zoom"
        layer = self._canvas.painting.annotate()
        assert layer is not None, "there is an image"
        layer.mode = tool
        return layer

    # ---------------------------------------------------------------- what to write
    def _everything(self, masks: Any, labels: Any) -> Filling:
        if masks.ndim == 3:
            check_applied(self._session.needed_project)
        box = tuple(slice(0, n) for n in masks.shape)
        _check_room(self._session.current or "", box)
        return self._fill(masks, labels, box)

    def _plane(self, masks: Any, labels: Any, *, seen: bool) -> Filling:
        view = self._canvas.view(WHOLE)
        if view is None:
            raise UserError("Nothing of the image is in view", "Masks that you see are accepted")
        z, (top, left, bottom, right) = view
        box = self._shown(masks, z)
        if seen:
            box = (*box[:-2], _both(box[-2], top, bottom), _both(box[-1], left, right))
        _check_room(self._session.current or "", box)
        return self._fill(masks, labels, box)

    def _one(self, masks: Any, labels: Any, position: Any) -> Filling:
        at = tuple(round(float(c)) for c in self._masks().world_to_data(position))
        if not all(0 <= c < n for c, n in zip(at, masks.shape, strict=True)) or masks[at] < 2:
            raise UserError("There is no object here", "One is found under the cursor", "Point at a mask")
        plane = at[0] if len(at) == 3 else 0
        box = self._shown(masks, plane)
        if self._session.needed_project.task == "instance":
            return self._fill(masks, labels, box, at=at)
        part, wanted = piece_around(masks, at)
        return self._fill(masks, labels, (*box[:-2], *part), wanted=wanted)

    def _shown(self, masks: Any, z: int) -> Part:
        """All of a plane, or the part of it that live masks cover."""
        sides = [slice(0, n) for n in masks.shape[-2:]]
        if self._desk.live.on:
            plane = masks[z] if masks.ndim == 3 else masks
            covered = [np.flatnonzero(plane.any(axis)) for axis in (1, 0)]
            sides = [slice(int(c[0]), int(c[-1]) + 1) if len(c) else slice(0, 0) for c in covered]
        return (slice(z, z + 1), *sides) if masks.ndim == 3 else tuple(sides)

    def _fill(self, masks: Any, labels: Any, box: Part, *, at: Any = None, wanted: Any = None) -> Filling:
        project = self._session.needed_project
        boxes = project.regions(self._session.current or "")
        if project.task == "instance":
            timed = project.entry(self._session.current or "").timed
            return fill_objects(labels, masks, box, boxes, above=self._session.chosen, at=at, timed=timed)
        self._canvas.painting.flush()  # what was accepted just now is read from the disk
        accepted = project.accepted(self._session.current or "")
        return fill_classes(labels, masks, box, [c.value for c in project.classes], boxes, wanted, accepted)

    # ---------------------------------------------------------------- having it written
    def _accept(self, id: str, layer: LabelsLayer, filling: Filling) -> Iterator[float]:
        data, change, pixels, last = layer.data, None, 0, 0
        outcome: Outcome | None = None
        self._stopped = False
        while not self._stopped and layer.data is data and self._there(layer):
            try:
                share, piece = next(filling)
            except StopIteration as end:
                outcome = end.value
                break
            if piece is not None:
                change = self._takeback.write(layer, piece, change)
                pixels, last = pixels + int(np.count_nonzero(piece.values)), max(last, int(piece.values.max()))
            yield share
        self._stopped = False
        layer.refresh()
        if last > 1 and self._session.needed_project.task == "instance":  # the next number must not wait for the disk
            counts = self._session.tally.counts.get(id, {})
            self._session.set_counts(id, {**counts, last: counts.get(last, 0) + 1}, time.time())
        undo = QKeySequence(QKeySequence.StandardKey.Undo).toString(QKeySequence.SequenceFormat.NativeText)
        stopped = "Stopped. " if outcome is None else ""
        self.said = f"{stopped}{outcome or Outcome(pixels)}" + (f"\n{undo} takes it back" if pixels else "")

    def _there(self, layer: LabelsLayer) -> bool:
        return self._canvas.alive and layer in self._canvas.viewer.layers

    def _accepted(self, layer: LabelsLayer, piece: Piece) -> None:
        """Let it be known what nobody painted; of objects each counts as one, whoever painted it."""
        mark = marks.mark_of(layer)
        if mark is not None and self._session.needed_project.task == "semantic":
            self._canvas.painting.note_accepted(mark.image, piece)

    def _replayed(self, back: bool) -> None:
        self.said = "Taken back" if back else "Accepted again"

    # ---------------------------------------------------------------- what ends it
    def _project_changed(self) -> None:
        self._takeback.forget()
        self.pick.wait(False)
        self.said = ""
        self.turns.drop()

    def _activity_changed(self, step: str) -> None:
        if step == "result":  # other masks come
            self.stop()


def _both(side: slice, first: int, last: int) -> slice:
    start = max(side.start, first)
    return slice(start, max(start, min(side.stop, last)))


def _check_room(id: str, box: Part) -> None:
    """Refuse to accept more than memory holds: what is painted is there, and once more as it is on the disk."""
    pixels, free = math.prod(s.stop - s.start for s in box), vast.free()
    if LABEL * pixels > free:
        raise UserError(
            f"Masks of {pixels / 1e6:,.0f} million pixels of {id} would become labels, which take "
            f"{LABEL * pixels / 2**30:.1f} GiB of memory",
            f"This machine has {free / 2**30:.1f} GiB left",
            "Accept less: What I see, or a plane after the other; or export the masks, they are on the disk",
        )
