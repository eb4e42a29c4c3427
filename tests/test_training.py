"""The training loop, pretraining, fine-tuning and prediction, on small images made here."""

import time

import numpy as np
import pytest
import torch
from scenes import annotated, disks, objects, paint

from napari_sslseg import finetuning, instances, labelled, loop, metrics, pretraining, strokes, validation
from napari_sslseg.annotation import Annotation
from napari_sslseg.batches import Batches
from napari_sslseg.errors import CheckpointError, ImageError, LabelError, StoppedError
from napari_sslseg.finetuning import finetune
from napari_sslseg.image import Image
from napari_sslseg.job import Device, Metric, Notice, Progress, Stop, run
from napari_sslseg.labelled import collect
from napari_sslseg.overlay import Box
from napari_sslseg.predicting import predict
from napari_sslseg.pretraining import pretrain
from napari_sslseg.regions import Region
from napari_sslseg.runtime import Runtime
from napari_sslseg.seen import LOOKING
from napari_sslseg.settings import FinetuneConfig, PredictConfig, PretrainConfig, RuntimeConfig

SMALL = {"encoder": "unet", "start": "random", "crop": 32, "batch": 4}


def learn(images, steps=4, method="restore", **options):
    return run(pretrain(images, PretrainConfig(method=method, steps=steps, **SMALL), **options))


def train(pairs, steps=4, **options):
    return run(finetune(pairs, FinetuneConfig(steps=steps, **SMALL), **options))


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


# ---------------------------------------------------------------- the schedule
def test_the_learning_rate_rises_then_falls():
    schedule = loop.Schedule(1e-3, 1.0, 100)
    factors = [schedule.factor(schedule.fraction(s, 0.0)) for s in range(100)]
    assert max(factors) == pytest.approx(1.0, abs=0.01)
    assert factors[0] < 0.1
    assert factors[-1] < 0.05


def test_a_schedule_by_time_does_not_count_steps():
    assert loop.Schedule(1e-3, 2.0).fraction(1000, 60.0) == 0.5


# ---------------------------------------------------------------- the device
def test_learning_training_and_predicting_say_once_on_what_they_run(monkeypatch):
    monkeypatch.setattr(Runtime, "words", "on 2 processor cores")
    image, annotation, _ = annotated()
    config, runtime = FinetuneConfig(steps=1, hold_out=0.0, pixels=0.0, **SMALL), RuntimeConfig(device="cpu")
    trained = run(finetune([(image, annotation)], config, runtime=runtime))
    for job in (
        pretrain([image], PretrainConfig(method="restore", steps=1, **SMALL), runtime=runtime),
        finetune([(image, annotation)], config, runtime=runtime),
        predict([image], trained, PredictConfig(tile=64, overlap=16), runtime=runtime),
    ):
        heard = []
        run(job, heard.append)
        assert heard[1] == Device("on 2 processor cores")
        assert sum(isinstance(event, Device) for event in heard) == 1


@pytest.mark.parametrize(("threads", "words"), [(1, "on 1 processor core"), (2, "on 2 processor cores")])
def test_how_many_cores_there_are_is_said(monkeypatch, threads, words):
    monkeypatch.setattr("torch.get_num_threads", lambda: threads)
    assert Runtime(torch.device("cpu"), 0).words == words


@pytest.mark.parametrize(("count", "cards"), [(1, "the graphics card"), (4, "4 graphics cards")])
def test_the_graphics_card_is_said_by_its_name(monkeypatch, count, cards):
    monkeypatch.setattr("torch.cuda.get_device_name", lambda device: "NVIDIA H100")
    monkeypatch.setattr("napari_sslseg.ranks.count", lambda: count)
    assert Runtime(torch.device("cuda"), 0).words == f"on {cards} (NVIDIA H100)"
    assert "graphics card" in Runtime(torch.device("mps"), 0).words


# ---------------------------------------------------------------- pretraining
@pytest.mark.parametrize("method", ["restore", "dense"])
def test_pretraining_is_the_same_for_the_same_seed(method):
    images = [disks()[0]]
    a, b = (learn(images, method=method).weights for _ in range(2))
    assert same(a, b)


