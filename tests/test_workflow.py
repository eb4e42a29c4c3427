"""The verbs on a project folder: what they keep, and how a stopped run goes on."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scenes import disks, objects, paint

from napari_sslseg import originals
from napari_sslseg.annotation import LabelClass
from napari_sslseg.checkpoint import Checkpoint
from napari_sslseg.errors import LabelError, ProjectError, StoppedError, StorageError
from napari_sslseg.job import Metric, Notice, Progress, Stop, run
from napari_sslseg.masking import predict_project
from napari_sslseg.overlay import Box
from napari_sslseg.project import Project
from napari_sslseg.settings import FinetuneConfig, PredictConfig, PretrainConfig, RuntimeConfig
from napari_sslseg.workflow import pretrain_project, train_project

pytestmark = pytest.mark.usefixtures("briefly")
SMALL = {"encoder": "unet", "start": "random", "crop": 32, "batch": 4}
TILES = PredictConfig(tile=64, overlap=16)


@pytest.fixture
def project(tmp_path):
    """A project of one painted image."""
    return start(tmp_path / "p.sslseg")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A project that was pretrained, trained and not changed since: of two images the first is painted."""
    project = start(tmp_path_factory.mktemp("trained") / "p.sslseg")
    project.add_image(disks(64, seed=1)[0])
    project.set_classes([LabelClass(1, "ground", "#000000"), LabelClass(2, "disk", "#ffffff")])
    learn(project)
    train(project)
    return project


def start(path):
    project, (image, truth) = Project.create(path), disks(64)
    project.add_image(image)
    project.write_labels("disks0", paint(truth, strokes=10))
    return project


def learning(project, steps=3, stop=None, seed=0, **config):
    return pretrain_project(
        project, PretrainConfig(steps=steps, **SMALL | config), stop=stop, runtime=RuntimeConfig(seed=seed)
    )


def training(project, steps=4, stop=None, seed=0, pretrained=True, **config):
    config = FinetuneConfig(steps=steps, **SMALL | {"pixels": 0.0} | config)
    return train_project(project, config, stop=stop, runtime=RuntimeConfig(seed=seed), pretrained=pretrained)


def learn(project, **options):
    return run(learning(project, **options))


def train(project, **options):
    return run(training(project, **options))


def stop_after_a_step(job, project, heard=None, **options):
    """Start a job and request its stop at the first loss; what it says is added to a list."""
    stop = Stop()

    def listen(event):
        if heard is not None:
            heard.append(event)
        if isinstance(event, Metric) and event.name == "loss":
            stop.request()

    return run(job(project, stop=stop, **options), listen)


def weights(path):
    return Checkpoint.load(path).weights


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def went_on(job):
    """Whether a job says that it goes on from a state that was kept."""
    heard = []
    run(job, heard.append)
    return any(isinstance(e, Notice) and e.text.startswith("Going on from step") for e in heard)


def unfinished(project):
    return sorted(p.name for p in (project.path / "unfinished").glob("*"))


# ---------------------------------------------------------------- what is kept
def test_pretraining_keeps_a_checkpoint_that_training_starts_from(trained):
    assert Project.open(trained.path).pretrained == trained.path / "checkpoints" / "pretrained-001.safetensors"
    assert trained.rounds[0].pretrained


def test_pretraining_again_keeps_the_older_checkpoint(project):
    first, second = learn(project, steps=1), learn(project, steps=2)
    assert first.exists()
    assert project.pretrained == second != first


def test_training_adds_a_round_with_its_model(trained):
    (round,) = Project.open(trained.path).rounds
    assert (round.number, round.steps, round.finished) == (1, 4, True)
    assert round.pixels == np.count_nonzero(trained.labels("disks0"))
    assert trained.trained == trained.path / "rounds" / "001" / "model.safetensors"
    assert weights(trained.trained)


def test_scores_have_the_names_of_the_classes(trained):
    assert set(trained.rounds[0].scores) == {"ground", "disk"}
    assert trained.rounds[0].score == pytest.approx(np.mean(list(trained.rounds[0].scores.values())))


