"""Keys and commands: those that are written down are those that there are, and none of napari's is taken."""

from pathlib import Path
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels, Shapes
from napari.utils.key_bindings import KeymapHandler
from napari.utils.shortcuts import default_shortcuts
from npe2 import PluginManifest

import napari_sslseg
from napari_sslseg import image as io
from napari_sslseg.gui import commands, contributions, marks, masks
from napari_sslseg.gui.keys import ANYWHERE, KEYS, LABELS, markdown
from napari_sslseg.project import Project

from .test_jobs import done

ROOT = Path(napari_sslseg.__file__).parent


def test_the_table_of_keys_is_written_down() -> None:
    """To renew it: python -c "from napari_sslseg.gui.keys import markdown as m; print(m(), end='')" > docs/keys.md."""
    assert (ROOT.parent / "docs" / "keys.md").read_text(encoding="utf-8") == markdown()


def test_every_action_is_a_command() -> None:
    manifest = PluginManifest.from_file(ROOT / "napari.yaml")
    named = {c.id.removeprefix("napari-sslseg."): c.python_name for c in manifest.contributions.commands or ()}
    public = {name for name, what in vars(commands).items() if getattr(what, "__module__", "") == commands.__name__}
    assert {name for name in public if not name.startswith("_")} <= set(named)
    assert {k.command for k in KEYS if k.command} <= set(named)
    manifest.validate_imports()


def test_no_key_of_napari_is_taken_where_ours_work_on_any_layer() -> None:
    theirs = {str(key) for keys in default_shortcuts.values() for key in keys}
    theirs |= {str(key) for kind in (ViewerModel, Image, Labels, Shapes) for key in kind.class_keymap}
    assert not theirs & {k.key for k in KEYS if k.where == ANYWHERE}


def test_keys_change_how_masks_look_whichever_layer_is_active(dock: Any, image: Any, viewer: Any, qtbot: Any) -> None:
    dock.desk.paint()
    layer = viewer.layers["field labels"]
    layer.paint((5, 5), 1)
    layer.paint((25, 5), 2)
    dock.train.start()
    done(dock, qtbot)
    bound = {str(key) for key in (*layer.keymap, *viewer.keymap)}
    assert bound == {k.key for k in KEYS if k.where in (LABELS, ANYWHERE)}
    shown = viewer.layers["field masks"]
    for active in (layer, image, shown):
        keys = KeymapHandler()
        keys.keymap_providers = [active, viewer]
        assert shown.visible
        keys.press_key("H")
        assert not shown.visible
        assert not dock.result.visible.isChecked()
        keys.release_key("H")
        assert shown.visible
        for key, opacity, contour in (("U", 0.5, 2), ("U", 0.5, 0), (",", 0.4, 0), (".", 0.5, 0)):
            keys.press_key(key)
            assert (shown.opacity, shown.contour) == (opacity, contour)
            assert (dock.result.opacity.value(), dock.result.outline.isChecked()) == (100 * opacity, contour > 0)


def test_masks_of_images_that_are_hidden_stay_hidden(tmp_path: Path) -> None:
    project, viewer = Project.create(tmp_path / "p"), ViewerModel()
    for name in ("one", "two"):
        project.add_image(io.Image.from_array(np.eye(16, dtype=np.float32), name=name))
        said = {"visible": name == "one"}
        viewer.add_image(np.eye(16), metadata=marks.mark(project, name, "image"), **said)
        viewer.add_labels(np.eye(16, dtype=int), metadata=marks.mark(project, name, "result"), **said)
    for visible in (False, True):
        masks.apply(viewer, project, masks.Look(visible=visible, outline=True), "one")
        shown = [(layer.visible, layer.contour) for layer in viewer.layers if isinstance(layer, Labels)]
        assert shown == [(visible, 2), (False, 2)]


def test_commands_do_what_the_buttons_do(dock: Any, viewer: Any, monkeypatch: Any) -> None:
    for module in (commands, contributions):
        monkeypatch.setattr(module, "dock_in", lambda _: dock)
    viewer.add_image(np.eye(32), name="field")
    commands.use_images(viewer)
    commands.add_class(viewer)
    contributions.paint(viewer)
    layer = viewer.layers["field labels"]
    for command, mode in (
        (commands.polygon, "polygon"),
        (commands.eraser, "erase"),
        (commands.fill, "pan_zoom"),
        (commands.brush, "paint"),
    ):
        command(viewer)
        assert layer.mode == mode
    assert not dock.paint.tools.filling.waiting
    commands.remove_class(viewer)
    assert len(dock.desk.session.project.classes) == 2
    commands.masks(viewer)
    commands.outline(viewer)
    commands.fainter(viewer)
    assert (dock.desk.canvas.look.visible, dock.desk.canvas.look.outline) == (False, True)
    commands.stronger(viewer)
    assert dock.desk.canvas.look.opacity == 0.5
    commands.doubts(viewer)
    assert dock.desk.live.on
    assert dock.desk.live.doubts
    commands.live(viewer)
    assert not dock.desk.live.on
    commands.check_box(viewer)
    assert viewer.layers.selection.active.mode == "add_rectangle"
