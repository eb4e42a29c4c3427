"""House rules of the window that are seen in its text: nothing private of other packages, and small widgets."""

import ast
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

import napari_sslseg

WINDOW = Path(napari_sslseg.__file__).parent / "gui"
PUBLIC = {"os._exit", "_replace"}  # of os and of named tuples: documented under these names
BY_NAME = {"getattr", "setattr", "hasattr", "delattr", "attrgetter", "methodcaller"}
WIDGETS = {"pyqtgraph", "qtpy.QtWidgets", "superqt"}
LINES = 150
Classes = dict[str, ast.ClassDef]


def trees() -> dict[str, ast.Module]:
    """The text of the window, by file."""
    return {file.name: ast.parse(file.read_text(encoding="utf-8")) for file in sorted(WINDOW.glob("*.py"))}


def classes_of(found: dict[str, ast.Module]) -> Classes:
    """All classes, by name."""
    return {n.name: n for tree in found.values() for n in ast.walk(tree) if isinstance(n, ast.ClassDef)}


def private(name: str) -> bool:
    """Whether a name, or a part of a dotted one, is private."""
    return any(p.startswith("_") and not (p.startswith("__") and p.endswith("__")) for p in name.split("."))


def line_of_descent(known: ast.ClassDef, classes: Classes) -> Iterator[ast.ClassDef]:
    """A class, and those of ours that it comes from."""
    yield known
    for base in known.bases:
        if isinstance(base, ast.Name) and base.id in classes:
            yield from line_of_descent(classes[base.id], classes)


def given_by(known: ast.ClassDef) -> set[str]:
    """Private names that a class defines, or puts on itself."""
    found = {n.name for n in known.body if isinstance(n, ast.FunctionDef)}
    for node in ast.walk(known):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _itself(node.value):
            found.add(node.attr)
    for statement in known.body:
        if isinstance(statement, ast.Assign | ast.AnnAssign):
            found |= {n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return found


def _itself(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def offences(tree: ast.Module, classes: Classes) -> list[str]:
    """Where a file uses a private name that is not of the class it stands in."""
    return [*_imported(tree), *_asked_by_name(tree), *_reached(tree, classes, set())]


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (f"import {a.name}" for a in node.names if private(a.name))
        elif isinstance(node, ast.ImportFrom):
            names = [a.name for a in node.names if private(f"{node.module or ''}.{a.name}")]
            yield from (f"from {node.module} import {name}" for name in names)


def _asked_by_name(tree: ast.Module) -> Iterator[str]:
    """Names in quotes: of attributes, and of modules that are imported while the window runs."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func).split(".")[-1]
        said = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
        if called in BY_NAME | {"import_module", "__import__"} and any(map(private, said)):
            yield ast.unparse(node)


def _reached(node: ast.AST, classes: Classes, own: set[str]) -> Iterator[str]:
    """Private attributes, but for those that the class around them gave itself."""
    if isinstance(node, ast.ClassDef):
        own = {name for one in line_of_descent(node, classes) for name in given_by(one)}
    if isinstance(node, ast.Attribute) and private(node.attr):
        said = ast.unparse(node)
        if not (_itself(node.value) and node.attr in own) and not {said, node.attr} & PUBLIC:
            yield said
    for child in ast.iter_child_nodes(node):
        yield from _reached(child, classes, own)


def test_the_window_uses_nothing_private_of_napari_qt_or_another_class() -> None:
    found = trees()
    assert len(found) > 50
    classes = classes_of(found)
    assert not {name: wrong for name, tree in found.items() if (wrong := offences(tree, classes))}


@pytest.mark.parametrize(
    "text",
    [
        "import napari._app_model",
        "import napari._app_model as model",
        "from napari._qt.qt_viewer import QtViewer",
        "from napari import _qt",
        "from napari.layers.base import _slice",
        "from napari_sslseg.gui.dock import _helper",
        "importlib.import_module('napari._qt')",
        "viewer.window._qt_window.close()",
        "layer._thumbnail = 1",
        "getattr(viewer, '_layer_slicer')",
        "class A:\n    def _own(self): ...\n    def f(self, viewer): return viewer._own",
        "class A:\n    def _own(self): ...\n\nclass B:\n    def f(self): return self._own",
        "class A(QtViewer):\n    def f(self): return self._canvas",
        "class A(QtViewer):\n    def f(self): return super()._canvas",
        "class A:\n    def f(self):\n        self._layer = layer\n        return self._layer._slice",
    ],
)
def test_what_is_private_is_found(text: str) -> None:
    tree = ast.parse(text)
    assert offences(tree, classes_of({"a": tree}))


@pytest.mark.parametrize(
    "text",
    [
        "from __future__ import annotations\nfrom napari.viewer import Viewer",
        "class A:\n    def __init__(self): self._x: int = 1\n    def f(self): return self._x, self.__class__",
        "class A:\n    _x = 1\n\nclass B(A):\n    def f(self): return self._x",
        "class A:\n    @classmethod\n    def _make(cls): ...\n    @classmethod\n    def make(cls): return cls._make()",
        "getattr(layer, 'mode', None)",
    ],
)
def test_what_a_class_gave_itself_is_its_own(text: str) -> None:
    tree = ast.parse(text)
    assert not offences(tree, classes_of({"a": tree}))


def widgets(found: dict[str, ast.Module]) -> Classes:
    """Classes of ours that are widgets of Qt."""
    classes, kinds = classes_of(found), set[str]()
    for tree in found.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module in WIDGETS:
                kinds |= {a.asname or a.name for a in node.names}
    shown = {}
    for name, known in classes.items():
        bases = {ast.unparse(b) for one in line_of_descent(known, classes) for b in one.bases}
        if bases & kinds or any(b.split(".")[0] in WIDGETS for b in bases):
            shown[name] = known
    return shown


def long(known: ast.ClassDef) -> int:
    """How many lines a class has."""
    return (known.end_lineno or 0) - known.lineno + 1


def test_no_widget_is_too_long_to_be_read_at_once() -> None:
    found = widgets(trees())
    assert {"Dock", "Panel", "ClassTable", "TrainStep"} <= set(found)
    assert not {name: long(known) for name, known in found.items() if long(known) > LINES}


def test_a_widget_that_is_too_long_is_found() -> None:
    lines = "\n".join(f"    x{n} = {n}" for n in range(LINES))
    begin = "from qtpy.QtWidgets import QFrame\n\nclass A(QFrame):\n    y = 1\n\n"
    text = f"{begin}class B(A):\n{lines}\n\nclass C:\n{lines}"
    found = widgets({"a": ast.parse(text)})
    assert {name: long(known) > LINES for name, known in found.items()} == {"A": False, "B": True}


@pytest.mark.parametrize("module", ["napari_sslseg", "napari_sslseg.gui.dock"])
def test_a_warning_about_our_own_code_fails_a_test(module: str) -> None:
    with pytest.raises(DeprecationWarning, match="old"):
        warnings.warn_explicit("old", DeprecationWarning, "dock.py", 1, module=module)


@pytest.mark.parametrize("module", ["napari", "napari.layers.base"])
def test_a_warning_about_the_code_of_napari_fails_none(module: str) -> None:
    warnings.warn_explicit("old", DeprecationWarning, "base.py", 1, module=module)
