"""Channels of one image that are several arrays are put together where they are read."""

import dask.array
import numpy as np
import pytest

from napari_sslseg.image import Image
from napari_sslseg.io.channels import joined

PIXELS = np.random.default_rng(0).integers(0, 255, (3, 4, 20, 30), np.uint8)


class Once:
    """An array that notes what is asked of it."""

    def __init__(self, array):
        self.array, self.shape, self.dtype, self.asked = array, array.shape, array.dtype, []

    def __getitem__(self, key):
        self.asked.append(key)
        return self.array[key]


def test_nothing_is_read_before_it_is_asked_for_and_then_no_more_than_that():
    parts = [Once(channel) for channel in PIXELS]
    image = Image.from_array(joined(parts, "a"), "CZYX", name="a")
    assert (image.channels, image.shape, image.data.dtype) == (3, (4, 20, 30), np.uint8)
    assert [part.asked for part in parts] == [[], [], []]
    np.testing.assert_array_equal(image.read(2), PIXELS[:, 2])
    np.testing.assert_array_equal(np.asarray(image.data[1, :, 3:5]), PIXELS[1, :, 3:5])
    assert [len(part.asked) for part in parts] == [1, 2, 1]
    assert parts[0].asked == [(2, slice(0, 20, 1), slice(0, 30, 1))]


@pytest.mark.parametrize("key", [np.s_[:], np.s_[::-1, 0], np.s_[1:2, :, 5], np.s_[0:0, 1], np.s_[..., 3]])
def test_it_is_read_like_one_array(key):
    np.testing.assert_array_equal(np.asarray(joined(list(PIXELS), "a")[key]), PIXELS[key])


def test_arrays_of_several_kinds_and_types_go_together():
    parts = [PIXELS[0], dask.array.from_array(PIXELS[1].astype(np.float32), (1, 20, 30))]
    found = joined(parts, "a")
    assert found.dtype == np.float32
    np.testing.assert_array_equal(np.asarray(found), PIXELS[:2].astype(np.float32))
    flat = np.asarray(joined([PIXELS[0, 0], PIXELS[1, 0]], "a").transpose(1, 2, 0))
    np.testing.assert_array_equal(flat, PIXELS[:2, 0].transpose(1, 2, 0))