def test_another_seed_learns_something_else():
    images = [disks()[0]]
    a, b = (learn(images, runtime=RuntimeConfig(seed=s)).weights for s in (0, 1))
    assert not same(a, b)


def test_pretraining_leaves_torchs_random_numbers_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    learn([disks()[0]], steps=2)
    assert torch.equal(torch.rand(3), expected)


def test_a_stopped_run_resumes_bit_for_bit():
    images = [disks()[0]]
    whole = learn(images, steps=6)
    stop, kept = Stop(), []
    job = pretrain(images, PretrainConfig(method="restore", steps=6, **SMALL), stop=stop, keep=kept.append)
    for event in job:
        if isinstance(event, Metric) and event.name == "loss":
            stop.request()
    assert 0 < kept[-1].history["steps"] < 6
    resumed = learn(images, steps=6, resume=kept[-1])
    assert same(resumed.weights, whole.weights)
    assert resumed.history["losses"] == whole.history["losses"]


def test_pictures_change_nothing_of_what_is_learnt(monkeypatch):
    a = learn([disks()[0]])
    monkeypatch.setattr(pretraining, "PICTURE_SECONDS", 0.0)
    assert same(a.weights, learn([disks()[0]]).weights)


def test_a_stopped_job_returns_its_best_state():
    stop = Stop()
    stop.request()
    learned = learn([disks()[0]], steps=50, stop=stop)
    assert learned.history["finished"] is False
    assert learned.weights


@pytest.mark.parametrize(
    ("task", "module", "name"),
    [
        ("semantic", strokes, "_pieces"),
        ("semantic", labelled, "_looked_up"),
        ("instance", instances, "sizes"),
        ("instance", instances, "to_targets"),
    ],
)
def test_labels_of_many_planes_are_read_no_further_once_one_asks_to_stop(monkeypatch, task, module, name):
    image, truth = disks()
    stack = Image.from_array(np.stack([image.data[0]] * 9), axes="ZYX", name="s")
    stop, done, work = Stop(), [], getattr(module, name)

    def slow(*what):
        done.append(what)
        if len(done) == 3:
            stop.request()
        return work(*what)

    monkeypatch.setattr(module, name, slow)
    with pytest.raises(StoppedError, match="before its first step"):
        run(finetune([(stack, Annotation(np.stack([truth] * 9), task))], FinetuneConfig(steps=2), stop=stop))
    assert len(done) == 3


def test_progress_ends_at_one_and_never_falls():
    heard = []
    run(pretrain([disks()[0]], PretrainConfig(method="restore", steps=5, **SMALL)), heard.append)
    fractions = [e.fraction for e in heard if isinstance(e, Progress)]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


def test_the_loss_falls():
    learned = learn([disks()[0]], steps=60)
    losses = learned.history["losses"]
    assert np.mean(losses[-10:]) < 0.8 * np.mean(losses[:10])


def test_images_without_structure_are_left_out_and_said():
    heard = []
    flat = Image(np.full((1, 64, 64), 7, np.uint8), name="flat")
    run(pretrain([disks()[0], flat], PretrainConfig(method="restore", steps=1, **SMALL)), heard.append)
    assert any(isinstance(e, Notice) and "flat has the same value everywhere" in e.text for e in heard)


def test_only_images_without_structure_are_an_error():
    with pytest.raises(ImageError, match="flat has the same value everywhere"):
        learn([Image(np.full((1, 64, 64), 7, np.uint8), name="flat")])


def test_a_one_pixel_image_is_an_error():
    with pytest.raises(ImageError, match="dot is 1 x 1 pixels"):
        learn([Image(np.full((1, 1, 1), 7, np.uint8), name="dot")])


def test_images_of_different_channels_are_an_error():
    with pytest.raises(ImageError, match="has 1 channels and .* has 2"):
        learn([disks()[0], disks(channels=2)[0]])


@pytest.mark.parametrize("channels, planes", [(1, None), (2, None), (3, 4), (1, 5)])
def test_any_number_of_channels_and_planes_can_be_learnt_from(channels, planes):
    learned = learn([disks(64, channels, planes=planes)[0]], steps=2)
    assert learned.config["network"]["in_channels"] == channels


