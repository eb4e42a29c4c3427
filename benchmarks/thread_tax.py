"""Thread tax: how much slower a pretraining runs under the live viewer than bare, and how long the window stalls.

Run it on a machine that does nothing else; where there is no display, under ``xvfb-run -a``:

    python benchmarks/thread_tax.py [--repeats 3] [--steps 12]

Prints one line of JSON. ``tax``: median over interleaved repeats of steps per second with the viewer, through the
dock and its worker, divided by steps per second of the same job as the only thing in a Python of its own.
``stall_ms``: the longest time between two beats of a 5 ms timer in the window while it trains (``stall_p99_ms``:
99 of 100 are shorter); ``stall_idle_ms``: the same while nothing runs.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from napari_sslseg.image import Image
from napari_sslseg.job import Event, Metric, run
from napari_sslseg.project import Project
from napari_sslseg.settings import PretrainConfig, RuntimeConfig

WARM = 2  # steps that are not timed


class Speed:
    """Steps per second by the metrics of a job."""

    def __init__(self) -> None:
        self.beats: list[tuple[int, float]] = []

    def hear(self, event: Event) -> None:
        """Note when a step was done."""
        if isinstance(event, Metric) and event.name == "loss" and event.step > WARM:
            self.beats.append((event.step, time.perf_counter()))

    @property
    def per_second(self) -> float:
        """Steps per second between the first and the last beat."""
        (first, began), (last, ended) = self.beats[0], self.beats[-1]
        return (last - first) / (ended - began)


def config(steps: int) -> PretrainConfig:
    """The run that is timed."""
    return PretrainConfig(method="restore", encoder="efficientnet_lite0", steps=steps)


def bare(path: Path, steps: int) -> float:
    """Steps per second with no window."""
    from napari_sslseg.workflow import pretrain_project

    speed = Speed()
    run(pretrain_project(Project.open(path), config(steps), runtime=RuntimeConfig(device="cpu")), speed.hear)
    return speed.per_second


def bare_elsewhere(path: Path, steps: int) -> float:
    """The same in a fresh Python, while the window here waits and does nothing."""
    command = [sys.executable, __file__, "--bare", str(path), "--steps", str(steps)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


class Window:
    """The real viewer with the dock and an image."""

    def __init__(self, folder: Path) -> None:
        import napari
        from qtpy.QtCore import Qt, QTimer
        from skimage.data import retina

        from napari_sslseg.gui.desk import desk_of
        from napari_sslseg.gui.dock import Dock

        self.viewer = napari.Viewer()
        self.viewer.add_image(retina(), name="retina")
        self.desk = desk_of(self.viewer)
        self.desk.home = folder
        self.dock = Dock(self.viewer)
        self.viewer.window.add_dock_widget(self.dock, name="SSL Segmentation")
        self.desk.use([[self.viewer.layers["retina"]]])
        self.gaps: list[float] = []
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

    def until(self, done: Any) -> list[float]:
        """Run the event loop until something is done; the gaps between the beats in ms."""
        from qtpy.QtCore import QEventLoop, QTimer

        loop, check = QEventLoop(), QTimer()
        check.timeout.connect(lambda: loop.quit() if done() else None)
        check.start(20)
        self.gaps, self._last = [], None
        loop.exec_() if hasattr(loop, "exec_") else loop.exec()
        return self.gaps

    def idle(self, seconds: float) -> list[float]:
        """Let the window be."""
        end = time.perf_counter() + seconds
        return self.until(lambda: time.perf_counter() > end)

    def train(self, steps: int) -> tuple[float, list[float]]:
        """Steps per second, and the gaps."""
        speed, session = Speed(), self.desk.session

        def hear(step: str, event: Event) -> None:
            speed.hear(event)

        session.event.connect(hear)
        session.runtime = RuntimeConfig(device="cpu")
        self.desk.learn(config(steps))
        gaps = self.until(lambda: session.running is None)
        session.event.disconnect(hear)
        return speed.per_second, gaps


def measure(repeats: int, steps: int) -> dict[str, Any]:
    """Interleave runs with and without the window."""
    from skimage.data import retina

    with tempfile.TemporaryDirectory() as folder:
        project = Project.create(Path(folder) / "bare.sslseg")
        project.add_image(Image.from_array(retina(), "YXS", name="retina"))
        window = Window(Path(folder))
        window.idle(5)  # what appears, appears
        quiet = window.idle(5)
        rates, gaps = [], []
        for _ in range(repeats):
            without = bare_elsewhere(project.path, steps)
            window.idle(1)
            with_window, found = window.train(steps)
            rates.append((with_window, without))
            gaps += found
        window.viewer.close()
        window.idle(3)
    ratios = [a / b for a, b in rates]
    return {
        "tax": round(statistics.median(ratios), 3),
        "ratios": [round(r, 3) for r in ratios],
        "steps_per_second": [round(b, 3) for _, b in rates],
        "stall_ms": round(max(gaps), 1),
        "stall_p99_ms": round(statistics.quantiles(gaps, n=100)[-1], 1),
        "stall_idle_ms": round(max(quiet), 1),
        "beats": len(gaps),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--bare", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    print(bare(asked.bare, asked.steps) if asked.bare else json.dumps(measure(asked.repeats, asked.steps)))


if __name__ == "__main__":
    main()
