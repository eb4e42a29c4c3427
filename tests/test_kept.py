"""Values that the window keeps in a small file, which must never be in anybody's way."""

import json

import pytest

from napari_sslseg.gui.kept import Kept


def test_values_are_there_the_next_time(tmp_path):
    first = Kept(tmp_path / "config" / "window.json")
    first.put("folder", "/images")
    first.write()
    assert Kept(tmp_path / "config" / "window.json").get("folder", "") == "/images"


def test_two_windows_do_not_undo_what_the_other_one_keeps(tmp_path):
    one, other = Kept(tmp_path / "window.json"), Kept(tmp_path / "window.json")
    one.put("folder", "/a")
    one.write()
    other.put("folded", ["learn"])
    other.write()
    assert json.loads((tmp_path / "window.json").read_text()) == {"folder": "/a", "folded": ["learn"]}


@pytest.mark.parametrize("content", ["{half", "[1]", "\0\xff"])
def test_a_damaged_file_is_empty_says_so_and_is_replaced(tmp_path, content):
    file = tmp_path / "window.json"
    file.write_text(content, encoding="latin1")
    kept = Kept(file)
    assert (kept.damaged, kept.get("folder", "none")) == (True, "none")
    kept.put("folder", "/a")
    kept.write()
    assert not Kept(file).damaged


def test_a_value_of_another_type_is_as_good_as_none(tmp_path):
    (tmp_path / "window.json").write_text('{"folded": "all"}')
    assert Kept(tmp_path / "window.json").get("folded", ["learn"]) == ["learn"]


def test_where_one_may_not_write_values_live_as_long_as_the_window(tmp_path):
    (tmp_path / "file").write_text("no folder")
    kept = Kept(tmp_path / "file" / "window.json")
    kept.put("folder", "/a")
    kept.write()
    assert kept.get("folder", "") == "/a"


def test_what_is_the_same_as_before_is_not_written(tmp_path):
    kept = Kept(tmp_path / "window.json")
    assert kept.put("folder", "/a")
    assert not kept.put("folder", "/a")