def test_nan_and_infinite_pixels_do_not_reach_the_loss():
    pixels = disks()[0].data.astype(np.float32)
    pixels[0, :9, :9], pixels[0, 30:34] = np.nan, np.inf
    heard = []
    config = PretrainConfig(method="restore", steps=3, **SMALL)
    learned = run(pretrain([Image(pixels, name="holes")], config), heard.append)
    assert np.isfinite(learned.history["losses"]).all()
    assert any(isinstance(e, Notice) and "holes has NaN or infinite pixels" in e.text for e in heard)


# ---------------------------------------------------------------- fine-tuning
def test_training_on_strokes_finds_the_classes():
    image, annotation, truth = annotated(128)
    trained = train([(image, annotation)], steps=80)
    found = run(predict([image], trained, PredictConfig(tile=64, overlap=16)))[0]
    assert metrics.count([(found.labels, truth)]).iou()[2] > 0.8
    assert trained.history["score"] > 0.8
    low, high = trained.history["interval"]
    assert 0 <= low <= trained.history["score"] <= high <= 1


def test_held_out_strokes_are_not_learnt_from_before_the_score():
    image, annotation, _ = annotated()
    labelled = collect([(image, annotation)], 0.2)
    machine = Runtime.make(RuntimeConfig())
    config = FinetuneConfig(**SMALL)
    batches = Batches(labelled, [image], config, machine)
    batch = batches.around(labelled.train, labelled.apart)
    hidden = {id(s) for s in labelled.apart}
    assert hidden and not hidden & {id(s) for s in labelled.train}
    ground = [s for s in labelled.train if s.value == 1]
    disk = [s for s in [*labelled.train, *labelled.apart] if s.value == 2]
    only = batches.around(ground, disk)
    assert not (only(0)["target"] == 2).any()
    assert (batch(0)["target"] > 0).any()


def test_training_is_the_same_for_the_same_seed():
    image, annotation, _ = annotated()
    a, b = (train([(image, annotation)]).weights for _ in range(2))
    assert same(a, b)


def test_a_teacher_uses_unlabelled_images_too():
    image, annotation, _ = annotated()
    config = FinetuneConfig(steps=4, teacher=1.0, **SMALL)
    results = [run(finetune([(image, annotation)], config, unlabelled=u)).weights for u in ([], [disks(seed=9)[0]])]
    assert not same(*results)


def test_training_resumes_bit_for_bit():
    image, annotation, _ = annotated()
    whole = train([(image, annotation)], steps=10)
    stop, kept = Stop(), []
    for event in finetune([(image, annotation)], FinetuneConfig(steps=10, **SMALL), stop=stop, keep=kept.append):
        if isinstance(event, Metric):
            stop.request()
    assert 0 < kept[-1].history["steps"] < 10
    resumed = train([(image, annotation)], steps=10, resume=kept[-1])
    assert same(resumed.weights, whole.weights)


@pytest.mark.parametrize("keep_head", [False, True])
def test_a_round_starts_from_the_pretrained_encoder(tmp_path, keep_head, monkeypatch):
    image, annotation, _ = annotated()
    learned = learn([image], steps=2)
    learned.save(tmp_path / "start.safetensors")
    stop = Stop()  # asked for once the labels were read
    monkeypatch.setattr(finetuning, "collect", lambda *what: (collect(*what), stop.request())[0])
    config = FinetuneConfig(steps=4, keep_head=keep_head, **SMALL)
    start = str(tmp_path / "start.safetensors")
    trained = run(finetune([(image, annotation)], config, start=start, stop=stop))
    assert same(trained.part("encoder"), learned.part("encoder"))
    assert same(trained.part("head"), learned.part("head")) == keep_head


