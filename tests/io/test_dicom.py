"""DICOM files: those that pydicom ships, and series written here."""

import shutil
import warnings
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from napari_sslseg.errors import ImageError
from napari_sslseg.io import find_files, read_image, write_labels
from napari_sslseg.io.files import stem
from napari_sslseg.io.lazy import LazyArray

SHIPPED = Path(pydicom.__file__).parent / "data" / "test_files"
SERIES = generate_uid()
VALUES = np.random.default_rng(0).integers(0, 2000, (5, 6, 7)).astype(np.uint16)
TURNED = [0.0, 1, 0, 0, 0, -1]  # sagittal: rows run to the back, columns downwards


def plane(path, values, z, *, turned=(1, 0, 0, 0, 1, 0), **said):
    """Write one plane of a CT, z mm along the normal."""
    head = Dataset()
    head.file_meta = FileMetaDataset()
    head.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    head.SOPClassUID, head.SOPInstanceUID, head.SeriesInstanceUID = "1.2.840.10008.5.1.4.1.1.2", generate_uid(), SERIES
    head.Modality, head.PatientName = "CT", "Nobody^At^All"
    head.Rows, head.Columns = values.shape
    head.SamplesPerPixel, head.PhotometricInterpretation = 1, "MONOCHROME2"
    head.BitsAllocated = head.BitsStored = 16
    head.HighBit, head.PixelRepresentation = 15, 0
    head.PixelSpacing, head.SliceThickness = [0.5, 0.25], 7
    head.ImageOrientationPatient = list(turned)
    normal = np.cross(turned[:3], turned[3:])
    head.ImagePositionPatient = [float(v) for v in np.array([-100.0, -90, 30]) + normal * z]
    for key, value in said.items():
        setattr(head, key, value)
    head.PixelData = values.tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        head.save_as(path, enforce_file_format=True)


def series(folder, gap=2.0, names="{}.dcm", **said):
    """A stack whose files are not named in the order of its planes."""
    for k in (3, 0, 4, 1, 2):
        plane(folder / names.format((k * 7) % 5), VALUES[k], k * gap, InstanceNumber=9 - k, **said)
    return folder


@pytest.mark.parametrize("names", ["{}.dcm", "IM00{}"])
def test_the_files_of_a_folder_are_one_stack_in_the_order_of_its_planes(tmp_path, names):
    folder = series(tmp_path / "1.2.840.7", names=names)
    assert find_files([folder]) == [folder]
    image = read_image(folder)
    assert (image.name, image.axes, image.unit) == ("1.2.840.7", "CZYX", "mm")
    assert image.spacing == (2.0, 0.5, 0.25)
    np.testing.assert_array_equal(np.asarray(image.data)[0], VALUES)


def test_folders_of_series_are_images_of_the_folder_around_them(tmp_path):
    one, two = series(tmp_path / "study" / "a"), series(tmp_path / "study" / "b")
    assert find_files([tmp_path / "study"]) == [one, two]


def test_a_dicom_file_among_other_images_is_one_of_them(tmp_path):
    plane(tmp_path / "b.dcm", VALUES[0], 0.0)
    write_labels(tmp_path / "a.tif", np.ones((3, 3), np.uint8))
    assert [p.name for p in find_files([tmp_path])] == ["a.tif", "b.dcm"]


def test_values_are_those_that_the_scanner_means(tmp_path):
    image = read_image(series(tmp_path / "a", RescaleSlope=1, RescaleIntercept=-1024))
    np.testing.assert_array_equal(np.asarray(image.data)[0], VALUES.astype(int) - 1024)
    scaled = read_image(series(tmp_path / "b", RescaleSlope=0.5, RescaleIntercept=3))
    assert scaled.data.dtype == np.float32
    np.testing.assert_allclose(np.asarray(scaled.data)[0], VALUES * 0.5 + 3)


def test_signed_values_that_are_shifted_stay_whole_numbers(tmp_path):
    said = {"RescaleIntercept": -1024, "BitsStored": 12, "HighBit": 11}
    for z in range(2):
        plane(tmp_path / "a" / f"{z}.dcm", VALUES[z], z, **said)
    image = read_image(tmp_path / "a")
    assert image.data.dtype == np.int16
    assert np.asarray(image.data).min() == int(VALUES[:2].min()) - 1024


def test_a_large_series_is_read_plane_by_plane(tmp_path, monkeypatch):
    monkeypatch.setattr("napari_sslseg.io.layout.SMALL", 10)
    image = read_image(series(tmp_path / "a"))
    assert isinstance(image.data, LazyArray)
    for name in ("0", "1", "2", "4"):
        (tmp_path / "a" / f"{name}.dcm").unlink()  # planes 0, 3, 1 and 2 or so
    kept = (4 * 7) % 5 if (tmp_path / "a" / "3.dcm").exists() else 0
    np.testing.assert_array_equal(np.asarray(image.data[0, 4, 1:3]), VALUES[4, 1:3])
    assert kept == 3
    with pytest.raises(ImageError, match="is gone"):
        np.asarray(image.data[0, 0])


def test_planes_without_a_place_are_in_the_order_of_their_numbers(tmp_path):
    image = read_image(series(tmp_path / "a", ImagePositionPatient=None))
    np.testing.assert_array_equal(np.asarray(image.data)[0], VALUES[::-1])


