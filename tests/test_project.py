"""Project: what is put into the folder comes out of it again, also after a crash, a full disk or a move."""

import errno
import json
import os
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from napari_sslseg.annotation import LabelClass
from napari_sslseg.contents import FILE, VERSION, Round
from napari_sslseg.errors import ImageError, LabelError, ProjectError, StoppedError, StorageError
from napari_sslseg.image import Image
from napari_sslseg.io import chunks, read_image, write_labels
from napari_sslseg.io.atomic import REMOVING
from napari_sslseg.job import Rhythm, Stop, run
from napari_sslseg.project import Project
from napari_sslseg.regions import Region

RANDOM = np.random.default_rng(0)
ROUND = Round(1, "rounds/001/model.safetensors", 0.5, {"cell": 0.5}, 3, True, 90, 10, 1.5, True)
KINDS = {"flat": (1, 40, 30), "stack": (1, 5, 40, 30), "colour": (3, 40, 30), "channels": (2, 5, 40, 30)}


@pytest.fixture
def project(tmp_path):
    """A project of one flat image, 40 x 30 pixels."""
    made = Project.create(tmp_path / "p.sslseg")
    made.add_image(picture("flat"))
    return made


def picture(kind="flat", name="a"):
    shape = KINDS[kind]
    spacing = (2.0, 0.5, 0.25)[-len(shape) + 1 :]
    return Image(RANDOM.integers(0, 999, shape).astype(np.uint16), spacing, "µm", name, rgb=kind == "colour")


def paint(shape=(40, 30)):
    return RANDOM.integers(0, 4, shape).astype(np.uint16)


def write_tiff(path, shape=(40, 30)):
    path.parent.mkdir(exist_ok=True)
    tifffile.imwrite(path, RANDOM.integers(0, 999, shape).astype(np.uint16), photometric="minisblack")
    return path


def again(project):
    return Project.open(project.path)


def files(folder):
    """All files but those by which several windows and commands know of each other."""
    found = (p for p in folder.rglob("*") if p.is_file() and p.parent.name != ".locks")
    return sorted(p.relative_to(folder).as_posix() for p in found)


def fail(number):
    def raise_it(*_, **__):
        raise OSError(number, os.strerror(number), "somewhere")

    return raise_it


# ---------------------------------------------------------------- the folder
def test_a_new_project_is_one_small_file(tmp_path):
    Project.create(tmp_path / "new" / "p")
    assert files(tmp_path) == [f"new/p/{FILE}"]


def test_a_reopened_project_says_what_was_said(project):
    project.set_task("instance")
    project.set_classes([LabelClass(1, "ground", "#000000"), LabelClass(4, "cell", "#ff0000")])
    project.add_round(ROUND)
    project.add_round(replace(ROUND, number=2, interval=(0.4, 0.625)))
    project.set_pretrained(project.path / "checkpoints" / "pretrained-001.safetensors")
    found = again(project)
    assert [r.interval for r in found.rounds] == [None, (0.4, 0.625)]
    assert (found.task, found.classes, found.images) == (project.task, project.classes, project.images)
    assert (found.rounds, found.pretrained, found.trained) == (project.rounds, project.pretrained, project.trained)


def rounds(project, count):
    for number in range(1, count + 1):
        round = project.add_round(replace(ROUND, number=number, checkpoint=f"rounds/{number}.safetensors"))
        (project.path / round.checkpoint).parent.mkdir(exist_ok=True)
        (project.path / round.checkpoint).write_bytes(b"a model")


def test_an_earlier_round_predicts_once_it_is_chosen_and_until_there_is_a_newer_one(project):
    assert project.current_round is None
    rounds(project, 3)
    assert again(project).current_round.number == 3
    project.use_round(1)
    found = again(project)
    assert (found.current_round.number, found.trained.name) == (1, "1.safetensors")
    assert found.next_round() == 4
    project.use_round(3)
    assert again(project).current_round.number == 3
    project.use_round(2)
    project.add_round(replace(ROUND, number=4))
    assert again(project).current_round.number == 4


def test_a_round_that_had_hardly_begun_does_not_take_the_place_of_a_finished_one(project):
    rounds(project, 2)
    project.use_round(1)
    project.add_round(replace(ROUND, number=3, score=None, steps=0, finished=False))
    assert again(project).current_round.number == 1
    project.add_round(replace(ROUND, number=4))
    assert again(project).current_round.number == 4


def test_a_round_that_is_not_there_cannot_be_chosen(project):
    with pytest.raises(ProjectError, match="no round 1. It has not been trained yet"):
        project.use_round(1)
    rounds(project, 2)
    with pytest.raises(ProjectError, match="no round 7. It has 1, 2"):
        project.use_round(7)
    (project.path / "rounds" / "1.safetensors").unlink()
    with pytest.raises(ProjectError, match="model of round 1 is gone"):
        project.use_round(1)
    assert again(project).current_round.number == 2


