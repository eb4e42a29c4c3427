"""Denoising with what blind spots taught: units, tiles, planes, and what cannot denoise."""

import json

import nibabel
import numpy as np
import pytest
import tifffile
import torch
from scenes import disks

from napari_sslseg import cli, denoising, exchange
from napari_sslseg.checkpoint import Checkpoint
from napari_sslseg.denoising import Denoiser, denoise
from napari_sslseg.errors import CheckpointError, ImageError, ProjectError, StorageError
from napari_sslseg.image import Image
from napari_sslseg.io import read_image
from napari_sslseg.io.header import read_config
from napari_sslseg.job import Progress, Stop, run
from napari_sslseg.pretraining import pretrain
from napari_sslseg.previews import denoise_project
from napari_sslseg.project import Project
from napari_sslseg.settings import PredictConfig, PretrainConfig, RuntimeConfig

SMALL = {"encoder": "unet", "start": "random", "crop": 32, "batch": 2}
CPU = RuntimeConfig(device="cpu")


def learnt(image, steps=1, method="denoise", **more):
    return run(pretrain([image], PretrainConfig(method=method, steps=steps, **SMALL, **more), runtime=CPU))


def noisy(shape, channels=1, seed=0):
    return Image(np.random.default_rng(seed).normal(1000, 50, (channels, *shape)).astype(np.float32), name="noisy")


@pytest.fixture(scope="module")
def checkpoints():
    """One of one channel, one of two."""
    return {c: learnt(noisy((100, 100), c)) for c in (1, 2)}


@pytest.fixture
def unchanged(monkeypatch):
    """A network that gives back what it sees, so that only what is around it is tested."""
    asked = []

    def give_back(self, images, flips):
        asked.append((tuple(images.shape), flips))
        return images

    monkeypatch.setattr(Denoiser, "forward", give_back)
    return asked


def clipped(image):
    """What the network can see of an image, in its own units."""
    known = image.intensity()
    low, high = (np.reshape(v, (-1, *[1] * (image.data.ndim - 1))) for v in (known.low, known.high))
    return np.clip(image.data, low, high)


@pytest.mark.parametrize("shape", [(100, 100), (33, 150), (97, 211), (3, 40, 101)])
@pytest.mark.parametrize("channels", [1, 2])
def test_tiles_of_any_image_come_together_in_its_own_units(unchanged, checkpoints, shape, channels):
    image = noisy(shape, channels)
    (found,) = run(denoise([image], checkpoints[channels], PredictConfig(tile=64, overlap=16)))
    assert found.pixels.dtype == np.float32
    assert (found.image, found.planes) == ("noisy", None)
    np.testing.assert_allclose(found.pixels, clipped(image), atol=0.01)
    assert all(max(shape[-2:]) <= 80 for shape, _ in unchanged)


def test_whole_numbers_and_dark_units_are_kept_too(unchanged, checkpoints):
    image = Image(np.random.default_rng(0).integers(3, 9, (1, 50, 60)).astype(np.uint8), name="counts")
    (found,) = run(denoise([image], checkpoints[1], PredictConfig()))
    np.testing.assert_allclose(found.pixels, clipped(image), atol=1e-4)


def test_tiles_have_no_seams(checkpoints):
    image = noisy((128, 128))
    whole, pieces = (
        run(denoise([image], checkpoints[1], PredictConfig(tile=tile, overlap=32)))[0].pixels for tile in (128, 64)
    )
    spread = float(whole.std())
    assert float(np.abs(whole - pieces).mean()) < 0.2 * spread


def test_only_the_planes_asked_for_are_denoised(unchanged, checkpoints):
    image = noisy((5, 40, 50))
    (found,) = run(denoise([image], checkpoints[1], PredictConfig(), planes={"noisy": (1, 3)}))
    assert found.planes == (1, 3)
    np.testing.assert_allclose(found.pixels, clipped(image)[:, [1, 3]], atol=0.01)


def test_very_small_images_are_magnified_as_in_learning(checkpoints, unchanged):
    small = disks(40)[0]
    (found,) = run(denoise([small], learnt(small), PredictConfig()))
    assert unchanged[0][0][-1] == 120
    assert found.pixels.shape == (1, 40, 40)
    assert float(np.corrcoef(found.pixels.ravel(), clipped(small).ravel())[0, 1]) > 0.95


