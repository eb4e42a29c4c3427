"""The window while a job runs: progress, time left, stop, errors, closing; and what it shows of the result."""

from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QApplication, QLabel, QPushButton

from napari_sslseg.contents import Round
from napari_sslseg.errors import LabelError, StoppedError
from napari_sslseg.gui import canvas
from napari_sslseg.gui.desk import GOES_ON
from napari_sslseg.gui.dock import Dock
from napari_sslseg.gui.panel import Panel, time_left
from napari_sslseg.job import Device, Metric, Notice, Picture, Progress
from napari_sslseg.overlay import Box
from napari_sslseg.project import Project
from napari_sslseg.stages import Activity, Stage

from .conftest import delete_later, our_threads


def done(dock: Any, qtbot: Any) -> None:
    """Wait until no job runs, nor the prediction that follows training."""
    qtbot.waitUntil(lambda: dock.desk.session.running is None and not our_threads(), timeout=20000)


def paint_two(dock: Any, layer: Any, qtbot: Any) -> None:
    """Paint two classes."""
    at = (2,) * (layer.ndim - 2)
    layer.paint((*at, 10, 10), 1)
    layer.paint((*at, 30, 20), 2)
    qtbot.waitUntil(lambda: dock.desk.session.tally.painted(2) > 0, timeout=2000)


@pytest.fixture
def painted(dock: Any, image: Any, viewer: Any, qtbot: Any) -> Any:
    dock.desk.paint()
    paint_two(dock, viewer.layers["field labels"], qtbot)
    return dock


# -------------------------------------------------------------------- a job runs
def test_learn_shows_progress_time_left_and_curve(dock: Any, image: Any, jobs: Any, qtbot: Any) -> None:
    jobs.hold()
    dock.learn.panel.button.click()
    qtbot.waitUntil(lambda: len(dock.learn.curve.points) == 2, timeout=2000)
    assert dock.learn.panel.bar.value() == 250
    assert dock.learn.panel.message.text() == "At work · 1:20 left"
    assert dock.learn.panel.light.stage is Stage.WORKING
    assert dock.learn.panel.button.text() == "❚❚ Pause"
    jobs.go.set()
    done(dock, qtbot)
    assert dock.learn.panel.light.stage is Stage.DONE
    assert dock.learn.panel.button.text() == "▶ Learn"
    assert dock.learn.curve.points == [(1.0, 0.5), (2.0, 0.4)]


def test_learn_shows_what_it_makes_of_a_piece(dock: Any, image: Any, jobs: Any, qtbot: Any) -> None:
    pixels = np.zeros((8, 24), np.float32)
    pixels[:, 16:] = 1
    jobs.events = (*jobs.events, Picture("what it sees", pixels, 2))
    jobs.hold()
    dock.learn.panel.button.click()
    qtbot.waitUntil(lambda: dock.learn.glimpse.picture is not None, timeout=2000)
    assert dock.learn.glimpse.isVisibleTo(dock)
    drawn = dock.learn.glimpse.grab().toImage()
    middle = drawn.height() // 2
    left, right = (drawn.pixelColor(round(share * drawn.width()), middle).value() for share in (0.3, 0.8))
    assert (left, right) == (0, 255)
    jobs.go.set()
    done(dock, qtbot)
    assert not dock.learn.glimpse.isVisibleTo(dock)


class Paints(QObject):
    """Counts how often a widget is drawn."""

    count = 0

    def eventFilter(self, widget: Any, event: Any) -> bool:  # noqa: N802 - Qt's name
        self.count += event.type() == QEvent.Type.Paint
        return False


def test_progress_is_drawn_with_the_next_frame_and_not_at_once(qtbot: Any) -> None:
    panel, paints = Panel(2, "Learn", "▶ Learn", "Learn"), Paints()
    qtbot.addWidget(panel)
    panel.show()
    panel.show_activity(Activity(progress=Progress(0.25, "At work", 80.0)))
    panel.bar.installEventFilter(paints)
    qtbot.waitUntil(lambda: paints.count > 0, timeout=5000)
    before = paints.count
    panel.show_activity(Activity(progress=Progress(0.5, "At work", 80.0)))
    assert paints.count == before  # a stroke that is being drawn does not wait for it
    qtbot.waitUntil(lambda: paints.count > before, timeout=5000)


