"""Sharing: of two windows or commands that work on one project at the same time, neither loses what the other did."""

import errno
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import filelock
import numpy as np
import pytest
import tifffile

from napari_sslseg.annotation import LabelClass
from napari_sslseg.contents import FILE, Round, joined
from napari_sslseg.errors import LabelError, ProjectError, StorageError
from napari_sslseg.image import Image
from napari_sslseg.io.locks import FOLDER, alone
from napari_sslseg.job import run
from napari_sslseg.merging import merge_classes
from napari_sslseg.project import Project
from napari_sslseg.regions import Region

ROUND = Round(1, "rounds/001/model.safetensors", 0.5, {"cell": 0.5}, 3, True, 90, 10, 1.5, True)
BOX = Region((0, 1), (2, 9), (3, 9), validation=True)


@pytest.fixture
def two(tmp_path):
    """A project of one image that is open twice."""
    made = Project.create(tmp_path / "p.sslseg")
    made.add_image(picture("a"))
    return Project.open(made.path), Project.open(made.path)


def picture(name, shape=(40, 30)):
    return Image.from_array(np.arange(np.prod(shape), dtype=np.uint16).reshape(shape), name=name)


def disk(project):
    return Project.open(project.path)


def painted(value, rows):
    labels = np.zeros((40, 30), np.uint16)
    labels[rows] = value
    return labels


# ---------------------------------------------------------------- what is added on both sides
ADDED = {
    "classes": (lambda p, name: p.add_class(name), lambda p: [c.name for c in p.classes][2:]),
    "images": (lambda p, name: p.add_image(picture(name)), lambda p: [e.id for e in p.images][1:]),
    "boxes": (
        lambda p, name: p.set_regions("a", [*p.regions("a"), replace(BOX, z=(0, 1), y=(ord(name) - 97, 9))]),
        lambda p: [chr(97 + r.y[0]) for r in p.regions("a")],
    ),
}


@pytest.mark.parametrize("what", ADDED)
def test_what_two_handles_add_is_all_there(two, what):
    add, found = ADDED[what]
    for k, name in enumerate("bcde"):
        add(two[k % 2], name)
    assert found(disk(two[0])) == list("bcde")


def test_changes_of_different_kinds_are_all_there(two, tmp_path):
    here, there = two
    here.set_task("instance")
    there.add_round(ROUND)
    here.set_pretrained(here.path / "c.safetensors")
    there.add_image(picture("b"))
    found = disk(here)
    assert (found.task, len(found.rounds), found.pretrained.name) == ("instance", 1, "c.safetensors")
    assert [e.id for e in found.images] == ["a", "b"]


def test_images_of_one_name_from_two_handles_are_two_images(two):
    entries = [p.add_image(replace(picture("b"), data=np.full((1, 40, 30), k, np.uint16))) for k, p in enumerate(two)]
    assert [e.id for e in entries] == ["b", "b-2"]
    assert [int(disk(two[0]).image(e.id).read(0).max()) for e in entries] == [0, 1]


def test_a_file_that_both_add_is_one_image(two, tmp_path):
    tifffile.imwrite(tmp_path / "b.tif", np.zeros((40, 30), np.uint16))
    assert len({p.add_file(tmp_path / "b.tif") for p in two}) == 1
    assert len(disk(two[0]).images) == 2


def test_an_image_that_was_replaced_elsewhere_is_not_the_one_that_was_open(two):
    here, there = two
    here.image("a")
    there.take_out("a")
    there.add_image(replace(picture("a"), spacing=(9.0, 9.0)), was="a")
    here.refresh()
    assert here.image("a").spacing == (9.0, 9.0)


def test_a_handle_knows_what_the_other_one_did_once_it_looks_or_changes_something(two):
    here, there = two
    there.add_class("vessel")
    assert len(here.classes) == 2
    assert here.refresh()
    assert here.classes[2].name == "vessel"
    assert not here.refresh()
    there.add_image(picture("b"))
    here.set_task("instance")
    assert here.holds("b")


# ---------------------------------------------------------------- what is changed on both sides
def test_an_old_class_table_takes_nothing_away_that_was_added_since(two):
    here, there = two
    there.add_class("vessel")
    here.set_classes([replace(here.classes[0], name="ground"), here.classes[1]])
    assert [c.name for c in disk(here).classes] == ["ground", "class 2", "vessel"]


def test_a_class_that_was_removed_elsewhere_does_not_come_back(two):
    here, there = two
    there.set_classes([*there.classes, LabelClass(3, "vessel", "#000000")])
    here.refresh()
    there.set_classes(there.classes[:2])
    here.set_classes([replace(here.classes[0], name="ground"), *here.classes[1:]])
    assert [c.name for c in disk(here).classes] == ["ground", "class 2"]


