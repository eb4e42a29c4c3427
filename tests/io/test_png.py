"""PNG and JPEG: grey, colours, palettes, opacity, 16 bit; damaged and oversized files told."""

from pathlib import Path

import imagecodecs
import numpy as np
import PIL.Image
import pytest

from napari_sslseg.errors import ImageError
from napari_sslseg.io import read_image, read_labels

RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 255, (12, 9), np.uint8)
COLOUR = RANDOM.integers(0, 255, (12, 9, 3), np.uint8)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.png"


def test_grey_is_one_channel(path: Path) -> None:
    PIL.Image.fromarray(GREY).save(path)
    image = read_image(path)
    assert (image.axes, image.rgb, image.name) == ("CYX", False, "a")
    np.testing.assert_array_equal(image.read(0)[0], GREY)


def test_colours_are_three_channels(path: Path) -> None:
    PIL.Image.fromarray(COLOUR).save(path)
    image = read_image(path)
    assert image.rgb
    np.testing.assert_array_equal(image.read(0), COLOUR.transpose(2, 0, 1))


def test_a_colour_image_three_pixels_wide_is_no_stack(path: Path) -> None:
    PIL.Image.fromarray(GREY[:, :3]).save(path)
    assert read_image(path).shape == (12, 3)


def test_opacity_of_colours_is_dropped(path: Path) -> None:
    PIL.Image.fromarray(np.dstack([COLOUR, GREY])).save(path)
    np.testing.assert_array_equal(read_image(path).read(0), COLOUR.transpose(2, 0, 1))


def test_opacity_of_grey_is_dropped(path: Path) -> None:
    PIL.Image.fromarray(np.dstack([GREY, GREY // 2])).save(path)
    np.testing.assert_array_equal(read_image(path).read(0), GREY[None])


def test_sixteen_bit_grey_is_kept(path: Path) -> None:
    deep = RANDOM.integers(0, 65535, (12, 9), np.uint16)
    PIL.Image.fromarray(deep).save(path)
    image = read_image(path)
    assert image.data.dtype == np.uint16
    np.testing.assert_array_equal(image.read(0)[0], deep)


@pytest.mark.parametrize("samples", [3, 4])
def test_sixteen_bit_colours_are_kept(path: Path, samples: int) -> None:
    deep = RANDOM.integers(0, 65535, (12, 9, samples), np.uint16)
    path.write_bytes(imagecodecs.png_encode(deep))
    np.testing.assert_array_equal(read_image(path).read(0), deep[..., :3].transpose(2, 0, 1))


def test_sixteen_bit_grey_with_opacity_is_kept(path: Path) -> None:
    deep = RANDOM.integers(0, 65535, (12, 9, 2), np.uint16)
    path.write_bytes(imagecodecs.png_encode(deep))
    np.testing.assert_array_equal(read_image(path).read(0)[0], deep[..., 0])


def test_two_levels_become_grey(path: Path) -> None:
    PIL.Image.fromarray(GREY > 100).save(path)
    np.testing.assert_array_equal(read_image(path).read(0)[0], np.where(GREY > 100, 255, 0))


def test_a_palette_gives_its_colours_as_an_image_and_its_numbers_as_labels(path: Path) -> None:
    numbers = (GREY % 3).astype(np.uint8)
    picture = PIL.Image.fromarray(numbers, mode=None).convert("L")
    picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    picture.save(path)
    np.testing.assert_array_equal(read_image(path).read(0)[0], np.where(numbers == 1, 255, 0))
    np.testing.assert_array_equal(read_labels(path), numbers)


def test_jpeg_is_read(tmp_path: Path) -> None:
    PIL.Image.fromarray(np.full((16, 16, 3), 90, np.uint8)).save(tmp_path / "a.jpg")
    image = read_image(tmp_path / "a.jpg")
    assert image.rgb
    assert np.abs(image.read(0).astype(int) - 90).max() < 3


@pytest.mark.parametrize("content", [b"", b"text", b"\x89PNG\r\n\x1a\n"])
def test_a_file_that_is_no_png_is_told(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(ImageError, match=r"a\.png cannot be read as PNG or JPEG"):
        read_image(path)


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_a_file_cut_short_is_told(tmp_path: Path, name: str) -> None:
    PIL.Image.fromarray(RANDOM.integers(0, 255, (99, 99), np.uint8)).save(tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ImageError, match="cannot be read as PNG or JPEG"):
        read_image(tmp_path / name)


def test_a_png_too_large_to_be_read_whole_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    PIL.Image.fromarray(GREY).save(path)
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(ImageError, match="very large.*Convert it to OME-Zarr or tiled TIFF"):
        read_image(path)
