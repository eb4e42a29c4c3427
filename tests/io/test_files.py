"""Which files are found: natural order, folders, known formats, and what is said of those that are not there."""

import os
import sys
from pathlib import Path

import pytest

from napari_sslseg.errors import ImageError
from napari_sslseg.io import SUFFIXES, find_files, read_image, read_labels, stem


def make(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_bytes(b"")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.ome.tif", "a"), ("a.b.tiff", "a.b"), ("A.OME.TIF", "A"), ("a.ome.zarr", "a"), ("x.zarr", "x"), ("y.lsm", "y")],
)
def test_the_stem_is_the_name_without_the_whole_image_suffix(name: str, expected: str) -> None:
    assert stem(Path("folder") / name) == expected


@pytest.mark.parametrize("name", ["1.2.840.113619.2.55.3", "MR.1.2.840", "IM.0001"])
def test_numbers_with_points_are_no_suffix(name: str) -> None:
    assert stem(Path("folder") / name) == name


def test_every_suffix_is_taken_off(tmp_path: Path) -> None:
    assert {stem(tmp_path / f"image{suffix}") for suffix in SUFFIXES} == {"image"}


def test_a_folder_is_listed_in_natural_order(tmp_path: Path) -> None:
    make(tmp_path, "a10.tif", "a2.tif", "a1.png")
    assert [p.name for p in find_files([tmp_path])] == ["a1.png", "a2.tif", "a10.tif"]


def test_other_files_subfolders_and_hidden_files_of_a_folder_are_left_out(tmp_path: Path) -> None:
    make(tmp_path, "a.tif", "notes.txt", ".a.tif.1234.tmp", ".hidden.tif")
    (tmp_path / "inner").mkdir()
    make(tmp_path / "inner", "b.tif")
    assert find_files([tmp_path]) == [tmp_path / "a.tif"]


def test_a_zarr_folder_is_one_file(tmp_path: Path) -> None:
    (tmp_path / "a.ome.zarr" / "0").mkdir(parents=True)
    assert find_files([tmp_path]) == [tmp_path / "a.ome.zarr"]
    assert find_files([tmp_path / "a.ome.zarr"]) == [tmp_path / "a.ome.zarr"]


def test_a_folder_that_holds_zarr_metadata_is_one_file_under_any_name(tmp_path: Path) -> None:
    (tmp_path / "volume").mkdir()
    make(tmp_path / "volume", "zarr.json")
    assert find_files([tmp_path / "volume"]) == [tmp_path / "volume"]


def test_a_file_named_twice_is_found_once(tmp_path: Path) -> None:
    make(tmp_path, "a.tif", "b.tif")
    assert len(find_files([tmp_path, tmp_path / "a.tif", str(tmp_path / ".." / tmp_path.name / "b.tif")])) == 2


def test_suffixes_in_capitals_are_known(tmp_path: Path) -> None:
    make(tmp_path, "A.TIF")
    assert len(find_files([tmp_path])) == 1


def test_a_missing_file_is_told_with_the_nearest_name_there_is(tmp_path: Path) -> None:
    make(tmp_path, "kidney.tif", "liver.tif")
    with pytest.raises(ImageError, match=r"kidny\.tif does not exist.*Did you mean kidney\.tif\?"):
        find_files([tmp_path / "kidny.tif"])


@pytest.mark.skipif(sys.platform != "linux", reason="names are text there")
def test_a_name_that_is_not_text_is_told(tmp_path: Path) -> None:
    make(tmp_path, os.fsdecode(b"Z\xe4hne.tif"))  # Latin-1, as many an old disk has it
    with pytest.raises(ImageError, match="not text.*Rename the file") as told:
        find_files([tmp_path])
    str(told.value).encode()


def test_a_missing_folder_is_told_with_the_nearest_name_there_is(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    with pytest.raises(ImageError, match=r"There is no folder imags in .*did you mean images\?"):
        find_files([tmp_path / "imags" / "a.tif"])


def test_a_missing_file_among_strangers_is_told_without_a_guess(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"Nothing in .* has a similar name"):
        find_files([tmp_path / "a.tif"])


def test_an_empty_folder_is_told_with_the_suffixes_looked_for(tmp_path: Path) -> None:
    with pytest.raises(
        ImageError, match=r"holds no image.*without its subfolders, for \.ome\.tif, .*\.npy, .*\.nii, \.dcm or \.zarr"
    ):
        find_files([tmp_path])


def test_a_folder_of_other_files_says_how_many_there_are(tmp_path: Path) -> None:
    make(tmp_path, "a.txt", "b.txt")
    with pytest.raises(ImageError, match="there are 2 other files or folders"):
        find_files([tmp_path])


def test_an_unknown_format_is_told_with_those_that_are_known(tmp_path: Path) -> None:
    make(tmp_path, "a.czi")
    with pytest.raises(ImageError, match=r"a\.czi is of no format that can be read.*Images are \.ome\.tif"):
        find_files([tmp_path / "a.czi"])


def test_reading_a_missing_file_is_told_as_finding_it_is(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="does not exist"):
        read_image(tmp_path / "a.tif")
    with pytest.raises(ImageError, match="does not exist"):
        read_labels(tmp_path / "a.tif")
