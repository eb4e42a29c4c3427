"""The window and its images: which layers become images, where the project goes, and coming back to it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import Qt

from napari_sslseg.gui import layers, next_image
from napari_sslseg.image import Image
from napari_sslseg.io import write_labels
from napari_sslseg.project import Project
from napari_sslseg.stages import Stage

from .test_jobs import done


def rows(dock: Any) -> list[str]:
    """What the list of images says."""
    return [dock.images.list.item(i).text() for i in range(dock.images.list.count())]


def test_an_open_image_is_listed_with_shape_type_spacing_and_memory(dock: Any, image: Any) -> None:
    assert rows(dock) == ["field  ·  not used yet  ·  64×48 · 8-bit · 0.5 µm · 3.07 KB"]
    assert dock.images.panel.light.stage is Stage.READY


def test_a_used_image_is_in_the_project(dock: Any, image: Any, home: Path) -> None:
    dock.images.panel.button.click()
    entry = Project.open(home / "field.sslseg").images[0]
    assert (entry.id, entry.shape, entry.channels, entry.spacing, entry.unit) == (
        "field",
        (64, 48),
        1,
        (0.5, 0.5),
        "µm",
    )
    assert dock.images.panel.light.stage is Stage.DONE
    assert dock.header.name.text() == "field.sslseg"
    assert dock.images.panel.button.isHidden()


def test_only_selected_images_are_used(dock: Any, image: Any, viewer: Any) -> None:
    viewer.add_image(np.eye(32), name="second")
    dock.images.list.clearSelection()
    dock.images.list.item(1).setSelected(True)
    dock.images.panel.button.click()
    assert [e.id for e in dock.desk.session.project.images] == ["second"]


def test_a_project_is_never_overwritten(dock: Any, image: Any, home: Path) -> None:
    (home / "field.sslseg").mkdir(parents=True)
    (home / "field.sslseg" / "mine.txt").write_text("keep")
    dock.images.panel.button.click()
    assert (home / "field.sslseg" / "mine.txt").read_text() == "keep"
    assert Project.open(home / "field-2.sslseg").images


def test_an_image_file_is_referred_to_and_the_project_lies_beside_it(dock: Any, viewer: Any, tmp_path: Path) -> None:
    file = picture(tmp_path / "a b.tif")
    viewer.open(file, plugin="napari")
    dock.images.panel.button.click()
    project = Project.open(tmp_path / "a b.sslseg")
    assert Path(project.images[0].source) == file
    assert not (project.path / "images").exists()


def test_the_project_beside_a_file_is_gone_on_with(dock: Any, viewer: Any, tmp_path: Path) -> None:
    file = picture(tmp_path / "a.tif")
    before = Project.create(tmp_path / "a.sslseg")
    before.add_file(file)
    before.write_labels("a", np.full((40, 32), 2, np.uint16))
    viewer.open(file, plugin="napari")
    dock.desk.paint()
    assert dock.desk.session.project.path == before.path
    assert (viewer.layers["a labels"].data == 2).all()


def test_where_one_may_not_write_the_project_goes_home(
    dock: Any, viewer: Any, tmp_path: Path, home: Path, monkeypatch: Any
) -> None:
    file = picture(tmp_path / "shared" / "a.tif")
    create = Project.create

    def forbid(path: Path, *rest: Any) -> Project:
        if path.parent == file.parent:
            raise PermissionError(path)
        return create(path, *rest)

    monkeypatch.setattr(Project, "create", forbid)
    viewer.open(file, plugin="napari")
    dock.images.panel.button.click()
    assert Project.open(home / "a.sslseg").images


def picture(path: Path) -> Path:
    """An image file of 40 × 32 pixels."""
    path.parent.mkdir(exist_ok=True)
    write_labels(path, np.random.default_rng(0).integers(0, 99, (40, 32), np.uint8))
    return path


def test_an_image_that_cannot_be_used_is_told(dock: Any, viewer: Any, said: list[str]) -> None:
    viewer.add_image(np.zeros((2, 3, 16, 16)), name="movie of stacks")
    dock.images.panel.button.click()
    assert "movie of stacks" in said[-1]


def test_a_click_shows_the_image_and_hides_the_others(dock: Any, image: Any, viewer: Any, qtbot: Any) -> None:
    other = viewer.add_image(np.eye(32), name="second")
    dock.images.panel.button.click()
    click_row(dock, qtbot, 1)
    assert (image.visible, other.visible) == (False, True)
    assert dock.desk.session.current == "second"
    click_row(dock, qtbot, 0)
    assert (image.visible, other.visible) == (True, False)
    viewer.layers.selection.active = other
    assert (dock.desk.session.current, dock.images.list.keys(selected=True)) == ("second", ["second"])
    click_row(dock, qtbot, 0)
    assert dock.desk.session.current == "field"


def click_row(dock: Any, qtbot: Any, row: int, modifier: Any = Qt.KeyboardModifier.NoModifier) -> None:
    shown = dock.images.list
    place = shown.visualItemRect(shown.item(row)).center()
    qtbot.mouseClick(shown.viewport(), Qt.MouseButton.LeftButton, modifier, place)


def test_several_images_are_selected_with_the_control_key(dock: Any, image: Any, viewer: Any, qtbot: Any) -> None:
    viewer.add_image(np.eye(32), name="second")
    dock.images.panel.button.click()
    click_row(dock, qtbot, 0)
    click_row(dock, qtbot, 1, Qt.KeyboardModifier.ControlModifier)
    assert dock.images.list.keys(selected=True) == ["field", "second"]
    dock.images.refresh()
    assert dock.images.list.keys(selected=True) == ["field", "second"]


def test_a_selected_open_image_stays_the_only_one(dock: Any, image: Any, viewer: Any, qtbot: Any) -> None:
    dock.images.panel.button.click()
    viewer.add_image(np.eye(32), name="second")
    click_row(dock, qtbot, 1)
    dock.images.refresh()
    assert len(dock.images.list.keys(selected=True)) == 1
    assert dock.images.out.isHidden()


def test_a_chosen_image_is_painted_on_where_one_painted_before(dock: Any, image: Any, viewer: Any, qtbot: Any) -> None:
    viewer.add_image(np.eye(32), name="second")
    dock.images.panel.button.click()
    click_row(dock, qtbot, 0)
    dock.paint.panel.button.click()
    click_row(dock, qtbot, 1)
    assert viewer.layers.selection.active.name == "second"
    click_row(dock, qtbot, 0)
    assert viewer.layers.selection.active.name == "field labels"


def test_the_active_layer_says_which_image_is_worked_on(dock: Any, image: Any, viewer: Any) -> None:
    other = viewer.add_image(np.eye(32), name="second")
    dock.images.panel.button.click()
    viewer.layers.selection.active = other
    assert dock.desk.session.current == "second"
    dock.paint.panel.button.click()
    assert viewer.layers.selection.active.name == "second labels"


# -------------------------------------------------------------------- out of the project and back
def test_an_image_is_taken_out_with_its_layers_and_comes_back_with_its_strokes(
    dock: Any, image: Any, viewer: Any
) -> None:
    other = viewer.add_image(np.eye(32), name="second")
    dock.images.panel.button.click()
    project = dock.desk.session.project
    dock.images.list.setCurrentRow(0)
    dock.paint.panel.button.click()
    viewer.layers["field labels"].paint((20, 20), 2)
    assert not dock.images.out.isHidden()
    dock.images.out.click()
    assert [e.id for e in project.images] == ["second"]
    assert [layer.name for layer in viewer.layers] == ["field", "second"]
    assert (dock.desk.session.current, other.visible, image.visible) == ("second", True, False)
    assert rows(dock)[1] == "field  ·  not used yet  ·  64×48 · 8-bit · 0.5 µm · 3.07 KB"
    assert dock.desk.session.tally.painted(2) == 0
    dock.images.panel.button.click()
    assert [e.id for e in project.images] == ["second", "field"]
    assert viewer.layers["field labels"].data[20, 20] == 2
    assert dock.desk.session.tally.painted(2) > 0
    viewer.layers["field labels"].paint((40, 20), 2)
    dock.desk.canvas.painting.flush()
    assert project.labels("field")[40, 20] == 2


def test_the_axes_and_the_pixel_size_of_a_used_file_are_put_right(dock: Any, viewer: Any, tmp_path: Path) -> None:
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, np.zeros((6, 32, 40), np.uint8), metadata={"axes": "ZYX"})
    viewer.open(path)
    dock.images.panel.button.click()
    project = dock.desk.session.project
    dock.paint.panel.button.click()
    viewer.layers["stack labels"].paint((2, 9, 9), 1)
    dock.images.out.click()
    dock.images.list.setCurrentRow(0)
    dock.images.kind.axes.setCurrentIndex(dock.images.kind.axes.findData("TYX"))
    dock.images.kind.axes.activated.emit(dock.images.kind.axes.currentIndex())
    dock.images.kind.flat.setValue(0.25)
    dock.images.panel.button.click()
    (entry,) = project.images
    assert (entry.id, entry.axes, entry.spacing[1:]) == ("stack", "CTYX", (0.25, 0.25))
    assert Path(entry.source) == path.resolve()
    assert viewer.layers["stack labels"].data[2, 9, 9] == 1


def test_channels_that_are_taken_out_stay_one_image(dock: Any, viewer: Any) -> None:
    stack = np.zeros((2, 32, 40), np.uint8)
    project = Project.create(dock.desk.home / "two.sslseg")
    project.add_image(Image(stack, (1.0, 1.0), "pixel", "two"))
    dock.desk.open_project(project.path)
    dock.images.out.click()
    assert len(rows(dock)) == 1
    dock.images.panel.button.click()
    assert [e.id for e in dock.desk.session.project.images] == ["two"]


def test_the_key_takes_out_and_nothing_does_while_a_job_runs(dock: Any, image: Any, jobs: Any, qtbot: Any) -> None:
    dock.images.panel.button.click()
    jobs.hold()
    dock.learn.panel.button.click()
    qtbot.keyClick(dock.images.list, Qt.Key.Key_Delete)
    assert len(dock.desk.session.project.images) == 1
    dock.desk.stop()
    done(dock, qtbot)
    qtbot.keyClick(dock.images.list, Qt.Key.Key_Delete)
    assert dock.desk.session.project.images == ()
    assert rows(dock) == ["field  ·  not used yet  ·  64×48 · 8-bit · 0.5 µm · 3.07 KB"]


def test_no_region_is_cut_out_while_a_job_runs(dock: Any, image: Any, jobs: Any, said: list[str], qtbot: Any) -> None:
    dock.images.panel.button.click()
    jobs.hold()
    dock.learn.panel.button.click()
    dock.images.use_region()  # as its command does
    assert "Something is running" in said[-1]
    dock.desk.stop()
    done(dock, qtbot)


# -------------------------------------------------------------------- other axes and pixel sizes of used images
@pytest.fixture
def stacked(dock: Any, viewer: Any, tmp_path: Path) -> Any:
    """The dock with the file `stack`, whose first axis is taken for planes, and `second` in a project."""
    pixels = np.random.default_rng(0).integers(0, 255, (3, 40, 32), np.uint8)
    tifffile.imwrite(tmp_path / "stack.tif", pixels, photometric="minisblack", metadata={"axes": "ZYX"})
    viewer.open(tmp_path / "stack.tif")
    viewer.add_image(np.eye(32), name="second")
    dock.images.panel.button.click()
    dock.images.list.setCurrentRow(0)
    dock.images.fold.click()
    return dock


def choose_axes(dock: Any, said: str) -> None:
    """Choose axes below the list of images."""
    box = dock.images.kind.axes
    box.setCurrentIndex(box.findData(said))
    box.activated.emit(box.currentIndex())


def reopened(dock: Any) -> Project:
    """The project as another window finds it."""
    return Project.open(dock.desk.session.project.path)


@pytest.mark.parametrize(
    ("said", "axes", "shape", "channels", "shown"),
    [
        ("TYX", "CTYX", (3, 40, 32), 1, ["stack"]),
        ("CYX", "CYX", (40, 32), 3, ["stack 1", "stack 2", "stack 3"]),
        ("SYX", "CYX", (40, 32), 3, ["stack"]),
    ],
)
def test_an_image_of_the_project_is_given_other_axes(
    stacked: Any, viewer: Any, tmp_path: Path, said: str, axes: str, shape: Any, channels: int, shown: list[str]
) -> None:
    pixels = np.array(stacked.desk.session.project.image("stack").data[0])
    stacked.desk.paint()  # a layer to paint on, with nothing on it
    choose_axes(stacked, said)
    project = reopened(stacked)
    entry = project.images[0]
    assert ([e.id for e in project.images], project.left) == (["stack", "second"], ())
    assert (entry.axes, entry.shape, entry.channels) == (axes, shape, channels)
    assert Path(entry.source) == (tmp_path / "stack.tif").resolve()  # nothing is copied
    assert project.image("stack").rgb == (said == "SYX")
    np.testing.assert_array_equal(np.squeeze(np.asarray(project.image("stack").data)), pixels)
    now = [x.name for x in viewer.layers if x.name.startswith("stack") and x.visible]
    assert now == [*shown, "stack labels"]
    assert viewer.layers["stack labels"].data.shape == shape
    viewer.layers["stack labels"].paint((9,) * len(shape) if len(shape) == 2 else (1, 9, 9), 2)
    stacked.desk.canvas.painting.flush()
    assert project.labels("stack").shape == shape
    assert project.labels("stack").any()


def test_axes_go_there_and_back(stacked: Any) -> None:
    before = stacked.desk.session.project.entry("stack")
    choose_axes(stacked, "CYX")
    choose_axes(stacked, "ZYX")
    assert stacked.desk.session.project.entry("stack") == before


def test_axes_of_an_image_that_is_painted_stay(stacked: Any, viewer: Any, said: list[str]) -> None:
    before = reopened(stacked).entry("stack")
    stacked.desk.paint()
    layer = viewer.layers["stack labels"]
    layer.paint((2, 9, 9), 1)
    choose_axes(stacked, "CYX")
    assert "stack has strokes, which lie on its pixels as they are ordered now" in said[-1]
    assert "Take it out and use it again" in said[-1]
    assert reopened(stacked).entry("stack") == before
    assert stacked.images.kind.axes.currentData() == "ZYX"
    assert viewer.layers["stack labels"] is layer
    layer.undo()  # all is erased
    choose_axes(stacked, "CYX")
    assert reopened(stacked).entry("stack").shape == (40, 32)
    viewer.layers["stack labels"].paint((9, 9), 1)
    stacked.desk.canvas.painting.flush()
    assert reopened(stacked).labels("stack")[9, 9] == 1


def test_an_image_that_is_only_in_the_project_is_given_other_axes(dock: Any, viewer: Any) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (2, 9, 40, 32), np.uint8)
    project = Project.create(dock.desk.home / "two.sslseg")
    project.add_image(Image(pixels, (2.0, 0.5, 0.25), "µm", "two"))
    dock.desk.open_project(project.path)
    dock.images.fold.click()
    choose_axes(dock, "ZCYX")
    entry = reopened(dock).entry("two")
    assert (entry.axes, entry.shape, entry.channels, entry.spacing) == ("CZYX", (2, 40, 32), 9, (2.0, 0.5, 0.25))
    np.testing.assert_array_equal(reopened(dock).image("two").data, pixels.transpose(1, 0, 2, 3))
    assert sorted(x.name for x in viewer.layers) == [f"two {c}" for c in range(1, 10)]


def test_the_pixel_size_of_an_image_that_is_painted_is_put_right(stacked: Any, viewer: Any, qtbot: Any) -> None:
    stacked.desk.paint()
    layer = viewer.layers["stack labels"]
    layer.paint((2, 9, 9), 1)
    stacked.desk.predict(stacked.desk.prediction, ids=("stack",))
    done(stacked, qtbot)
    viewer.dims.set_point(0, 2)
    painted = np.array(layer.data)
    kind = stacked.images.kind
    kind.flat.setValue(0.25)
    kind.deep.setValue(2)
    kind.unit.setCurrentText("µm")
    kind.unit.activated.emit(kind.unit.currentIndex())
    project = reopened(stacked)
    assert (project.entry("stack").spacing, project.entry("stack").unit) == ((2.0, 0.25, 0.25), "µm")
    assert project.image("stack").spacing == (2.0, 0.25, 0.25)
    for name in ("stack", "stack labels", "stack masks"):
        assert tuple(viewer.layers[name].scale) == (2.0, 0.25, 0.25)
        assert [str(u) for u in viewer.layers[name].units] == ["micrometer"] * 3
    assert stacked.desk.canvas.current_plane() == {"stack": (2,)}  # the same is looked at
    np.testing.assert_array_equal(project.labels("stack"), painted)
    assert layer.mode == "paint"
    layer.undo()
    assert not layer.data.any()  # strokes can still be taken back
    assert "0.25" in rows(stacked)[0]
    stacked.desk.open_project(project.path)
    assert tuple(viewer.layers["stack labels"].scale) == (2.0, 0.25, 0.25)


def test_pixels_that_are_not_square_stay_so_when_only_the_unit_is_said(dock: Any, viewer: Any, said: list[str]) -> None:
    viewer.add_image(np.eye(32), name="wide", scale=(0.5, 0.25))
    dock.desk.paint()
    said.clear()
    dock.images.fold.click()
    kind = dock.images.kind
    kind.unit.setCurrentText("mm")
    kind.unit.activated.emit(kind.unit.currentIndex())
    assert (reopened(dock).images[0].spacing, reopened(dock).images[0].unit) == ((0.5, 0.25), "mm")
    assert said == []


def test_all_that_is_selected_gets_the_pixel_size(stacked: Any, viewer: Any, qtbot: Any) -> None:
    click_row(stacked, qtbot, 1, Qt.KeyboardModifier.ControlModifier)
    stacked.images.kind.flat.setValue(0.5)
    assert [e.spacing[-2:] for e in reopened(stacked).images] == [(0.5, 0.5)] * 2


def test_axes_are_not_changed_while_a_job_runs(stacked: Any, jobs: Any, said: list[str], qtbot: Any) -> None:
    jobs.hold()
    stacked.learn.panel.button.click()
    assert not stacked.images.kind.isEnabled()
    choose_axes(stacked, "CYX")
    assert "Something is running" in said[-1]
    stacked.desk.stop()
    done(stacked, qtbot)
    assert stacked.images.kind.isEnabled()
    assert reopened(stacked).entry("stack").axes == "CZYX"


def test_axes_of_used_images_are_folded_away(dock: Any, image: Any, viewer: Any, qtbot: Any) -> None:
    assert not dock.images.kind.isHidden()  # of an open image they are to be seen
    assert dock.images.fold.isHidden()
    dock.images.panel.button.click()
    assert dock.images.kind.isHidden()
    dock.images.fold.click()
    assert (dock.images.kind.isHidden(), dock.images.fold.text()) == (False, "Axes ▾")
    dock.images.fold.click()
    assert (dock.images.kind.isHidden(), dock.images.fold.text()) == (True, "Axes ▸")


# -------------------------------------------------------------------- layers to images and back
def test_colour_is_three_channels(viewer: Any) -> None:
    image = layers.image_from([viewer.add_image(np.zeros((9, 8, 3), np.uint8), rgb=True)])
    assert (image.channels, image.shape, image.rgb) == (3, (9, 8), True)


def test_layers_of_one_file_are_channels(viewer: Any) -> None:
    found = viewer.add_image(np.zeros((2, 5, 9, 8)), channel_axis=0, scale=(2, 1, 1), name=["a", "b"])
    image = layers.image_from(found)
    assert (image.channels, image.shape, image.spacing) == (2, (5, 9, 8), (2, 1, 1))


def test_a_named_time_axis_is_time(viewer: Any) -> None:
    image = layers.image_from([viewer.add_image(np.zeros((5, 9, 8)), axis_labels=("time", "y", "x"))])
    assert image.axes == "CTYX"


def test_channels_of_a_sample_go_together(viewer: Any) -> None:
    from napari.layers import Image
    from napari.layers._source import layer_source

    with layer_source(sample=("napari-sslseg", "cells3d")):
        pair = [viewer.add_layer(Image(np.zeros((9, 8)))) for _ in range(2)]
    assert layers.groups([*pair, viewer.add_image(np.zeros((9, 8)))])[0] == pair


def test_a_duplicate_is_no_further_channel(viewer: Any, tmp_path: Path) -> None:
    from napari.layers import _layer_actions as actions

    tifffile.imwrite(tmp_path / "a.tif", np.zeros((9, 8), np.uint8))
    (image,) = viewer.open(tmp_path / "a.tif", plugin="napari")
    viewer.layers.selection = {image}
    actions._duplicate_layer(viewer.layers)
    assert [len(group) for group in layers.groups(list(viewer.layers))] == [1, 1]


@pytest.mark.parametrize("axes", ["YX", "ZYX", "YXS", "ZYXS", "CZYX", "TYX"])
def test_an_image_survives_the_way_through_layers(viewer: Any, axes: str) -> None:
    from napari.layers import Image as ImageLayer

    from napari_sslseg.image import Image

    shape = [{"Z": 4, "T": 4, "C": 2, "S": 3, "Y": 9, "X": 8}[a] for a in axes]
    values = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
    spacing = (2.0, 0.5, 0.5)[-sum(a in "ZTYX" for a in axes) :]
    image = Image.from_array(values, axes, spacing=spacing, unit="µm", name="one")
    shown = [viewer.add_layer(ImageLayer(data, **said)) for data, said, _ in layers.layer_data(image)]
    back = layers.image_from(shown)
    np.testing.assert_array_equal(np.asarray(back.data), np.asarray(image.data))
    assert (back.axes, back.spacing, back.unit, back.rgb) == (image.axes, image.spacing, image.unit, image.rgb)


# -------------------------------------------------------------------- coming back
@pytest.fixture
def finished(tmp_path: Path) -> Project:
    """A project as somebody left it yesterday: two images, strokes on the first, a round."""
    from dataclasses import replace

    from napari_sslseg.contents import Round
    from napari_sslseg.image import Image

    project = Project.create(tmp_path / "yesterday.sslseg")
    for name in ("one", "two"):
        pixels = np.random.default_rng(0).integers(0, 255, (40, 32), np.uint8)
        project.add_image(Image.from_array(pixels, spacing=(0.5, 0.5), unit="µm", name=name))
    labels = np.zeros((40, 32), np.uint16)
    labels[:5], labels[-5:] = 1, 2
    project.write_labels("one", labels)
    project.set_classes([project.classes[0], replace(project.classes[1], name="vessel", colour="#ff0000")])
    project.add_round(Round(1, "1.safetensors", 0.8, {}, 4, False, 320, 9, 0.0, True))
    project.write_prediction("one", np.full((40, 32), 2, np.uint16))
    return project


def check_restored(dock: Any, viewer: Any, project: Project) -> None:
    """Everything of yesterday is there."""
    assert len(rows(dock)) == 2
    np.testing.assert_array_equal(viewer.layers["one labels"].data, project.labels("one"))
    np.testing.assert_allclose(viewer.layers["one labels"].get_color(2), [1, 0, 0, 1])
    np.testing.assert_allclose(viewer.layers["one"].scale, (0.5, 0.5))
    assert (viewer.layers["one masks"].data == 2).all()
    assert dock.paint.table.item(1, 1).text() == "vessel"
    assert dock.paint.table.item(1, 3).text() == "160 px"
    assert dock.train.scores.text() == "IoU by round  .80"
    assert dock.train.panel.light.stage is Stage.DONE
    assert dock.header.name.text() == "yesterday.sslseg"


def test_open_restores_everything(dock: Any, viewer: Any, finished: Project, monkeypatch: Any) -> None:
    from qtpy.QtWidgets import QFileDialog

    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(finished.path))
    dock.header.open.click()
    check_restored(dock, viewer, finished)


def test_the_reader_restores_everything(dock: Any, viewer: Any, finished: Project, qtbot: Any) -> None:
    from napari.layers import Layer

    from napari_sslseg.gui.contributions import get_reader

    read = get_reader(str(finished.path))
    assert read is not None
    for described in read(str(finished.path)):
        viewer.add_layer(Layer.create(*described))
    qtbot.waitUntil(lambda: dock.desk.session.project is not None, timeout=2000)
    check_restored(dock, viewer, finished)
    viewer.layers["one labels"].paint((20, 20), 2)
    qtbot.waitUntil(lambda: finished.labels("one")[20, 20] == 2, timeout=2000)


def test_the_folder_of_another_project_opened_while_a_job_runs_is_declined_with_its_layers(
    dock: Any, viewer: Any, image: Any, finished: Project, jobs: Any, qtbot: Any, said: list[str]
) -> None:
    from napari.layers import Layer

    from napari_sslseg.gui.contributions import read_project

    dock.desk.paint()
    jobs.go.clear()
    dock.learn.panel.button.click()
    for described in read_project(str(finished.path)):
        viewer.add_layer(Layer.create(*described))
    qtbot.waitUntil(lambda: "one labels" not in viewer.layers, timeout=2000)
    assert "Another project can be opened when it is done" in said[-1]
    assert [layer.name for layer in viewer.layers] == ["field", "field labels"]
    jobs.go.set()
    qtbot.waitUntil(lambda: dock.desk.session.running is None, timeout=2000)
    assert dock.desk.session.project.images[0].id == "field"


def test_a_dock_that_is_opened_later_finds_the_project(viewer: Any, finished: Project, jobs: Any, qtbot: Any) -> None:
    from napari.layers import Layer

    from napari_sslseg.gui.contributions import read_project
    from napari_sslseg.gui.desk import Desk
    from napari_sslseg.gui.dock import Dock

    for described in read_project(str(finished.path)):
        viewer.add_layer(Layer.create(*described))
    dock = Dock(viewer, Desk(viewer, jobs))
    viewer.window.add_dock_widget(dock)
    qtbot.waitUntil(lambda: dock.desk.session.project is not None, timeout=2000)
    check_restored(dock, viewer, finished)


def test_other_folders_are_declined(tmp_path: Path) -> None:
    from napari_sslseg.gui.contributions import get_reader

    assert get_reader(str(tmp_path)) is None
    assert get_reader([str(tmp_path)]) is None


def test_medical_images_are_opened_with_their_millimetres(viewer: Any, tmp_path: Path) -> None:
    import nibabel
    from napari.layers import Layer

    from napari_sslseg.gui.contributions import get_reader

    path = str(tmp_path / "brain.nii.gz")
    pixels = np.random.default_rng(0).integers(0, 900, (30, 28, 6)).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(pixels, np.diag([0.5, 0.5, 4, 1])), path)
    read = get_reader(path)
    assert read is not None
    (described,) = read(path)
    viewer.add_layer(Layer.create(*described))
    layer = viewer.layers["brain"]
    assert layer.data.shape == (6, 28, 30)
    assert tuple(layer.scale) == (4.0, 0.5, 0.5)
    assert [str(u) for u in layer.units] == ["millimeter"] * 3
    assert read([path])[0][0].shape == (6, 28, 30)
    assert get_reader([path, str(tmp_path)]) is None


def test_opening_something_else_is_told(dock: Any, tmp_path: Path, said: list[str]) -> None:
    dock.desk.open_project(tmp_path)
    assert "project.json" in said[-1]
    assert dock.header.name.text() == "No project yet"


def test_another_project_takes_the_labels_of_the_first_away_and_keeps_them(
    dock: Any, viewer: Any, image: Any, finished: Project
) -> None:
    dock.desk.paint()
    viewer.layers["field labels"].paint((20, 20), 2)
    first = dock.desk.session.project
    dock.desk.open_project(finished.path)
    assert "field labels" not in viewer.layers
    assert first.labels("field").any()
    assert any("field" in row and "not used yet" in row for row in rows(dock))


def test_new_project_at_a_chosen_place(dock: Any, image: Any, tmp_path: Path, monkeypatch: Any) -> None:
    from qtpy.QtWidgets import QFileDialog

    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "mine.sslseg"), ""))
    dock.header.new.click()
    dock.images.panel.button.click()
    assert [e.id for e in Project.open(tmp_path / "mine.sslseg").images] == ["field"]


def test_images_that_are_not_shown_are_predicted_on_disk_only(
    dock: Any, viewer: Any, finished: Project, jobs: Any, qtbot: Any
) -> None:
    dock.desk.open_project(finished.path)
    dock.result.everything.click()
    done(dock, qtbot)
    assert [layer.name for layer in viewer.layers] == ["one", "one masks", "one labels"]
    finished.write_prediction("two", np.full((40, 32), 2, np.uint16))  # as the real job does
    dock.images.list.setCurrentRow(1)
    assert (viewer.layers["two masks"].data == 2).all()


def test_many_images_are_listed_without_opening_them(dock: Any, tmp_path: Path) -> None:
    from napari_sslseg.image import Image

    project = Project.create(tmp_path / "many.sslseg")
    for at in range(30):
        project.add_image(Image.from_array(np.eye(16, dtype=np.float32), name=f"field {at}"))
    dock.desk.open_project(project.path)
    assert rows(dock)[-1] == "field 29  ·  16×16"
    assert dock.images.panel.summary.text() == "30 images · 16×16"


def test_the_second_image_is_painted_and_predicted_too(
    dock: Any, viewer: Any, finished: Project, jobs: Any, qtbot: Any
) -> None:
    dock.desk.open_project(finished.path)
    dock.images.list.setCurrentRow(1)
    dock.paint.panel.button.click()
    viewer.layers["two labels"].paint((20, 20), 2)
    dock.result.panel.button.click()
    done(dock, qtbot)
    assert jobs.calls[-1][1]["ids"] == ("two",)
    assert viewer.layers["two masks"].data.all()
    assert finished.labels("two").any()


def test_painting_on_an_open_image_takes_it_into_the_project(dock: Any, image: Any, viewer: Any) -> None:
    dock.paint.panel.button.click()
    second = viewer.add_image(np.eye(32), name="second")
    viewer.layers.selection.active = second
    dock.paint.panel.button.click()
    assert [e.id for e in dock.desk.session.project.images] == ["field", "second"]
    assert viewer.layers.selection.active.name == "second labels"
    assert dock.desk.session.current == "second"
    dock.paint.panel.button.click()
    assert [layer.name for layer in viewer.layers].count("second labels") == 1


def test_channels_that_are_open_are_painted_on_as_one_image(dock: Any, image: Any, viewer: Any) -> None:
    dock.paint.panel.button.click()
    for name in ("red", "green"):
        viewer.add_image(np.eye(32), name=name, metadata={layers.KEY: "pair"})
    viewer.layers.selection.active = viewer.layers["red"]
    dock.paint.panel.button.click()
    assert [e.channels for e in dock.desk.session.project.images] == [1, 2]


def test_one_goes_on_to_the_next_image_and_sees_its_masks(
    dock: Any, viewer: Any, finished: Project, jobs: Any, qtbot: Any
) -> None:
    dock.desk.open_project(finished.path)
    next_image.go(dock.desk, 1)
    done(dock, qtbot)
    assert dock.desk.session.current == "two"
    assert jobs.calls[-1][1]["ids"] == ("two",)
    assert viewer.layers["two masks"].visible
    calls = len(jobs.calls)
    next_image.go(dock.desk, 1)
    assert dock.desk.session.current == "one"
    next_image.go(dock.desk, -1)
    assert dock.desk.session.current == "two"
    assert len(jobs.calls) == calls + (finished.current_round is None)


def test_without_a_training_the_next_image_is_looked_at_only(dock: Any, image: Any, viewer: Any, jobs: Any) -> None:
    next_image.go(dock.desk, 1)
    dock.images.panel.button.click()
    next_image.go(dock.desk, 1)
    assert dock.desk.session.current == "field"
    viewer.add_image(np.eye(32), name="second")
    dock.images.panel.button.click()
    next_image.go(dock.desk, 1)
    assert dock.desk.session.current == "field"
    assert [name for name, _ in jobs.calls] == []
