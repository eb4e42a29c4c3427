"""Files in and out of a project: which labels belong to which image, and where predictions are written."""

import re
import shutil
from dataclasses import replace
from pathlib import Path, PurePath

import nibabel
import numpy as np
import PIL.Image
import pydicom
import pytest
import tifffile
from scenes import disks, paint

from napari_sslseg import vast
from napari_sslseg.checkpoint import Checkpoint
from napari_sslseg.contents import ContentsFile
from napari_sslseg.errors import ImageError, LabelError, ProjectError, StorageError
from napari_sslseg.exchange import add_images, add_labels, predict_files, predicted_files
from napari_sslseg.image import Image
from napari_sslseg.io import growing, read_image, read_labels, receipts, write_labels, zarr_format
from napari_sslseg.job import Notice, Progress, Stop, run
from napari_sslseg.piecewise import in_pieces, predict_into
from napari_sslseg.predicting import predict
from napari_sslseg.project import Project
from napari_sslseg.settings import FinetuneConfig, PredictConfig
from napari_sslseg.workflow import train_project

TILES = PredictConfig(tile=64, overlap=16)
SHAPE = (20, 30)


@pytest.fixture
def project(tmp_path):
    return Project.create(tmp_path / "p.sslseg")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    project, (image, truth) = Project.create(tmp_path_factory.mktemp("trained") / "p"), disks(64)
    project.add_image(image)
    project.write_labels("disks0", paint(truth))
    run(train_project(project, FinetuneConfig(encoder="unet", start="random", crop=32, batch=4, steps=5)))
    return project


