"""What napari loads for its first layer of labels is loaded beside the window, before it is needed."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from qtpy.QtCore import QObject

from napari_sslseg.gui import warming

from .conftest import our_threads

FIRST = """
import sys
import numpy as np
from importlib import import_module
from napari.layers import Image, Labels
from napari_sslseg.gui.warming import MODULES
Image(np.zeros((4, 4), np.uint8))
for name in MODULES if "warm" in sys.argv else ():
    import_module(name)
before = set(sys.modules)
Labels(np.zeros((4, 4), np.uint8))
print(len(set(sys.modules) - before))
"""


def loaded_late(*how: str) -> int:
    """How many modules the first layer of labels still loads, in a Python of its own."""
    done = subprocess.run([sys.executable, "-c", FIRST, *how], capture_output=True, text=True, check=True, timeout=120)
    return int(done.stdout)


def test_nothing_is_left_to_load_for_the_first_layer_of_labels() -> None:
    assert loaded_late() > 50  # else there is nothing to warm
    assert loaded_late("warm") < 5


@pytest.fixture
def unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module that nobody has loaded."""
    (tmp_path / "never_loaded_before.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(warming, "AFTER", 1)
    monkeypatch.setattr(warming, "MODULES", ("no_such_module_at_all", "never_loaded_before"))
    monkeypatch.delitem(sys.modules, "never_loaded_before", raising=False)
    return "never_loaded_before"


def test_it_is_loaded_in_a_thread_that_ends_whatever_is_missing(unknown: str, qtbot: Any) -> None:
    owner = QObject()
    warming.warm(owner)
    assert unknown not in sys.modules
    qtbot.waitUntil(lambda: unknown in sys.modules, timeout=5000)
    qtbot.waitUntil(lambda: not our_threads(), timeout=20000)


def test_nothing_is_loaded_for_a_dock_that_is_gone(unknown: str, qtbot: Any) -> None:
    owner = QObject()
    warming.warm(owner)
    owner.deleteLater()
    qtbot.wait(100)
    assert unknown not in sys.modules
