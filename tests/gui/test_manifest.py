"""What the plugin offers to napari: the manifest is valid, everything that it names exists and works."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.utils._proxies import PublicOnlyProxy
from npe2 import PluginManifest

import napari_sslseg
from napari_sslseg.gui import commands, contributions, result_commands
from napari_sslseg.gui.dock import Dock
from napari_sslseg.project import Project

from .conftest import FakeAnswers, FakeJobs
from .test_jobs import done

FILE = Path(napari_sslseg.__file__).with_name("napari.yaml")


@pytest.fixture
def manifest() -> PluginManifest:
    return PluginManifest.from_file(FILE)


@pytest.fixture
def plugin(npe2pm: Any, manifest: PluginManifest) -> PluginManifest:
    """The plugin, registered as in an installation."""
    if manifest.name not in npe2pm:
        npe2pm.register(manifest)
    return manifest


def test_the_manifest_is_valid(manifest: PluginManifest) -> None:
    manifest.validate_imports()


def test_every_sample_can_be_opened_from_the_menu(manifest: PluginManifest) -> None:
    from napari_sslseg import samples

    assert {s.key for s in manifest.contributions.sample_data or ()} == set(samples.names())


@pytest.mark.parametrize("name", ["ihc", "retina", "coins", "cell", "nuclei3d"])
def test_a_sample_becomes_layers(name: str, plugin: PluginManifest, viewer: Any) -> None:
    opened = viewer.open_sample("napari-sslseg", name)
    assert opened[0].name == name
    assert opened[0].rgb == (name in ("ihc", "retina"))


def test_the_synthetic_nuclei_come_with_their_truth(plugin: PluginManifest, viewer: Any) -> None:
    image, truth = viewer.open_sample("napari-sslseg", "nuclei3d")
    assert truth.data.shape == image.data.shape
    assert int(np.max(truth.data)) > 1
    assert not truth.visible
    np.testing.assert_allclose(truth.scale, image.scale)


def test_the_menus_exist(manifest: PluginManifest) -> None:
    from napari._app_model.constants._menus import MenuId

    named = set(manifest.contributions.menus)
    assert {"napari/layers/segment", "napari/layers/annotate"} < named
    assert named <= {str(m) for m in MenuId.contributables()}


def test_the_widget_opens_from_the_plugins_menu(plugin: PluginManifest, viewer: Any) -> None:
    _, dock = viewer.window.add_plugin_dock_widget("napari-sslseg", "SSL Segmentation")
    assert type(dock).__name__ == "Dock"
    _, again = viewer.window.add_plugin_dock_widget("napari-sslseg", "SSL Segmentation")
    assert again is dock


def test_commands_find_the_dock_that_the_menu_opened(plugin: PluginManifest, viewer: Any) -> None:
    named = viewer.window.add_dock_widget(Dock(viewer), name="SSL Segmentation (SSL Segmentation)")  # as the menu does
    named.hide()
    assert contributions.dock_in(viewer) is viewer.window.dock_widgets["SSL Segmentation (SSL Segmentation)"]
    assert contributions.dock_in(PublicOnlyProxy(viewer)) is contributions.dock_in(viewer)
    assert len(viewer.window.dock_widgets) == 1
    assert not named.isHidden()


def test_commands_drive_the_dock(plugin: PluginManifest, viewer: Any, qtbot: Any) -> None:
    viewer.add_image(np.eye(32), name="field")
    _, dock = viewer.window.add_plugin_dock_widget("napari-sslseg", "SSL Segmentation")
    dock.desk.jobs, dock.desk.live._answering = FakeJobs(), FakeAnswers()
    contributions.paint(viewer)
    layer = viewer.layers["field labels"]
    layer.paint((5, 5), 1)
    layer.paint((25, 5), 2)
    for command, verb in (
        (contributions.learn, "pretrain"),
        (contributions.train, "predict"),  # which follows training
        (contributions.predict, "predict"),
        (contributions.predict_image, "predict"),
        (contributions.predict_everything, "predict"),
    ):
        command(viewer)
        done(dock, qtbot)
        assert dock.desk.jobs.calls[-1][0] == verb
    dock.desk.jobs.hold()
    contributions.learn(viewer)
    commands.take_out(viewer)  # not while a job runs
    assert [e.id for e in dock.desk.session.project.images] == ["field"]
    contributions.stop(viewer)
    done(dock, qtbot)
    dock.desk.jobs.go.set()
    for command, role in ((commands.colours, "colours"), (commands.alike, "alike")):
        command(viewer)
        done(dock, qtbot)
        assert dock.learn.sees.sights.shows(role)
        command(viewer)
        assert not dock.learn.sees.sights.shows(role)
    for command in (result_commands.adjust_apply, result_commands.adjust_reset):
        command(viewer)  # nothing is adjusted
        assert dock.desk.session.running is None
    viewer.layers["field"].corner_pixels = np.array([[4, 4], [19, 19]])  # as the canvas says when one zooms in
    commands.use_region(viewer)
    done(dock, qtbot)
    assert [e.id for e in dock.desk.session.project.images] == ["field", "field region"]
    commands.take_out(viewer)
    assert [e.id for e in dock.desk.session.project.images] == ["field"]


def test_a_project_folder_is_dropped_into_the_viewer(
    plugin: PluginManifest, viewer: Any, tmp_path: Path, qtbot: Any
) -> None:
    from napari_sslseg.image import Image

    project = Project.create(tmp_path / "mine.sslseg")
    project.add_image(Image.from_array(np.eye(32, dtype=np.float32), name="one"))
    project.write_labels("one", np.eye(32, dtype=np.uint16))
    viewer.open(project.path, plugin="napari-sslseg")
    assert [layer.name for layer in viewer.layers] == ["one", "one labels"]


def test_opening_the_dock_loads_no_torch() -> None:
    code = "import sys, napari_sslseg.gui.dock; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


SESSION = """
import napari, numpy
from qtpy.QtCore import QTimer

