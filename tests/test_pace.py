"""How fast a machine learns, from a few steps on noise."""

import pytest
from scenes import disks

from napari_sslseg import pace
from napari_sslseg.job import Metric, Stop, run
from napari_sslseg.pace import measure
from napari_sslseg.settings import PretrainConfig, RuntimeConfig

CONFIG = PretrainConfig(method="restore", encoder="unet", start="random", crop=32, batch=2)
CPU = RuntimeConfig(device="cpu")


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(pace, "STEPS", 2)


@pytest.mark.parametrize("encoder", ["unet", "unet3d"])
def test_a_few_steps_tell_how_many_a_minute_has(encoder):
    heard = []
    image, _ = disks(size=48, planes=4)
    config = PretrainConfig(method="restore", encoder=encoder, start="random", crop=32, batch=2)
    found = run(measure(image, config, runtime=CPU), heard.append)
    last = max(e.step for e in heard if isinstance(e, Metric))
    assert found > 60 * 2 / 300
    assert 2 < last < pace.STEPS * 10  # it ended long before the run would have


def test_stopped_before_it_is_known_it_is_0():
    stop = Stop()
    stop.request()
    assert run(measure(disks()[0], CONFIG, runtime=CPU, stop=stop)) == 0
