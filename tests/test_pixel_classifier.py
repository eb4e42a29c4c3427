"""The classifier of single pixels, and its average with the network."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scenes import annotated, objects

from napari_sslseg import (
    columns,
    metrics,
    outlook,
    pixel_classifier,
    segmenter,
    styles,
    surround,
    tiles,
    validation,
)
from napari_sslseg.annotation import Annotation
from napari_sslseg.checkpoint import Checkpoint
from napari_sslseg.encoders import ENCODERS
from napari_sslseg.finetuning import finetune
from napari_sslseg.hidden import halved
from napari_sslseg.image import Image
from napari_sslseg.job import Progress, Stop, run
from napari_sslseg.labelled import collect
from napari_sslseg.model import Network
from napari_sslseg.pixel_classifier import RESPONSES, SIGMAS, PixelClassifier, filter_bank
from napari_sslseg.predicting import predict
from napari_sslseg.pretraining import pretrain
from napari_sslseg.runtime import Runtime
from napari_sslseg.segmenter import Segmenter
from napari_sslseg.settings import FinetuneConfig, PredictConfig, PretrainConfig, RuntimeConfig
from napari_sslseg.strokes import Stroke
from napari_sslseg.styles import Others

SMALL = {"encoder": "unet", "start": "random", "crop": 32, "batch": 4}


@pytest.fixture(autouse=True)
def few_pieces(monkeypatch):
    """Class frequencies are found in a few pieces, which is enough for small images."""
    monkeypatch.setattr(outlook, "CROPS", 3)


def classifier(classes=2):
    torch.manual_seed(0)
    return PixelClassifier(ENCODERS.load("unet")(1), classes)


def test_the_filter_bank_has_four_responses_a_scale_and_channel():
    assert filter_bank(torch.randn(2, 3, 40, 48)).shape == (2, 3 * RESPONSES * len(SIGMAS), 40, 48)


def test_a_flat_image_has_no_slope_and_no_curvature():
    found = filter_bank(torch.full((1, 1, 40, 40), 2.0)).reshape(len(SIGMAS), RESPONSES, 40, 40)
    assert torch.allclose(found[:, 0], torch.tensor(2.0))
    assert found[:, 1:].abs().max() < 1e-4


def test_the_bank_finds_the_slope_of_a_ramp_and_the_curvature_of_a_bowl():
    y, x = torch.meshgrid(torch.arange(81.0) - 40, torch.arange(81.0) - 40, indexing="ij")
    ramp = filter_bank((3 * x)[None, None]).reshape(len(SIGMAS), RESPONSES, 81, 81)[0, :, 40, 40]
    assert float(ramp[1]) == pytest.approx(3 * SIGMAS[0], rel=1e-4)
    bowl = filter_bank((x**2 + y**2)[None, None]).reshape(len(SIGMAS), RESPONSES, 81, 81)[0, :, 40, 40]
    assert bowl[2:].tolist() == pytest.approx([2 * SIGMAS[0] ** 2] * 2, rel=1e-3)


def test_half_of_all_values_are_set_to_zero_and_the_others_doubled():
    torch.manual_seed(0)
    values = torch.full((301, 77), 3.0, requires_grad=True)
    found = halved(values)
    assert set(found.unique().tolist()) == {0.0, 6.0}
    zeros = (found == 0).float()
    assert float(zeros.mean()) == pytest.approx(0.5, abs=0.02)
    assert zeros.mean(0).std() < 0.05 and zeros.mean(1).std() < 0.1  # no row and no column more than another
    assert not torch.equal(found, halved(values))
    found.sum().backward()
    assert torch.equal(values.grad, found.detach() / 3)


@pytest.mark.parametrize("reductions", [(1,), (1, 2), (1, 2, 3)])
def test_all_pixels_at_once_give_what_their_columns_give_one_by_one(reductions):
    torch.manual_seed(0)
    pixels = PixelClassifier(ENCODERS.load("unet")(1), 2, reductions=reductions).eval()
    image = torch.randn(1, 1, 32, 40)
    pixels.mean.normal_()
    pixels.std.uniform_(0.5, 2)
    points = np.array([(0, 0), (31, 39), (7, 20), (16, 3)])
    known = (pixels.columns(image, points) - pixels.mean) / pixels.std
    one_by_one = pixels.output(F.relu(pixels.hidden(known)))
    together = pixels(image)[0, :, points[:, 0], points[:, 1]].T
    assert torch.allclose(one_by_one, together, atol=1e-4)


@pytest.mark.parametrize("magnification, used", [(1, 4), (2, 5), (4, 5)])
def test_maps_coarser_than_16_pixels_of_the_image_are_left_out(magnification, used):
    encoder = Network("efficientnet_lite0", "fpn", 1, 2).encoder
    assert encoder.strides == (2, 4, 8, 16, 32)
    pixels = PixelClassifier(encoder, 2, magnification)
    found = [m.shape[-1] for m in pixels.maps(torch.zeros(1, 1, 64, 64))]
    assert found == [*[32, 16, 8, 4, 2][:used], *[16, 8, 4, 2, 1][:used], 64]


def test_it_learns_labelled_pixels_and_leaves_its_encoder_alone():
    pixels = classifier()
    before = {k: v.clone() for k, v in pixels.encoder.state_dict().items()}
    known = torch.randn(400, sum(pixels.sizes))
    targets = (known[:, 3] > 0).long()
    pixels.fit(known, targets, Stop())
    found = pixels.output(F.relu(pixels.hidden((known - pixels.mean) / pixels.std))).argmax(1)
    assert float((found == targets).float().mean()) > 0.95
    assert all(torch.equal(v, before[k]) for k, v in pixels.encoder.state_dict().items())


def test_learning_pixels_stops_when_asked():
    pixels, stop = classifier(), Stop()
    stop.request()
    known = torch.randn(400, sum(pixels.sizes))
    targets = (known[:, 3] > 0).long()
    pixels.fit(known, targets, stop)
    left = pixels.output.weight.clone()
    pixels.fit(known, targets, Stop())
    assert left.abs().max() <= 1 / np.sqrt(pixels.hidden.out_features)  # as drawn, no step was made
    assert pixels.output.weight.abs().max() > left.abs().max()


def clouds(count, seed, apart=1.0):
    """Columns of two classes that differ a little in many features."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.arange(count) % 2
    noise = torch.randn(count, sum(classifier().sizes), generator=generator)
    return noise + apart * (2 * targets[:, None] - 1) * (torch.arange(noise.shape[1]) % 4 == 0), targets


