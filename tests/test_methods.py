"""The pretext tasks of the self-supervised methods, checked pixel by pixel."""

import numpy as np
import pytest
import torch

from napari_sslseg.errors import ConfigError
from napari_sslseg.image import Image
from napari_sslseg.job import run
from napari_sslseg.methods import METHODS
from napari_sslseg.methods.colorize import greyed
from napari_sslseg.methods.denoise import CELL, REACH, blind_spots, neighbours
from napari_sslseg.methods.jigsaw import GRID, shuffled
from napari_sslseg.model import Network
from napari_sslseg.pretraining import pretrain
from napari_sslseg.settings import PretrainConfig


def method(name, channels=1, side=32):
    torch.manual_seed(0)
    return METHODS.load(name)(Network("unet", "fpn", channels), side)


def test_each_whole_cell_has_one_blind_spot():
    spots = blind_spots(3, 4 * CELL)
    cells = spots.reshape(3, 4, CELL, 4, CELL).sum((2, 4))
    assert (cells == 1).all()
    assert not torch.equal(spots[0], spots[1])


def test_a_blind_spot_shows_a_near_pixel_and_never_its_own():
    height, width = 20, 30
    numbered = torch.arange(height * width, dtype=torch.float32).reshape(1, 1, height, width).repeat(40, 2, 1, 1)
    found = neighbours(numbered)
    assert torch.equal(found[:, 0], found[:, 1])
    y, x = found[:, 0] // width, found[:, 0] % width
    dy, dx = (y - torch.arange(height)[:, None]).abs(), (x - torch.arange(width)).abs()
    assert int(torch.maximum(dy, dx).max()) == REACH
    inner = np.s_[:, REACH:-REACH, REACH:-REACH]  # at the border a mirrored neighbour may be the pixel itself
    assert int((dy + dx)[inner].min()) == 1


def test_denoising_is_scored_at_blind_spots_only():
    denoise = method("denoise")
    torch.manual_seed(0)
    batch = denoise.prepare(torch.randn(4, 1, 48, 48))
    found = denoise.output(denoise.network.features(batch["seen"])).detach().numpy()
    at = np.broadcast_to(batch["spots"].numpy(), found.shape)
    expected = np.mean((found[at] - batch["noisy"].numpy()[at]) ** 2)
    assert float(denoise(batch)["loss"].detach()) == pytest.approx(expected, rel=1e-5)
    assert torch.equal(batch["seen"][~batch["spots"]], batch["noisy"][~batch["spots"]])


def test_the_pieces_of_a_jigsaw_come_to_their_places():
    images = torch.randn(2, 3, 8 * GRID, 8 * GRID)
    order = torch.stack([torch.randperm(GRID * GRID) for _ in range(2)])
    found = shuffled(images, order)
    for i in range(2):
        for place, piece in enumerate(order[i].tolist()):
            (a, b), (c, d) = divmod(place, GRID), divmod(piece, GRID)
            moved = found[i, :, 8 * a : 8 * a + 8, 8 * b : 8 * b + 8]
            assert torch.equal(moved, images[i, :, 8 * c : 8 * c + 8, 8 * d : 8 * d + 8])


def test_what_is_hidden_is_the_mean_of_the_visible_channels():
    images = torch.randn(3, 3, 4, 5)
    hidden = torch.tensor([[True, False, False], [False, False, True], [True, True, True]])[:, :, None, None]
    found = greyed(images, hidden)
    assert torch.allclose(found[0, 0], images[0, 1:].mean(0))
    assert torch.equal(found[0, 1:], images[0, 1:])
    assert torch.allclose(found[1, 2], images[1, :2].mean(0))
    assert torch.allclose(found[2], images[2].mean(0).expand(3, 4, 5))


def test_colours_cannot_be_learnt_from_grey_images():
    grey = Image.from_array(np.random.default_rng(0).random((40, 40)), name="grey")
    with pytest.raises(ConfigError, match="'colorize' predicts channels from each other and these images have 1"):
        run(pretrain([grey], PretrainConfig(method="colorize", encoder="unet", start="random", steps=1)))


@pytest.mark.parametrize("name", METHODS.names())
def test_every_method_shows_a_picture_in_range_or_none(name):
    channels = METHODS.load(name).least_channels
    made = method(name, channels)
    picture = made.picture(made.prepare(torch.randn(4, channels, 48, 48)))
    assert picture is None or (picture.ndim == 2 and 0 <= picture.min() and picture.max() <= 1)
