"""Files are written whole or not at all: after a full disk or a refusal the old file is there and nothing else is."""

import errno
import os
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from napari_sslseg.errors import StorageError
from napari_sslseg.io import read_labels, write_labels
from napari_sslseg.io.atomic import replacing, storage_errors, write_text

FORMATS = (".tif", ".ome.tif", ".png", ".npy", ".zarr", ".ome.zarr")
OLD, NEW = np.full((9, 8), 1, np.uint8), np.full((9, 8), 2, np.uint8)


def failing(number: int) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), "somewhere")

    return fail


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_text_is_written_with_its_folder(tmp_path: Path) -> None:
    write_text(tmp_path / "new" / "a.json", "µ\n")
    assert (tmp_path / "new" / "a.json").read_bytes() == "µ\n".encode()


def test_the_old_text_is_there_until_the_new_one_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_text(path, "old")
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.parent == path.parent
    assert path.read_text() == "new"


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    write_text(tmp_path / "a.json", "old")
    with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "a.json") as temporary:
        temporary.write_text("ne")
        raise KeyboardInterrupt
    assert names(tmp_path) == ["a.json"]
    assert (tmp_path / "a.json").read_text() == "old"


def test_an_interrupted_folder_leaves_the_old_folder_and_nothing_else(tmp_path: Path) -> None:
    write_text(tmp_path / "a.zarr" / "x", "old")
    with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "a.zarr") as temporary:
        write_text(temporary / "y", "new")
        raise KeyboardInterrupt
    assert (names(tmp_path), names(tmp_path / "a.zarr")) == (["a.zarr"], ["x"])


def test_a_folder_replaces_the_old_one_whole(tmp_path: Path) -> None:
    write_text(tmp_path / "a.zarr" / "x", "old")
    with replacing(tmp_path / "a.zarr") as temporary:
        write_text(temporary / "y", "new")
    assert (names(tmp_path), names(tmp_path / "a.zarr")) == (["a.zarr"], ["y"])


@pytest.mark.skipif(os.name != "posix", reason="symbolic links need rights elsewhere")
def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    write_text(tmp_path / "real" / "a.json", "old")
    (tmp_path / "a.json").symlink_to(tmp_path / "real" / "a.json")
    write_text(tmp_path / "a.json", "new")
    assert (tmp_path / "a.json").is_symlink()
    assert (tmp_path / "real" / "a.json").read_text() == "new"


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_labels_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, step: str
) -> None:
    path = tmp_path / f"a{suffix}"
    write_labels(path, OLD)
    with monkeypatch.context() as patch:
        patch.setattr(os, step, failing(errno.ENOSPC))
        with pytest.raises(StorageError, match=r"The disk of .* is full: [\d,.]+ MB are free.*Make room"):
            write_labels(path, NEW)
    np.testing.assert_array_equal(read_labels(path), OLD)
    assert names(tmp_path) == [path.name]


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_disk_that_fills_up_while_writing_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    path = tmp_path / f"a{suffix}"
    with monkeypatch.context() as patch:
        for name in ("tifffile.imwrite", "numpy.save", "PIL.Image.Image.save", "napari_sslseg.io.zarr_format.fill"):
            patch.setattr(name, failing(errno.ENOSPC))
        with pytest.raises(StorageError, match="is full"):
            write_labels(path, NEW)
    assert names(tmp_path) == []


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_a_missing_permission_is_told_and_leaves_the_old_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    path = tmp_path / "a.tif"
    write_labels(path, OLD)
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", failing(number))
        with pytest.raises(StorageError, match=r"no permission to write .*a\.tif.*Choose another folder"):
            write_labels(path, NEW)
    np.testing.assert_array_equal(read_labels(path), OLD)
    assert names(tmp_path) == ["a.tif"]


@pytest.mark.parametrize("times, there", [(2, "new"), (99, "old")])
def test_a_file_that_somebody_reads_is_replaced_soon_after_on_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int, there: str
) -> None:
    busy, replace = iter(range(times)), os.replace

    def read_by_somebody(*where: Path) -> None:
        if next(busy, None) is not None:
            error = PermissionError(errno.EACCES, "The process cannot access the file", "a.json")
            error.winerror = 32  # type: ignore[attr-defined] # as on Windows
            raise error
        replace(*where)

    write_text(tmp_path / "a.json", "old")
    monkeypatch.setattr("napari_sslseg.io.atomic.PAUSES", (0.0, 0.0, 0.0))
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", read_by_somebody)
        with nullcontext() if there == "new" else pytest.raises(StorageError, match="no permission"):
            write_text(tmp_path / "a.json", "new")
    assert (names(tmp_path), (tmp_path / "a.json").read_text()) == (["a.json"], there)


def test_a_folder_that_cannot_move_into_place_gives_the_old_one_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, move, moves = tmp_path / "a.zarr", os.replace, []
    write_labels(path, OLD)

    def refuse_the_second(source: Path, target: Path) -> None:
        moves.append(target)
        if len(moves) == 2:
            raise PermissionError(errno.EACCES, "denied")
        move(source, target)

    monkeypatch.setattr(os, "replace", refuse_the_second)
    with pytest.raises(StorageError), replacing(path) as temporary:
        temporary.mkdir()
    np.testing.assert_array_equal(read_labels(path), OLD)
    assert names(tmp_path) == ["a.zarr"]


def test_a_file_in_place_of_the_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file")
    with pytest.raises(StorageError, match=r"cannot be written \(.*results\)"):
        write_text(tmp_path / "results" / "a.json", "x")


def test_the_room_needed_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"about 30\.0 MB are needed"), storage_errors(tmp_path, 30_000_000):
        raise OSError(errno.ENOSPC, "full")


def test_a_short_write_of_numpy_counts_as_a_full_disk(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="is full"), storage_errors(tmp_path):
        raise OSError("1000 requested and 12 written")


def test_other_errors_pass(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), storage_errors(tmp_path):
        raise FileNotFoundError(errno.ENOENT, "gone")
