"""Stalls: how long the event loop of the window is held up while the plugin works, and what a stroke of paint costs.

Run it on a machine that does nothing else; where there is no display, under ``xvfb-run -a``:

    python benchmarks/stalls.py [--seconds 20] [--strokes 20]

Prints one line of JSON. ``gaps_ms``: gaps between the beats of a 5 ms timer (``median``, ``p99``, ``worst``; 5 is no
gap; ``garbage``: the longest time that Python itself collected garbage) while nothing runs (``idle``), while a training
runs (``training``), and while a line is drawn each second: in napari before the plugin is there (``painting_alone``;
``painting_two``: with a layer of masks beside it, such as live masks are), with live masks on (``live``), and with both
(``both``) or with a prediction of a stack of 40 planes beside live masks (``live_predicting``; ``lines_meanwhile``: of
how many lines, and how many of them while it ran): drawing a frame takes napari itself some time, and without a
graphics card much. ``stroke_ms``: median time of a stroke through real mouse events (press, 20 moves, release, and what
they set off) in a napari without the plugin (``alone``, and with a layer of masks beside, ``two``) and on the layer of
the plugin with the dock open, at the same times; ``stroke_cpu_ms``: the same in time of the process, which what else
the machine does touches less; ``move_ms``: the median of its moves alone, from the mouse to the drawn frame; ``ratio``,
``cpu_ratio`` and ``move_ratio``: each of these to ``alone``. ``dock_s``: from asking for the dock until it is to be
seen and clicked, by the clock and the process.
"""

import argparse
import gc
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from hand import Hand

SIDE = 512
MOVES = 20
PLANES = 40


class Beat:
    """A timer of 5 ms that notes how long it was between two beats."""

    def __init__(self) -> None:
        from qtpy.QtCore import Qt, QTimer

        self.gaps: list[float] = []
        self.pauses: list[float] = []  # ms that Python collected garbage
        self._began = 0.0
        self._last: float | None = None
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._beat)
        self._timer.start(5)

    def _beat(self) -> None:
        now = time.perf_counter()
        if self._last is not None:
            self.gaps.append(1000 * (now - self._last))
        self._last = now

    def _collects(self, phase: str, _: Any) -> None:
        if phase == "start":
            self._began = time.perf_counter()
        else:
            self.pauses.append(1000 * (time.perf_counter() - self._began))

    def of(self, seconds: float, do: Any = None, every: float = 1.0) -> dict[str, float]:
        """Run the event loop for some time, do something now and then, and sum up the gaps."""
        from qtpy.QtCore import QEventLoop, QTimer

        loop = QEventLoop()
        QTimer.singleShot(round(1000 * seconds), loop.quit)
        again = QTimer()
        if do is not None:
            again.timeout.connect(do)
            again.start(round(1000 * every))
        self.gaps, self._last, self.pauses = [], None, [0.0]
        gc.callbacks.append(self._collects)
        loop.exec_() if hasattr(loop, "exec_") else loop.exec()
        again.stop()
        gc.callbacks.remove(self._collects)
        return {
            "median": round(statistics.median(self.gaps), 1),
            "p99": round(statistics.quantiles(self.gaps, n=100)[-1], 1),
            "worst": round(max(self.gaps), 1),
            "garbage": round(max(self.pauses), 1),
        }


class Bench:
    """A window with an image, and lines drawn on a layer of it."""

    def __init__(self) -> None:
        import napari
        from skimage.data import retina

        self.viewer = napari.Viewer()
        self.viewer.window.resize(1400, 900)
        self.image = self.viewer.add_image(
            np.ascontiguousarray(retina()[400 : 400 + SIDE, 400 : 400 + SIDE]), name="eye"
        )
        self.hand = Hand(self.viewer, pause=0.002)
        self.random = np.random.default_rng(0)

    def line(self, layer: Any) -> None:
        """Draw a line somewhere."""
        y, x = self.random.integers(60, SIDE - 60, 2)
        self.hand.stroke(layer, [(y, x), (y + 30, x + 30)], 60 / MOVES)

    def timed(self, layer: Any) -> tuple[float, ...]:
        """Milliseconds of one line, by the clock and of the process, and of a typical move of it by the clock."""
        self.viewer.layers.selection.active = layer
        self.hand.rest(0.1)
        self.hand.moves.clear()
        began = time.perf_counter(), time.process_time()
        self.line(layer)
        took = time.perf_counter() - began[0], time.process_time() - began[1], statistics.median(self.hand.moves)
        return tuple(1000 * seconds for seconds in took)

    def plain(self, *, full: bool = False) -> Any:
        """A Labels layer as anyone makes one, empty or full of masks."""
        pixels = 1 + (self.image.data.mean(axis=2) > 90) if full else np.zeros((SIDE, SIDE))
        layer = self.viewer.add_labels(pixels.astype(np.uint16), name="masks" if full else "plain")
        layer.brush_size, layer.mode = 4, "paint"
        return layer


