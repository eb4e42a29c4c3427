"""Keeping: connects widgets with the memory, which gives them back tomorrow what the user left in them today."""

from collections.abc import Container, Mapping
from typing import Any

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QAbstractButton

from napari_sslseg.errors import ConfigError
from napari_sslseg.gui.forms import Form
from napari_sslseg.gui.listen import listen
from napari_sslseg.gui.memory import Memory


def keep_forms(forms: Mapping[str, Form[Any]], memory: Memory, owner: QObject) -> None:
    """Let a project remember what was changed in forms. What was changed before there was a project stays.

    Parameters
    ----------
    forms : mapping of str to Form
        The forms by the names under which they are remembered.
    memory : Memory
        The memory.
    owner : QObject
        The widget in which they lie.
    """

    def store(name: str) -> None:
        try:
            changes = forms[name].changes()
        except ConfigError:  # half typed; it is told when it is used
            return
        if changes or memory.project.get(name, {}):
            memory.keep(name, changes)

    def restore() -> None:
        for name, form in forms.items():
            said: dict[str, Any] = memory.project.get(name, {})
            if said or memory.another:
                form.show_changes(said)
            else:
                store(name)

    for name, form in forms.items():
        for parameter in form:
            form[parameter].changed.connect(lambda _=None, name=name: store(name))
    listen(owner, memory.restored, restore)
    if memory.project.path is not None:
        restore()


def keep_folds(
    titles: Mapping[str, QAbstractButton],
    folds: Mapping[str, QAbstractButton],
    memory: Memory,
    *,
    passing: Container[str] = (),
) -> None:
    """Remember which steps the user folded, and which parts of them were unfolded.

    Parameters
    ----------
    titles : mapping of str to QAbstractButton
        What folds the steps, by name: unfolded where it is checked, as they are at first.
    folds : mapping of str to QAbstractButton
        What unfolds parts that are folded at first.
    memory : Memory
        The memory.
    passing : container of str, optional
        Steps that folded by themselves, as they are at the moment: that is not remembered.
    """
    for kept, buttons, usual in (("folded", titles, True), ("unfolded", folds, False)):
        _keep_checked(kept, buttons, usual, memory, passing)


def _keep_checked(
    kept: str, buttons: Mapping[str, QAbstractButton], usual: bool, memory: Memory, passing: Container[str]
) -> None:
    """Remember which buttons are not as usual."""
    said = memory.user.get(kept, list[object]())
    for name, button in buttons.items():
        if name in said:
            button.setChecked(not usual)

    def store() -> None:
        changed = [name for name, button in buttons.items() if button.isChecked() != usual and name not in passing]
        memory.keep_of_user(kept, changed)

    for button in buttons.values():
        button.toggled.connect(store)
