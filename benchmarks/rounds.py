"""Rounds: what a long session leaves behind: memory, threads, timers, layers and Qt objects after many rounds.

Where there is no display, under ``xvfb-run -a``:

    python benchmarks/rounds.py [--rounds 100] [--real | --headless]

In one window on an image of 64 × 64 pixels, round after round: a stroke with live masks on, a training, masks. Prints
one line of JSON: what there was after round 5 and at the end, and ``growth`` of the memory (aim: at most 1.1). Jobs
and answers follow a script, as in the tests of the window; with ``--real`` they are the real ones, of a few steps, and
``job_mb`` is the memory of the Python that runs them. With ``--headless`` there is no window and no Qt: the two Pythons
that the window starts, for jobs and for live masks, are asked by a script, and ``gpu_mb`` is what is taken of the
memory of the first NVIDIA graphics card, if there is one (by anybody: nothing else should use it). Wants psutil.
"""

import argparse
import contextlib
import gc
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil

SIDE = 64
EARLY = 5  # rounds after which everything is loaded that will be


def megabytes(*processes: psutil.Process) -> float:
    """Memory that processes hold."""
    return round(sum(p.memory_info().rss for p in processes) / 2**20, 1)


def state(viewer: Any, dock: Any) -> dict[str, float]:
    """What there is now."""
    from qtpy.QtCore import QCoreApplication, QEvent, QObject, QTimer
    from qtpy.QtWidgets import QApplication

    kind = QEvent.Type.DeferredDelete
    QCoreApplication.sendPostedEvents(None, getattr(kind, "value", kind))
    gc.collect()
    objects = [o for o in gc.get_objects() if isinstance(o, QObject)]
    owned = dock.desk.findChildren(QObject)
    return {
        "window_mb": megabytes(psutil.Process()),
        "job_mb": megabytes(*psutil.Process().children()),
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

    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from hand import Hand

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


def taken() -> dict[str, float]:
    """What the Pythons started from here hold, and what is taken of the graphics card."""
    gc.collect()
    others = psutil.Process().children()
    held = {
        "here_mb": megabytes(psutil.Process()),
        "job_mb": megabytes(*others),
        "job_threads": sum(c.num_threads() for c in others),
        "threads": threading.active_count(),
    }
    asked = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits", "--id=0"]
    with contextlib.suppress(OSError, subprocess.CalledProcessError):  # there is none
        held["gpu_mb"] = float(subprocess.run(asked, capture_output=True, text=True, check=True).stdout)
    return held


def headless(rounds: int, folder: Path) -> dict[str, Any]:
    """Let the window's two other Pythons work, round after round, and say what they held early and late."""
    from napari_sslseg.gui.jobs import RemoteJobs
    from napari_sslseg.gui.process import Call, Process
    from napari_sslseg.image import Image
    from napari_sslseg.job import Stop, run
    from napari_sslseg.overlay import Box, Stroke
    from napari_sslseg.project import Project
    from napari_sslseg.settings import FinetuneConfig, PredictConfig, RuntimeConfig

    random, runtime = np.random.default_rng(0), RuntimeConfig()
    project = Project.create(folder / "rounds.sslseg")
    image = Image.from_array(random.integers(0, 255, (SIDE, SIDE), np.uint8), name="small")
    id = project.add_image(image).id
    labels = np.zeros((SIDE, SIDE), np.uint16)
    labels[5, 5:50], labels[50, 5:50] = 1, 2
    whole = (slice(0, SIDE), slice(0, SIDE))
    jobs, live = RemoteJobs(), Process("napari_sslseg.gui.jobs:LiveJobs")
    config = FinetuneConfig(steps=2, crop=32, batch=2, hold_out=0.0, pixels=0.0)
    found, took = [], []
    for number in range(1, rounds + 1):
        began = time.perf_counter()
        y, x = random.integers(8, SIDE - 20, 2)
        labels[y, x : x + 10] = 1 + number % 2
        project.write_labels(id, labels)
        asked = {"id": id, "z": 0, "box": Box(0, 0, SIDE, SIDE), "strokes": [Stroke(id, whole, labels)]}
        call = Call("refresh", str(project.path.resolve()), {**asked, "runtime": runtime})
        assert run(live.run(call, project, Stop())).labels is not None
        run(jobs.train(project, config, runtime=runtime, stop=Stop()))
        run(jobs.predict(project, PredictConfig(), ids=None, planes=None, boxes=None, runtime=runtime, stop=Stop()))
        assert project.predicted(id)
        took.append(time.perf_counter() - began)
        if number in (EARLY, rounds):
            time.sleep(1)
            found.append(taken())
    jobs.close()
    live.close()
    early, late = found[0], found[-1]
    growth = {k: round(late[k] / early[k], 3) for k in early if k.endswith("_mb")}
    return {"rounds": rounds, "early": early, "late": late, "growth": growth, "round_s": round(np.median(took), 2)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=100)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--real", action="store_true")
    how.add_argument("--headless", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.environ["HOME"] = folder
        print(json.dumps(headless(asked.rounds, Path(folder)) if asked.headless else measure(asked.rounds, asked.real)))


if __name__ == "__main__":
    main()