def image(path, shape=SHAPE, **how):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 4000, shape).astype(np.uint16)
    if path.suffix == ".tif":
        tifffile.imwrite(path, pixels, photometric="rgb" if shape[-1] == 3 else "minisblack", **how)
    elif path.suffix == ".npy":
        np.save(path, pixels)
    elif path.suffix == ".zarr":
        write_labels(path, pixels)
    else:
        PIL.Image.fromarray((pixels // 16).astype(np.uint8)).save(path)
    return path


def labels(path, values=(0, 1, 2), shape=SHAPE):
    painted = np.resize(np.asarray(values, np.uint32), shape)
    write_labels(path, painted)
    return painted


# ---------------------------------------------------------------- images
def test_all_images_of_a_folder_are_added(tmp_path, project):
    for name in ("b10.tif", "b2.tif", "a.png", "notes.txt"):
        (tmp_path / "images").mkdir(exist_ok=True)
        (tmp_path / "images" / name).write_text("x") if name.endswith("txt") else image(tmp_path / "images" / name)
    assert add_images(project, [tmp_path / "images"]) == ["a", "b2", "b10"]


def test_adding_the_same_folder_again_adds_nothing(tmp_path, project):
    image(tmp_path / "images" / "a.tif")
    assert add_images(project, [tmp_path / "images"]) == add_images(project, [tmp_path / "images"]) == ["a"]


def test_many_images_are_added_in_one_change_of_the_project(tmp_path, project, monkeypatch):
    written, write = [], ContentsFile.write
    monkeypatch.setattr(ContentsFile, "write", lambda file, contents: (written.append(1), write(file, contents)))
    for name in ("x/a.tif", "x/b.tif", "y/a.tif"):
        image(tmp_path / name)
    assert add_images(project, [tmp_path / "x", tmp_path / "y"]) == ["a", "b", "a-2"]
    assert len(written) == 1
    project.take_out("b")
    (tmp_path / "x" / "a.tif").rename(tmp_path / "a.tif")  # moved, and known by its name and shape
    image(tmp_path / "x" / "c.tif")
    assert add_images(project, [tmp_path / "a.tif", tmp_path / "x"]) == ["a", "b", "c"]
    assert [e.id for e in Project.open(project.path).images] == ["a", "a-2", "b", "c"]
    assert len(written) == 3


def test_images_of_different_channels_are_told_and_none_is_added(tmp_path, project):
    image(tmp_path / "images" / "a.tif")
    image(tmp_path / "images" / "b.tif", (20, 30, 3))
    with pytest.raises(ImageError, match=r"a.tif has 1 channel\(s\) and b.tif has 3.*one project for each kind"):
        add_images(project, [tmp_path / "images"])
    assert project.images == ()


def test_an_image_unlike_those_of_the_project_is_told(tmp_path, project):
    add_images(project, [image(tmp_path / "a.tif")])
    with pytest.raises(ImageError, match=r"a has 1 channel\(s\) and b.tif has 3"):
        add_images(project, [image(tmp_path / "b.tif", (20, 30, 3))])


def test_an_unreadable_image_is_told_and_none_is_added(tmp_path, project):
    image(tmp_path / "images" / "a.tif")
    (tmp_path / "images" / "b.tif").write_bytes(b"II*\0 and nothing more")
    with pytest.raises(ImageError, match="b.tif cannot be read as TIFF"):
        add_images(project, [tmp_path / "images"])
    assert project.images == ()


# ---------------------------------------------------------------- labels
def test_labels_belong_to_the_image_of_their_name(tmp_path, project):
    add_images(project, [image(tmp_path / "images" / name) for name in ("a.tif", "b.png")])
    painted = labels(tmp_path / "labels" / "b.npy")
    assert add_labels(project, [tmp_path / "labels"]) == ["b"]
    np.testing.assert_array_equal(project.labels("b"), painted)
    assert project.labelled() == ("b",)


def test_labels_belong_to_an_image_whose_name_no_file_may_have_everywhere(tmp_path, project):
    add_images(project, [image(tmp_path / "images" / "cell (1).tif")])
    labels(tmp_path / "cell (1).tif")
    assert add_labels(project, [tmp_path / "cell (1).tif"]) == [project.images[0].id]


def test_labels_replace_those_there_were(tmp_path, project):
    add_images(project, [image(tmp_path / "images" / "a.tif")])
    labels(tmp_path / "a.tif", (1, 2, 3))
    add_labels(project, [tmp_path / "a.tif"])
    painted = labels(tmp_path / "a.tif", (0, 0, 2))
    add_labels(project, [tmp_path / "a.tif"])
    np.testing.assert_array_equal(project.labels("a"), painted)


def test_new_values_become_classes_and_known_ones_keep_their_names(tmp_path, project):
    add_images(project, [image(tmp_path / "images" / "a.tif")])
    labels(tmp_path / "a.tif", (0, 1, 7))
    before = project.classes
    add_labels(project, [tmp_path / "a.tif"])
    assert project.classes[:2] == before
    assert [c.value for c in project.classes] == [1, 2, 7]


def test_objects_do_not_become_classes(tmp_path):
    project = Project.create(tmp_path / "p", "instance")
    add_images(project, [image(tmp_path / "images" / "a.tif")])
    labels(tmp_path / "a.tif", range(1, 400))
    add_labels(project, [tmp_path / "a.tif"])
    assert [c.value for c in project.classes] == [1, 2]


def test_labels_of_an_unknown_image_are_told(tmp_path, project):
    add_images(project, [image(tmp_path / "images" / "a.tif")])
    labels(tmp_path / "b.tif")
    with pytest.raises(
        LabelError, match="an image called 'b', which the project does not have. Its images: a.*--images"
    ):
        add_labels(project, [tmp_path / "b.tif"])


BAD = {
    "another shape": (lambda p: labels(p, shape=(9, 8)), LabelError, r"b.tif have shape \(9, 8\). .*shape \(20, 30\)"),
    "too high": (lambda p: labels(p, (1, 70000)), LabelError, "b.tif go up to 70000. Values up to 65535"),
    "too many": (lambda p: labels(p, range(1, 400)), LabelError, "hold 399 values.*255 classes.*--task instance"),
    "no labels": (lambda p: image(p, (20, 30, 3)), LabelError, "b.tif has 3 colours"),
    "not whole": (
        lambda p: tifffile.imwrite(p, np.full(SHAPE, 0.5)),
        LabelError,
        "b.tif holds numbers that are not whole",
    ),
    "unreadable": (lambda p: p.write_bytes(b"no tiff"), ImageError, "b.tif cannot be read as TIFF"),
}


@pytest.mark.parametrize("kind", BAD)
def test_nothing_is_written_when_one_of_two_label_files_is_bad(tmp_path, project, kind):
    make, error, said = BAD[kind]
    add_images(project, [image(tmp_path / "images" / name) for name in ("a.tif", "b.tif")])
    (tmp_path / "labels").mkdir()
    labels(tmp_path / "labels" / "a.tif", (0, 1, 5))
    make(tmp_path / "labels" / "b.tif")
    before = project.classes
    with pytest.raises(error, match=said):
        add_labels(project, [tmp_path / "labels"])
    assert (project.labelled(), project.classes) == ((), before)


def test_two_label_files_for_one_image_are_told(tmp_path, project):
    add_images(project, [image(tmp_path / "images" / "a.tif")])
    for name in ("a.tif", "a.npy"):
        labels(tmp_path / "labels" / name)
    with pytest.raises(LabelError, match="Two label files are called 'a'"):
        add_labels(project, [tmp_path / "labels"])


# ---------------------------------------------------------------- predictions
@pytest.mark.parametrize(
    "name, shape, written",
    [
        ("a.tif", (40, 50), "a.tif"),
        ("a.ome.tif", (40, 50), "a.ome.tif"),
        ("stack.tif", (3, 40, 50), "stack.tif"),
        ("a.png", (40, 50), "a.png"),
        ("a.jpg", (40, 50), "a.tif"),
        ("a.npy", (40, 50), "a.npy"),
        ("a.zarr", (2, 40, 50), "a.zarr"),
        ("thin.tif", (1, 70), "thin.tif"),
    ],
)
def test_a_prediction_has_the_name_and_shape_of_its_image(tmp_path, trained, name, shape, written):
    path = image(tmp_path / "images" / name, shape)
    found = run(predict_files(trained, [path], tmp_path / "out", TILES))
    assert found == [tmp_path / "out" / written]
    assert read_labels(found[0]).shape == shape
    assert set(np.unique(read_labels(found[0]))) <= {1, 2}


def test_a_prediction_has_the_pixel_size_of_its_image(tmp_path, trained):
    path = image(tmp_path / "a.tif", (40, 50), resolution=(4, 2), metadata={"unit": "um"}, imagej=True)
    (found,) = run(predict_files(trained, [path], tmp_path / "out", TILES))
    assert read_image(found).spacing == pytest.approx((0.5, 0.25))
    assert read_image(found).unit == read_image(path).unit


def test_files_that_were_given_other_axes_are_predicted_and_added_again_with_these(tmp_path, trained):
    project = Project.open(shutil.copytree(trained.path, tmp_path / "p"))
    path = image(tmp_path / "a.tif", (3, 40, 50))
    project.add_file(path, "TYX", spacing=(2.5, 0.5, 0.5), unit="µm")
    (found,) = run(predict_files(project, [path], tmp_path / "out", TILES))
    masks = read_image(found)
    assert (masks.axes, masks.spacing, masks.unit) == ("CTYX", (2.5, 0.5, 0.5), "µm")
    coloured = Project.create(tmp_path / "q")
    coloured.add_file(path, "CYX")
    assert add_images(coloured, [path]) == ["a"]


def test_axes_that_files_do_not_say_can_be_named(tmp_path, trained):
    path = image(tmp_path / "images" / "a.npy", (1, 3, 40, 50))
    project = Project.create(tmp_path / "q")
    with pytest.raises(ImageError, match="Name the axes, for example --axes TCYX"):
        add_images(project, [path])
    add_images(project, [path], "CTYX")
    assert project.image("a").axes == "CTYX"
    (found,) = run(predict_files(trained, [path], tmp_path / "out", TILES, axes="CTYX"))
    assert read_labels(found).shape == (3, 40, 50)


def test_labels_of_a_plane_fit_a_series_of_one_frame_and_the_other_way_round(tmp_path, project):
    series = image(tmp_path / "a.tif", (1, *SHAPE), metadata={"axes": "TYX"})
    add_images(project, [series, image(tmp_path / "b.tif")])
    assert [e.shape for e in project.images] == [(1, *SHAPE), SHAPE]
    write_labels(tmp_path / "labels" / "a.tif", np.ones(SHAPE, np.uint8))
    write_labels(tmp_path / "labels" / "b.tif", np.ones((1, *SHAPE), np.uint8))
    assert add_labels(project, [tmp_path / "labels"]) == ["a", "b"]
    assert [project.labels(id).shape for id in "ab"] == [(1, *SHAPE), SHAPE]


def test_predictions_of_a_series_of_one_frame_are_one(tmp_path, trained):
    path = image(tmp_path / "images" / "a.tif", (1, 40, 50), metadata={"axes": "TYX"})
    (found,) = run(predict_files(trained, [path], tmp_path / "out", TILES))
    assert (read_image(found).axes, read_labels(found).shape) == ("CTYX", (1, 40, 50))


@pytest.mark.parametrize("how", [{"imagej": True}, {"ome": True}, {}])
def test_predictions_of_a_time_series_are_one(tmp_path, trained, how):
    path = image(tmp_path / "images" / "a.tif", (3, 40, 50), metadata={"axes": "TYX"}, **how)
    (found,) = run(predict_files(trained, [path], tmp_path / "out", replace(TILES, probabilities=True)))
    assert read_image(found).axes == read_image(tmp_path / "out" / "probabilities" / "a.tif").axes == "CTYX"


def test_a_large_time_series_is_predicted_to_one(tmp_path, trained, pieces):
    path = tmp_path / "a.zarr"
    write_labels(path, np.random.default_rng(0).integers(0, 4000, (3, 50, 70)), axes="TYX")
    (found,) = run(predict_files(trained, [path], tmp_path / "out", TILES))
    assert read_image(found).axes == "CTYX"


def test_probabilities_are_written_beside_the_labels(tmp_path, trained):
    path = image(tmp_path / "images" / "a.tif", (40, 50))
    config = PredictConfig(tile=64, overlap=16, probabilities=True)
    (found,) = run(predict_files(trained, [path], tmp_path / "out", config))
    probabilities = tifffile.imread(tmp_path / "out" / "probabilities" / "a.tif")
    assert (probabilities.shape, probabilities.dtype) == ((2, 40, 50), np.float32)
    np.testing.assert_allclose(probabilities.sum(0), 1, atol=2e-3)
    assert (probabilities.argmax(0) + 1 == read_labels(found)).mean() > 0.99


def test_only_the_named_images_are_predicted(tmp_path, trained):
    for name in ("a.tif", "b.tif", "c.tif"):
        image(tmp_path / "images" / name)
    found = run(predict_files(trained, [tmp_path / "images"], tmp_path / "out", TILES, ids=["c", "a"]))
    assert [p.name for p in found] == ["a.tif", "c.tif"]


def test_an_unknown_name_is_told_before_anything_is_predicted(tmp_path, trained):
    image(tmp_path / "images" / "a.tif")
    with pytest.raises(ImageError, match="no image 'x'. The images given are: a"):
        run(predict_files(trained, [tmp_path / "images"], tmp_path / "out", TILES, ids=["a", "x"]))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("given", ["images", "images/a.jpg"])
def test_an_image_is_never_replaced_by_its_prediction(tmp_path, trained, given):
    for name in ("a.tif", "a.jpg") if given.endswith("jpg") else ("a.tif",):
        path = image(tmp_path / "images" / name)
    before = path.read_bytes()
    if given.endswith("jpg"):
        add_images(trained, [tmp_path / "images" / "a.tif"])
    with pytest.raises(StorageError, match="would replace an image.*another folder.*--out"):
        run(predict_files(trained, [tmp_path / given], tmp_path / "images", TILES))
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["a.tif", "a.zarr"])
def test_a_prediction_replaces_only_predictions_that_nobody_changed(tmp_path, trained, name):
    path, out = image(tmp_path / "images" / name), tmp_path / "out"
    for _ in range(2):  # its own work is replaced
        (found,) = run(predict_files(trained, [path], out, TILES))
    corrected = read_labels(found).copy()
    corrected[:3] = 7
    write_labels(found, corrected)
    with pytest.raises(StorageError, match="is there already and was changed since.*Choose another folder"):
        run(predict_files(trained, [path], out, TILES))
    assert np.array_equal(read_labels(found), corrected)


def test_a_prediction_does_not_replace_labels(tmp_path, trained):
    paths = [image(tmp_path / "images" / name) for name in ("a.tif", "b.tif")]
    painted = tmp_path / "labels" / "b.tif"
    write_labels(painted, np.ones((48, 64), np.uint16))
    before = painted.read_bytes()
    with pytest.raises(StorageError, match="b.tif is there already and was not predicted"):
        run(predict_files(trained, paths, painted.parent, TILES))
    assert painted.read_bytes() == before
    assert not (tmp_path / "labels" / "a.tif").exists()


def test_commands_that_write_into_one_folder_keep_what_the_other_noted(tmp_path):
    one, other = receipts.Receipts(tmp_path), receipts.Receipts(tmp_path)
    for noting, name in ((one, "a.tif"), (other, "b.tif"), (one, "c.tif")):
        (tmp_path / name).write_text(name)
        noting.note(tmp_path / name)
    for name in ("a.tif", "b.tif", "c.tif"):
        receipts.Receipts(tmp_path).check(tmp_path / name)


def test_probabilities_replace_only_probabilities_that_nobody_changed(tmp_path, trained):
    path, out = image(tmp_path / "images" / "a.tif"), tmp_path / "out"
    for _ in range(2):
        run(predict_files(trained, [path], out, replace(TILES, probabilities=True)))
    (out / "probabilities" / "a.tif").write_text("a note of mine")
    with pytest.raises(StorageError, match="is there already and was changed since"):
        run(predict_files(trained, [path], out, replace(TILES, probabilities=True)))
    assert (out / "probabilities" / "a.tif").read_text() == "a note of mine"


def test_probabilities_of_two_images_are_not_written_to_one_file(tmp_path, trained):
    paths = [image(tmp_path / "images" / name) for name in ("a.tif", "a.png")]
    with pytest.raises(StorageError, match="Two images would be written to .*probabilities/a.tif"):
        run(predict_files(trained, paths, tmp_path / "out", replace(TILES, probabilities=True)))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["", "[]", "not json"])