def test_open_or_create_opens_what_is_there(project):
    assert Project.open_or_create(project.path, "instance").images == project.images


def test_open_or_create_makes_what_is_missing(tmp_path):
    assert Project.open_or_create(tmp_path / "p", "instance").task == "instance"


def test_a_folder_with_other_things_is_not_made_a_project(tmp_path):
    (tmp_path / "thesis.txt").write_text("x")
    with pytest.raises(ProjectError, match="is not empty.*Choose another name"):
        Project.create(tmp_path)


def test_hidden_files_do_not_count_as_other_things(tmp_path):
    (tmp_path / ".DS_Store").write_text("x")
    assert Project.create(tmp_path).images == ()


def test_a_file_is_not_made_a_project(tmp_path):
    (tmp_path / "p").write_text("x")
    with pytest.raises(ProjectError, match="is not empty"):
        Project.create(tmp_path / "p")


@pytest.mark.parametrize("place", ["", "missing", "file/p"])
def test_what_is_no_project_is_told(tmp_path, place):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ProjectError, match=f"has no {FILE}.*Pretrain or train with --project"):
        Project.open(tmp_path / place)


def test_a_project_of_a_newer_version_is_told(project):
    raw = json.loads((project.path / FILE).read_text())
    (project.path / FILE).write_text(json.dumps(raw | {"version": VERSION + 1}))
    with pytest.raises(ProjectError, match=rf"newer version \(project format {VERSION + 1}\).*pip install -U"):
        again(project)


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: b"",
        lambda raw: json.dumps(raw).encode()[:-20],
        lambda raw: b"\xff\xfe",
        lambda raw: b"[]",
        lambda raw: json.dumps(raw | {"images": ["a"]}).encode(),
        lambda raw: json.dumps(raw | {"classes": None}).encode(),
        lambda raw: json.dumps(raw | {"rounds": [{"number": 1}]}).encode(),
        lambda raw: json.dumps({k: v for k, v in raw.items() if k != "task"}).encode(),
    ],
)
def test_a_damaged_project_file_is_told(project, change):
    raw = json.loads((project.path / FILE).read_text())
    (project.path / FILE).write_bytes(change(raw))
    with pytest.raises(ProjectError, match=f"{FILE} is damaged.*labels in the folder beside it are untouched"):
        again(project)


def test_a_file_of_another_program_is_told(project):
    (project.path / FILE).write_text('{"format": "other", "version": 1}')
    with pytest.raises(ProjectError, match="is not a napari-sslseg project"):
        again(project)


def test_a_project_that_may_not_be_read_is_told(project, monkeypatch):
    monkeypatch.setattr(Path, "read_bytes", fail(errno.EACCES))
    with pytest.raises(ProjectError, match="no permission to read"):
        again(project)


# ---------------------------------------------------------------- images
def test_an_image_file_is_referred_to_and_not_copied(tmp_path, project):
    path = write_tiff(tmp_path / "images" / "b.tif")
    entry = project.add_file(path)
    assert (entry.id, Path(entry.source)) == ("b", path)
    assert not list(project.path.rglob("b*"))


def test_a_referred_image_is_read_when_reopened(tmp_path, project):
    path = write_tiff(tmp_path / "images" / "b.tif", (5, 40, 30))
    project.add_file(path)
    np.testing.assert_array_equal(again(project).image("b").data[0], tifffile.imread(path))


