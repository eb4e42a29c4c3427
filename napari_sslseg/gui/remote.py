"""Remote: the other end of `Process`: reads calls from its input, runs the jobs, writes what they say to its output."""

import atexit
import contextlib
import importlib
import os
import pickle
import queue
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any, BinaryIO

from napari_sslseg.contents import Round
from napari_sslseg.errors import StoppedError
from napari_sslseg.gui.process import NOTHING_YET, Call, Message, error_of, failed
from napari_sslseg.job import Stop, run
from napari_sslseg.project import Project

LONGEST = 2.0  # s that a job waits, if nobody lets it go on before


class Courtesy(Stop):
    """A request to stop, and to wait for a moment; a job does either where it looks whether it shall stop."""

    def __init__(self) -> None:
        super().__init__()
        self._free = threading.Event()
        self._free.set()
        self._until = 0.0

    def hold(self, on: bool) -> None:
        """Let the job wait, or go on."""
        self._until = time.monotonic() + LONGEST
        if on and not super().requested:
            self._free.clear()
        else:
            self._free.set()

    def request(self) -> None:
        """Ask the job to finish now and keep its best state."""
        super().request()
        self._free.set()

    @property
    def requested(self) -> bool:
        """Whether a stop was asked for; it is told after the wait."""
        self.give_way()
        return super().requested

    def give_way(self) -> None:
        """Wait as long as the job is held up."""
        if not self._free.is_set():
            began = time.monotonic()
            if not self._free.wait(max(0.0, self._until - began)):
                self._free.set()
            self.held += time.monotonic() - began


class Wire:
    """The two pipes; a thread reads, so that a stop is heard while a job runs.

    Parameters
    ----------
    source, sink : file
        Where messages come from and go to.
    """

    def __init__(self, source: BinaryIO, sink: BinaryIO) -> None:
        self.calls: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        self.stop = Courtesy()
        self.loading = threading.Event()  # set while nothing can run yet
        self._gone = threading.Event()
        self._kept: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._source, self._sink = source, sink
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while True:
            try:
                kind, value = pickle.load(self._source)
            except (EOFError, OSError, pickle.UnpicklingError):
                break
            if kind == "run":
                self.stop = Courtesy()
                self.calls.put(value)
            elif kind == "stop":
                self.stop.request()
                self._drop()
            elif kind == "hold":
                self.stop.hold(value)
            else:
                self._kept.put(Message(kind, value))
        if self.loading.is_set() and self.calls.empty():  # over before it began: nobody waits for slow imports
            os._exit(0)
        self._gone.set()  # the window is
        self.stop.request()
        self.calls.put(None)
        self._kept.put(Message("gone"))

    def _drop(self) -> None:
        """Answer for a call that was stopped before it was taken up: nobody waits for imports only to hear that."""
        with contextlib.suppress(queue.Empty):
            self.calls.get_nowait()
            self.send(*failed(StoppedError(*NOTHING_YET)))

    def send(self, kind: str, value: Any) -> bool:
        """Send a message; False if nobody is there any more."""
        try:
            pickle.dump(Message(kind, value), self._sink, protocol=5)
            self._sink.flush()
        except OSError:
            self.stop.request()
            return False
        return True

    def keep(self, name: str, value: Any) -> Message:
        """Ask the window to note something in its project, which it alone writes, and wait for its answer."""
        if self._gone.is_set() or not self.send("keep", (name, value)):
            return Message("gone")
        answer = self._kept.get()
        if answer.kind in ("user error", "error"):
            raise error_of(answer)
        return answer


class SharedProject(Project):
    """A project that the window has open too: what a job makes is noted there, or here if the window is gone."""

    wire: Wire

    def set_pretrained(self, checkpoint: Path) -> None:
        """Make a checkpoint the one that training starts from."""
        if self.wire.keep("set_pretrained", checkpoint).kind == "gone":
            Project.open(self.path).set_pretrained(checkpoint)
        self.refresh()

    def add_round(self, round: Round) -> Round:
        """Append a training round."""
        answer = self.wire.keep("add_round", round)
        stored: Round = Project.open(self.path).add_round(round) if answer.kind == "gone" else answer.value
        self.refresh()
        return stored


def serve(wire: Wire, jobs: Any) -> None:
    """Run what is asked for, one after the other, until the window is gone."""
    while (call := wire.calls.get()) is not None:
        try:
            project = SharedProject.open(call.project)
            project.wire = wire
            job = getattr(jobs, call.verb)(project, **call.arguments, stop=wire.stop)
            wire.send("return", run(job, lambda event: wire.send("event", event)))
        except Exception as error:  # whatever it is, the user must hear of it, in the window
            wire.send(*failed(error))


def main() -> None:
    """Serve the process that started this one."""
    # Last of all that is done at the end, so that torch is not taken apart: on a busy machine that takes minutes.
    atexit.register(lambda: os._exit(hasattr(sys, "last_value")))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the window, which then says what to do
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what others print must not get between the messages
    wire = Wire(os.fdopen(os.dup(0), "rb"), sink)
    where, patience = sys.argv[1:]
    module, _, name = where.partition(":")
    jobs = getattr(importlib.import_module(module), name)()
    wire.loading.set()
    with contextlib.suppress(ImportError):  # then the first job says in the window what is missing
        jobs.load()
    wire.loading.clear()
    if hasattr(os, "nice"):  # only now, for the first job waits for the imports
        os.nice(int(patience))  # Windows was told when the process was started
    serve(wire, jobs)


if __name__ == "__main__":
    main()
