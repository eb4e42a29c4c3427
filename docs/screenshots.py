"""Pictures of the window for README and docs, made by driving the real window with the real training.

    python docs/screenshots.py

Where there is no display, put ``xvfb-run -a -s "-screen 0 1600x1000x24"`` before it.

Writes ``docs/images/window.png``: scikit-image's `ihc` after learning, painting the strokes that ship with the
package, training and prediction. Run again, it gives the window as it is now.
"""

import argparse
import itertools
import json
import tempfile
import time
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import napari
import numpy as np
from qtpy.QtWidgets import QApplication

from napari_sslseg.gui.contributions import PLUGIN, WIDGET

IMAGES = Path(__file__).parent / "images"
SIZE = (1400, 880)


def until(done: Callable[[], bool], minutes: float = 20) -> None:
    """Keep the window alive until something is done."""
    end = time.monotonic() + 60 * minutes
    while not done():
        if time.monotonic() > end:
            raise TimeoutError("The window did not get there")
        QApplication.processEvents()
        time.sleep(0.01)


def pause(seconds: float) -> None:
    """Let the window draw itself."""
    end = time.monotonic() + seconds
    until(lambda: time.monotonic() > end)


def paint(dock: Any, layer: Any, part: slice) -> None:
    """Paint some of the strokes that ship with the package, as with the brush."""
    said = json.loads(files("napari_sslseg").joinpath("demo_strokes.json").read_text(encoding="utf-8"))
    session = dock.desk.session
    layer.brush_size = said["width"]
    for entry in said["classes"]:
        known = {c.value for c in session.project.classes}
        if entry["value"] not in known:
            dock.paint.add.click()
        session.change_class(entry["value"], name=entry["name"], colour=entry["colour"])
        dock.desk.canvas.painting.choose(entry["value"])
        for points in entry["strokes"][part]:
            for (x0, y0), (x1, y1) in itertools.pairwise(points):
                for t in np.linspace(0, 1, 1 + max(abs(x1 - x0), abs(y1 - y0))):
                    layer.paint((y0 + t * (y1 - y0), x0 + t * (x1 - x0)), entry["value"])
        QApplication.processEvents()


def window(learn: float, train: float) -> None:
    """Drive the window from an opened sample to its masks, and take its picture."""
    viewer = napari.Viewer()
    viewer.window.resize(*SIZE)
    viewer.open_sample(PLUGIN, "ihc")
    _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, WIDGET)
    session = dock.desk.session
    with tempfile.TemporaryDirectory() as folder:
        dock.desk.home = Path(folder)
        dock.images.panel.button.click()
        dock.learn.form["minutes"].value = learn
        dock.train.form["minutes"].value = train
        dock.learn.panel.button.click()
        until(lambda: session.running is None)
        dock.paint.panel.button.click()
        for part in (slice(0, None, 2), slice(1, None, 2)):  # what is missing in the first round is corrected
            paint(dock, viewer.layers["ihc labels"], part)
            pause(1)
            dock.train.panel.button.click()
            until(lambda: session.running is None)
        viewer.layers["ihc labels"].mode = "pan_zoom"
        viewer.reset_view(margin=0.02)
        pause(6)  # until messages have faded
        IMAGES.mkdir(exist_ok=True)
        viewer.screenshot(str(IMAGES / "window.png"), canvas_only=False, flash=False)
        viewer.close()
        pause(3)


def main() -> None:
    """Make the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--learn", type=float, default=1.0, help="minutes")
    parser.add_argument("--train", type=float, default=1.0, help="minutes")
    asked = parser.parse_args()
    window(asked.learn, asked.train)


if __name__ == "__main__":
    main()