def test_what_lies_below_stays_where_it_is_while_a_job_speaks(qtbot: Any) -> None:
    panel = Panel(2, "Learn", "▶ Learn", "Learn")
    below = QLabel("below")
    panel.body.addWidget(below)
    panel.body.addStretch(1)
    qtbot.addWidget(panel)
    panel.resize(300, 400)
    panel.show()

    def where(activity: Activity) -> int:
        panel.show_activity(activity)
        QApplication.processEvents()
        return below.y()

    before = where(Activity(running=False))
    said = Progress(0.5, "Looking at all images", 80.0)
    notice = ["The probe has been flat for 40 s: you can stop now"]
    begun, speaking = where(Activity()), where(Activity(progress=said))
    assert before < begun == speaking
    told = where(Activity(progress=said, messages=notice))
    assert told > speaking
    assert where(Activity(progress=said)) == where(Activity()) == told
    assert where(Activity(running=False)) == before


def test_a_step_that_is_opened_while_a_job_runs_is_as_tall_as_one_that_was_open(qtbot: Any) -> None:
    heights = set()
    for first in (True, False):
        panel = Panel(2, "Learn", "▶ Learn", "Learn")
        qtbot.addWidget(panel)
        panel.message.resize(20, 20)  # nothing has its place yet
        for now in (first, not first):
            if now:
                panel.resize(300, 400)
                panel.show()
                QApplication.processEvents()
            else:
                panel.show_activity(Activity(progress=Progress(0.5, "Looking at all images", 80.0)))
        heights.add(panel.message.minimumHeight())
    assert len(heights) == 1


def test_learn_shows_the_probe_beside_the_loss_and_its_advice(dock: Any, image: Any, jobs: Any, qtbot: Any) -> None:
    assert dock.learn.probe.isHidden()
    advice = Notice("The probe has been flat for 40 s: you can stop now")
    jobs.events = (Metric("probe", 0.6, 0), Metric("loss", 0.5, 1), Metric("probe", 0.7, 9), advice, *jobs.events)
    jobs.hold()
    dock.learn.panel.button.click()
    qtbot.waitUntil(lambda: len(dock.learn.curve.points) == 3, timeout=2000)
    assert dock.learn.probe.points == [(0.0, 0.6), (9.0, 0.7)]
    assert dock.learn.probe.said((9.0, 0.7)).startswith(
        "How well it tells things apart: 0.7 after 9 steps (higher is better)"
    )
    assert not dock.learn.probe.isHidden()
    plain = "It has learnt nothing new for 40 s: you can stop now"
    assert dock.learn.panel.message.text() == f"At work · 1:20 left\n{plain}"
    jobs.go.set()
    done(dock, qtbot)


@pytest.mark.parametrize("step", ["learn", "train", "result"])
def test_on_what_a_job_runs_is_said_while_it_runs(painted: Any, jobs: Any, qtbot: Any, step: str) -> None:
    painted.train.panel.button.click()
    done(painted, qtbot)
    panel, words = getattr(painted, step).panel, "on the graphics card (NVIDIA H100)"
    before = panel.summary.text()
    jobs.events = (Device(words), *jobs.events)
    jobs.hold()
    panel.button.click()
    qtbot.waitUntil(lambda: panel.summary.text() == words, timeout=2000)
    assert words in panel.summary.toolTip()
    assert panel.message.toolTip() == panel.bar.toolTip() == f"Runs {words}"
    jobs.go.set()
    done(painted, qtbot)
    assert words not in (panel.summary.text(), panel.message.toolTip())
    assert step == "learn" or panel.summary.text() == before.replace("1", "2")