def measure(seconds: float, count: int) -> dict[str, Any]:
    """Gaps and strokes."""
    bench, beat = Bench(), Beat()
    hand, layer = bench.hand, bench.plain()
    hand.fit()
    bench.timed(layer)  # the first one compiles shaders
    alone = [bench.timed(layer) for _ in range(count)]
    gaps = {"painting_alone": beat.of(seconds, lambda: bench.line(layer))}
    bench.plain(full=True)
    bench.viewer.layers.move(1, 2)  # the layer that is painted on lies above
    bench.timed(layer)
    two = [bench.timed(layer) for _ in range(count)]
    gaps["painting_two"] = beat.of(seconds, lambda: bench.line(layer))
    for name in ("plain", "masks"):
        bench.viewer.layers.remove(name)
    began = time.perf_counter(), time.process_time()
    bench.viewer.window.add_plugin_dock_widget("napari-sslseg", "SSL Segmentation")
    hand.find("▶ Learn")
    opened = [round(time.perf_counter() - began[0], 2), round(time.process_time() - began[1], 2)]
    hand.click("✎ Paint on this image")
    labels = bench.viewer.layers["eye labels"]
    labels.brush_size = 4
    hand.fit()
    bench.timed(labels)
    strokes = {"alone": alone, "two": two, "idle": [bench.timed(labels) for _ in range(count)]}
    gaps["idle"] = beat.of(seconds)
    for value in ("1", "2"):
        hand.key(value)
        bench.line(labels)
    hand.choose("How long to learn", "Thorough")  # it is paused as soon as all is measured
    hand.click("▶ Learn")
    hand.until(lambda: hand.shows("Learning curve"), 300, "learning is under way")
    strokes["training"] = [bench.timed(labels) for _ in range(count)]
    gaps["training"] = beat.of(seconds)
    hand.click("Live")
    hand.until(lambda: any(x.name == "eye live" for x in bench.viewer.layers), 300, "there are live masks")
    gaps["both"] = beat.of(seconds, lambda: bench.line(labels))
    strokes["both"] = [bench.timed(labels) for _ in range(count)]
    hand.click("❚❚ Pause")
    hand.until(hand.idle, 300, "learning has ended")
    gaps["live"] = beat.of(seconds, lambda: bench.line(labels))
    strokes["live"] = [bench.timed(labels) for _ in range(count)]
    gaps["live_predicting"], strokes["live_predicting"], meanwhile = _predicting(bench, beat, labels, seconds, count)
    clock, process, move = (
        {k: round(statistics.median(x[i] for x in v), 1) for k, v in strokes.items()} for i in range(3)
    )
    bench.viewer.close()
    hand.rest(3)
    return {
        "gaps_ms": gaps,
        "stroke_ms": clock,
        "stroke_cpu_ms": process,
        "move_ms": move,
        "ratio": _ratios(clock),
        "cpu_ratio": _ratios(process),
        "move_ratio": _ratios(move),
        "dock_s": opened,
        "lines_meanwhile": meanwhile,
    }


def _predicting(
    bench: Bench, beat: Beat, labels: Any, seconds: float, count: int
) -> tuple[dict[str, float], list[tuple[float, ...]], list[int]]:
    """Gaps while a stack is predicted and lines are drawn on an image beside it, of how many lines how many were, and
    what lines took beside it.

    The network is one of a moment's training: how long a plane takes does not depend on what was learnt.
    """
    hand, ran, eye = bench.hand, [], bench.image.data
    pile = bench.viewer.add_image(np.stack([np.roll(eye, 9 * k, axis=1) for k in range(PLANES)]), name="pile")
    bench.viewer.layers.selection.active = pile
    hand.click("✎ Paint on this image")
    hand.until(lambda: "pile labels" in bench.viewer.layers, 60, "the stack is in the project")
    pile.visible = bench.viewer.layers["pile labels"].visible = False
    bench.viewer.layers.selection.active = labels
    hand.click("▶ Train")
    hand.rest(25)
    hand.click("■ Stop")
    hand.until(hand.idle, 300, "the training has ended")
    hand.rest(2)
    hand.click("▶ Everything")
    button = hand.find("■ Stop")

    def line() -> None:
        ran.append("Stop" in button.text())
        bench.line(labels)

    found, strokes = beat.of(seconds, line), []
    while "Stop" in button.text() and len(strokes) <= count:
        strokes.append(bench.timed(labels))
    if "Stop" in button.text():
        hand.click("■ Stop")
    hand.until(hand.idle, 300, "the prediction has ended")
    return found, strokes[:-1], [len(ran), sum(ran)]  # the prediction may have ended during the last one


def _ratios(times: dict[str, float]) -> dict[str, float]:
    return {k: round(v / times["alone"], 2) for k, v in times.items() if k != "alone"}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--strokes", type=int, default=20)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.environ["HOME"] = folder
        print(json.dumps(measure(asked.seconds, asked.strokes)))


if __name__ == "__main__":
    main()
