"""The whole job in the real viewer with the real training: open, learn, paint, train, see, correct, close, reopen."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hand import Hand
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog
from scipy import ndimage
from skimage.data import retina

from napari_sslseg.gui.classes import NAME
from napari_sslseg.gui.desk import Desk
from napari_sslseg.gui.dock import Dock
from napari_sslseg.io import read_labels, write_labels
from napari_sslseg.project import Project

from .conftest import delete_later, our_threads

PEERS = Path(__file__).parents[2] / "docs" / "peers.md"
MINUTE = 60_000
LENGTH, WIDE = 60, 24  # px of a line drawn with the mouse, and of what must be of its class around it


def blobs() -> tuple[np.ndarray, np.ndarray]:
    """A stack of 4 planes with bright, textured discs on a dim ground, and the truth."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:128, :128]
    truth = np.stack([(np.hypot(y % 64 - 32, x % 64 - 32 + z) < 20) for z in range(4)])
    pixels = random.normal(60, 10, truth.shape) + truth * random.normal(90, 25, truth.shape)
    return pixels.clip(0, 255).astype(np.uint16), truth


@pytest.fixture
def opened(make_napari_viewer: Callable[..., Any], nothing_left: None, tmp_path: Path) -> Iterator[tuple[Any, Dock]]:
    """A stack that was opened from a file, and the dock with the real jobs, few steps each."""
    viewer = make_napari_viewer(show=True)
    file = tmp_path / "stack.tif"
    write_labels(file, blobs()[0], spacing=(2.0, 0.5, 0.5), unit="µm")
    viewer.open(file, plugin="napari")
    dock = Dock(viewer, Desk(viewer))
    viewer.window.add_dock_widget(dock, name="SSL Segmentation")
    for step, steps in ((dock.learn, 3), (dock.train, 80)):
        small = {"encoder": "unet", "start": "random", "steps": steps, "batch": 4, "crop": 32}
        for name, value in small.items():
            step.form[name].value = value
    dock.train.form["hold_out"].value = dock.train.form["pixels"].value = 0.0
    yield viewer, dock