def test_a_step_is_no_taller_for_what_a_job_runs_on(qtbot: Any) -> None:
    panel = Panel(2, "Learn", "▶ Learn", "Learn")
    qtbot.addWidget(panel)
    panel.resize(300, 400)
    panel.show()
    heights = set()
    for device in ("", "on the graphics card (NVIDIA GeForce RTX 4090 Laptop GPU)"):
        panel.show_activity(Activity(progress=Progress(0.5, "At work", 80.0), device=device))
        panel.show_stage(Stage.WORKING, "At work", "no labels needed")
        QApplication.processEvents()
        heights.add((panel.sizeHint().height(), panel.layout().heightForWidth(300), panel.minimumSizeHint().width()))
    assert len(heights) == 1


def test_one_job_runs_at_a_time(painted: Any, jobs: Any, qtbot: Any) -> None:
    jobs.hold()
    painted.learn.panel.button.click()
    assert not painted.train.panel.button.isEnabled()
    assert not painted.header.open.isEnabled()
    jobs.go.set()
    done(painted, qtbot)
    assert painted.train.panel.button.isEnabled()


def test_stop_is_asked_for_and_the_result_still_arrives(dock: Any, image: Any, jobs: Any, qtbot: Any) -> None:
    jobs.hold()
    dock.learn.panel.button.click()
    qtbot.waitUntil(lambda: dock.learn.panel.bar.value() == 250, timeout=2000)
    dock.learn.panel.button.click()
    assert dock.learn.panel.button.text() == "Stopping…"
    assert not dock.learn.panel.button.isEnabled()
    done(dock, qtbot)
    assert dock.desk.session.project.pretrained is not None
    assert dock.learn.panel.button.text() == "▶ Learn"
    assert "kept" in dock.learn.panel.message.text()


def test_an_error_of_the_user_is_told_in_its_words(painted: Any, jobs: Any, qtbot: Any, said: list[str]) -> None:
    jobs.error = LabelError("Only one class is painted", "Two are needed", "Paint some background")
    painted.train.panel.button.click()
    done(painted, qtbot)
    assert said[-1] == "Only one class is painted. Two are needed. Paint some background."
    assert painted.train.panel.message.text() == said[-1]
    assert painted.train.panel.button.text() == "▶ Train"
    assert painted.train.panel.button.isEnabled()


def test_stopped_before_there_was_anything_to_keep_is_no_error(
    painted: Any, jobs: Any, qtbot: Any, said: list[str]
) -> None:
    jobs.error = StoppedError("Training was stopped before its first step", "There is nothing to keep")
    jobs.hold()
    before = list(said)
    painted.train.panel.button.click()
    qtbot.waitUntil(lambda: painted.train.panel.button.text() == "■ Stop", timeout=3000)
    painted.train.panel.button.click()
    done(painted, qtbot)
    assert said == before
    assert painted.train.panel.message.text() == "Stopped before there was anything to keep"
    assert painted.train.panel.button.isEnabled()


@pytest.mark.parametrize("step", ["learn", "train"])
def test_what_was_stopped_before_it_began_is_as_out_of_date_as_before(
    painted: Any, viewer: Any, jobs: Any, qtbot: Any, step: str
) -> None:
    panel = painted.panels[step]
    panel.button.click()
    done(painted, qtbot)
    viewer.layers["field labels"].paint((50, 40), 2)
    painted.desk.use([[viewer.add_image(np.zeros((64, 48), np.uint8), name="more")]])
    qtbot.waitUntil(lambda: panel.light.stage is Stage.STALE, timeout=2000)
    jobs.error = StoppedError("It was stopped before its first step", "There is nothing to keep")
    panel.button.click()
    done(painted, qtbot)
    assert panel.light.stage is Stage.STALE


def test_training_asks_for_strokes_as_soon_as_there_are_images(dock: Any, image: Any) -> None:
    assert dock.train.panel.light.toolTip() == "Choose images first"
    dock.images.panel.button.click()
    assert dock.train.panel.light.toolTip() == "Paint a few strokes of at least two classes first"


def test_a_plane_is_shown_with_its_masks_where_its_layer_was_closed(painted: Any, viewer: Any, qtbot: Any) -> None:
    painted.train.panel.button.click()
    done(painted, qtbot)
    for layer in ("field", "field masks"):
        viewer.layers.remove(layer)
    painted.result.panel.button.click()
    done(painted, qtbot)
    assert [layer.name for layer in viewer.layers] == ["field", "field masks", "field labels"]


