"""A hand on mouse and keyboard: what a person does in the window, sent to it where Qt receives what the system sends.

Widgets are found by what can be read on them, or by their accessible name; a click goes to the window at a place, and
whatever lies there gets it. No method of a widget is called to make something happen.
"""

import itertools
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from qtpy.QtCore import QPoint, QPointF, QRect, Qt, QTimer
from qtpy.QtGui import QWheelEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSpinBox,
    QApplication,
    QCheckBox,
    QComboBox,
    QLabel,
    QLineEdit,
    QMainWindow,
    QMenu,
    QMenuBar,
    QScrollArea,
    QTableWidget,
    QWidget,
)

LOOK = 0.03  # s between two looks at where a widget is
LEFT = Qt.MouseButton.LeftButton
NONE = Qt.KeyboardModifier.NoModifier


class Hand:
    """Clicks, types and draws in the window of a viewer, and counts what it does.

    Parameters
    ----------
    viewer : napari.Viewer
        A viewer that is shown; only asked where its camera is.
    pause : float, optional
        Seconds between two turns of the event loop while it waits: shorter ones take the processor from the jobs that
        are waited for.
    """

    def __init__(self, viewer: Any, pause: float = 0.02) -> None:
        self.viewer, self._pause = viewer, pause
        windows = [w for w in QApplication.topLevelWidgets() if isinstance(w, QMainWindow) and w.isVisible()]
        self.window: QMainWindow = windows[-1]
        self.done: Counter[str] = Counter()
        self.moves: list[float] = []  # s from each move of a stroke until the window has dealt with it
        self.window.activateWindow()
        self.until(lambda: QApplication.activeWindow() is not None, 10, "the window is the active one")

    # ---------------------------------------------------------------- time
    def until(self, so: Callable[[], Any], seconds: float = 60, what: str = "what was waited for") -> None:
        """Let the window live until something is so."""
        end = time.perf_counter() + seconds
        while not so():
            if time.perf_counter() > end:
                raise TimeoutError(f"After {seconds} s it is still not so that {what}")
            QApplication.processEvents()
            time.sleep(self._pause)

    def rest(self, seconds: float) -> None:
        """Do nothing for a while."""
        end = time.perf_counter() + seconds
        self.until(lambda: time.perf_counter() > end, seconds + 1)

    # ---------------------------------------------------------------- finding
    def find(self, text: str, kind: type[QWidget] = QWidget) -> Any:
        """The one visible widget on which something is to be read, or that has it as its accessible name."""
        self.until(lambda: len(self.named(text, kind)) == 1, 10, f"one widget says {text!r}")
        return self.named(text, kind)[0]

    def named(self, text: str, kind: type[QWidget] = QWidget) -> list[Any]:
        """All such widgets, from top to bottom."""
        shown = [w for w in self.window.findChildren(kind) if w.isVisible()]
        found = [w for w in shown if text in (_said(w), w.accessibleName())]
        return sorted(found, key=lambda w: w.mapTo(self.window, QPoint()).y())

    def sees(self, text: str) -> bool:
        """Whether a visible label, button or table says something, perhaps among other words."""
        kinds = (QAbstractButton, QLabel)
        return any(text in _said(w) for k in kinds for w in self.window.findChildren(k) if w.isVisible())

    def read(self) -> list[str]:
        """All that visible labels say: what went wrong, for a test that fails."""
        return [_said(w) for w in self.window.findChildren(QLabel) if w.isVisible() and _said(w)]

    def shows(self, name: str) -> bool:
        """Whether a widget of this accessible name is visible."""
        return bool(self.named(name))

    def idle(self) -> bool:
        """Whether nothing runs, as far as one can see: no button offers to stop it."""
        return not any(self.sees(text) for text in ("■ Stop", "❚❚ Pause", "Stopping…"))

    def _settle(self, widget: QWidget) -> None:
        """Wait until what the last action changed has found its place."""
        places: list[QRect] = []
        while len(places) < 3 or len({(p.x(), p.y(), p.width(), p.height()) for p in places[-3:]}) > 1:
            self.rest(LOOK)
            places.append(QRect(widget.mapToGlobal(QPoint()), widget.size()))

    def _bring_into_view(self, widget: QWidget) -> None:
        """Turn the wheel until a widget that lies in a scrolled area is to be seen."""
        area = widget.parent()
        while area is not None and not isinstance(area, QScrollArea):
            area = area.parent()
        for _ in range(200):
            seen = widget.visibleRegion().boundingRect()
            if area is None or seen.height() >= min(widget.height(), 12):
                return
            up = widget.mapTo(area, QPoint()).y() < 0
            middle = area.viewport().rect().center()
            self._wheel(area.viewport(), middle, 40 if up else -40)
        raise LookupError(f"{_said(widget)!r} cannot be brought into view")

    def _wheel(self, widget: QWidget, at: QPoint, turn: int) -> None:
        place = QPointF(at), QPointF(widget.mapToGlobal(at))
        buttons, phase = Qt.MouseButton.NoButton, Qt.ScrollPhase.NoScrollPhase
        event = QWheelEvent(*place, QPoint(), QPoint(0, turn), buttons, NONE, phase, False)
        QApplication.sendEvent(widget, event)
        QApplication.processEvents()

    # ---------------------------------------------------------------- mouse
    def click(
        self, what: str | QWidget, *, twice: bool = False, at: QPoint | None = None, modifier: Any = NONE
    ) -> None:
        """Click a widget; at its middle, or the box of a check box."""
        widget = self.find(what) if isinstance(what, str) else what
        self.until(widget.isEnabled, 20, f"{_said(widget)!r} can be clicked")
        self._settle(widget)
        self._bring_into_view(widget)
        if at is None:
            at = QPoint(10, widget.height() // 2) if isinstance(widget, QCheckBox) else widget.rect().center()
        top = widget.window()
        place = widget.mapTo(top, at)
        hit = top.childAt(place)
        if hit is not widget and not (hit is not None and (widget.isAncestorOf(hit) or hit.isAncestorOf(widget))):
            raise LookupError(f"{_said(hit) if hit else 'nothing'!r} lies where {_said(widget)!r} was to be clicked")
        self.done["clicks"] += 1
        if twice:
            self.done["clicks"] += 1
            QTest.mouseMove(top.windowHandle(), place)
            QTest.mouseDClick(top.windowHandle(), LEFT, NONE, place)
        else:
            self._press(top, place, modifier)
        QApplication.processEvents()

    def _press(self, top: QWidget, place: QPoint, modifier: Any = NONE) -> None:
        handle = top.windowHandle()
        QTest.mouseMove(handle, place)
        QTest.mousePress(handle, LEFT, modifier, place)
        QTest.mouseRelease(handle, LEFT, modifier, place)

    def choose(self, name: str, text: str) -> None:
        """Choose a line of a combo box: one click opens it, one takes the line."""
        box = self.find(name, QComboBox)
        self.click(box)
        view = box.view()
        self.until(view.isVisible, 5, f"{name!r} is open")
        row = next(i for i in range(box.count()) if box.itemText(i).startswith(text))
        self.row(view, view.model().index(row, 0))

    def row(self, view: QAbstractItemView, index: Any, *, twice: bool = False) -> None:
        """Click a row of a list, a table or an open combo box."""
        self.click(view.viewport(), at=view.visualRect(index).center(), twice=twice)

    def cell(self, name: str, row: int, column: int, *, twice: bool = False) -> None:
        """Click a cell of a table."""
        table = self.find(name, QTableWidget)
        self.row(table, table.model().index(row, column), twice=twice)

    def menu(self, *path: str) -> None:
        """Go through the menus: one click for each name."""
        bar = self.window.findChild(QMenuBar)
        self._take(bar, path[0])
        for name in path[1:]:
            self.until(lambda name=name: self._offering(name), 5, f"an open menu offers {name!r}")
            self._take(self._offering(name)[-1], name)

    def take(self, what: str, name: str) -> None:
        """Open the menu of a button, and take what it offers; such a menu lets nobody else go on until it is closed."""
        timer = QTimer()

        def look() -> None:
            if found := self._offering(name):
                timer.stop()
                self._take(found[-1], name)

        timer.timeout.connect(look)
        timer.start(20)
        self.click(what)
        self.until(lambda: not timer.isActive(), 5, f"{what!r} offers {name!r}")
        timer.timeout.disconnect(look)  # else PySide6 keeps both for ever, and with them the window

    def _offering(self, name: str) -> list[QMenu]:
        """Open menus that offer something."""
        shown = [w for w in QApplication.topLevelWidgets() if isinstance(w, QMenu) and w.isVisible()]
        return [m for m in shown if _entries(m, name)]

    def _take(self, menu: Any, name: str) -> None:
        place: QRect = menu.actionGeometry(_entries(menu, name)[0])
        self.done["clicks"] += 1
        self._press(menu.window(), menu.mapTo(menu.window(), place.center()))
        QApplication.processEvents()

    # ---------------------------------------------------------------- keyboard
    def key(self, key: Any, modifier: Any = NONE) -> None:
        """Press a key; whatever has the focus gets it."""
        self.done["keys"] += 1
        QTest.keyClick((QApplication.activeWindow() or self.window).windowHandle(), key, modifier)
        QApplication.processEvents()

    def write(self, text: str) -> None:
        """Type a word in place of the one that is there, and press Return."""
        self.done["keys"] += 1  # a word counts as one
        handle = (QApplication.activeWindow() or self.window).windowHandle()
        QTest.keyClick(handle, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
        for letter in text:
            QTest.keyClick(handle, letter)
        QTest.keyClick(handle, Qt.Key.Key_Return)
        QApplication.processEvents()

    def set(self, name: str, value: str) -> None:
        """Put a number or a word into a field: click it, and type."""
        fields = [w for w in self.named(name) if isinstance(w, (QAbstractSpinBox, QLineEdit))]
        self.click(fields[0])
        self.write(value)

    # ---------------------------------------------------------------- the canvas
    @cached_property
    def canvas(self) -> QWidget:
        """The widget that the image is drawn on; all widgets are looked through once only, which takes milliseconds."""
        drawn = [w for w in self.window.findChildren(QWidget) if type(w).__name__ == "CanvasBackendDesktop"]
        return drawn[0]

    def place(self, layer: Any, point: Sequence[float]) -> QPoint:
        """Where on the canvas a point of a layer is drawn, in the plane that is looked at."""
        world = np.asarray(layer.data_to_world(point))[-2:]
        camera, canvas = self.viewer.scene.camera, self.canvas
        offset = (world - np.asarray(camera.center)[-2:]) * camera.zoom
        return QPoint(round(canvas.width() / 2 + offset[1]), round(canvas.height() / 2 + offset[0]))

    def stroke(self, layer: Any, points: Sequence[Sequence[float]], step: float = 8) -> None:
        """Draw a line with the mouse: press at the first point of a layer, move over the others, let go."""
        places = [self.place(layer, p) for p in points]
        if not all(self.canvas.rect().contains(p) for p in places):
            raise LookupError(f"Not all of {points} is in the view")
        way = [places[0]]
        for a, b in itertools.pairwise(places):
            moves = max(1, round(np.hypot(b.x() - a.x(), b.y() - a.y()) / step))
            way += [a + (b - a) * (k / moves) for k in range(1, moves + 1)]
        self.done["strokes"] += 1
        self._drag([self.canvas.mapTo(self.window, p) for p in way])

    def _drag(self, way: Sequence[QPoint]) -> None:
        handle = self.window.windowHandle()
        QTest.mouseMove(handle, way[0])
        QApplication.processEvents()
        QTest.mousePress(handle, LEFT, NONE, way[0])
        for place in way[1:]:
            began = time.perf_counter()
            QTest.mouseMove(handle, place)
            QApplication.processEvents()
            self.moves.append(time.perf_counter() - began)
        QTest.mouseRelease(handle, LEFT, NONE, way[-1])
        QApplication.processEvents()

    def fit(self) -> None:
        """Fit the view to what is open."""
        self.rest(LOOK)
        self.key(Qt.Key.Key_R, Qt.KeyboardModifier.ControlModifier)
        self.rest(LOOK)

    def point(self, layer: Any, point: Sequence[float]) -> None:
        """Click a point of a layer."""
        self.click(self.canvas, at=self.place(layer, point))


def _entries(menu: Any, name: str) -> list[Any]:
    """What a menu shows under a name; hidden entries have no place to click at."""
    return [a for a in menu.actions() if a.isVisible() and _plain(a.text()) == name]


def _plain(text: str) -> str:
    return text.replace("&", "")


def _said(widget: Any) -> str:
    said = getattr(widget, "text", None)
    return _plain(said()) if callable(said) and isinstance(widget, (QAbstractButton, QLabel)) else ""
