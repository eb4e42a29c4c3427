"""Classes that are merged: on the disk, in all images, and nowhere else."""

from pathlib import Path

import numpy as np
import pytest

from napari_sslseg.image import Image
from napari_sslseg.job import Progress, Stop, run
from napari_sslseg.merging import merge_classes
from napari_sslseg.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Two images and a stack with strokes, and an image without."""
    project, random = Project.create(tmp_path / "p"), np.random.default_rng(0)
    for name, shape in (("one", (16, 16)), ("two", (3, 16, 16)), ("three", (16, 16)), ("empty", (16, 16))):
        project.add_image(Image.from_array(random.integers(0, 255, shape, np.uint8), name=name))
    flat = np.zeros((16, 16), np.uint16)
    flat[2], flat[5], flat[9, 3:7] = 1, 2, 3
    project.write_labels("one", flat)
    project.write_labels("two", np.stack([flat, np.zeros_like(flat), flat]))
    project.write_labels("three", np.where(flat == 3, 0, flat))
    return project


def test_pixels_of_a_class_become_another_one_in_all_images(project: Project) -> None:
    before = {id: project.labels(id) for id in project.labelled()}
    changed = run(merge_classes(project, 3, 2))
    again = Project.open(project.path)
    for id, labels in before.items():
        np.testing.assert_array_equal(again.labels(id), np.where(labels == 3, 2, labels))
    assert changed == {"one": {1: 16, 2: 20}, "two": {1: 32, 2: 40}}
    assert again.labelled() == project.labelled()


def test_a_stop_leaves_the_images_that_come_later(project: Project) -> None:
    stop = Stop()

    def at_the_second(event: object) -> None:
        if isinstance(event, Progress) and event.text.startswith("image 2"):
            stop.request()

    before = [project.labels(id) for id in project.labelled()]
    changed = run(merge_classes(project, 1, 2, stop=stop), at_the_second)
    after = [project.labels(id) for id in project.labelled()]
    same = [np.array_equal(a, b) for a, b in zip(before, after, strict=True)]
    assert len(changed) == same.count(False) == 2
    assert same[2]


def test_what_was_accepted_is_known_as_the_other_class_too(project: Project) -> None:
    labels = project.labels("one")
    accepted = np.where(np.arange(16)[:, None] >= 5, labels, 0).astype(np.uint16)
    project.note_accepted("one", accepted, (slice(0, 16), slice(0, 16)))
    run(merge_classes(project, 3, 2))
    again = Project.open(project.path)
    np.testing.assert_array_equal(again.annotation("one").by_hand().labels, np.where(accepted > 0, 0, labels))
    assert again.annotation("two").accepted is None
