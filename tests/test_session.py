"""Session and stages: what the user is doing, without a window."""

import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_sslseg.annotation import count
from napari_sslseg.contents import Round
from napari_sslseg.errors import LabelError, ProjectError, UserError
from napari_sslseg.image import Image
from napari_sslseg.job import Device, Metric, Notice, Picture, Progress
from napari_sslseg.project import Project
from napari_sslseg.session import Session
from napari_sslseg.stages import STEPS, Stage, stage


def picture(name: str = "one") -> Image:
    return Image.from_array(np.random.default_rng(0).integers(0, 255, (16, 16), np.uint8), name=name)


def stripes() -> np.ndarray:
    labels = np.zeros((16, 16), np.uint16)
    labels[:2], labels[-2:] = 1, 2
    return labels


def a_round(number: int = 1) -> Round:
    return Round(number, f"{number}.safetensors", 0.5, {}, 2, False, 64, 10, 0.5, True)


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """A session with one image and nothing painted."""
    session = Session()
    session.open(Project.create(tmp_path / "p"))
    session.add_image(picture())
    return session


def stages(session: Session) -> dict[str, Stage]:
    return {step: stage(session, step)[0] for step in STEPS}


def paint(session: Session, when: float) -> None:
    """What the window does after a stroke."""
    session.needed_project.write_labels("one", stripes())
    session.set_counts("one", count(stripes()), when)


def test_nothing_can_be_done_before_there_is_an_image() -> None:
    session = Session()
    assert set(stages(session).values()) == {Stage.EMPTY}
    with pytest.raises(ProjectError, match="no project yet"):
        session.add_class()


def test_the_first_image_becomes_the_current_one(session: Session) -> None:
    session.add_image(picture("two"))
    assert session.current == "one"


def test_stages_from_the_first_image_to_the_result(session: Session) -> None:
    ready = {"images": Stage.DONE, "learn": Stage.READY, "paint": Stage.READY}
    assert stages(session) == {**ready, "train": Stage.EMPTY, "result": Stage.EMPTY}
    paint(session, 100.0)
    assert (stages(session)["paint"], stages(session)["train"]) == (Stage.DONE, Stage.READY)
    session.begin("train")
    assert stages(session)["train"] is Stage.WORKING
    session.needed_project.add_round(a_round())
    session.end()
    assert (stages(session)["train"], stages(session)["result"]) == (Stage.DONE, Stage.READY)
    session.predicted["one"] = 1
    assert stages(session)["result"] is Stage.DONE


def test_painting_after_training_makes_it_out_of_date(session: Session) -> None:
    paint(session, 100.0)
    session.begin("train")
    began = session.activities["train"].began
    session.needed_project.add_round(a_round())
    session.end()
    assert stages(session)["train"] is Stage.DONE
    session.set_counts("one", count(stripes()), began + 0.001)  # a stroke while it trained counts too
    assert stages(session)["train"] is Stage.STALE


def test_a_new_round_makes_the_masks_out_of_date(session: Session) -> None:
    session.needed_project.add_round(a_round())
    session.predicted["one"] = 1
    session.needed_project.add_round(a_round(2))
    assert stages(session)["result"] is Stage.STALE


def test_a_new_image_makes_learning_out_of_date(session: Session) -> None:
    session.begin("learn")
    made = session.needed_project.path / "encoder.safetensors"
    session.needed_project.set_pretrained(made)
    session.end()
    assert stages(session)["learn"] is Stage.DONE
    session.add_image(picture("two"))
    assert stages(session)["learn"] is Stage.STALE


def test_an_image_in_place_of_another_makes_learning_out_of_date(session: Session) -> None:
    session.begin("learn")
    session.needed_project.set_pretrained(session.needed_project.path / "encoder.safetensors")
    session.end()
    session.take_out("one")
    session.add_image(picture("two"))
    assert stages(session)["learn"] is Stage.STALE


