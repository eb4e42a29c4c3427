"""Arrays of zeros that may be larger than memory, and projects of stacks that are."""

import sys

import numpy as np
import pytest

from napari_sslseg import vast
from napari_sslseg.errors import StorageError
from napari_sslseg.io import chunks


def short_of_memory(monkeypatch):
    """A system that lends nothing to those who ask for all of it at once."""

    def refuse(*_):
        raise MemoryError

    monkeypatch.setattr(np, "zeros", refuse)


def test_a_small_array_is_an_ordinary_one():
    found = vast.zeros((2, 3, 4), np.uint16)
    assert (found.shape, found.dtype, found.flags.owndata) == ((2, 3, 4), np.uint16, True)
    assert not found.any()


def test_an_array_larger_than_memory_takes_room_only_where_it_is_written():
    shape = (4096, 8192, 8192)  # 512 GiB
    found = vast.zeros(shape, np.uint16)
    assert (found.shape, found.dtype) == (shape, np.uint16)
    found[2000, 30:40, 50:60] = 7
    assert found[2000, 20:50, 40:80].sum() == 700
    assert not found[4095, -1].any()


def test_where_the_system_lends_nothing_it_is_told(monkeypatch):
    short_of_memory(monkeypatch)
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(
        StorageError, match=r"Masks or labels of 100×20×30 pixels.*not lend so much.*a part of the image"
    ):
        vast.zeros((100, 20, 30), np.uint16)


def test_the_planes_of_an_array_that_were_written_are_known_without_reading(tmp_path):
    chunks.create(tmp_path / "a.zarr", (40, 600, 700), np.uint16)
    assert chunks.planes(tmp_path / "a.zarr") == ()
    for z in (30, 4):
        chunks.write(tmp_path / "a.zarr", np.ones((1, 5, 5), np.uint16), (slice(z, z + 1), slice(590, 595), slice(5)))
    assert chunks.planes(tmp_path / "a.zarr") == (4, 30)
    chunks.write(tmp_path / "a.zarr", np.zeros((1, 5, 5), np.uint16), (slice(4, 5), slice(590, 595), slice(5)))
    assert chunks.planes(tmp_path / "a.zarr") == (30,)
    chunks.create(tmp_path / "b.zarr", (60, 70), np.uint16)
    assert chunks.planes(tmp_path / "b.zarr") == (0,)


def test_it_is_known_how_much_memory_is_left(monkeypatch):
    assert 1e8 < vast.free() < 1e16
    monkeypatch.setattr(vast.Path, "read_text", lambda self: "MemTotal: 5 kB\nMemAvailable:   3 kB\n")
    assert vast.free() == 3072
