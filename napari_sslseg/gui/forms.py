"""Forms: the parameters of a Config as magicgui widgets, and back."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Generic, TypeVar

from magicgui.widgets import CheckBox, ComboBox, FloatSpinBox, LineEdit, SpinBox
from magicgui.widgets.bases import ValueWidget
from qtpy.QtWidgets import QFormLayout, QLabel, QWidget

from napari_sslseg.config import Config, Parameter
from napari_sslseg.errors import ConfigError
from napari_sslseg.gui.area import LabelFont

C = TypeVar("C", bound=Config)
LARGEST = 2**31 - 1


class Form(Generic[C]):
    """A form for some of the parameters of a Config; the others keep their defaults.

    Parameters
    ----------
    kind : type
        The Config.
    only : sequence of str, optional
        The parameters to show; all if not given.
    without : sequence of str, optional
        Parameters to leave out.
    choices : mapping of str to sequence of str, optional
        Names to choose from, for parameters that are names of components.
    """

    def __init__(
        self,
        kind: type[C],
        only: Sequence[str] | None = None,
        *,
        without: Sequence[str] = (),
        choices: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self._kind = kind
        shown = [p for p in kind.parameters() if (only is None or p.name in only) and p.name not in without]
        self._widgets = {p.name: _widget(p, (choices or {}).get(p.name, p.choices)) for p in shown}
        self._parameters = {p.name: p for p in shown}
        self.widget = QWidget()
        layout = QFormLayout(self.widget)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        layout.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        for widget in self._widgets.values():
            if isinstance(widget, CheckBox):
                layout.addRow(widget.native)
            else:
                label = QLabel(widget.label)
                label.setToolTip(widget.tooltip)
                label.setBuddy(widget.native)
                layout.addRow(label, widget.native)

    def __getitem__(self, name: str) -> ValueWidget[Any]:
        return self._widgets[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._widgets)

    def config(self, **more: Any) -> C:
        """Return what the form says.

        Parameters
        ----------
        **more : object
            Values of parameters that it does not show.

        Returns
        -------
        Config
            Validated; a ConfigError where a value will not do.
        """
        values = {name: _value(self._parameters[name], _typed(widget)) for name, widget in self._widgets.items()}
        return self._kind(**{**values, **more})

    def set(self, config: C) -> None:
        """Show the values of a config.

        Parameters
        ----------
        config : Config
            The config.
        """
        for name, widget in self._widgets.items():
            value = getattr(config, name)
            widget.value = _shown(self._parameters[name], value)

    def changes(self) -> dict[str, Any]:
        """Return what differs from the defaults.

        Returns
        -------
        dict
            Value by name; a ConfigError where a value will not do.
        """
        said, usual = self.config().to_dict(), self._kind().to_dict()
        return {name: said[name] for name in self._widgets if said[name] != usual[name]}

    def show_changes(self, changes: Mapping[str, Any]) -> None:
        """Show the defaults but for some values; of these, what is not known or allowed any more is left out.

        Parameters
        ----------
        changes : mapping of str to object
            As `changes` returned them, perhaps another version of it.
        """
        self.set(self._kind())
        for name, value in changes.items():
            if name in self._widgets:
                with suppress(ConfigError, ValueError, TypeError):  # a component that is gone is a ValueError
                    self._kind(**{name: value})
                    self._widgets[name].value = _shown(self._parameters[name], value)


def _empty(p: Parameter) -> Any:
    return "" if p.type is str else 0


def _wide(p: Parameter) -> bool:
    """Whether a number spans so many orders of magnitude that it is typed, such as a learning rate."""
    return p.type is float and p.ge is not None and 0 < p.ge < abs(p.default or 1) / 1000


def _shown(p: Parameter, value: Any) -> Any:
    if value is None:
        return _empty(p)
    return f"{value:g}" if _wide(p) else value


def _typed(widget: ValueWidget[Any]) -> Any:
    """The value of a widget, also while it is still being typed."""
    text = widget.native.text() if isinstance(widget, SpinBox) else ""
    return int(text) if text.lstrip("-").isdecimal() else widget.value


def _value(p: Parameter, value: Any) -> Any:
    if p.optional and value == _empty(p):
        return None
    if not _wide(p):
        return value
    try:
        return float(value)
    except ValueError:
        raise ConfigError(f"{p.name} is {value!r}", "It must be a number, such as 0.001 or 1e-3") from None


def _widget(p: Parameter, choices: Sequence[str]) -> ValueWidget[Any]:
    label = p.name.replace("_", " ") + (f" ({p.unit})" if p.unit and not p.name.startswith(p.unit) else "")
    default = _shown(p, p.default)
    common: dict[str, Any] = {"name": p.name, "label": label, "value": default, "tooltip": p.help}
    widget: ValueWidget[Any]
    if choices:
        widget = ComboBox(choices=list(dict.fromkeys([*choices, default])), **common)
    elif p.type is bool:
        widget = CheckBox(**common)
    elif p.type is str or _wide(p):
        widget = LineEdit(**common)
        LabelFont(widget.native)
    else:
        low = 0 if p.optional else (p.ge if p.ge is not None else -LARGEST)
        high = p.le if p.le is not None else LARGEST
        if p.type is int:
            widget = SpinBox(min=int(low), max=int(high), **common)
            widget.native.setKeyboardTracking(False)  # else the 1 of 16 becomes the least value that is allowed
        else:
            widget = FloatSpinBox(min=low, max=high, step=_step(default), **common)
    widget.native.setAccessibleName(label)
    return widget


def _step(default: float) -> float:
    """A tenth of the default, as one digit."""
    return float(f"{abs(default) / 10:.0e}") if default else 0.1
