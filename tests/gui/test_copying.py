"""Large images that are in no file are copied into the project beside the window, and what comes next waits for it."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_sslseg.errors import StorageError
from napari_sslseg.gui import axes, commands, layers, using
from napari_sslseg.gui.dock import Dock
from napari_sslseg.image import Image
from napari_sslseg.io import chunks
from napari_sslseg.job import Job, Stop
from napari_sslseg.project import Project

from .test_images import choose_axes, click_row, rows
from .test_jobs import done


class Gate(threading.Event):
    """What the copying of large images waits for: this event, a stop, or leave for one image."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()  # of images that need not wait

    def pass_through(self, image: Image, stop: Stop) -> None:
        """Wait."""
        large = image.data.nbytes > using.LARGE
        while large and not stop.requested and image.name not in self.names and not self.wait(0.005):
            pass


@pytest.fixture
def go(monkeypatch: Any) -> Iterator[Gate]:
    """Let images of more than 2000 bytes count as large, and their copying wait once it has begun."""
    gate, copy = Gate(), chunks.write_image

    def wait(path: Path, image: Image, stop: Stop) -> Job[None]:
        job = copy(path, image, stop)
        yield next(job)
        gate.pass_through(image, stop)
        yield from job

    monkeypatch.setattr(using, "LARGE", 2000)
    monkeypatch.setattr(chunks, "CHUNK", 16)
    monkeypatch.setattr(chunks, "write_image", wait)
    yield gate
    gate.set()


def copying(dock: Dock, qtbot: Any, name: str = "field") -> None:
    """Wait until the window shows that an image is being copied: it could not if the copying held it up."""
    qtbot.waitUntil(lambda: f"copying {name}" in dock.images.panel.message.text(), timeout=5000)
    assert dock.images.panel.button.text() == "■ Stop"


def end(dock: Dock, go: Gate, qtbot: Any) -> None:
    """Let the copying end."""
    go.set()
    done(dock, qtbot)


def on_disk(dock: Dock) -> list[str]:
    """The images of the project, and all that its folder of images holds, which is no more than these."""
    path = dock.desk.session.needed_project.path
    found = [e.id for e in Project.open(path).images]
    assert sorted(p.name for p in path.glob("images/*")) == sorted(f"{id}.zarr" for id in found)
    return found


def test_a_large_image_is_copied_while_the_window_answers(dock: Dock, image: Any, go: Gate, qtbot: Any) -> None:
    dock.images.panel.button.click()
    copying(dock, qtbot)
    dock.paint.panel.title.click()
    assert dock.paint.panel.content.isHidden()
    assert rows(dock) == ["field  ·  not used yet  ·  64×48 · 8-bit · 0.5 µm · 3.07 KB"]
    end(dock, go, qtbot)
    assert on_disk(dock) == ["field"]
    np.testing.assert_array_equal(dock.desk.session.needed_project.image("field").data[0], image.data)
    assert rows(dock) == ["field  ·  64×48 · 8-bit · 0.5 µm · 3.07 KB"]
    assert (dock.images.panel.button.isHidden(), dock.desk.session.current) == (True, "field")


def test_a_copy_that_is_stopped_leaves_nothing_and_can_be_made_again(
    dock: Dock, image: Any, go: Gate, qtbot: Any
) -> None:
    dock.images.panel.button.click()
    copying(dock, qtbot)
    dock.images.panel.button.click()  # which is Stop now
    done(dock, qtbot)
    assert on_disk(dock) == []
    assert dock.images.panel.message.text() == "Stopped before there was anything to keep"
    assert "not used yet" in rows(dock)[0]
    go.set()
    dock.images.panel.button.click()
    done(dock, qtbot)
    assert on_disk(dock) == ["field"]


