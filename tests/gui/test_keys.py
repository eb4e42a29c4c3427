"""Keys and commands: those that are written down are those that there are, and none of napari's is taken."""

from pathlib import Path
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels, Shapes
from napari.utils.key_bindings import KeymapHandler
from napari.utils.shortcuts import default_shortcuts
from npe2 import PluginManifest
from qtpy.QtWidgets import QAbstractButton, QComboBox, QMenu, QShortcut, QWidget

import napari_sslseg
from napari_sslseg import image as io
from napari_sslseg.gui import commands, contributions, foot, marks, masks, object_table, paint_commands, result_commands
from napari_sslseg.gui.desk import Desk
from napari_sslseg.gui.dock import Dock
from napari_sslseg.gui.keys import ANYWHERE, KEYS, LABELS, NAPARI, markdown
from napari_sslseg.gui.resuming import PRETRAIN
from napari_sslseg.project import Project

from .test_jobs import done
from .test_manners import parents

ROOT = Path(napari_sslseg.__file__).parent


MODULES = (commands, paint_commands, result_commands)


def test_the_table_of_keys_is_written_down() -> None:
    """To renew it: python -c "from napari_sslseg.gui.keys import markdown as m; print(m(), end='')" > docs/keys.md."""
    assert (ROOT.parent / "docs" / "keys.md").read_text(encoding="utf-8") == markdown()


def test_every_action_is_a_command() -> None:
    manifest = PluginManifest.from_file(ROOT / "napari.yaml")
    named = {c.id.removeprefix("napari-sslseg."): c.python_name for c in manifest.contributions.commands or ()}
    for module in MODULES:
        public = {name for name, what in vars(module).items() if getattr(what, "__module__", "") == module.__name__}
        assert {name for name in public if not name.startswith("_")} <= set(named), module
    assert {k.command for k in KEYS if k.command} <= set(named)
    assert set(commands.BY_KEY) <= {k.command for k in KEYS if k.where == ANYWHERE}
    manifest.validate_imports()


def test_every_command_is_in_a_menu() -> None:
    contributed = PluginManifest.from_file(ROOT / "napari.yaml").contributions
    kinds = ("get_reader", "sample_")  # napari has places of its own for these
    named = {c.id.removeprefix("napari-sslseg.") for c in contributed.commands or ()}
    in_menus = {entry.command.removeprefix("napari-sslseg.") for menu in contributed.menus.values() for entry in menu}
    assert in_menus == {name for name in named if not name.startswith(kinds)}


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


def test_commands_do_what_the_buttons_do(dock: Any, viewer: Any) -> None:
    viewer.add_image(np.eye(32), name="field")
    commands.use_images(viewer)
    paint_commands.add_class(viewer)
    contributions.paint(viewer)
    layer = viewer.layers["field labels"]
    for command, mode in (
        (paint_commands.polygon, "polygon"),
        (paint_commands.eraser, "erase"),
        (paint_commands.fill, "pan_zoom"),
        (paint_commands.brush, "paint"),
    ):
        command(viewer)
        assert layer.mode == mode
    assert not dock.paint.tools.filling.waiting
    paint_commands.remove_class(viewer)
    assert len(dock.desk.session.project.classes) == 2
    result_commands.masks(viewer)
    result_commands.outline(viewer)
    result_commands.fainter(viewer)
    assert (dock.desk.canvas.look.visible, dock.desk.canvas.look.outline) == (False, True)
    result_commands.stronger(viewer)
    assert dock.desk.canvas.look.opacity == 0.5
    commands.doubts(viewer)
    assert dock.desk.live.on
    assert dock.desk.live.doubts
    commands.live(viewer)
    assert not dock.desk.live.on
    paint_commands.check_box(viewer)
    assert viewer.layers.selection.active.mode == "add_rectangle"