def test_mirrored_copies_are_averaged_where_orientation_does_not_matter(checkpoints):
    image = noisy((64, 64))
    denoiser = Denoiser(checkpoints[1], denoising.Runtime.make(CPU))
    crop = torch.from_numpy(image.normalised(0))[None]
    one = [denoiser(crop.flip(w), False).flip(w) for w in ((), (-1,), (-2,), (-2, -1))]
    assert torch.allclose(denoiser(crop, True), torch.stack(one).mean(0), atol=1e-6)
    assert not torch.allclose(one[0], one[1], atol=1e-3)


def test_nothing_is_mirrored_where_orientation_matters(unchanged):
    image = noisy((100, 100))
    run(denoise([image], learnt(image, flips=False), PredictConfig()))
    assert [flips for _, flips in unchanged] == [False]


def test_noise_becomes_less():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:128, :128]
    clean = 500 + 200 * np.sin(x / 9) * np.cos(y / 11)
    image = Image((clean + rng.normal(0, 150, clean.shape))[None].astype(np.float32), name="waves")
    (found,) = run(denoise([image], learnt(image, steps=150, rate=3e-3), PredictConfig(), runtime=CPU))
    before, after = (float(np.mean((a - clean) ** 2)) for a in (image.data[0], found.pixels[0]))
    assert after < 0.5 * before


def test_a_stop_gives_the_images_that_are_done(checkpoints):
    stop = Stop()
    images = [noisy((100, 100), seed=s) for s in range(3)]
    heard = []

    def listen(event):
        heard.append(event)
        if isinstance(event, Progress) and event.fraction > 0:
            stop.request()

    found = run(denoise(images, checkpoints[1], PredictConfig(tile=64, overlap=16), stop=stop), listen)
    assert len(found) < 3


# -------------------------------------------------------------------- what cannot denoise
def test_another_method_cannot_denoise():
    image = noisy((100, 100))
    needed = "was pretrained by 'restore'. Denoising needs one pretrained by 'denoise'. Learn with the method denoise"
    with pytest.raises(CheckpointError, match=needed):
        run(denoise([image], learnt(image, method="restore"), PredictConfig()))


def test_a_trained_network_cannot_denoise(checkpoints):
    trained = Checkpoint(checkpoints[1].weights, {"kind": "trained", "network": checkpoints[1].config["network"]})
    with pytest.raises(CheckpointError, match="was trained on labels"):
        run(denoise([noisy((100, 100))], trained, PredictConfig()))


def test_a_checkpoint_without_the_drawing_layer_cannot_denoise(checkpoints):
    old = {k: v for k, v in checkpoints[1].weights.items() if not k.startswith("output.")}
    with pytest.raises(CheckpointError, match="older version"):
        run(denoise([noisy((100, 100))], Checkpoint(old, checkpoints[1].config), PredictConfig()))


def test_images_of_other_channels_are_refused(checkpoints):
    with pytest.raises(ImageError, match="2 channel.*learnt from images of 1"):
        run(denoise([noisy((100, 100), 2)], checkpoints[1], PredictConfig()))


# -------------------------------------------------------------------- projects, files, command line
@pytest.fixture
def project(tmp_path, checkpoints):
    """A project of one image, pretrained by denoise."""
    tifffile.imwrite(tmp_path / "a.tif", noisy((70, 90)).data[0], metadata={"axes": "YX"})
    made = Project.create(tmp_path / "p.sslseg")
    made.add_file(tmp_path / "a.tif")
    checkpoints[1].save(made.path / "checkpoints" / "pretrained-001.safetensors")
    made.set_pretrained(made.path / "checkpoints" / "pretrained-001.safetensors")
    return made


def test_images_of_a_project_are_denoised_by_id(project):
    (found,) = run(denoise_project(project, PredictConfig(), ids=["a"]))
    assert (found.image, found.pixels.shape) == ("a", (1, 70, 90))


