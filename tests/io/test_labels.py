"""Labels and probabilities come back as they were written; what cannot be labels is told."""

from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import tifffile
import zarr

from napari_sslseg.errors import ImageError, LabelError
from napari_sslseg.image import Image
from napari_sslseg.io import read_image, read_labels, write_channels, write_image, write_labels

RANDOM = np.random.default_rng(0)
FLAT = RANDOM.integers(0, 300, (12, 9))
STACK = RANDOM.integers(0, 300, (5, 12, 9))
DEEP = (".tif", ".tiff", ".ome.tif", ".npy", ".zarr", ".ome.zarr")


@pytest.mark.parametrize("suffix", [*DEEP, ".png"])
def test_flat_labels_come_back(tmp_path: Path, suffix: str) -> None:
    write_labels(tmp_path / f"a{suffix}", FLAT)
    np.testing.assert_array_equal(read_labels(tmp_path / f"a{suffix}"), FLAT)


@pytest.mark.parametrize("suffix", DEEP)
@pytest.mark.parametrize("labels", [STACK, STACK[:3], STACK.transpose(1, 2, 0)])
def test_stacks_of_labels_come_back(tmp_path: Path, suffix: str, labels: np.ndarray) -> None:
    write_labels(tmp_path / f"a{suffix}", labels)
    np.testing.assert_array_equal(read_labels(tmp_path / f"a{suffix}"), labels)


@pytest.mark.parametrize("suffix", [".tif", ".npy", ".zarr", ".ome.zarr"])
def test_a_stack_of_one_plane_keeps_its_shape(tmp_path: Path, suffix: str) -> None:
    write_labels(tmp_path / f"a{suffix}", STACK[:1])
    assert read_labels(tmp_path / f"a{suffix}").shape == (1, 12, 9)


@pytest.mark.parametrize("suffix", [".tif", ".ome.tif", ".zarr", ".ome.zarr"])
@pytest.mark.parametrize("unit", ["µm", "mm"])
def test_pixel_size_comes_back(tmp_path: Path, suffix: str, unit: str) -> None:
    write_labels(tmp_path / f"a{suffix}", STACK, spacing=(2.0, 0.3, 0.25), unit=unit)
    image = read_image(tmp_path / f"a{suffix}")
    assert image.spacing == pytest.approx((2.0, 0.3, 0.25))
    assert image.unit == unit


@pytest.mark.parametrize("suffix", [".tif", ".zarr", ".ome.zarr", ".nii.gz"])
def test_a_time_series_of_one_frame_stays_one(tmp_path: Path, suffix: str) -> None:
    write_labels(tmp_path / f"a{suffix}", STACK[:1], axes="TYX")
    assert read_image(tmp_path / f"a{suffix}").axes == "CTYX"
    np.testing.assert_array_equal(read_labels(tmp_path / f"a{suffix}"), STACK[:1])


@pytest.mark.parametrize("suffix", [".tif", ".ome.tif", ".zarr", ".ome.zarr"])
@pytest.mark.parametrize("spacing", [(), (1.0, 0.3, 0.25), (2.5, 0.3, 0.25)])
def test_a_time_series_stays_one(tmp_path: Path, suffix: str, spacing: tuple[float, ...]) -> None:
    place: dict[str, Any] = {"spacing": spacing, "unit": "µm" if spacing else "pixel"}
    write_labels(tmp_path / f"a{suffix}", STACK, axes="TYX", **place)
    write_channels(tmp_path / f"b{suffix}", np.stack([STACK, STACK]), axes="TYX", **place)
    write_image(tmp_path / f"c{suffix}", Image.from_array(STACK, "TYX", **place))
    np.testing.assert_array_equal(read_labels(tmp_path / f"a{suffix}"), STACK)
    for name in "abc":
        image = read_image(tmp_path / f"{name}{suffix}")
        assert (image.axes, image.shape, image.unit) == ("CTYX", STACK.shape, place["unit"])
        assert image.spacing == pytest.approx(spacing or (1.0, 1.0, 1.0))


def test_ome_zarr_says_which_axis_is_time(tmp_path: Path) -> None:
    write_labels(tmp_path / "a.ome.zarr", STACK, axes="TYX", spacing=(1.0, 0.3, 0.25), unit="µm")
    described = zarr.open_group(tmp_path / "a.ome.zarr", mode="r").attrs["ome"]
    assert described["multiscales"][0]["axes"][0] == {"name": "t", "type": "time"}