def test_what_another_window_learnt_and_trained_is_seen_in_the_lights(session: Session) -> None:
    paint(session, time.time() - 60)
    other = Project.open(session.needed_project.path)
    other.set_pretrained(other.path / "encoder.safetensors")
    session.refresh()
    assert stages(session)["learn"] is Stage.DONE
    session.add_image(picture("two"))
    assert stages(session)["learn"] is Stage.STALE
    other.set_pretrained(other.path / "second.safetensors")
    other.add_round(a_round())
    session.refresh()
    assert (stages(session)["learn"], stages(session)["train"]) == (Stage.DONE, Stage.DONE)
    session.set_counts("one", count(stripes()), time.time() + 60)
    assert stages(session)["train"] is Stage.STALE
    other.add_round(replace(a_round(2), score=None, steps=0, finished=False))
    session.refresh()
    assert stages(session)["train"] is Stage.STALE  # it was stopped too early to be of use


def test_what_this_window_learnt_is_no_news_from_another(session: Session) -> None:
    session.begin("learn")
    session.add_image(picture("two"))  # while it learns from the other
    session.needed_project.set_pretrained(session.needed_project.path / "encoder.safetensors")
    session.end()
    session.refresh()
    assert stages(session)["learn"] is Stage.STALE


def test_a_round_stopped_early_leaves_what_was_painted_since_to_be_trained_on(session: Session) -> None:
    paint(session, 100.0)
    session.begin("train")
    session.needed_project.add_round(replace(a_round(), seconds=0.0))
    session.end()
    session.predicted["one"] = 1
    session.set_counts("one", count(stripes()), time.time())
    session.begin("train")
    session.needed_project.add_round(replace(a_round(2), score=None, steps=0, finished=False))
    session.end()
    assert (stages(session)["train"], stages(session)["result"]) == (Stage.STALE, Stage.DONE)


def test_masks_of_the_round_in_use_are_known_after_a_round_stopped_early(session: Session) -> None:
    project = session.needed_project
    project.add_round(replace(a_round(), seconds=0.0))
    project.add_round(replace(a_round(2), score=None, steps=0, finished=False))
    project.write_prediction("one", stripes())
    for file in (project.path / "predictions").rglob("*"):
        os.utime(file, (time.time() + 60,) * 2)
    again = Session()
    again.open(Project.open(project.path))
    assert again.predicted == {"one": 1}
    project.add_round(a_round(3))
    (project.path / "1.safetensors").touch()
    project.use_round(1)
    again.open(Project.open(project.path))
    assert again.predicted == {"one": 0}  # they may be those of round 3


def test_stages_are_the_same_after_reopening(session: Session) -> None:
    paint(session, time.time())
    for file in (session.needed_project.path / "labels").rglob("*"):
        os.utime(file, (time.time() - 60,) * 2)
    session.needed_project.add_round(a_round())
    again = Session()
    again.open(Project.open(session.needed_project.path))
    assert stages(again)["train"] is Stage.DONE
    assert again.tally.counts == {"one": {1: 32, 2: 32}}
    for file in (session.needed_project.path / "labels").rglob("*"):
        os.utime(file, (time.time() + 60,) * 2)
    again.open(Project.open(session.needed_project.path))
    assert stages(again)["train"] is Stage.STALE


def test_kept_masks_are_known_after_reopening(session: Session) -> None:
    session.needed_project.write_prediction("one", stripes())
    session.needed_project.add_round(replace(a_round(), seconds=0.0))
    again = Session()
    again.open(Project.open(session.needed_project.path))
    assert stages(again)["result"] in (Stage.DONE, Stage.STALE)  # as the clock of the disk is coarse
    for file in (session.needed_project.path / "predictions").rglob("*"):
        os.utime(file, (time.time() - 60,) * 2)
    again.open(Project.open(session.needed_project.path))
    assert stages(again)["result"] is Stage.STALE


