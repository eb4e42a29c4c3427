"""Takeback: large changes of labels in napari's undo history, in which they take hardly any room."""

import weakref
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from napari.layers import Labels as LabelsLayer
from qtpy.QtCore import QObject, Signal

from napari_sslseg.accepting import Kept, Piece
from napari_sslseg.gui.painting import Painting
from napari_sslseg.gui.turns import Turns

STEPS = 100  # that can be taken back: as many as napari keeps


@dataclass(eq=False)
class Change:
    """What was written at once.

    napari keeps one pixel of it, so that undo and redo meet it in its turn among the strokes. In napari's own history
    all of it would take some 20 bytes a pixel, and an undo would hold up the window.

    Parameters
    ----------
    layer : weakref.ref
        The layer.
    marker : tuple of numpy.ndarray
        Index of the pixel that napari keeps.
    before, value : int
        What was there, and what was written.
    pieces : list of Kept
        All pixels, packed.
    """

    layer: "weakref.ref[LabelsLayer]"
    marker: tuple[Any, ...]
    before: int
    value: int
    pieces: list[Kept] = field(default_factory=list)
    done: bool = True  # it is not taken back


class Takeback(QObject):
    """Follows napari's undo and redo with the pixels that napari does not keep.

    Parameters
    ----------
    painting : Painting
        Tells what is written to the layers.
    turns : Turns
        Does the work.
    """

    replayed = Signal(bool)  # a change was taken back, True, or brought back
    accepted = Signal(object, object)  # a layer, and the piece that nobody painted in it

    def __init__(self, painting: Painting, turns: Turns) -> None:
        super().__init__(turns)
        self._turns = turns
        self._changes: deque[Change] = deque(maxlen=STEPS)
        self._marks = False  # whether a marker is being written, which is no undo or redo of another one
        painting.wrote.connect(self._wrote)

    def write(self, layer: LabelsLayer, piece: Piece, change: Change | None = None) -> Change:
        """Write a piece where nobody painted.

        Parameters
        ----------
        layer : napari.layers.Labels
            The layer, bound to the project.
        piece : Piece
            What to write.
        change : Change, optional
            What it belongs to; a new step to take back if not given.

        Returns
        -------
        Change
            What it belongs to.
        """
        if change is None:
            first = np.unravel_index(int(np.flatnonzero(piece.values)[0]), piece.values.shape)
            marker = tuple(np.array([int(i) + p.start]) for i, p in zip(first, piece.part, strict=True))
            change = Change(weakref.ref(layer), marker, int(layer.data[marker][0]), int(piece.values[first]))
            self._marks = True
            try:
                layer.data_setitem(marker, change.value, refresh=False)
            finally:
                self._marks = False
            self._changes.append(change)
        change.pieces.append(Kept.of(piece))
        layer.data[piece.part] = np.where(piece.values > 0, piece.values, np.asarray(layer.data)[piece.part])
        self.accepted.emit(layer, piece)
        return change

    def forget(self) -> None:
        """Take nothing back any more: there is another project."""
        self._changes.clear()

    def _wrote(self, layer: LabelsLayer, key: Any) -> None:
        if self._marks or not (
            isinstance(key, tuple) and all(isinstance(k, np.ndarray) and k.shape == (1,) for k in key)
        ):
            return  # neither napari's undo nor its redo of a marker
        now = int(layer.data[key][0])
        for change in reversed(self._changes):
            met = change.layer() is layer and np.array_equal(change.marker, key)
            if met and now == (change.before if change.done else change.value):
                self._turns.add(self._replay(layer, change, back=change.done))
                change.done = not change.done
                return

    def _replay(self, layer: LabelsLayer, change: Change, *, back: bool) -> Iterator[float]:
        for k, kept in enumerate(change.pieces):
            piece = kept.piece(back=back)
            layer.data[piece.part] = piece.over(np.asarray(layer.data)[piece.part])
            self.accepted.emit(layer, piece)
            yield (k + 1) / len(change.pieces)
        layer.refresh()
        self.replayed.emit(back)