# -------------------------------------------------------------------- every button has a command
FORM, FOLD, TOUR = "a value", "a fold", "answers the tour"
BUTTONS = {  # what can be pressed or chosen in the dock, and the command that does the same, or why there is none
    ("Header", "New…"): ("new_project",),
    ("Header", "Open…"): ("open_project",),
    ("Header", "Show me how"): ("tour",),
    ("Offer", "Show me how"): ("tour",),
    ("Offer", "No, thanks"): TOUR,
    ("Bubble", "Back"): TOUR,
    ("Bubble", "Next"): TOUR,
    ("Bubble", "End"): TOUR,
    ("ImagesStep", "Step 1: Images"): FOLD,
    ("ImagesStep", "Use these images"): ("use_images",),
    ("ImagesStep", "Axes ▸"): FOLD,
    ("ImagesStep", "Add images"): ("add_files", "add_folder"),
    ("ImagesStep", "Axes"): FORM,
    ("ImagesStep", "Unit of the pixel size"): FORM,
    ("ImagesStep", "Only this region"): ("use_region",),
    ("ImagesStep", "Take out"): ("take_out",),
    ("LearnStep", "Step 2: Learn"): FOLD,
    ("LearnStep", "▶ Learn"): ("learn",),
    ("LearnStep", "How long to learn"): ("learn_quick", "learn_standard", "learn_thorough"),
    ("LearnStep", "Advanced ▸"): FOLD,
    ("LearnStep", "What it sees ▸"): FOLD,
    ("LearnStep", "Colours"): ("colours",),
    ("LearnStep", "Find alike"): ("alike",),
    ("LearnStep", "Restored"): ("restored",),
    ("LearnStep", "Show denoised"): ("denoise",),
    ("LearnStep", "↺ Anew"): ("learn_anew",),
    ("PaintStep", "Step 3: Paint"): FOLD,
    ("PaintStep", "✎ Paint on this image"): ("paint",),
    ("PaintStep", "Add a class"): ("add_class",),
    ("PaintStep", "Remove the chosen class"): ("remove_class",),
    ("PaintStep", "Brush"): ("brush",),
    ("PaintStep", "Eraser"): ("eraser",),
    ("PaintStep", "Fill an outline"): ("fill",),
    ("PaintStep", "Polygon"): ("polygon",),
    ("PaintStep", "✧ Where next?"): ("suggest",),
    ("PaintStep", "Suggestion before"): ("suggest_before",),
    ("PaintStep", "Next suggestion"): ("suggest",),
    ("PaintStep", "▭ Check box"): ("check_box",),
    ("PaintStep", "all labelled"): ("all_labelled",),
    ("TrainStep", "Step 4: Train"): FOLD,
    ("TrainStep", "▶ Train"): ("train",),
    ("TrainStep", "Live"): ("live",),
    ("TrainStep", "What to find"): ("find_classes", "find_objects"),
    ("TrainStep", "Advanced ▸"): FOLD,
    ("TrainStep", "where unsure"): ("doubts",),
    ("TrainStep", "Go back to the better round"): ("back",),
    ("TrainStep", "Did learning help?"): ("compare",),
    ("ResultStep", "Step 5: Result"): FOLD,
    ("ResultStep", "▶ This plane"): ("predict",),
    ("ResultStep", "▶ This image"): ("predict_image",),
    ("ResultStep", "▶ Everything"): ("predict_everything",),
    ("ResultStep", "Where the masks are unsure"): ("unsure",),
    ("ResultStep", "objects"): ("single_objects",),
    ("ResultStep", "✓ Accept"): ("accept_view", "accept_plane", "accept_object", "accept_image"),
    ("ResultStep", "■ Stop"): ("stop",),
    ("ResultStep", "Export…"): ("export_this", "export", "predict_folder", "show_exported"),
    ("ResultStep", "outline"): ("outline",),
    ("ResultStep", "show"): ("masks",),
    ("ResultStep", "probabilities"): ("probabilities",),
    ("ResultStep", "Adjust ▸"): FOLD,
    ("ResultStep", "Fill holes"): FORM,
    ("ResultStep", "Class whose touching objects are parted"): FORM,
    ("ResultStep", "✓ Apply to everything"): ("adjust_apply",),
    ("ResultStep", "Reset"): ("adjust_reset",),
    ("ResultStep", "Objects…"): ("objects",),
    ("ObjectTable", "all planes"): ("objects_all_planes",),
    ("ObjectTable", "Save as CSV…"): ("save_objects",),
}


