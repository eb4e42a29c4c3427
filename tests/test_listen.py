"""What the command line shows of a job."""

import json
from dataclasses import replace

import numpy as np
import pytest

from napari_sslseg.contents import Round
from napari_sslseg.job import Device, Metric, Notice, Picture, Progress
from napari_sslseg.listen import BarListener, JsonListener, clock, emit, measured, scored


@pytest.mark.parametrize(
    "seconds, said", [(0, "0:00"), (59.4, "0:59"), (59.6, "1:00"), (90, "1:30"), (3599.9, "1:00:00"), (7325, "2:02:05")]
)
def test_a_length_of_time_is_written_as_a_clock_does(seconds, said):
    assert clock(seconds) == said


def test_the_bar_shows_share_time_left_text_and_the_latest_of_each_number(capsys):
    with BarListener("Learning") as show:
        for event in (Metric("loss", 2.0, 1), Metric("score", 0.5, 1), Metric("loss", 1.0, 2)):
            show(event)
        show(Progress(0.25, "step 2", 90.0))
    said = capsys.readouterr()
    assert said.out == ""
    assert all(word in said.err for word in ("Learning", "25%", "1:30 left", "loss 1.000", "score 0.500", "step 2"))


def test_a_notice_is_shown_as_it_is(capsys):
    with BarListener("Learning") as show:
        show(Notice("[a].tif is 1 x 1 pixels; " + 20 * "and so on "))
    assert "[a].tif is 1 x 1 pixels; " + 20 * "and so on " in capsys.readouterr().err


def test_on_what_a_job_runs_is_said_once(capsys):
    with BarListener("Learning") as show:
        for text in ("on 2 processor cores", "on 2 processor cores", "on the graphics card (X [1])"):
            show(Device(text))
    said = capsys.readouterr().err
    assert said.count("Learning on 2 processor cores") == 1
    assert "Learning on the graphics card (X [1])" in said


def test_the_bar_of_a_job_that_fails_is_not_left_behind(capsys):
    with pytest.raises(ValueError), BarListener("Learning"):
        raise ValueError
    assert "Learning" not in capsys.readouterr().err


def test_events_are_one_json_object_a_line_without_pictures(capsys):
    with JsonListener("Learning") as show:
        for event in (
            Progress(0.5, "µ"),
            Picture("x", np.zeros((2, 2), np.float32), 1),
            Notice("n"),
            Metric("loss", 1.0, 2),
            Device("on 1 processor core"),
        ):
            show(event)
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [
        {"job": "Learning", "event": "progress", "fraction": 0.5, "text": "µ", "seconds_left": None},
        {"job": "Learning", "event": "notice", "text": "n"},
        {"job": "Learning", "event": "metric", "name": "loss", "value": 1.0, "step": 2},
        {"job": "Learning", "event": "device", "text": "on 1 processor core"},
    ]


def test_what_json_has_no_number_for_is_null(capsys):
    emit({"a": float("nan"), "b": [float("inf"), 1.5], "c": {"d": (-float("inf"),)}})
    assert capsys.readouterr().out == '{"a": null, "b": [null, 1.5], "c": {"d": [null]}}\n'


def round_of(score, held_out, interval=None, scores=None, kept_apart="strokes"):
    return Round(
        1, "m", score, scores or {}, held_out, False, 9, 9, 1.0, True, interval=interval, kept_apart=kept_apart
    )


def test_the_score_of_objects_and_of_boxes_says_so():
    objects = round_of(0.5, 3, scores={"objects": 0.5}, kept_apart="boxes 1f")
    assert scored(objects) == "score 0.500 (mean overlap of objects, on validation boxes)"


def test_other_measures_are_said_where_there_are_any():
    assert measured({}, "um") == ""
    assert measured({"dice": {"cell": 0.9}, "hausdorff": {"cell": 2.345}, "calibration_error": 0.05}, "um") == (
        "Dice cell 0.900; outlines apart (95 %, um) cell 2.35; calibration error 0.050"
    )
    assert measured({"found": 1.0, "ap50": 0.5}, "um") == "objects found 1.000; AP50 0.500"
    assert measured({"expected_iou": {"a": 0.6, "b": 0.84}}, "um") == "about in whole images (IoU) a 0.60, b 0.84"


def test_what_to_expect_in_whole_images_is_said_unless_boxes_tell_it():
    known = replace(round_of(0.95, 3), measures={"expected_iou": {"a": 0.6, "b": 0.84}})
    assert scored(known) == "score 0.950 (mean IoU, on 3 strokes kept apart), about 0.72 in whole images"
    assert scored(replace(known, kept_apart="boxes 1f")) == "score 0.950 (mean IoU, on validation boxes)"


def test_a_missing_score_says_why():
    assert scored(round_of(0.9124, 3)) == "score 0.912 (mean IoU, on 3 strokes kept apart)"
    assert scored(round_of(0.9124, 3, (0.85, 0.954))) == "score 0.912, 0.85 to 0.95 (mean IoU, on 3 strokes kept apart)"
    assert scored(round_of(None, 0)) == "no score (no strokes could be kept apart)"
    assert scored(round_of(None, 3)) == "no score (stopped before it)"
