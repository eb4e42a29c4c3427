"""Thread tax: how much slower a pretraining runs under the live viewer than bare, and how long the window stalls.

Run it on a machine that does nothing else; where there is no display, under ``xvfb-run -a``:

    python benchmarks/thread_tax.py [--pairs 12] [--seconds 5]

Prints one line of JSON. ``tax``: median over the pairs of steps per second while the window lives (idle, the dock
showing the progress), divided by steps per second of the same run while the window is held still; the two alternate
every few seconds within one training, so that what else the machine does falls on both. ``tax_range``: the middle
half of the pairs. ``bare``: steps per second held still, divided by those of the same job as the only thing in a
Python of its own. ``stall_ms``: the longest time between two beats of a 5 ms timer in the window while it trains, in
a run of its own, since the beats take time too (``stall_p99_ms``: 99 of 100 are shorter); ``stall_idle_ms``: the same
while nothing runs.
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

import numpy as np

from napari_sslseg.gui.jobs import RemoteJobs
from napari_sslseg.image import Image
from napari_sslseg.job import Event, Job, Metric, run
from napari_sslseg.project import Project
from napari_sslseg.settings import PretrainConfig, RuntimeConfig

WARM = 2  # steps that are not timed


class Clock:
    """Notes when each step was done, in the thread in which the job says so."""

    def __init__(self) -> None:
        self.steps: list[tuple[float, int]] = []

    def hear(self, event: Event) -> None:
        """Note a step."""
        if isinstance(event, Metric) and event.name == "loss" and event.step > WARM:
            self.steps.append((time.perf_counter(), event.step))

    def rate(self, began: float, ended: float) -> float:
        """Steps per second in a time."""
        times, steps = zip(*self.steps, strict=True)
        return float(np.diff(np.interp([began, ended], times, steps))[0] / (ended - began))

    @property
    def whole(self) -> float:
        """Steps per second of all that was noted."""
        return self.rate(self.steps[0][0], self.steps[-1][0])


class TimedJobs(RemoteJobs):
    """The real jobs, with a clock."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()

    def pretrain(self, *given: Any, **named: Any) -> Job[Path]:
        """Learn, and note the steps."""
        job = super().pretrain(*given, **named)
        while True:
            try:
                event = next(job)
            except StopIteration as end:
                return end.value
            self.clock.hear(event)
            yield event


def config(steps: int) -> PretrainConfig:
    """The run that is timed."""
    return PretrainConfig(method="restore", encoder="efficientnet_lite0", steps=steps)


def bare(path: Path, steps: int) -> float:
    """Steps per second with no window."""
    from napari_sslseg.workflow import pretrain_project

    clock = Clock()
    run(pretrain_project(Project.open(path), config(steps), runtime=RuntimeConfig(device="cpu")), clock.hear)
    return clock.whole


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

        from napari_sslseg.gui.desk import Desk
        from napari_sslseg.gui.dock import Dock

        self.viewer = napari.Viewer()
        self.viewer.add_image(retina(), name="retina")
        self.jobs = TimedJobs()
        self.desk = Desk(self.viewer, self.jobs)
        self.desk.home = folder
        self.dock = Dock(self.viewer, self.desk)
        self.viewer.window.add_dock_widget(self.dock, name="SSL Segmentation")
        self.desk.use([[self.viewer.layers["retina"]]])
        self.gaps: list[float] = []
        self._last: float | None = None
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._beat)

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
        check.start(100)
        self.gaps, self._last = [], None
        loop.exec_() if hasattr(loop, "exec_") else loop.exec()
        return self.gaps

    def beat(self, on: bool) -> None:
        """Start or stop the beats, which take some time themselves."""
        self._timer.start(5) if on else self._timer.stop()

    def idle(self, seconds: float) -> list[float]:
        """Let the window be."""
        end = time.perf_counter() + seconds
        return self.until(lambda: time.perf_counter() > end)

    def train(self) -> None:
        """Begin a training that goes on until it is stopped, and wait until it runs."""
        self.jobs.clock = Clock()
        self.desk.session.runtime = RuntimeConfig(device="cpu")
        self.desk.learn(config(100_000))
        self.until(lambda: len(self.jobs.clock.steps) > 3)

    def stop(self) -> None:
        """End it."""
        self.desk.stop()
        self.until(lambda: self.desk.session.running is None)


def alternate(window: Window, pairs: int, seconds: float) -> tuple[list[float], float]:
    """Let the window live and hold it still in turn; the ratio of each pair, and the rate held still."""
    window.train()
    times = []
    for _ in range(pairs):
        window.idle(0.5)  # what has gathered while it was held is drawn
        began = time.perf_counter()
        window.idle(seconds)
        between = time.perf_counter()
        time.sleep(seconds)
        times.append((began, between, time.perf_counter()))
    window.idle(1)
    clock = window.jobs.clock
    window.stop()
    rates = [(clock.rate(a, b), clock.rate(b, c)) for a, b, c in times]
    return [live / still for live, still in rates], statistics.median(still for _, still in rates)


def measure(pairs: int, seconds: float, steps: int) -> dict[str, Any]:
    """Tax, and stalls."""
    from skimage.data import retina

    with tempfile.TemporaryDirectory() as folder:
        project = Project.create(Path(folder) / "bare.sslseg")
        project.add_image(Image.from_array(retina(), "YXS", name="retina"))
        window = Window(Path(folder))
        window.idle(5)  # what appears, appears
        window.beat(True)
        quiet = window.idle(5)
        window.train()
        gaps = window.idle(2 * seconds)
        window.beat(False)
        window.stop()
        ratios, still = alternate(window, pairs, seconds)
        alone = bare_elsewhere(project.path, steps)
        window.viewer.close()
        window.idle(3)
    quarter, median, three = statistics.quantiles(ratios, n=4)
    return {
        "tax": round(median, 3),
        "tax_range": [round(quarter, 3), round(three, 3)],
        "bare": round(still / alone, 3),
        "steps_per_second": round(still, 2),
        "stall_ms": round(max(gaps), 1),
        "stall_p99_ms": round(statistics.quantiles(gaps, n=100)[-1], 1),
        "stall_idle_ms": round(max(quiet), 1),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--steps", type=int, default=60, help="of the bare run")
    parser.add_argument("--bare", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    said = bare(asked.bare, asked.steps) if asked.bare else json.dumps(measure(asked.pairs, asked.seconds, asked.steps))
    print(said)


if __name__ == "__main__":
    main()
