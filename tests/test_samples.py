"""Samples: those of scikit-image need no network, nuclei3d has exact truth, a failed download is one clear sentence."""

import importlib.resources
from http.client import IncompleteRead
from urllib.error import URLError

import numpy as np
import pytest
import skimage.data
from skimage.measure import label

from napari_sslseg import samples
from napari_sslseg.annotation import Annotation
from napari_sslseg.errors import ConfigError, ImageError
from napari_sslseg.image import Image


@pytest.fixture(scope="module")
def nuclei() -> tuple[Image, np.ndarray]:
    return samples.nuclei3d()


def test_names_are_listed() -> None:
    assert samples.names() == ("ihc", "retina", "coins", "cell", "nuclei3d", "cells3d")


def test_only_cells3d_is_a_download() -> None:
    assert [s.name for s in samples.SAMPLES.values() if s.download] == ["cells3d"]


@pytest.mark.parametrize(("name", "channels"), [("ihc", 3), ("retina", 3), ("coins", 1), ("cell", 1)])
def test_real_images_come_from_the_installed_package(name: str, channels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*_: object, **__: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr("socket.socket.connect", no_network)
    image = samples.load(name)
    assert (image.name, image.channels, image.rgb, image.planes) == (name, channels, channels == 3, 1)
    assert not image.intensity().constant


@pytest.mark.parametrize("file", ["ihc.png", "retina.jpg", "coins.png", "cell.png"])
def test_scikit_image_ships_the_files(file: str) -> None:
    assert (importlib.resources.files(skimage.data) / file).is_file()


def test_an_unknown_sample_is_told() -> None:
    with pytest.raises(ConfigError, match="There is no sample 'cats'. There are ihc, retina"):
        samples.load("cats")


# ---------------------------------------------------------------- nuclei3d
def test_nuclei_are_a_stack_with_wide_planes(nuclei: tuple[Image, np.ndarray]) -> None:
    image, truth = nuclei
    assert (image.axes, image.shape, image.data.dtype) == ("CZYX", (32, 128, 128), np.uint16)
    assert (image.spacing, image.unit) == ((1.0, 0.25, 0.25), "µm")
    assert truth.shape == image.shape


def test_nuclei_are_numbered_without_gaps_and_each_is_in_one_piece(nuclei: tuple[Image, np.ndarray]) -> None:
    _, truth = nuclei
    count = int(truth.max())
    assert set(np.unique(truth)) == set(range(count + 1))
    assert count > 20
    assert all(label(truth == number).max() == 1 for number in range(1, count + 1))


def test_some_nuclei_touch(nuclei: tuple[Image, np.ndarray]) -> None:
    left, right = nuclei[1][..., :-1], nuclei[1][..., 1:]
    assert ((left != right) & (left > 0) & (right > 0)).any()


def test_nuclei_are_brighter_than_what_is_between_them(nuclei: tuple[Image, np.ndarray]) -> None:
    image, truth = nuclei
    pixels = image.data[0].astype(float)
    dark = pixels[truth == 0]
    assert np.median(pixels[truth > 0]) > np.median(dark) + 3 * dark.std()


def test_the_image_is_blurred_along_the_light(nuclei: tuple[Image, np.ndarray]) -> None:
    image, truth = nuclei
    above = (truth[1:] > 0) & (truth[:-1] == 0)
    pixels = image.data[0].astype(float)
    assert pixels[:-1][above].mean() > 1.3 * np.median(pixels[truth == 0])


def test_the_image_is_noisy(nuclei: tuple[Image, np.ndarray]) -> None:
    pixels = nuclei[0].data[0].astype(float)
    assert np.std(pixels[..., 1:] - pixels[..., :-1]) > 10


def test_the_same_seed_gives_the_same_nuclei() -> None:
    shape = (8, 32, 32)
    first, again, other = (samples.nuclei3d(seed, shape) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first[0].data, again[0].data)
    np.testing.assert_array_equal(first[1], again[1])
    assert not np.array_equal(first[0].data, other[0].data)


def test_the_truth_is_an_annotation_of_every_pixel(nuclei: tuple[Image, np.ndarray]) -> None:
    make = samples.SAMPLES["nuclei3d"].truth
    assert make is not None
    annotation: Annotation = make()
    assert annotation.task == "instance"
    np.testing.assert_array_equal(annotation.labels, nuclei[1] + 1)


@pytest.mark.parametrize("shape", [(7, 32, 32), (32, 32), (8, 8, 0)])
def test_a_shape_without_room_is_told(shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageError, match=r"It is \(Z, Y, X\), each at least 8"):
        samples.nuclei3d(shape=shape)


# ---------------------------------------------------------------- download
@pytest.mark.parametrize(
    "error",
    [
        ModuleNotFoundError("pooch"),
        ConnectionError("no internet connection is available"),
        OSError("Max retries exceeded"),  # requests derives its errors from OSError
        URLError("Name or service not known"),
        IncompleteRead(b""),
        TimeoutError("timed out"),
        ValueError("MD5 hash of downloaded file does not match"),
        PermissionError(13, "the cache may not be written"),
    ],
)
def test_a_failed_download_is_one_clear_sentence(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(skimage.data, "cells3d", fail)
    with pytest.raises(ImageError, match=r"cells3d could not be downloaded.*internet connection.*take nuclei3d"):
        samples.load("cells3d")


def test_a_download_becomes_a_stack_of_two_channels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(skimage.data, "cells3d", lambda: np.zeros((60, 2, 25, 20), np.uint16))
    image = samples.load("cells3d")
    assert (image.axes, image.channels, image.shape, image.unit) == ("CZYX", 2, (60, 25, 20), "µm")
