"""An array on disk seen through a LazyArray gives the same pixels as NumPy, and reads no more than is asked for."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_sslseg.errors import ImageError
from napari_sslseg.io.lazy import LazyArray

PIXELS = np.arange(2 * 3 * 5 * 7, dtype=np.int64).reshape(2, 3, 5, 7)


class Recorder:
    """Stands for a file: keeps what was asked of it."""

    shape, ndim, dtype = PIXELS.shape, PIXELS.ndim, PIXELS.dtype

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def __getitem__(self, key: Any) -> Any:
        self.asked.append(key)
        return PIXELS[key]


@pytest.fixture
def lazy() -> LazyArray:
    return LazyArray(PIXELS, Path("a.tif"))


@pytest.mark.parametrize(
    "key",
    [
        0,
        -1,
        (slice(None), 1),
        (..., 2),
        (slice(1, None), slice(None), slice(4, 0, -2)),
        (0, None, slice(None), 1),
        (None, ..., None),
        (slice(None), slice(0, 0)),
        (np.int64(1), slice(-2, None)),
        (slice(None, None, -1), ..., slice(None, None, 3)),
    ],
)
def test_slices_are_those_of_numpy(lazy: LazyArray, key: Any) -> None:
    np.testing.assert_array_equal(np.asarray(lazy[key]), PIXELS[key])
    assert lazy[key].shape == PIXELS[key].shape


def test_slices_of_slices_are_those_of_numpy(lazy: LazyArray) -> None:
    part = lazy[1, :, 4:0:-1][None].transpose(0, 3, 1, 2)[:, 2:6, ::-1][..., 1]
    expected = PIXELS[1, :, 4:0:-1][None].transpose(0, 3, 1, 2)[:, 2:6, ::-1][..., 1]
    np.testing.assert_array_equal(np.asarray(part), expected)


def test_axes_are_put_in_another_order_as_numpy_does(lazy: LazyArray) -> None:
    for order in [(3, 1, 0, 2), [0, 2, 1, 3]]:
        np.testing.assert_array_equal(np.asarray(lazy.transpose(order)), PIXELS.transpose(order))
    assert lazy.transpose().shape == PIXELS.T.shape


def test_size_is_known_without_reading() -> None:
    recorder = Recorder()
    view = LazyArray(recorder, Path("a.tif"))[0].transpose(2, 0, 1)
    assert (view.shape, view.ndim, view.size, len(view)) == ((7, 3, 5), 3, 105, 7)
    assert view.nbytes == 105 * PIXELS.itemsize
    assert recorder.asked == []


def test_a_view_says_what_it_shows(lazy: LazyArray) -> None:
    assert repr(lazy[0]) == "LazyArray(a.tif, shape=(3, 5, 7), dtype=int64)"


def test_only_the_part_asked_for_is_read() -> None:
    recorder = Recorder()
    np.asarray(LazyArray(recorder, Path("a.tif")).transpose(1, 0, 2, 3)[2, :, 1:3])
    assert recorder.asked == [(slice(0, 2, 1), 2, slice(1, 3, 1), slice(0, 7, 1))]


def test_pixels_come_in_the_byte_order_of_the_machine() -> None:
    lazy = LazyArray(np.arange(6, dtype=">u2").reshape(2, 3), Path("a.tif"))
    assert np.asarray(lazy).dtype == np.dtype("=u2")
    assert np.asarray(lazy)[1, 2] == 5


def test_a_type_can_be_asked_for(lazy: LazyArray) -> None:
    assert np.asarray(lazy[0, 0], np.float32).dtype == np.float32


@pytest.mark.parametrize("key", [[0, 1], "x", np.array([True, False])])
def test_lists_and_masks_are_refused(lazy: LazyArray, key: Any) -> None:
    with pytest.raises(IndexError, match="whole numbers and slices"):
        lazy[key]


def test_too_many_indices_are_refused(lazy: LazyArray) -> None:
    with pytest.raises(IndexError, match="Too many indices"):
        lazy[0, 0, 0, 0, 0]


def test_an_index_out_of_range_is_refused(lazy: LazyArray) -> None:
    with pytest.raises(IndexError):
        lazy[2]


def test_an_order_that_is_none_is_refused(lazy: LazyArray) -> None:
    with pytest.raises(ValueError, match="not an order of 4 axes"):
        lazy.transpose(0, 1, 2)


def test_damage_found_while_reading_names_the_file() -> None:
    class Broken(Recorder):
        def __getitem__(self, key: Any) -> Any:
            raise RuntimeError("zlib error -3")

    with pytest.raises(ImageError, match=r"a\.tif cannot be read as image \(zlib error -3\)"):
        np.asarray(LazyArray(Broken(), Path("a.tif")))