def right(pixels, known, targets):
    with torch.inference_mode():
        found = pixels.output(F.relu(pixels.hidden((known - pixels.mean) / pixels.std))).argmax(1)
    return float((found == targets).float().mean())


def one_image(columns, labelled):
    """Other pixels of the same image as those with a label."""
    return Others(columns, torch.zeros(len(columns), dtype=torch.long), torch.zeros(labelled, dtype=torch.long))


def test_pixels_without_a_label_help_where_few_have_one():
    (known, targets), (others, _), fresh = clouds(6, 0, 0.5), clouds(3000, 1, 0.5), clouds(3000, 2, 0.5)
    found = []
    for unlabelled in (None, one_image(others, 6)):
        pixels = classifier()
        pixels.fit(known, targets, Stop(), unlabelled)
        found.append(right(pixels, *fresh))
    assert found[1] > found[0] + 0.02


def test_where_it_is_sure_of_nothing_pixels_without_a_label_change_nothing(monkeypatch):
    monkeypatch.setattr(pixel_classifier, "SURE", 1.1)
    (known, targets), (others, _) = clouds(40, 0), clouds(300, 1)
    alone, together = classifier(), classifier()
    for pixels, unlabelled in ((alone, None), (together, one_image(others, 40))):
        with Runtime.make(RuntimeConfig()).torch_numbers(0):
            pixels.fit(known, targets, Stop(), unlabelled)
    assert all(torch.equal(v, together.state_dict()[k]) for k, v in alone.state_dict().items())


