"""DICOM files: those that pydicom ships, and series written here."""

import shutil
import warnings
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import iter_pixels
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from napari_sslseg.errors import ImageError
from napari_sslseg.io import dicom, find_files, read_image, write_labels
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


def test_masks_of_planes_of_a_tilted_gantry_lie_where_each_plane_lies(tmp_path):
    for k in range(5):
        plane(tmp_path / "a" / f"{k}.dcm", VALUES[k], 0.0, ImagePositionPatient=[-100.0, -90 + 1.5 * k, 30 + 2.0 * k])
    image = read_image(tmp_path / "a")
    lying = {"spacing": image.spacing, "unit": image.unit, "like": tmp_path / "a"}
    write_labels(tmp_path / "m.nii.gz", np.ones((5, 6, 7), np.uint8), **lying)
    written = nibabel.load(tmp_path / "m.nii.gz")
    np.testing.assert_allclose(written.affine @ [0, 0, 4, 1], [100, 84, 38, 1], atol=1e-5)
    assert read_image(tmp_path / "m.nii.gz").spacing == image.spacing == (2.0, 0.5, 0.25)  # a voxel is no larger for it


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


def test_planes_that_are_turned_in_several_ways_are_told(tmp_path):
    folder = series(tmp_path / "a")
    plane(folder / "other.dcm", VALUES[0], 10.0, turned=TURNED)
    with pytest.raises(ImageError, match="turned in several ways.*folder of its own"):
        read_image(folder)


# ---------------------------------------------------------------- files of several frames
def group(**said):
    """Functional groups: a sequence of one item for each name."""
    found = Dataset()
    for sequence, values in said.items():
        item = Dataset()
        for key, value in values.items():
            setattr(item, key, value)
        setattr(found, sequence, [item])
    return found


def enhanced(path, heights, *, turned=(1, 0, 0, 0, 1, 0), values=VALUES, shared=None, each=None):
    """Write frames of an enhanced CT that lie at heights along the normal; None for one that does not say where."""
    normal = np.cross(turned[:3], turned[3:])
    frames = []
    for k, height in enumerate(heights):
        said = dict(each(k)) if each else {}
        if height is not None:
            place = np.array([-100.0, -90, 30]) + normal * height
            said["PlanePositionSequence"] = {"ImagePositionPatient": place.tolist()}
        frames.append(group(**said))
    everywhere = {
        "PixelMeasuresSequence": {"PixelSpacing": [0.5, 0.25], "SliceThickness": 7},
        "PlaneOrientationSequence": {"ImageOrientationPatient": list(turned)},
    } | (shared or {})
    several(path, values, SharedFunctionalGroupsSequence=[group(**everywhere)], PerFrameFunctionalGroupsSequence=frames)
    return path


def several(path, values, **said):
    """Write frames in one file, which says of places and sizes only what is given."""
    unsaid = dict.fromkeys(("PixelSpacing", "SliceThickness", "ImageOrientationPatient", "ImagePositionPatient"))
    size = {"Rows": values.shape[1], "Columns": values.shape[2], "NumberOfFrames": len(values)}
    plane(path, values.reshape(-1, values.shape[-1]), 0.0, **unsaid | size | said)
    return path


def each(sequence, name, values):
    """What each frame says in a functional group of its own."""
    return [{sequence: {name: v}} for v in values].__getitem__


HOUNSFIELD = {"RescaleSlope": 1, "RescaleIntercept": -1024, "RescaleType": "HU"}


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [3, 0, 4, 1, 2]])
@pytest.mark.parametrize("turned", [(1, 0, 0, 0, 1, 0), TURNED])
def test_frames_are_one_stack_in_the_order_of_their_places(tmp_path, order, turned):
    path = enhanced(tmp_path / "a.dcm", [2.5 * k for k in order], turned=turned, values=VALUES[order])
    image = read_image(path)
    assert (image.axes, image.spacing, image.unit) == ("CZYX", (2.5, 0.5, 0.25), "mm")
    np.testing.assert_array_equal(np.asarray(image.data)[0], VALUES)
    write_labels(tmp_path / "m.nii.gz", np.ones((5, 6, 7), np.uint8), like=path)
    across, down = np.array(turned[:3], float), np.array(turned[3:], float)
    place = np.array([-100.0, -90, 30]) + across * 0.25 * 3 + down * 0.5 * 2 + np.cross(across, down) * 2.5 * 4
    affine = nibabel.load(tmp_path / "m.nii.gz").affine
    np.testing.assert_allclose(affine @ [3, 2, 4, 1], [-place[0], -place[1], place[2], 1], atol=1e-5)


