"""NIfTI files: those that nibabel ships, and those written here."""

import gzip
from pathlib import Path

import nibabel
import numpy as np
import pytest

from napari_sslseg.errors import ImageError
from napari_sslseg.image import Image
from napari_sslseg.io import find_files, nifti, read_image, read_labels, write_channels, write_image, write_labels
from napari_sslseg.io.lazy import LazyArray

SHIPPED = Path(nibabel.__file__).parent / "tests" / "data"
AFFINE = np.array([[-0.7, 0.1, 0, 90], [0.1, -0.7, 0, 126], [0, 0, 3, -72], [0, 0, 0, 1.0]])


def save(path, data, affine=AFFINE, unit="mm", kind=nibabel.Nifti1Image, **header):
    image = kind(data, affine)
    if unit:
        image.header.set_xyzt_units(unit)
    for key, value in header.items():
        image.header[key] = value
    nibabel.save(image, path)
    return path


def voxels(shape=(6, 7, 5), kind=np.int16):
    return np.random.default_rng(0).integers(0, 100, shape).astype(kind)


def test_a_volume_that_is_shipped_is_read_with_its_voxel_size():
    image, file = read_image(SHIPPED / "anatomical.nii"), nibabel.load(SHIPPED / "anatomical.nii")
    assert image.data.shape == (1, 25, 41, 33)
    assert image.spacing == pytest.approx(file.header.get_zooms()[::-1])
    assert (image.unit, image.axes) == ("mm", "CZYX")
    np.testing.assert_array_equal(np.asarray(image.data)[0], np.asarray(file.dataobj).T)


@pytest.mark.parametrize("name", ["example4d.nii.gz", "example_nifti2.nii.gz"])
def test_a_fourth_axis_becomes_channels(name):
    image, file = read_image(SHIPPED / name), nibabel.load(SHIPPED / name)
    x, y, z, channels = file.shape
    assert image.data.shape == (channels, z, y, x)
    np.testing.assert_allclose(np.asarray(image.data)[1, 3], np.asarray(file.dataobj)[:, :, 3, 1].T)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint16, np.float32])
def test_the_first_axis_is_x_and_the_type_is_kept(tmp_path, suffix, kind):
    data = voxels(kind=kind)
    image = read_image(save(tmp_path / f"a{suffix}", data))
    assert image.data.dtype == kind
    assert image.name == "a"
    np.testing.assert_array_equal(np.asarray(image.data)[0], data.T)
    assert image.spacing == pytest.approx((3.0, np.hypot(0.7, 0.1), np.hypot(0.7, 0.1)))


@pytest.mark.parametrize(
    ("shape", "expected"), [((6, 7), "CYX"), ((6, 7, 1), "CYX"), ((6, 7, 5, 1), "CZYX"), ((6, 7, 5, 1, 3), "CZYX")]
)
def test_axes_of_length_one_are_left_out(tmp_path, shape, expected):
    image = read_image(save(tmp_path / "a.nii", voxels(shape)))
    assert image.axes == expected
    assert image.channels == (shape[4] if len(shape) == 5 else 1)
    assert image.data.shape[1:] == tuple(n for n in shape[:3] if n > 1)[::-1]


def test_numbers_that_are_scaled_are_read_as_they_are_meant(tmp_path):
    image = nibabel.Nifti1Image(voxels(), AFFINE)
    image.header.set_slope_inter(2, -1024)
    nibabel.save(image, tmp_path / "a.nii")
    read = read_image(tmp_path / "a.nii")
    assert read.data.dtype == np.float32
    np.testing.assert_allclose(np.asarray(read.data)[0], nibabel.load(tmp_path / "a.nii").get_fdata().T)


@pytest.mark.parametrize(("unit", "expected"), [("meter", "m"), ("mm", "mm"), ("micron", "µm"), (None, "mm")])
def test_the_unit_is_that_of_the_file_and_else_millimetres(tmp_path, unit, expected):
    assert read_image(save(tmp_path / "a.nii", voxels(), unit=unit)).unit == expected


