"""Parameters declared once (default, bounds, unit, help), configs made of them, registries of components by name."""

import difflib
import functools
import importlib
import importlib.util
import pkgutil
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, Self, TypeVar

from napari_sslseg.errors import ConfigError

T = TypeVar("T")


def param(
    default: Any,
    help: str,
    *,
    ge: float | None = None,
    le: float | None = None,
    unit: str = "",
    choices: tuple[str, ...] = (),
) -> Any:
    """Declare one parameter of a Config.

    Parameters
    ----------
    default : object
        The default; its only place.
    help : str
        One sentence for tooltip, command line and docs.
    ge, le : float, optional
        Least and greatest allowed value.
    unit : str, optional
        Unit of the value.
    choices : tuple of str, optional
        The allowed values.

    Returns
    -------
    dataclasses.Field
        The field to assign in a frozen dataclass.
    """
    return field(default=default, metadata={"help": help, "ge": ge, "le": le, "unit": unit, "choices": choices})


@dataclass(frozen=True)
class Parameter:
    """What a form, a flag or a table needs to know of one parameter.

    Parameters
    ----------
    name : str
        Name of the parameter.
    type : type
        bool, int, float or str.
    default : object
        The default.
    help : str
        One sentence.
    ge, le : float, optional
        Bounds.
    unit : str
        Unit of the value.
    choices : tuple of str
        Allowed values; empty if free.
    optional : bool
        Whether None is allowed.
    """

    name: str
    type: type
    default: Any
    help: str
    ge: float | None
    le: float | None
    unit: str
    choices: tuple[str, ...]
    optional: bool


@dataclass(frozen=True)
class Config:
    """Base of all parameter sets: frozen, validated when made, written to and read from plain dicts."""

    def __post_init__(self) -> None:
        for p in self.parameters():
            _check(p, getattr(self, p.name))

    @classmethod
    def parameters(cls) -> tuple[Parameter, ...]:
        """List the declared parameters.

        Returns
        -------
        tuple of Parameter
            In order of declaration.
        """
        hints = typing.get_type_hints(cls)
        found = []
        for f in fields(cls):
            if "help" not in f.metadata:
                continue
            kind, optional = _plain(hints[f.name])
            default = None if f.default is MISSING else f.default
            found.append(Parameter(f.name, kind, default, optional=optional, **f.metadata))
        return tuple(found)

    def to_dict(self) -> dict[str, Any]:
        """Return the values as a dict that JSON can hold.

        Returns
        -------
        dict
            Value by name.
        """
        return {p.name: getattr(self, p.name) for p in self.parameters()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Make a config from a dict; unknown names are an error that names the nearest known one.

        Parameters
        ----------
        values : mapping
            Value by name; what is missing takes its default.

        Returns
        -------
        Config
            The config.
        """
        known = [p.name for p in cls.parameters()]
        for name in values:
            if name not in known:
                raise ConfigError(f"{name!r} is not a parameter of {cls.__name__}", _one_of(name, known))
        return cls(**values)


def _plain(hint: Any) -> tuple[type, bool]:
    """Strip `| None` from a type hint."""
    if isinstance(hint, types.UnionType):
        inner = [a for a in typing.get_args(hint) if a is not type(None)]
        return inner[0], True
    return hint, False


def _check(p: Parameter, value: Any) -> None:
    if value is None and p.optional:
        return
    allowed: Any = (int, float) if p.type is float else p.type
    if not isinstance(value, allowed) or (isinstance(value, bool) and p.type is not bool):
        raise ConfigError(f"{p.name} is {value!r}", f"It must be of type {p.type.__name__}")
    if p.choices and value not in p.choices:
        raise ConfigError(f"{p.name} is {value!r}", _one_of(str(value), list(p.choices)))
    low = p.ge is not None and not value >= p.ge  # which NaN is not
    if low or (p.le is not None and not value <= p.le):
        bounds = f"from {p.ge}" if p.le is None else f"at most {p.le}" if p.ge is None else f"from {p.ge} to {p.le}"
        raise ConfigError(f"{p.name} is {value!r}", f"It must be {bounds} {p.unit}".rstrip())


def _one_of(given: str, known: list[str]) -> str:
    near = difflib.get_close_matches(given, known, 1)
    meant = f"; did you mean {near[0]!r}?" if near else ""
    return f"There are: {', '.join(known)}{meant}"


@functools.cache
def _offered(group: str) -> tuple[EntryPoint, ...]:
    """Return what the installed distributions offer; to look through all of them takes tens of milliseconds."""
    return tuple(entry_points(group=group))


class Registry(Generic[T]):
    """Components by name: one per file of a package, plus those other distributions offer as entry points.

    A component file has the name of the component and assigns its class to ``component``. A folder among them is a
    family, whose components are called ``family/name`` and made by its function ``component(name)``.

    Parameters
    ----------
    kind : str
        What the components are, for messages.
    package : str
        Package whose files are the components.
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind, self.package = kind, package

    def names(self) -> tuple[str, ...]:
        """List the components, families left out, without importing them.

        Returns
        -------
        tuple of str
            Sorted names.
        """
        own = [m.name for m in self._modules() if not m.ispkg]
        return tuple(sorted({*own, *(e.name for e in _offered(self.package))}))

    def families(self) -> tuple[str, ...]:
        """List the families without importing them.

        Returns
        -------
        tuple of str
            Sorted names.
        """
        return tuple(sorted(m.name for m in self._modules() if m.ispkg))

    def _modules(self) -> list[pkgutil.ModuleInfo]:
        spec = importlib.util.find_spec(self.package)
        folders = spec.submodule_search_locations if spec else None
        return [m for m in pkgutil.iter_modules(folders) if not m.name.startswith("_")]

    def load(self, name: str) -> T:
        """Import one component.

        Parameters
        ----------
        name : str
            Its name.

        Returns
        -------
        object
            What the file assigns to ``component``, or what a family makes.
        """
        for entry in _offered(self.package):
            if entry.name == name:
                loaded: T = entry.load()
                return loaded
        family, _, member = name.partition("/")
        if member and family in self.families():
            made: T = importlib.import_module(f"{self.package}.{family}").component(member)
            return made
        self.check(name)
        component: T = importlib.import_module(f"{self.package}.{name}").component
        return component

    def check(self, name: str) -> None:
        """Raise ConfigError unless a component exists; nothing is imported, unless it is one of a family.

        Parameters
        ----------
        name : str
            Its name.
        """
        family, _, member = name.partition("/")
        if member and family in self.families():
            self.load(name)
        elif name not in self.names():
            known = [*self.names(), *(f"{f}/NAME" for f in self.families())]
            raise ConfigError(f"Unknown {self.kind} {name!r}", _one_of(name, known))
