"""The window in a notebook: a real kernel runs cells as a user writes them, and its event loop runs in between."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jupyter_client import BlockingKernelClient, write_connection_file

from napari_sslseg.project import Project

Run = Callable[[str], str]
PROMPT = 5.0  # s: no cell waits for a job; one takes some hundredths of that where the machine has nothing else to do

OPEN = """
%gui qt
import napari, numpy
viewer = napari.Viewer()
y, x = numpy.mgrid[:96, :96]
inside = numpy.hypot(y % 48 - 24, x % 48 - 24) < 14
viewer.add_image((inside * 100 + numpy.random.default_rng(0).normal(50, 10, (96, 96))).astype("uint8"), name="field")
_, dock = viewer.window.add_plugin_dock_widget("napari-sslseg", "SSL Segmentation")
"""
USE = """
dock.images.panel.button.click()
print(dock.desk.session.project.path)
"""
PAINT = """
dock.paint.panel.button.click()
layer = viewer.layers["field labels"]
for corner in (0, 48):
    layer.paint((corner + 3, corner + 3), 1)
    layer.paint((corner + 24, corner + 24), 2)
"""
TRAIN = """
for name, value in {"encoder": "unet", "start": "random", "steps": 20, "batch": 4, "crop": 32, "pixels": 0.0}.items():
    dock.train.form[name].value = value
dock.train.panel.button.click()
print(dock.desk.session.running)
"""
BUSY = """
import time
from napari_sslseg.project import Project
layer.paint((90, 3), 1)
time.sleep(1)
print(Project.open(dock.desk.session.project.path).labels("field")[90, 3])
"""
LOOK = "print(dock.desk.session.running, len(dock.desk.session.project.rounds), 'field masks' in viewer.layers)"


@pytest.fixture
def cell(tmp_path: Path) -> Iterator[Run]:
    """Runs a cell in a kernel and returns what it prints; it must not fail."""
    connection, _ = write_connection_file(str(tmp_path / "kernel.json"))
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", connection]
    with (tmp_path / "kernel.log").open("w") as log:
        kernel = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log)
    client = BlockingKernelClient()
    client.load_connection_file(connection)
    client.start_channels()
    until = time.monotonic() + 120
    try:
        while True:
            try:
                client.wait_for_ready(timeout=60)
                break
            except RuntimeError:  # so it takes a slow start as well as an end
                assert kernel.poll() is None and time.monotonic() < until, (tmp_path / "kernel.log").read_text()

        def execute(code: str) -> str:
            time.sleep(0.3)  # as users do; ipykernel may overlook a cell that comes just when it enters the event loop
            said: list[str] = []

            def hear(message: dict[str, Any]) -> None:
                content = message["content"]
                said.append(content.get("text", "") + "\n".join(content.get("traceback", ())))

            reply = client.execute_interactive(code, timeout=60, output_hook=hear)
            assert reply["content"]["status"] == "ok", "".join(said)
            return "".join(said)

        yield execute
        client.shutdown()
        assert kernel.wait(30) == 0
    finally:
        client.stop_channels()
        kernel.kill()
        kernel.wait()


def test_a_notebook_paints_trains_and_goes_on(cell: Run) -> None:
    cell(OPEN)
    path = cell(USE).splitlines()[-1]
    cell(PAINT)
    time.sleep(1)  # nobody runs a cell
    labels = Project.open(path).labels("field")
    assert [labels[i, i] for i in (3, 24, 51, 72)] == [1, 2, 1, 2]
    assert cell(BUSY).splitlines()[-1] == "1"  # written while the cell still runs
    assert cell(TRAIN).splitlines()[-1] == "train"
    longest, said, until = 0.0, "", time.monotonic() + 200
    while said != "None 1 True" and time.monotonic() < until:
        began = time.monotonic()
        said = cell(LOOK).splitlines()[-1]
        longest = max(longest, time.monotonic() - began)
    assert said == "None 1 True"
    assert longest < PROMPT
    cell('viewer.layers["field labels"].paint((48, 90), 1)')
    cell("viewer.close()")
    assert cell("print(napari.current_viewer())").splitlines()[-1] == "None"
    kept = Project.open(path)
    assert kept.labels("field")[48, 90] == 1
    assert len(kept.rounds) == 1
    assert np.unique(kept.prediction("field")).size > 1
