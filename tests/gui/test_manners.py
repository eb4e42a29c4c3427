"""The manners of the window: images are put right and dropped, a tour, the keyboard alone, words for everything."""

import gc
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QDockWidget,
    QHeaderView,
    QLineEdit,
    QScrollBar,
    QWidget,
)

from napari_sslseg.gui.desk import Desk
from napari_sslseg.gui.dock import Dock
from napari_sslseg.gui.memory import user_file
from napari_sslseg.gui.order import controls
from napari_sslseg.gui.tour import TEXTS

from .test_jobs import done

INTERACTIVE = (QAbstractButton, QAbstractItemView, QAbstractSlider, QAbstractSpinBox, QComboBox, QLineEdit)
PARTS = (QHeaderView, QScrollBar)  # of other widgets


def interactive(dock: Dock) -> list[QWidget]:
    """All that a user can do something with, but for what other widgets are made of."""
    found = [w for w in dock.findChildren(QWidget) if isinstance(w, INTERACTIVE) and not isinstance(w, PARTS)]
    inner = (QComboBox, QAbstractSpinBox, QAbstractItemView)
    return [w for w in found if not any(isinstance(p, inner) for p in parents(w))]


def parents(widget: QWidget) -> list[QWidget]:
    """All widgets in which a widget lies."""
    parent = widget.parentWidget()
    return [] if parent is None else [parent, *parents(parent)]


# -------------------------------------------------------------------- images
def test_axes_that_were_guessed_wrong_are_put_right_before_the_image_is_used(dock: Dock, viewer: Any) -> None:
    viewer.add_image(np.random.default_rng(0).integers(0, 255, (3, 40, 32), np.uint8), name="three", rgb=False)
    kind = dock.images.kind
    assert "3 planes" in dock.images.list.item(0).text()
    kind.axes.setCurrentIndex(kind.axes.findData("CYX"))
    kind.axes.activated.emit(kind.axes.currentIndex())
    kind.flat.setValue(0.5)
    assert dock.images.list.item(0).text() == "three  ·  not used yet  ·  40×32 · 3 channels · 8-bit · 3.84 KB"
    dock.images.panel.button.click()
    entry = dock.desk.session.needed_project.images[0]
    assert (entry.axes, entry.channels, entry.shape, entry.spacing) == ("CYX", 3, (40, 32), (0.5, 0.5))
    assert [layer.name for layer in viewer.layers] == ["three 1", "three 2", "three 3"]
    dock.desk.paint()
    assert viewer.layers["three labels"].data.shape == (40, 32)