def test_nothing_begins_in_a_project_that_is_gone(painted: Any, jobs: Any, said: list[str]) -> None:
    path = painted.desk.session.project.path
    path.rename(path.with_name("away"))
    painted.learn.panel.button.click()
    assert not jobs.calls
    assert said[-1].startswith(f"The folder {path} is gone.")
    assert not path.exists()


def test_any_other_error_is_told_too(painted: Any, jobs: Any, qtbot: Any, said: list[str]) -> None:
    jobs.error = RuntimeError("out of memory")
    painted.train.panel.button.click()
    done(painted, qtbot)
    assert "out of memory" in said[-1]
    assert painted.train.panel.button.isEnabled()


def test_a_notice_stays_to_be_read(dock: Any, image: Any, jobs: Any, qtbot: Any) -> None:
    jobs.events = (Notice("blank.tif was left out."), Progress(1.0))
    dock.learn.panel.button.click()
    done(dock, qtbot)
    assert dock.learn.panel.message.text() == "blank.tif was left out."


def test_a_curve_is_drawn_without_values_that_are_no_numbers(dock: Any, image: Any, jobs: Any, qtbot: Any) -> None:
    jobs.events = tuple(Metric("loss", v, s) for s, v in enumerate((1.0, float("nan"), float("inf"), 0.5)))
    dock.learn.panel.button.click()
    done(dock, qtbot)
    assert dock.learn.curve.points == [(0.0, 1.0), (3.0, 0.5)]
    assert not dock.learn.curve.grab().isNull()


def test_a_long_curve_is_thinned(dock: Any) -> None:
    dock.learn.curve.set_points([(s, 1 / (s + 1)) for s in range(100_000)])
    assert len(dock.learn.curve.points) < 1000
    assert dock.learn.curve.points[-1][0] == 99_999


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, ""), (0.2, "0:00 left"), (80, "1:20 left"), (3725, "1:02:05 left")]
)
def test_time_left_in_words(seconds: float | None, text: str) -> None:
    assert time_left(seconds) == text


def test_what_the_form_says_reaches_the_job(dock: Any, image: Any, jobs: Any, qtbot: Any) -> None:
    dock.learn.length.setCurrentIndex(0)
    dock.learn.form["crop"].value = 96
    dock.learn.runtime["device"].value = "cpu"
    dock.learn.panel.button.click()
    done(dock, qtbot)
    config, runtime = jobs.calls[0][1]["config"], jobs.calls[0][1]["runtime"]
    assert (config.minutes, config.crop, config.steps, runtime.device) == (1.0, 96, None, "cpu")


def test_without_any_image_one_is_asked_for(dock: Any, jobs: Any, said: list[str]) -> None:
    dock.learn.panel.button.click()
    assert "no image" in said[-1]
    assert not jobs.calls


# -------------------------------------------------------------------- training and its result
def test_training_sees_the_last_stroke(painted: Any, viewer: Any, jobs: Any, qtbot: Any) -> None:
    layer = viewer.layers["field labels"]
    layer.paint((50, 40), 2)
    painted.train.panel.button.click()
    done(painted, qtbot)
    np.testing.assert_array_equal(jobs.calls[0][1]["labels"]["field"], np.asarray(layer.data))


def test_after_training_the_plane_is_predicted_at_once(
    dock: Any, stack: Any, viewer: Any, jobs: Any, qtbot: Any
) -> None:
    viewer.dims.set_point(0, 2 * 2)
    dock.desk.paint()
    paint_two(dock, viewer.layers["stack labels"], qtbot)
    dock.train.panel.button.click()
    done(dock, qtbot)
    assert [name for name, _ in jobs.calls] == ["train", "predict"]
    assert jobs.calls[1][1]["planes"] == {"stack": (2,)}
    masks = viewer.layers["stack masks"]
    assert [z for z, plane in enumerate(masks.data) if plane.any()] == [2]
    np.testing.assert_allclose(masks.scale, stack.scale)
    assert viewer.layers.selection.active is viewer.layers["stack labels"]


