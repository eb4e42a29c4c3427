"""The window remembers: settings, look of masks and place with the project, folds and the tour with the user."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_sslseg.gui.contributions import read_project
from napari_sslseg.gui.desk import Desk
from napari_sslseg.gui.dock import Dock
from napari_sslseg.gui.memory import FILE, user_file
from napari_sslseg.image import Image
from napari_sslseg.project import Project


def opened(viewer: Any, *desk: Any) -> Dock:
    """Another dock of a viewer, as tomorrow."""
    dock = Dock(viewer, Desk(viewer, *desk))
    viewer.window.add_dock_widget(dock, name="tomorrow")
    return dock


def test_what_was_left_in_the_window_is_there_again(
    dock: Dock, image: Any, viewer: Any, jobs: Any, answers: Any
) -> None:
    dock.learn.form["crop"].value = 96  # before there is a project
    dock.images.panel.button.click()
    dock.result.opacity.setValue(30)
    dock.train.form["minutes"].value = 7.0
    dock.learn.panel.title.click()
    project = dock.desk.session.needed_project.path
    dock.desk.memory.flush()

    tomorrow = opened(viewer, jobs)
    assert tomorrow.learn.panel.content.isHidden()
    tomorrow.desk.open_project(project)
    assert tomorrow.learn.form.changes() == {"crop": 96}
    assert tomorrow.train.form.changes() == {"minutes": 7.0}
    assert (tomorrow.desk.canvas.look.opacity, tomorrow.result.opacity.value()) == (0.3, 30)
    tomorrow.desk.new_project(project.with_name("another.sslseg"))
    assert tomorrow.train.form.changes() == {}
    assert tomorrow.result.opacity.value() == 50


# -------------------------------------------------------------------- folds
def folds(dock: Dock) -> dict[str, bool]:
    """What is unfolded of a dock."""
    return {
        "learn": not dock.learn.fold.isHidden(),
        "sees": not dock.learn.sees.inside.isHidden(),
        "train": not dock.train.form.widget.isHidden(),
        "adjust": not dock.result.adjust.content.isHidden(),
    }


@pytest.mark.parametrize("name", ["learn", "sees", "train", "adjust"])
def test_what_was_unfolded_is_unfolded_again(dock: Dock, viewer: Any, jobs: Any, name: str) -> None:
    buttons = {"learn": dock.learn.advanced, "sees": dock.learn.sees.fold, "train": dock.train.advanced}
    button = {**buttons, "adjust": dock.result.adjust.fold}[name]
    assert not any(folds(dock).values())
    button.click()
    dock.desk.memory.flush()
    again = opened(viewer, jobs)
    assert folds(again) == {each: each == name for each in folds(dock)}
    button.click()
    dock.desk.memory.flush()
    assert not any(folds(opened(viewer, jobs)).values())


@pytest.mark.parametrize("said", ["x", {"a": 1}, [None, 3, ["learn"], {"adjust": 1}, "no such step"]])
def test_folds_that_make_no_sense_are_left_out(viewer: Any, home: Path, jobs: Any, said: Any) -> None:
    user_file().parent.mkdir(parents=True)
    user_file().write_text(json.dumps({"folded": said, "unfolded": said}))
    dock = opened(viewer, jobs)
    assert not any(folds(dock).values())
    assert all(panel.title.isChecked() for panel in dock.panels.values())


# -------------------------------------------------------------------- the image and the plane
@pytest.fixture
def stacks(tmp_path: Path) -> Project:
    """A project of two stacks of 5 planes and a plane."""
    project = Project.create(tmp_path / "stacks.sslseg")
    for name, shape in (("a", (5, 32, 32)), ("b", (5, 32, 32)), ("flat", (32, 32))):
        pixels = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
        project.add_image(Image.from_array(pixels, spacing=(2.0, 0.5, 0.5)[-len(shape) :], name=name))
    return project


def place(dock: Dock) -> tuple[str | None, int]:
    """The image and the plane that are looked at."""
    current = dock.desk.session.current
    planes = dock.desk.canvas.current_plane()
    return current, planes[current or ""][0] if planes else 0


def test_a_project_comes_back_to_the_image_and_the_plane(
    dock: Dock, viewer: Any, make_napari_viewer: Any, jobs: Any, stacks: Project
) -> None:
    dock.desk.open_project(stacks.path)
    assert place(dock)[0] == "a"
    dock.images.list.setCurrentRow(1)
    viewer.dims.set_current_step(0, 3)
    assert place(dock) == ("b", 3)
    viewer.close()

    other = make_napari_viewer()
    again = opened(other, jobs)
    again.desk.open_project(stacks.path)
    assert place(again) == ("b", 3)
    assert [layer.name for layer in other.layers if layer.visible] == ["b"]
    assert other.layers.selection.active is other.layers["b"]


def test_a_project_that_is_dropped_comes_back_too(
    dock: Dock, viewer: Any, make_napari_viewer: Any, jobs: Any, stacks: Project, qtbot: Any
) -> None:
    dock.desk.open_project(stacks.path)
    dock.images.list.setCurrentRow(1)
    viewer.dims.set_current_step(0, 1)
    dock.desk.memory.flush()
    other = make_napari_viewer()
    again = opened(other, jobs)
    for data, said, _ in read_project(str(stacks.path)):
        other.add_image(data, **said)
    qtbot.waitUntil(lambda: place(again) == ("b", 1), timeout=2000)
    assert not other.layers["a"].visible


def test_to_open_another_project_changes_no_place_of_the_one_before(
    dock: Dock, viewer: Any, stacks: Project, tmp_path: Path
) -> None:
    dock.desk.open_project(stacks.path)
    dock.images.list.setCurrentRow(1)
    viewer.dims.set_current_step(0, 4)
    other = Project.create(tmp_path / "other.sslseg")
    other.add_image(Image.from_array(np.eye(32, dtype=np.float32), name="a"))
    dock.desk.open_project(other.path)
    assert place(dock) == ("a", 0)
    dock.desk.open_project(stacks.path)
    assert place(dock) == ("b", 4)


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("garbage", "a"),
        ([], "a"),
        ({}, "a"),
        ({"image": "gone", "plane": 3}, "a"),
        ({"image": ["b"], "plane": 3}, "a"),
        ({"image": "b"}, "b"),
        ({"image": "b", "plane": "x"}, "b"),
        ({"image": "b", "plane": None}, "b"),
        ({"image": "flat", "plane": 3}, "flat"),
    ],
)
def test_a_place_that_makes_no_sense_is_left_out(dock: Dock, stacks: Project, said: Any, wanted: str) -> None:
    (stacks.path / FILE).write_text(json.dumps({"place": said}))
    dock.desk.open_project(stacks.path)
    assert place(dock) == (wanted, 0 if wanted == "flat" else 2)  # the middle, as napari shows stacks


@pytest.mark.parametrize(("plane", "wanted"), [(-3, 0), (10**12, 4)])
def test_a_plane_that_is_not_there_is_the_next_one_that_is(
    dock: Dock, stacks: Project, plane: int, wanted: int
) -> None:
    (stacks.path / FILE).write_text(json.dumps({"place": {"image": "b", "plane": plane}}))
    dock.desk.open_project(stacks.path)
    assert place(dock) == ("b", wanted)