def test_other_programs_find_the_pixel_size_of_a_plain_tiff(tmp_path: Path) -> None:
    write_labels(tmp_path / "a.tif", FLAT, spacing=(0.5, 0.25), unit="µm")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.pages.first.resolution == pytest.approx((40000, 20000))
        assert file.pages.first.resolutionunit == tifffile.RESUNIT.CENTIMETER


@pytest.mark.parametrize("unit, written", [("µm", "um"), ("mm", "mm"), ("nm", "nm")])
def test_imagej_finds_the_pixel_size_and_the_distance_of_planes(tmp_path: Path, unit: str, written: str) -> None:
    write_labels(tmp_path / "a.tif", STACK, spacing=(2.5, 0.29, 1 / 3), unit=unit)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        described, page = file.imagej_metadata, file.pages.first
        assert described is not None
        assert (described["slices"], described["spacing"], described["unit"]) == (len(STACK), 2.5, written)
        assert page.resolution == pytest.approx((3, 1 / 0.29))  # pixels a unit, along X and Y
    image = read_image(tmp_path / "a.tif")
    assert (image.axes, image.unit) == ("CZYX", unit)
    assert image.spacing == (2.5, 0.29, pytest.approx(1 / 3, rel=1e-7))


def test_imagej_finds_the_time_from_frame_to_frame(tmp_path: Path) -> None:
    write_labels(tmp_path / "a.tif", STACK, axes="TYX", spacing=(30.0, 0.5, 0.5), unit="µm")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.imagej_metadata is not None
        assert (file.imagej_metadata["frames"], file.imagej_metadata["finterval"]) == (len(STACK), 30.0)


@pytest.mark.parametrize("labels", [STACK[:1], STACK + 70000])
def test_what_imagej_has_no_form_for_is_described_otherwise(tmp_path: Path, labels: Any) -> None:
    write_labels(tmp_path / "a.tif", labels, spacing=(2.5, 0.29, 0.29), unit="µm")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.imagej_metadata is None
    image = read_image(tmp_path / "a.tif")
    assert (image.axes, image.shape, image.spacing) == ("CZYX", labels.shape, (2.5, 0.29, 0.29))


@pytest.mark.parametrize(
    ("highest", "kind"), [(255, np.uint8), (256, np.uint16), (65535, np.uint16), (65536, np.uint32)]
)
def test_labels_are_stored_in_the_smallest_type(tmp_path: Path, highest: int, kind: type) -> None:
    write_labels(tmp_path / "a.tif", np.array([[0, highest]]))
    stored = tifffile.imread(tmp_path / "a.tif")
    assert stored.dtype == kind
    assert stored.max() == highest


def test_tiff_labels_are_compressed(tmp_path: Path) -> None:
    write_labels(tmp_path / "a.tif", np.zeros((500, 500), int))
    assert (tmp_path / "a.tif").stat().st_size < 5000


def test_ome_zarr_labels_describe_themselves(tmp_path: Path) -> None:
    write_labels(tmp_path / "a.ome.zarr", STACK, spacing=(2.0, 0.3, 0.25), unit="µm")
    described = zarr.open_group(tmp_path / "a.ome.zarr", mode="r").attrs["ome"]
    assert described["version"] == "0.5"
    assert described["multiscales"][0]["axes"][0] == {"name": "z", "type": "space", "unit": "micrometer"}


def test_new_labels_replace_the_old(tmp_path: Path) -> None:
    for path in (tmp_path / "a.zarr", tmp_path / "a.tif"):
        write_labels(path, STACK)
        write_labels(path, FLAT)
        np.testing.assert_array_equal(read_labels(path), FLAT)


