"""What the axes of open layers are: said by the user, by the layer, by its file, or guessed. No window is needed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from napari.layers import Image as ImageLayer

from napari_sslseg.errors import UserError
from napari_sslseg.gui import axes, layers, origin
from napari_sslseg.image import Image
from napari_sslseg.project import Project


def layer(*shape: int, **said: Any) -> ImageLayer:
    """A layer of zeros."""
    return ImageLayer(np.zeros(shape, np.uint8), **{"rgb": False, **said})


def of_file(path: Path, **said: Any) -> ImageLayer:
    """A layer as this plugin opens a file that was dropped, in the order of axes that it has on disk."""
    return ImageLayer(tifffile.imread(path), metadata={origin.KEY: str(path)}, **{"rgb": False, **said})


@pytest.mark.parametrize(
    ("shape", "offered"),
    [
        ((40, 32), ["YX"]),
        ((5, 40, 32), ["ZYX", "TYX", "CYX"]),
        ((3, 40, 32), ["ZYX", "TYX", "CYX", "SYX"]),
        ((100, 90, 4), ["ZYX", "YXZ", "TYX", "YXT", "YXC", "YXS"]),
        ((2, 9, 40, 32), ["ZCYX", "TCYX", "CZYX", "CTYX"]),
    ],
)
def test_only_axes_that_an_image_can_have_are_offered(shape: tuple[int, ...], offered: list[str]) -> None:
    assert axes.choices(shape) == offered


@pytest.mark.parametrize("shape", [(40, 32), (5, 40, 32), (3, 40, 32), (100, 90, 4), (2, 9, 40, 32), (1, 2, 9, 40, 32)])
def test_whatever_is_offered_makes_an_image(shape: tuple[int, ...]) -> None:
    one = layer(*shape)
    for offered in axes.choices(shape):
        axes.say([one], offered)
        image = layers.image_from([one])
        assert axes.gives(offered, shape) == (image.axes, image.shape, image.channels, image.rgb)


def test_what_the_user_says_wins_over_the_guess() -> None:
    one = layer(3, 40, 32)
    assert layers.image_from([one]).shape == (3, 40, 32)
    axes.say([one], "SYX")
    image = layers.image_from([one])
    assert (image.rgb, image.channels, image.shape) == (True, 3, (40, 32))


def test_names_that_a_layer_gives_its_axes_are_believed() -> None:
    assert axes.axes_of(layer(2, 9, 40, 32, axis_labels=("c", "z", "y", "x"))) == "CZYX"


def test_axes_that_cannot_be_are_told_in_words_of_the_window() -> None:
    with pytest.raises(UserError, match="Choose below the list of images what its axes are"):
        layers.image_from([layer(2, 3, 16, 16)])


def test_what_the_file_says_wins_over_a_guess_from_the_shape(tmp_path: Path) -> None:
    file = tmp_path / "two.tif"
    pixels = np.zeros((2, 40, 32), np.uint16)
    tifffile.imwrite(file, pixels, imagej=True, metadata={"axes": "CYX", "unit": "um"}, resolution=(4, 4))
    one = of_file(file)
    image = layers.image_from([one])
    assert (axes.axes_of(one), image.channels, image.spacing, image.unit) == ("CYX", 2, (0.25, 0.25), "µm")


def test_a_file_is_referred_to_with_the_axes_and_pixel_size_that_the_user_gave(tmp_path: Path) -> None:
    file = tmp_path / "plain.tif"
    tifffile.imwrite(file, np.random.default_rng(0).integers(0, 9, (5, 40, 32), np.uint8))
    one = of_file(file)
    axes.say([one], "TYX")
    axes.set_place(one, "TYX", {"Y": 0.5, "X": 0.5}, "µm")
    image = layers.image_from([one])
    path, said = origin.reference(one, "TYX", image) or (None, {})
    project = Project.create(tmp_path / "p.sslseg")
    project.add_file(path or "", **said)
    again = Project.open(project.path).image("plain")
    assert (again.axes, again.spacing, again.unit) == ("CTYX", (1.0, 0.5, 0.5), "µm")
    assert not (project.path / "images").exists()


def test_the_pixel_size_is_shown_in_the_viewer_too() -> None:
    one = layer(5, 40, 32)
    axes.set_place(one, "ZYX", {"Z": 2.0, "Y": 0.5, "X": 0.5}, "µm")
    assert (tuple(one.scale), axes.place_of(one, "ZYX")) == ((2, 0.5, 0.5), ((2.0, 0.5, 0.5), "µm"))


@pytest.mark.parametrize(
    ("image", "text"),
    [
        (Image.from_array(np.zeros((5, 40, 32), np.uint16), "ZYX"), "5 planes · 40×32 · 16-bit · 12.8 KB"),
        (Image.from_array(np.zeros((1, 40, 32), np.uint16), "ZYX"), "1 plane · 40×32 · 16-bit · 2.56 KB"),
        (Image.from_array(np.zeros((5, 40, 32), bool), "TYX"), "5 times · 40×32 · yes/no · 6.4 KB"),
        (Image.from_array(np.zeros((2, 40, 32), np.float32), "CYX"), "40×32 · 2 channels · 32-bit float · 10.2 KB"),
        (Image.from_array(np.zeros((40, 32, 3), np.uint8), "YXS"), "40×32 RGB · 8-bit · 3.84 KB"),
    ],
)
def test_an_image_in_a_few_words(image: Image, text: str) -> None:
    assert axes.describe(image) == text
