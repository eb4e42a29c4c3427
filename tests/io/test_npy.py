"""The npy format: axes guessed or named, large files mapped, damaged and unsafe files told."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_sslseg.errors import ImageError
from napari_sslseg.io import read_image
from napari_sslseg.io.lazy import LazyArray


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.npy"


@pytest.mark.parametrize(
    ("shape", "axes"), [((9, 8), "CYX"), ((7, 9, 8), "CZYX"), ((9, 8, 3), "CYX"), ((7, 9, 8, 3), "CZYX")]
)
def test_axes_are_guessed_from_the_shape(path: Path, shape: tuple[int, ...], axes: str) -> None:
    np.save(path, np.zeros(shape))
    assert read_image(path).axes == axes


def test_axes_that_cannot_be_guessed_are_asked_for(path: Path) -> None:
    np.save(path, np.zeros((2, 3, 9, 8)))
    with pytest.raises(ImageError, match="does not say what its axes are"):
        read_image(path)
    assert read_image(path, "ZCYX").channels == 3


def test_a_large_file_is_mapped_and_not_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_sslseg.io.layout.SMALL", 0)
    pixels = np.arange(30).reshape(5, 6)
    np.save(path, np.asfortranarray(pixels))
    image = read_image(path)
    assert isinstance(image.data, LazyArray)
    np.testing.assert_array_equal(image.read(0, slice(2, 4))[0], pixels[2:4])


def test_pickled_objects_are_refused(path: Path) -> None:
    np.save(path, np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(ImageError, match=r"a\.npy cannot be read as npy"):
        read_image(path)


@pytest.mark.parametrize("content", [b"", b"text", b"\x93NUMPY", b"PK\x03\x04"])
def test_a_file_that_is_no_npy_is_told(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(ImageError, match=r"a\.npy cannot be read as npy"):
        read_image(path)


def test_an_archive_of_arrays_is_told(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, np.zeros(3))
    with pytest.raises(ImageError, match=r"a\.npy cannot be read as npy"):
        read_image(path)


def test_a_file_cut_short_is_told(path: Path) -> None:
    np.save(path, np.zeros((9, 8)))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ImageError, match=r"a\.npy cannot be read as npy"):
        read_image(path)


@pytest.mark.parametrize("array", [np.zeros(()), np.zeros(5), np.zeros((0, 5)), np.zeros((9, 8), "U2")])
def test_an_array_that_is_no_image_is_told(path: Path, array: Any) -> None:
    np.save(path, array)
    with pytest.raises(ImageError, match="^a has "):
        read_image(path)