def test_without_a_readable_receipt_nothing_is_replaced(tmp_path, text):
    file = tmp_path / "a.tif"
    file.write_bytes(b"pixels")
    (tmp_path / receipts.FILES["predicted"]).write_text(text)
    with pytest.raises(StorageError, match="was not predicted"):
        receipts.Receipts(tmp_path).check(file)


def test_two_images_of_one_name_are_not_predicted_to_one_file(tmp_path, trained):
    paths = [image(tmp_path / folder / "a.tif") for folder in ("x", "y")]
    with pytest.raises(StorageError, match="Two images would be written to .*a.tif"):
        run(predict_files(trained, paths, tmp_path / "out", TILES))


def test_dicom_files_named_by_numbers_are_predicted_to_files_of_their_names(tmp_path, project):
    source = Path(pydicom.__file__).parent / "data" / "test_files" / "CT_small.dcm"
    names = ["1.2.840.113619.2.55.3", "1.2.840.113619.2.55.4"]
    files = [Path(shutil.copy(source, tmp_path / name)) for name in names]
    assert [p.name for p in predicted_files(project, files, tmp_path / "out")] == [f"{n}.nii.gz" for n in names]


def test_many_files_are_planned_without_comparing_each_with_every_other(tmp_path, project, monkeypatch):
    for k in range(200):
        (tmp_path / f"{k}.tif").touch()
    compared, equal = [], PurePath.__eq__
    monkeypatch.setattr(PurePath, "__eq__", lambda path, other: (compared.append(1), equal(path, other))[1])
    assert len(predicted_files(project, [tmp_path], tmp_path / "out")) == 200
    assert len(compared) < 2000


