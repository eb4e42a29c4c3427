"""Scores of prediction files against files of true labels."""

import numpy as np
import pytest

from napari_sslseg.errors import ImageError, LabelError
from napari_sslseg.evaluating import evaluate
from napari_sslseg.io import write_labels
from napari_sslseg.job import Progress, Stop, run


@pytest.fixture
def score(tmp_path):
    """Write arrays by file name and compare them."""

    def compare(predictions, truth, task="semantic"):
        for folder, arrays in (("p", predictions), ("t", truth)):
            for name, values in arrays.items():
                write_labels(tmp_path / folder / name, np.asarray(values, np.uint16))
        return run(evaluate(tmp_path / "p", tmp_path / "t", task))

    return compare


def test_equal_files_score_one(score):
    report = score({"a.tif": [[1, 2, 3]]}, {"a.tif": [[1, 2, 3]]})
    assert (report.files, report.iou, report.mean_dice) == (1, {1: 1.0, 2: 1.0, 3: 1.0}, 1.0)


def test_scores_are_those_of_all_pixels_together(score):
    report = score({"a.tif": [[1, 1]], "b.tif": [[2, 2, 2, 2]]}, {"a.tif": [[1, 2]], "b.tif": [[2, 2, 2, 1]]})
    assert report.iou == {1: 1 / 3, 2: 3 / 5}
    assert report.dice == {1: 2 / 4, 2: 6 / 8}
    assert report.mean_iou == pytest.approx((1 / 3 + 3 / 5) / 2)


def test_nothing_is_counted_where_the_truth_says_nothing(score):
    assert score({"a.tif": [[1, 2, 2, 1]]}, {"a.tif": [[1, 2, 0, 0]]}).mean_iou == 1


def test_names_may_differ_in_format(score):
    assert score({"a.png": [[1, 2]]}, {"a.tif": [[1, 2]], "b.tif": [[1, 1]]}).files == 1


@pytest.mark.parametrize("twice", ["p", "t"])
def test_two_files_of_one_name_are_told_and_not_chosen_from(score, twice):
    one, two = {"a.tif": [[1, 2]]}, {"a.tif": [[1, 2]], "a.png": [[1, 1]]}
    with pytest.raises(ImageError, match=r"a\.png and .*a\.tif are both called 'a'.*Leave one of them out"):
        score(two if twice == "p" else one, two if twice == "t" else one)


def test_two_single_files_need_not_be_named_alike(tmp_path):
    for name in ("found.tif", "truth.npy"):
        write_labels(tmp_path / name, np.array([[1, 2]]))
    assert run(evaluate(tmp_path / "found.tif", tmp_path / "truth.npy")).mean_iou == 1


def test_objects_are_matched_whatever_their_numbers(score):
    report = score({"a.tif": [[1, 5, 5, 1, 9, 9]]}, {"a.tif": [[1, 2, 2, 1, 3, 3]]}, "instance")
    assert (report.precision.mean, report.precision.predicted, report.precision.true) == (1, 2, 2)
    assert report.iou == {1: 1.0, 2: 1.0}


def test_a_missed_and_a_false_object_count(score):
    report = score({"a.tif": [[1, 2, 2, 1, 1, 1, 3]]}, {"a.tif": [[1, 2, 2, 1, 4, 4, 1]]}, "instance")
    assert report.precision.at_50 == pytest.approx(1 / 3)


def test_objects_where_the_truth_says_nothing_do_not_count(score):
    report = score({"a.tif": [[1, 2, 2, 1, 3, 3]]}, {"a.tif": [[1, 2, 2, 1, 0, 0]]}, "instance")
    assert (report.precision.mean, report.precision.predicted) == (1, 1)


def test_a_prediction_without_truth_is_told(score):
    with pytest.raises(LabelError, match="no true labels for b.tif.*holds: a.*Name both files alike"):
        score({"b.tif": [[1]], "c.tif": [[1]]}, {"a.tif": [[1]]})


def test_another_shape_is_told(score):
    with pytest.raises(LabelError, match=r"a.tif has shape \(1, 2\) and its truth \(1, 3\)"):
        score({"a.tif": [[1, 2]]}, {"a.tif": [[1, 2, 2]]})


def test_a_truth_of_zeros_is_told(score):
    with pytest.raises(LabelError, match="holds no label but 0"):
        score({"a.tif": [[1, 2]]}, {"a.tif": [[0, 0]]})


def test_a_missing_folder_is_told(tmp_path):
    with pytest.raises(ImageError, match="does not exist"):
        run(evaluate(tmp_path / "p", tmp_path / "t"))


def test_stopped_early_it_scores_what_it_compared(tmp_path):
    for folder in ("p", "t"):
        for name in ("a.tif", "b.tif"):
            write_labels(tmp_path / folder / name, np.array([[1, 2]]))
    stop = Stop()
    heard = []

    def stop_at_once(event):
        heard.append(event)
        stop.request()

    assert run(evaluate(tmp_path / "p", tmp_path / "t", stop=stop), stop_at_once).files == 1
    assert heard == [Progress(0.5, "a.tif")]


def test_distances_are_in_the_unit_of_the_files(tmp_path):
    truth = np.ones((40, 40), np.uint16)
    truth[10:30, 10:30] = 2
    write_labels(tmp_path / "t" / "a.tif", truth, spacing=(0.5, 0.5), unit="um")
    write_labels(tmp_path / "p" / "a.tif", np.roll(truth, 4, 1))
    assert run(evaluate(tmp_path / "p", tmp_path / "t")).hausdorff == {}
    found = run(evaluate(tmp_path / "p", tmp_path / "t", distances=True))
    assert found.hausdorff == {1: pytest.approx(2.0), 2: pytest.approx(2.0)}
    assert found.unit == "µm"
    objects = run(evaluate(tmp_path / "p", tmp_path / "t", "instance", distances=True))
    assert objects.hausdorff[2] == pytest.approx(2.0)
    assert objects.precision.quality == pytest.approx(320 / 480)


def test_of_files_in_several_units_none_is_named(tmp_path):
    for name, unit in (("a.tif", "um"), ("b.tif", "pixel")):
        for folder in ("p", "t"):
            write_labels(tmp_path / folder / name, np.array([[1, 2], [2, 1]]), spacing=(0.5, 0.5), unit=unit)
    assert run(evaluate(tmp_path / "p", tmp_path / "t", distances=True)).unit == ""


@pytest.mark.parametrize("axes", [("TYX", ""), ("", "TYX")])
def test_objects_of_a_time_series_are_compared_frame_by_frame(tmp_path, axes):
    truth = np.ones((3, 20, 20), np.uint16)
    truth[:, 5:15, 5:15] = 2
    found = truth.copy()
    found[1, 5:15, 10:15] = 1
    write_labels(tmp_path / "p.tif", found, axes=axes[0])
    write_labels(tmp_path / "t.tif", truth, axes=axes[1])
    report = run(evaluate(tmp_path / "p.tif", tmp_path / "t.tif", "instance", distances=True))
    assert (report.precision.predicted, report.precision.true, report.precision.at_50) == (3, 3, 0.5)
    one = run(evaluate(tmp_path / "p.tif", tmp_path / "p.tif", "instance", distances=True))
    assert (one.precision.mean, one.hausdorff[2]) == (1, 0)
    assert 0 < report.hausdorff[2] < 5


def test_a_plane_is_compared_with_a_series_of_one_frame(score):
    report = score({"a.tif": [[[1, 2, 2, 1]]]}, {"a.tif": [[1, 2, 2, 1]]}, "instance")
    assert (report.mean_iou, report.precision.mean) == (1, 1)
