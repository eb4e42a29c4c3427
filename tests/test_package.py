"""The package as a whole: what it loads, what it promises to other tools, and the walls between its modules."""

import importlib
import inspect
import pkgutil
import subprocess
import sys
import tomllib
from importlib.metadata import distribution, metadata
from pathlib import Path

import pytest

import napari_sslseg

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
FOUND = sorted(m.name for m in pkgutil.walk_packages(napari_sslseg.__path__, "napari_sslseg."))
MODULES = [m for m in FOUND if m != "napari_sslseg.__main__"]
CORE = [m for m in MODULES if m.split(".")[1] != "gui"]
WINDOW = {"PyQt5", "PyQt6", "PySide6", "magicgui", "napari", "pyqtgraph", "qtpy", "superqt", "vispy"}
CONTRACTS = {c["id"]: c for c in PYPROJECT["tool"]["importlinter"]["contracts"]}


def loaded_by(*modules: str) -> set[str]:
    """Import modules in a fresh interpreter and name the packages that are then loaded."""
    code = (
        f"import sys\nimport {', '.join(modules)}\nsys.stdout.write(' '.join({{m.split('.')[0] for m in sys.modules}}))"
    )
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_importing_the_package_loads_nothing_heavy():
    assert not loaded_by("napari_sslseg") & {*WINDOW, "numpy", "scipy", "skimage", "torch"}


def test_no_module_outside_the_window_loads_qt_or_napari():
    assert not loaded_by(*CORE) & WINDOW


def test_the_modules_the_window_opens_with_load_no_torch():
    assert "torch" not in loaded_by(*CONTRACTS["torch"]["source_modules"])


@pytest.mark.parametrize("name", napari_sslseg.__all__)
def test_public_names_stay_what_they_are(name):
    first = getattr(napari_sslseg, name)
    assert getattr(napari_sslseg, name) is first
    assert not inspect.ismodule(first)


def test_unknown_public_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        napari_sslseg.nothing  # noqa: B018


def test_package_says_it_is_typed():
    assert (Path(napari_sslseg.__file__).parent / "py.typed").is_file()


def test_version_is_the_installed_one():
    assert metadata("napari-sslseg")["Version"] == napari_sslseg.__version__


def test_base_install_needs_neither_qt_nor_napari():
    needed = {line.split(">")[0].split("[")[0] for line in PYPROJECT["project"]["dependencies"]}
    assert not needed & {name.lower() for name in WINDOW}


def test_entry_points_lead_somewhere():
    points = {(p.group, p.name): p.value for p in distribution("napari-sslseg").entry_points}
    assert points["napari.manifest", "napari-sslseg"] == "napari_sslseg:napari.yaml"
    module, function = points["console_scripts", "napari-sslseg"].split(":")
    assert callable(getattr(importlib.import_module(module), function))


def test_manifest_is_valid_and_its_python_names_exist():
    npe2 = pytest.importorskip("npe2")
    manifest = npe2.PluginManifest.from_distribution("napari-sslseg")
    manifest.validate_imports()
    assert manifest.name == "napari-sslseg"
    assert (ROOT / "napari.yaml").resolve() == (ROOT / "napari_sslseg" / "napari.yaml").resolve()


def test_import_contracts_hold():
    from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

    assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True) == EXIT_STATUS_SUCCESS


def documented(module):
    """Name the public things of a module that must be documented: not what overrides a documented thing."""
    for name, thing in vars(module).items():
        if name.startswith("_") or getattr(thing, "__module__", None) != module.__name__:
            continue
        if not (inspect.isclass(thing) or inspect.isfunction(thing)) or thing.__name__ != name:
            continue
        yield name
        if inspect.isclass(thing):
            for member, value in vars(thing).items():
                public = not member.startswith("_") and isinstance(
                    value, (property, classmethod, staticmethod, type(documented))
                )
                if public and not any(hasattr(base, member) for base in thing.__mro__[1:]):
                    yield f"{name}.{member}"


def has_parameters(name):
    """Say whether a name is that of a function, or of a class that declares parameters of its own."""
    module, _, last = name.rpartition(".")
    thing = getattr(sys.modules.get(module), last, None)
    return not inspect.isclass(thing) or ("__init__" in vars(thing) and not getattr(thing, "_is_protocol", False))


@pytest.mark.parametrize("name", MODULES)
def test_docstrings_are_complete_numpydoc(name):
    validate = pytest.importorskip("numpydoc.validate").validate
    checks = PYPROJECT["tool"]["numpydoc_validation"]["checks"]
    if name.split(".")[1] in {
        "cli",
        "gui",
        "inquiries",
        "listen",
        "options",
    }:  # not called by other code: a summary will do
        checks = [code for code in checks if code[:2] in {"GL", "SS"}]
    module = importlib.import_module(name)
    found = [
        f"{thing}: {code} {text}"
        for thing in (f"{name}.{thing}" for thing in documented(module))
        for code, text in validate(thing)["errors"]
        if code in checks and (code[:2] != "PR" or has_parameters(thing))
    ]
    assert not found, "\n".join(found)
    assert (module.__doc__ or "").split("\n")[0].endswith((".", "?")), f"{name}: the first line must say what is in it"
