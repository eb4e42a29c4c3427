"""Zarr: OME-Zarr of several versions, plain arrays, huge volumes opened at once, damaged folders told."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from napari_sslseg.errors import ImageError
from napari_sslseg.io import read_image
from napari_sslseg.io.lazy import LazyArray

PIXELS = np.random.default_rng(0).integers(0, 999, (2, 5, 16, 12), np.uint16)
AXES = [
    {"name": "c", "type": "channel"},
    {"name": "z", "type": "space", "unit": "micrometer"},
    {"name": "y", "type": "space", "unit": "micrometer"},
    {"name": "x", "type": "space", "unit": "micrometer"},
]


def scale(*steps: float) -> list[dict[str, Any]]:
    return [{"type": "scale", "scale": list(steps)}]


def make(group: zarr.Group, axes: Any = AXES, **more: Any) -> dict[str, Any]:
    """Write two resolutions; return their description."""
    group.create_array("0", data=PIXELS)
    group.create_array("1", data=PIXELS[..., ::2, ::2])
    datasets = [
        {"path": "0", "coordinateTransformations": scale(1, 2.0, 0.5, 0.25)},
        {"path": "1", "coordinateTransformations": scale(1, 2.0, 1.0, 0.5)},
    ]
    return {"axes": axes, "datasets": datasets, **more}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.ome.zarr"


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_zarr_is_read_at_full_resolution_with_its_pixel_size(path: Path, version: str) -> None:
    group = zarr.create_group(path, zarr_format=2 if version == "0.4" else 3)
    described = {"version": version, "multiscales": [make(group)]}
    group.attrs.update(described if version == "0.4" else {"ome": described})
    image = read_image(path)
    assert (image.axes, image.spacing, image.unit, image.name) == ("CZYX", (2.0, 0.5, 0.25), "µm", "a")
    np.testing.assert_array_equal(image.read(3), PIXELS[:, 3])


def test_a_scale_of_all_resolutions_counts_too(path: Path) -> None:
    group = zarr.create_group(path)
    group.attrs["multiscales"] = [make(group, coordinateTransformations=scale(1, 10, 10, 10))]
    assert read_image(path).spacing == (20.0, 5.0, 2.5)


def test_axes_that_are_only_letters_are_understood(path: Path) -> None:
    group = zarr.create_group(path, zarr_format=2)
    group.attrs["multiscales"] = [make(group, ["c", "z", "y", "x"])]
    assert (read_image(path).axes, read_image(path).unit) == ("CZYX", "pixel")


def test_the_oldest_versions_have_five_axes_without_names(path: Path) -> None:
    group = zarr.create_group(path, zarr_format=2)
    group.create_array("0", data=PIXELS[None])
    group.attrs["multiscales"] = [{"version": "0.1", "datasets": [{"path": "0"}]}]
    image = read_image(path)
    assert (image.axes, image.shape, image.channels) == ("CZYX", (5, 16, 12), 2)


def test_five_axes_of_which_depth_is_one_are_a_flat_image(path: Path) -> None:
    group = zarr.create_group(path, zarr_format=2)
    group.create_array("0", data=PIXELS[None, :, :1])
    group.attrs["multiscales"] = [{"datasets": [{"path": "0"}]}]
    assert read_image(path).axes == "CYX"


def test_the_first_series_of_a_converted_file_is_read(path: Path) -> None:
    group = zarr.create_group(path, zarr_format=2)
    group.attrs["bioformats2raw.layout"] = 3
    series = group.create_group("0")
    series.attrs["multiscales"] = [make(series)]
    assert read_image(path).axes == "CZYX"


def test_a_group_of_one_array_is_that_array(path: Path) -> None:
    zarr.create_group(path).create_array("data", data=PIXELS[0])
    np.testing.assert_array_equal(read_image(path).data[0], PIXELS[0])


def test_a_plain_array_tells_its_axes_by_attributes(path: Path) -> None:
    array = zarr.create_array(path, data=PIXELS)
    array.attrs.update(axes="CTYX", spacing=[3.0, 0.5, 0.5], unit="micron")
    image = read_image(path)
    assert (image.axes, image.spacing, image.unit) == ("CTYX", (3.0, 0.5, 0.5), "µm")


def test_a_plain_array_tells_its_axes_by_the_names_of_its_dimensions(path: Path) -> None:
    zarr.create_array(path, data=PIXELS, dimension_names=["c", "z", "y", "x"])
    assert read_image(path).axes == "CZYX"


def test_a_plain_array_without_description_is_guessed(path: Path) -> None:
    zarr.create_array(path, data=PIXELS[0])
    assert read_image(path).axes == "CZYX"


def test_axes_that_the_user_names_win(path: Path) -> None:
    zarr.create_array(path, data=PIXELS)
    assert read_image(path, "TCYX").axes == "CTYX"


def test_a_volume_of_a_hundred_gigabytes_opens_and_reads_a_crop_at_once(path: Path) -> None:
    array = zarr.create_array(path, shape=(1600, 8192, 8192), chunks=(64, 64, 64), dtype="uint8")
    array[800, 4096:4100, 4096:4100] = 7
    start = time.perf_counter()
    image = read_image(path)
    crop = image.read(800, slice(4090, 4346), slice(4090, 4346))
    assert time.perf_counter() - start < 1
    assert isinstance(image.data, LazyArray)
    assert int((crop == 7).sum()) == 16


def test_several_arrays_without_a_description_are_told(path: Path) -> None:
    group = zarr.create_group(path)
    group.create_array("a", data=PIXELS)
    group.create_array("b", data=PIXELS)
    with pytest.raises(ImageError, match="a zarr group of a, b without an OME-Zarr image"):
        read_image(path)


def test_an_empty_folder_with_the_suffix_is_told(path: Path) -> None:
    path.mkdir()
    with pytest.raises(ImageError, match=r"a\.ome\.zarr"):
        read_image(path)


@pytest.mark.parametrize("damage", ["zarr.json", "0/zarr.json"])
def test_damaged_metadata_is_told(path: Path, damage: str) -> None:
    group = zarr.create_group(path)
    group.attrs["ome"] = {"multiscales": [make(group)]}
    (path / damage).write_text('{"zarr_format": 3, "node')
    with pytest.raises(ImageError, match=r"a\.ome\.zarr"):
        read_image(path)


def test_damaged_pixels_are_told(path: Path) -> None:
    zarr.create_array(path, data=PIXELS[0])
    chunk = next(p for p in path.rglob("c/**/*") if p.is_file())
    chunk.write_bytes(b"damaged")
    with pytest.raises(ImageError, match=r"a\.ome\.zarr cannot be read as image"):
        read_image(path)


def test_a_missing_resolution_is_told(path: Path) -> None:
    group = zarr.create_group(path)
    group.attrs["ome"] = {"multiscales": [{"axes": AXES, "datasets": [{"path": "0"}]}]}
    with pytest.raises(ImageError, match=r"a\.ome\.zarr"):
        read_image(path)
