"""Encoders of timm, chosen by ``timm/NAME``: shapes, weights, errors, and the way from the command line to a mask."""

import importlib.util

import pytest
import tifffile
import timm
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from safetensors.torch import save_file
from scenes import disks, paint

from napari_sslseg import cli
from napari_sslseg.checkpoint import Checkpoint
from napari_sslseg.config import Registry
from napari_sslseg.encoders import ENCODERS
from napari_sslseg.encoders.timm import _network as network_of_timm
from napari_sslseg.errors import ConfigError
from napari_sslseg.io import read_labels, write_labels
from napari_sslseg.model import Network, build
from napari_sslseg.project import Project
from napari_sslseg.runtime import Runtime

pytestmark = pytest.mark.usefixtures("briefly")
RUNTIME = Runtime(torch.device("cpu"), 0)
KINDS = {  # convolutions, plain transformer, channels last
    "timm/resnet10t": (2, 4, 8, 16, 32),
    "timm/test_vit": (16, 16, 16),
    "timm/test_mambaout": (4, 8, 16, 32),
}


@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("name", KINDS)
def test_a_network_of_timm_keeps_the_contract_of_shapes(name, channels):
    encoder = ENCODERS.load(name)(channels)
    assert encoder.strides == KINDS[name]
    height, width = 2 * encoder.strides[-1], 5 * encoder.strides[-1]
    maps = encoder(torch.randn(2, channels, height, width))
    assert [tuple(m.shape) for m in maps] == [
        (2, c, height // s, width // s) for c, s in zip(encoder.channels, encoder.strides, strict=True)
    ]
    sum(m.square().mean() for m in maps).backward()
    assert all(torch.isfinite(p.grad).all() for p in encoder.parameters() if p.grad is not None)


def test_maps_with_channels_last_are_turned():
    encoder = ENCODERS.load("timm/test_mambaout")(3).eval()
    image = torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        assert torch.equal(encoder(image)[1], encoder.net(image)[1].permute(0, 3, 1, 2))


def test_the_same_seed_gives_the_same_network():
    first, second = (build("random", "timm/resnet10t", 2, RUNTIME).state_dict() for _ in range(2))
    assert all(torch.equal(first[k], second[k]) for k in first)


def test_a_network_draws_no_random_numbers_while_it_learns():
    net = network_of_timm("resnet10t", 1, drop_path_rate=0.5)
    image = torch.randn(4, 1, 64, 64)
    assert torch.equal(net(image)[-1], net(image)[-1])


def test_a_checkpoint_rebuilds_the_network_by_its_name(tmp_path):
    network = Network("timm/test_mambaout", "fpn", 2, 3).eval()
    Checkpoint(network.state_dict(), {"network": network.describe()}).save(tmp_path / "a.safetensors")
    again = build(str(tmp_path / "a.safetensors"), "unet", 2, RUNTIME, 3).eval()
    image = torch.randn(1, 2, 64, 64)
    with torch.inference_mode():
        assert again.names["encoder"] == "timm/test_mambaout"
        assert torch.allclose(again.features(image), network.features(image), atol=1e-5)


# ---------------------------------------------------------------- trained weights
@pytest.fixture
def stored(tmp_path, monkeypatch):
    """What a download would give: a whole network for RGB, classifier included; returns it and what is asked for."""
    torch.manual_seed(1)
    reference, asked = timm.create_model("resnet10t").eval(), []
    save_file(reference.state_dict(), tmp_path / "model.safetensors")

    def download(*place):
        asked.append(place)
        return str(tmp_path / "model.safetensors")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    return reference, asked


def test_trained_weights_give_what_timm_computes(stored):
    reference, asked = stored
    encoder = ENCODERS.load("timm/resnet10t.c3_in1k")(3).eval()
    encoder.load_trained("imagenet")
    image = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.allclose(encoder(image)[-1], reference.forward_features(image), atol=1e-5)
    assert asked == [("timm/resnet10t.c3_in1k", "model.safetensors")]


def test_trained_weights_are_spread_over_the_channels(stored):
    encoders = [ENCODERS.load("timm/resnet10t")(c).eval() for c in (1, 3)]
    for encoder in encoders:
        encoder.load_trained("imagenet")
    grey = torch.randn(1, 1, 64, 64)
    with torch.inference_mode():
        assert torch.allclose(encoders[0](grey)[-1], encoders[1](grey.repeat(1, 3, 1, 1))[-1], atol=1e-4)


def test_only_tensors_are_asked_for_where_timm_names_another_file(stored, monkeypatch):
    said = timm.get_pretrained_cfg("resnet10t")
    said.hf_hub_filename = "open_clip_pytorch_model.bin"
    monkeypatch.setattr(timm, "get_pretrained_cfg", lambda name: said)
    ENCODERS.load("timm/resnet10t")(3).load_trained("imagenet")
    assert stored[1] == [("timm/resnet10t.c3_in1k", "open_clip_model.safetensors")]


def offline(*place):
    raise LocalEntryNotFoundError("no network")


def cut_short(path):
    def download(*place):
        path.write_bytes(b"\x00" * 20)
        return str(path)

    return download


def test_weights_that_cannot_be_had_are_told_in_one_error(tmp_path, monkeypatch):
    for download in (offline, cut_short(tmp_path / "model.safetensors")):
        monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
        with pytest.raises(ConfigError, match="'timm/resnet10t' could not be downloaded .*efficientnet_lite0"):
            build("imagenet", "timm/resnet10t", 1, RUNTIME)


def test_a_network_without_trained_weights_starts_from_random_ones_only():
    assert ENCODERS.load("timm/lcnet_035").starts == ("random",)
    with pytest.raises(ConfigError, match="'timm/lcnet_035' cannot start from 'imagenet'"):
        build("imagenet", "timm/lcnet_035", 1, RUNTIME)


# ---------------------------------------------------------------- what cannot be
def test_an_unknown_name_names_the_nearest():
    with pytest.raises(ConfigError, match="Unknown encoder 'timm/resnet10'.*Did you mean one of: .*timm/resnet10t"):
        ENCODERS.load("timm/resnet10")
    with pytest.raises(ConfigError, match=r"timm\.list_models\(\) lists them"):
        ENCODERS.load("timm/%%%%")


def test_an_unknown_tag_names_the_known_one():
    with pytest.raises(ConfigError, match="timm/resnet10t.c3_in1k"):
        ENCODERS.load("timm/resnet10t.c4_in1k")


def test_without_timm_it_is_told_how_to_install_it(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr("napari_sslseg.encoders.timm.find_spec", lambda name: None if name == "timm" else find(name))
    with pytest.raises(ConfigError, match=r'Install it with: pip install "napari-sslseg\[timm\]"'):
        Registry("encoder", "napari_sslseg.encoders").check("timm/resnet10t")


def test_a_network_without_feature_maps_is_refused(monkeypatch):
    def create(name, **how):
        raise RuntimeError("features_only not implemented for this model.")

    monkeypatch.setattr(timm, "create_model", create)
    with pytest.raises(ConfigError, match="does not give its feature maps .features_only not implemented"):
        ENCODERS.load("timm/resnet10t")(1)


def test_a_network_for_one_size_is_refused():
    with pytest.raises(ConfigError, match="'timm/pit_ti_224' cannot look at images of any size"):
        ENCODERS.load("timm/pit_ti_224")(1)


def test_a_crop_that_does_not_fit_is_told_one_that_does():
    encoder = ENCODERS.load("timm/resnet10t")(1)
    with pytest.raises(ConfigError, match=r"steps of 32 pixels and got 100 x 100.*--set crop=96"):
        encoder(torch.zeros(1, 1, 100, 100))


# ---------------------------------------------------------------- lists and the command line
def test_the_list_of_encoders_stays_short():
    assert not any(name.startswith("timm") for name in ENCODERS.names())
    assert ENCODERS.families() == ("timm",)


@pytest.mark.parametrize("name", ["timm", "timm/", "tim/resnet10t"])
def test_half_a_name_is_unknown_and_the_family_is_listed(name):
    with pytest.raises(ConfigError, match="Unknown encoder .*timm/NAME"):
        ENCODERS.check(name)


def test_the_command_line_learns_trains_and_predicts_with_it(tmp_path, capsys):
    image, truth = disks(64)
    tifffile.imwrite(tmp_path / "images.tif", image.data[0])
    write_labels(tmp_path / "labels" / "images.tif", paint(truth, strokes=10))
    project, small = tmp_path / "p", ("--set", "crop=64", "--set", "batch=2", "--steps", "1")
    encoder = ("--encoder", "timm/test_mambaout", "--start", "random")
    for words in (
        ("pretrain", tmp_path / "images.tif", "--project", project, *encoder, *small),
        ("train", tmp_path / "labels", "--project", project, *small),
        ("predict", tmp_path / "images.tif", "--project", project, "--out", tmp_path / "out"),
        ("info", project),
    ):
        with pytest.raises(SystemExit) as end:
            cli.main([str(w) for w in words])
        assert end.value.code == 0, capsys.readouterr().err
    assert "pretrained: " in capsys.readouterr().out
    said = Checkpoint.load(Project.open(project).trained).config
    assert said["network"]["encoder"] == "timm/test_mambaout"
    assert read_labels(tmp_path / "out" / "images.tif").shape == (64, 64)