def pressed_or_chosen(whole: QWidget) -> list[tuple[tuple[str, str], QWidget]]:
    """All buttons, check boxes and combo boxes, by where they are and what they are called."""
    named = []
    for widget in whole.findChildren(QWidget):
        above = [type(p).__name__ for p in parents(widget)]
        if isinstance(widget, QAbstractButton | QComboBox) and "ClassTable" not in above and "QTableView" not in above:
            place = next((name for name in above if name in PLACES), type(whole).__name__)
            text = widget.accessibleName() or (widget.text() if isinstance(widget, QAbstractButton) else "")
            named.append(((place, text), widget))
    return named


PLACES = {place for place, _ in BUTTONS}


def test_every_button_every_check_box_and_every_choice_has_a_command(dock: Any, stack: Any) -> None:
    forms = (dock.learn.form, dock.learn.runtime, dock.train.form)
    parameters = {form[name].native for form in forms for name in form}  # a value each, under "Advanced"
    table = object_table.show(dock.desk)
    found = [*pressed_or_chosen(dock), *pressed_or_chosen(table)]
    assert {name for name, widget in found if widget not in parameters} == set(BUTTONS)
    manifest = PluginManifest.from_file(ROOT / "napari.yaml")
    named = {c.id.removeprefix("napari-sslseg.") for c in manifest.contributions.commands or ()}
    assert {c for said in BUTTONS.values() if said not in (FORM, FOLD, TOUR) for c in said} <= named
    table.parent().close()


def test_entries_of_the_menus_of_buttons_have_a_command_each(dock: Any) -> None:
    for button, place in (
        (dock.images.add, ("ImagesStep", "Add images")),
        (dock.result.accept.button, ("ResultStep", "✓ Accept")),
        (dock.result.export, ("ResultStep", "Export…")),
    ):
        entries = [action for action in button.menu().actions() if not action.isSeparator()]
        assert len(entries) == len(BUTTONS[place])


def test_keys_start_what_the_main_buttons_start(dock: Any, image: Any, viewer: Any, jobs: Any, qtbot: Any) -> None:
    keys = KeymapHandler()
    keys.keymap_providers = [viewer]
    keys.press_key("Ctrl+1")
    assert [e.id for e in dock.desk.session.project.images] == ["field"]
    keys.press_key("Ctrl+3")
    layer = viewer.layers["field labels"]
    layer.paint((5, 5), 1)
    layer.paint((25, 5), 2)
    keys.keymap_providers = [layer, viewer]
    for key, verbs in (("Ctrl+2", ["pretrain"]), ("Ctrl+4", ["train", "predict"]), ("Ctrl+5", ["predict"])):
        jobs.calls.clear()
        keys.press_key(key)
        done(dock, qtbot)
        assert [verb for verb, _ in jobs.calls] == verbs
    keys.press_key("Ctrl+L")
    assert dock.desk.live.on
    keys.press_key("Ctrl+L")
    assert not dock.desk.live.on
    before = np.count_nonzero(layer.data)
    keys.press_key("Ctrl+Enter")
    qtbot.waitUntil(lambda: not dock.result.accept.accept.turns.busy)
    assert np.count_nonzero(layer.data) > before


def test_no_menu_of_the_window_has_one_of_our_keys(make_napari_viewer: Any, jobs: Any, answers: Any) -> None:
    viewer = make_napari_viewer()
    dock = Dock(viewer, Desk(viewer, jobs, answering=answers))
    viewer.window.add_dock_widget(dock)
    window = dock.window()
    actions = [action for menu in window.findChildren(QMenu) for action in menu.actions()]
    theirs = {action.shortcut().toString() for action in actions}
    theirs |= {shortcut.key().toString() for shortcut in window.findChildren(QShortcut)}
    assert "Ctrl+O" in theirs
    ours = {k.key.replace("Enter", "Return") for k in KEYS if k.where in (ANYWHERE, LABELS)}
    assert not theirs & ours