def test_colours_are_channels(tmp_path):
    colours = np.random.default_rng(0).integers(0, 255, (6, 7, 5, 3)).astype(np.uint8)
    packed = colours.view([(c, "u1") for c in "RGB"])[..., 0]
    image = read_image(save(tmp_path / "a.nii", packed))
    assert image.rgb
    np.testing.assert_array_equal(np.asarray(image.data), colours.transpose(3, 2, 1, 0))


def test_a_large_volume_that_is_not_packed_is_read_when_it_is_needed(tmp_path, monkeypatch):
    monkeypatch.setattr("napari_sslseg.io.layout.SMALL", 10)
    data = voxels()
    image = read_image(save(tmp_path / "a.nii", data))
    assert isinstance(image.data, LazyArray)
    np.testing.assert_array_equal(np.asarray(image.data[0, 2, 1:4]), data.T[2, 1:4])


def test_a_folder_of_them_is_searched(tmp_path):
    for name in ("b.nii", "a.nii.gz"):
        save(tmp_path / name, voxels())
    assert [p.name for p in find_files([tmp_path])] == ["a.nii.gz", "b.nii"]


@pytest.mark.parametrize("content", [b"", b"nonsense", b"n+1\0" * 200])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_damaged_file_is_one_clear_error(tmp_path, content, suffix):
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(gzip.compress(content) if suffix == ".nii.gz" else content)
    with pytest.raises(ImageError, match="bad.*NIfTI"):
        read_image(path)


def test_a_file_that_is_cut_short_is_one_clear_error(tmp_path):
    path = save(tmp_path / "cut.nii", voxels())
    path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(ImageError, match="cut.nii"):
        np.asarray(read_image(path).data)


# ---------------------------------------------------------------- writing
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("shape", [(7, 6), (5, 7, 6)])
@pytest.mark.parametrize("most", [3, 300, 70000])
def test_labels_come_back_as_they_were(tmp_path, suffix, shape, most):
    labels = np.random.default_rng(0).integers(0, most, shape).astype(np.uint32)
    labels.flat[0] = most - 1
    sizes = (3.0, 0.5, 0.25)[-len(shape) :]
    write_labels(tmp_path / f"a{suffix}", labels, spacing=sizes, unit="mm")
    np.testing.assert_array_equal(read_labels(tmp_path / f"a{suffix}"), labels)
    image = read_image(tmp_path / f"a{suffix}")
    assert (image.spacing, image.unit) == (pytest.approx(sizes), "mm")


def test_sizes_in_another_unit_become_millimetres(tmp_path):
    write_labels(tmp_path / "a.nii", np.ones((4, 5, 6), np.uint8), spacing=(2.0, 500.0, 250.0), unit="µm")
    assert read_image(tmp_path / "a.nii").spacing == pytest.approx((0.002, 0.5, 0.25))


@pytest.mark.parametrize("code", [1, 2, 4])
def test_masks_lie_where_their_image_lies(tmp_path, code):
    source = save(tmp_path / "a.nii.gz", voxels(), sform_code=code)
    write_labels(tmp_path / "m.nii.gz", np.ones((5, 7, 6), np.uint8), like=source)
    file = nibabel.load(tmp_path / "m.nii.gz")
    np.testing.assert_allclose(file.affine, AFFINE, atol=1e-5)
    assert int(file.header["sform_code"]) == code


def test_probabilities_and_images_lie_there_too(tmp_path):
    source = save(tmp_path / "a.nii.gz", voxels(), sform_code=2)
    data = np.random.default_rng(0).random((3, 5, 7, 6)).astype(np.float32)
    write_channels(tmp_path / "p.nii.gz", data, like=source)
    write_image(tmp_path / "i.nii.gz", Image(data[:1], (3.0, 0.7, 0.7), "mm"), like=source)
    for name in ("p.nii.gz", "i.nii.gz"):
        file = nibabel.load(tmp_path / name)
        np.testing.assert_allclose(file.affine, AFFINE, atol=1e-5)
        assert int(file.header["sform_code"]) == 2
    np.testing.assert_array_equal(np.asarray(read_image(tmp_path / "p.nii.gz").data), data)