def test_where_objects_are_painted_background_and_one_object_are_enough(session: Session) -> None:
    session.set_task("instance")
    session.set_counts("one", {1: 5}, 1.0)
    assert stages(session)["train"] is Stage.EMPTY
    session.set_counts("one", {1: 5, 7: 3}, 1.0)
    assert stages(session)["train"] is Stage.READY
    assert session.tally.next_object("one") == 8


# -------------------------------------------------------------------- classes
def test_classes_are_written_to_the_project_at_once(session: Session) -> None:
    session.add_class("vessel")
    session.change_class(2, name="tissue", colour="#123456")
    kept = Project.open(session.needed_project.path).classes
    assert [(c.value, c.name) for c in kept] == [(1, "background"), (2, "tissue"), (3, "vessel")]
    assert kept[1].colour == "#123456"


def test_an_empty_name_changes_nothing(session: Session) -> None:
    session.change_class(2, name="  ")
    assert session.needed_project.classes[1].name == "class 2"


def test_removing_a_class_erases_its_pixels(session: Session) -> None:
    session.add_class()
    paint(session, 1.0)
    rewritten: list[str] = []
    session.labels_rewritten.connect(rewritten.append)
    session.remove_class(2)
    assert rewritten == ["one"]
    assert session.needed_project.annotation("one").values == (1,)
    assert session.tally.painted(2) == 0


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda s: s.remove_class(2), "class 2 is one of 2 classes. At least two classes are needed."),
        (lambda s: s.change_class(9, name="x"), "There is no class 9. Choose one of the class table."),
        (
            lambda s: s.change_class(2, name="background"),
            "There is a class 'background' already. Every class has a name of its own.",
        ),
    ],
)
def test_what_classes_cannot_do(session: Session, act: object, message: str) -> None:
    with pytest.raises(LabelError) as error:
        act(session)  # type: ignore[operator]
    assert str(error.value) == message


# -------------------------------------------------------------------- the running job
def test_a_job_is_heard(session: Session) -> None:
    heard: list[tuple[str, object]] = []
    session.event.connect(lambda step, event: heard.append((step, event)))
    session.begin("learn")
    said = (Progress(0.5), Device("on 2 processor cores"), Metric("loss", 1.0, 3), Notice("blank"))
    said += (Picture("crop", np.zeros((2, 2), np.float32), 1),)
    for event in said:
        session.hear(event)
    activity = session.activities["learn"]
    assert (activity.progress, activity.curves, activity.messages) == (said[0], {"loss": [(3, 1.0)]}, ["blank"])
    assert activity.picture is said[4]
    assert activity.device == "on 2 processor cores"
    assert heard == [("learn", event) for event in said]


def test_the_curve_of_a_long_run_is_thinned(session: Session) -> None:
    session.begin("learn")
    for step in range(50_000):
        session.hear(Metric("loss", 1.0, step))
    curve = session.activities["learn"].curves["loss"]
    assert len(curve) <= 2000
    assert (curve[0][0], curve[-1][0]) == (0, 49_999)


def test_a_second_job_is_refused(session: Session) -> None:
    session.begin("learn")
    with pytest.raises(UserError, match="One job runs at a time"):
        session.begin("train")
    with pytest.raises(ProjectError, match="when it is done"):
        session.open(None)


def test_an_ended_job_says_why_and_keeps_its_curve(session: Session) -> None:
    session.begin("learn")
    session.hear(Metric("loss", 1.0, 1))
    session.ask_stop()
    assert session.activities["learn"].stopping
    session.end("Stopped")
    activity = session.activities["learn"]
    assert (session.running, activity.running, activity.stopping) == (None, False, False)
    assert (activity.messages, activity.curves) == (["Stopped"], {"loss": [(1, 1.0)]})


def test_nothing_is_heard_while_nothing_runs(session: Session) -> None:
    session.hear(Progress(0.5))
    session.ask_stop()
    session.end()
    assert session.activities == {}


def test_a_failed_training_leaves_what_was_true(session: Session) -> None:
    paint(session, 5.0)
    session.begin("train")
    session.end("no memory", failed=True)
    assert stages(session)["train"] is Stage.READY