def test_predictions_that_are_done_stay_when_stopped(tmp_path, trained):
    for name in ("a.tif", "b.tif"):
        image(tmp_path / "images" / name)
    stop = Stop()

    def stop_at_the_second(event):
        if isinstance(event, Progress) and event.fraction >= 0.5:
            stop.request()

    found = run(predict_files(trained, [tmp_path / "images"], tmp_path / "out", TILES, stop=stop), stop_at_the_second)
    assert [p.name for p in found] == [p.name for p in (tmp_path / "out").glob("*.tif")] == ["a.tif"]


@pytest.mark.usefixtures("always_told")
def test_of_a_stack_that_was_stopped_in_the_middle_nothing_is_written(tmp_path, trained):
    image(tmp_path / "images" / "stack.tif", (3, 64, 64))
    stop = Stop()

    def stop_in_the_middle(event):
        if isinstance(event, Progress) and event.fraction > 0.4:
            stop.request()

    job = predict_files(trained, [tmp_path / "images"], tmp_path / "out", TILES, stop=stop)
    assert run(job, stop_in_the_middle) == []
    assert not list((tmp_path / "out").glob("*.tif"))


def test_progress_of_many_files_never_falls(tmp_path, trained):
    for name in ("a.tif", "b.tif", "c.tif"):
        image(tmp_path / "images" / name)
    heard = []
    run(predict_files(trained, [tmp_path / "images"], tmp_path / "out", TILES), heard.append)
    fractions = [e.fraction for e in heard if isinstance(e, Progress)]
    assert fractions == sorted(fractions)
    assert fractions[-1] == pytest.approx(1)


