"""Process: jobs in another Python behave as jobs here do; what they make is kept even if the window is gone."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_sslseg.errors import LabelError, StoppedError, UserError
from napari_sslseg.gui.desk import Desk
from napari_sslseg.gui.dock import Dock
from napari_sslseg.gui.jobs import RemoteJobs
from napari_sslseg.gui.process import Call, Process
from napari_sslseg.image import Image
from napari_sslseg.job import Progress, Stop, run
from napari_sslseg.project import Project
from napari_sslseg.settings import PretrainConfig

from .conftest import delete_later, our_threads

JOBS = '''
"""Jobs that the other process runs in these tests."""
import atexit, os, sys, time
import numpy as np
from napari_sslseg.errors import LabelError
from napari_sslseg.job import Progress
from napari_sslseg.project import Round

class SlowJobs:
    def load(self):
        open(__file__ + ".loading", "w").close()
        time.sleep(60)

class Held:
    def __del__(self, open=open, file=__file__ + ".apart"):
        open(file, "w").close()

HELD = Held()

class Jobs:
    def load(self):
        atexit.register(lambda: open(__file__ + ".ended", "w").close())
        print("not a message")

    def add(self, project, a, b, stop):
        print("nor this", flush=True)
        yield Progress(0.5, "adding")
        return a + b

    def see(self, project, id, stop):
        yield Progress(0.5, "looking")
        return id

    def wait(self, project, stop):
        yield Progress(0.0)
        while not stop.requested:
            time.sleep(0.01)
        path = project.path / "encoder.safetensors"
        path.write_bytes(b"")
        project.set_pretrained(path)
        return project.add_round(Round(1, "1.safetensors", 0.5, {}, 2, True, 9, 9, 1.0, False))

    def rounds(self, project, stop):
        yield Progress(0.0)
        for number in (1, 2):
            project.add_round(Round(number, "1.safetensors", 0.5, {}, 2, True, 9, 9, 1.0, True))
        path = project.path / "encoder.safetensors"
        path.write_bytes(b"")
        project.set_pretrained(path)
        return [r.number for r in project.rounds], project.pretrained

    def note(self, project, stop):
        yield Progress(0.0)
        project.set_pretrained(project.path / "encoder.safetensors")

    def count(self, project, stop):
        number = 0
        while not stop.requested:
            time.sleep(0.01)
            number += 1
            yield Progress(0.0, str(number))
        return stop.held

    def pretrain(self, project, stop, **settings):
        yield Progress(0.5, "at work")
        time.sleep(6)  # and looks at no stop, as on a busy machine
        yield from self.wait(project, stop)

    def mistake(self, project, stop):
        yield Progress(0.0)
        raise LabelError("One class", "Two are needed", "Paint more")

    def fail(self, project, stop):
        yield Progress(0.0)
        raise ZeroDivisionError("by nothing")

    def die(self, project, stop):
        yield Progress(0.0)
        os._exit(9)

    def niceness(self, project, stop):
        yield Progress(0.0)
        return os.nice(0)

    def large(self, project, stop):
        yield Progress(0.0)
        return np.arange(5_000_000, dtype=np.uint32)
'''


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.create(tmp_path / "p.sslseg")


@pytest.fixture
def process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Process]:
    (tmp_path / "scripted_jobs.py").write_text(JOBS)
    monkeypatch.syspath_prepend(tmp_path)
    process = Process("scripted_jobs:Jobs")
    yield process
    process.close()


@pytest.fixture
def play(process: Process, project: Project) -> Callable[..., Any]:
    """Run a verb to its end."""

    def played(verb: str, listen: Any = lambda event: None, stop: Stop | None = None, **arguments: Any) -> Any:
        return run(process.run(Call(verb, str(project.path), arguments), project, stop or Stop()), listen)

    return played


def test_events_and_result_come_through(play: Any) -> None:
    heard: list[Any] = []
    assert play("add", heard.append, a=np.ones(3), b=2).tolist() == [3, 3, 3]
    assert heard == [Progress(0.5, "adding")]


def test_a_job_sees_in_its_project_what_the_window_noted_for_it(play: Any, project: Project) -> None:
    assert play("rounds") == ([1, 2], project.path / "encoder.safetensors")
    assert [r.number for r in project.rounds] == [1, 2]


def test_one_process_serves_one_job_after_the_other(process: Process, play: Any) -> None:
    assert [play("add", a=i, b=1) for i in range(3)] == [1, 2, 3]


def test_a_stop_is_passed_on_and_the_result_still_comes(play: Any, project: Project) -> None:
    stop, asked = Stop(), list[float]()

    def ask(event: Any) -> None:
        asked.append(time.monotonic())
        stop.request()

    stored = play("wait", ask, stop)
    assert time.monotonic() - asked[0] < 10
    assert project.rounds == (stored,)
    assert project.pretrained is not None


def test_what_changed_here_meanwhile_is_not_lost(play: Any, project: Project) -> None:
    stop = Stop()

    def change(event: Any) -> None:
        project.set_task("instance")
        stop.request()

    play("wait", change, stop)
    kept = Project.open(project.path)
    assert (kept.task, len(kept.rounds)) == ("instance", 1)


@pytest.mark.skipif(not hasattr(os, "nice"), reason="Windows knows classes of priority, and no niceness")
@pytest.mark.parametrize("patience", [0, 7])
def test_what_works_behind_the_window_leaves_the_processor_to_it(play: Any, process: Process, patience: int) -> None:
    process._patience = patience
    assert play("niceness") == os.nice(0) + patience


def test_an_error_of_the_user_comes_as_it_is(play: Any) -> None:
    with pytest.raises(LabelError, match="One class. Two are needed. Paint more."):
        play("mistake")


def test_any_other_error_comes_with_its_traceback(play: Any) -> None:
    with pytest.raises(RuntimeError, match="ZeroDivisionError: by nothing") as error:
        play("fail")
    assert "in fail" in str(error.value.__cause__)


def test_a_process_that_dies_is_told_and_the_next_job_runs(play: Any) -> None:
    with pytest.raises(UserError, match=r"ended unexpectedly \(exit code 9\)"):
        play("die")
    assert play("add", a=1, b=1) == 2


def test_nobody_waits_for_imports_that_are_not_needed_any_more(process: Process, tmp_path: Path, qtbot: Any) -> None:
    slow = Process("scripted_jobs:SlowJobs")
    slow.start()
    qtbot.waitUntil((tmp_path / "scripted_jobs.py.loading").exists, timeout=60_000)
    slow.close()
    qtbot.waitUntil(lambda: not our_threads(), timeout=20_000)


def test_what_is_stopped_while_imports_go_on_stops_at_once(process: Process, project: Project, tmp_path: Path) -> None:
    class StopAsImportsBegin(Stop):
        @property
        def requested(self) -> bool:
            return (tmp_path / "scripted_jobs.py.loading").exists()

    slow = Process("scripted_jobs:SlowJobs")
    job = slow.run(Call("pretrain", str(project.path), {}), project, StopAsImportsBegin())
    with pytest.raises(StoppedError, match="before it began"):
        run(job, lambda event: None)
    slow.close()


def test_a_large_result_comes_whole(play: Any) -> None:
    np.testing.assert_array_equal(play("large"), np.arange(5_000_000, dtype=np.uint32))


def test_if_the_window_is_gone_the_job_stops_and_keeps_its_result(
    process: Process, project: Project, qtbot: Any
) -> None:
    job = process.run(Call("wait", str(project.path), {}), project, Stop())
    next(job)
    process.close()
    qtbot.waitUntil(lambda: len(Project.open(project.path).rounds) == 1, timeout=10_000)
    assert Project.open(project.path).pretrained is not None
    job.close()


def test_nobody_waits_for_a_job_once_the_window_is_closed(
    process: Process, make_napari_viewer: Any, nothing_left: None, project: Project, qtbot: Any
) -> None:
    viewer, jobs = make_napari_viewer(), RemoteJobs()
    jobs._process = process
    project.add_image(Image(np.eye(32)[None], name="one"))
    dock = Dock(viewer, Desk(viewer, jobs))
    viewer.window.add_dock_widget(dock, name="SSL Segmentation")
    dock.desk.open_project(project.path)
    dock.desk.learn(PretrainConfig())
    qtbot.waitUntil(lambda: dock.desk.session.activities["learn"].progress is not None, timeout=60_000)
    viewer.close()
    delete_later()
    qtbot.waitUntil(lambda: not [t for t in our_threads() if not t.daemon], timeout=3_000)
    assert not Project.open(project.path).rounds
    qtbot.waitUntil(lambda: len(Project.open(project.path).rounds) == 1, timeout=30_000)
    assert Project.open(project.path).pretrained is not None


def test_a_job_hears_that_what_it_made_cannot_be_noted_and_others_run_after_it(play: Any, project: Project) -> None:
    away = project.path.with_name("away")

    def lose(event: Any) -> None:
        project.path.rename(away)

    with pytest.raises(UserError, match="is gone"):
        play("note", lose)
    away.rename(project.path)
    assert play("add", a=1, b=1) == 2


def test_what_is_asked_beside_a_job_is_answered_while_it_runs_by_a_process_that_ends_with_it(
    process: Process, project: Project
) -> None:
    jobs, stop, answers = RemoteJobs(), Stop(), []
    jobs._process, jobs._beside = process, Process("scripted_jobs:Jobs")

    def listen(event: Any) -> None:
        if not stop.requested:
            answers.append(run(jobs.glance(project, stop=Stop(), id="one"), lambda event: None))
            assert jobs._beside._process is not None  # the next one need not wait for it
            stop.request()

    stored = run(jobs._run("wait", project, stop), listen)
    assert answers == ["one"]
    assert project.rounds == (stored,)
    assert jobs._beside._process is None


def test_what_is_stopped_before_it_begins_starts_no_process(process: Process, play: Any) -> None:
    stop = Stop()
    stop.request()
    with pytest.raises(StoppedError):
        play("add", stop=stop, a=1, b=1)
    assert process._process is None


def test_the_other_process_ends_without_taking_python_apart(process: Process, play: Any, tmp_path: Path) -> None:
    play("add", a=1, b=1)
    other = process._process
    assert other is not None
    process.close()
    assert other.wait(20) == 0
    assert sorted(file.suffix for file in tmp_path.glob("scripted_jobs.py.*")) == [".ended"]  # what has to be was done


def test_a_job_waits_while_it_is_held_and_is_stopped_even_then(process: Process, project: Project) -> None:
    stop, heard = Stop(), []
    job = process.run(Call("count", str(project.path), {}), project, stop)
    for _ in range(3):
        heard.append(next(job))
    process.hold(True)
    began = time.monotonic()
    longest = 0.0
    for _ in range(200):  # what was on its way comes first
        asked = time.monotonic()
        next(job)
        longest = max(longest, time.monotonic() - asked)
        if longest > 1:
            break
    assert 1 < longest < 10  # it went on by itself, after two seconds
    process.hold(True)
    process.hold(False)
    process.hold(True)
    time.sleep(0.3)
    stop.request()
    began = time.monotonic()
    with pytest.raises(StopIteration) as ended:
        while True:
            next(job)
    assert time.monotonic() - began < 1.5  # no wait for the rest of the two seconds
    assert 2 < ended.value.value < 4