viewer = napari.Viewer()
viewer.add_image(numpy.eye(32), name="one")
_, dock = viewer.window.add_plugin_dock_widget("napari-sslseg")
dock.desk.use([[viewer.layers["one"]]])
QTimer.singleShot(1000, viewer.close)
napari.run()
print("closed", flush=True)
"""


def test_a_window_that_is_closed_ends_python_cleanly() -> None:
    done = subprocess.run([sys.executable, "-c", SESSION], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["closed"]), done.stderr


SCRIPT = """
import os, signal, time
import napari, numpy
import qtpy
from qtpy.QtCore import QEventLoop, QTimer

if qtpy.PYSIDE6:
    from qtpy.shiboken import delete
else:
    from qtpy.sip import delete

def paint(name):
    viewer = napari.Viewer(show=False)
    viewer.add_image(numpy.eye(32), name=name)
    _, dock = viewer.window.add_plugin_dock_widget("napari-sslseg")
    dock.desk.paint()
    print(dock.desk.session.project.path, flush=True)
    layer = viewer.layers[name + " labels"]
    layer.paint((20, 20), 2)
    layer.data_setitem((numpy.array([9]), numpy.array([9])), 2)
    layer.fill((0, 31), 1)
    return viewer, dock.desk.canvas.painting

opened = []

def slot():  # of an event loop that ends before its timers
    try:
        opened.append(paint("one"))
    finally:
        loop.quit()

napari.qt.get_qapp()
loop = QEventLoop()
"""

ENDS = {
    "the viewer is closed": 'paint("one")[0].close()',
    "nothing more happens": 'viewer, _ = paint("one"); paint("two")',
    "an event loop ends at once": "QTimer.singleShot(0, slot); loop.exec()",
    "Qt is gone": "QTimer.singleShot(0, slot); loop.exec(); delete(opened[0][1])",
    "it is killed": 'viewer, _ = paint("one"); time.sleep(1); os.kill(os.getpid(), signal.SIGTERM)',
}

# Most of what a script takes is to get ready for jobs that it does not begin; one of them does.
IDLE = "from napari_sslseg.gui.process import Process; Process.start = lambda self: None\n"


@pytest.mark.parametrize("end", ENDS)
def test_what_a_script_paints_is_on_the_disk_once_it_ends(end: str, tmp_path: Path) -> None:
    out, script = tmp_path / "out", SCRIPT + ("" if end == "it is killed" else IDLE) + ENDS[end]
    with out.open("w") as file:  # no pipe, which other processes hold open for longer
        subprocess.run([sys.executable, "-c", script], stdout=file, stderr=file, check=False, timeout=120)
    said = out.read_text().splitlines()
    projects = [Project.open(line) for line in said if Path(line).is_absolute() and line.endswith(".sslseg")]
    assert len(projects) == 1 + ("two" in ENDS[end]), said
    for project in projects:
        labels = project.labels(project.images[0].id)
        assert (labels[20, 20], labels[9, 9], labels[0, 31]) == (2, 2, 1), said