def test_predicting_before_training_is_told(tmp_path, project):
    with pytest.raises(ProjectError, match="has not been trained yet"):
        run(predict_files(project, [image(tmp_path / "a.tif")], tmp_path / "out", TILES))


def test_masks_of_a_dicom_series_are_nifti_in_the_same_place(tmp_path, trained):
    source = Path(pydicom.__file__).parent / "data" / "test_files" / "dicomdirtests" / "98892001" / "CT5N"
    config = PredictConfig(tile=64, overlap=16, probabilities=True)
    (found,) = run(predict_files(trained, [source], tmp_path / "out", config))
    assert found == tmp_path / "out" / "CT5N.nii.gz"
    masks, head = nibabel.load(found), pydicom.dcmread(source / "3353")  # the lowest plane
    chances = nibabel.load(tmp_path / "out" / "probabilities" / "CT5N.nii.gz")
    assert chances.shape == (16, 16, 5, 2)
    np.testing.assert_array_equal(chances.affine, masks.affine)
    assert masks.shape == (16, 16, 5)
    x, y, z = head.ImagePositionPatient
    np.testing.assert_allclose(masks.affine[:3, 3], [-x, -y, z])
    assert read_image(found).spacing == pytest.approx(read_image(source).spacing)


def test_a_dicom_series_is_an_image_of_a_project(tmp_path, project):
    source = shutil.copytree(
        Path(pydicom.__file__).parent / "data" / "test_files" / "dicomdirtests" / "98892001" / "CT5N", tmp_path / "CT"
    )
    assert add_images(project, [source]) == ["CT"]
    entry = Project.open(project.path).entry("CT")
    assert (entry.shape, entry.unit) == ((5, 16, 16), "mm")
    assert Project.open(project.path).image("CT").data.shape == (1, 5, 16, 16)