@pytest.mark.parametrize("new", [LabelClass(3, "nerve", "#000000"), LabelClass(4, "vessel", "#000000")])
def test_a_value_or_name_that_both_gave_is_told_and_the_second_try_succeeds(two, new):
    here, there = two
    there.set_classes([*there.classes, LabelClass(3, "vessel", "#ffffff")])
    with pytest.raises(LabelError, match="Class 3, 'vessel', was added or changed meanwhile.*of class .*try again"):
        here.set_classes([*here.classes, new])
    assert [c.name for c in disk(here).classes] == ["background", "class 2", "vessel"]
    assert here.add_class("nerve").value == 4


def test_a_name_that_the_other_one_gave_is_told(two):
    two[0].add_class("vessel")
    with pytest.raises(LabelError, match="There is a class 'vessel' already"):
        two[1].add_class("vessel")


def test_a_box_that_was_taken_away_elsewhere_stays_away_and_another_one_stays(two):
    here, there = two
    boxes = [BOX, replace(BOX, y=(20, 30)), replace(BOX, y=(30, 40))]
    here.set_regions("a", boxes[:2])
    there.refresh()
    here.set_regions("a", boxes[1:2])
    there.set_regions("a", boxes)
    assert disk(here).regions("a") == tuple(boxes[1:])


@pytest.mark.parametrize(
    "now, given, before, both",
    [("ab", "abc", "ab", "abc"), ("abx", "abc", "ab", "abxc"), ("a", "abc", "ab", "ac"), ("abx", "b", "ab", "bx")],
)
def test_changes_of_both_are_joined(now, given, before, both):
    assert joined(now, given, before) == tuple(both)


def test_rounds_of_one_number_are_two_rounds(two):
    assert [p.add_round(ROUND).number for p in two] == [1, 2]
    assert two[0].next_round() == 3


# ---------------------------------------------------------------- strokes
def test_strokes_beside_each_other_in_one_chunk_are_all_there(two):
    for k, project in enumerate(two * 4):
        project.write_labels("a", np.full((2, 30), k + 1, np.uint16), np.s_[3 * k : 3 * k + 2, 0:30])
    assert np.unique(disk(two[0]).labels("a")).tolist() == list(range(9))


def test_only_what_changed_is_written_where_it_is_said_what_it_was(two):
    here, there = two
    old = here.labels("a")
    there.write_labels("a", painted(2, slice(0, 5)))
    here.write_labels("a", painted(1, slice(20, 25)), before=old)
    np.testing.assert_array_equal(disk(here).labels("a"), painted(2, slice(0, 5)) + painted(1, slice(20, 25)))


def test_what_is_painted_on_an_image_that_was_taken_out_elsewhere_is_kept(two):
    here, there = two
    there.take_out("a")
    here.write_labels("a", painted(2, slice(0, 5)))
    here.refresh()
    here.write_labels("a", painted(2, slice(0, 9)))
    there.add_image(picture("a"), was="a")
    np.testing.assert_array_equal(there.labels("a"), painted(2, slice(0, 9)))


def test_one_is_told_whose_labels_somebody_else_wrote(two):
    here, there = two
    here.add_image(picture("b"))
    there.refresh()
    for id in "ab":
        here.labels(id)
    here.write_labels("a", painted(2, slice(0, 5)))
    assert here.relabelled() == ()
    assert there.relabelled() == ("a",)
    there.write_labels("b", painted(2, slice(0, 5)))
    assert here.relabelled() == here.relabelled() == ("b",)
    here.write_labels("b", painted(3, slice(9, 12)), before=painted(0, slice(0)))
    assert here.relabelled() == ("b",)  # not all of it is known here
    here.labels("b")
    assert here.relabelled() == ()


def test_merging_classes_leaves_the_strokes_alone_that_are_painted_meanwhile(two):
    here, there = two
    here.write_labels("a", painted(2, slice(0, 40, 5)))
    write = here.write_labels

    def late(*said):
        there.write_labels("a", np.ones((2, 30), np.uint16), np.s_[1:3, 0:30])
        write(*said)

    here.write_labels = late
    run(merge_classes(here, 2, 3))
    expected = painted(3, slice(0, 40, 5))
    expected[1:3] = 1
    np.testing.assert_array_equal(disk(here).labels("a"), expected)


# ---------------------------------------------------------------- several processes
ADDER = """
import sys
import numpy as np
from napari_sslseg.image import Image
from napari_sslseg.project import Project

path, name = sys.argv[1:]
project = Project.open_or_create(path)
sys.stdin.readline()
for n in range(20):
    project.add_class(f"{name}{n}")
    if n % 5 == 0:
        project.add_image(Image.from_array(np.zeros((8, 8), np.uint8), name="same"))
    at = (slice(20 * int(name) + n, 20 * int(name) + n + 1), slice(0, 30))
    project.write_labels("a", np.ones((1, 30), np.uint16), at)
"""


