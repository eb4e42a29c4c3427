"""Latency of live mode: from a stroke to the masks of what is looked at.

Run it on a machine that does nothing else; with ``--window``, where there is no display, under ``xvfb-run -a``:

    python benchmarks/live.py [--sides 512,2048] [--channels 1,3] [--strokes 20]
    python benchmarks/live.py --window [--sides 512] [--strokes 20]

Without ``--window``: `Feedback.refresh` in this process. ``first``: seconds of the first question, in which the
encoder is loaded and the view is described (``look``: the latter alone); ``median`` and ``worst``: of the strokes after
it, of two classes at first, of three from the thirteenth stroke on. With ``--window``: a real viewer; from the release
of the mouse to the first frame that is drawn with the new masks. A stroke is a line, 3 pixels wide and 40 long,
within what the truth says is one class: brightness of `retina` in three ranges. Prints one line of JSON a case.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage
from skimage import data

from napari_sslseg.feedback import Feedback
from napari_sslseg.image import Image
from napari_sslseg.job import Stop, run
from napari_sslseg.live import Where
from napari_sslseg.overlay import Box, Stroke
from napari_sslseg.project import Project

LENGTH = 40  # px of a stroke


def scene(side: int, channels: int) -> tuple[Image, np.ndarray]:
    """A retina, mirrored until it is large enough, and classes 1 to 3."""
    pixels = np.moveaxis(data.retina(), -1, 0)[1:2] if channels == 1 else np.moveaxis(data.retina(), -1, 0)
    pixels = np.pad(pixels, ((0, 0), *[(0, max(0, side - n)) for n in pixels.shape[1:]]), mode="reflect")
    start = (pixels.shape[1] - side) // 2
    pixels = np.ascontiguousarray(pixels[:, start : start + side, start : start + side])
    smooth = ndimage.gaussian_filter(pixels[0].astype(np.float32), 4)
    return Image(pixels, name="retina", rgb=channels == 3), 1 + np.digitize(smooth, np.percentile(smooth, (50, 85)))


def strokes(truth: np.ndarray, count: int) -> list[tuple[int, int, int]]:
    """Value, y and x of the left ends of lines that lie within a class."""
    rng, found = np.random.default_rng(0), []
    for k in range(count + 2):
        value = 1 + k % (2 if k < 12 else 3)
        inside = ndimage.minimum_filter(truth == value, (3, LENGTH), origin=(0, -(LENGTH // 2)))
        places = np.argwhere(inside[2:-2, 2 : -LENGTH - 2]) + 2
        found.append((value, *map(int, places[rng.integers(len(places))])))
    return found


def summary(seconds: list[float]) -> dict[str, float]:
    """Median and worst."""
    return {"median": round(statistics.median(seconds), 3), "worst": round(max(seconds), 3)}


def headless(side: int, channels: int, count: int) -> dict[str, Any]:
    """Time `Feedback`."""
    image, truth = scene(side, channels)
    box, feedback = Box(0, 0, side, side), Feedback()
    with tempfile.TemporaryDirectory() as folder:
        project = Project.create(Path(folder) / "p.sslseg")
        project.add_image(image)
        ask = {"id": "retina", "z": 0, "box": box}
        began = time.perf_counter()
        run(feedback.refresh(project, **ask))
        first = time.perf_counter() - began
        began = time.perf_counter()
        run(feedback._live.look(feedback._image("retina"), Where("again", 0), box, Stop()))
        look = time.perf_counter() - began
        took = []
        for value, y, x in strokes(truth, count):
            region = (slice(y - 1, y + 2), slice(x, x + LENGTH))
            told = Stroke("retina", region, np.full((3, LENGTH), value, np.uint16))
            began = time.perf_counter()
            overlay = run(feedback.refresh(project, **ask, strokes=[told]))
            took.append(time.perf_counter() - began)
        agreement = float((overlay.labels == truth).mean())
    found = {"side": side, "channels": channels, "strokes": count, "first": round(first, 3), "look": round(look, 3)}
    return {**found, **summary(took[2:]), "agreement": round(agreement, 3)}


def windowed(side: int, channels: int, count: int) -> dict[str, Any]:
    """Time the real window."""
    import napari
    from qtpy.QtWidgets import QApplication

    from napari_sslseg.gui.dock import Dock

    image, truth = scene(side, channels)
    with tempfile.TemporaryDirectory() as folder:
        viewer = napari.Viewer()
        viewer.window.resize(1500, 950)
        dock = Dock(viewer)
        viewer.window.add_dock_widget(dock, name="SSL Segmentation")
        dock.desk.home = Path(folder)
        viewer.add_image(np.moveaxis(image.data, 0, -1) if channels == 3 else image.data[0], name="retina")
        wait(lambda: False, 1.0)
        dock.desk.paint()
        layer = viewer.layers.selection.active
        layer.brush_size = 3
        began = time.perf_counter()
        dock.train.live.click()
        live = dock.desk.live
        wait(lambda: "paint two" in live.said)
        first, drawn, took = time.perf_counter() - began, [0], []
        canvas = viewer.window._qt_viewer.canvas._scene_canvas
        canvas.events.draw.connect(lambda event: drawn.__setitem__(0, drawn[0] + 1))
        shown, show = [], live._show  # how many frames had been drawn at each answer
        live._show = lambda *given: (show(*given), shown.append(drawn[0]))
        for value, y, x in strokes(truth, count):
            before = len(shown)
            drag(layer, value, y, x)
            began = time.perf_counter()
            if len(took) + 1 < 2:
                wait(lambda: live._worker is None)
                took.append(0.0)
                continue
            wait(lambda before=before: len(shown) > before and drawn[0] > shown[-1])
            took.append(time.perf_counter() - began)
            wait(lambda: live._worker is None and not live._moved.isActive())
        viewer.close()
        QApplication.processEvents()
        live.wait(20)
    return {
        "window": True,
        "side": side,
        "channels": channels,
        "strokes": count,
        "first": round(first, 3),
        **summary(took[2:]),
    }


def drag(layer: Any, value: int, y: int, x: int) -> None:
    """Draw a line with the mouse, as far as the layer can tell."""
    from napari.utils._test_utils import read_only_mouse_event
    from napari.utils.interactions import mouse_move_callbacks, mouse_press_callbacks, mouse_release_callbacks

    def event(kind: str, at: tuple[int, int]) -> Any:
        place = layer.data_to_world(at)
        return read_only_mouse_event(type=kind, is_dragging=kind == "mouse_move", position=place, dims_displayed=[0, 1])

    layer.mode, layer.selected_label = "paint", value
    mouse_press_callbacks(layer, event("mouse_press", (y, x)))
    mouse_move_callbacks(layer, event("mouse_move", (y, x + LENGTH - 1)))
    mouse_release_callbacks(layer, event("mouse_release", (y, x + LENGTH - 1)))


def wait(until: Any, seconds: float = 60.0) -> None:
    """Let the window live until something is so."""
    from qtpy.QtWidgets import QApplication

    end = time.perf_counter() + seconds
    while not until() and time.perf_counter() < end:
        QApplication.processEvents()
        time.sleep(0.001)


def main() -> None:
    """Run all cases."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--sides", default="512,2048")
    p.add_argument("--channels", default="1,3")
    p.add_argument("--strokes", type=int, default=20)
    p.add_argument("--window", action="store_true")
    options = p.parse_args()
    for side in map(int, options.sides.split(",")):
        for channels in map(int, options.channels.split(",")):
            case = windowed if options.window else headless
            print(json.dumps(case(side, channels, options.strokes)), flush=True)


if __name__ == "__main__":
    main()