def test_masks_lie_between_image_and_labels(painted: Any, viewer: Any, qtbot: Any) -> None:
    painted.train.panel.button.click()
    done(painted, qtbot)
    assert [layer.name for layer in viewer.layers] == ["field", "field masks", "field labels"]


def test_masks_are_updated_in_place(painted: Any, viewer: Any, jobs: Any, qtbot: Any) -> None:
    painted.train.panel.button.click()
    done(painted, qtbot)
    masks = viewer.layers["field masks"]
    assert (masks.data == 2).all()
    jobs.value = 1
    painted.result.panel.button.click()
    done(painted, qtbot)
    assert viewer.layers["field masks"] is masks
    assert (masks.data == 1).all()
    assert len(viewer.layers) == 3


def test_masks_are_as_small_as_they_can_be_and_hold_all_classes(
    painted: Any, viewer: Any, jobs: Any, qtbot: Any
) -> None:
    painted.train.panel.button.click()
    done(painted, qtbot)
    masks = viewer.layers["field masks"]
    assert masks.data.dtype == np.uint8  # at 16 bits each new colour would hold the window up
    jobs.value = 300
    painted.result.panel.button.click()
    done(painted, qtbot)
    assert viewer.layers["field masks"] is masks
    assert (masks.data == 300).all()


def test_another_plane_is_added_to_those_predicted(dock: Any, stack: Any, viewer: Any, qtbot: Any) -> None:
    dock.desk.paint()
    paint_two(dock, viewer.layers["stack labels"], qtbot)
    dock.train.panel.button.click()
    done(dock, qtbot)
    first = {z for z, plane in enumerate(viewer.layers["stack masks"].data) if plane.any()}
    viewer.dims.set_point(0, 4 * 2)
    dock.result.panel.button.click()
    done(dock, qtbot)
    assert {z for z, plane in enumerate(viewer.layers["stack masks"].data) if plane.any()} == first | {4}


def test_of_a_vast_plane_what_is_seen_is_predicted(
    dock: Any, stack: Any, viewer: Any, jobs: Any, qtbot: Any, monkeypatch: Any
) -> None:
    dock.desk.paint()
    assert dock.result.panel.button.text() == "▶ This plane"
    monkeypatch.setattr(canvas, "VAST", 100)
    paint_two(dock, viewer.layers["stack labels"], qtbot)
    parts = [Box(2, 1, 12, 9), Box(14, 4, 16, 20)]
    for part in parts:
        monkeypatch.setattr(dock.desk.canvas, "view", lambda most, part=part: (3, part))
        monkeypatch.setattr(dock.desk.canvas, "current_plane", lambda: {"stack": (3,)})
        button = dock.result.panel.button if part is parts[1] else dock.train.panel.button
        button.click()
        done(dock, qtbot)
        assert jobs.calls[-1][1]["boxes"] == {"stack": part}
    wanted = np.zeros(stack.data.shape, bool)
    for top, left, bottom, right in parts:
        wanted[3, top:bottom, left:right] = True
    np.testing.assert_array_equal(viewer.layers["stack masks"].data > 0, wanted)
    assert dock.result.panel.button.text() == "▶ What I see"
    dock.result.everything.click()
    done(dock, qtbot)
    assert jobs.calls[-1][1]["boxes"] is None
    assert viewer.layers["stack masks"].data.all()


def test_everything_is_predicted(dock: Any, stack: Any, viewer: Any, jobs: Any, qtbot: Any) -> None:
    dock.desk.paint()
    paint_two(dock, viewer.layers["stack labels"], qtbot)
    dock.train.panel.button.click()
    done(dock, qtbot)
    dock.result.everything.click()
    done(dock, qtbot)
    assert jobs.calls[-1][1]["planes"] is None
    assert viewer.layers["stack masks"].data.all()


