"""Step 2 over time: pause and go on, how many steps a length has on this machine, and the curve in words."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from napari_sslseg import unfinished
from napari_sslseg.gui.curve import Curve
from napari_sslseg.gui.jobs import RemoteJobs
from napari_sslseg.gui.lengths import Lengths, round_number
from napari_sslseg.gui.memory import user_file
from napari_sslseg.gui.paces import FILE
from napari_sslseg.job import Progress, Stop, run
from napari_sslseg.project import Project
from napari_sslseg.settings import PretrainConfig, RuntimeConfig

from .conftest import our_threads


def done(dock: Any, qtbot: Any) -> None:
    """Wait until no job runs."""
    qtbot.waitUntil(lambda: dock.desk.session.running is None and not our_threads(), timeout=20000)


def leave_off(project: Project, config: PretrainConfig, seed: int = 0) -> Path:
    """Write what a stopped pretraining leaves behind, as far as the window reads it."""
    asked = unfinished.asked_to_pretrain(project, config, seed)
    history = {"asked": asked, "key": unfinished._key(asked), "steps": 12, "seconds": 0.4 * 60 * config.minutes}
    header = json.dumps({"__metadata__": {"json": json.dumps({"history": history})}}).encode()
    path = project.path / unfinished.PRETRAIN
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    return path


def test_a_paused_run_goes_on_after_the_window_was_closed_or_begins_anew(
    dock: Any, image: Any, jobs: Any, qtbot: Any
) -> None:
    assert dock.desk.ready()
    session, step = dock.desk.session, dock.learn
    config = PretrainConfig(method="restore", minutes=15.0)
    path = leave_off(session.project, config, seed=5)
    project = Project.open(session.project.path)
    session.open(None)
    session.open(project)
    assert step.panel.button.text() == "▶ Go on"
    assert step.panel.summary.text() == "paused at 40 %"
    step.form["method"].value = "adapt"
    assert (step.panel.button.text(), step.anew.isHidden()) == ("▶ Learn", True)  # this would be another run
    step.form["method"].value = "restore"
    assert (step.panel.button.text(), step.anew.isHidden()) == ("▶ Go on", False)
    step.panel.button.click()
    done(dock, qtbot)
    assert jobs.calls[-1] == ("pretrain", {"config": config, "runtime": RuntimeConfig(seed=5)})
    assert path.exists()
    step.anew.click()
    done(dock, qtbot)
    assert jobs.calls[-1][1]["config"] == config
    assert not path.exists()
    assert step.panel.button.text() == "▶ Learn"


def test_the_pace_of_this_machine_is_measured_once_and_remembered(dock: Any, image: Any, jobs: Any, qtbot: Any) -> None:
    length, paces = dock.learn.length, dock.learn.paces
    assert length.itemText(1) == "Standard · 3 min"
    paces._later.setInterval(0)
    assert dock.desk.ready()
    qtbot.waitUntil(lambda: length.itemText(1) == "Standard · 3 min · about 360 steps", timeout=3000)
    assert dock.desk.session.activities == {}  # it is no job of the user's
    dock.learn.refresh()
    qtbot.waitUntil(lambda: not our_threads(), timeout=3000)
    assert [verb for verb, _ in jobs.calls] == ["pace"]
    assert list(json.loads(user_file(FILE).read_text()).values()) == [120.0]


def test_a_length_is_drawn_without_its_steps_and_listed_with_them(qtbot: Any) -> None:
    lengths = Lengths(3.0)
    qtbot.addWidget(lengths)
    plain = lengths.grab().toImage()
    wide = lengths.sizeHint()
    lengths.show_pace(1000.0, 8)
    assert lengths.itemText(2).endswith("15 min · about 15\u202f000 steps")
    assert lengths.sizeHint() == wide
    assert lengths.grab().toImage() == plain


@pytest.mark.parametrize(("value", "text"), [(0.3, "<1"), (7.6, "7"), (96, "96"), (1234, "1\u202f200")])
def test_numbers_that_are_only_about_right_look_so(value: float, text: str) -> None:
    assert round_number(value) == text


def test_the_curve_says_the_point_under_the_pointer(qtbot: Any) -> None:
    curve = Curve("How far off it is", "lower")
    qtbot.addWidget(curve)
    curve.resize(200, 90)
    curve.set_points([(1, 0.9), (50, float("nan")), (51, 0.5), (101, 0.25)])
    assert curve.nearest(100) == (51, 0.5)
    assert curve.nearest(199) == (101, 0.25)
    assert curve.said((51, 0.5)) == "How far off it is: 0.5 after 51 steps (lower is better)"
    assert curve.accessibleDescription().startswith("How far off it is: 0.25 after 101 steps")


def test_what_is_done_in_spare_time_makes_way_for_a_job(tmp_path: Path) -> None:
    jobs, said, began = RemoteJobs(), list[str](), threading.Event()

    class Scripted:
        def run(self, call: Any, project: Any, stop: Stop) -> Any:
            while call.verb == "pace" and not stop.requested:
                began.set()
                yield Progress(0.5)
            said.append(call.verb)
            return 60.0

    jobs._process = Scripted()  # type: ignore[assignment]
    project, runtime = Project.create(tmp_path / "p.sslseg"), RuntimeConfig()
    measured = list[float]()
    spare = threading.Thread(
        target=lambda: measured.append(run(jobs.pace(project, PretrainConfig(), runtime=runtime, stop=Stop())))
    )
    spare.start()
    assert began.wait(5)
    assert run(jobs.pace(project, PretrainConfig(), runtime=runtime, stop=Stop())) == 0  # not two at once
    run(jobs.suggest(project, runtime=runtime, stop=Stop()))
    spare.join(5)
    assert said == ["pace", "suggest"]
    assert measured == [60.0]