def test_what_was_learnt_is_told_without_reading_the_weights(project, tmp_path):
    assert read_config(project.pretrained) == Checkpoint.load(project.pretrained).config
    (tmp_path / "b").write_bytes(b"\xff" * 20)
    (tmp_path / "c").write_bytes((4).to_bytes(8, "little") + b"null")
    assert [read_config(tmp_path / name) for name in ("a.tif", "b", "c", "gone")] == [{}, {}, {}, {}]


def test_files_are_denoised_in_their_own_units(project, tmp_path):
    from PIL import Image as Picture

    (tmp_path / "in").mkdir()
    grey = np.random.default_rng(0).integers(0, 255, (50, 60), np.uint8)
    Picture.fromarray(grey).save(tmp_path / "in" / "b.png")
    tifffile.imwrite(
        tmp_path / "in" / "s.tif", noisy((3, 40, 50)).data[0], photometric="minisblack", metadata={"axes": "ZYX"}
    )
    written = run(exchange.denoise_files(project, [tmp_path / "in"], tmp_path / "out", PredictConfig()))
    assert [p.name for p in written] == ["b.tif", "s.tif"]
    assert [tifffile.imread(p).shape for p in written] == [(50, 60), (3, 40, 50)]
    found = read_image(written[1])
    assert (found.data.dtype, found.axes) == (np.float32, "CZYX")
    assert 900 < float(np.asarray(found.data).mean()) < 1100


def test_a_denoised_nifti_image_lies_where_it_lay(project, tmp_path):
    affine = np.array([[-0.7, 0, 0, 90], [0, -0.7, 0, 126], [0, 0, 3, -72], [0, 0, 0, 1.0]])
    source = tmp_path / "v.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.asarray(noisy((2, 40, 50)).data[0], np.float32).T, affine), source)
    (found,) = run(exchange.denoise_files(project, [source], tmp_path / "out", PredictConfig()))
    assert found.name == "v.nii.gz"
    np.testing.assert_allclose(nibabel.load(found).affine, affine)


def test_a_prediction_is_not_replaced_by_a_denoised_image(project, tmp_path):
    from napari_sslseg.io.receipts import Receipts

    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.tif").write_bytes(b"labels")
    Receipts(tmp_path / "out").note(tmp_path / "out" / "a.tif")
    job = exchange.denoise_files(project, [tmp_path / "a.tif"], tmp_path / "out", PredictConfig())
    with pytest.raises(StorageError, match="a.tif is there already and was not denoised"):
        run(job)
    for _ in range(2):  # its own, unchanged, is
        run(exchange.denoise_files(project, [tmp_path / "a.tif"], tmp_path / "other", PredictConfig()))


def test_a_project_that_learnt_nothing_cannot_denoise(tmp_path):
    with pytest.raises(ProjectError, match="p.sslseg has not learnt from its images yet.*--method denoise"):
        run(denoise_project(Project.create(tmp_path / "p.sslseg"), PredictConfig()))


def exit_code(*arguments):
    with pytest.raises(SystemExit) as end:
        cli.main([str(a) for a in arguments])
    return end.value.code


def test_the_command_line_denoises(project, tmp_path, capsys):
    out = tmp_path / "out"
    assert exit_code("denoise", tmp_path / "a.tif", "--project", project.path, "--out", out, "--events", "json") == 0
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert said[-1] == {"event": "result", "files": [str(out / "a.tif")], "stopped": False}


def test_the_command_line_refuses_what_another_method_learnt(project, tmp_path, capsys):
    checkpoint = Checkpoint.load(project.pretrained)
    other = {**checkpoint.config, "pretrain": {**checkpoint.config["pretrain"], "method": "dense"}}
    Checkpoint(checkpoint.weights, other).save(project.pretrained)
    code = exit_code("denoise", tmp_path / "a.tif", "--project", project.path, "--out", tmp_path / "out")
    said = capsys.readouterr()
    assert (code, said.out) == (2, "")
    assert "pretrained by 'dense'. Denoising needs one pretrained by 'denoise'." in said.err
    assert len(said.err.split()) < 40  # one message, no traceback
    assert not (tmp_path / "out").exists()
