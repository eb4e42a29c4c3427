"""Labels that grow on disk piece by piece."""

import errno

import numpy as np
import pytest

from napari_sslseg.errors import StorageError
from napari_sslseg.io import growing, read_image, read_labels, zarr_format
from napari_sslseg.io.growing import Growing


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(growing, "PIECE", {"Z": 2, "Y": 16, "X": 16})
    monkeypatch.setattr(zarr_format, "CHUNK", {"Z": 1, "Y": 8, "X": 8})


SHAPE = (5, 20, 40)
LABELS = np.random.default_rng(0).integers(1, 4, SHAPE).astype(np.uint8)


def begin(target, **asked):
    return Growing.open(target, SHAPE, np.uint8, spacing=(2.0, 0.5, 0.5), unit="µm", **asked)


@pytest.mark.parametrize("name", ["masks.ome.zarr", "masks.zarr"])
def test_all_pieces_together_are_the_labels_with_their_pixel_size(tmp_path, name):
    found = begin(tmp_path / name)
    assert len(found.pieces) == 3 * 2 * 3
    while found.done < len(found.pieces):
        assert not (tmp_path / name).exists()
        found.write(LABELS[found.pieces[found.done]])
    found.finish()
    np.testing.assert_array_equal(read_labels(tmp_path / name), LABELS)
    image = read_image(tmp_path / name)
    assert (image.spacing, image.unit) == ((2.0, 0.5, 0.5), "µm")
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["masks.ome.zarr", "masks.zarr"])
def test_a_time_series_grows_as_one(tmp_path, name):
    found = begin(tmp_path / name, axes="TYX")
    while found.done < len(found.pieces):
        found.write(LABELS[found.pieces[found.done]])
    found.finish()
    image = read_image(tmp_path / name)
    assert (image.axes, image.spacing, image.unit) == ("CTYX", (2.0, 0.5, 0.5), "µm")
    np.testing.assert_array_equal(image.data[0], LABELS)


def test_the_same_goes_on_and_something_else_begins_anew(tmp_path):
    target = tmp_path / "masks.zarr"
    first = begin(target, asked=["model 1"])
    for _ in range(4):
        first.write(LABELS[first.pieces[first.done]])
    again = begin(target, asked=["model 1"])
    assert again.done == 4
    while again.done < len(again.pieces):
        again.write(LABELS[again.pieces[again.done]])
    assert begin(target, asked=["model 2"]).done == 0
    assert begin(target, asked=["model 1"]).done == 0  # the other one took its place


def test_what_was_there_stays_until_all_is_done(tmp_path):
    target = tmp_path / "masks.zarr"
    zarr_format.write(target, np.full((3, 3), 9, np.uint8), "YX", {}, "pixel")
    found = Growing.open(target, (3, 3), np.uint8)
    found.write(np.full((3, 3), 5, np.uint8))
    assert (read_labels(target) == 9).all()
    found.finish()
    assert (read_labels(target) == 5).all()


@pytest.mark.parametrize("said", ["", "{", '{"done": 3}', '{"key": 1, "done": "x"}', "[]"])
def test_a_damaged_note_means_to_begin_anew(tmp_path, said):
    target = tmp_path / "masks.zarr"
    found = begin(target)
    found.write(LABELS[found.pieces[0]])
    (tmp_path / ".masks.zarr.unfinished" / growing.NOTE).write_text(said)
    assert begin(target).done == 0


def test_a_full_disk_is_one_error_and_keeps_the_pieces_before(tmp_path, monkeypatch):
    target = tmp_path / "masks.zarr"
    found = begin(target)
    found.write(LABELS[found.pieces[0]])

    def full(*rest):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(zarr_format, "fill", full)
        with pytest.raises(StorageError, match="disk of .* is full"):
            found.write(LABELS[found.pieces[1]])
    assert begin(target).done == 1


def test_pieces_that_cannot_be_put_in_place_are_kept(tmp_path, monkeypatch):
    target = tmp_path / "masks.zarr"
    found = begin(target)
    while found.done < len(found.pieces):
        found.write(LABELS[found.pieces[found.done]])

    def refuse(*rest):
        raise OSError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(growing, "exchange", refuse)
        with pytest.raises(StorageError, match="no permission"):
            found.finish()
    again = begin(target)
    assert again.done == len(again.pieces)
    again.finish()
    np.testing.assert_array_equal(read_labels(target), LABELS)
    assert not (target / growing.NOTE).exists()
