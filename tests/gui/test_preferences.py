"""What a user sets in napari's window for preferences, and what the plugin makes of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.settings import get_plugin_settings

from napari_sslseg.gui import preferences
from napari_sslseg.gui.desk import Desk
from napari_sslseg.gui.masks import Look
from napari_sslseg.project import Project

from .conftest import FakeJobs


@pytest.fixture
def said() -> Iterator[Any]:
    """The settings of the plugin, which are as they were afterwards."""
    settings = get_plugin_settings("napari-sslseg")
    before = settings.projects.folder, settings.masks.opacity, settings.masks.outline
    yield settings
    settings.projects.folder, settings.masks.opacity, settings.masks.outline = before


def test_nothing_set_is_what_it_is_without_settings(said: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found = preferences.home(), preferences.look()
    assert found == (Path.home() / "napari-sslseg", Look())

    def unknown(name: str) -> Any:
        raise KeyError(name)

    monkeypatch.setattr(preferences, "get_plugin_settings", unknown)
    assert (preferences.home(), preferences.look()) == found


def test_new_projects_are_kept_in_the_folder_that_was_set(said: Any, viewer: Any, tmp_path: Path) -> None:
    desk = Desk(viewer, FakeJobs())
    said.projects.folder = str(tmp_path / "all of mine")
    desk.use([[viewer.add_image(np.eye(32), name="field")]])
    assert desk.session.needed_project.path == tmp_path / "all of mine" / "field.sslseg"
    said.projects.folder = "~/elsewhere"
    assert desk.home == Path.home() / "elsewhere"
    said.projects.folder = "beside"
    assert desk.home == Path.home() / "beside"
    desk.close()


def test_masks_look_as_set_until_they_are_changed_in_a_project(said: Any, viewer: Any, tmp_path: Path) -> None:
    said.masks.opacity, said.masks.outline = 0.3, True
    desk = Desk(viewer, FakeJobs())
    memory = desk.memory
    assert desk.canvas.look == Look(opacity=0.3, outline=True)
    desk.session.open(Project.create(tmp_path / "one.sslseg"))
    assert desk.canvas.look == Look(opacity=0.3, outline=True)
    desk.canvas.set_look(Look(opacity=0.9))
    memory.keep_look()
    desk.session.open(Project.create(tmp_path / "two.sslseg"))
    assert desk.canvas.look == Look(opacity=0.3, outline=True)
    desk.session.open(Project.open(tmp_path / "one.sslseg"))
    assert desk.canvas.look == Look(opacity=0.9)
    desk.close()


@pytest.mark.parametrize("opacity", [-0.1, 1.5])
def test_what_is_out_of_range_is_refused(said: Any, opacity: float) -> None:
    with pytest.raises(ValueError, match="opacity"):
        said.masks.opacity = opacity
    assert preferences.look() == Look()
