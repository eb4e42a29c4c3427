"""Steps that are done fold by themselves once one paints, where the window is too low for all of them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from qtpy.QtGui import QCursor

from napari_sslseg.gui.desk import Desk
from napari_sslseg.gui.dock import Dock
from napari_sslseg.project import Project

ALL = ["images", "learn", "paint", "train", "result"]


@pytest.fixture
def opened(
    make_napari_viewer: Callable[..., Any], nothing_left: None, jobs: Any, answers: Any, qtbot: Any
) -> Callable[[int], Dock]:
    """Opens a window of a height, with an image in use."""

    def open_window(height: int) -> Dock:
        viewer = make_napari_viewer(show=True)
        viewer.window.resize(1000, height)
        dock = Dock(viewer, Desk(viewer, jobs, answering=answers))
        viewer.window.add_dock_widget(dock, name="SSL Segmentation")
        viewer.add_image(np.zeros((40, 40), np.uint8), name="field")
        dock.images.panel.button.click()
        dock.paint.panel.button.click()
        QCursor.setPos(viewer.window.geometry()[0] + 5, viewer.window.geometry()[1] + 5)
        bar = dock._area.verticalScrollBar()
        qtbot.waitUntil(lambda: dock.isVisible() and (bar.maximum() > 0) == (height < 800), timeout=5000)
        qtbot.waitUntil(lambda: not dock._area.underMouse(), timeout=5000)
        return dock

    return open_window


def stroke(dock: Dock, qtbot: Any) -> None:
    """Paint one, and wait until it is written."""
    written: list[str] = []
    dock.desk.session.labels_changed.connect(written.append)
    layer = dock.desk.canvas.painting.layer
    layer.data_setitem((np.array([3]), np.argmin(layer.data[3], keepdims=True)), 1)
    dock.desk.canvas.painting.flush()
    qtbot.waitUntil(lambda: bool(written), timeout=5000)
    dock.desk.session.labels_changed.disconnect(written.append)


def shown(dock: Dock) -> list[str]:
    """The steps that are not folded."""
    return [name for name, panel in dock.panels.items() if not panel.content.isHidden()]


def learnt(dock: Dock, qtbot: Any) -> None:
    """Learn from the images."""
    dock.learn.panel.button.click()
    project = dock.desk.session.needed_project
    qtbot.waitUntil(lambda: dock.desk.session.running is None and project.pretrained is not None, timeout=5000)


def test_nothing_folds_where_all_can_be_seen(opened: Any, qtbot: Any) -> None:
    dock = opened(1000)
    stroke(dock, qtbot)
    assert shown(dock) == ALL


def test_what_is_done_folds_once_one_paints_in_a_low_window(opened: Any, qtbot: Any) -> None:
    dock = opened(500)
    assert shown(dock) == ALL
    stroke(dock, qtbot)
    assert shown(dock) == ALL[1:]  # nothing was learnt yet: that is not done
    learnt(dock, qtbot)
    assert shown(dock) == ALL[1:]  # nothing moves when a job ends
    stroke(dock, qtbot)
    assert shown(dock) == ALL[2:]


def test_it_unfolds_for_its_job_for_the_tour_and_for_another_project(opened: Any, qtbot: Any, tmp_path: Any) -> None:
    dock = opened(500)
    learnt(dock, qtbot)
    stroke(dock, qtbot)
    assert shown(dock) == ALL[2:]
    dock.learn.start()
    assert shown(dock) == ALL[1:]
    qtbot.waitUntil(lambda: dock.desk.session.running is None, timeout=5000)
    dock.tour.begin()
    assert dock.tour.step == "images"
    qtbot.waitUntil(lambda: shown(dock) == ALL, timeout=2000)
    dock.tour.end()
    stroke(dock, qtbot)
    assert shown(dock) == ALL[2:]
    Project.create(tmp_path / "another.sslseg")
    dock.desk.open_project(tmp_path / "another.sslseg")
    assert shown(dock) == ALL


def test_what_a_hand_unfolded_stays_unfolded(opened: Any, qtbot: Any) -> None:
    dock = opened(500)
    stroke(dock, qtbot)
    dock.images.panel.title.click()
    stroke(dock, qtbot)
    assert shown(dock) == ALL
    dock.images.panel.title.click()
    dock.desk.session.project_changed.emit()
    assert shown(dock) == ALL[1:]


def test_the_list_of_several_images_stays(opened: Any, qtbot: Any) -> None:
    dock = opened(500)
    dock.desk.canvas.viewer.add_image(np.zeros((30, 30), np.uint8), name="another")
    dock.images.panel.button.click()
    assert len(dock.desk.session.needed_project.images) == 2
    dock.paint.panel.button.click()
    stroke(dock, qtbot)
    assert shown(dock) == ALL


def test_what_folds_by_itself_is_not_remembered(opened: Any, qtbot: Any) -> None:
    dock = opened(500)
    stroke(dock, qtbot)
    assert dock.desk.memory.user.get("folded", []) == []
    dock.train.panel.title.click()
    assert dock.desk.memory.user.get("folded", []) == ["train"]
    dock.desk.session.project_changed.emit()
    assert dock.desk.memory.user.get("folded", []) == ["train"]


def test_nothing_moves_away_under_the_pointer(opened: Any, qtbot: Any) -> None:
    dock = opened(500)
    QCursor.setPos(dock._area.mapToGlobal(dock._area.rect().center()))
    qtbot.waitUntil(dock._area.underMouse, timeout=5000)
    stroke(dock, qtbot)
    assert shown(dock) == ALL


def test_what_is_unfolded_in_a_low_window_is_scrolled_to(opened: Any, qtbot: Any) -> None:
    dock = opened(500)
    adjust = dock.result.adjust
    dock._area.ensureWidgetVisible(adjust.fold)
    assert not adjust.reset.visibleRegion().boundingRect().height()
    adjust.fold.click()
    qtbot.waitUntil(lambda: adjust.reset.visibleRegion().boundingRect().height() == adjust.reset.height(), timeout=3000)
