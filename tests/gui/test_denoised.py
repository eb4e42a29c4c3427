"""The button that shows a plane without its noise: when it is offered, what it starts, and the layer that comes."""

from typing import Any

import numpy as np
import pytest
import tifffile

from napari_sslseg.gui.layers import image_layers
from napari_sslseg.project import Project
from napari_sslseg.stages import Stage

from .conftest import our_threads


def done(dock: Any, qtbot: Any) -> None:
    """Wait until no job runs."""
    qtbot.waitUntil(lambda: dock.desk.session.running is None and not our_threads(), timeout=20000)


def learn(dock: Any, qtbot: Any, method: str = "denoise") -> None:
    """Pretrain."""
    dock.learn.form["method"].value = method
    dock.learn.panel.button.click()
    done(dock, qtbot)


@pytest.fixture
def learnt(dock: Any, image: Any, qtbot: Any) -> Any:
    learn(dock, qtbot)
    return dock


def test_denoising_is_offered_only_after_learning_by_it(dock: Any, image: Any, qtbot: Any) -> None:
    assert dock.learn.denoised.isHidden()
    learn(dock, qtbot, "restore")
    assert dock.learn.denoised.isHidden()
    learn(dock, qtbot, "denoise")
    assert not dock.learn.denoised.isHidden()


def test_denoising_is_offered_when_the_project_is_opened_again(learnt: Any) -> None:
    session = learnt.desk.session
    path = session.project.path
    session.open(None)
    assert learnt.learn.denoised.isHidden()
    session.open(Project.open(path))
    assert not learnt.learn.denoised.isHidden()


def test_a_checkpoint_that_cannot_be_read_offers_nothing(learnt: Any) -> None:
    session = learnt.desk.session
    session.project.pretrained.write_bytes(b"damaged")
    session.open(Project.open(session.project.path))
    assert learnt.learn.denoised.isHidden()


def test_the_denoised_image_looks_like_the_image_it_lies_on(learnt: Any, image: Any, viewer: Any, qtbot: Any) -> None:
    learnt.learn.denoised.click()
    done(learnt, qtbot)
    layer = viewer.layers["field denoised"]
    assert viewer.layers.index(layer) == viewer.layers.index(image) + 1
    assert layer.data.dtype == np.float32
    assert (layer.data == 100.5).all()
    assert tuple(layer.contrast_limits) == tuple(image.contrast_limits)
    np.testing.assert_allclose(layer.extent.world, image.extent.world)
    assert image_layers(viewer) == [image]  # it is not offered as an image to use
    assert viewer.layers.selection.active is not layer


def test_only_the_plane_looked_at_is_denoised(dock: Any, stack: Any, viewer: Any, jobs: Any, qtbot: Any) -> None:
    stack.translate, stack.rotate = (1, 2, 3), (0, 0, 30)
    viewer.dims.set_point(0, 1 + 3 * 2)
    learn(dock, qtbot)
    dock.learn.denoised.click()
    done(dock, qtbot)
    assert jobs.calls[-1] == ("denoise", {"ids": ("stack",), "planes": {"stack": (3,)}})
    layer = viewer.layers["stack denoised"]
    assert layer.data.shape == (1, 40, 32)
    for corner in ((0, 0, 0), (0, 39, 31)):
        np.testing.assert_allclose(layer.data_to_world(corner), stack.data_to_world((3, *corner[1:])))


def test_another_plane_takes_the_place_of_the_first(dock: Any, stack: Any, viewer: Any, jobs: Any, qtbot: Any) -> None:
    learn(dock, qtbot)
    for z in (1, 4):
        viewer.dims.set_point(0, z * 2)
        dock.learn.denoised.click()
        done(dock, qtbot)
    found = [layer for layer in viewer.layers if "denoised" in layer.name]
    assert len(found) == 1
    assert found[0].data_to_world((0, 0, 0))[0] == pytest.approx(8)


def test_colours_are_shown_as_colours(dock: Any, viewer: Any, qtbot: Any) -> None:
    viewer.add_image(np.random.default_rng(0).integers(0, 255, (64, 48, 3), np.uint8), name="tissue", rgb=True)
    learn(dock, qtbot)
    dock.learn.denoised.click()
    done(dock, qtbot)
    layer = viewer.layers["tissue denoised"]
    assert layer.rgb
    np.testing.assert_allclose(layer.data, 100.5 / 255, atol=1e-3)


def test_each_channel_has_a_layer_of_its_own(dock: Any, viewer: Any, qtbot: Any, tmp_path: Any) -> None:
    pixels = np.random.default_rng(0).integers(0, 99, (2, 64, 48), np.uint16)
    tifffile.imwrite(tmp_path / "c.tif", pixels, metadata={"axes": "CYX"})
    project = Project.create(tmp_path / "p.sslseg")
    project.add_file(tmp_path / "c.tif")
    dock.desk.open_project(project.path)
    learn(dock, qtbot)
    dock.learn.denoised.click()
    done(dock, qtbot)
    names = [layer.name for layer in viewer.layers]
    assert sorted(names) == ["c 1", "c 1 denoised", "c 2", "c 2 denoised"]
    assert viewer.layers["c 2 denoised"].colormap.name == viewer.layers["c 2"].colormap.name


def test_a_stop_leaves_learning_as_it_was(learnt: Any, viewer: Any, jobs: Any, qtbot: Any) -> None:
    jobs.hold()
    learnt.learn.denoised.click()
    qtbot.waitUntil(lambda: learnt.learn.panel.bar.value() == 250, timeout=2000)
    assert not learnt.learn.denoised.isEnabled()
    assert learnt.learn.panel.button.text() == "■ Stop"
    learnt.learn.panel.button.click()
    done(learnt, qtbot)
    assert "field denoised" not in viewer.layers
    assert learnt.learn.panel.light.stage is Stage.DONE
    assert learnt.learn.panel.button.text() == "▶ Learn"
    assert learnt.learn.denoised.isEnabled()


def test_images_added_since_are_still_to_be_learnt_from(learnt: Any, viewer: Any, qtbot: Any) -> None:
    more = viewer.add_image(np.zeros((64, 48), np.uint8), name="more")
    learnt.desk.use([[more]])
    assert learnt.learn.panel.light.stage is Stage.STALE
    learnt.learn.denoised.click()
    done(learnt, qtbot)
    assert learnt.learn.panel.light.stage is Stage.STALE


def test_an_error_is_told(learnt: Any, jobs: Any, qtbot: Any, said: list[str]) -> None:
    from napari_sslseg.errors import CheckpointError

    jobs.error = CheckpointError(
        "The checkpoint was pretrained by 'restore'", "Denoising needs one pretrained by 'denoise'"
    )
    learnt.learn.denoised.click()
    done(learnt, qtbot)
    assert said[-1] == "This was learnt by the method restore. Denoising needs what the method denoise learns."
