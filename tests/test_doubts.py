"""Where masks are unsure is read from what was kept of them, as much of it as is asked for."""

import numpy as np
import pytest

from napari_sslseg import originals
from napari_sslseg.doubts import doubts, planes
from napari_sslseg.image import Image
from napari_sslseg.overlay import Box
from napari_sslseg.project import Project

SHAPE = 4, 30, 20


@pytest.fixture
def project(tmp_path):
    made = Project.create(tmp_path / "p.sslseg")
    made.add_image(Image.from_array(np.zeros(SHAPE, np.uint8), name="stack"))
    made.add_image(Image.from_array(np.zeros(SHAPE[1:], np.uint8), name="plane"))
    return made


def keep(project, id, chosen=None):
    """Keep random probabilities of three classes; return them plane by plane."""
    shape = (1, *project.entry(id).shape)[-3:]
    values = np.random.default_rng(0).random((3, *shape), np.float32) ** 3
    values /= values.sum(0)
    shares = originals.Shares(project, (1, 2, 3), None, {id: chosen} if chosen else None)
    for z in chosen or range(shape[0]):
        shares.take(id, z, 0, values[:, z])
    shares.keep(id, chosen)
    return values


def test_it_says_how_close_the_second_best_class_comes(project):
    best = np.sort(keep(project, "stack"), axis=0)
    found = doubts(project, "stack")
    assert (found.shape, found.dtype) == (SHAPE, np.float32)
    np.testing.assert_allclose(np.asarray(found), 1 - (best[-1] - best[-2]), atol=1 / 255)
    np.testing.assert_array_equal(np.asarray(found[1:3, 5]), np.asarray(found)[1:3, 5])
    np.testing.assert_array_equal(np.asarray(found[2, ::3, 4:9]), np.asarray(found)[2, ::3, 4:9])


def test_it_has_the_axes_of_an_image_of_one_plane(project):
    best = np.sort(keep(project, "plane")[:, 0], axis=0)
    np.testing.assert_allclose(np.asarray(doubts(project, "plane")), 1 - (best[-1] - best[-2]), atol=1 / 255)


def test_planes_of_which_it_was_not_kept_show_no_doubt(project):
    keep(project, "stack", (1, 3))
    assert planes(project, "stack") == (1, 3)
    assert np.asarray(doubts(project, "stack")).any((1, 2)).tolist() == [False, True, False, True]


def test_only_the_planes_that_are_looked_at_are_read(project):
    keep(project, "stack")
    found, place = doubts(project, "stack"), originals.kept(project, "stack")[0]
    for file in [f for z in (0, 1, 3) for f in place.glob(f"c/*/{z}/**/*") if f.is_file()]:
        file.write_bytes(b"damaged")
    assert np.asarray(found[2]).any()


def test_nothing_is_said_where_it_was_not_kept(project):
    assert doubts(project, "stack") is None
    keep(project, "stack")
    project.set_task("instance")  # of classes it is of no use
    assert doubts(project, "stack") is None
    assert planes(project, "stack") == ()


def test_a_part_that_is_predicted_anew_takes_it_away(project):
    keep(project, "plane")
    originals.take_part(project, "plane", None, Box(0, 0, 4, 4), np.ones((4, 4), np.uint32))
    assert doubts(project, "plane") is None