def test_masks_of_true_and_false_become_labels(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", FLAT > 100, photometric="minisblack")
    np.save(tmp_path / "a.npy", FLAT > 100)
    for path in (tmp_path / "a.tif", tmp_path / "a.npy"):
        assert read_labels(path).dtype == np.uint8
        np.testing.assert_array_equal(read_labels(path), FLAT > 100)


@pytest.mark.parametrize("kind", [np.float32, np.int64])
def test_whole_numbers_of_other_types_become_unsigned(tmp_path: Path, kind: type) -> None:
    np.save(tmp_path / "a.npy", FLAT.astype(kind))
    assert read_labels(tmp_path / "a.npy").dtype == np.uint16


@pytest.mark.parametrize("bad", [0.5, np.nan, np.inf])
def test_numbers_that_are_not_whole_are_told(tmp_path: Path, bad: float) -> None:
    np.save(tmp_path / "a.npy", np.full((9, 8), bad, np.float32))
    with pytest.raises(LabelError, match=r"a\.npy holds numbers that are not whole \(float32\)"):
        read_labels(tmp_path / "a.npy")


def test_negative_labels_are_told(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", FLAT - 5)
    with pytest.raises(LabelError, match=r"a\.npy has values from -5 to \d+\. Labels go from 0"):
        read_labels(tmp_path / "a.npy")


def test_a_jpeg_is_told_not_to_hold_labels(tmp_path: Path) -> None:
    PIL.Image.fromarray(np.eye(20, dtype=np.uint8)).save(tmp_path / "a.jpg")
    with pytest.raises(LabelError, match=r"a\.jpg is a JPEG.*Save them as PNG or TIFF"):
        read_labels(tmp_path / "a.jpg")


def test_colours_are_told_not_to_be_labels(tmp_path: Path) -> None:
    PIL.Image.fromarray(np.zeros((9, 8, 3), np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(LabelError, match=r"a\.png has 3 colours.*Save the label numbers, not their colours"):
        read_labels(tmp_path / "a.png")


def test_channels_are_told_not_to_be_labels(tmp_path: Path) -> None:
    write_channels(tmp_path / "a.tif", np.zeros((2, 9, 8)))
    with pytest.raises(LabelError, match="has 2 channels"):
        read_labels(tmp_path / "a.tif")


@pytest.mark.parametrize("labels", [STACK, np.full((9, 8), 65536)])
def test_labels_that_a_png_cannot_hold_are_told(tmp_path: Path, labels: np.ndarray) -> None:
    with pytest.raises(LabelError, match=r"a\.png.*holds one plane of whole numbers up to 65535.*Write \.tif"):
        write_labels(tmp_path / "a.png", labels)


def test_labels_are_not_written_as_jpeg(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="JPEG changes pixel values"):
        write_labels(tmp_path / "a.jpg", FLAT)


@pytest.mark.parametrize(
    "labels", [np.zeros(5, int), np.zeros((9, 8)), np.zeros((2, 2, 9, 8), int), np.zeros((0, 8), int)]
)
def test_what_is_no_label_array_is_not_written(tmp_path: Path, labels: Any) -> None:
    with pytest.raises(LabelError, match="whole numbers in 2 or 3 dimensions"):
        write_labels(tmp_path / "a.tif", labels)


@pytest.mark.parametrize("value", [-1, 2**32])
def test_label_values_out_of_range_are_not_written(tmp_path: Path, value: int) -> None:
    with pytest.raises(LabelError, match="Labels go from 0 to 4294967295"):
        write_labels(tmp_path / "a.tif", np.full((9, 8), value))


def test_an_unknown_format_is_told_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"a\.xyz has no known suffix. Known are \.ome\.tif"):
        write_labels(tmp_path / "a.xyz", FLAT)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("spacing", [(1.0,), (1.0, 0.0)])
def test_a_spacing_that_does_not_fit_is_told(tmp_path: Path, spacing: tuple[float, ...]) -> None:
    with pytest.raises(ImageError, match="one number above 0 for each of Y, X"):
        write_labels(tmp_path / "a.tif", FLAT, spacing=spacing)


@pytest.mark.parametrize("suffix", [".tif", ".ome.tif", ".zarr", ".ome.zarr"])
@pytest.mark.parametrize("shape", [(2, 12, 9), (3, 12, 9), (3, 5, 12, 9)])
def test_probabilities_come_back_with_their_channels(tmp_path: Path, suffix: str, shape: tuple[int, ...]) -> None:
    data = RANDOM.random(shape).astype(np.float32)
    write_channels(tmp_path / f"a{suffix}", data, spacing=(2.0, 0.3, 0.25)[-(len(shape) - 1) :], unit="µm")
    image = read_image(tmp_path / f"a{suffix}")
    assert (image.channels, image.spacing[-1], image.unit, image.rgb) == (shape[0], 0.25, "µm", False)
    np.testing.assert_array_equal(np.asarray(image.data), data)


def test_probabilities_are_written_as_npy(tmp_path: Path) -> None:
    write_channels(tmp_path / "a.npy", np.ones((2, 5, 12, 9)))
    stored = np.load(tmp_path / "a.npy")
    assert (stored.shape, stored.dtype) == ((2, 5, 12, 9), np.float32)


def test_probabilities_are_not_written_as_png(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"a\.png cannot hold probabilities"):
        write_channels(tmp_path / "a.png", np.ones((2, 12, 9)))


def test_probabilities_without_channels_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"have shape \(12, 9\). They are \(K, \[Z,\] Y, X\)"):
        write_channels(tmp_path / "a.tif", np.ones((12, 9)))