def test_a_round_that_is_clearly_worse_is_said(project):
    first, heard = train(project, steps=1), []
    project.add_round(replace(first, number=2, score=1.0, interval=(0.999, 1.0)))
    run(training(project, steps=1, seed=1), heard.append)
    assert project.rounds[-1].score < 0.999
    assert any(isinstance(e, Notice) and e.text.startswith("Round 3 is worse than round 2 was") for e in heard)


def test_a_finished_run_leaves_no_unfinished_state(trained):
    assert unfinished(trained) == []


def test_training_works_without_pretraining(project):
    assert train(project).pretrained is False


def test_pretraining_can_be_left_out(trained, tmp_path):
    alone = start(tmp_path / "alone.sslseg")
    train(alone)
    learn(alone)
    train(alone, pretrained=False)
    assert [r.pretrained for r in alone.rounds] == [False, False]
    assert same(*(weights(alone.path / r.checkpoint) for r in alone.rounds))


def test_rounds_are_appended_and_the_latest_predicts(project):
    train(project)
    first = project.trained
    assert train(project, seed=1).number == 2
    assert first.exists()
    assert project.trained == project.path / "rounds" / "002" / "model.safetensors"


def test_every_round_starts_anew(project):
    one, two = train(project), train(project)
    assert same(*(weights(project.path / r.checkpoint) for r in (one, two)))


def test_rounds_on_objects_name_what_the_network_tells_apart(tmp_path):
    project, (image, truth) = Project.create(tmp_path / "p", "instance"), objects(96)
    project.add_image(image)
    project.write_labels(image.name, truth)
    scores = train(project, steps=2).scores
    assert set(scores) == {"objects"}


def test_a_prediction_is_kept_and_returned(trained):
    (found,) = run(predict_project(trained, TILES, ids=["disks1"]))
    assert (found.image, found.labels.shape) == ("disks1", (64, 64))
    assert set(np.unique(found.labels)) <= {1, 2}
    np.testing.assert_array_equal(Project.open(trained.path).prediction("disks1"), found.labels)


def test_all_images_are_predicted_unless_some_are_named(trained):
    assert [p.image for p in run(predict_project(trained, TILES))] == ["disks0", "disks1"]


def test_probabilities_have_the_names_of_the_classes(trained):
    config = PredictConfig(tile=64, overlap=16, probabilities=True)
    (found,) = run(predict_project(trained, config, ids=["disks0"]))
    assert found.classes == ("ground", "disk")
    assert found.probabilities.shape == (2, 64, 64)


def test_how_probable_each_class_is_is_kept_with_the_masks(trained):
    config = PredictConfig(tile=64, overlap=16, probabilities=True)
    (found,) = run(predict_project(trained, config, ids=["disks0"]))
    known = originals.known(trained, "disks0", 0)
    assert known.sure
    np.testing.assert_allclose(known.shares / 255, found.probabilities, atol=0.005)


def test_only_the_planes_asked_for_are_kept(tmp_path):
    project, (image, truth) = Project.create(tmp_path / "p"), disks(64, planes=3)
    project.add_image(image)
    project.write_labels("disks0", np.stack([paint(truth[0]), *np.zeros_like(truth[1:])]))
    train(project, steps=1)
    run(predict_project(project, TILES, planes={"disks0": (1,)}))
    assert (project.prediction("disks0") > 0).any(axis=(1, 2)).tolist() == [False, True, False]
    assert [originals.known(project, "disks0", z).sure for z in range(3)] == [False, True, False]
    part = {"planes": {"disks0": (1,)}, "boxes": {"disks0": Box(10, 20, 30, 50)}}
    before = project.prediction("disks0")
    masks = np.full((64, 64), 7, np.uint32)
    originals.use(project, "disks0", 1, masks)  # refined ones are in use
    (found,) = run(predict_project(project, TILES, **part))
    masks[10:30, 20:50] = found.labels[0]
    np.testing.assert_array_equal(project.prediction("disks0"), np.stack([before[0], masks, before[2]]))
    before[1, 10:30, 20:50] = found.labels[0]
    np.testing.assert_array_equal(originals.masks(project, "disks0"), before)
    assert not originals.known(project, "disks0", 1).sure