def test_values_of_frames_are_those_that_the_scanner_means(tmp_path):
    shared = {"PixelValueTransformationSequence": HOUNSFIELD}
    image = read_image(enhanced(tmp_path / "a.dcm", range(5), shared=shared))
    np.testing.assert_array_equal(np.asarray(image.data)[0], VALUES.astype(int) - 1024)
    slopes = [0.5, 1, 1.5, 2, 2.5]
    said = each("PixelValueTransformationSequence", "RescaleSlope", slopes)
    image = read_image(enhanced(tmp_path / "b.dcm", [4, 3, 2, 1, 0], each=said))
    wanted = (VALUES * np.array(slopes)[:, None, None])[::-1]
    np.testing.assert_allclose(np.asarray(image.data)[0], wanted)


def test_an_enhanced_file_of_one_frame_is_a_plane(tmp_path):
    shared = {"PixelValueTransformationSequence": HOUNSFIELD}
    path = enhanced(tmp_path / "a.dcm", [7], values=VALUES[:1], shared=shared)
    image = read_image(path)
    assert (image.axes, image.spacing) == ("CYX", (0.5, 0.25))
    np.testing.assert_array_equal(np.asarray(image.data)[0], VALUES[0].astype(int) - 1024)
    for k, height in enumerate([6, 0, 3]):
        enhanced(tmp_path / "s" / f"{k}.dcm", [height], values=VALUES[k : k + 1])
    stack = read_image(tmp_path / "s")
    assert stack.spacing == (3.0, 0.5, 0.25)
    np.testing.assert_array_equal(np.asarray(stack.data)[0], VALUES[[1, 2, 0]])


def test_frames_that_do_not_say_where_they_lie_stay_in_their_order(tmp_path):
    measures = {"PixelSpacing": [0.5, 0.25], "SpacingBetweenSlices": 4}
    image = read_image(enhanced(tmp_path / "a.dcm", [None] * 5, shared={"PixelMeasuresSequence": measures}))
    assert (image.axes, image.spacing) == ("CZYX", (4.0, 0.5, 0.25))
    assert read_image(enhanced(tmp_path / "b.dcm", [None] * 5)).axes == "CTYX"


def test_one_plane_again_and_again_is_a_time_series(tmp_path):
    times = each("FrameContentSequence", "TemporalPositionIndex", [1, 3, 2, 5, 4])
    image = read_image(enhanced(tmp_path / "a.dcm", [2] * 5, each=times))
    assert image.axes == "CTYX"
    np.testing.assert_array_equal(np.asarray(image.data)[0], VALUES[[0, 2, 1, 4, 3]])
    assert read_image(enhanced(tmp_path / "b.dcm", [2] * 5)).axes == "CTYX"


@pytest.mark.parametrize(
    ("heights", "said", "match"),
    [
        ([0, 1, 2, 3, 9], None, r"lie 1\.00 to 6\.00 mm apart.*file of its own"),
        ([0, 1, 2, 0, 1], None, r"lie 0\.00 to 1\.00 mm apart.*second echo.*file of its own"),
        ([0, 1, 2, 3, 4], ("FrameContentSequence", "StackID", "11122"), "holds 2 stacks.*file of its own"),
        ([0, 1, 0, 1, 0], ("FrameContentSequence", "TemporalPositionIndex", [1, 1, 2, 2, 3]), "a stack at 3 times"),
        (
            [0, 1, 2, 3, 4],
            ("PlaneOrientationSequence", "ImageOrientationPatient", [TURNED] * 4 + [[1, 0, 0, 0, 1, 0]]),
            "several ways.*file of its own",
        ),
    ],
)
def test_frames_that_are_not_one_stack_are_told(tmp_path, heights, said, match):
    with pytest.raises(ImageError, match=match) as told:
        read_image(enhanced(tmp_path / "a.dcm", heights, each=each(*said) if said else None))
    assert "cannot be read" not in str(told.value)


def test_frames_that_are_not_all_described_are_told(tmp_path):
    path = enhanced(tmp_path / "a.dcm", range(4))
    with pytest.raises(ImageError, match=r"a\.dcm.*describes 4 of 5 frames"):
        read_image(path)
    path = several(tmp_path / "b.dcm", VALUES, PixelSpacing=[0.5, 0.25], GridFrameOffsetVector=[0, 2, 4])
    with pytest.raises(ImageError, match=r"b\.dcm.*of 3 of 5 frames where they lie"):
        read_image(path)