def test_main_buttons_say_their_keys(dock: Any) -> None:
    told = [panel.button.toolTip() for panel in dock.panels.values()]
    assert [tip.endswith(f" (Ctrl+{n})") for n, tip in enumerate(told, 1)] == [True] * 5


def test_commands_choose_what_boxes_choose(dock: Any, image: Any, viewer: Any) -> None:
    contributions.paint(viewer)
    for command, at in ((commands.learn_quick, 0), (commands.learn_thorough, 2), (commands.learn_standard, 1)):
        command(viewer)
        assert dock.learn.length.currentIndex() == at
        assert dock.learn.form["minutes"].value == dock.learn.length.itemData(at)
    commands.find_objects(viewer)
    assert dock.desk.session.project.task == "instance"
    commands.find_classes(viewer)
    assert dock.desk.session.project.task == "semantic"
    for asked in (True, False):
        result_commands.probabilities(viewer)
        assert dock.desk.prediction.probabilities is asked
    commands.tour(viewer)
    assert dock.tour.step == "images"


def test_learning_begins_anew_by_a_command(dock: Any, image: Any, viewer: Any, jobs: Any, qtbot: Any) -> None:
    contributions.paint(viewer)
    left = dock.desk.session.project.path / PRETRAIN
    left.parent.mkdir(parents=True, exist_ok=True)
    left.write_bytes(b"left off")
    commands.learn_anew(viewer)
    done(dock, qtbot)
    assert jobs.calls[-1][0] == "pretrain"
    assert not left.exists()


def test_all_is_labelled_by_a_command_once_there_is_a_box(dock: Any, image: Any, viewer: Any, said: list[str]) -> None:
    contributions.paint(viewer)
    paint_commands.all_labelled(viewer)
    assert said[-1].startswith("There is no check box")
    paint_commands.check_box(viewer)
    viewer.layers["field check boxes"].add_rectangles([[10, 0], [30, 20]])
    for whole in (True, False):
        paint_commands.all_labelled(viewer)
        assert [r.complete for r in dock.desk.session.project.regions("field")] == [whole]


def test_commands_that_write_files_say_what_is_missing(
    dock: Any, image: Any, viewer: Any, said: list[str], monkeypatch: Any
) -> None:
    result_commands.show_exported(viewer)
    assert said[-1].startswith("Nothing was exported yet")
    result_commands.save_objects(viewer)
    assert said[-1].startswith("There is no table of objects yet")
    contributions.paint(viewer)
    asked: list[Any] = []
    monkeypatch.setattr(dock.result.export, "_masks", asked.append)
    result_commands.export_this(viewer)
    assert asked == [["field"]]
    object_table.show(dock.desk).parent().close()


def test_the_foot_of_the_window_says_what_keys_do_while_one_paints(dock: Any, image: Any, viewer: Any) -> None:
    dock.desk.paint()
    layer = viewer.layers["field labels"]
    for tool, said in (("brush", foot.HELP), ("polygon", foot.POLYGON), ("eraser", foot.HELP), ("brush", foot.HELP)):
        dock.paint.tools.use(tool)
        assert (layer.help, viewer.help) == (said, said)
    viewer.layers.selection.active = image
    assert "pan" in viewer.help or "transform" in viewer.help  # napari's own words, of a layer of its own
    viewer.layers.selection.active = layer
    viewer.update_status_from_cursor()
    assert viewer.help == foot.HELP
    named = {k.key for k in KEYS if k.where in (LABELS, NAPARI)}
    assert {part.split(":")[0] for part in foot.HELP.split(" · ")} - {"1 to 9", "[ ]"} <= named
