"""Masks that a project holds are written as they are, and nothing is written over unasked."""

import nibabel
import numpy as np
import pytest
import tifffile

from napari_sslseg.errors import ProjectError, StorageError
from napari_sslseg.exporting import export_masks, targets
from napari_sslseg.image import Image
from napari_sslseg.io import read_image, read_labels
from napari_sslseg.job import Notice, Stop, run
from napari_sslseg.project import Project

MASKS = np.resize(np.array([1, 2, 70000], np.uint32), (20, 30))


@pytest.fixture
def project(tmp_path):
    """Two images with masks, and one without."""
    made = Project.create(tmp_path / "p.sslseg")
    for name in "abc":
        made.add_image(Image.from_array(np.zeros((20, 30), np.uint8), spacing=(0.5, 0.5), unit="µm", name=name))
    for name in "ab":
        made.write_prediction(name, MASKS)
    return made


def test_masks_are_written_with_the_pixel_size_of_their_image(project, tmp_path):
    events = []
    files = run(export_masks(project, tmp_path / "out"), events.append)
    assert files == [tmp_path / "out" / "a.tif", tmp_path / "out" / "b.tif"]
    np.testing.assert_array_equal(read_labels(files[0]), MASKS)
    assert read_image(files[0]).spacing == (0.5, 0.5)
    assert Notice("No masks yet: c") in events


@pytest.mark.parametrize("large", [False, True])
def test_masks_of_a_time_series_are_one(project, tmp_path, monkeypatch, large):
    pixels = np.zeros((3, 20, 30), np.uint8)
    project.add_image(Image.from_array(pixels, "TYX", spacing=(1.0, 0.5, 0.5), unit="µm", name="d"))
    project.write_prediction("d", np.ones((3, 20, 30), np.uint8))
    if large:
        monkeypatch.setattr("napari_sslseg.vast.large", lambda shape: True)
    (file,) = run(export_masks(project, tmp_path / "out", ["d"]))
    image = read_image(file)
    assert (image.axes, image.spacing, image.unit) == ("CTYX", (1.0, 0.5, 0.5), "µm")


def test_only_the_images_asked_for_are_written(project, tmp_path):
    assert run(export_masks(project, tmp_path, ["b"])) == [tmp_path / "b.tif"]
    assert not (tmp_path / "a.tif").exists()


def test_planes_that_were_not_predicted_are_told(project, tmp_path):
    project.add_image(Image.from_array(np.zeros((3, 20, 30), np.uint8), name="d"))
    project.write_prediction("d", np.ones((3, 20, 30), np.uint8), (1,))
    events = []
    run(export_masks(project, tmp_path, ["d"]), events.append)
    assert Notice("d: planes without masks are 0") in events


def test_no_file_is_written_over_unasked(project, tmp_path):
    (tmp_path / "b.tif").write_text("mine")
    assert [file.name for file in targets(project, tmp_path).values() if file.exists()] == ["b.tif"]
    with pytest.raises(StorageError, match="b.tif is there already"):
        run(export_masks(project, tmp_path))
    assert not (tmp_path / "a.tif").exists()
    assert (tmp_path / "b.tif").read_text() == "mine"
    run(export_masks(project, tmp_path, replace=True))
    np.testing.assert_array_equal(read_labels(tmp_path / "b.tif"), MASKS)


def test_an_image_is_never_written_over(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((20, 30), np.uint8))
    project = Project.create(tmp_path / "p.sslseg")
    project.add_file(tmp_path / "a.tif")
    project.write_prediction("a", MASKS)
    with pytest.raises(StorageError, match="would replace the image"):
        run(export_masks(project, tmp_path, replace=True))
    assert not read_image(tmp_path / "a.tif").data.any()


def test_without_any_masks_it_says_how_to_make_them(project, tmp_path):
    with pytest.raises(ProjectError, match="no masks to export"):
        run(export_masks(project, tmp_path, ["c"]))


def test_stopped_it_writes_no_more(project, tmp_path):
    stop = Stop()
    assert run(export_masks(project, tmp_path, stop=stop), lambda event: stop.request()) == [tmp_path / "a.tif"]


def test_masks_of_a_nifti_image_lie_where_it_lies(tmp_path):
    affine = np.array([[-0.5, 0, 0, 90], [0, -0.5, 0, 120], [0, 0, 3, -70], [0, 0, 0, 1.0]])
    nibabel.save(
        nibabel.Nifti1Image(np.random.default_rng(0).random((6, 7, 5), np.float32), affine), tmp_path / "a.nii.gz"
    )
    project = Project.create(tmp_path / "p")
    project.add_file(tmp_path / "a.nii.gz")
    masks = np.random.default_rng(1).integers(1, 3, (5, 7, 6)).astype(np.uint16)
    project.write_prediction("a", masks)
    (found,) = run(export_masks(project, tmp_path / "out"))
    assert found == tmp_path / "out" / "a.nii.gz"
    file = nibabel.load(found)
    np.testing.assert_allclose(file.affine, affine)
    np.testing.assert_array_equal(np.asarray(file.dataobj), masks.T)
