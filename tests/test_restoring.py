"""Restored images: each part is drawn from what lies around it, and nothing else."""

import numpy as np
import pytest
import torch
from scenes import disks

from napari_sslseg import model, restoring
from napari_sslseg.errors import CheckpointError, ProjectError
from napari_sslseg.job import run
from napari_sslseg.pretraining import pretrain
from napari_sslseg.previews import restore_project
from napari_sslseg.project import Project
from napari_sslseg.restoring import HIDDEN, Restorer, restore
from napari_sslseg.runtime import Runtime
from napari_sslseg.settings import PredictConfig, PretrainConfig, RuntimeConfig
from napari_sslseg.workflow import pretrain_project

SMALL = {"encoder": "unet", "start": "random", "crop": 32, "batch": 2}
CPU = RuntimeConfig(device="cpu")


def learnt(image, steps=1, method="restore", **more):
    return run(pretrain([image], PretrainConfig(method=method, steps=steps, **{**SMALL, **more}), runtime=CPU))


def test_what_was_hidden_is_drawn_as_the_image_is():
    image, _ = disks()
    (found,) = run(restore([image], learnt(image, 60), PredictConfig(), runtime=CPU))
    assert found.pixels.shape == image.data.shape
    assert np.corrcoef(found.pixels.ravel(), image.data.ravel())[0, 1] > 0.6


def test_no_pixel_is_drawn_from_itself(monkeypatch):
    restorer = Restorer(learnt(disks()[0]), Runtime.make(CPU))
    monkeypatch.setattr(restorer, "output", torch.nn.Identity())
    monkeypatch.setattr(restorer.network, "features", lambda images: images)  # gives back what it was shown
    image = torch.full((1, 1, 64, 64), 1000.0)
    assert restorer(image, False).abs().max() < 10  # it was shown noise in the place of each


def test_about_half_is_hidden_at_a_time():
    first, second = (restoring._board((64, 64), start) for start in (0, HIDDEN // 2))
    assert first.float().mean() == second.float().mean() == 0.5
    assert (first == second).float().mean() == 0.5  # each pixel is drawn with other neighbours the second time


def test_a_plane_of_a_volume_is_drawn_by_a_network_that_looks_at_volumes():
    image, _ = disks(size=48, planes=6)
    checkpoint = learnt(image, encoder="unet3d")
    (found,) = run(restore([image], checkpoint, PredictConfig(), planes={image.name: (2,)}, runtime=CPU))
    assert found.pixels.shape == (1, 1, 48, 48)
    assert found.planes == (2,)


def test_a_method_that_draws_nothing_is_refused():
    image, _ = disks()
    with pytest.raises(CheckpointError, match="pretrained by 'simclr'"):
        run(restore([image], learnt(image, method="simclr"), PredictConfig(), runtime=CPU))


def test_a_checkpoint_of_an_older_version_says_what_is_missing():
    image, _ = disks()
    checkpoint = learnt(image)
    for name in [n for n in checkpoint.weights if n.startswith("output.")]:
        del checkpoint.weights[name]
    with pytest.raises(CheckpointError, match="older version"):
        run(restore([image], checkpoint, PredictConfig(), runtime=CPU))


def test_the_layer_that_draws_does_not_keep_a_network_from_being_built(tmp_path):
    image, _ = disks()
    learnt(image).save(tmp_path / "c.safetensors")
    assert model.build(str(tmp_path / "c.safetensors"), "unet", 1, Runtime.make(CPU), 2)


def test_a_project_restores_with_what_it_learnt(tmp_path):
    project = Project.create(tmp_path / "p.sslseg")
    project.add_image(disks()[0])
    with pytest.raises(ProjectError, match="has not learnt"):
        run(restore_project(project, runtime=CPU))
    run(pretrain_project(project, PretrainConfig(method="restore", steps=1, **SMALL), runtime=CPU))
    (found,) = run(restore_project(project, ids=["disks0"], runtime=CPU))
    assert found.image == "disks0"