def test_a_stopped_training_ends_at_once_without_a_score_and_gets_it_when_it_goes_on(monkeypatch):
    image, annotation, _ = annotated()
    config, stop, kept, looked = FinetuneConfig(steps=10, **SMALL), Stop(), [], []
    monkeypatch.setattr(
        validation, "look", lambda *args, look=validation.look, **more: looked.append(1) or look(*args, **more)
    )
    for event in finetune([(image, annotation)], config, stop=stop, keep=kept.append):
        if isinstance(event, Metric) and event.name == "loss":
            stop.request()
    assert 0 < kept[-1].history["steps"] < 10
    assert (kept[-1].history["score"], looked) == (None, [])
    assert kept[-1].history["held_out"] > 0
    assert 0 <= run(finetune([(image, annotation)], config, resume=kept[-1])).history["score"] <= 1


def test_a_training_stopped_while_it_is_scored_ends_at_once_and_is_scored_as_if_unbroken(briefly):
    image, truth = disks(300)
    pair = image, Annotation(truth, regions=(Region((0, 1), (0, 300), (100, 300), validation=True),))  # several squares
    config, stop, kept, looked = FinetuneConfig(steps=10, **SMALL), Stop(), [], []
    for event in finetune([pair], config, stop=stop, keep=kept.append):
        if isinstance(event, Progress) and event.text == LOOKING:
            looked.append(event)
            stop.request()
    assert (len(looked), kept[-1].history["score"]) == (1, None)
    resumed, unbroken = run(finetune([pair], config, resume=kept[-1])), run(finetune([pair], config))
    assert resumed.history["score"] == unbroken.history["score"] is not None


def test_few_strokes_give_no_score_rather_than_a_wrong_one():
    image, truth = disks()
    trained = train([(image, Annotation(paint(truth, strokes=2)))])
    assert trained.history["score"] is None


def test_values_need_not_follow_each_other():
    image, truth = disks()
    labels = paint(truth)
    labels[labels == 2] = 7
    trained = train([(image, Annotation(labels))], steps=2)
    found = run(predict([image], trained, PredictConfig(tile=64, overlap=16)))[0]
    assert set(np.unique(found.labels)) <= {1, 7}


def test_no_label_at_all_is_one_clear_error():
    image, _ = disks()
    with pytest.raises(LabelError, match="Nothing is labelled yet.*Paint a few strokes of each class"):
        train([(image, Annotation(np.zeros(image.shape, np.uint16)))])


def test_one_class_is_one_clear_error():
    image, truth = disks()
    with pytest.raises(LabelError, match=r"Only one class is labelled \(value 2\)"):
        train([(image, Annotation(np.where(truth == 2, truth, 0).astype(np.uint16)))])


def test_labels_of_another_shape_are_one_clear_error():
    image, _ = disks()
    with pytest.raises(LabelError, match=r"shape \(9, 9\).*shape \(96, 96\)"):
        train([(image, Annotation(np.ones((9, 9), np.uint16)))])


@pytest.mark.parametrize("values, missing", [((2, 3), "no background"), ((1,), "no object")])
def test_objects_need_background_and_objects(values, missing):
    image, truth = objects()
    labels = np.where(np.isin(truth, values), truth, 0).astype(np.uint16)
    with pytest.raises(LabelError, match=missing):
        train([(image, Annotation(labels, "instance"))])


@pytest.fixture(scope="module")
def trained_on_objects():
    image, truth = objects(128)
    labels = np.where(truth > 8, 0, truth).astype(np.uint16)
    return train([(image, Annotation(labels, "instance"))], steps=80)


def test_painted_objects_are_found(trained_on_objects):
    image, truth = objects(128)
    found = run(predict([image], trained_on_objects, PredictConfig(tile=64, overlap=16)))[0]
    assert metrics.average_precision([(found.labels, truth)]).at_50 > 0.6


def test_each_frame_of_a_time_series_has_objects_of_its_own(trained_on_objects):
    image, _ = objects(128)
    series = Image(np.repeat(image.data[:, None], 3, 1), axes="CTYX")
    config = PredictConfig(tile=64, overlap=16)
    (one,), (found,) = (run(predict([i], trained_on_objects, config)) for i in (image, series))
    kinds = [set(np.unique(frame[frame > 1])) for frame in found.labels]
    assert kinds[0] and not (kinds[0] & kinds[1] or kinds[0] & kinds[2] or kinds[1] & kinds[2])
    for frame in found.labels:
        assert metrics.average_precision([(frame, one.labels)]).mean == 1