def test_a_class_that_no_pixel_without_a_label_looks_like_is_still_known():
    (known, targets), (others, of) = clouds(40, 0), clouds(600, 1)
    pixels = classifier()
    pixels.fit(known, targets, Stop(), one_image(others[of == 0], 40))
    assert right(pixels, *clouds(400, 2)) > 0.95


def test_an_image_in_which_one_class_is_painted_does_not_stand_for_it():
    (known, targets), (others, _), (fresh, truth) = clouds(60, 0), clouds(900, 1), clouds(600, 2)
    look = 4 * (torch.arange(known.shape[1]) % 4 == 1)  # in which the images differ, and classes do not
    image = (torch.arange(60) >= 40).long()
    painted = (image == 0) | (targets == 1)  # of the second image one class alone
    labelled, of = known + image[:, None] * look, torch.arange(900) % 3
    further = others + torch.tensor([0.0, 1.0, 0.5])[of, None] * look
    found = []
    for unlabelled in (None, Others(further, of, image[painted], guessed=False)):
        pixels = classifier()
        with Runtime.make(RuntimeConfig()).torch_numbers(0):
            pixels.fit(labelled[painted], targets[painted], Stop(), unlabelled)
        found.append(right(pixels, fresh + look, truth))
    assert found[1] > max(0.95, found[0] + 0.05)


def test_pixels_are_moved_between_images_of_which_something_is_known():
    means = torch.tensor([[0.0, 0.0], [torch.nan, torch.nan], [3.0, 0.0]])
    moved = styles.Styles(means, torch.tensor([0, 2])).moves(torch.arange(2).repeat(500)).view(500, 2, 2)
    assert torch.isfinite(moved).all()
    assert moved[:, 0, 0].min() >= 0 and moved[:, 0, 0].max() <= 3 * styles.MOVED
    assert moved[:, 1, 0].max() <= 0
    assert 0.3 < float((moved[:, 0, 0] > 0).float().mean()) < 0.7
    assert not moved[..., 1].any()


@pytest.mark.parametrize("shape", [(300, 400), (40, 90)])
def test_pixels_anywhere_lie_in_the_images(monkeypatch, shape):
    images, drawn = [annotated(64)[0], Image(np.random.default_rng(0).normal(size=(1, *shape)))], []
    monkeypatch.setattr(columns, "SQUARES", 12)
    pixels, place = classifier(), columns.patches.anywhere
    monkeypatch.setattr(columns.patches, "anywhere", lambda *a: drawn.append(place(*a)) or drawn[-1])
    read = pixels.columns
    points = []
    pixels.columns = lambda crop, at: points.append(at) or read(crop, at)
    found, of = run(columns.read_anywhere(pixels, images, np.random.default_rng(0), Stop()))
    assert found.shape == (12 * columns.PIXELS, sum(pixels.sizes))
    assert of.tolist() == [p.image for p in drawn for _ in range(columns.PIXELS)]
    assert {p.image for p in drawn} == {0, 1}
    for where, at in zip(drawn, points, strict=True):
        absolute = at + np.array([where.y, where.x])
        assert (absolute >= 0).all()
        assert (absolute < images[where.image].shape).all()
        assert (at >= 0).all() and (at < surround.PLANE.side).all()


def test_reading_pixels_anywhere_stops_when_asked_and_after_its_time():
    image, stop = annotated(64)[0], Stop()
    job = columns.read_anywhere(classifier(), [image], np.random.default_rng(0), stop)
    assert isinstance(next(job), Progress)
    stop.request()
    assert run(job) is None
    short = run(columns.read_anywhere(classifier(), [image], np.random.default_rng(0), Stop(), 0.0))
    assert len(short[0]) == len(short[1]) == columns.PIXELS


