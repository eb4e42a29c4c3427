"""Objects from masks of one class: cut where it is narrow, whatever its size and the spacing."""

import nibabel
import numpy as np
import pytest

from napari_sslseg.errors import LabelError, StorageError
from napari_sslseg.io import read_image, read_labels, write_labels
from napari_sslseg.job import Stop, run
from napari_sslseg.splitting import split, split_files


def pair(radius, apart, size=None):
    """Two disks that overlap where they are less than two radii apart."""
    size = size or 6 * radius
    y, x = np.mgrid[:size, :size]
    return [(y - size / 2) ** 2 + (x - size / 2 - side * apart / 2) ** 2 < radius**2 for side in (-1, 1)]


@pytest.mark.parametrize("radius", [8, 20, 50])
def test_two_disks_that_touch_are_two_objects(radius):
    one, other = pair(radius, 1.6 * radius)
    found = split(one | other, (1.0, 1.0))
    assert np.unique(found).tolist() == [1, 2, 3]
    for disk in (one & ~other, other & ~one):
        assert np.bincount(found[disk]).max() > 0.97 * disk.sum()


@pytest.mark.parametrize("radius", [8, 20, 50])
def test_a_disk_or_an_ellipse_is_one(radius):
    y, x = np.mgrid[: 4 * radius, : 8 * radius]
    for long in (1, 2.5):
        ellipse = (y - 2 * radius) ** 2 + ((x - 4 * radius) / long) ** 2 < radius**2
        assert np.unique(split(ellipse, (1.0, 1.0))).tolist() == [1, 2]


def test_where_nothing_is_cut_connected_parts_are_left():
    one, other = pair(10, 16)
    assert split(one | other, (1.0, 1.0), neck=0).max() == 2
    assert split(one | other, (1.0, 1.0), neck=0.3).max() == 2


def test_planes_that_lie_far_apart_are_measured_so():
    z, y, x = np.mgrid[:9, :48, :64]
    balls = [((z - 4) * 4) ** 2 + (y - 24) ** 2 + (x - c) ** 2 < 14**2 for c in (20, 43)]
    found = split(balls[0] | balls[1], (4.0, 1.0, 1.0))
    assert np.unique(found).tolist() == [1, 2, 3]
    assert len(np.unique(found[balls[0] & ~balls[1]])) == 1


def test_no_pixel_of_the_mask_is_lost():
    mask = np.random.default_rng(0).random((60, 60)) > 0.6
    found = split(mask, (1.0, 1.0))
    assert ((found > 1) == mask).all()
    assert not split(np.zeros((5, 5), bool), (1.0, 1.0)).max() > 1


def test_files_are_split_and_keep_their_spacing(tmp_path):
    one, other = pair(12, 19)
    labels = np.where(one | other, 2, 1).astype(np.uint16)
    write_labels(tmp_path / "in" / "a.tif", labels, spacing=(0.5, 0.5), unit="um")
    (written,) = run(split_files([tmp_path / "in"], 2, tmp_path / "out"))
    assert np.unique(read_labels(written)).tolist() == [1, 2, 3]
    with pytest.raises(StorageError, match="exists already"):
        run(split_files([tmp_path / "in"], 2, tmp_path / "out"))
    with pytest.raises(LabelError, match="No file holds class 7"):
        run(split_files([tmp_path / "in"], 7, tmp_path / "other"))
    assert not (tmp_path / "other").exists()
    stop = Stop()
    stop.request()
    assert run(split_files([tmp_path / "in"], 2, tmp_path / "stopped", stop=stop)) == []


def test_objects_lie_in_the_patient_where_the_masks_lie(tmp_path):
    affine = np.array([[-0.5, 0.1, 0, 10], [0, 0.6, 0.1, -20], [0, 0, 2.5, 30], [0, 0, 0, 1.0]])
    masks = np.where(np.sum(np.mgrid[:9, :9, :9] - 4.0, 0) > 2, 2, 1).astype(np.uint8)
    nibabel.save(nibabel.Nifti1Image(masks, affine), tmp_path / "a.nii.gz")
    (written,) = run(split_files([tmp_path / "a.nii.gz"], 2, tmp_path / "out"))
    np.testing.assert_allclose(nibabel.load(written).affine, affine, atol=1e-5)


def test_frames_of_a_time_series_are_split_each_by_itself(tmp_path):
    one, other = pair(12, 19)
    labels = np.where([one | other, one, np.zeros_like(one), other], 2, 1).astype(np.uint16)
    write_labels(tmp_path / "a.tif", labels, spacing=(1.0, 0.5, 0.5), unit="um", axes="TYX")
    (written,) = run(split_files([tmp_path / "a.tif"], 2, tmp_path / "out"))
    found, image = read_labels(written), read_image(written)
    assert [np.unique(frame).tolist() for frame in found] == [[1, 2, 3], [1, 4], [1], [1, 5]]
    assert ((found > 1) == (labels == 2)).all()
    assert (image.axes, image.spacing, image.unit) == ("CTYX", (1.0, 0.5, 0.5), "µm")


def test_two_files_of_one_name_are_told_and_none_is_split(tmp_path):
    for folder in ("x", "y"):
        write_labels(tmp_path / folder / "a.tif", np.full((9, 9), 2, np.uint8))
    with pytest.raises(StorageError, match="Two files would be written to .*a.tif"):
        run(split_files([tmp_path / "x", tmp_path / "y"], 2, tmp_path / "out"))
    assert not (tmp_path / "out").exists()
