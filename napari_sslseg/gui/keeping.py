"""Keeping: connects widgets with the memory, which gives them back tomorrow what the user left in them today."""

from collections.abc import Mapping
from typing import Any

from qtpy.QtCore import QObject

from napari_sslseg.errors import ConfigError
from napari_sslseg.gui.forms import Form
from napari_sslseg.gui.listen import listen
from napari_sslseg.gui.memory import Memory
from napari_sslseg.gui.panel import Panel


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


def keep_folds(panels: Mapping[str, Panel], memory: Memory) -> None:
    """Remember which steps the user folded.

    Parameters
    ----------
    panels : mapping of str to Panel
        The steps by name.
    memory : Memory
        The memory.
    """
    for name in memory.user.get("folded", list[str]()):
        if name in panels:
            panels[name].title.setChecked(False)

    def store() -> None:
        memory.keep_of_user("folded", [name for name, panel in panels.items() if not panel.title.isChecked()])

    for panel in panels.values():
        panel.title.toggled.connect(store)