def test_a_copy_that_fails_is_told_and_leaves_nothing(
    dock: Dock, image: Any, go: Gate, said: list[str], qtbot: Any, monkeypatch: Any
) -> None:
    def fail(*_: Any) -> None:
        raise StorageError("The disk is full", "What was there before is untouched")

    monkeypatch.setattr(chunks, "flush", fail)
    go.set()
    dock.desk.paint()
    done(dock, qtbot)
    assert said[-1].startswith("The disk is full")
    assert on_disk(dock) == []
    assert [layer.name for layer in dock.desk.canvas.viewer.layers] == ["field"]  # and nothing to paint on


def test_one_paints_once_the_image_is_copied(
    dock: Dock, image: Any, viewer: Any, go: Gate, said: list[str], qtbot: Any
) -> None:
    dock.paint.panel.button.click()
    copying(dock, qtbot)
    assert said[-1].startswith("The image is copied into the project first")
    end(dock, go, qtbot)
    assert viewer.layers.selection.active is viewer.layers["field labels"]
    viewer.layers["field labels"].paint((20, 20), 2)
    dock.desk.canvas.painting.flush()
    assert dock.desk.session.needed_project.labels("field")[20, 20] == 2


def test_one_paints_on_the_image_that_one_asked_for_whatever_one_looked_at_meanwhile(
    dock: Dock, viewer: Any, go: Gate, qtbot: Any
) -> None:
    first = viewer.add_image(np.eye(10), name="first")
    dock.images.panel.button.click()
    second = viewer.add_image(np.eye(64), name="second")
    viewer.layers.selection.active = second
    dock.paint.panel.button.click()
    copying(dock, qtbot, "second")
    viewer.layers.selection.active = first
    end(dock, go, qtbot)
    assert dock.desk.session.current == "second"
    assert viewer.layers.selection.active is viewer.layers["second labels"]
    assert "first labels" not in viewer.layers


def test_nobody_is_taken_away_from_what_he_paints_on_by_a_copy(dock: Dock, viewer: Any, go: Gate, qtbot: Any) -> None:
    viewer.add_image(np.eye(10), name="first")
    dock.paint.panel.button.click()
    viewer.add_image(np.eye(64), name="second")
    dock.images.panel.button.click()
    copying(dock, qtbot, "second")
    viewer.layers.selection.active = viewer.layers["first labels"]
    end(dock, go, qtbot)
    assert on_disk(dock) == ["first", "second"]
    assert (viewer.layers.selection.active.name, dock.desk.session.current) == ("first labels", "first")


def test_one_learns_once_the_image_is_copied(
    dock: Dock, image: Any, go: Gate, jobs: Any, said: list[str], qtbot: Any
) -> None:
    dock.learn.panel.button.click()
    copying(dock, qtbot)
    assert not any("There is no image yet" in text for text in said)
    assert jobs.calls == []
    go.set()
    qtbot.waitUntil(lambda: [name for name, _ in jobs.calls] == ["pretrain"], timeout=5000)
    done(dock, qtbot)


def test_after_a_stop_one_does_not_learn(dock: Dock, image: Any, viewer: Any, go: Gate, jobs: Any, qtbot: Any) -> None:
    dock.learn.panel.button.click()
    copying(dock, qtbot)
    dock.images.panel.button.click()
    done(dock, qtbot)
    assert jobs.calls == []


def test_large_images_are_copied_one_after_the_other_and_a_stop_keeps_those_that_are_done(
    dock: Dock, image: Any, viewer: Any, go: Gate, qtbot: Any, monkeypatch: Any
) -> None:
    viewer.add_image(np.eye(10), name="small")
    viewer.add_image(np.eye(64), name="second")
    dock.images.list.selectAll()
    dock.images.panel.button.click()
    copying(dock, qtbot)
    assert on_disk_so_far(dock) == ["small"]
    go.names.add("field")
    qtbot.waitUntil(lambda: on_disk_so_far(dock) == ["small", "field"], timeout=5000)
    copying(dock, qtbot, "second")
    assert ["not used yet" in row for row in rows(dock)] == [False, False, True]
    dock.images.panel.button.click()
    done(dock, qtbot)
    assert on_disk(dock) == ["small", "field"]


def on_disk_so_far(dock: Dock) -> list[str]:
    """The images of the project."""
    return [e.id for e in Project.open(dock.desk.session.needed_project.path).images]