def test_training_uses_pixels_without_a_label_for_classes_only_and_guesses_them_unless_told(
    learned, briefly, monkeypatch
):
    given, fit = [], PixelClassifier.fit

    def listen(pixels, known, targets, stop, others):
        given.append(others and others.guessed)
        assert others is None or len(others.labelled) == len(known)
        fit(pixels, known, targets, stop, others)

    monkeypatch.setattr(PixelClassifier, "fit", listen)
    pair, (image, truth) = annotated()[:2], objects()
    with_them = train(pair, learned).part("pixels")
    assert set(given) == {True}
    given.clear()
    without = train(pair, learned, self_training=False).part("pixels")
    assert set(given) == {False}
    assert any(not torch.equal(v, without[k]) for k, v in with_them.items())
    given.clear()
    train((image, Annotation(truth, "instance")), learned)
    assert set(given) == {None}


def test_every_pixel_of_a_stroke_is_read_from_exactly_one_square():
    image, annotation, _ = annotated(600)
    labels = annotation.labels.copy()
    labels[50:52, 10:590] = 1
    labelled = collect([(image, Annotation(labels))], 0.0)
    read = [
        (owner, *point)
        for w in surround.windows(labelled.train)
        for owner, point in zip(w.owners, w.absolute, strict=True)
    ]
    wanted = [(k, *point) for k, stroke in enumerate(labelled.train) for point in stroke.points]
    assert sorted(read) == sorted(wanted)


@pytest.mark.parametrize("height, width", [(5, 300), (97, 230), (700, 250)])
def test_every_pixel_is_read_from_the_first_square_that_holds_it(height, width):
    numbers = np.random.default_rng(height)
    points = numbers.permutation(np.argwhere(numbers.random((height, width)) < 0.3) + np.array([1000, 7]))
    side, margin, left, wanted = surround.PLANE.side, surround.PLANE.margin, np.ones(len(points), bool), []
    low, high = points.min(0), points.max(0) + 1
    for y in tiles.starts(int(high[0] - low[0]), side - 2 * margin, 0):
        for x in tiles.starts(int(high[1] - low[1]), side - 2 * margin, 0):
            at = points - low - np.array([y, x])
            inside = ((at >= 0) & (at < side - 2 * margin)).all(1) & left
            left &= ~inside
            wanted += [(low[0] + y - margin, low[1] + x - margin, at[inside] + margin)] if inside.any() else []
    found = list(surround.windows([Stroke(0, 0, 1, points)]))
    assert len(found) == len(wanted) > 1
    for window, (y, x, at) in zip(found, wanted, strict=True):
        assert (window.place.y, window.place.x) == (y, x)
        assert np.array_equal(window.points, at)


def test_strokes_of_a_plane_share_their_squares():
    image, annotation, _ = annotated(160)
    labelled = collect([(image, annotation)], 0.0)
    assert len(labelled.train) > 1
    assert len(list(surround.windows(labelled.train))) == 1


def test_the_labels_of_a_square_are_those_of_its_strokes():
    labelled = collect([annotated(600)[:2]], 0.0)
    for window in surround.windows(labelled.train):
        assert (window.truth(labelled) == [labelled.train[k].value for k in window.owners]).all()


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    path = tmp_path_factory.mktemp("start") / "learned.safetensors"
    run(pretrain([annotated()[0]], PretrainConfig(steps=30, **SMALL))).save(path)
    return str(path)


def train(pair, start, **options):
    return run(finetune([pair], FinetuneConfig(steps=2, **SMALL, **options), start=start))


def test_the_average_is_stored_and_predicts(learned):
    image, _, truth = annotated(128)
    trained = train((image, Annotation(truth)), learned, pixels=1.0)
    assert trained.config["pixel_share"] == 1.0
    found = run(predict([image], trained, PredictConfig(tile=64, overlap=32)))[0]
    assert metrics.count([(found.labels, truth)]).iou()[2] > 0.8


def test_the_score_is_of_a_classifier_that_did_not_see_the_strokes_kept_apart():
    image, annotation, _ = annotated()
    labelled = collect([(image, annotation)], 0.2)
    pixels = classifier()
    found = run(columns.read_columns(pixels, labelled, np.random.default_rng(0), Stop()))
    assert int(found.apart.sum()) == sum(len(s.points) for s in labelled.apart)
    seen = []
    pixels.fit = lambda known, targets, stop, others: seen.append(len(known))
    found.train(pixels, everything=False, stop=Stop())
    found.train(pixels, everything=True, stop=Stop())
    assert seen == [int((~found.apart).sum()), len(found.apart)]