def test_all_of_one_image_is_predicted_and_no_other(dock: Any, stack: Any, viewer: Any, jobs: Any, qtbot: Any) -> None:
    dock.desk.paint()
    paint_two(dock, viewer.layers["stack labels"], qtbot)
    dock.train.panel.button.click()
    done(dock, qtbot)
    assert dock.result.image.isHidden()  # it would be everything
    viewer.add_image(np.eye(32), name="second")
    dock.images.use_selected()
    dock.images.list.setCurrentRow(1)
    assert dock.result.image.isHidden()  # it would be this plane
    dock.images.list.setCurrentRow(0)
    assert not dock.result.image.isHidden()
    dock.result.image.click()
    done(dock, qtbot)
    assert (jobs.calls[-1][1]["ids"], jobs.calls[-1][1]["planes"]) == (("stack",), None)
    assert viewer.layers["stack masks"].data.all()
    assert "second masks" not in viewer.layers


def test_probabilities_are_layers_of_their_own(painted: Any, viewer: Any, qtbot: Any) -> None:
    painted.train.panel.button.click()
    done(painted, qtbot)
    painted.result.form["probabilities"].value = True
    for _ in range(2):
        painted.result.panel.button.click()
        done(painted, qtbot)
    found = [layer for layer in viewer.layers if "probability" in layer.name]
    assert [layer.name for layer in found] == ["field class 2 probability"]
    np.testing.assert_allclose(found[0].data, 0.5)


def test_probabilities_come_with_training_too(painted: Any, viewer: Any, qtbot: Any) -> None:
    painted.result.form["probabilities"].value = True
    painted.train.panel.button.click()
    done(painted, qtbot)
    assert "field class 2 probability" in viewer.layers


def test_background_is_not_painted_over(painted: Any, viewer: Any, qtbot: Any) -> None:
    painted.train.panel.button.click()
    done(painted, qtbot)
    masks = viewer.layers["field masks"]
    assert masks.get_color(1)[3] == 0
    np.testing.assert_allclose(masks.get_color(2), viewer.layers["field labels"].get_color(2))


def test_the_look_of_masks_is_kept(painted: Any, viewer: Any, qtbot: Any) -> None:
    painted.result.opacity.setValue(30)
    painted.result.outline.setChecked(True)
    painted.train.panel.button.click()
    done(painted, qtbot)
    masks = viewer.layers["field masks"]
    assert (masks.opacity, masks.contour, masks.visible) == (0.3, 2, True)
    painted.result.visible.setChecked(False)
    assert not masks.visible


def test_scores_are_shown_round_by_round(painted: Any, qtbot: Any) -> None:
    for _ in range(2):
        painted.train.panel.button.click()
        done(painted, qtbot)
    assert painted.train.scores.text() == "IoU by round  .60  .70"


def test_what_to_expect_in_whole_images_is_shown_below_the_scores(painted: Any) -> None:
    expected = {"expected_iou": {"a": 0.5, "b": 0.7}}
    painted.desk.session.project.add_round(Round(1, "1", 0.9, {}, 9, False, 9, 9, 1.0, True, measures=expected))
    painted.desk.session.rounds_changed.emit()
    assert painted.train.scores.text() == "IoU by round  .90\nIn whole images about .60, estimated"


def test_from_a_round_that_is_worse_one_goes_back_with_a_click(painted: Any, jobs: Any, qtbot: Any) -> None:
    project, back = painted.desk.session.project, painted.train.back
    for score, interval in ((0.8, (0.7, 0.9)), (0.5, (0.4, 0.6))):
        assert not back.isVisibleTo(painted)
        number = project.next_round()
        (project.path / f"{number}.safetensors").write_bytes(b"a model")
        file = f"{number}.safetensors"
        project.add_round(Round(number, file, score, {}, 9, False, 9, 9, 1.0, True, interval=interval))
        painted.desk.session.rounds_changed.emit()
    assert painted.train.scores.text() == "IoU by round  .80  .50 (.40 to .60)"
    assert back.isVisibleTo(painted)
    assert back.text() == "Go back to round 1, which was better"
    back.click()
    done(painted, qtbot)
    assert project.current_round.number == 1
    assert jobs.calls[-1][0] == "predict"
    assert painted.desk.session.predicted["field"] == 1
    assert painted.result.panel.light.stage is Stage.DONE
    assert not back.isVisibleTo(painted)
    project.use_round(2)
    painted.desk.session.rounds_changed.emit()
    assert painted.result.panel.light.stage is Stage.STALE
    assert back.isVisibleTo(painted)


