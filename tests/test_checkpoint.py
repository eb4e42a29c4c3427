"""Checkpoints: round trip, versions, damage."""

import json
import os

import pytest
import torch
from safetensors.torch import save_file

from napari_sslseg.checkpoint import FORMAT, Checkpoint
from napari_sslseg.errors import CheckpointError, StorageError


def test_a_checkpoint_survives_the_disk(tmp_path):
    made = Checkpoint({"encoder.a": torch.arange(6.0).reshape(2, 3)}, {"kind": "pretrained"}, {"steps": 3})
    made.save(tmp_path / "a.safetensors")
    read = Checkpoint.load(tmp_path / "a.safetensors")
    assert torch.equal(read.weights["encoder.a"], made.weights["encoder.a"])
    assert (read.config, read.history) == (made.config, made.history)


def test_a_part_has_its_names_without_the_prefix():
    assert list(Checkpoint({"encoder.a": torch.ones(1), "head.b": torch.ones(1)}, {}).part("head")) == ["b"]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint .*gone"):
        Checkpoint.load(tmp_path / "gone.safetensors")


def test_a_damaged_file_is_one_clear_error(tmp_path):
    (tmp_path / "bad.safetensors").write_bytes(b"not a checkpoint")
    with pytest.raises(CheckpointError, match=r"bad\.safetensors cannot be read"):
        Checkpoint.load(tmp_path / "bad.safetensors")


def test_a_file_of_another_program_is_refused(tmp_path):
    save_file({"a": torch.ones(1)}, tmp_path / "other.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointError, match=r"other\.safetensors cannot be read"):
        Checkpoint.load(tmp_path / "other.safetensors")


def test_a_newer_version_says_to_update(tmp_path):
    said = json.dumps({"format": FORMAT, "version": 99, "config": {}, "history": {}})
    save_file({"a": torch.ones(1)}, tmp_path / "new.safetensors", {"json": said})
    with pytest.raises(CheckpointError, match="newer version.*pip install -U"):
        Checkpoint.load(tmp_path / "new.safetensors")


@pytest.mark.skipif(os.name != "posix", reason="limits the size of files as POSIX does")
def test_a_full_disk_is_said_and_leaves_the_older_file(tmp_path):
    import resource

    Checkpoint({"a": torch.zeros(3)}, {}, {}).save(tmp_path / "a.safetensors")
    before = (tmp_path / "a.safetensors").read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(StorageError, match="full"):
            Checkpoint({"a": torch.zeros(1_000_000)}, {}, {}).save(tmp_path / "a.safetensors")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]
    assert (tmp_path / "a.safetensors").read_bytes() == before