@pytest.mark.parametrize(
    ("said", "match"),
    [
        ({"SeriesInstanceUID": "1.2.3"}, "6 DICOM files of 2 series.*folder of its own"),
        ({"Rows": 3, "Columns": 14}, "6 DICOM files of 2 values of Rows"),
        ({}, r"lie 0\.00 to 2\.00 mm apart.*second echo"),
    ],
)
def test_what_belongs_to_another_stack_is_told(tmp_path, said, match):
    folder = series(tmp_path / "a")
    plane(folder / "other.dcm", VALUES[0], 4.0, **said)
    with pytest.raises(ImageError, match=match):
        read_image(folder)


def test_a_survey_far_away_is_told(tmp_path):
    folder = series(tmp_path / "a")
    plane(folder / "survey.dcm", VALUES[0], 300.0)
    with pytest.raises(ImageError, match=r"2\.00 to 292\.00 mm apart"):
        read_image(folder)


@pytest.mark.parametrize("turned", [(1, 0, 0, 0, 1, 0), TURNED])
def test_masks_lie_in_the_patient_where_the_series_lies(tmp_path, turned):
    folder = series(tmp_path / "a", turned=turned)
    write_labels(tmp_path / "m.nii.gz", np.ones((5, 6, 7), np.uint8), like=folder)
    affine = nibabel.load(tmp_path / "m.nii.gz").affine
    across, down = np.array(turned[:3], float), np.array(turned[3:], float)
    x, y, z = 3, 2, 4
    place = np.array([-100.0, -90, 30]) + across * 0.25 * x + down * 0.5 * y + np.cross(across, down) * 2.0 * z
    np.testing.assert_allclose(affine @ [x, y, z, 1], [-place[0], -place[1], place[2], 1], atol=1e-5)


def test_where_nothing_says_where_it_lies_masks_have_their_size(tmp_path):
    folder = series(tmp_path / "a", ImageOrientationPatient=None)
    image = read_image(folder)
    write_labels(tmp_path / "m.nii", np.ones((5, 6, 7), np.uint8), spacing=image.spacing, unit=image.unit, like=folder)
    assert np.diag(nibabel.load(tmp_path / "m.nii").affine)[:2].tolist() == [0.25, 0.5]


# ---------------------------------------------------------------- files that pydicom ships
def test_a_ct_is_in_hounsfield_units():
    image = read_image(SHIPPED / "CT_small.dcm")
    head = pydicom.dcmread(SHIPPED / "CT_small.dcm")
    assert (image.axes, image.unit, image.name) == ("CYX", "mm", "CT_small")
    assert image.spacing == pytest.approx([float(v) for v in head.PixelSpacing])
    np.testing.assert_array_equal(np.asarray(image.data)[0], head.pixel_array.astype(int) - 1024)


def test_a_series_that_is_shipped_is_a_stack(tmp_path):
    source = SHIPPED / "dicomdirtests" / "98892001" / "CT5N"
    image = read_image(source)
    assert (image.axes, image.data.shape) == ("CZYX", (1, 5, 16, 16))
    assert image.spacing[0] == pytest.approx(2.5)
    assert find_files([source.parent / "CT5N"]) == [source]
    alone = shutil.copy(next(p for p in source.iterdir()), tmp_path / "x")
    assert read_image(Path(alone)).axes == "CYX"


def test_files_of_several_frames_are_stacks():
    dose = read_image(SHIPPED / "rtdose.dcm")
    assert (dose.axes, dose.data.shape, dose.data.dtype) == ("CZYX", (1, 15, 10, 10), np.float32)
    head = pydicom.dcmread(SHIPPED / "rtdose.dcm")
    assert dose.spacing[0] == pytest.approx(
        abs(float(head.GridFrameOffsetVector[1]) - float(head.GridFrameOffsetVector[0]))
    )
    film = read_image(SHIPPED / "examples_ybr_color.dcm")
    assert (film.axes, film.rgb, film.data.shape) == ("CTYX", True, (3, 30, 240, 320))


@pytest.mark.parametrize(
    "name", ["MR_small_RLE.dcm", "MR_small_bigendian.dcm", "MR_small_implicit.dcm", "JPEG2000.dcm"]
)
def test_packed_and_turned_bytes_are_read(name):
    image = read_image(SHIPPED / name)
    np.testing.assert_array_equal(np.asarray(image.data)[0], pydicom.dcmread(SHIPPED / name).pixel_array)


@pytest.mark.parametrize("name", ["rtplan.dcm", "reportsi.dcm"])
def test_a_file_without_an_image_is_told(name):
    with pytest.raises(ImageError, match=f"{name} is a DICOM file without an image"):
        read_image(SHIPPED / name)


def test_a_damaged_file_is_one_clear_error(tmp_path):
    (tmp_path / "a.dcm").write_bytes(b"nonsense" * 50)
    with pytest.raises(ImageError, match=r"a\.dcm.*DICOM"):
        read_image(tmp_path / "a.dcm")
    cut = (SHIPPED / "CT_small.dcm").read_bytes()[:8000]
    (tmp_path / "b.dcm").write_bytes(cut)
    with pytest.raises(ImageError, match=r"b\.dcm"):
        np.asarray(read_image(tmp_path / "b.dcm").data)


def test_nothing_is_written_as_dicom(tmp_path):
    with pytest.raises(ImageError, match="read and not written"):
        write_labels(tmp_path / "a.dcm", np.ones((3, 3), np.uint8))


def test_a_folder_named_by_numbers_keeps_its_whole_name(tmp_path):
    (tmp_path / "1.2.840").mkdir()
    assert stem(tmp_path / "1.2.840") == "1.2.840"