TURNED_OVER = [1.0, 0, 0, 0, -1, 0]  # the normal runs downwards


@pytest.mark.parametrize(
    ("said", "turned", "rise"),
    [
        ({"GridFrameOffsetVector": [0, 2, 4, 6, 8]}, (1, 0, 0, 0, 1, 0), 2),
        ({"GridFrameOffsetVector": [0, -2, -4, -6, -8]}, (1, 0, 0, 0, 1, 0), -2),
        ({"GridFrameOffsetVector": [30, 28, 26, 24, 22]}, (1, 0, 0, 0, 1, 0), -2),
        ({"GridFrameOffsetVector": [30, 28, 26, 24, 22]}, TURNED_OVER, -2),
        ({"GridFrameOffsetVector": [0, 2, 4, 6, 8]}, TURNED_OVER, -2),
        ({"SpacingBetweenSlices": 2}, (1, 0, 0, 0, 1, 0), 2),
        ({"SpacingBetweenSlices": -2}, (1, 0, 0, 0, 1, 0), -2),
    ],
)
@pytest.mark.parametrize("detector", [False, True])
def test_frames_may_rise_or_fall(tmp_path, said, turned, rise, detector):
    place = {"ImagePositionPatient": [-100, -90, 30], "ImageOrientationPatient": list(turned)}
    where = {"DetectorInformationSequence": group(S=place).S} if detector else place
    path = several(tmp_path / "a.dcm", VALUES, PixelSpacing=[0.5, 0.25], **where, **said)
    image = read_image(path)
    assert (image.axes, image.spacing) == ("CZYX", (2.0, 0.5, 0.25))
    write_labels(tmp_path / "m.nii.gz", image.data[0], like=path)
    made = nibabel.load(tmp_path / "m.nii.gz")
    for frame in range(5):
        column = np.linalg.inv(made.affine) @ [100, 90, 30 + rise * frame, 1]
        np.testing.assert_array_equal(np.asarray(made.dataobj)[:, :, round(column[2])].T, VALUES[frame])
        np.testing.assert_allclose(column[:2], 0, atol=1e-5)


def test_falling_frames_that_do_not_say_where_they_lie_have_a_size(tmp_path):
    path = several(tmp_path / "a.dcm", VALUES, PixelSpacing=[0.5, 0.25], SpacingBetweenSlices=-2)
    image = read_image(path)
    assert (image.axes, image.spacing) == ("CZYX", (2.0, 0.5, 0.25))
    np.testing.assert_array_equal(np.asarray(image.data)[0], VALUES)


def test_a_dose_of_one_frame_is_a_plane(tmp_path):
    path = several(tmp_path / "a.dcm", VALUES[:1], PixelSpacing=[0.5, 0.25], GridFrameOffsetVector=[0])
    assert read_image(path).axes == "CYX"


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


def test_a_frame_taken_from_a_file_that_describes_more_is_a_plane():
    assert read_image(SHIPPED / "liver_1frame.dcm").axes == "CYX"
    assert dicom.affine(SHIPPED / "rtdose_1frame.dcm")[2, 2] == 5


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


# ---------------------------------------------------------------- slides
SLIDE = np.random.default_rng(1).integers(0, 255, (50, 70, 3)).astype(np.uint8)
MEASURES = {"PixelMeasuresSequence": {"PixelSpacing": [0.002, 0.001], "SliceThickness": 0.01}}


def slide(path, *, tile=(16, 32), sparse=False, order=None, absent=(), pixels=SLIDE, **said):
    """Write a slide as tiles: in their order, or each with its place, in any order and some of them left out."""
    height, width = tile
    corners = [(y, x) for y in range(0, 50, height) for x in range(0, 70, width)]
    padded = np.pad(pixels, ((0, height), (0, width), (0, 0)))
    wanted = [k for k in order or range(len(corners)) if k not in absent]
    values = np.stack([padded[y : y + height, x : x + width] for y, x in (corners[k] for k in wanted)])
    places = [
        {"RowPositionInTotalImagePixelMatrix": y + 1, "ColumnPositionInTotalImagePixelMatrix": x + 1}
        for y, x in (corners[k] for k in wanted)
    ]
    if sparse:
        said["PerFrameFunctionalGroupsSequence"] = [group(PlanePositionSlideSequence=place) for place in places]
    colours = pixels.shape[2]
    unsaid = dict.fromkeys(("PixelSpacing", "SliceThickness", "ImageOrientationPatient", "ImagePositionPatient"))
    size = {
        "Rows": height,
        "Columns": width,
        "NumberOfFrames": len(values),
        "SamplesPerPixel": colours,
        "PhotometricInterpretation": "RGB" if colours == 3 else "MONOCHROME2",
        "PlanarConfiguration": 0,
        "BitsAllocated": 8,
        "BitsStored": 8,
        "HighBit": 7,
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.77.1.6",
        "TotalPixelMatrixRows": 50,
        "TotalPixelMatrixColumns": 70,
        "DimensionOrganizationType": "TILED_SPARSE" if sparse else "TILED_FULL",
        "SharedFunctionalGroupsSequence": [group(**MEASURES)],
    }
    plane(path, values.reshape(-1, values.shape[-1]), 0.0, **unsaid | size | said)
    return path


