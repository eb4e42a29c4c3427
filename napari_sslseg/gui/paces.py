"""Paces: how many steps of learning this machine does in a minute, measured once and remembered."""

import contextlib
import json
import platform
import time
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, QTimer, Signal

from napari_sslseg.errors import StorageError
from napari_sslseg.gui.desk import Desk
from napari_sslseg.gui.memory import user_file
from napari_sslseg.gui.worker import JobWorker
from napari_sslseg.io.atomic import write_text
from napari_sslseg.job import Event, Metric
from napari_sslseg.settings import PretrainConfig, RuntimeConfig

FILE = "paces.json"
SETTLE = 5000  # ms without a job after which this machine is measured, if it is not known yet
LEAST_SECONDS, LEAST_STEPS = 5.0, 3  # of a run, for its pace to be remembered


class Paces(QObject):
    """Knows the pace of this machine by what learns, how, and on which device.

    Parameters
    ----------
    desk : Desk
        Whose job process measures, while it has nothing else to do.
    parent : QObject
        Owner.
    """

    changed = Signal()

    def __init__(self, desk: Desk, parent: QObject) -> None:
        super().__init__(parent)
        self._desk = desk
        self._file = user_file(FILE)
        self._known = _read(self._file)
        self._worker: JobWorker | None = None
        self._left = False
        self._wanted: tuple[PretrainConfig, RuntimeConfig] | None = None
        self._key = ""  # of the run that is heard
        self._first: tuple[float, int] | None = None  # when it was at which step
        self._last: tuple[float, int] = (0.0, 0)
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(SETTLE)
        self._later.timeout.connect(self._measure)

    def of(self, config: PretrainConfig, runtime: RuntimeConfig) -> float | None:
        """Tell how many steps a minute has.

        Parameters
        ----------
        config : PretrainConfig
            What is asked for.
        runtime : RuntimeConfig
            The device.

        Returns
        -------
        float, optional
            None while it is not known; that of the encoder that comes with the package is measured soon then.
        """
        found = self._known.get(_key(config, runtime))
        if found is None and config.encoder == PretrainConfig.encoder:  # the weights of others may be downloaded
            self._wanted = config, runtime
            self._later.start()
        return found

    # ---------------------------------------------------------------- measured while there is nothing else to do
    def _measure(self) -> None:
        session, wanted = self._desk.session, self._wanted
        if wanted is None or self._worker is not None or session.running or not self._desk.shown:
            return
        project = session.project
        if project is None or not project.images or _key(*wanted) in self._known:
            return
        (config, runtime), jobs = wanted, self._desk.jobs
        self._wanted = None
        self._worker = JobWorker(lambda stop: jobs.pace(project, config, runtime=runtime, stop=stop))
        self._worker.returned.connect(lambda found: self._measured(_key(config, runtime), found))
        self._worker.errored.connect(lambda error: self._measured("", 0.0))  # learning itself will tell
        self._worker.start()

    def _measured(self, key: str, found: float) -> None:
        self._worker = None
        if found > 0 and not self._left:
            self._note(key, found)

    def leave(self) -> None:
        """End for good: nobody looks any more."""
        self._left = True
        self.close()

    def close(self) -> None:
        """End a measurement."""
        self._later.stop()
        if self._worker is not None:
            self._worker.quit()

    # ---------------------------------------------------------------- learnt from each run
    def begin(self, config: PretrainConfig, runtime: RuntimeConfig) -> None:
        """Listen to a run that begins.

        Parameters
        ----------
        config : PretrainConfig
            What was asked for.
        runtime : RuntimeConfig
            The device.
        """
        self.close()
        self._key, self._first = _key(config, runtime), None

    def hear(self, event: Event) -> None:
        """Take in what a run says.

        Parameters
        ----------
        event : Event
            An event.
        """
        if isinstance(event, Metric) and event.name == "loss":
            self._last = time.monotonic(), event.step
            self._first = self._first or self._last

    def end(self) -> None:
        """Remember the pace of the run that ended."""
        if self._key and self._first is not None:
            seconds, steps = (b - a for a, b in zip(self._first, self._last, strict=True))
            if seconds >= LEAST_SECONDS and steps >= LEAST_STEPS:
                self._note(self._key, 60 * steps / seconds)
        self._key, self._first = "", None

    def _note(self, key: str, pace: float) -> None:
        self._known = {**_read(self._file), key: round(pace, 2)}  # another window may have written too
        with contextlib.suppress(StorageError):  # it is measured again next time
            write_text(self._file, json.dumps(self._known, indent=1))
        self.changed.emit()


def _key(config: PretrainConfig, runtime: RuntimeConfig) -> str:
    machine = (platform.node(), runtime.device, config.encoder, config.method, config.crop, config.batch)
    return " ".join(map(str, machine))


def _read(file: Path) -> dict[str, Any]:
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {k: v for k, v in known.items() if isinstance(v, (int, float)) and v > 0} if isinstance(known, dict) else {}
