"""The starter: weights that come with the package, and know objects before any stroke is painted."""

import pytest
import torch
from scenes import disks, objects

from napari_sslseg import instances, model, starter
from napari_sslseg.annotation import Annotation
from napari_sslseg.channels import spread
from napari_sslseg.checkpoint import Checkpoint
from napari_sslseg.finetuning import finetune
from napari_sslseg.job import run
from napari_sslseg.pretraining import pretrain
from napari_sslseg.runtime import Runtime
from napari_sslseg.settings import FinetuneConfig, PretrainConfig, RuntimeConfig

pytestmark = pytest.mark.usefixtures("briefly")
SMALL = {"crop": 32, "batch": 4}
RUNTIME = Runtime.make(RuntimeConfig(device="cpu"))


def found(start, image):
    network = model.build(start, "efficientnet_lite0", 1, RUNTIME, 3, objects=True).eval()
    with torch.inference_mode():
        return network(torch.from_numpy(image.normalised(0))[None]).softmax(1)[0].numpy()


def test_it_finds_objects_without_a_single_label():
    image, truth = objects(96)
    inside, ground = truth > 1, truth == 1
    known = 1 - found("starter", image)[instances.BACKGROUND - 1]
    assert known[inside].mean() - known[ground].mean() > 0.5
    fresh = 1 - found("imagenet", image)[instances.BACKGROUND - 1]
    assert abs(fresh[inside].mean() - fresh[ground].mean()) < 0.2


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_it_serves_any_number_of_channels(channels):
    network = model.build("starter", "efficientnet_lite0", channels, RUNTIME)
    stored = Checkpoint.load(starter.FILE)
    for part, key in (("encoder", "stem.0.weight"), ("head", "lateral.0.0.weight")):
        wanted = spread(stored.part(part)[key].float(), channels)
        assert torch.equal(network.state_dict()[f"{part}.{key}"], wanted)


def test_a_grey_image_is_seen_as_one_of_three_equal_channels():
    image = torch.randn(1, 1, 64, 64)
    grey, colour = (model.build("starter", "efficientnet_lite0", c, RUNTIME).eval() for c in (1, 3))
    with torch.inference_mode():
        assert torch.allclose(grey.features(image), colour.features(image.expand(-1, 3, -1, -1)), atol=1e-3)


def test_all_its_weights_are_used_and_small():
    stored = Checkpoint.load(starter.FILE)
    network = model.build("starter", "efficientnet_lite0", 3, RUNTIME, 3, objects=True)
    state = {k: v for k, v in network.state_dict().items() if v.dtype.is_floating_point}
    assert state.keys() == stored.weights.keys()
    assert all(torch.equal(v, stored.weights[k].float()) for k, v in state.items())
    assert starter.FILE.stat().st_size < 20e6


def test_classes_of_strokes_have_nothing_to_do_with_its_own():
    network = model.build("starter", "efficientnet_lite0", 3, RUNTIME, 3)
    assert not torch.equal(network.classifier.weight, starter.part("classifier", 3)["weight"])


@pytest.mark.parametrize(
    ("encoder", "best"), [("efficientnet_lite0", "starter"), ("resnet18", "imagenet"), ("unet", "random")]
)
def test_left_open_the_best_start_of_the_encoder_is_taken(encoder, best):
    assert model.resolve("auto", encoder) == best
    assert model.resolve("random", encoder) == "random"
    assert PretrainConfig().start == FinetuneConfig().start == "auto"


def test_what_was_taken_is_stored():
    image, truth = disks(64)
    learned = run(pretrain([image], PretrainConfig(steps=1, **SMALL)))
    assert learned.config["pretrain"]["start"] == "starter"
    trained = run(finetune([(image, Annotation(truth))], FinetuneConfig(steps=1, **SMALL)))
    assert trained.config["finetune"]["start"] == "starter"


@pytest.mark.parametrize(("start", "kept"), [("starter", True), ("imagenet", False)])
def test_what_the_starter_knows_of_objects_outlives_pretraining(tmp_path, start, kept):
    image, paths = disks(64)[0], [tmp_path / "first.safetensors", tmp_path / "second.safetensors"]
    for begin, path in zip((start, str(paths[0])), paths, strict=True):
        learned = run(pretrain([image], PretrainConfig(start=begin, method="restore", steps=1, **SMALL)))
        learned.save(path)
        assert learned.config["origin"] == start
    network = model.build(str(paths[1]), "efficientnet_lite0", 1, RUNTIME, 3, keep_head=False, objects=True)
    head, known = network.head.state_dict(), starter.part("classifier", 1)
    assert all(torch.equal(v, head[k]) for k, v in learned.part("head").items()) == kept
    assert torch.equal(network.classifier.weight, known["weight"]) == kept
