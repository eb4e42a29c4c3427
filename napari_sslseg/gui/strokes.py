"""Strokes: what is painted on a bound Labels layer goes to the project at once, only where it changed."""

import threading
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.layers import Labels as LabelsLayer
from qtpy.QtCore import QObject, QThread, QTimer, Signal

from napari_sslseg.gui.saved import Saved
from napari_sslseg.gui.writer import DELAY, LabelWriter
from napari_sslseg.overlay import Stroke

Region = tuple[slice, ...]
Labels = npt.NDArray[np.uint16]


class Watched(np.ndarray[Any, np.dtype[np.uint16]]):
    """Labels in memory that remember where they were written to, whoever does it: brush, fill, undo, a script."""

    listener: Any = None  # called with the box and the index that were written to

    def __array_finalize__(self, origin: Any) -> None:
        self.listener = None  # only the whole array listens, not the views of it

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, value)
        if self.listener is not None:
            self.listener(region_of(key, self.shape), key)


def region_of(key: Any, shape: tuple[int, ...]) -> Region:
    """Find the smallest box of an array that an index may touch.

    Parameters
    ----------
    key : object
        Any index that NumPy takes.
    shape : tuple of int
        Shape of the array.

    Returns
    -------
    tuple of slice
        One slice an axis, with start and stop.
    """
    parts = key if isinstance(key, tuple) else (key,)
    box = [slice(0, n) for n in shape]
    if any(p is None or p is Ellipsis or np.asarray(p).dtype.kind == "b" for p in parts):
        return tuple(box)
    for axis, (part, n) in enumerate(zip(parts, shape, strict=False)):
        if isinstance(part, slice):
            start, stop, step = part.indices(n)
            box[axis] = slice(start, max(start, stop)) if step > 0 else slice(0, n)
        else:
            index = np.asarray(part)
            if index.size and index.min() >= 0:
                box[axis] = slice(int(index.min()), int(index.max()) + 1)
            elif index.ndim == 0:
                box[axis] = slice(int(index) + n, int(index) + n + 1)
    return tuple(box)


def union(a: Region | None, b: Region) -> Region:
    """Find the smallest box around two.

    Parameters
    ----------
    a : tuple of slice, optional
        The one; None for nothing.
    b : tuple of slice
        The other.

    Returns
    -------
    tuple of slice
        The box.
    """
    if a is None:
        return b
    return tuple(slice(min(x.start, y.start), max(x.stop, y.stop)) for x, y in zip(a, b, strict=True))


class Strokes(QObject):
    """Binds a Labels layer to the labels of one image of a project.

    Parameters
    ----------
    layer : napari.layers.Labels
        The layer; its data become watched.
    id : str
        The image.
    boxes : iterable of tuple of slice
        Where something may be painted on the disk; there the layer holds the same.
    writer : LabelWriter
        Writes the labels.
    parent : QObject
        Owner.
    """

    saved = Signal(object)  # the Stroke that was handed to the writer
    wrote = Signal(object, object)  # the layer, and the index that something was just written to
    pressed = Signal()  # the brush comes down
    lifted = Signal()  # the brush, and all that it painted was saved

    def __init__(
        self, layer: LabelsLayer, id: str, boxes: Iterable[Region], writer: LabelWriter, parent: QObject
    ) -> None:
        super().__init__(parent)
        self.layer, self.id = layer, id
        self.drawing = False  # whether the brush is on the canvas
        self._writer = writer
        self._lock = threading.Lock()  # held while what is dirty changes, or what is known to be on the disk
        self._dirty: Region | None = None
        self._untold: Region | None = None  # handed to the writer, and nobody was told
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(DELAY)
        self._timer.timeout.connect(self.save)
        layer.events.data.connect(self._data_replaced)
        layer.mouse_drag_callbacks.append(self._drag)
        self._watch()
        self._saved = Saved(self._labels.view(np.ndarray), boxes)

    def _watch(self) -> None:
        data = np.asarray(self.layer.data)
        if data.dtype != np.uint16:
            data = data.astype(np.uint16)
        self._labels = data.view(Watched)
        self._labels.listener = self._touched
        with self.layer.events.data.blocker(self._data_replaced):
            self.layer.data = self._labels

    def _data_replaced(self) -> None:
        if self.layer.data is not self._labels:
            shape = self._labels.shape
            if self.layer.data.shape == shape:
                self._watch()
                self._touched(tuple(slice(0, n) for n in shape))

    def _touched(self, region: Region, key: Any = None) -> None:
        with self._lock:
            self._dirty = union(self._dirty, region)
        if not self._timer.isActive():
            self._timer.start()
        alone = not QThread.currentThread().loopLevel()  # in a script or a cell of a notebook no timer is heard
        self._writer.expect(self.hand_over, soon=alone)
        self.wrote.emit(self.layer, key)

    def save(self) -> None:
        """Hand what changed to the writer now, and tell of it."""
        self._timer.stop()
        self.hand_over()
        with self._lock:
            region, self._untold = self._untold, None
        if region is not None:
            self.saved.emit(Stroke(self.id, region, self._labels.view(np.ndarray)[region].copy()))

    def hand_over(self) -> None:
        """Hand what changed to the writer, from any thread and without Qt, which may be gone."""
        with self._lock:
            if self._dirty is not None:
                region, self._dirty = self._dirty, None
                self._untold = union(self._untold, region)
                labels = self._labels.view(np.ndarray)
                self._writer.put(self.id, labels, region, self._saved.swap(region, labels[region]))

    def _drag(self, layer: LabelsLayer, event: Any) -> Iterator[None]:
        """Save at once when the brush is lifted."""
        self.drawing = True
        self.pressed.emit()
        yield
        while event.type == "mouse_move":
            yield
        self.drawing = False
        self.save()
        self.lifted.emit()

    def replace(self, labels: Labels, boxes: Iterable[Region]) -> None:
        """Show other labels, which are on disk already.

        Parameters
        ----------
        labels : numpy.ndarray
            Labels of the same shape.
        boxes : iterable of tuple of slice
            Where something may be painted in them.
        """
        with self._lock:
            self._labels.view(np.ndarray)[...] = labels
            self._saved = Saved(labels, boxes)
        self.layer.refresh()

    def forget(self) -> None:
        """Let nothing be undone that was painted so far."""
        mode, editable = self.layer.mode, self.layer.editable
        self.layer.editable = False  # napari forgets then what could be undone
        self.layer.editable = editable
        if editable:
            self.layer.mode = mode

    def release(self) -> None:
        """Save, and let go of the layer."""
        self.save()
        self._labels.listener = None
        self.layer.events.data.disconnect(self._data_replaced)
        self.layer.mouse_drag_callbacks.remove(self._drag)
        self.deleteLater()