def test_files_that_are_dropped_are_opened_and_then_used_where_they_are(
    dock: Dock, viewer: Any, tmp_path: Path, qtbot: Any
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for at in range(20):
        tifffile.imwrite(folder / f"a{at}.tif", np.random.default_rng(at).integers(0, 255, (16, 16), np.uint8))
    mime, actions = QMimeData(), Qt.DropAction.CopyAction
    mime.setUrls([QUrl.fromLocalFile(str(folder))])
    buttons, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    QApplication.sendEvent(dock, QDragEnterEvent(QPoint(5, 5), actions, mime, buttons, keys))
    QApplication.sendEvent(dock, QDropEvent(QPointF(5, 5), actions, mime, buttons, keys))
    qtbot.waitUntil(lambda: len(viewer.layers) == 1, timeout=5000)
    assert "a0 and 19 more files" in dock.images.list.item(0).text()
    dock.images.panel.button.click()
    done(dock, qtbot)
    project = dock.desk.session.needed_project
    assert [Path(e.source).name for e in project.images] == [f"a{at}.tif" for at in range(20)]
    assert not (project.path / "images").exists()


def test_what_is_in_the_view_becomes_an_image_of_its_own(
    dock: Dock, stack: Any, viewer: Any, said: list[str], qtbot: Any
) -> None:
    dock.images.region.click()
    assert said[-1].startswith("All of stack is in the view")
    stack.corner_pixels = np.array([[0, 10, 4], [0, 29, 23]])
    dock.images.region.click()
    done(dock, qtbot)
    project = dock.desk.session.needed_project
    assert [(e.id, e.shape, e.spacing) for e in project.images] == [("stack region", (5, 20, 20), (2, 0.5, 0.5))]
    np.testing.assert_array_equal(project.image("stack region").data[0], stack.data[:, 10:30, 4:24])
    assert (viewer.layers["stack region"].visible, stack.visible) == (True, False)


# -------------------------------------------------------------------- the tour
def test_the_tour_is_offered_once_points_at_each_step_and_ends_with_escape(
    dock: Dock, image: Any, viewer: Any, qtbot: Any
) -> None:
    assert not dock.offer.isHidden()
    dock.offer.yes.click()
    assert dock.offer.isHidden()
    for name, text in TEXTS.items():
        assert (dock.tour.step, dock.bubble.text.text()) == (name, text)
        dock.bubble.next.click()
    assert dock.bubble.isHidden()
    dock.header.help.click()
    assert not dock.bubble.isHidden()
    QTest.keyClick(dock.bubble.next, Qt.Key.Key_Escape)
    assert dock.bubble.isHidden()
    assert list(viewer.layers) == [image]  # and no sample
    dock.desk.memory.flush()
    again = Dock(viewer, Desk(viewer, dock.desk.jobs))
    viewer.window.add_dock_widget(again, name="again")
    assert again.offer.isHidden()
    assert "toured" in user_file().read_text()


def test_without_an_image_the_tour_opens_a_sample(dock: Dock, viewer: Any, qtbot: Any) -> None:
    dock.offer.yes.click()
    qtbot.waitUntil(lambda: [layer.name for layer in viewer.layers] == ["ihc"], timeout=20_000)
    assert dock.tour.step == "images"


# -------------------------------------------------------------------- the keyboard, and those who do not see
def test_tab_reaches_every_control_from_the_top_down_and_each_is_told_in_words(dock: Dock, image: Any) -> None:
    dock.desk.paint()
    next(w for w in parents(dock) if isinstance(w, QDockWidget)).setFloating(True)  # alone in its window
    chain, at = [], dock.header.new.nextInFocusChain()
    while at is not dock.header.new:
        chain.append(at)
        at = at.nextInFocusChain()
    wanted = list(controls(dock.layout()))[1:]
    assert [w for w in chain if w in wanted] == wanted
    beside = (dock.bubble.back, dock.bubble.next, dock.bubble.close_)
    assert set(interactive(dock)) - set(wanted) - set(beside) == {dock.header.new}
    for widget in interactive(dock):
        words = widget.text() if isinstance(widget, QAbstractButton) else ""
        assert any(c.isalpha() for c in words) or widget.accessibleName(), widget
        assert widget.toolTip() or parents(widget)[0].toolTip(), (widget, words)


def test_the_frame_around_a_check_box_hides_nothing_of_its_words(make_napari_viewer: Any, qtbot: Any) -> None:
    viewer = make_napari_viewer(show=True)
    viewer.add_image(np.eye(32), name="field")
    dock = Dock(viewer, Desk(viewer))
    viewer.window.add_dock_widget(dock, name="SSL Segmentation")
    window = dock.window()
    with qtbot.waitActive(window, timeout=5000):
        window.activateWindow()
    for box in (dock.train.live, dock.result.outline, dock.result.visible):
        drawn = []
        for there in (dock.header.new, box):
            there.setFocus()
            qtbot.waitUntil(there.hasFocus, timeout=2000)
            drawn.append(box.grab())
        assert drawn[0].toImage() != drawn[1].toImage()  # one sees where the keyboard is
        within = box.rect().adjusted(1, 1, -1, -1)
        assert drawn[0].copy(within).toImage() == drawn[1].copy(within).toImage(), box.text()


# -------------------------------------------------------------------- several windows
def test_two_viewers_do_not_know_of_each_other(viewer: Any, make_napari_viewer: Any, tmp_path: Path) -> None:
    viewers = [viewer, make_napari_viewer()]
    docks = [Dock(each) for each in viewers]  # each with the desk of its viewer
    for each, dock in zip(viewers, docks, strict=True):
        each.window.add_dock_widget(dock, name="SSL Segmentation")
    docks[0].desk.new_project(tmp_path / "one.sslseg")
    docks[0].result.opacity.setValue(30)
    docks[1].desk.new_project(tmp_path / "two.sslseg")
    assert [dock.header.name.text() for dock in docks] == ["one.sslseg", "two.sslseg"]
    assert [dock.result.opacity.value() for dock in docks] == [30, 50]


def test_garbage_is_collected_as_the_dock_opens(viewer: Any) -> None:
    collected: list[int] = []

    def note(phase: str, info: dict[str, int]) -> None:
        collected.append(info["generation"])

    gc.callbacks.append(note)
    viewer.window.add_dock_widget(Dock(viewer, Desk(viewer)))
    gc.callbacks.remove(note)
    assert 2 in collected  # all of it