def test_lights_follow_what_is_done(painted: Any, viewer: Any, qtbot: Any) -> None:
    def lights() -> list[Stage]:
        steps = (painted.images, painted.learn, painted.paint, painted.train, painted.result)
        return [step.panel.light.stage for step in steps]

    assert lights() == [Stage.DONE, Stage.READY, Stage.DONE, Stage.READY, Stage.EMPTY]
    painted.train.panel.button.click()
    done(painted, qtbot)
    assert lights() == [Stage.DONE, Stage.READY, Stage.DONE, Stage.DONE, Stage.DONE]
    viewer.layers["field labels"].paint((50, 40), 2)
    qtbot.waitUntil(lambda: lights()[3] is Stage.STALE, timeout=2000)


# -------------------------------------------------------------------- closing
def test_closing_the_viewer_ends_a_job(dock: Any, image: Any, viewer: Any, jobs: Any, qtbot: Any) -> None:
    jobs.hold()
    dock.learn.panel.button.click()
    qtbot.waitUntil(lambda: dock.learn.panel.bar.value() == 250, timeout=2000)
    path, desk = dock.desk.session.project.path, dock.desk
    viewer.close()
    delete_later()
    qtbot.waitUntil(lambda: not our_threads(), timeout=20000)
    qtbot.waitUntil(lambda: desk.session.running is None, timeout=2000)
    assert Project.open(path).pretrained is not None


def reopened(viewer: Any, desk: Any) -> Any:
    """The dock of a desk, opened again."""
    dock = Dock(viewer, desk)
    viewer.window.add_dock_widget(dock, name="again")
    return dock


def working(dock: Any, jobs: Any, qtbot: Any, step: str = "learn") -> Any:
    """The desk of a dock that is closed while a job of a step runs."""
    desk, viewer = dock.desk, dock.desk.canvas.viewer
    jobs.hold()
    getattr(dock, step).panel.button.click()
    qtbot.waitUntil(lambda: getattr(dock, step).panel.bar.value() == 250, timeout=2000)
    viewer.window.remove_dock_widget(dock)
    delete_later()
    assert not desk.shown
    return desk


def test_a_job_goes_on_without_the_dock_and_can_be_paused_once_it_is_open_again(
    dock: Any, image: Any, viewer: Any, jobs: Any, qtbot: Any, said: list[str]
) -> None:
    desk = working(dock, jobs, qtbot)
    qtbot.wait(50)
    assert desk.session.running == "learn"
    assert not desk.session.activities["learn"].stopping
    assert said[-1] == GOES_ON
    again = reopened(viewer, desk)
    panel = again.learn.panel
    assert (panel.button.text(), panel.bar.value()) == ("❚❚ Pause", 250)
    assert panel.message.text() == "At work · 1:20 left"
    qtbot.waitUntil(lambda: again.learn.curve.points == [(1.0, 0.5), (2.0, 0.4)], timeout=2000)  # it is followed
    panel.button.click()
    done(again, qtbot)
    assert desk.session.project.pretrained is not None
    assert "kept" in panel.message.text()


def test_what_a_job_makes_without_the_dock_is_shown_and_so_it_is_when_the_dock_is_open_again(
    painted: Any, viewer: Any, jobs: Any, qtbot: Any
) -> None:
    desk = working(painted, jobs, qtbot, "train")
    jobs.go.set()
    qtbot.waitUntil(lambda: desk.session.running is None and not our_threads(), timeout=20000)
    assert [name for name, _ in jobs.calls] == ["train", "predict"]
    assert (viewer.layers["field masks"].data == 2).all()
    again = reopened(viewer, desk)
    assert again.train.scores.text().startswith("IoU by round  .60")
    assert again.train.panel.button.text() == "▶ Train"
    assert again.result.panel.light.stage is Stage.DONE


