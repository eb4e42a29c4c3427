"""Strokes drawn with the mouse, as they lie on the disk: erased ones, and on images that are no arrays in memory."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import pytest
from hand import Hand

from napari_sslseg.gui.desk import Desk
from napari_sslseg.gui.dock import Dock
from napari_sslseg.project import Project

Window = tuple[Any, Dock, Hand]
PIXELS = np.random.default_rng(0).integers(0, 255, (4, 120, 160), np.uint8)
PLANE = 2


@pytest.fixture
def window(
    make_napari_viewer: Callable[..., Any], nothing_left: None, jobs: Any, answers: Any, tmp_path: Path
) -> Iterator[Window]:
    """A window that is shown, without images, and a hand."""
    viewer = make_napari_viewer(show=True)
    dock = Dock(viewer, Desk(viewer, jobs, answering=answers))
    dock.desk.home = tmp_path
    viewer.window.add_dock_widget(dock, name="SSL Segmentation")
    hand = Hand(viewer)
    yield viewer, dock, hand
    vars(hand).clear()  # the window goes before what a test was given


def begin(window: Window) -> None:
    """Use all that is open."""
    _, dock, hand = window
    hand.click("Use these images")
    hand.until(lambda: hand.idle() and dock.desk.session.project is not None, 20, "they are used")


def paint_on(window: Window, name: str, key: str, line: Any) -> None:
    """Look at an image, and draw with the class of a key."""
    viewer, dock, hand = window
    rows = [dock.images.list.item(i).text() for i in range(dock.images.list.count())]
    at = next(i for i, text in enumerate(rows) if text.startswith(name))
    if not dock.images.list.isVisible():  # the step folded by itself
        hand.click(dock.images.panel.title)
    hand.row(dock.images.list, dock.images.list.model().index(at, 0))
    hand.fit()
    if viewer.dims.ndim == 3:
        viewer.dims.set_current_step(0, PLANE)
    hand.click("✎ Paint on this image")
    hand.key(key)
    hand.stroke(viewer.layers[name], line)


def on_disk(dock: Dock, name: str) -> np.ndarray:
    """What another program finds on the disk."""
    dock.desk.canvas.painting.flush()
    return Project.open(dock.desk.session.needed_project.path).labels(name)


def test_what_the_eraser_goes_over_is_unlabelled_on_the_disk(window: Window) -> None:
    viewer, dock, _ = window
    viewer.add_image(PIXELS[0], name="field")
    begin(window)
    paint_on(window, "field", "2", ((40, 40), (40, 120)))
    before = on_disk(dock, "field")
    paint_on(window, "field", "0", ((40, 40), (40, 80)))
    after = on_disk(dock, "field")
    assert (before[40, 40:121] == 2).all()
    assert not after[40, 40:81].any()
    np.testing.assert_array_equal(after[:, 90:], before[:, 90:])


def chunks() -> Any:
    """A stack in chunks."""
    return dask.array.from_array(PIXELS, chunks=(1, 50, 70))


def tiled() -> Any:
    """A stack whose planes are put together of four scenes each, as of a slide."""
    halves = [PIXELS[:, :60], PIXELS[:, 60:]]
    scenes = [[dask.array.from_array(part, chunks=-1) for part in (h[..., :80], h[..., 80:])] for h in halves]
    return dask.array.block(scenes)


def pyramid() -> Any:
    """A stack in two sizes, as of a slide."""
    return [chunks(), chunks()[:, ::2, ::2]]


@pytest.mark.parametrize("make", [chunks, tiled, pyramid])
def test_strokes_on_an_image_that_is_read_as_needed_lie_where_they_lie_on_an_array(
    window: Window, make: Callable[[], Any]
) -> None:
    viewer, dock, _ = window
    viewer.add_image(PIXELS, name="array", scale=(2, 0.5, 0.5))
    viewer.add_image(make(), name="lazy", scale=(2, 0.5, 0.5), contrast_limits=(0, 255))
    begin(window)
    line = ((PLANE, 40, 30), (PLANE, 80, 130))  # over all four scenes
    for name in ("array", "lazy"):
        paint_on(window, name, "2", line)
    found = on_disk(dock, "lazy")
    assert [z for z, plane in enumerate(found) if plane.any()] == [PLANE]
    assert found[PLANE, 40, 30] == found[PLANE, 60, 80] == found[PLANE, 80, 130] == 2
    np.testing.assert_array_equal(found, on_disk(dock, "array"))


def test_scenes_that_lie_side_by_side_have_strokes_of_their_own(window: Window) -> None:
    viewer, dock, _ = window
    for k, name in enumerate(("left", "right")):
        viewer.add_image(PIXELS, name=name, translate=(0, 0, 170 * k))
    begin(window)
    paint_on(window, "right", "2", ((PLANE, 40, 30), (PLANE, 80, 130)))
    found = on_disk(dock, "right")
    assert found[PLANE, 40, 30] == found[PLANE, 60, 80] == found[PLANE, 80, 130] == 2
    assert not on_disk(dock, "left").any()