def test_objects_of_a_part_are_numbered_on(tmp_path):
    project, (image, truth) = Project.create(tmp_path / "p", task="instance"), objects(64)
    project.add_image(image)
    project.write_labels(image.name, truth)
    train(project, steps=1)
    masks = np.ones((64, 64), np.uint32)
    masks[2:5, 2:5], masks[40:50, 40:50] = 5, 9
    project.write_prediction(image.name, masks)
    for corner in (0, 30):  # what was in the part before is gone
        box = Box(30, corner, 64, 64)
        (found,) = run(predict_project(project, TILES, boxes={image.name: box}))
        kept = project.prediction(image.name)
        np.testing.assert_array_equal(kept[30:, corner:], found.labels)
        np.testing.assert_array_equal(kept[:30], masks[:30])
        assert not set(np.unique(found.labels)) & {2, 3, 4, 5}


def test_an_image_only_in_a_file_is_learnt_from_and_predicted(tmp_path):
    import tifffile

    project, (image, truth) = Project.create(tmp_path / "p"), disks(64, planes=2)
    tifffile.imwrite(tmp_path / "stack.tif", image.data[0], photometric="minisblack")
    project.add_file(tmp_path / "stack.tif")
    project.write_labels("stack", np.stack([paint(truth[0]), paint(truth[1])]))
    learn(project, steps=1)
    train(project, steps=1)
    (found,) = run(predict_project(Project.open(project.path), TILES))
    assert found.labels.shape == (2, 64, 64)


# ---------------------------------------------------------------- stop and go on
@pytest.mark.parametrize("job, name", [(learning, "pretrain.safetensors"), (training, "train.safetensors")])
def test_a_stopped_run_is_kept(project, job, name):
    stop_after_a_step(job, project, steps=50)
    assert unfinished(project) == [name]


def test_a_stopped_pretraining_can_be_trained_from(project):
    path = stop_after_a_step(learning, project, steps=50)
    assert project.pretrained == path
    assert train(project).pretrained


def test_a_stopped_training_is_a_round_that_can_predict(project):
    round = stop_after_a_step(training, project, steps=50)
    assert round.finished is False
    assert 0 < round.steps < 50
    assert run(predict_project(project, TILES))


def test_a_training_stopped_after_a_step_leaves_the_finished_round_in_use_and_says_so(project):
    project.add_round(replace(train(project, steps=1), number=2, score=0.9, interval=None, steps=50))
    heard = []
    stopped = stop_after_a_step(training, project, heard, steps=50)
    assert (stopped.score, project.current_round.number) == (None, 2)
    said = "Stopped too early to be sure of round 3: round 2 stays in use. Training again goes on from there"
    assert said in [e.text for e in heard if isinstance(e, Notice)]
    assert unfinished(project) == ["train.safetensors"]


def test_a_stopped_pretraining_goes_on_as_if_unbroken(project, tmp_path):
    stop_after_a_step(learning, project, steps=8)
    resumed, unbroken = learn(Project.open(project.path), steps=8), learn(start(tmp_path / "other"), steps=8)
    assert same(weights(resumed), weights(unbroken))


def test_a_stopped_training_goes_on_as_if_unbroken(project, tmp_path):
    stop_after_a_step(training, project, steps=8)
    other = start(tmp_path / "other")
    rounds = [train(Project.open(project.path), steps=8), train(other, steps=8)]
    resumed, unbroken = (weights(p.path / r.checkpoint) for p, r in zip((project, other), rounds, strict=True))
    assert same(resumed, unbroken)
    assert rounds[0].score == rounds[1].score


@pytest.mark.parametrize("job", [learning, training])
def test_the_same_run_asked_for_again_says_where_it_goes_on(project, job):
    stop_after_a_step(job, project, steps=8)
    assert went_on(job(Project.open(project.path), steps=8))


def test_a_run_goes_on_from_another_way_to_the_same_folder(project, monkeypatch):
    learn(project, steps=1)
    stop_after_a_step(training, project, steps=8)
    monkeypatch.chdir(project.path.parent)
    assert went_on(training(Project.open(project.path.name), steps=8))


