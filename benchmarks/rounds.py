"""Rounds: what a long session leaves behind: memory, threads, timers, layers and Qt objects after many rounds.

Where there is no display, under ``xvfb-run -a``:

    python benchmarks/rounds.py [--rounds 100] [--real]

In one window on an image of 64 × 64 pixels, round after round: a stroke with live masks on, a training, masks. Prints
one line of JSON: what there was after round 5 and at the end, and ``growth`` of the memory (aim: at most 1.1). Jobs
and answers follow a script, as in the tests of the window; with ``--real`` they are the real ones, of a few steps, and
``job_mb`` is the memory of the Python that runs them. Wants psutil.
"""

import argparse
import gc
import json
import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from hand import Hand

SIDE = 64
EARLY = 5  # rounds after which everything is loaded that will be


def state(viewer: Any, dock: Any) -> dict[str, float]:
    """What there is now."""
    from qtpy.QtCore import QCoreApplication, QEvent, QObject, QTimer
    from qtpy.QtWidgets import QApplication

    kind = QEvent.Type.DeferredDelete
    QCoreApplication.sendPostedEvents(None, getattr(kind, "value", kind))
    gc.collect()
    here = psutil.Process()
    objects = [o for o in gc.get_objects() if isinstance(o, QObject)]
    owned = dock.desk.findChildren(QObject)
    return {
        "window_mb": round(here.memory_info().rss / 2**20, 1),
        "job_mb": round(sum(c.memory_info().rss for c in here.children()) / 2**20, 1),
        "threads": threading.active_count(),
        "layers": len(viewer.layers),
        "objects": len(objects),
        "owned": len(owned),
        "timers": sum(isinstance(o, QTimer) for o in owned),
        "widgets": len(QApplication.allWidgets()),
        "python_objects": len(gc.get_objects()),
    }


def measure(rounds: int, real: bool) -> dict[str, Any]:
    """Work in one window, and say what was there early and late."""
    import napari

    from napari_sslseg.gui.desk import Desk
    from napari_sslseg.gui.dock import Dock

    viewer = napari.Viewer()
    viewer.window.resize(1300, 850)
    viewer.add_image(np.random.default_rng(0).integers(0, 255, (SIDE, SIDE), np.uint8), name="small")
    if real:
        dock = Dock(viewer)
        for name, value in {"steps": 2, "crop": 32, "batch": 2, "hold_out": 0.0, "pixels": 0.0}.items():
            dock.train.form[name].value = value
    else:
        from gui.conftest import FakeAnswers, FakeJobs

        dock = Dock(viewer, Desk(viewer, FakeJobs(), answering=FakeAnswers()))
    viewer.window.add_dock_widget(dock, name="SSL Segmentation")
    hand = Hand(viewer)
    hand.click("✎ Paint on this image")
    labels = viewer.layers["small labels"]
    hand.fit()
    for row, value in ((5, "1"), (50, "2")):
        hand.key(value)
        hand.stroke(labels, [(row, 5), (row, 50)])
    hand.click("Live")
    found, took, session = [], [], dock.desk.session
    random = np.random.default_rng(0)
    for number in range(1, rounds + 1):
        began = time.perf_counter()
        y, x = random.integers(8, SIDE - 20, 2)
        hand.key(str(1 + number % 2))
        hand.stroke(labels, [(y, x), (y, x + 10)])
        hand.click("▶ Train")
        hand.until(  # masks are made after each training
            lambda n=number: session.running is None and session.predicted.get("small") == n, 120, "a round is done"
        )
        took.append(time.perf_counter() - began)
        if number in (EARLY, rounds):
            hand.rest(2)
            found.append(state(viewer, dock))
    viewer.close()
    hand.rest(2)
    early, late = found[0], found[-1]
    growth = {k: round(late[k] / early[k], 3) for k in ("window_mb", "job_mb") if early[k]}
    return {
        "rounds": rounds,
        "real": real,
        "early": early,
        "late": late,
        "growth": growth,
        "round_s": round(float(np.median(took)), 2),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--real", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.environ["HOME"] = folder
        print(json.dumps(measure(asked.rounds, asked.real)))


if __name__ == "__main__":
    main()