def test_an_error_of_a_job_without_the_dock_is_told(
    painted: Any, viewer: Any, jobs: Any, qtbot: Any, said: list[str]
) -> None:
    desk = working(painted, jobs, qtbot, "train")
    jobs.error = LabelError("Only one class is painted", "Two are needed", "Paint some background")
    jobs.go.set()
    qtbot.waitUntil(lambda: desk.session.running is None and not our_threads(), timeout=20000)
    assert said[-1] == "Only one class is painted. Two are needed. Paint some background."
    assert reopened(viewer, desk).train.panel.message.text() == said[-1]


@pytest.mark.parametrize("times", [1, 2])
def test_closing_the_viewer_ends_a_job_that_went_on_without_the_dock(
    dock: Any, image: Any, viewer: Any, jobs: Any, qtbot: Any, times: int
) -> None:
    held: list[bool] = []
    jobs.start, jobs.close = lambda: held.append(True), held.clear
    desk = working(dock, jobs, qtbot)
    if times > 1:
        reopened(viewer, desk)  # and closed with the viewer
    path = desk.session.project.path
    viewer.close()
    delete_later()
    qtbot.waitUntil(lambda: desk.session.running is None and not our_threads(), timeout=20000)
    assert Project.open(path).pretrained is not None
    assert not held


def test_closing_the_dock_frees_what_jobs_hold_once_none_runs(
    dock: Any, image: Any, viewer: Any, jobs: Any, qtbot: Any
) -> None:
    held: list[bool] = []
    jobs.start, jobs.close = lambda: held.append(True), held.clear
    desk = working(dock, jobs, qtbot)
    assert held
    jobs.go.set()
    qtbot.waitUntil(lambda: desk.session.running is None and not our_threads(), timeout=20000)
    assert not held


def test_closing_the_dock_writes_the_last_stroke(painted: Any, viewer: Any) -> None:
    layer, desk = viewer.layers["field labels"], painted.desk
    layer.paint((50, 40), 2)
    viewer.window.remove_dock_widget(painted)
    delete_later()
    np.testing.assert_array_equal(desk.session.project.labels("field"), np.asarray(layer.data))


def test_a_second_dock_shows_the_running_job(dock: Any, image: Any, viewer: Any, jobs: Any, qtbot: Any) -> None:
    jobs.hold()
    dock.learn.panel.button.click()
    qtbot.waitUntil(lambda: dock.learn.panel.bar.value() == 250, timeout=2000)
    again = reopened(viewer, dock.desk)
    assert again.learn.panel.button.text() == "❚❚ Pause"
    assert again.learn.panel.bar.value() == 250
    viewer.window.remove_dock_widget(dock)
    delete_later()
    again.learn.panel.button.click()
    done(again, qtbot)
    assert again.learn.panel.button.text() == "▶ Learn"


def test_every_control_has_a_tooltip_and_a_name(dock: Any) -> None:
    for button in dock.findChildren(QPushButton):
        assert button.toolTip(), button.text()
        assert button.text() or button.accessibleName()


# -------------------------------------------------------------------- did learning help?
def test_whether_learning_helped_is_said_until_one_paints(painted: Any, jobs: Any, viewer: Any, qtbot: Any) -> None:
    row = painted.train.comparison
    assert not row.button.isVisibleTo(painted)  # nothing was learnt
    painted.learn.start()
    done(painted, qtbot)
    assert row.button.isVisibleTo(painted)
    painted.train.form["minutes"].value = 3.0
    assert row.button.text() == "Did learning help? · about 12 min"
    jobs.hold()
    row.button.click()
    qtbot.waitUntil(lambda: painted.train.panel.bar.value() == 250, timeout=2000)
    assert painted.train.panel.button.text() == "■ Stop"
    assert not row.button.isEnabled()
    jobs.go.set()
    done(painted, qtbot)
    assert row.answer.text() == "Learning from your images first helped: score +0.04 (+0.01 to +0.07)"
    assert jobs.calls[-1][1]["config"].minutes == 3.0
    painted.desk.session.classes_changed.emit()
    assert row.answer.isVisibleTo(painted)
    viewer.layers["field labels"].paint((50, 30), 2)
    qtbot.waitUntil(lambda: not row.answer.isVisibleTo(painted), timeout=2000)
