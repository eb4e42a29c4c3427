"""Orientation: where left and right or up and down matter, no piece is mirrored or turned, also not in prediction."""

import pytest
import torch
from scenes import annotated, disks
from torchvision import tv_tensors
from torchvision.transforms import v2

from napari_sslseg import finetuning, views
from napari_sslseg.augment import Geometry, Orientation
from napari_sslseg.checkpoint import Checkpoint
from napari_sslseg.job import run
from napari_sslseg.methods import METHODS
from napari_sslseg.model import Network
from napari_sslseg.predicting import predict
from napari_sslseg.pretraining import pretrain
from napari_sslseg.segmenter import Segmenter
from napari_sslseg.settings import FinetuneConfig, PredictConfig, PretrainConfig

pytestmark = pytest.mark.usefixtures("briefly")
ASKED = [(True, True), (True, False), (False, True), (False, False)]


def corner(size=48):
    """A crop whose upper left corner is bright and whose upper right one is half so."""
    crop = torch.zeros(1, size, size)
    crop[:, :20, :20], crop[:, :20, -20:] = 2.0, 1.0
    return crop


def seen_as(view):
    """The order of the four corners of a view, clockwise from the bright one on, and where that one is."""
    n = view.shape[-1] // 4
    corners = [view[0, :n, :n], view[0, :n, -n:], view[0, -n:, -n:], view[0, -n:, :n]]
    bright = [float(c.mean()) for c in corners]
    first, second = sorted(range(4), key=lambda k: -bright[k])[:2]
    return first, (second - first) % 4 == 3  # the half bright corner comes before it: mirrored


@pytest.mark.parametrize(("flips", "turn"), ASKED)
def test_crops_are_only_mirrored_and_turned_as_allowed(flips, turn):
    torch.manual_seed(0)
    geometry = Geometry(32, zoom=(1.0, 1.0), orientation=Orientation(flips, turn))
    found = {seen_as(image) for image in geometry.images(corner().repeat(60, 1, 1, 1))}
    places = range(4) if turn else (0, 1) if flips else (0,)
    expected = {(place, mirrored) for place in places for mirrored in ((False, True) if flips else (False,))}
    if flips and not turn:
        expected = {(0, False), (1, True)}
    assert found == expected


def test_an_upright_crop_is_the_middle_of_the_crop_itself():
    torch.manual_seed(0)
    image = torch.randn(2, 48, 48)
    geometry = Geometry(32, zoom=(1.0, 1.0), orientation=Orientation(False, False))
    labels = (image[0] > 0).long()
    for _ in range(8):
        found, taken = geometry(image, labels)
        assert torch.allclose(found, image[:, 8:40, 8:40], atol=1e-4)
        assert torch.equal(taken, labels[8:40, 8:40])


def test_where_orientation_does_not_matter_crops_are_moved_as_by_torchvision():
    affine = v2.RandomAffine(20.0, scale=(0.75, 1.33), interpolation=v2.InterpolationMode.BILINEAR, fill=None)
    reference = v2.Compose([affine, v2.CenterCrop(32), v2.RandomHorizontalFlip(), v2.RandomVerticalFlip()])
    image, labels = torch.randn(2, 48, 48), torch.randint(3, (48, 48))
    for seed in range(12):
        torch.manual_seed(seed)
        a, b = reference(tv_tensors.Image(image), tv_tensors.Mask(labels[None]))
        if torch.rand(()) < 0.5:
            a, b = a.transpose(-1, -2), b.transpose(-1, -2)
        after = torch.rand(())
        torch.manual_seed(seed)
        found, taken = Geometry(32)(image, labels)
        assert torch.equal(torch.rand(()), after)
        assert torch.allclose(found, a.as_subclass(torch.Tensor), atol=1e-4)  # processors round differently
        assert torch.equal(taken, b.as_subclass(torch.Tensor)[0])


@pytest.mark.parametrize(("flips", "turn"), ASKED)
def test_matched_views_are_only_mirrored_and_turned_as_allowed(flips, turn):
    torch.manual_seed(0)
    maps = views._affine(200, 0.6, 0.25, Orientation(flips, turn))[:, :, :2]
    mirrored = torch.linalg.det(maps) < 0
    turned = maps[:, 1, 0].abs() > 1e-6
    assert (bool(mirrored.any()), bool(turned.any())) == (flips, turn)
    assert bool((maps[:, 1, 1] > 0).all())  # never upside down


@pytest.mark.parametrize("name", METHODS.names())
def test_every_method_keeps_crops_upright_where_it_is_told_to(name):
    kind = METHODS.load(name)
    network = Network((*kind.encoders, "unet")[0], "fpn", kind.least_channels)
    method = kind(network, 32)
    method.orientation = Orientation(False, False)
    crops = torch.zeros(16, kind.least_channels, 48, 48)
    crops[..., :20] = 3.0  # bright on the left
    torch.manual_seed(0)
    batch = method.prepare(crops)
    shown = next(batch[k] for k in ("clean", "noisy", "views", "seen") if k in batch)
    if name != "jigsaw":  # which shuffles, and never turned nor mirrored
        assert bool((shown[..., :6].mean((1, 2, 3)) > shown[..., -6:].mean((1, 2, 3))).all())


@pytest.fixture
def mirrorings(monkeypatch):
    """How often prediction was asked to mirror."""
    asked, real = [], Segmenter.probabilities

    def heard(self, images, flips):
        asked.append(flips)
        return real(self, images, flips)

    monkeypatch.setattr(Segmenter, "probabilities", heard)
    return asked


@pytest.mark.parametrize(("flips", "turn"), ASKED)
def test_prediction_mirrors_only_what_training_did(flips, turn, mirrorings):
    image, annotation, _ = annotated(64)
    config = FinetuneConfig(encoder="unet", start="random", steps=1, crop=32, batch=2, flips=flips, turn=turn)
    trained = run(finetuning.finetune([(image, annotation)], config))
    mirrorings.clear()
    run(predict([image], trained, PredictConfig()))
    assert set(mirrorings) == {flips and turn}


def test_a_network_trained_by_an_older_version_is_predicted_with_as_before(mirrorings):
    image, annotation, _ = annotated(64)
    config = FinetuneConfig(encoder="unet", start="random", steps=1, crop=32, batch=2)
    trained = run(finetuning.finetune([(image, annotation)], config))
    older = {k: v for k, v in trained.config["finetune"].items() if k not in ("flips", "turn")}
    mirrorings.clear()
    run(predict([image], Checkpoint(trained.weights, {**trained.config, "finetune": older}), PredictConfig()))
    assert set(mirrorings) == {True}


def test_what_pretraining_was_told_holds_for_training_too(tmp_path):
    image, annotation, _ = annotated(64)
    small = {"encoder": "unet", "start": "random", "steps": 1, "crop": 32, "batch": 2}
    run(pretrain([disks(64)[0]], PretrainConfig(**small, flips=False))).save(tmp_path / "p.safetensors")
    trained = run(
        finetuning.finetune([(image, annotation)], FinetuneConfig(**small), start=str(tmp_path / "p.safetensors"))
    )
    assert (trained.config["finetune"]["flips"], trained.config["finetune"]["turn"]) == (False, True)