def test_other_pixels_are_read_from_the_squares_around_strokes():
    image, annotation, _ = annotated(48)  # smaller than a square
    labelled, pixels, points = collect([(image, annotation)], 0.2), classifier(), []
    read = pixels.columns
    pixels.columns = lambda crop, at: points.append(at) or read(crop, at)
    found = run(columns.read_columns(pixels, labelled, np.random.default_rng(0), Stop()))
    others = found.others
    assert others.columns.shape == (columns.BESIDE, sum(pixels.sizes))
    assert len(others.images) == columns.BESIDE and not others.images.any()
    assert len(others.labelled) == len(found.known)
    (window,) = surround.windows([*labelled.train, *labelled.apart])
    absolute = points[0] + np.array([window.place.y, window.place.x])
    assert (absolute >= 0).all()
    assert (absolute < 48).all()


def test_it_can_be_left_out_objects_take_less_of_it_and_untrained_encoders_do_without(learned, briefly):
    image, annotation, _ = annotated()
    assert train((image, annotation), learned).part("pixels")
    assert train((image, annotation), learned, pixels=0.0).part("pixels") == {}
    assert train((image, annotation), None).part("pixels") == {}
    image, truth = objects()
    of_objects = train((image, Annotation(truth, "instance")), learned)
    assert of_objects.part("pixels")
    assert of_objects.config["pixel_share"] == pytest.approx(0.3)


@pytest.mark.parametrize(
    "together, alone, apart, share",
    [
        (0.6, 0.7, (1, 1, 2, 2), 0.0),
        (0.7, 0.6, (1, 1, 2, 2), 0.5),
        (0.7, 0.7, (1, 1, 2, 2), 0.5),
        (0.69, 0.7, (1, 1, 2, 2), 0.5),
        (0.2, 0.7, (1, 1, 1, 2), 0.5),  # one stroke of a class says little
        (0.2, 0.7, (1, 1, 1, 1), 0.5),
    ],
)
def test_it_is_kept_unless_enough_strokes_kept_apart_are_found_worse_with_it(
    monkeypatch, together, alone, apart, share
):
    class Fake:
        def __init__(self, score):
            self.found = score

        def mean_iou(self):
            return self.found

    def look(segmenter, labelled, *shares, stop, done):
        yield Progress(done)
        return [Fake(together if v else alone) for v in shares]

    monkeypatch.setattr(validation, "look", look)
    segmenter = Segmenter(Network("unet", "fpn", 1, 2), classifier(), 0.5)
    labelled = SimpleNamespace(apart=[SimpleNamespace(value=v) for v in apart], values=(1, 2))
    assert run(validation.choose(segmenter, labelled, Stop())).found == (together if share else alone)
    assert segmenter.share == share


def test_one_that_saw_no_reduced_images_is_loaded_as_it_was(learned, briefly):
    image, annotation, _ = annotated()
    trained = train((image, annotation), learned)
    loaded = segmenter.load(trained, Runtime.make(RuntimeConfig()))
    assert loaded.pixels.reductions == (1, 2)
    older = Segmenter(loaded.network, PixelClassifier(loaded.network.encoder, 2, reductions=(1,)), 0.5)
    config = {k: v for k, v in {**trained.config, **older.describe()}.items() if k != "pixel_reductions"}
    again = segmenter.load(Checkpoint(older.tensors(), config, {}), Runtime.make(RuntimeConfig()))
    crop = torch.randn(1, 1, 32, 32)
    assert torch.allclose(again.probabilities(crop, False), older.eval().probabilities(crop, False), atol=1e-5)


def test_reading_columns_stops_when_asked():
    image, annotation, _ = annotated()
    stop = Stop()
    job = columns.read_columns(classifier(), collect([(image, annotation)], 0.2), np.random.default_rng(0), stop)
    assert isinstance(next(job), Progress)
    stop.request()
    assert run(job) is None