# ---------------------------------------------------------------- piece by piece
@pytest.fixture
def pieces(monkeypatch):
    """Images of more than 4000 pixels are predicted in pieces of a plane of 32²."""
    monkeypatch.setattr(vast, "MOST", 4000)
    monkeypatch.setattr(growing, "PIECE", {"Z": 1, "Y": 32, "X": 32})
    monkeypatch.setattr(zarr_format, "CHUNK", {"Z": 1, "Y": 32, "X": 32})


def at_once(trained, path):
    """The masks as they are where all of it fits into memory."""
    (found,) = run(predict([read_image(path)], Checkpoint.load(trained.trained), TILES))
    return found.labels


@pytest.mark.parametrize("shape", [(3, 50, 70), (90, 70)])
def test_a_large_image_is_predicted_in_pieces_as_at_once(tmp_path, trained, shape, pieces):
    path = image(tmp_path / "images" / "a.zarr", shape)
    (found,) = run(predict_files(trained, [path], tmp_path / "out", TILES))
    assert found == tmp_path / "out" / "a.zarr"
    assert (read_labels(found) == at_once(trained, path)).mean() > 0.97  # tiles lie elsewhere
    assert run(predict_files(trained, [path], tmp_path / "out", TILES)) == [found]  # it may be replaced


