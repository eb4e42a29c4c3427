"""Adding images with a button: files, or folders, go the way of what is dropped."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from hand import Hand
from qtpy.QtWidgets import QFileDialog, QPushButton

from napari_sslseg.gui import commands
from napari_sslseg.gui.desk import Desk
from napari_sslseg.gui.dock import Dock
from napari_sslseg.image import Image
from napari_sslseg.project import Project

from .test_jobs import done


def answer(dock: Dock, *paths: Path) -> list[str]:
    """Let the dialogs answer at once; returns the folders in which they will have begun."""
    asked: list[str] = []

    def files(parent: Any, folder: str) -> list[str]:
        asked.append(folder)
        return [str(p) for p in paths]

    dock.images.add.ask_files = files
    dock.images.add.ask_folder = lambda parent, folder: next(iter(files(parent, folder)), "")
    return asked


def pictures(folder: Path, count: int) -> list[Path]:
    """Image files."""
    folder.mkdir(exist_ok=True)
    for at in range(count):
        tifffile.imwrite(folder / f"a{at}.tif", np.random.default_rng(at).integers(0, 255, (16, 16), np.uint8))
    return sorted(folder.iterdir())


def opened(viewer: Any) -> list[str]:
    """Names of the layers."""
    return [layer.name for layer in viewer.layers]


def test_chosen_files_are_opened_and_then_used_where_they_are(
    dock: Dock, viewer: Any, tmp_path: Path, qtbot: Any
) -> None:
    files = pictures(tmp_path / "images", 2)
    answer(dock, *files)
    dock.images.add.files.trigger()
    qtbot.waitUntil(lambda: opened(viewer) == ["a0", "a1"], timeout=5000)
    dock.images.panel.button.click()
    assert [Path(e.source) for e in dock.desk.session.needed_project.images] == files


def test_a_chosen_folder_is_opened_whole(dock: Dock, viewer: Any, tmp_path: Path, qtbot: Any) -> None:
    pictures(tmp_path / "images", 20)
    answer(dock, tmp_path / "images")
    dock.images.add.folder.trigger()
    qtbot.waitUntil(lambda: opened(viewer) == ["a0"], timeout=5000)
    dock.images.panel.button.click()
    done(dock, qtbot)
    assert len(dock.desk.session.needed_project.images) == 20


def test_a_folder_that_is_one_image_is_chosen_as_a_folder(dock: Dock, viewer: Any, tmp_path: Path, qtbot: Any) -> None:
    zarr.save_array(tmp_path / "stack.zarr", np.zeros((3, 32, 24), np.uint8))
    answer(dock, tmp_path / "stack.zarr")
    dock.images.add.folder.trigger()
    qtbot.waitUntil(lambda: opened(viewer) == ["stack"], timeout=5000)


def test_images_are_added_to_a_project_that_is_open(
    dock: Dock, image: Any, viewer: Any, tmp_path: Path, qtbot: Any
) -> None:
    dock.images.panel.button.click()
    answer(dock, *pictures(tmp_path / "images", 1))
    dock.images.add.files.trigger()
    qtbot.waitUntil(lambda: "a0" in opened(viewer), timeout=5000)
    dock.images.panel.button.click()
    assert [e.id for e in dock.desk.session.needed_project.images] == ["field", "a0"]


def test_a_folder_that_is_a_project_is_gone_on_with(dock: Dock, viewer: Any, tmp_path: Path) -> None:
    project = Project.create(tmp_path / "mine.sslseg")
    project.add_image(Image.from_array(np.eye(32, dtype=np.float32), name="one"))
    answer(dock, project.path)
    dock.images.add.folder.trigger()
    assert (dock.header.name.text(), opened(viewer)) == ("mine.sslseg", ["one"])


@pytest.mark.parametrize("entry", ["files", "folder"])
def test_nothing_happens_where_nothing_is_chosen(dock: Dock, viewer: Any, said: list[str], entry: str) -> None:
    answer(dock)
    getattr(dock.images.add, entry).trigger()
    assert (opened(viewer), said, dock.desk.session.project) == ([], [], None)
    assert dock.desk.memory.user.get("images", None) is None


def test_one_is_asked_where_one_chose_last(dock: Dock, viewer: Any, tmp_path: Path, qtbot: Any) -> None:
    asked = answer(dock, *pictures(tmp_path / "images", 1))
    for _ in range(2):
        dock.images.add.files.trigger()
    assert asked == ["", str(tmp_path / "images")]
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=5000)


def test_the_dialogs_of_the_system_ask(dock: Dock, monkeypatch: Any) -> None:
    asked: list[Any] = []

    def ask(*said: Any) -> tuple[list[str], str]:
        asked.extend(said)
        return [], ""

    monkeypatch.setattr(QFileDialog, "getOpenFileNames", ask)
    dock.images.add.files.trigger()
    assert "*.tif *.tiff" in asked[3]
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *said: asked.append(said[1]) or "")
    dock.images.add.folder.trigger()
    assert "DICOM series" in asked[-1]


def test_a_folder_without_an_image_is_told_in_words_of_the_window(
    dock: Dock, tmp_path: Path, said: list[str], qtbot: Any
) -> None:
    (tmp_path / "empty").mkdir()
    answer(dock, tmp_path / "empty")
    dock.images.add.folder.trigger()
    assert "holds no image" in said[-1]
    assert said[-1].endswith("Choose the folder in which the images lie.")


def test_images_are_added_by_commands(dock: Dock, viewer: Any, tmp_path: Path, qtbot: Any) -> None:
    for command, path in ((commands.add_files, pictures(tmp_path / "images", 1)[0]), (commands.add_folder, tmp_path)):
        answer(dock, path if path.is_file() else path / "images")
        command(viewer)
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=5000)


def test_in_an_empty_window_the_button_is_the_only_one_of_its_step(
    make_napari_viewer: Callable[..., Any], nothing_left: None, jobs: Any, tmp_path: Path
) -> None:
    viewer = make_napari_viewer(show=True)
    dock = Dock(viewer, Desk(viewer, jobs))
    viewer.window.add_dock_widget(dock, name="SSL Segmentation")
    hand = Hand(viewer)
    assert [b.text() for b in dock.images.panel.content.findChildren(QPushButton) if b.isVisible()] == ["Add…"]
    answer(dock, *pictures(tmp_path / "images", 1))
    hand.take("Add images", "Files…")
    hand.until(lambda: opened(viewer) == ["a0"], 10, "the image is open")
    hand.click("Use these images")
    assert [e.id for e in dock.desk.session.needed_project.images] == ["a0"]
    vars(hand).clear()