def test_no_large_image_is_copied_while_a_job_runs(
    dock: Dock, viewer: Any, go: Gate, jobs: Any, said: list[str], qtbot: Any
) -> None:
    viewer.add_image(np.eye(10), name="small")
    dock.images.panel.button.click()
    jobs.hold()
    dock.learn.panel.button.click()
    viewer.add_image(np.eye(64), name="second")
    commands.use_images(viewer)
    assert said[-1] == (
        "Something is running. second is large, and is copied when nothing else runs. Stop it first, or wait."
    )
    dock.desk.stop()
    done(dock, qtbot)
    assert on_disk(dock) == ["small"]


def test_a_large_image_that_comes_back_with_other_axes_brings_what_was_painted(
    dock: Dock, viewer: Any, go: Gate, qtbot: Any
) -> None:
    viewer.add_image(np.random.default_rng(0).integers(0, 255, (5, 40, 32), np.uint8), name="stack")
    go.set()
    dock.paint.panel.button.click()
    done(dock, qtbot)
    viewer.layers["stack labels"].paint((2, 9, 9), 1)
    dock.images.out.click()
    axes.say([viewer.layers["stack"]], "TYX")
    go.clear()
    dock.images.panel.button.click()
    copying(dock, qtbot, "stack")
    end(dock, go, qtbot)
    (entry,) = dock.desk.session.needed_project.images
    assert (entry.id, entry.axes) == ("stack", "CTYX")
    assert viewer.layers["stack labels"].data[2, 9, 9] == 1


def test_channels_are_put_together_beside_the_window(
    dock: Dock, viewer: Any, go: Gate, qtbot: Any, monkeypatch: Any
) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (2, 4, 40, 32), np.uint8)
    for name, channel in zip(("red", "green"), pixels, strict=True):
        viewer.add_image(channel, name=name, metadata={layers.KEY: "pair"})
    stack, whole = np.stack, list[str]()

    def watched(*arguments: Any, **options: Any) -> Any:
        found = stack(*arguments, **options)
        if found.nbytes >= pixels.nbytes:
            whole.append(threading.current_thread().name)
        return found

    monkeypatch.setattr(np, "stack", watched)
    dock.images.panel.button.click()
    copying(dock, qtbot, "red")
    end(dock, go, qtbot)
    assert whole == []  # it is plane by plane, and in no thread all of it
    (entry,) = dock.desk.session.needed_project.images
    assert (entry.channels, entry.shape) == (2, (4, 40, 32))
    monkeypatch.undo()
    copy = Project.open(dock.desk.session.needed_project.path).image("red")
    np.testing.assert_array_equal(np.asarray(copy.data), pixels)


def test_an_image_that_is_closed_while_it_is_copied_is_in_the_project(
    dock: Dock, image: Any, viewer: Any, go: Gate, qtbot: Any
) -> None:
    dock.images.panel.button.click()
    copying(dock, qtbot)
    viewer.layers.remove(image)
    end(dock, go, qtbot)
    assert on_disk(dock) == ["field"]
    click_row(dock, qtbot, 0)
    assert [layer.name for layer in viewer.layers] == ["field"]


def test_axes_and_pixel_size_stay_what_they_were_said_to_be_while_a_copy_is_made(
    dock: Dock, image: Any, go: Gate, qtbot: Any
) -> None:
    dock.images.panel.button.click()
    assert not dock.images.kind.isEnabled()
    end(dock, go, qtbot)
    assert dock.images.kind.isEnabled()


def test_a_window_that_is_closed_stops_the_copying(dock: Dock, image: Any, viewer: Any, go: Gate, qtbot: Any) -> None:
    dock.images.panel.button.click()
    copying(dock, qtbot)
    dock.desk.close()  # as with the window
    done(dock, qtbot)
    assert on_disk(dock) == []


def test_a_stop_is_heard_while_a_region_is_copied(dock: Dock, image: Any, viewer: Any, go: Gate, qtbot: Any) -> None:
    image.corner_pixels = np.array([[8, 8], [55, 39]])
    dock.images.region.click()
    copying(dock, qtbot, "field region")
    dock.images.panel.button.click()
    done(dock, qtbot)
    assert on_disk(dock) == []