def started(path, name):
    return subprocess.Popen(
        [sys.executable, "-c", ADDER, str(path), name], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_processes_that_add_at_the_same_time_lose_nothing(two):
    path = two[0].path
    together = [started(path, name) for name in "01"]
    for process in together:
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [(p.communicate()[1], p.returncode) for p in together] == [("", 0)] * 2
    found = Project.open(path)
    assert {c.name for c in found.classes[2:]} == {f"{name}{n}" for name in "01" for n in range(20)}
    assert [c.value for c in found.classes] == list(range(1, 43))
    assert len({e.id for e in found.images}) == 9
    assert all((path / e.source).exists() for e in found.images)
    assert found.labels("a").all()


HOLDER = """
import sys
from pathlib import Path
from napari_sslseg.io.locks import alone

with alone(Path(sys.argv[1]), "project"):
    sys.stdout.write("held\\n")
    sys.stdout.flush()
    sys.stdin.readline()
"""


@pytest.fixture
def holder(two):
    """A process that is in the middle of a change."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(two[0].path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    process.stdout.readline()
    yield process
    process.kill()
    process.communicate()


def test_a_change_that_does_not_come_to_an_end_elsewhere_is_told(two, holder, monkeypatch):
    monkeypatch.setattr(alone.__wrapped__, "__defaults__", (0.05,))
    with pytest.raises(StorageError, match="Another window or command has been writing.*delete the folder .*.locks"):
        two[0].add_class("vessel")
    assert len(two[0].classes) == 2


def test_one_can_look_at_a_project_while_it_is_changed_elsewhere(two, holder):
    assert len(disk(two[0]).classes) == 2
    assert not two[0].refresh()


def test_a_process_that_was_killed_holds_nobody_up(two, holder):
    holder.kill()
    holder.wait()
    two[0].add_class("vessel")
    assert len(disk(two[0]).classes) == 3


# ---------------------------------------------------------------- disks of all kinds
def no_locks(*_):
    raise OSError(errno.ENOLCK, "No locks available")


@pytest.fixture
def without_locks(monkeypatch):
    """A disk as some of networks are, on which files cannot be locked."""
    monkeypatch.setattr(filelock.FileLock, "_acquire", no_locks)


def test_a_disk_without_locks_can_be_written_to(two, without_locks):
    for k, name in enumerate("bcde"):
        two[k % 2].add_class(name)
    assert [c.name for c in disk(two[0]).classes][2:] == list("bcde")
    assert not list((two[0].path / FOLDER).glob("*.held"))


def test_a_file_in_the_place_of_a_lock_holds_others_off(two, without_locks, monkeypatch):
    monkeypatch.setattr(alone.__wrapped__, "__defaults__", (0.05,))
    with alone(two[0].path, "project"), pytest.raises(StorageError, match="One writes at a time"):
        two[0].add_class("vessel")


def test_a_file_in_the_place_of_a_lock_does_not_outlast_its_process(two, without_locks):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    lock = filelock.SoftFileLock(two[0].path / FOLDER / "project.held")
    lock.acquire()
    held = Path(lock.lock_file).read_text()
    lock.release()
    Path(lock.lock_file).write_text(held.replace(str(os.getpid()), str(gone.pid)))
    old = time.time() - 3600
    os.utime(lock.lock_file, (old, old))
    two[0].add_class("vessel")
    assert len(disk(two[0]).classes) == 3


def test_a_project_that_may_only_be_read_can_be_opened_and_says_so_when_it_is_changed(two, monkeypatch):
    def protected(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    two[0].write_labels("a", painted(2, slice(0, 5)))
    with monkeypatch.context() as patch:
        for name in ("open", "mkdir", "replace", "unlink"):
            patch.setattr(os, name, protected)
        found = disk(two[0])
        assert (len(found.classes), found.labels("a").max()) == (2, 2)
        assert not found.refresh()
        with pytest.raises(StorageError, match="no permission to write"):
            found.add_class("vessel")
    assert len(disk(two[0]).classes) == 2


def test_a_folder_that_is_gone_is_told_and_not_made_again(two, tmp_path):
    two[0].path.rename(tmp_path / "elsewhere")
    for change in (lambda p: p.add_class("vessel"), lambda p: p.write_labels("a", painted(2, slice(0, 5)))):
        with pytest.raises(StorageError, match="p.sslseg is gone.*open it where it is now"):
            change(two[0])
    assert not two[0].path.exists()


def test_a_file_that_was_damaged_meanwhile_is_not_written_over(two):
    (two[0].path / FILE).write_text("{")
    with pytest.raises(ProjectError, match="is damaged"):
        two[0].add_class("vessel")
    assert (two[0].path / FILE).read_text() == "{"


def test_a_change_is_quick(two):
    two[0].set_classes([LabelClass(v, f"class {v}", "#000000") for v in range(1, 100)])
    started = time.perf_counter()
    for k in range(20):
        two[k % 2].set_task(("semantic", "instance")[k % 2])
    assert (time.perf_counter() - started) / 20 < 0.05  # s, and some 0.003 where the disk is one's own


def test_what_changes_nothing_is_not_written(two):
    before = (two[0].path / FILE).stat().st_mtime_ns
    two[0].set_task("semantic")
    assert (two[0].path / FILE).stat().st_mtime_ns == before
    assert json.loads((two[0].path / FILE).read_text())["task"] == "semantic"