def test_masks_of_another_format_ask_nothing_of_it(tmp_path):
    write_labels(tmp_path / "m.nii", np.ones((4, 5), np.uint8), like=tmp_path / "a.tif")
    write_labels(tmp_path / "m.tif", np.ones((4, 5), np.uint8), like=tmp_path / "a.nii")
    assert (read_labels(tmp_path / "m.nii") == read_labels(tmp_path / "m.tif")).all()


def test_channels_and_real_numbers_come_back(tmp_path):
    data = np.random.default_rng(0).random((3, 5, 7, 6)).astype(np.float32)
    write_channels(tmp_path / "p.nii", data)
    np.testing.assert_array_equal(np.asarray(read_image(tmp_path / "p.nii").data), data)
    write_channels(tmp_path / "q.nii", data[:, 0])
    np.testing.assert_array_equal(np.asarray(read_image(tmp_path / "q.nii").data), data[:, 0])
    write_image(tmp_path / "i.nii.gz", Image(data[:1]))
    np.testing.assert_array_equal(np.asarray(read_image(tmp_path / "i.nii.gz").data), data[:1])


@pytest.mark.parametrize("interval", [1.0, 2.5])
@pytest.mark.parametrize("frames", [5, 1])
def test_a_time_series_lies_along_the_fourth_axis_and_comes_back_as_one(tmp_path, frames, interval):
    labels = np.random.default_rng(0).integers(0, 3, (frames, 7, 6)).astype(np.uint8)
    place = {"axes": "TYX", "spacing": (interval, 0.5, 0.25), "unit": "mm"}
    write_labels(tmp_path / "a.nii.gz", labels, **place)
    header = nibabel.load(tmp_path / "a.nii.gz").header
    assert (header.get_data_shape(), header.get_xyzt_units()) == ((6, 7, 1, frames), ("mm", "sec"))
    assert header.get_zooms()[3] == interval
    image = read_image(tmp_path / "a.nii.gz")
    assert (image.axes, image.spacing) == ("CTYX", (interval, 0.5, 0.25))
    np.testing.assert_array_equal(read_labels(tmp_path / "a.nii.gz"), labels)


def test_probabilities_of_a_time_series_come_back(tmp_path):
    data = np.random.default_rng(0).random((3, 5, 7, 6)).astype(np.float32)
    write_channels(tmp_path / "p.nii", data, axes="TYX", spacing=(2.5, 0.5, 0.25), unit="mm")
    image = read_image(tmp_path / "p.nii")
    assert (image.axes, image.spacing) == ("CTYX", (2.5, 0.5, 0.25))
    np.testing.assert_array_equal(np.asarray(image.data), data)


@pytest.mark.parametrize(
    ("shape", "time", "axes", "size"),
    [
        ((6, 7, 1, 4), "msec", "CTYX", (1, 4, 7, 6)),
        ((6, 7, 1, 4), None, "CYX", (4, 7, 6)),
        ((6, 7, 1, 4), "hz", "CYX", (4, 7, 6)),
        ((6, 7, 5, 4), "sec", "CZYX", (4, 5, 7, 6)),
        ((6, 7, 1, 1, 3), "sec", "CYX", (3, 7, 6)),
        ((6, 7, 1, 4, 3), None, "CTYX", (3, 4, 7, 6)),
    ],
)
def test_a_fourth_axis_is_time_where_it_can_be(tmp_path, shape, time, axes, size):
    file = nibabel.Nifti1Image(voxels(shape), AFFINE)
    file.header.set_xyzt_units("mm", time)
    nibabel.save(file, tmp_path / "a.nii")
    image = read_image(tmp_path / "a.nii")
    assert (image.axes, image.data.shape) == (axes, size)


def test_an_axis_longer_than_the_first_version_holds_is_written_in_the_second(tmp_path, monkeypatch):
    monkeypatch.setattr(nifti, "LARGEST", 6)
    write_labels(tmp_path / "a.nii", np.ones((4, 5, 7), np.uint8))
    assert isinstance(nibabel.load(tmp_path / "a.nii"), nibabel.Nifti2Image)
    assert read_labels(tmp_path / "a.nii").shape == (4, 5, 7)
