"""Parameters, configs and registries."""

import subprocess
import sys

import pytest

from napari_sslseg.config import Registry
from napari_sslseg.errors import ConfigError
from napari_sslseg.settings import FinetuneConfig, PretrainConfig, RuntimeConfig


def test_a_config_survives_a_dict():
    config = PretrainConfig(method="dense", steps=7)
    assert PretrainConfig.from_dict(config.to_dict()) == config


def test_a_value_out_of_bounds_names_the_bounds():
    with pytest.raises(ConfigError, match=r"hold_out is 0.9. It must be from 0.0 to 0.5"):
        FinetuneConfig(hold_out=0.9)


def test_a_value_of_another_type_names_the_type():
    with pytest.raises(ConfigError, match=r"crop is 'big'. It must be of type int"):
        PretrainConfig(crop="big")


def test_an_unknown_parameter_names_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'minutes'"):
        PretrainConfig.from_dict({"minuets": 3})


def test_a_wrong_choice_lists_the_choices():
    with pytest.raises(ConfigError, match="There are: auto, cpu, cuda, mps"):
        RuntimeConfig(device="gpu")


def test_every_parameter_has_help_and_a_default_within_its_bounds():
    for kind in (PretrainConfig, FinetuneConfig, RuntimeConfig):
        kind()
        assert all(p.help for p in kind.parameters())


def test_an_unknown_component_names_the_nearest():
    with pytest.raises(ConfigError, match="Unknown method 'resore'.*did you mean 'restore'"):
        Registry("method", "napari_sslseg.methods").load("resore")


def test_a_registry_lists_components_without_importing_them():
    code = (
        "import sys; from napari_sslseg.config import Registry;"
        "names = Registry('method', 'napari_sslseg.methods').names();"
        "assert {'restore', 'dense'} <= set(names), names; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