def lines(inside: np.ndarray, count: int) -> list[tuple[int, int]]:
    """Left ends of lines that lie within a part of a plane, far from each other."""
    whole = ndimage.minimum_filter(inside, (WIDE, LENGTH + WIDE), origin=(0, -(LENGTH // 2)))
    places = np.argwhere(whole[WIDE:-WIDE, WIDE : -LENGTH - WIDE]) + WIDE
    return [(int(y), int(x)) for y, x in places[:: max(1, len(places) // count)]][:count]


def paint(layer: Any, z: int) -> None:
    """Strokes of background and of disc on one plane."""
    truth = blobs()[1][z]
    layer.brush_size = 5
    for value, inside in ((1, False), (2, True)):
        for y, x in np.argwhere(truth == inside)[:: 97 if inside else 211]:
            if truth[max(0, y - 3) : y + 4, max(0, x - 3) : x + 4].mean() == inside:
                layer.paint((z, int(y), int(x)), value)


def names(viewer: Any) -> list[str]:
    return [layer.name for layer in viewer.layers]


def closed(viewer: Any, hand: Hand) -> None:
    viewer.close()
    delete_later()
    hand.until(lambda: not our_threads(), 60, "all threads have ended")


SMALL = (("steps", "3"), ("crop (px)", "32"), ("batch", "4"))
LEARN = (*SMALL, ("start", "random"))
TRAIN = (*SMALL, ("pixels", "0"), ("hold out", "0"))  # what takes long is left out


def advanced(hand: Hand, step: int, values: tuple[tuple[str, str], ...]) -> None:
    """Set parameters under Advanced: 0 of step 2, -1 of step 4."""
    hand.click(hand.named("Advanced ▸")[step])
    if step == 0:
        hand.choose("encoder", "unet")
    for name, value in values:
        hand.set(name, value)
    if step == -1:
        hand.click("flips")  # or masks are the mean of what is seen in mirrors, too
    hand.click("Advanced ▾")


def parts() -> np.ndarray:
    """What `retina` shows, by how bright it is: 1 what surrounds the eye, 2 the eye, 3 where its nerve leaves it."""
    return 1 + np.digitize(ndimage.gaussian_filter(retina().mean(axis=2), 8), (20, 150))


def test_a_session_by_mouse_and_keyboard(
    make_napari_viewer: Callable[..., Any], nothing_left: None, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1200, 900)
    hand = Hand(viewer)
    hand.menu("File", "Open Sample", "SSL Segmentation", "Retina (RGB)")
    hand.menu("Plugins", "SSL Segmentation (SSL Segmentation)")
    hand.find("▶ Learn")

    began = hand.done.total()  # opening is left out of what docs/peers.md counts
    advanced(hand, 0, LEARN)
    short = hand.done.total() - began  # what only makes it short
    hand.click("▶ Learn")
    hand.until(hand.idle, 120, "learning has ended")
    assert hand.shows("Learning curve"), "; ".join(hand.read())

    hand.click("✎ Paint on this image")
    labels = viewer.layers["retina labels"]
    hand.fit()
    for _ in range(2):
        hand.click("Add a class")
    hand.click("Remove the chosen class")  # one too many
    for row, name in ((1, "eye"), (2, "nerve")):
        hand.cell("Classes", row, NAME, twice=True)
        hand.write(name)
    truth = parts()
    for value in (1, 2, 3):
        hand.key(str(value))
        for y, x in lines(truth == value, 3):
            hand.stroke(labels, [(y, x), (y, x + LENGTH)])
    painted = np.array(labels.data)
    assert set(np.unique(painted)) == {0, 1, 2, 3}
    kept = painted > 0
    np.testing.assert_array_equal(painted[kept], truth[kept])

    hand.click("Live")
    hand.until(lambda: "retina live" in names(viewer), 120, "live masks are shown")
    overlay = hand.done.total() - began - short
    hand.click("Live")

    before = hand.done.total()
    advanced(hand, -1, TRAIN)
    short += hand.done.total() - before
    hand.click("▶ Train")
    hand.until(hand.idle, 120, "training has ended")
    assert viewer.layers["retina masks"].data.all()

    hand.take("✓ Accept", "All of this image")
    hand.until(lambda: labels.data.all(), 20, "all masks are labels")
    hand.until(hand.idle, 20, "accepting has ended")
    counted = f"{overlay} actions to the first overlay and {hand.done.total() - began - short} to accepted masks"
    assert counted in " ".join(PEERS.read_text().split()), counted
    np.testing.assert_array_equal(labels.data[kept], painted[kept])
    hand.key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    hand.until(lambda: (np.asarray(labels.data) == painted).all(), 20, "what was accepted is taken back at once")

    hand.key("2")
    (y, x), *_ = lines(truth == 2, 9)[4:]
    hand.stroke(labels, [(y, x), (y, x + LENGTH)])
    hand.click("▶ Train")
    hand.until(hand.idle, 120, "the second training has ended")
    hand.point(labels, (y, x))
    more = np.array(labels.data)
    hand.key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    painted = np.array(labels.data)
    assert (painted != more).any()
    hand.take("✓ Accept", "All of this image")
    hand.until(lambda: labels.data.all(), 20, "all masks are labels")
    hand.until(hand.idle, 20, "accepting has ended")
    accepted = np.array(labels.data)
    np.testing.assert_array_equal(accepted[painted > 0], painted[painted > 0])

    chosen = [home / "out"]
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_, **__: str(chosen[-1]))
    hand.take("Export…", "Masks of this image…")
    hand.until(lambda: list(chosen[0].glob("*.tif")), 20, "the masks are exported")
    hand.until(hand.idle, 20, "exporting has ended")
    masks = np.array(viewer.layers["retina masks"].data)
    np.testing.assert_array_equal(read_labels(chosen[0] / "retina.tif"), masks)
    closed(viewer, hand)

    viewer = make_napari_viewer(show=True)
    hand = Hand(viewer)
    hand.menu("Plugins", "SSL Segmentation (SSL Segmentation)")
    path = home / "retina.sslseg"
    chosen.append(path)
    hand.click("Open…")
    hand.until(lambda: {"retina labels", "retina masks"} <= set(names(viewer)), 20, "the project is open")
    np.testing.assert_array_equal(viewer.layers["retina labels"].data, accepted)
    np.testing.assert_array_equal(viewer.layers["retina masks"].data, masks)
    np.testing.assert_array_equal(Project.open(path).labels("retina"), accepted)
    assert [c.name for c in Project.open(path).classes] == ["background", "eye", "nerve"]
    assert len(Project.open(path).rounds) == 2
    assert hand.sees("learnt from your images")
    assert hand.sees("round 2")
    closed(viewer, hand)


@pytest.mark.parametrize(("step", "first"), [("learn", "viewer"), ("train", "viewer"), ("learn", "dock")])
def test_closing_while_it_works_loses_nothing(opened: tuple[Any, Dock], step: str, first: str, qtbot: Any) -> None:
    viewer, dock = opened
    dock.paint.panel.button.click()
    paint(viewer.layers["stack labels"], 0)
    painted = np.array(viewer.layers["stack labels"].data)
    qtbot.waitUntil(lambda: dock.desk.session.tally.painted(2) > 0, timeout=5000)
    getattr(dock, step).form["steps"].value = 100_000
    getattr(dock, step).panel.button.click()
    desk = dock.desk
    qtbot.waitUntil(lambda: "loss" in desk.session.activities[step].curves, timeout=MINUTE)  # the first step is done
    process = desk.jobs._process._process
    if first == "dock":
        viewer.window.remove_dock_widget(dock)
        delete_later()
        heard = len(desk.session.activities[step].curves["loss"])
        qtbot.waitUntil(lambda: len(desk.session.activities[step].curves["loss"]) > heard, timeout=MINUTE)
    began = time.monotonic()
    viewer.close()
    assert time.monotonic() - began < 5  # the window does not wait for the job, which would take hours
    delete_later()
    qtbot.waitUntil(lambda: not our_threads(), timeout=20_000)
    qtbot.waitUntil(lambda: desk.session.running is None, timeout=5000)
    qtbot.waitUntil(lambda: process.poll() is not None, timeout=20_000)
    project = Project.open(desk.session.project.path)
    np.testing.assert_array_equal(project.labels("stack"), painted)
    assert project.pretrained is not None if step == "learn" else project.rounds


def test_masks_follow_the_brush(opened: tuple[Any, Dock], qtbot: Any) -> None:
    viewer, dock = opened
    viewer.dims.set_current_step(0, 1)
    dock.paint.panel.button.click()
    layer, truth = viewer.layers["stack labels"], blobs()[1]
    dock.train.live.click()
    qtbot.waitUntil(lambda: "paint two classes" in dock.train.following.text(), timeout=MINUTE)
    paint(layer, 1)
    qtbot.waitUntil(lambda: "stack live" in viewer.layers and not dock.train.following.text(), timeout=MINUTE)
    shown = viewer.layers["stack live"]
    qtbot.waitUntil(lambda: ((shown.data[1] == 2) == truth[1]).mean() > 0.9, timeout=MINUTE)
    assert not shown.data[[0, 2, 3]].any()
    np.testing.assert_allclose(shown.scale, viewer.layers["stack"].scale)

    viewer.dims.set_current_step(0, 3)  # never painted on
    qtbot.waitUntil(lambda: bool(shown.data[3].any()), timeout=MINUTE)
    assert ((shown.data[3] == 2) == truth[3]).mean() > 0.9

    viewer.dims.set_current_step(0, 1)
    qtbot.waitUntil(lambda: bool(shown.data[1].any()), timeout=MINUTE)
    layer.data[1] = np.where(truth[1], 1, 2)  # all the other way round
    qtbot.waitUntil(lambda: ((shown.data[1] == 1) == truth[1]).mean() > 0.9, timeout=MINUTE)

    desk = dock.desk
    viewer.close()
    delete_later()
    qtbot.waitUntil(lambda: not our_threads(), timeout=20_000)
    np.testing.assert_array_equal(desk.session.project.labels("stack")[1], np.where(truth[1], 1, 2))
