"""What a network sees of a plane: colours, what is alike, and how it fits the pixels."""

from pathlib import Path

import numpy as np
import pytest
from scenes import disks

from napari_sslseg import seeing
from napari_sslseg.errors import ImageError
from napari_sslseg.image import Image
from napari_sslseg.job import Progress, Stop, run
from napari_sslseg.overlay import Box
from napari_sslseg.project import Project
from napari_sslseg.seeing import see_project
from napari_sslseg.settings import FinetuneConfig, PretrainConfig, RuntimeConfig
from napari_sslseg.sight import Sight
from napari_sslseg.unfinished import PRETRAIN, Unfinished, asked_to_pretrain
from napari_sslseg.workflow import pretrain_project

SMALL = FinetuneConfig(encoder="unet", start="random")
CPU = RuntimeConfig(device="cpu")
ALL = Box(0, 0, 10_000, 10_000)


def made(folder: Path, *images: Image) -> Project:
    project = Project.create(folder / "p.sslseg")
    for image in images:
        project.add_image(image)
    return project


def see(project, z=0, box=ALL, config=SMALL, **more):
    return run(see_project(project, id=project.images[0].id, z=z, box=box, config=config, runtime=CPU, **more))


def contrast(sight, truth):
    """How much more alike to a disk the other disks are than the ground is."""
    y, x = np.argwhere(truth == 2)[len(np.argwhere(truth == 2)) // 2]
    found = sight.alike(y, x)
    return found[truth == 2].mean() - found[truth == 1].mean()


def test_before_any_pretraining_what_comes_with_the_package_tells_disks_from_ground(tmp_path):
    image, truth = disks()
    sight = see(made(tmp_path, image), config=FinetuneConfig())
    assert sight.features.dtype == np.float16
    assert sight.colours.dtype == np.uint8
    assert contrast(sight, truth) > 0.8
    apart = sight.colours[truth == 2].mean(0) - sight.colours[truth == 1].mean(0)
    assert np.abs(apart).max() > 80


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_images_of_any_channels_are_seen_by_an_encoder_that_knows_nothing_yet(tmp_path, channels):
    image, truth = disks(channels=channels)
    assert contrast(see(made(tmp_path, image)), truth) > 0.3


def test_what_was_pretrained_is_what_sees(tmp_path):
    project = made(tmp_path, disks()[0])
    before = see(project)
    run(pretrain_project(project, PretrainConfig(encoder="unet", start="random", crop=32, batch=2, steps=1)))
    assert not np.array_equal(see(project).colours, before.colours)


def test_while_a_pretraining_goes_on_its_best_state_so_far_is_what_sees(tmp_path, monkeypatch):
    project = made(tmp_path, disks()[0])
    config = PretrainConfig(encoder="unet", start="random", crop=32, batch=2, steps=1)
    assert see(project, learning=config).steps is None  # there is none yet
    monkeypatch.setattr(Unfinished, "remove", lambda self: None)
    run(pretrain_project(project, config, runtime=CPU))
    state = Unfinished(project.path / PRETRAIN, asked_to_pretrain(project, config, CPU.seed)).best()
    seen = see(project, learning=config)
    assert seen.steps == state.history["probe"]["kept"]
    state.save(project.path / "checkpoints" / "state.safetensors")
    project.set_pretrained(project.path / "checkpoints" / "state.safetensors")
    assert np.array_equal(see(project).features, seen.features)
    assert see(project, learning=PretrainConfig(steps=2)).steps is None  # that is the state of another one


def test_a_network_that_looks_at_volumes_sees_a_plane_of_them(tmp_path):
    project = made(tmp_path, disks(size=48, planes=6)[0])
    config = PretrainConfig(method="restore", encoder="unet3d", start="random", crop=32, batch=2, steps=1)
    run(pretrain_project(project, config))
    assert see(project, z=3).features.shape == (48, 48, seeing.LENGTH)


def test_a_plane_of_a_stack_is_seen_in_the_colours_of_the_others(tmp_path):
    image, _ = disks(planes=3)
    data = image.data.copy()
    data[:, 2] = data[:, 0]
    project = made(tmp_path, Image(data, name="stack"))
    first, second, third = (see(project, z) for z in range(3))
    assert np.array_equal(first.colours, third.colours)
    assert not np.array_equal(first.colours, second.colours)


def test_a_part_is_seen_as_it_is_in_the_whole(tmp_path):
    project = made(tmp_path, disks(size=160)[0])
    box = Box(32, 64, 128, 160)
    whole, part = see(project, config=FinetuneConfig()), see(project, box=box, config=FinetuneConfig())
    assert part.box == box
    apart = whole.colours[32:128, 64:160].astype(int) - part.colours
    assert np.abs(apart[16:-16, 16:-16]).mean() < 12  # what lies around the part is not looked at


def test_of_a_large_plane_fewer_features_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(seeing, "PLACES", 50 * 50)
    image, truth = disks(size=100)
    sight = see(made(tmp_path, image))
    assert sight.step == 2
    assert sight.features.shape[:2] == (50, 50)
    y, x = np.argwhere(truth == 2)[100]
    found, half = sight.alike(y, x), truth[::2, ::2]
    assert found[half == 2].mean() - found[half == 1].mean() > 0.3


def test_a_very_small_image_has_a_feature_for_each_of_its_pixels(tmp_path):
    sight = see(made(tmp_path, disks(size=40)[0]))
    assert sight.step == 1
    assert sight.features.shape[:2] == (40, 40)


def test_a_stop_shows_nothing(tmp_path):
    stop = Stop()
    stop.request()
    assert see(made(tmp_path, disks()[0]), stop=stop) is None


def test_progress_rises_to_the_end(tmp_path):
    project, heard = made(tmp_path, disks()[0]), []
    run(see_project(project, id="disks0", z=0, box=ALL, config=SMALL, runtime=CPU), heard.append)
    shares = [e.fraction for e in heard if isinstance(e, Progress)]
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_an_image_without_structure_has_nothing_to_see(tmp_path):
    with pytest.raises(ImageError, match="the same value everywhere"):
        see(made(tmp_path, Image(np.zeros((1, 64, 64), np.uint8), name="blank")))


def halves(step=1):
    """A sight of which the upper half is one thing and the lower another."""
    side = 8 // step
    features = np.zeros((side, side, 2), np.float16)
    features[: side // 2, :, 0] = features[side // 2 :, :, 1] = 1
    return Sight("a", 0, Box(10, 20, 18, 28), step, np.zeros((side, side, 3), np.uint8), features)


@pytest.mark.parametrize("step", [1, 2])
def test_the_pixel_that_is_compared_is_counted_from_the_image_and_not_from_its_part(step):
    upper, lower = halves(step).alike(10, 20), halves(step).alike(17, 27)
    assert (upper[0, 0], upper[-1, -1]) == (1, 0)
    assert (lower[0, 0], lower[-1, -1]) == (0, 1)


def test_only_pixels_of_the_part_are_covered():
    sight = halves()
    assert sight.covers("a", 0, 10, 20)
    assert sight.covers("a", 0, 17.4, 27.4)
    assert not any((sight.covers("a", 0, 9, 20), sight.covers("a", 0, 10, 28), sight.covers("a", 1, 10, 20)))
    assert not sight.covers("b", 0, 10, 20)