# -------------------------------------------------------------------- other axes of an image that is kept as a copy
@pytest.fixture
def kept(dock: Dock, viewer: Any, go: Gate, qtbot: Any) -> Dock:
    """The dock with a large stack that the project has a copy of, and one that is its twin."""
    for name in ("stack", "twin"):
        viewer.add_image(np.random.default_rng(0).integers(0, 255, (5, 40, 32), np.uint8), name=name)
    go.set()
    dock.images.panel.button.click()
    done(dock, qtbot)
    dock.images.list.setCurrentRow(0)
    dock.images.fold.click()
    go.clear()
    return dock


def sources(dock: Dock) -> list[str]:
    """Where the images of the project are, and all copies that there are."""
    project = Project.open(dock.desk.session.needed_project.path)
    found = [e.source for e in project.images]
    assert sorted(found) == sorted(f"images/{p.name}" for p in project.path.glob("images/*"))
    return found


def test_other_axes_are_given_to_a_large_copy_while_the_window_answers(
    kept: Dock, viewer: Any, go: Gate, qtbot: Any
) -> None:
    pixels = np.array(viewer.layers["stack"].data)
    kept.desk.paint()
    choose_axes(kept, "CYX")
    copying(kept, qtbot, "stack")
    assert {"stack", "stack labels"} <= {x.name for x in viewer.layers}  # as it was until now
    kept.paint.panel.title.click()
    assert kept.paint.panel.content.isHidden()
    end(kept, go, qtbot)
    assert sources(kept) == ["images/stack-2.zarr", "images/twin.zarr"]
    assert [x.name for x in viewer.layers if x.visible] == [*(f"stack {c}" for c in range(1, 6)), "stack labels"]
    assert viewer.layers["stack labels"].data.shape == (40, 32)
    np.testing.assert_array_equal(np.asarray(kept.desk.session.needed_project.image("stack").data), pixels)
    assert kept.images.kind.axes.currentData() == "CYX"


def test_other_axes_that_are_stopped_leave_the_image_as_it_was(kept: Dock, viewer: Any, go: Gate, qtbot: Any) -> None:
    choose_axes(kept, "CYX")
    copying(kept, qtbot, "stack")
    kept.images.panel.button.click()
    done(kept, qtbot)
    assert sources(kept) == ["images/stack.zarr", "images/twin.zarr"]
    assert kept.desk.session.needed_project.entry("stack").axes == "CZYX"
    assert viewer.layers["stack"].visible


def test_several_large_copies_get_other_axes_one_after_the_other(kept: Dock, go: Gate, qtbot: Any) -> None:
    go.set()
    kept.images.list.selectAll()
    choose_axes(kept, "TYX")
    qtbot.waitUntil(lambda: [e.axes for e in on_disk_entries(kept)] == ["CTYX"] * 2, timeout=5000)
    done(kept, qtbot)
    assert sources(kept) == ["images/stack-2.zarr", "images/twin-2.zarr"]


def on_disk_entries(dock: Dock) -> Any:
    """The images of the project, as another window finds them."""
    return Project.open(dock.desk.session.needed_project.path).images


def test_what_is_painted_while_a_copy_with_other_axes_is_made_stays(
    kept: Dock, viewer: Any, go: Gate, said: list[str], qtbot: Any
) -> None:
    kept.desk.paint()
    choose_axes(kept, "CYX")
    copying(kept, qtbot, "stack")
    viewer.layers["stack labels"].paint((2, 9, 9), 1)
    assert kept.desk.canvas.painting.flush()
    end(kept, go, qtbot)
    assert "stack has strokes" in said[-1]
    assert sources(kept) == ["images/stack.zarr", "images/twin.zarr"]
    assert kept.desk.session.needed_project.labels("stack")[2, 9, 9] == 1
    assert viewer.layers["stack labels"].data[2, 9, 9] == 1
