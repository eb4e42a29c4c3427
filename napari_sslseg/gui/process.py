"""Process: a second Python that runs the jobs, so that the window stays live whatever they do.

In the process of the window, torch would meet the graphics libraries: on Linux its compiler, Triton, and Mesa's
OpenGL both bring LLVM, and importing the one after the other has been used ends in a segmentation fault. Here no
import stalls the window, running out of memory ends the job and not napari, and a job is slowed by nothing.
"""

import contextlib
import os
import pickle
import queue
import subprocess
import sys
import threading
import traceback
from typing import IO, Any, NamedTuple

from napari_sslseg.errors import StoppedError, UserError
from napari_sslseg.job import Job, Stop
from napari_sslseg.project import Project

POLL = 0.05  # s: how soon a stop is passed on
NOTHING_YET = ("It was stopped before it began", "There is nothing to keep", "Start it again")
FOLLOWING, WORKING = 10, 15  # patience of what follows the brush, and of long jobs, which let it go first


class Call(NamedTuple):
    """What to run: a verb of `Jobs`, on which project, with what."""

    verb: str
    project: str
    arguments: dict[str, Any]


class Message(NamedTuple):
    """What goes through the pipe: a kind, and what belongs to it."""

    kind: str
    value: Any = None


class RemoteError(Exception):
    """An error of the other process; its text is the traceback there."""


def failed(error: Exception) -> Message:
    """Make the message that tells the other process of an error.

    Parameters
    ----------
    error : Exception
        The error.

    Returns
    -------
    Message
        Of which `error_of` makes an error again.
    """
    if isinstance(error, UserError):
        return Message("user error", (type(error), error.given, error.needed, error.how))
    told = "".join(traceback.format_exception(error))
    return Message("error", (f"{type(error).__name__}: {error}", told))


def error_of(message: Message) -> Exception:
    """Make the exception that a message stands for.

    Parameters
    ----------
    message : Message
        What `failed` made, or the news that the process has ended.

    Returns
    -------
    Exception
        The error.
    """
    kind, value = message
    if kind == "user error":
        known, *parts = value
        error: UserError = known(*parts)
        return error
    if kind == "ended":
        return UserError(
            f"The computation ended unexpectedly (exit code {value})",
            "Most often the memory ran out",
            "Nothing is lost. Close other programs, or make the pieces smaller under Advanced, and start again",
        )
    summary, told = value
    failure = RuntimeError(summary)
    failure.__cause__ = RemoteError(told)
    return failure


class Process:
    """The other Python. It is started by its first job, or by `start`, and serves one job after the other.

    Parameters
    ----------
    jobs : str
        Where it finds its jobs, as ``module:name``.
    patience : int, optional
        How much nicer its jobs are than the window, 0 to 19, as Unix counts: with more than 0 they leave the processor
        to the window whenever the window wants it.
    """

    def __init__(self, jobs: str = "napari_sslseg.gui.jobs:ProjectJobs", *, patience: int = 0) -> None:
        self._jobs, self._patience = jobs, patience
        self._process: subprocess.Popen[bytes] | None = None
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._sending = threading.Lock()  # held while a message is written

    def start(self) -> None:
        """Start the other Python now, so that it is ready when the first job comes."""
        self._started()

    def _started(self) -> tuple[IO[bytes] | None, "queue.SimpleQueue[Message]"]:
        """Start it if it does not run, and say where messages go to and come from."""
        with self._lock:
            if self._process is not None and self._process.poll() is None:
                return self._process.stdin, self._messages
            self._messages = queue.SimpleQueue()
            paths = os.pathsep.join(p for p in sys.path if p)
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "napari_sslseg.gui.remote", self._jobs, str(self._patience)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": paths},
                creationflags=_flags(self._patience),
            )
            threading.Thread(
                target=_read, args=(self._process, self._messages), name="napari-sslseg process", daemon=True
            ).start()
            return self._process.stdin, self._messages

    def hold(self, on: bool) -> None:
        """Let the job that runs wait, for two seconds at most, or go on; it hears where it would hear a stop.

        Parameters
        ----------
        on : bool
            Whether to wait.
        """
        with self._lock:
            if self._process is not None:
                self._send(self._process.stdin, "hold", on)

    def close(self) -> None:
        """Let the other Python end; a job that runs there is asked to stop, and keeps its best state by itself.

        Nobody waits for that here: who runs it hears that it was stopped.
        """
        with self._lock:
            process, self._process = self._process, None
            if process is not None:
                _close(process.stdin)
                self._messages.put(Message("closed"))

    def run(self, call: Call, project: Project, stop: Stop) -> Job[Any]:
        """Run a job in the other Python; what it makes is noted in the project here, its one writer.

        Parameters
        ----------
        call : Call
            What to run.
        project : Project
            The project as it is open here.
        stop : Stop
            To end early.

        Yields
        ------
        Event
            What the job says.

        Returns
        -------
        object
            What the job returns.

        Raises
        ------
        StoppedError
            If it was stopped before it began, or the other Python was let go.
        """
        if stop.requested:
            raise StoppedError(*NOTHING_YET)
        pipe, messages = self._started()
        self._send(pipe, "run", call)
        asked = False
        while True:
            if stop.requested and not asked:
                asked = True
                self._send(pipe, "stop")
            try:
                kind, value = messages.get(timeout=POLL)
            except queue.Empty:
                continue
            if kind == "event":
                yield value
            elif kind == "keep":
                name, argument = value
                with self._lock:  # once it is let go it notes by itself what is not answered
                    if messages is self._messages and self._process is not None:
                        self._send(pipe, *_noted(project, name, argument))
            elif kind == "closed":
                raise StoppedError("The computation was let go", "What it has so far is kept", "Start it again")
            elif kind == "return":
                return value
            else:
                raise error_of(Message(kind, value))

    def _send(self, pipe: IO[bytes] | None, kind: str, value: Any = None) -> None:
        assert pipe is not None, "a pipe was asked for"
        with self._sending, contextlib.suppress(OSError, ValueError):  # it has ended: the reader says so
            pickle.dump(Message(kind, value), pipe)
            pipe.flush()


def _noted(project: Project, name: str, argument: Any) -> Message:
    """Note something in the project; if that fails, the job hears it, which waits for an answer and tells of it."""
    try:
        return Message("kept", getattr(project, name)(argument))
    except Exception as error:  # whatever it is: without an answer the job would wait for ever, and all after it
        return failed(error)


def _flags(patience: int) -> int:
    """How to start a process on Windows: without a window of its own; elsewhere there is nothing to say."""
    names = ["CREATE_NO_WINDOW", *["BELOW_NORMAL_PRIORITY_CLASS"] * (patience > 0)]
    return sum(getattr(subprocess, name, 0) for name in names)


def _close(pipe: IO[bytes] | None) -> None:
    if pipe is not None:
        with contextlib.suppress(OSError):
            pipe.close()


def _read(process: "subprocess.Popen[bytes]", messages: "queue.SimpleQueue[Message]") -> None:
    """Pass on what the process says until it ends."""
    assert process.stdout is not None, "a pipe was asked for"
    with process.stdout as pipe:
        while True:
            try:
                messages.put(pickle.load(pipe))
            except (EOFError, OSError, pickle.UnpicklingError):
                break
    _close(process.stdin)
    messages.put(Message("ended", process.wait()))
