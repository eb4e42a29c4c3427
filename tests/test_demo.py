"""The demonstration: its strokes, its result and its picture, with runs of a few steps."""

from dataclasses import replace

import numpy as np
import PIL.Image
import pytest

from napari_sslseg import demo as demonstration
from napari_sslseg import samples
from napari_sslseg.annotation import strokes
from napari_sslseg.demo import DemoResult, demo, overlay, painted
from napari_sslseg.job import Metric, Notice, Progress, Stop, run
from napari_sslseg.project import Project
from napari_sslseg.settings import FinetuneConfig, PredictConfig, PretrainConfig

pytestmark = pytest.mark.usefixtures("briefly")
SMALL = {"encoder": "unet", "start": "random", "crop": 32, "batch": 4, "steps": 4}


@pytest.fixture(scope="module")
def image():
    return samples.load("ihc")


@pytest.fixture(scope="module", autouse=True)
def few_steps():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demonstration, "FinetuneConfig", lambda minutes: FinetuneConfig(**SMALL, pixels=0.0))
        patch.setattr(demonstration, "PretrainConfig", lambda minutes: PretrainConfig(**SMALL))
        patch.setattr(demonstration, "PredictConfig", lambda: PredictConfig(flips=False))
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory, few_steps):
    """The result of a demonstration of a few steps, and the events of it."""
    heard = []
    return run(demo(tmp_path_factory.mktemp("demo")), heard.append), heard


# ---------------------------------------------------------------- the strokes
def test_every_class_has_strokes_inside_the_image(image):
    labels, classes = painted(image.shape)
    assert [c.value for c in classes] == list(range(1, len(classes) + 1))
    assert set(np.unique(labels)) == {0, *(c.value for c in classes)}


def test_no_stroke_is_cut_off_by_the_border(image):
    labels, _ = painted(image.shape)
    assert not labels[[0, -1]].any()
    assert not labels[:, [0, -1]].any()


def test_there_are_enough_strokes_to_keep_some_of_each_class_apart(image):
    labels, classes = painted(image.shape)
    assert all(strokes(np.where(labels == c.value, labels, 0))[1] >= 5 for c in classes)


def test_strokes_are_sparse(image):
    labels, _ = painted(image.shape)
    assert (labels > 0).mean() < 0.05


# ---------------------------------------------------------------- the run
def test_two_rounds_are_scored_the_second_from_pretraining(finished):
    result, _ = finished
    rounds = Project.open(result.project).rounds
    assert rounds == (result.without, result.with_pretraining)
    assert [r.pretrained for r in rounds] == [False, True]
    assert all(0 <= r.score <= 1 for r in rounds)


def test_the_picture_shows_strokes_and_masks_beside_each_other(finished, image):
    height, width = image.shape
    with PIL.Image.open(finished[0].overlay) as picture:
        assert (picture.format, picture.mode, picture.size) == ("PNG", "RGB", (2 * width, height))


def test_the_result_says_both_scores_and_where_to_look(finished):
    result, _ = finished
    said = result.text()
    for name, r in (("without pretraining", result.without), ("with pretraining", result.with_pretraining)):
        assert f"{name:20s} {r.score:.3f}  (4 steps in " in said
    assert f"Picture: {result.overlay}" in said
    assert f"Project: {result.project}" in said
    known = replace(result.without, measures={"expected_iou": {"a": 0.6, "b": 0.84}})
    assert "kept apart, about 0.72 in whole images)" in replace(result, without=known).text()


def test_progress_never_falls_and_ends_at_one(finished):
    fractions = [e.fraction for e in finished[1] if isinstance(e, Progress)]
    assert fractions == sorted(fractions)
    assert fractions[-1] == pytest.approx(1)


def test_it_runs_again_in_the_same_folder_and_keeps_what_was_painted_since(tmp_path):
    first = run(demo(tmp_path))
    project = Project.open(first.project)
    project.write_labels("ihc", np.full((2, 2), 3, np.uint16), np.s_[400:402, 10:12])
    kept = project.labels("ihc")
    second = run(demo(tmp_path))
    project = Project.open(second.project)
    assert len(project.images) == 1
    assert [r.number for r in project.rounds] == [1, 2, 3, 4]
    np.testing.assert_array_equal(project.labels("ihc"), kept)
    assert second.overlay.is_file()


@pytest.mark.parametrize("notice, rounds", [("Training without", 1), ("Training from", 2)])
def test_stopped_early_it_tells_what_there_is(tmp_path, notice, rounds):
    stop, at = Stop(), []

    def stop_in_the_part(event):
        at.append(isinstance(event, Notice) and event.text.startswith(notice))
        if any(at) and isinstance(event, Metric):
            stop.request()

    result = run(demo(tmp_path, stop=stop), stop_in_the_part)
    assert result.overlay is None
    assert len(Project.open(result.project).rounds) == rounds
    assert "Picture" not in result.text()
    assert result.to_dict()["overlay"] is None


def test_a_round_that_was_not_run_has_no_score(finished):
    result, _ = finished
    assert "with pretraining     none, stopped before" in DemoResult(result.project, result.without).text()


def test_masks_are_tinted_and_outlined_and_strokes_are_opaque():
    pixels = np.full((6, 6, 3), 100, np.uint8)
    strokes, masks = np.zeros((6, 6), np.uint16), np.ones((6, 6), np.uint16)
    strokes[0, 0], masks[1:5, 1:5] = 2, 2
    drawn = overlay(pixels, strokes, masks, painted((512, 512))[1])
    colour = [int(painted((512, 512))[1][1].colour[i : i + 2], 16) for i in (1, 3, 5)]
    assert drawn.shape == (6, 12, 3)
    assert drawn[0, 0].tolist() == drawn[1, 7].tolist() == colour
    assert drawn[3, 3].tolist() == [100, 100, 100]
    assert drawn[3, 9].tolist() == [round(65 + 0.35 * c) for c in colour]


@pytest.mark.parametrize(
    "platform, display, expected", [("linux", "", False), ("linux", ":0", True), ("darwin", "", True)]
)
def test_a_window_needs_a_display_on_linux(monkeypatch, platform, display, expected):
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setattr(demonstration, "find_spec", lambda name: object())
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert demonstration.can_show() is expected


def test_a_window_needs_napari(monkeypatch):
    monkeypatch.setattr(demonstration, "find_spec", lambda name: None)
    monkeypatch.setenv("DISPLAY", ":0")
    assert demonstration.can_show() is False