@pytest.mark.parametrize("how", [{}, {"sparse": True, "order": [5, 0, 11, 3, 2, 1, 4, 10, 6, 9, 8, 7]}])
def test_tiles_of_a_slide_are_one_plane(tmp_path, how):
    image = read_image(slide(tmp_path / "a.dcm", **how))
    assert (image.axes, image.rgb, image.shape, image.data.dtype) == ("CYX", True, (50, 70), np.uint8)
    assert (image.spacing, image.unit) == ((0.002, 0.001), "mm")
    np.testing.assert_array_equal(np.asarray(image.data), np.moveaxis(SLIDE, -1, 0))
    assert dicom.affine(tmp_path / "a.dcm") is None


def test_only_the_tiles_that_are_looked_at_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr("napari_sslseg.io.layout.SMALL", 0)
    asked = []

    def counted(file, indices):
        asked.extend(indices)
        return iter_pixels(file, indices=indices)

    monkeypatch.setattr("pydicom.pixels.utils.iter_pixels", counted)
    image = read_image(slide(tmp_path / "a.dcm"))
    assert isinstance(image.data, LazyArray)
    assert not asked
    part = image.read(0, slice(20, 34), slice(30, 40))
    np.testing.assert_array_equal(part, np.moveaxis(SLIDE[20:34, 30:40], -1, 0))
    assert sorted(asked) == [3, 4, 6, 7]
    np.testing.assert_array_equal(np.asarray(image.data[0, 40:3:-7, 5]), SLIDE[40:3:-7, 5, 0])


def test_where_a_slide_has_no_tile_there_is_nothing(tmp_path):
    image = read_image(slide(tmp_path / "a.dcm", sparse=True, absent=(0, 11)))
    wanted = SLIDE.copy()
    wanted[:16, :32] = wanted[48:, 64:] = 255
    np.testing.assert_array_equal(np.asarray(image.data), np.moveaxis(wanted, -1, 0))
    dark = read_image(slide(tmp_path / "b.dcm", sparse=True, absent=(0,), pixels=SLIDE[..., :1]))
    assert (dark.channels, int(np.asarray(dark.data)[0, :16, :32].max())) == (1, 0)


@pytest.mark.parametrize(
    ("said", "match"),
    [
        ({"TotalPixelMatrixFocalPlanes": 3}, "slide of 3 focal planes"),
        ({"NumberOfOpticalPaths": 2}, "slide of 2 optical paths"),
        ({"absent": (3,)}, "does not say where its 11 tiles lie; 12 would cover the slide"),
    ],
)
def test_slides_that_are_no_plane_are_told(tmp_path, said, match):
    with pytest.raises(ImageError, match=match):
        read_image(slide(tmp_path / "a.dcm", **said))


def test_the_files_of_a_slide_are_told_to_be_named_one_by_one(tmp_path):
    slide(tmp_path / "s" / "small.dcm", TotalPixelMatrixRows=30)
    slide(tmp_path / "s" / "large.dcm")
    with pytest.raises(ImageError, match=r"2 DICOM files of a slide.*such as large\.dcm"):
        read_image(tmp_path / "s")


def test_a_film_says_how_fast_it_is(tmp_path):
    image = read_image(several(tmp_path / "a.dcm", VALUES, FrameTime=40, PixelSpacing=[0.5, 0.25]))
    assert (image.axes, image.spacing) == ("CTYX", (0.04, 0.5, 0.25))
    write_labels(tmp_path / "m.nii.gz", np.ones((5, 6, 7), np.uint8), axes="TYX", spacing=image.spacing, unit="mm")
    assert read_image(tmp_path / "m.nii.gz").spacing == pytest.approx(image.spacing)