# ---------------------------------------------------------------- prediction
@pytest.fixture(scope="module")
def trained():
    image, annotation, _ = annotated(128)
    return train([(image, annotation)], steps=20)


def test_tiles_give_what_one_piece_gives_inside(trained):
    image, _ = disks(160, seed=3)
    options = {"flips": False, "probabilities": True}
    whole = run(predict([image], trained, PredictConfig(tile=512, overlap=0, **options)))[0]
    tiled = run(predict([image], trained, PredictConfig(tile=96, overlap=48, **options)))[0]
    assert (whole.labels == tiled.labels).mean() > 0.99


@pytest.mark.parametrize("shape", [(1, 1), (1, 90), (7, 5), (65, 33), (200, 31)])
def test_an_image_of_any_size_is_predicted_in_its_own_shape(trained, shape):
    image = Image(np.random.default_rng(0).integers(0, 5000, (1, *shape)).astype(np.uint16))
    found = run(predict([image], trained, PredictConfig(tile=64, overlap=16)))[0]
    assert found.labels.shape == shape
    assert set(np.unique(found.labels)) <= {1, 2}


def test_probabilities_sum_to_one_and_agree_with_the_masks(trained):
    image, _ = disks(70)
    found = run(predict([image], trained, PredictConfig(tile=64, overlap=16, probabilities=True)))[0]
    assert found.probabilities.shape == (2, 70, 70)
    assert np.allclose(found.probabilities.astype(float).sum(0), 1, atol=2e-3)
    assert (found.probabilities.argmax(0) + 1 == found.labels).mean() > 0.999


def test_only_the_planes_asked_for_are_predicted(trained):
    image, _ = disks(64, planes=4)
    found = run(predict([image], trained, PredictConfig(tile=64, overlap=16), planes={image.name: (2,)}))[0]
    every = run(predict([image], trained, PredictConfig(tile=64, overlap=16)))[0]
    assert (found.planes, every.planes) == ((2,), None)
    assert found.labels.shape == (1, 64, 64)
    np.testing.assert_array_equal(found.labels[0], every.labels[2])
    backwards = run(predict([image], trained, PredictConfig(tile=64, overlap=16), planes={image.name: (3, 2, 1, 0)}))[0]
    np.testing.assert_array_equal(backwards.labels, every.labels)


@pytest.mark.parametrize("planes", [None, 4])
def test_a_part_is_predicted_as_in_the_whole(trained, planes):
    image, _ = disks(160, planes=planes)
    config, box = PredictConfig(tile=64, overlap=16, probabilities=True), Box(70, 0, 131, 90)
    asked = {"planes": {image.name: (2,)}} if planes else {}
    taken = []
    found = run(
        predict([image], trained, config, **asked, boxes={image.name: box}, take=lambda *rows: taken.append(rows))
    )[0]
    whole = run(predict([image], trained, config, **asked))[0]
    assert (found.box, whole.box) == (box, None)
    assert found.labels.shape == ((1, 61, 90) if planes else (61, 90))
    assert found.probabilities.shape == (2, *found.labels.shape)
    assert (found.labels == whole.labels[..., 70:131, :90]).mean() > 0.99
    assert len(np.unique(found.labels)) == 2
    assert found.uncertainty is None
    assert not taken


@pytest.mark.parametrize("box", [(5, 5, 5, 20), (0, 90, 10, 80), (500, 0, 600, 30)])
def test_a_part_without_a_pixel_is_told(trained, box):
    with pytest.raises(ImageError, match=r"holds no pixel.*96 rows and 96 columns"):
        run(predict([disks()[0]], trained, PredictConfig(), boxes={"disks0": Box(*box)}))


