"""Image: axes in any order, lazy arrays read in part, pixel statistics, and what is said of unusable images."""

from typing import Any

import dask.array
import numpy as np
import pytest
import zarr

from napari_sslseg.errors import ImageError
from napari_sslseg.image import LEAST_SIZE, Image, check_usable, guess_axes

RANDOM = np.random.default_rng(0)


def noise(*shape: int, name: str = "cells") -> Image:
    return Image.from_array(RANDOM.integers(0, 999, shape, np.uint16), name=name)


class Counter:
    """An array on disk that counts the pixels read from it."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels, self.read = pixels, 0
        self.shape, self.ndim, self.dtype = pixels.shape, pixels.ndim, pixels.dtype

    def __getitem__(self, key: Any) -> np.ndarray:
        part = self.pixels[key]
        self.read += part.size
        return part


# ---------------------------------------------------------------- axes
@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((20, 30), "YX"),
        ((20, 30, 3), "YXS"),
        ((20, 30, 4), "YXS"),
        ((5, 20, 30), "ZYX"),
        ((3, 20, 30), "ZYX"),
        ((5, 20, 30, 3), "ZYXS"),
        ((20, 30, 2), "ZYX"),
    ],
)
def test_axes_are_guessed_from_the_shape(shape: tuple[int, ...], axes: str) -> None:
    assert guess_axes(shape) == axes


@pytest.mark.parametrize("shape", [(), (20,), (2, 5, 20, 30), (2, 5, 20, 30, 3)])
def test_a_shape_that_cannot_be_guessed_is_told(shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageError, match=r"cells has shape .* does not say what its axes are.*axes='TCYX'"):
        guess_axes(shape, "cells")


@pytest.mark.parametrize(
    ("shape", "axes", "result", "expected"),
    [
        ((20, 30), "YX", "CYX", (1, 20, 30)),
        ((30, 20), "XY", "CYX", (1, 20, 30)),
        ((20, 30, 3), "YXS", "CYX", (3, 20, 30)),
        ((20, 30, 4), "YXS", "CYX", (3, 20, 30)),
        ((5, 2, 20, 30), "ZCYX", "CZYX", (2, 5, 20, 30)),
        ((20, 30, 5, 2), "yxzc", "CZYX", (2, 5, 20, 30)),
        ((7, 20, 30), "TYX", "CTYX", (1, 7, 20, 30)),
        ((1, 5, 20, 30), "TZYX", "CZYX", (1, 5, 20, 30)),
        ((1, 20, 30, 3), "CYXS", "CYX", (3, 20, 30)),
    ],
)
def test_any_order_of_axes_becomes_channels_first(
    shape: tuple[int, ...], axes: str, result: str, expected: tuple[int, ...]
) -> None:
    image = Image.from_array(np.zeros(shape, np.uint8), axes)
    assert (image.axes, image.data.shape) == (result, expected)


def test_pixels_follow_their_axes() -> None:
    pixels = RANDOM.random((4, 2, 6, 5))
    np.testing.assert_array_equal(Image.from_array(pixels, "ZCYX").read(3), pixels[3])


def test_only_a_colour_image_is_called_one() -> None:
    assert Image.from_array(np.zeros((20, 30, 3))).rgb
    assert not Image.from_array(np.zeros((3, 20, 30)), "CYX").rgb


def test_opacity_is_dropped() -> None:
    pixels = RANDOM.integers(0, 255, (9, 8, 4), np.uint8)
    np.testing.assert_array_equal(Image.from_array(pixels).read(0), pixels[..., :3].transpose(2, 0, 1))


@pytest.mark.parametrize("axes", ["YXZ", "Y", "YY", "ZC", "QYX"])
def test_axes_that_do_not_fit_are_told(axes: str) -> None:
    with pytest.raises(ImageError, match=r"was given the axes .*one letter a dimension out of T, C, S, Z, Y, X.*ZYX"):
        Image.from_array(np.zeros((20, 30)), axes, name="cells")


def test_depth_and_time_together_are_told() -> None:
    with pytest.raises(ImageError, match="one stack of planes .*Open one position along T at a time"):
        Image.from_array(np.zeros((2, 5, 20, 30)), "TZYX")


def test_channels_and_colours_together_are_told() -> None:
    with pytest.raises(ImageError, match="Open one position along C at a time"):
        Image.from_array(np.zeros((2, 20, 30, 3)), "CYXS")


def test_planes_and_spatial_shape_are_counted() -> None:
    assert (noise(20, 30).planes, noise(20, 30).shape) == (1, (20, 30))
    assert (noise(5, 20, 30).planes, noise(5, 20, 30).shape) == (5, (5, 20, 30))


@pytest.mark.parametrize("shape", [(20, 30), (1, 0, 30), (1, 2, 3, 4, 5)])
def test_an_array_of_another_shape_is_told(shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageError, match=r"cells has shape .*An image here is \(C, Y, X\) or \(C, Z, Y, X\)"):
        Image(np.zeros(shape), name="cells")


@pytest.mark.parametrize("kind", [np.complex64, "U3", object])
def test_pixels_that_are_no_real_numbers_are_told(kind: Any) -> None:
    with pytest.raises(ImageError, match="cells has pixels of type"):
        Image(np.zeros((1, 9, 8), kind), name="cells")


# ---------------------------------------------------------------- spacing
def test_spacing_is_one_pixel_unless_said() -> None:
    image = noise(5, 20, 30)
    assert (image.spacing, image.unit) == ((1.0, 1.0, 1.0), "pixel")


@pytest.mark.parametrize("spacing", [(1.0,), (1.0, 2.0, 3.0), (0.0, 1.0), (-1.0, 1.0), (float("nan"), 1.0)])
def test_spacing_that_does_not_fit_is_told(spacing: tuple[float, ...]) -> None:
    with pytest.raises(ImageError, match="has spacing .*one number above 0 for each of its 2 spatial axes"):
        Image.from_array(np.zeros((9, 8)), spacing=spacing)


# ---------------------------------------------------------------- lazy arrays
def test_making_an_image_of_an_array_on_disk_reads_nothing() -> None:
    counter = Counter(np.zeros((1, 5, 2, 64, 64), np.uint8))
    Image.from_array(counter, "TZCYX")
    assert counter.read == 0


def test_only_the_crop_of_an_array_on_disk_is_read() -> None:
    counter = Counter(RANDOM.integers(0, 255, (9, 512, 512), np.uint8))
    counter.chunks = (1, 64, 64)
    crop = Image.from_array(counter).read(4, slice(64, 128), slice(0, 64))
    np.testing.assert_array_equal(crop[0], counter.pixels[4, 64:128, :64])
    assert counter.read <= 4 * 64 * 64


@pytest.mark.parametrize("lazy", [dask.array.from_array, zarr.array])
def test_dask_and_zarr_arrays_give_the_pixels_of_numpy(lazy: Any) -> None:
    pixels = RANDOM.integers(0, 255, (5, 2, 20, 30), np.uint8)
    image = Image.from_array(lazy(pixels), "ZCYX")
    np.testing.assert_array_equal(image.read(3, slice(2, 9), slice(4)), pixels[3, :, 2:9, :4])


def test_measuring_a_large_array_on_disk_reads_little_of_it() -> None:
    counter = Counter(RANDOM.integers(0, 255, (1, 4096, 4096), np.uint8))
    intensity = Image(counter).intensity()
    assert counter.read <= 16 * 256 * 256
    assert intensity.mean[0] == pytest.approx(127, abs=1)


# ---------------------------------------------------------------- intensity
def test_normalised_pixels_have_mean_zero_and_deviation_one() -> None:
    pixels = Image.from_array(RANDOM.normal(1000, 50, (2, 64, 64)), "CYX").normalised(0)
    assert pixels.dtype == np.float32
    np.testing.assert_allclose(pixels.mean(axis=(1, 2)), 0, atol=1e-3)
    np.testing.assert_allclose(pixels.std(axis=(1, 2)), 1, atol=1e-3)


def test_each_channel_is_measured_by_itself() -> None:
    pixels = np.stack([np.full((9, 8), 10.0), np.arange(72.0).reshape(9, 8)])
    intensity = Image.from_array(pixels, "CYX").intensity()
    assert intensity.mean == pytest.approx((10, 35.5), abs=0.1)
    assert intensity.std[0] == 0


def test_sixteen_bit_values_are_measured_without_overflow() -> None:
    pixels = np.full((64, 64), 60000, np.uint16)
    pixels[:32] = 50000
    intensity = Image.from_array(pixels).intensity()
    assert intensity.mean == (55000,)
    assert intensity.std == (5000,)


def test_outliers_are_clipped() -> None:
    pixels = RANDOM.normal(100, 10, (128, 128))
    pixels[0, :4] = 1e9
    image = Image.from_array(pixels)
    assert image.intensity().mean[0] == pytest.approx(100, abs=1)
    assert image.normalised(0).max() < 6


def test_a_few_bright_pixels_on_an_even_ground_are_not_clipped_away() -> None:
    pixels = np.zeros((128, 128), np.uint8)
    pixels[5, 5] = 200
    assert not Image.from_array(pixels).intensity().constant


@pytest.mark.parametrize("wild", [np.nan, np.inf, -np.inf])
def test_nan_and_infinite_pixels_become_the_mean(wild: float) -> None:
    pixels = RANDOM.normal(100, 10, (64, 64))
    pixels[3, 4] = wild
    image = Image.from_array(pixels)
    assert image.normalised(0)[0, 3, 4] == 0
    assert image.intensity().mean[0] == pytest.approx(100, abs=1)


def test_a_channel_without_any_ordinary_number_is_told() -> None:
    with pytest.raises(ImageError, match="cells has a channel of NaN or infinite pixels only.*Check the file"):
        Image.from_array(np.full((9, 8), np.nan), name="cells").intensity()


def test_a_constant_image_normalises_to_zero() -> None:
    image = Image.from_array(np.full((9, 8), 7, np.uint8))
    assert image.intensity().constant
    assert not image.normalised(0).any()


def test_an_image_of_one_pixel_can_be_measured() -> None:
    image = Image.from_array(np.full((1, 1), 7, np.uint8))
    assert image.intensity().mean == (7,)
    assert image.normalised(0).shape == (1, 1, 1)


def test_true_and_false_can_be_measured() -> None:
    assert Image.from_array(np.eye(8, dtype=bool)).intensity().mean == (0.125,)


def test_intensity_is_measured_once() -> None:
    image = noise(20, 30)
    assert image.intensity() is image.intensity()


# ---------------------------------------------------------------- usable images
def test_a_part_is_normalised_as_it_is_in_the_whole() -> None:
    pixels = RANDOM.integers(0, 999, (2, 3, 40, 50), np.uint16)
    pixels[..., :20, :] //= 10
    image = Image(pixels)
    part = image.part(slice(5, 15), slice(8, 40))
    assert part.shape == (3, 10, 32)
    np.testing.assert_array_equal(part.normalised(1), image.normalised(1)[:, 5:15, 8:40])


def test_good_images_are_kept_without_a_word() -> None:
    images = [noise(20, 30, name="a"), noise(40, 30, name="b")]
    assert check_usable(images) == (images, [])


def test_no_image_is_told() -> None:
    with pytest.raises(ImageError, match="No image was given"):
        check_usable([])


def test_a_constant_image_is_left_out_with_a_sentence() -> None:
    good, flat = noise(20, 30), Image.from_array(np.zeros((20, 30)), name="flat")
    kept, said = check_usable([good, flat])
    assert kept == [good]
    assert said == ["flat has the same value everywhere, so there is nothing to learn from it."]


def test_an_image_of_one_pixel_is_left_out_with_a_sentence() -> None:
    good, tiny = noise(20, 30), Image.from_array(np.ones((1, 1)), name="tiny")
    kept, said = check_usable([tiny, good])
    assert kept == [good]
    assert said == [f"tiny is 1 x 1 pixels; planes of at least {LEAST_SIZE} x {LEAST_SIZE} are needed."]


def test_only_unusable_images_are_told() -> None:
    with pytest.raises(ImageError, match="flat has the same value everywhere.*At least one image with structure"):
        check_usable([Image.from_array(np.zeros((20, 30)), name="flat")])


@pytest.mark.parametrize("wild", [np.nan, np.inf])
def test_nan_and_infinite_pixels_are_mentioned(wild: float) -> None:
    pixels = RANDOM.random((2000, 30))
    pixels[1999, 29] = wild
    kept, said = check_usable([Image.from_array(pixels, name="odd")])
    assert len(kept) == 1
    assert said == ["odd has NaN or infinite pixels; they are treated as its mean value."]


def test_images_of_different_channels_are_told() -> None:
    colour = Image.from_array(RANDOM.integers(0, 255, (20, 30, 3), np.uint8), name="stain")
    with pytest.raises(ImageError, match="cells has 1 channels and stain has 3.*Use one project for each kind"):
        check_usable([noise(20, 30), colour])