def test_an_image_file_added_twice_is_one_image(tmp_path, project):
    path = write_tiff(tmp_path / "images" / "b.tif")
    assert project.add_file(path) == project.add_file(path.parent / ".." / "images" / "b.tif")
    assert len(project.images) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_in_memory_is_copied_whole(tmp_path, kind):
    project, image = Project.create(tmp_path / "p"), picture(kind)
    project.add_image(image)
    found = again(project).image("a")
    np.testing.assert_array_equal(found.data, image.data)
    assert (found.axes, found.spacing, found.unit, found.rgb) == (image.axes, image.spacing, image.unit, image.rgb)
    assert found.data.dtype == image.data.dtype


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_of_many_chunks_is_copied_whole(tmp_path, kind, monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK", 16)
    project, image = Project.create(tmp_path / "p"), picture(kind)
    project.add_image(image)
    np.testing.assert_array_equal(again(project).image("a").data, image.data)


class StopAt(Stop):
    """A stop that is requested when it is looked at for so many times."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks

    @property
    def requested(self) -> bool:
        self.looks -= 1
        return self.looks < 0


@pytest.mark.parametrize("looks", [0, 1, 6, 7, 13])  # one look for the plane, 6 for its chunks, 7 for the files
def test_a_copy_that_is_stopped_leaves_nothing_in_the_project(tmp_path, monkeypatch, looks):
    monkeypatch.setattr(chunks, "CHUNK", 16)
    project = Project.create(tmp_path / "p")
    with pytest.raises(StoppedError, match="Copying a was stopped"):
        run(project.copy_image(picture(), stop=StopAt(looks)))
    assert [e.id for e in again(project).images] == []
    for thread in threading.enumerate():
        if thread.name == REMOVING:
            thread.join()
    assert not list((project.path / "images").rglob("*"))


def test_a_copy_says_how_much_is_done(tmp_path, monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK", 16)
    monkeypatch.setattr(Rhythm, "due", lambda _: True)
    project, image, events = Project.create(tmp_path / "p"), picture("stack"), []
    entry = run(project.copy_image(image), events.append)
    done = [e.fraction for e in events]
    assert done == sorted(done)
    assert len(done) > 30
    assert (events[0].text, entry.id) == ("copying a", "a")
    np.testing.assert_array_equal(again(project).image("a").data, image.data)


def test_a_copy_that_is_given_up_leaves_nothing_in_the_project(tmp_path, monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK", 16)
    project = Project.create(tmp_path / "p")
    job = project.copy_image(picture())
    next(job)
    job.close()
    assert again(project).images == ()
    assert not list((project.path / "images").rglob("*"))


def test_a_large_copy_is_read_piece_by_piece(project, monkeypatch):
    monkeypatch.setattr(chunks, "SMALL", 0)
    image = again(project).image("a")
    assert not isinstance(image.data, np.ndarray)
    np.testing.assert_array_equal(image.read(0), project.image("a").read(0))


def test_images_of_one_name_get_different_ids(project):
    ids = [project.add_image(picture(name=name)).id for name in ("a", "A", "b", "a")]
    assert ids == ["a-2", "A-3", "b", "a-4"]


@pytest.mark.parametrize("name, id", [("x/y:z", "x_y_z"), ("..", "image"), ("", "image"), ("zell äöü 1", "zell äöü 1")])
def test_an_id_can_be_a_file_name_anywhere(project, name, id):
    assert project.add_image(picture(name=name)).id == id
    assert again(project).image(id).shape == (40, 30)


def test_an_unknown_image_is_told_with_the_known_ones(project):
    with pytest.raises(ProjectError, match="no image 'b'.*Its images: a"):
        project.labels("b")


def test_a_moved_image_file_is_told(tmp_path, project):
    path = write_tiff(tmp_path / "images" / "b.tif")
    project.add_file(path)
    path.rename(tmp_path / "b.tif")
    with pytest.raises(ProjectError, match="b.tif is gone.*add it again from where it is now"):
        again(project).image("b")


def test_a_moved_image_file_added_again_keeps_its_labels(tmp_path, project):
    path = write_tiff(tmp_path / "images" / "b.tif")
    project.add_file(path)
    project.write_labels("b", labels := paint())
    path.rename(tmp_path / "b.tif")
    assert project.add_file(tmp_path / "b.tif").id == "b"
    assert len(again(project).images) == 2
    np.testing.assert_array_equal(again(project).labels("b"), labels)
    np.testing.assert_array_equal(again(project).image("b").data[0], tifffile.imread(tmp_path / "b.tif"))


def test_another_image_of_the_name_of_a_moved_one_is_another_image(tmp_path, project):
    path = write_tiff(tmp_path / "images" / "b.tif")
    project.add_file(path)
    path.unlink()
    assert project.add_file(write_tiff(tmp_path / "b.tif", (9, 8))).id == "b-2"


@pytest.mark.parametrize(("frames", "channels"), [(1, 1), (3, 3)])
def test_a_series_that_was_added_as_a_plane_or_as_channels_stays_what_it_was(tmp_path, project, frames, channels):
    pixels = RANDOM.integers(0, 99, (frames, 40, 30)).astype(np.uint8)
    write_labels(tmp_path / "film.nii.gz", pixels, axes="TYX")
    entry = project.add_file(tmp_path / "film.nii.gz")
    known = json.loads((project.path / FILE).read_text())
    before = {"axes": "CYX", "shape": [40, 30], "channels": channels, "spacing": [1.0, 1.0]}
    known["images"] = [{**e, **(before if e["id"] == entry.id else {})} for e in known["images"]]
    (project.path / FILE).write_text(json.dumps(known))
    image = again(project).image(entry.id)
    assert (image.axes, image.shape) == ("CYX", (40, 30))
    np.testing.assert_array_equal(np.asarray(image.data), pixels)


def test_an_image_file_of_another_shape_than_before_is_told(tmp_path, project):
    path = write_tiff(tmp_path / "images" / "b.tif")
    project.add_file(path)
    write_tiff(path, (9, 8))
    with pytest.raises(ProjectError, match=r"b.tif has 1 channel\(s\) of \(9, 8\) pixels now.*\(40, 30\)"):
        again(project).image("b")


def test_an_unreadable_image_is_not_added(tmp_path, project):
    (tmp_path / "b.tif").write_bytes(b"no tiff")
    with pytest.raises(ImageError, match="cannot be read as TIFF"):
        project.add_file(tmp_path / "b.tif")
    assert [e.id for e in again(project).images] == ["a"]


def test_a_project_with_its_copies_can_be_moved(tmp_path, project):
    project.write_labels("a", labels := paint())
    moved = Project.open(shutil.move(project.path, tmp_path / "elsewhere"))
    np.testing.assert_array_equal(moved.image("a").data, project.image("a").data)
    np.testing.assert_array_equal(moved.labels("a"), labels)


# ---------------------------------------------------------------- labels
def test_an_image_that_was_taken_out_comes_back_with_all_that_belongs_to_it(tmp_path, project):
    tifffile.imwrite(tmp_path / "b.tif", np.zeros((40, 30), np.uint16))
    entry, box = project.add_file(tmp_path / "b.tif"), Region((0, 1), (2, 9), (3, 9), validation=True)
    painted = np.zeros((40, 30), np.uint16)
    painted[3:5] = 2
    project.write_labels("b", painted)
    project.set_regions("b", [box])
    project.take_out("b")
    project = Project.open(project.path)
    assert ([e.id for e in project.images], project.left) == (["a"], (entry,))
    assert project.labelled() == ()
    with pytest.raises(ProjectError, match=r"'b' was taken out.*Add its file again"):
        project.labels("b")
    again = project.add_file(tmp_path / "b.tif", spacing=(2.0, 2.0), unit="µm")
    assert (again.id, again.spacing, again.unit) == ("b", (2.0, 2.0), "µm")
    assert (project.left, project.labelled()) == ((), ("b",))
    np.testing.assert_array_equal(project.labels("b"), painted)
    assert project.regions("b") == (box,)


def test_labels_of_an_image_that_was_taken_out_are_not_those_of_another(tmp_path, project):
    project.write_labels("a", np.ones((40, 30), np.uint16))
    project.take_out("a")
    other = project.add_image(picture())
    assert other.id == "a-2"
    assert project.labelled() == ()
    wide = replace(picture(), data=np.zeros((1, 30, 40), np.uint16))
    assert project.add_image(wide, was="a").id == "a-3"  # its labels would not fit


@pytest.mark.parametrize("axes", ["CZYX", "CTYX"])
def test_a_copy_that_was_taken_out_comes_back_and_may_have_other_axes(tmp_path, axes):
    project, image = Project.create(tmp_path / "p.sslseg"), picture("stack")
    project.add_image(image)
    project.write_labels("a", np.ones((5, 40, 30), np.uint16))
    project.take_out("a")
    entry = project.add_image(replace(image, axes=axes), was="a")
    assert (entry.id, entry.axes, project.labelled()) == ("a", axes, ("a",))
    assert (entry.source == "images/a.zarr") == (axes == image.axes)  # nothing is copied twice
    found = Project.open(project.path).image("a")
    assert found.axes == axes
    np.testing.assert_array_equal(found.data, image.data)


@pytest.mark.parametrize("order", [(0, 2, 1, 3), (0, 1, 3, 2), (1, 0, 2, 3)])
def test_a_copy_whose_axes_changed_places_is_another_image(tmp_path, order):
    pixels = np.random.default_rng(0).integers(0, 255, (6,) * 4, np.uint8)
    project, image = Project.create(tmp_path / "p.sslseg"), Image(pixels, name="a")
    project.add_image(image)
    project.write_labels("a", np.ones((6, 6, 6), np.uint16))
    project.take_out("a")
    entry = project.add_image(replace(image, data=pixels.transpose(order)), was="a")
    assert (entry.id, [e.id for e in project.left]) == ("a-2", ["a"])  # what is painted would lie elsewhere
    np.testing.assert_array_equal(Project.open(project.path).image("a-2").data, pixels.transpose(order))
    assert project.add_image(image, was="a").source == "images/a.zarr"
    assert project.labelled() == ("a",)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_copy_whose_pixels_changed_is_made_anew_and_keeps_its_labels(tmp_path, dtype):
    pixels = np.random.default_rng(0).integers(0, 255, (1, 5, 40, 30)).astype(dtype)
    if dtype == np.float32:
        pixels[0, 0, 0, 0] = np.nan  # is the same each time
    project, image = Project.create(tmp_path / "p.sslseg"), Image(pixels, name="a")
    project.add_image(image)
    project.write_labels("a", np.ones((5, 40, 30), np.uint16))
    project.take_out("a")
    assert project.add_image(replace(image, data=pixels.copy()), was="a").source == "images/a.zarr"
    project.take_out("a")
    changed = pixels.copy()
    changed[0, 4, 39, 29] += 1
    entry = project.add_image(replace(image, data=changed), was="a")
    assert (entry.id, entry.source, project.labelled()) == ("a", "images/a-2.zarr", ("a",))
    np.testing.assert_array_equal(Project.open(project.path).image("a").data, changed)


def test_a_file_that_was_taken_out_may_come_back_as_a_copy(tmp_path, project):
    tifffile.imwrite(tmp_path / "b.tif", np.zeros((40, 30), np.uint16))
    project.add_file(tmp_path / "b.tif")
    project.write_labels("b", np.ones((40, 30), np.uint16))
    project.take_out("b")
    entry = project.add_image(picture(), was="b")
    assert (entry.id, entry.source, project.labelled()) == ("b", "images/b.zarr", ("b",))


def test_an_image_gets_another_pixel_size_and_keeps_its_labels(project):
    project.write_labels("a", painted := np.ones((40, 30), np.uint16))
    project.set_spacing("a", (0.5, 0.25), "µm")
    found = Project.open(project.path)
    assert (found.image("a").spacing, found.image("a").unit) == ((0.5, 0.25), "µm")
    np.testing.assert_array_equal(found.labels("a"), painted)
    with pytest.raises(ImageError, match="has spacing"):
        project.set_spacing("a", (0.5, 0.0), "µm")


def test_an_image_gets_other_axes_and_keeps_its_id(tmp_path):
    project, image = Project.create(tmp_path / "p.sslseg"), picture("stack")
    project.add_image(image)
    project.write_labels("a", ones := np.ones((5, 40, 30), np.uint16))
    project.note_accepted("a", ones, (slice(0, 5), slice(0, 40), slice(0, 30)))
    project.write_labels("a", np.zeros((5, 40, 30), np.uint16))
    flat = Image(image.data[0], (1.0, 1.0), "pixel", "a")
    assert project.set_axes("a", flat).id == "a"
    found = Project.open(project.path)
    assert (found.entry("a").channels, found.entry("a").shape) == (5, (40, 30))
    np.testing.assert_array_equal(found.image("a").data, image.data[0])
    assert found.labels("a").shape == (40, 30)  # those of before, all erased, are gone
    found.note_accepted("a", ones[0], (slice(0, 40), slice(0, 30)))
    found.write_labels("a", ones[0])
    assert not found.annotation("a").by_hand().labels.any()


@pytest.mark.parametrize("what", ["strokes", "boxes", "masks"])
def test_axes_stay_where_something_lies_on_an_image(tmp_path, what):
    project, image = Project.create(tmp_path / "p.sslseg"), picture("stack")
    entry, full = project.add_image(image), np.ones((5, 40, 30), np.uint16)
    if what == "strokes":
        project.write_labels("a", full)
    elif what == "masks":
        project.write_prediction("a", full)
    else:
        project.set_regions("a", [Region((0, 1), (2, 9), (3, 9), validation=True)])
    with pytest.raises(ProjectError, match=rf"a has {what}.*Take it out"):
        project.set_axes("a", Image(image.data[0], (1.0, 1.0), "pixel", "a"))
    assert Project.open(project.path).entry("a") == entry


@pytest.fixture
def stacked(tmp_path, monkeypatch):
    """A project with a copy of a stack, which is read as it is asked for, and its planes as channels."""
    monkeypatch.setattr(chunks, "SMALL", 0)
    project = Project.create(tmp_path / "p.sslseg")
    project.add_image(picture("stack"))
    project = again(project)
    return project, Image(project.image("a").data[0], (0.5, 0.25), "µm", "a")


def copies(project):
    """All that is in the folder of images."""
    return sorted(p.name for p in (project.path / "images").iterdir())


def test_the_copy_with_the_axes_of_before_is_gone(stacked):
    project, flat = stacked
    pixels = np.asarray(project.image("a").data)
    for axes, expected in ((flat, "a-2.zarr"), (Image(flat.data[None], (1.0,) * 3, "pixel", "a"), "a.zarr")):
        entry = project.set_axes("a", axes)
        assert entry.source == f"images/{expected}"
        assert copies(project) == [expected]
        for found in (project, again(project)):
            np.testing.assert_array_equal(np.asarray(found.image("a").data).reshape(pixels.shape), pixels)


def test_an_image_that_is_read_from_its_file_again_has_no_copy(tmp_path, stacked):
    project, _ = stacked
    path = write_tiff(tmp_path / "a.tif")
    project.set_axes("a", replace(read_image(path), name="a"), path)
    assert copies(project) == []
    assert again(project).image("a").shape == (40, 30)
    assert path.exists()


def test_other_axes_are_asked_for_and_stopped_and_all_is_as_it_was(stacked):
    project, flat = stacked
    before, stop = project.entry("a"), Stop()
    stop.request()
    with pytest.raises(StoppedError):
        run(project.change_axes("a", flat, stop=stop))
    join_removing()
    assert (again(project).entry("a"), copies(project)) == (before, ["a.zarr"])


def join_removing():
    """Wait until what was stopped is removed."""
    for thread in threading.enumerate():
        if thread.name == REMOVING:
            thread.join()


def test_other_axes_that_cannot_be_noted_leave_the_copy_that_was_there_and_no_other(stacked, monkeypatch):
    project, flat = stacked
    before = project.entry("a")

    def fail(*_):
        raise StorageError("The disk is full", "Some room is needed")

    with monkeypatch.context() as patch:
        patch.setattr(type(project._file), "write", fail)
        with pytest.raises(StorageError):
            project.set_axes("a", flat)
    assert (again(project).entry("a"), copies(project)) == (before, ["a.zarr"])
    assert np.asarray(project.image("a").data).shape == (1, 5, 40, 30)


def test_the_copy_of_before_stays_until_the_project_refers_to_the_new_one(stacked, monkeypatch):
    project, flat = stacked
    seen = []
    write = type(project._file).write

    def watched(file, contents):
        seen.append(copies(project))
        write(file, contents)
        seen.append(copies(project))

    monkeypatch.setattr(type(project._file), "write", watched)
    project.set_axes("a", flat)
    assert seen == [["a-2.zarr", "a.zarr"]] * 2
    assert copies(project) == ["a-2.zarr"]


def test_a_copy_that_something_else_refers_to_stays(stacked):
    project, flat = stacked
    other = replace(project.entry("a"), id="b")
    project._change(left=(other,))
    project.set_axes("a", flat)
    assert copies(project) == ["a-2.zarr", "a.zarr"]


def test_who_reads_a_copy_that_is_gone_is_told(stacked):
    project, flat = stacked
    other = again(project).image("a")
    project.set_axes("a", flat)
    with pytest.raises(ImageError, match="a.zarr is gone or incomplete.*another copy has taken its place"):
        other.read(3)


def test_a_region_of_a_copy_is_read_from_its_own_copy(stacked):
    project, flat = stacked
    pixels = np.asarray(flat.data[:, :9, :9])
    whole = project.image("a")
    project.add_image(Image(whole.data[:, :, :9, :9], name="region"))
    project.set_axes("a", flat)
    np.testing.assert_array_equal(np.asarray(project.image("region").data[0]), pixels)


def test_nothing_is_labelled_at_first(project):
    assert project.labelled() == ()
    assert not project.labels("a").any()
    assert project.labels("a").shape == (40, 30)


@pytest.mark.parametrize("kind", KINDS)
def test_labels_come_back_whole(tmp_path, kind):
    project = Project.create(tmp_path / "p")
    project.add_image(picture(kind))
    labels = paint(KINDS[kind][1:])
    project.write_labels("a", labels)
    found = again(project)
    np.testing.assert_array_equal(found.labels("a"), labels)
    assert (found.labels("a").dtype, found.labelled()) == (np.uint16, ("a",))


@pytest.mark.parametrize(
    "region", [np.s_[0:1, 3:30, 7:29], np.s_[1:4, 0:16, 0:16], np.s_[4:5, 39:40, 0:30], np.s_[:, :, 5:5]]
)
def test_labels_of_a_region_leave_the_rest_alone(tmp_path, region, monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK", 16)
    project = Project.create(tmp_path / "p")
    project.add_image(picture("stack"))
    expected = paint((5, 40, 30))
    project.write_labels("a", expected)
    expected[region] = 9
    project.write_labels("a", expected[region], region)
    np.testing.assert_array_equal(again(project).labels("a"), expected)


def test_a_region_can_be_written_first(project):
    project.write_labels("a", paint((5, 6)) + 1, np.s_[10:15, 20:26])
    assert (project.labels("a") > 0).sum() == 30


def test_what_is_accepted_piece_by_piece_is_known_until_it_is_painted_over(tmp_path):
    project = Project.create(tmp_path / "p.sslseg")
    project.add_image(picture())
    labels = np.zeros((40, 30), np.uint16)
    assert project.annotation("a").accepted is None
    for rows, value in ((slice(0, 10), 1), (slice(5, 20), 2)):
        values = np.zeros((rows.stop - rows.start, 30), np.uint16)
        values[:, ::2] = value
        project.note_accepted("a", values, (rows, slice(0, 30)))
        labels[rows][values > 0] = value
    project.write_labels("a", labels)
    labels[12:14] = 3
    project.write_labels("a", labels)
    by_hand = Project.open(project.path).annotation("a").by_hand()
    np.testing.assert_array_equal(by_hand.labels, np.where(labels == 3, 3, 0))


def test_what_was_accepted_before_an_image_had_other_axes_counts_no_more(tmp_path):
    project = Project.create(tmp_path / "p.sslseg")
    project.add_image(picture())
    project._accepted.write(replace(project.entry("a"), shape=(4, 4)), np.ones((4, 4), np.uint16), None)
    project.write_labels("a", np.ones((40, 30), np.uint16))
    assert project.annotation("a").by_hand().labels.all()


def test_erased_labels_are_gone_from_the_disk(project):
    project.write_labels("a", paint())
    project.write_labels("a", np.zeros((40, 30), np.uint16))
    assert not again(project).labels("a").any()
    assert files(project.path / "labels") == ["a.zarr/zarr.json"]


def test_only_the_chunks_of_a_region_are_touched(project, monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK", 16)
    project.write_labels("a", paint() + 1)
    folder = project.path / "labels" / "a.zarr"
    before = {name: (folder / name).stat().st_mtime_ns for name in files(folder)}
    project.write_labels("a", np.full((2, 2), 7, np.uint16), np.s_[17:19, 0:2])
    after = {name: (folder / name).stat().st_mtime_ns for name in files(folder)}
    assert {name for name in after if after[name] != before[name]} == {"c/1/0"}


@pytest.mark.parametrize("region, shape", [(None, (40, 31)), (None, (1, 40, 30)), (np.s_[0:4, 0:4], (4, 5))])
def test_labels_of_another_shape_are_told_and_not_written(project, region, shape):
    with pytest.raises(LabelError, match="shape"):
        project.write_labels("a", np.ones(shape, np.uint16), region)
    assert project.labelled() == ()


@pytest.mark.parametrize("value", [-1, 65536])
def test_labels_that_cannot_be_stored_are_told_and_not_written(project, value):
    with pytest.raises(LabelError, match="Values from 0 to 65535 can be stored"):
        project.write_labels("a", np.full((40, 30), value))
    assert project.labelled() == ()


def test_an_annotation_has_the_task_of_the_project(project):
    project.set_task("instance")
    assert project.annotation("a").task == "instance"


def test_an_unknown_task_is_told(project):
    with pytest.raises(ProjectError, match="Task 'panoptic'.*'semantic' or 'instance'"):
        project.set_task("panoptic")


def test_classes_are_kept_in_the_order_of_their_values(project):
    project.set_classes([LabelClass(3, "c", "#000000"), LabelClass(1, "a", "#ffffff")])
    assert [c.value for c in again(project).classes] == [1, 3]


@pytest.mark.parametrize("values", [(1, 1), (0, 1)])
def test_classes_need_different_values_from_one_on(project, values):
    before = project.classes
    with pytest.raises(LabelError, match="different whole number from 1 on"):
        project.set_classes([LabelClass(v, str(v), "#000000") for v in values])
    assert project.classes == before


# ---------------------------------------------------------------- what was learned and predicted
def test_rounds_are_appended_with_their_time(project):
    for number in (1, 2):
        assert project.next_round() == number
        stored = project.add_round(Round(**{**vars(ROUND), "number": number}))
        assert stored.when.startswith("20")
    assert [r.number for r in again(project).rounds] == [1, 2]


def test_nothing_is_predicted_at_first(project):
    assert project.prediction("a") is None


def test_a_prediction_comes_back_whole(project):
    project.write_prediction("a", np.full((40, 30), 70000, np.uint32))
    assert (again(project).prediction("a") == 70000).all()


def test_predicted_planes_leave_the_others_alone(tmp_path):
    project = Project.create(tmp_path / "p")
    project.add_image(picture("stack"))
    for value, planes in ((1, (0, 3)), (2, (3,))):
        project.write_prediction("a", np.full((5, 40, 30), value, np.uint16), planes)
    assert again(project).prediction("a").max(axis=(1, 2)).tolist() == [1, 0, 0, 2, 0]


# ---------------------------------------------------------------- a full disk and a missing permission
CHANGES = {
    "classes": lambda p: p.set_classes([LabelClass(1, "x", "#000000")]),
    "task": lambda p: p.set_task("instance"),
    "round": lambda p: p.add_round(ROUND),
    "pretrained": lambda p: p.set_pretrained(p.path / "c.safetensors"),
    "file": lambda p: p.add_file(write_tiff(p.path.parent / "b.tif")),
    "image": lambda p: p.add_image(picture()),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(
    "step, number, said", [("fsync", errno.ENOSPC, "is full"), ("replace", errno.EACCES, "no permission")]
)
def test_a_change_that_cannot_be_written_is_told_and_not_made(project, monkeypatch, change, step, number, said):
    before, contents = (project.path / FILE).read_bytes(), project._contents
    with monkeypatch.context() as patch:
        patch.setattr(os, step, fail(number))
        with pytest.raises(StorageError, match=said):
            CHANGES[change](project)
    assert (project.path / FILE).read_bytes() == before
    assert project._contents == contents
    assert [p.name for p in project.path.iterdir() if p.name.startswith(".")] == [".locks"]


def full_after(monkeypatch, count):
    """Let zarr write some files and then find the disk full."""
    write, written = zarr.storage.LocalStore.set, []

    async def limited(self, key, value):
        if len(written) >= count:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(key)
        await write(self, key, value)

    monkeypatch.setattr(zarr.storage.LocalStore, "set", limited)


@pytest.mark.parametrize("region", [None, np.s_[3:37, 2:29]])
@pytest.mark.parametrize("count", [0, 1, 3])
def test_labels_on_a_full_disk_leave_the_old_ones_whole(project, monkeypatch, region, count):
    monkeypatch.setattr(chunks, "CHUNK", 16)
    project.write_labels("a", old := paint())
    before = files(project.path)
    with monkeypatch.context() as patch:
        full_after(patch, count)
        with pytest.raises(StorageError, match="is full.*untouched.*Make room"):
            project.write_labels("a", (old + 1)[region or ...], region)
    np.testing.assert_array_equal(again(project).labels("a"), old)
    assert files(project.path) == before


@pytest.mark.parametrize(
    "step, number, said", [("fsync", errno.ENOSPC, "is full"), ("replace", errno.EACCES, "no permission")]
)
def test_labels_that_cannot_be_put_in_place_leave_the_old_ones_whole(project, monkeypatch, step, number, said):
    project.write_labels("a", old := paint())
    with monkeypatch.context() as patch:
        patch.setattr(os, step, fail(number))
        with pytest.raises(StorageError, match=said):
            project.write_labels("a", old + 1)
    np.testing.assert_array_equal(again(project).labels("a"), old)


def test_first_labels_on_a_full_disk_can_be_written_when_there_is_room(project, monkeypatch):
    with monkeypatch.context() as patch:
        full_after(patch, 0)
        with pytest.raises(StorageError, match="is full"):
            project.write_labels("a", paint())
    assert not again(project).labels("a").any()
    project.write_labels("a", labels := paint())
    np.testing.assert_array_equal(again(project).labels("a"), labels)


@pytest.mark.parametrize("count", [0, 2])
def test_an_image_on_a_full_disk_can_be_copied_when_there_is_room(project, monkeypatch, count):
    monkeypatch.setattr(chunks, "CHUNK", 16)
    before = files(project.path)
    with monkeypatch.context() as patch:
        full_after(patch, count)
        with pytest.raises(StorageError, match="is full"):
            project.add_image(picture(name="b"))
    assert files(project.path) == before
    assert project.add_image(picture(name="b")).id == "b"


def test_a_folder_that_may_not_be_looked_into_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "iterdir", fail(errno.EACCES))
    with pytest.raises(StorageError, match="no permission"):
        Project.create(tmp_path)


# ---------------------------------------------------------------- a crash
WRITER = """
import itertools, sys
import numpy as np
from napari_sslseg.annotation import LabelClass
from napari_sslseg.io import chunks, read_image, write_labels
from napari_sslseg.project import Project

chunks.CHUNK = 16
project = Project.open(sys.argv[1])
for n in itertools.count(1):
    project.write_labels("a", np.full((40, 30), n, np.uint16))
    project.set_classes([LabelClass(1, "a", "#000000"), LabelClass(n + 1, "b", "#000000")])
    sys.stdout.write(f"{n}\\n")
    sys.stdout.flush()
"""


@pytest.mark.parametrize("finished", [1, 6])
def test_labels_survive_a_kill_in_the_middle_of_writing(project, finished):
    writer = subprocess.Popen([sys.executable, "-c", WRITER, project.path], stdout=subprocess.PIPE, text=True)
    for _ in range(finished):
        writer.stdout.readline()
    writer.kill()
    told = [finished, *map(int, writer.communicate()[0].split())][-1]
    found = again(project)
    blocks = [found.labels("a")[y : y + 16, x : x + 16] for y in range(0, 40, 16) for x in range(0, 30, 16)]
    assert all(b.min() == b.max() for b in blocks)  # each chunk is of one write
    assert {int(b.min()) for b in blocks} <= {told, told + 1}  # of the last one that was told, or of the next
    assert found.classes[1].value - 1 in (told, told + 1)
    found.write_labels("a", labels := paint())
    np.testing.assert_array_equal(again(found).labels("a"), labels)