def test_masks_that_do_not_fit_into_memory_are_refused(trained, monkeypatch):
    monkeypatch.setattr("napari_sslseg.vast.free", lambda: 20_000.0)
    image, _ = disks()  # 96² pixels: 18,432 bytes of masks, and as much for each of two classes
    run(predict([image], trained, PredictConfig()))
    for images, config in (([image] * 2, PredictConfig()), ([image], PredictConfig(probabilities=True))):
        with pytest.raises(ImageError, match=r"million pixels.*GiB of memory left.*fewer images or planes"):
            run(predict(images, trained, config))


def test_a_part_reaches_no_further_than_the_image(trained):
    found = run(predict([disks()[0]], trained, PredictConfig(), boxes={"disks0": Box(-20, 60, 30, 500)}))[0]
    assert found.box == Box(0, 60, 30, 96)
    assert found.labels.shape == (30, 36)


def test_a_constant_image_is_predicted_without_an_error(trained):
    found = run(predict([Image(np.zeros((1, 40, 40), np.uint8))], trained, PredictConfig()))[0]
    assert found.labels.shape == (40, 40)


def stopped_at(share, images, checkpoint):
    """Predict, and ask to stop once so much is done."""
    stop = Stop()

    def listen(event):
        if isinstance(event, Progress) and event.fraction > share:
            stop.request()

    return run(predict(images, checkpoint, PredictConfig(tile=64), stop=stop), listen)


@pytest.mark.usefixtures("always_told")
def test_prediction_stopped_early_returns_the_images_that_are_done(trained):
    images = [disks(64, seed=s)[0] for s in range(3)]
    assert [p.image for p in stopped_at(0.3, images, trained)] == [images[0].name]
    assert stopped_at(-1, images, trained) == []


@pytest.mark.usefixtures("always_told")
def test_prediction_stopped_in_a_stack_keeps_the_planes_that_are_done(trained):
    image, _ = disks(64, planes=4)
    (found,) = stopped_at(0.4, [image], trained)
    whole = run(predict([image], trained, PredictConfig(tile=64)))[0]
    assert found.planes == (0, 1)
    assert np.array_equal(found.labels[:2], whole.labels[:2])
    assert not found.labels[2:].any()
    assert found.uncertainty.planes() == [0, 1]
    assert whole.planes is None


def test_images_of_other_channels_are_refused(trained):
    with pytest.raises(ImageError, match=r"has 3 channel\(s\).*trained on images of 1"):
        run(predict([disks(64, 3)[0]], trained, PredictConfig()))


def test_a_network_that_was_only_pretrained_is_refused():
    with pytest.raises(CheckpointError, match="not trained on labels"):
        run(predict([disks()[0]], learn([disks()[0]], steps=1), PredictConfig()))


# ---------------------------------------------------------------- very small images
def test_very_small_images_are_learnt_and_predicted_in_their_own_shape():
    image, truth = disks(40, planes=3)
    labels = np.zeros_like(truth)
    labels[1] = paint(truth[1], length=4)
    trained = train([(image, Annotation(labels))], steps=60)
    assert trained.config["magnification"] == 3
    found = run(predict([image], trained, PredictConfig()))[0]
    assert found.labels.shape == (3, 40, 40)
    assert metrics.count([(found.labels, truth)]).iou()[2] > 0.6


def test_magnified_maps_come_back_to_size():
    from napari_sslseg.magnify import magnify, reduce

    y, x = np.mgrid[:10, :12]
    image = Image(np.stack([y, 2.0 * x]).astype(np.float32))
    larger = magnify(image, 3)
    assert larger.shape == (30, 36)
    assert np.abs(reduce(larger.data, 3) - image.data)[:, 1:-1, 1:-1].max() < 1e-4


class Slow(Stop):
    """Holds up whoever looks at it, as a window does while a stroke is drawn."""

    @property
    def requested(self):
        time.sleep(0.01)
        self.held += 0.01
        return super().requested


def test_time_in_which_training_was_held_up_does_not_count():
    image, annotation, _ = annotated()
    stop, began = Slow(), time.perf_counter()
    trained = run(finetune([(image, annotation)], FinetuneConfig(**SMALL, steps=4), stop=stop))
    took = time.perf_counter() - began
    assert stop.held > 0.5
    assert trained.history["steps"] == 4
    assert trained.history["seconds"] < took - 0.5 * stop.held