@pytest.mark.usefixtures("always_told")
def test_a_large_image_is_gone_on_with_where_it_was_stopped(tmp_path, trained, pieces):
    path, out = image(tmp_path / "images" / "a.zarr", (3, 50, 70)), tmp_path / "out"
    stop, heard = Stop(), []

    def stop_in_the_middle(event):
        heard.append(event)
        if isinstance(event, Progress) and event.fraction > 0.5:
            stop.request()

    assert run(predict_files(trained, [path], out, TILES, stop=stop), stop_in_the_middle) == []
    assert not list(out.glob("*.zarr"))
    (said,) = [e.text for e in heard if isinstance(e, Notice)]
    done = int(re.search(r"a: (\d+) of 18 pieces are done; the same again goes on", said)[1])
    assert 7 <= done <= 10
    again = []
    (found,) = run(predict_files(trained, [path], out, TILES), again.append)
    assert [e.text for e in again if isinstance(e, Notice)] == [f"a: going on from piece {done + 1} of 18."]
    assert min(e.fraction for e in again if isinstance(e, Progress)) >= done / 18
    (whole,) = run(predict_files(trained, [path], tmp_path / "other", TILES))
    np.testing.assert_array_equal(read_labels(found), read_labels(whole))


def test_another_network_does_not_go_on_with_pieces_of_this_one(tmp_path, trained, pieces):
    path, checkpoint = image(tmp_path / "images" / "a.zarr", (2, 40, 40)), Checkpoint.load(trained.trained)
    opened, target = read_image(path), tmp_path / "out" / "a.zarr"
    target.parent.mkdir()
    first = growing.Growing.open(target, (2, 40, 40), np.uint8, asked=[TILES.to_dict(), "one"])
    first.write(np.ones((1, 32, 32), np.uint8))
    heard = []
    assert run(predict_into(target, opened, checkpoint, TILES, asked=["two"]), heard.append)
    assert not [e for e in heard if isinstance(e, Notice)]


def test_probabilities_of_a_large_image_are_refused(tmp_path, trained, pieces):
    path = image(tmp_path / "images" / "a.zarr", (3, 50, 70))
    with pytest.raises(ImageError, match="piece by piece, and probabilities were asked for.*Leave --probabilities out"):
        run(predict_files(trained, [path], tmp_path / "out", PredictConfig(probabilities=True)))


@pytest.mark.parametrize(
    "name, kind, expected", [("a.zarr", None, True), ("a.tif", None, False), ("a.zarr", {}, False)]
)
def test_only_classes_that_go_to_a_zarr_folder_are_predicted_in_pieces(name, kind, expected, pieces):
    large = Image(np.zeros((1, 3, 50, 70), np.uint8), (1.0, 1.0, 1.0))
    assert in_pieces(large, Path(name), Checkpoint({}, {"object_size": kind}, {})) is expected
    small = Image(np.zeros((1, 50, 70), np.uint8), (1.0, 1.0))
    assert not in_pieces(small, Path(name), Checkpoint({}, {"object_size": kind}, {}))
