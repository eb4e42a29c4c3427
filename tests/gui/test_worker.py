"""JobWorker: events, result and error come back in the GUI thread; a stop is only a request."""

import subprocess
import sys
import threading
from typing import Any

from qtpy.QtCore import QObject

from napari_sslseg.gui.worker import JobWorker
from napari_sslseg.job import Job, Progress, Stop


class Listener(QObject):
    """Remembers what it is told, and in which thread."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[Any] = []
        self.threads: set[int] = set()

    def hear(self, *what: Any) -> None:
        self.heard.append(*what)
        self.threads.add(threading.get_ident())


def counting(stop: Stop) -> Job[str]:
    yield Progress(0.0)
    yield Progress(1.0)
    return "made"


def patient(stop: Stop) -> Job[str]:
    yield Progress(0.0)
    while not stop.requested:
        threading.Event().wait(0.001)
    return "best so far"


def broken(stop: Stop) -> Job[str]:
    yield Progress(0.0)
    raise ValueError("no")


def work(make: Any, qtbot: Any) -> Listener:
    """Run a job to its end."""
    worker, listener = JobWorker(make), Listener()
    for signal in (worker.spoke, worker.returned, worker.errored):
        signal.connect(listener.hear)
    with qtbot.waitSignal(worker.finished, timeout=5000):
        worker.start()
        if make is patient:
            worker.quit()
    assert worker.wait(5)
    return listener


def test_events_and_result_arrive_in_order_in_the_gui_thread(qtbot: Any) -> None:
    listener = work(counting, qtbot)
    assert listener.heard == [Progress(0.0), Progress(1.0), "made"]
    assert listener.threads == {threading.get_ident()}


def test_after_a_stop_the_result_still_arrives(qtbot: Any) -> None:
    assert work(patient, qtbot).heard[-1] == "best so far"


def test_an_error_arrives_as_it_was_raised(qtbot: Any) -> None:
    assert repr(work(broken, qtbot).heard[-1]) == "ValueError('no')"


def test_a_job_that_cannot_be_made_is_an_error_too(qtbot: Any) -> None:
    def impossible(stop: Stop) -> Job[str]:
        raise ImportError("nothing there")

    assert isinstance(work(impossible, qtbot).heard[-1], ImportError)


def test_a_script_that_fails_while_a_job_runs_ends_and_the_job_keeps_what_it_has() -> None:
    script = """
import time
from qtpy.QtCore import QCoreApplication
from napari_sslseg.gui.worker import JobWorker
from napari_sslseg.job import Progress
app = QCoreApplication([])
def job(stop):
    yield Progress(0.0)
    print("at work", flush=True)
    while not stop.requested:
        time.sleep(0.01)
    print("kept", flush=True)
worker = JobWorker(job)
worker.start()
time.sleep(0.2)
raise ValueError("a mistake in the script")
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 1
    assert ended.stdout.split("\n")[:2] == ["at work", "kept"]
    assert "a mistake in the script" in ended.stderr
