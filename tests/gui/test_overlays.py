"""What lies over images: it is seen with its image, makes way while a key is held, and goes with the masks."""

from typing import Any

import numpy as np
import pytest
from napari.utils.key_bindings import KeymapHandler

from napari_sslseg.gui import marks, overlays

from .test_images import click_row
from .test_jobs import done


@pytest.fixture
def two(dock: Any, viewer: Any, qtbot: Any) -> Any:
    """The dock with two images, `one` being looked at, whose masks and probabilities are shown."""
    for name in ("one", "two"):
        viewer.add_image(np.eye(32), name=name)
    dock.images.panel.button.click()
    click_row(dock, qtbot, 0)
    dock.desk.paint()
    for at, value in (((5, 5), 1), ((25, 5), 2)):
        viewer.layers["one labels"].paint(at, value)
    dock.result.form["probabilities"].value = True
    dock.train.start()
    done(dock, qtbot)
    return dock


def lit(viewer: Any, *roles: str) -> list[str]:
    """The names of the layers of some roles that are seen."""
    found = [(layer, marks.mark_of(layer)) for layer in viewer.layers if layer.visible]
    return [layer.name for layer, mark in found if mark is not None and mark.role in roles]


def test_probabilities_are_seen_with_their_image_alone(two: Any, viewer: Any, qtbot: Any) -> None:
    assert lit(viewer, "probability") == ["one class 2 probability"]
    click_row(two, qtbot, 1)
    assert lit(viewer, "probability") == []
    click_row(two, qtbot, 0)
    assert lit(viewer, "probability") == ["one class 2 probability"]


def test_probabilities_that_the_user_hid_stay_hidden(two: Any, viewer: Any) -> None:
    viewer.layers["one class 2 probability"].visible = False
    for row in (1, 0):
        two.images.list.setCurrentRow(row)
        assert lit(viewer, "probability") == []


def test_new_masks_of_an_image_that_is_not_looked_at_stay_hidden(two: Any, viewer: Any, qtbot: Any) -> None:
    two.result.everything.click()
    done(two, qtbot)
    assert "two masks" in viewer.layers
    assert lit(viewer, "result", "probability") == ["one class 2 probability", "one masks"]
    click_row(two, qtbot, 1)
    assert lit(viewer, "result", "probability") == ["two class 2 probability", "two masks"]


def test_all_that_lies_over_an_image_is_hidden_while_a_key_is_held(two: Any, viewer: Any) -> None:
    project, shape = two.desk.session.project, (32, 32)
    for role in overlays.ROLES:
        metadata = {**marks.mark(project, "one", role), "z": 0, "class": "class 3"}
        viewer.add_image(np.ones(shape), name=role, metadata=metadata)
    viewer.layers["colours"].visible = False  # by the user
    before = {layer: layer.visible for layer in viewer.layers}
    keys = KeymapHandler()
    keys.keymap_providers = [viewer]
    keys.press_key("H")
    assert [layer.name for layer in viewer.layers if layer.visible] == ["one", "one labels", "restored"]  # beside it
    keys.release_key("H")
    assert {layer: layer.visible for layer in viewer.layers} == before


def test_what_is_laid_over_an_image_that_is_not_looked_at_waits_for_it(two: Any, viewer: Any, qtbot: Any) -> None:
    said = {"metadata": marks.mark(two.desk.session.project, "two", "denoised")}
    viewer.add_image(np.ones((32, 32)), name="late", **said)
    assert not viewer.layers["late"].visible
    click_row(two, qtbot, 1)
    assert viewer.layers["late"].visible