@pytest.mark.parametrize("job", [learning, training])
@pytest.mark.parametrize("other", [{"steps": 9}, {"seed": 1}, {"rate": 1e-4}])
def test_another_run_does_not_go_on_from_it(project, job, other):
    stop_after_a_step(job, project, steps=8)
    assert not went_on(job(project, **{"steps": 8, **other}))


def test_training_does_not_go_on_after_more_was_painted(project):
    stop_after_a_step(training, project, steps=8)
    project.write_labels("disks0", np.full((3, 3), 2, np.uint16), np.s_[50:53, 50:53])
    assert not went_on(training(project, steps=8))


def test_a_finished_run_is_not_gone_on_from(project):
    train(project)
    assert not went_on(training(project))


def test_a_damaged_state_is_begun_anew(project):
    stop_after_a_step(learning, project, steps=8)
    (project.path / "unfinished" / "pretrain.safetensors").write_bytes(b"cut short")
    assert not went_on(learning(project, steps=8))


@pytest.mark.parametrize("job", [learning, training])
def test_a_run_stopped_before_its_first_step_keeps_nothing(project, job):
    stop = Stop()
    stop.request()
    with pytest.raises(ProjectError, match="was stopped before its first step"):
        run(job(project, stop=stop))
    assert (project.pretrained, project.rounds) == (None, ())


@pytest.mark.usefixtures("always_told")
def test_a_stopped_prediction_keeps_the_images_and_planes_that_are_done(tmp_path):
    stop, project = Stop(), start(tmp_path / "p")
    image = replace(disks(64, planes=3, seed=1)[0], name="stack")
    project.add_image(image)
    train(project, steps=1)

    def stop_in_the_stack(event):
        if isinstance(event, Progress) and event.fraction > 0.7:  # a plane of a quarter for each
            stop.request()

    found = run(predict_project(project, PredictConfig(tile=64, overlap=0), stop=stop), stop_in_the_stack)
    assert [(p.image, p.planes) for p in found] == [("disks0", None), ("stack", (0, 1))]
    assert (project.prediction("disks0") > 0).all()
    assert (project.prediction("stack") > 0).any(axis=(1, 2)).tolist() == [True, True, False]
    assert [originals.known(project, "stack", z).sure for z in range(3)] == [True, True, False]


@pytest.mark.usefixtures("always_told")
def test_masks_of_an_image_are_on_disk_before_the_next_one_is_predicted(tmp_path):
    project = start(tmp_path / "p")
    project.add_image(replace(disks(64, seed=1)[0], name="disks1"))
    train(project, steps=1)
    remains = predict_project(project, TILES)
    while not project.predicted("disks0"):
        next(remains)
    remains.close()  # as if it were killed here
    found = Project.open(project.path)
    assert found.prediction("disks0").any()
    assert found.prediction("disks1") is None


# ---------------------------------------------------------------- what is missing is told
def test_training_without_labels_is_told(tmp_path):
    project = Project.create(tmp_path / "p")
    project.add_image(disks(64)[0])
    with pytest.raises(LabelError, match="no labels yet.*Paint a few strokes of each class"):
        train(project)


def test_predicting_before_training_is_told(project):
    with pytest.raises(ProjectError, match="has not been trained yet.*Paint a few strokes of each class and train"):
        run(predict_project(project, TILES))


def test_predicting_an_unknown_image_is_told(trained):
    with pytest.raises(ProjectError, match="no image 'x'.*disks0, disks1"):
        run(predict_project(trained, TILES, ids=["x"]))


# ---------------------------------------------------------------- the folder is gone
@pytest.mark.parametrize("job", [learning, training])
def test_nothing_is_made_where_a_project_was_that_is_gone(project, job):
    away = project.path.with_name("away")

    def leave(event):
        if isinstance(event, Metric) and event.name == "loss" and not away.exists():
            project.path.rename(away)

    with pytest.raises(StorageError, match="is gone"):
        run(job(project, steps=2), leave)
    assert not project.path.exists()


@pytest.mark.parametrize("job", [learning, training])
def test_what_was_stopped_before_its_first_step_begins_and_does_not_go_on(project, job):
    stop = Stop()
    with pytest.raises(StoppedError):
        run(job(project, steps=2, stop=stop), lambda event: stop.request())
    assert not went_on(job(project, steps=2))
