"""Marked boxes: what lies in validation boxes is never learnt from; what is labelled completely has a background."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scenes import annotated, disks, objects, paint

from napari_sslseg import object_score, seen
from napari_sslseg.annotation import Annotation
from napari_sslseg.errors import LabelError
from napari_sslseg.finetuning import finetune
from napari_sslseg.image import Image
from napari_sslseg.instances import ObjectSize
from napari_sslseg.job import Progress, Stop, run
from napari_sslseg.labelled import collect
from napari_sslseg.magnify import magnified
from napari_sslseg.project import Project
from napari_sslseg.regions import Region, parse
from napari_sslseg.settings import FinetuneConfig
from napari_sslseg.strokes import Stroke, cut_up
from napari_sslseg.workflow import train_project

HALF = Region((0, 1), (0, 64), (32, 64), validation=True)
TINY = {"encoder": "unet", "start": "random", "crop": 32, "batch": 4, "steps": 4, "pixels": 0.0}


def test_a_box_is_read_as_it_is_written():
    assert parse("1:2,3:40,5:60", 9) == Region((1, 2), (3, 40), (5, 60))
    assert parse("3:40,5:60", 1) == Region((0, 1), (3, 40), (5, 60))
    assert parse(str(HALF), 1) == Region((0, 1), (0, 64), (32, 64))
    assert Region.from_dict(HALF.to_dict()) == HALF


@pytest.mark.parametrize("text", ["", "3:40", "a:b,1:2", "3:40,5:60", "1,2,3"])
def test_what_is_no_box_of_a_stack_is_refused(text):
    with pytest.raises(LabelError, match="z0:z1,y0:y1,x0:x1"):
        parse(text, 9)


@pytest.mark.parametrize(
    ("region", "said"),
    [
        (Region((0, 1), (0, 65), (0, 9), validation=True), "1 x 64 x 64"),
        (Region((0, 1), (9, 9), (0, 9), validation=True), "later plane, row and column"),
        (Region((0, 1), (0, 9), (0, 9)), "validation, complete, or both"),
    ],
)
def test_a_box_lies_in_its_image_and_is_for_something(region, said):
    with pytest.raises(LabelError, match=said):
        region.check((64, 64), "a")


def test_what_nobody_painted_in_a_complete_box_is_background():
    labels = np.zeros((64, 64), np.uint16)
    labels[10:20, 40:50] = 2
    whole = Annotation(labels, regions=(Region((0, 1), (0, 64), (32, 64), complete=True),)).completed()
    assert (whole.labels[:, 32:] == np.where(labels[:, 32:] == 2, 2, 1)).all()
    assert not whole.labels[:, :32].any()
    assert labels.max() == 2
    assert (labels == 1).sum() == 0  # what was given is as it was


def test_what_lies_in_validation_boxes_is_apart_and_not_among_the_targets():
    image, annotation, _ = annotated(64)
    found = collect([(image, Annotation(annotation.labels, regions=(HALF,)))], 0.2)
    assert found.validated
    assert found.apart
    assert all((s.points[:, 1] >= 32).all() for s in found.apart)
    assert all((s.points[:, 1] < 32).all() for s in found.strokes)
    assert found.strokes == found.train
    assert not found.targets[0][0][:, 32:].any()
    assert (found.truths[0][0] == annotation.labels).all()


def test_without_boxes_strokes_are_kept_apart_and_learnt_from_in_the_end():
    image, annotation, _ = annotated(64)
    found = collect([(image, annotation)], 0.2)
    assert not found.validated
    assert len(found.strokes) == len(found.train) + len(found.apart)
    assert found.kept_apart == "strokes"


def test_large_pieces_of_a_box_are_cut():
    image, truth = disks(160)
    labels = truth.astype(np.uint16)
    box = Region((0, 1), (0, 128), (0, 128), validation=True)
    found = collect([(image, Annotation(labels, regions=(box,)))], 0.2)
    assert sum(len(s.points) for s in found.apart) == 128 * 128
    assert sum(s.value == 1 for s in found.apart) >= 4


def test_a_class_in_validation_boxes_only_cannot_be_learnt():
    image, annotation, _ = annotated(64)
    labels = annotation.labels.copy()
    labels[5, 40:45] = 3
    with pytest.raises(LabelError, match="Class 3 is painted in validation boxes only"):
        collect([(image, Annotation(labels, regions=(HALF,)))], 0.2)


def test_boxes_are_enlarged_with_the_image():
    larger = magnified(Annotation(np.zeros((64, 64), np.uint16), regions=(HALF,)), 2)
    assert larger.labels.shape == (128, 128)
    assert larger.regions == (Region((0, 1), (0, 128), (64, 128), validation=True),)
    assert ObjectSize(16, 64).reduced(2) == ObjectSize(4, 16)


def test_other_labels_in_a_validation_box_change_the_score_and_not_one_weight():
    image, truth = disks(64)
    painted = paint(truth, strokes=10)
    wrong = painted.copy()
    wrong[:, 32:] = np.where(painted[:, 32:] > 0, 3 - painted[:, 32:], 0)
    config = FinetuneConfig(**TINY)
    right, swapped = (run(finetune([(image, Annotation(p, regions=(HALF,)))], config)) for p in (painted, wrong))
    assert right.history["score"] != swapped.history["score"]
    assert all(torch.equal(v, swapped.weights[k]) for k, v in right.weights.items())


def test_a_round_says_what_it_measured_in_validation_boxes(tmp_path):
    project, (image, truth) = Project.create(tmp_path / "p"), disks(64)
    project.add_image(image)
    labels = paint(truth, strokes=10)
    labels[:, 32:] = truth[:, 32:]
    project.write_labels(image.name, labels)
    project.set_regions(image.name, [HALF])
    run(train_project(project, FinetuneConfig(**TINY)))
    (found,) = Project.open(project.path).rounds
    assert found.kept_apart.startswith("boxes ")
    assert set(found.measures) == {"dice", "calibration_error", "hausdorff"}
    assert set(found.measures["dice"]) == {"background", "class 2"}
    assert 0 <= found.measures["calibration_error"] <= 1
    assert found.interval is not None
    assert Project.open(project.path).regions(image.name) == (HALF,)


@pytest.fixture
def perfect(monkeypatch):
    """A model of objects that is right about some of them: the others are nowhere."""

    def look(truth, known):
        def look_at(segmenter, labelled, number, box, stop, done):
            yield Progress(done, seen.LOOKING)
            if stop.requested:
                return None
            part = truth[None][box]
            inside = np.isin(part, known)
            return np.stack([1.0 - inside, 0.0 + inside, 0.0 * inside]).astype(np.float32)

        monkeypatch.setattr(object_score, "look_at", look_at)

    return look


def score(labels, stop=None):
    return run(object_score.score(None, labels, stop or Stop()))


@pytest.mark.parametrize("boxes", [(), (Region((0, 1), (0, 96), (48, 96), validation=True, complete=True),)])
def test_a_score_of_objects_stops_when_asked(perfect, boxes):
    image, truth = objects(96)
    labels, stop = collect([(image, Annotation(truth, "instance", boxes))], 0.3), Stop()
    perfect(truth, np.unique(truth)[1:])
    job = object_score.score(None, labels, stop)
    assert next(job).text == seen.LOOKING
    stop.request()
    assert run(job) is None


def test_a_large_piece_is_cut_along_a_grid():
    numbers = np.random.default_rng(0)
    points = np.argwhere(numbers.random((150, 90)) < 0.5) + np.array([30, 1000])
    (small,) = cut_up([Stroke(1, 2, 3, points[:1])])
    pieces = cut_up([Stroke(1, 2, 3, points)])
    assert (small.image, small.z, small.value, len(small.points)) == (1, 2, 3, 1)
    squares = [{(y // 64, x // 64) for y, x in p.points.tolist()} for p in pieces]
    assert [len(s) for s in squares] == [1] * 9  # three rows of squares and three columns
    assert len(set().union(*squares)) == 9
    assert sorted(map(tuple, np.concatenate([p.points for p in pieces]))) == sorted(map(tuple, points))


def test_objects_kept_apart_are_found_or_not(perfect):
    image, truth = objects(96)
    labels = collect([(image, Annotation(truth, "instance"))], 0.3)
    values = [int(truth[tuple(s.points[0])]) for s in labels.apart if s.value > 1]
    assert len(values) > 1
    perfect(truth, values)
    found = score(labels)
    assert found["score"] > 0.9
    assert found["measures"] == {"found": 1.0}
    perfect(truth, values[1:])
    missing = score(labels)
    assert missing["measures"]["found"] == pytest.approx(1 - 1 / len(values))
    low, high = missing["interval"]
    assert low < missing["score"] < high


def test_of_very_many_objects_kept_apart_some_are_looked_at_the_same_each_time(perfect, monkeypatch):
    image, truth = objects(160)
    labels, looked = collect([(image, Annotation(truth, "instance"))], 0.9), []
    perfect(truth, np.unique(truth)[1:])
    look = object_score.look_at
    monkeypatch.setattr(object_score, "look_at", lambda *args: looked.append(args[3]) or look(*args))
    score(labels)
    whole, looked[:] = len(looked), []
    monkeypatch.setattr(object_score, "MOST", 3)
    assert score(labels)["measures"] == score(labels)["measures"]
    assert whole > 3 and len(looked) == 6
    assert looked[:3] == looked[3:]


def test_objects_in_validation_boxes_have_a_precision(perfect):
    image, truth = objects(96)
    box = Region((0, 1), (0, 96), (48, 96), validation=True, complete=True)
    labels = collect([(image, Annotation(truth, "instance", (box,)))], 0.3)
    inside = np.unique(truth[:, 48:])[1:].tolist()
    perfect(truth, inside)
    found = score(labels)["measures"]
    assert found["ap50"] == 1
    assert found["panoptic_quality"] > 0.9
    perfect(truth, inside[1:])
    assert score(labels)["measures"]["ap50"] == pytest.approx(1 - 1 / len(inside))


def test_validation_boxes_of_a_time_series_are_those_of_its_frames():
    image, truth = objects(96)
    film = Image(np.repeat(image.data[:, None], 3, 1), axes="CTYX")
    box = Region((0, 2), (0, 96), (48, 96), validation=True, complete=True)
    labels = collect([(film, Annotation(np.stack([truth] * 3), "instance", (box,)))], 0.3)
    assert [place[0] for _, place in seen.boxes(labels)] == [slice(0, 1), slice(1, 2)]


class Pointwise:
    """A model whose answer hangs on the brightness of the pixel alone."""

    network, atlas, share = SimpleNamespace(encoder=None), None, 0.0

    def parameters(self):
        return iter([torch.zeros(1)])

    def mixed(self, images, flips, *shares):
        return [torch.cat([images, -images], 1).softmax(1) for _ in shares]


def test_of_very_many_squares_some_are_looked_at_with_every_class(monkeypatch):
    image, truth = disks(300)
    labels = np.zeros((40, *truth.shape), np.uint16)
    labels[:39, :20, :20] = 1
    labels[39, 280:, 280:] = 2
    film = Image(np.repeat(image.data[:, None], 40, 1), axes="CTYX")
    whole = collect([(film, Annotation(labels))], 0.0)
    labelled = replace(whole, apart=whole.train)
    monkeypatch.setattr(seen, "MOST", 5)
    found = [run(seen.look(Pointwise(), labelled, 0.0, stop=Stop()))[0] for _ in range(2)]
    assert len(np.unique(found[0].places[:, 1])) in (5, 6)
    assert set(found[0].truth) == {1, 2}
    assert np.array_equal(found[0].places, found[1].places)


def test_a_whole_box_and_single_pixels_are_looked_at_in_their_places():
    image, truth = disks(300)
    labelled = collect([(image, Annotation(paint(truth)))], 0.3)
    (strokes,) = run(seen.look(Pointwise(), labelled, 0.0, stop=Stop()))
    rows, columns = slice(20, 290), slice(0, 300)
    box = run(seen.look_at(Pointwise(), labelled, 0, (slice(0, 1), rows, columns), Stop()))
    bright = 1 / (1 + np.exp(-2 * image.normalised(0, rows, columns)[0]))
    assert np.allclose(box[0, 0], bright, atol=1e-5)
    inside = strokes.places[:, 2] >= 20
    y, x = strokes.places[inside, 2:].T
    assert np.allclose(strokes.even.numpy()[inside, 0], bright[y - 20, x], atol=1e-5)


def test_strokes_do_not_make_probabilities_less_sure_but_boxes_and_complete_labels_may():
    image, truth = disks(96)
    drawn = np.array(paint(truth, strokes=12))
    strokes = collect([(image, Annotation(drawn))], 0.3)
    box = Region((0, 1), (0, 96), (48, 96), validation=True)
    boxes = collect([(image, Annotation(drawn, regions=(box,)))], 0.3)
    wrong = np.arange(400) % 2
    sure = torch.tensor([[0.99, 0.01], [0.01, 0.99]])[wrong]
    places, own = np.zeros((400, 4), np.intp), np.arange(400)
    told = seen.Seen(sure, torch.ones(400, 2), (2 - wrong).astype(np.uint8), own, places)
    assert told.temperature(strokes) == pytest.approx(1.0, rel=0.01)
    assert told.temperature(boxes) > 4
    assert told.temperature(collect([(image, Annotation(truth))], 0.3)) > 4
    right = replace(told, truth=(1 + wrong).astype(np.uint8))
    assert right.temperature(strokes) < 0.5
