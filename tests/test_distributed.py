"""Two processes that learn together learn what one does, to the rounding of the order of sums."""

import json
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tifffile
import torch
import two_ranks
from safetensors.torch import load_file
from scenes import annotated, disks

from napari_sslseg import cli, distributed, probe
from napari_sslseg.errors import ConfigError
from napari_sslseg.job import Stop, run
from napari_sslseg.methods import METHODS
from napari_sslseg.pretraining import pretrain
from napari_sslseg.project import Project
from napari_sslseg.runtime import Runtime
from napari_sslseg.settings import PretrainConfig, RuntimeConfig

CASES = [*METHODS.names(), "restore-trained", "adapt-trained", "recall-trained"]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What two processes wrote, by name: each method alone and by rank, and what else they did."""
    folder = tmp_path_factory.mktemp("ranks")
    before, image = Path.cwd(), disks(64, channels=2)[0]
    os.chdir(folder)  # the checkpoint to start from is named in the config
    try:
        two_ranks.write_checkpoint(folder)
        spawn = multiprocessing.get_context("spawn")
        started = [spawn.Process(target=two_ranks.work, args=(rank, folder, image.data)) for rank in (0, 1)]
        for process in started:
            process.start()
        for process in started:
            process.join()
    finally:
        os.chdir(before)
    assert [p.exitcode for p in started] == [0, 0]
    return {p.stem: load_file(p) for p in folder.glob("*-*.safetensors")}


@pytest.mark.parametrize("name", CASES)
def test_two_processes_learn_what_one_does(found, name):
    alone = found[f"{name}-alone"]
    assert len(alone["losses"]) == two_ranks.STEPS
    for rank in (0, 1):
        together = found[f"{name}-{rank}"]
        assert together.keys() == alone.keys()
        for key, value in alone.items():
            assert torch.allclose(together[key], value, rtol=1e-9, atol=1e-11), (key, rank)


@pytest.mark.parametrize("name", CASES)
def test_two_processes_stay_equal_to_the_bit(found, name):
    first, second = found[f"{name}-0"], found[f"{name}-1"]
    assert all(torch.equal(first[k], second[k]) for k in first)


def test_a_stop_of_one_process_stops_both_after_the_same_step(found):
    steps = [int(found[f"stopped-{rank}"]["steps"]) for rank in (0, 1)]
    assert steps[0] == steps[1]
    assert 2 <= steps[0] < 1000


def test_batch_normalisation_takes_its_statistics_from_all(found):
    torch.manual_seed(0)
    with two_ranks.Exact():
        layer, batch = torch.nn.BatchNorm2d(3), torch.randn(5, 3, 4, 4, requires_grad=True)
        weight = torch.randn(5, 3, 4, 4)
        result = layer(batch)
        (result * weight).sum().backward()
    for rank in (0, 1):
        shared = found[f"norm-{rank}"]
        assert torch.allclose(shared["result"], result.detach())
        assert torch.allclose(shared["gradient"], batch.grad)
        assert all(torch.allclose(shared[k], v) for k, v in layer.state_dict().items())


def test_alone_nothing_is_done(monkeypatch):
    monkeypatch.setattr(distributed, "_WholeBatchNorm", None)  # not even looked at
    weight = torch.nn.Parameter(torch.ones(2))
    weight.grad = torch.ones(2)
    distributed.average_gradients([weight])
    assert torch.equal(distributed.together(lambda x: 2 * x, torch.ones(3)), 2 * torch.ones(3))
    assert (distributed.size(), distributed.first(), distributed.greatest(3.5)) == (1, True, 3.5)


def test_only_a_process_alone_breaks_off_in_the_midst_of_what_all_do(monkeypatch):
    stop = Stop()
    assert distributed.own(stop) is stop
    monkeypatch.setattr(distributed, "size", lambda: 2)
    assert distributed.own(stop) is None


def test_a_probe_is_looked_at_to_its_end_where_several_learn_together(monkeypatch):
    image, annotation, _ = annotated(96)
    stop, features, seen = Stop(), probe._features, []
    config = PretrainConfig(method="restore", encoder="unet", start="random", crop=32, batch=4, steps=2)
    monkeypatch.setattr(probe, "_features", lambda *what: (seen.append(1), stop.request(), features(*what))[-1])
    monkeypatch.setattr(distributed, "own", lambda stop: None)
    found = run(pretrain([image], config, labels=[(image, annotation)], stop=stop))
    assert len(found.history["probe"]["looks"]) == 1
    assert len(seen) > 4
    assert found.history["steps"] < 2


def test_more_processes_than_crops_are_refused(monkeypatch):
    monkeypatch.setattr(distributed, "size", lambda: 8)
    with pytest.raises(ConfigError, match="8 processes are to share batches of 4.*--set batch=8"):
        distributed.check_batch(4)


# ---------------------------------------------------------------- the command line
@pytest.fixture
def ranked(monkeypatch):
    """Pretend to be one of two processes."""

    def be(rank):
        for name, value in (("RANK", rank), ("LOCAL_RANK", rank), ("WORLD_SIZE", 2)):
            monkeypatch.setenv(name, str(value))

    return be


@pytest.mark.parametrize("rank", [0, 1])
def test_other_verbs_refuse_several_processes_and_say_so_once(ranked, rank, capsys, tmp_path):
    ranked(rank)
    with pytest.raises(SystemExit) as end:
        cli.main(["train", "labels", "--project", str(tmp_path / "p")])
    told = "2 processes were started together for train. Only pretrain can use several. Start it without torchrun.\n"
    assert (end.value.code, capsys.readouterr().err) == (2, told if rank == 0 else "")
    assert not (tmp_path / "p").exists()


def test_each_process_takes_a_gpu_of_its_own(ranked, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    ranked(0)
    assert Runtime.make(RuntimeConfig(device="cuda")).device == torch.device("cuda", 0)
    ranked(1)
    with pytest.raises(ConfigError, match=r"than it has GPUs \(1\).*--device cpu"):
        Runtime.make(RuntimeConfig(device="cuda"))


def test_torchrun_learns_in_two_processes_and_one_of_them_speaks_and_writes(tmp_path):
    tifffile.imwrite(tmp_path / "image.tif", disks(64)[0].data[0])
    small = ("--encoder", "unet", "--set", "crop=32", "--set", "batch=4", "--steps", "2", "--device", "cpu")
    words = ["pretrain", tmp_path / "image.tif", "--project", tmp_path / "p", *small, "--events", "json"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]
    ended = subprocess.run([*torchrun, "napari_sslseg", *map(str, words)], capture_output=True, text=True, timeout=280)
    assert ended.returncode == 0, ended.stderr
    results = [e for e in map(json.loads, ended.stdout.splitlines()) if e["event"] == "result"]
    project = Project.open(tmp_path / "p")
    assert [r["checkpoint"] for r in results] == [str(project.pretrained)]
    assert sorted(p.name for p in (tmp_path / "p" / "checkpoints").iterdir()) == ["pretrained-001.safetensors"]
    assert [e.id for e in project.images] == ["image"]
