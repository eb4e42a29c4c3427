"""The button of step 1 that opens images: it asks for files, or for a folder of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QMenu, QPushButton, QWidget

from napari_sslseg.gui.memory import Memory
from napari_sslseg.io import SUFFIXES

ARROW = 10  # px, which Qt leaves out where it says how wide such a button has to be
FOLDER = "images"  # under which the folder that images came from last is remembered
PATTERNS = " ".join(f"*{s}" for s in SUFFIXES if not s.startswith(".ome") and s != ".zarr")  # a zarr is a folder
FILTERS = f"Images ({PATTERNS});;All files, such as DICOM without a suffix (*)"


def ask_files(parent: QWidget, folder: str) -> list[str]:
    """Ask for image files with the dialog of the system.

    Parameters
    ----------
    parent : QWidget
        What the dialog belongs to.
    folder : str
        Where it begins; empty for where the system would.

    Returns
    -------
    list of str
        The files; none if nobody answers.
    """
    return list(QFileDialog.getOpenFileNames(parent, "Add image files", folder, FILTERS)[0])


def ask_folder(parent: QWidget, folder: str) -> str:
    """Ask for a folder with the dialog of the system.

    Parameters
    ----------
    parent : QWidget
        What the dialog belongs to.
    folder : str
        Where it begins; empty for where the system would.

    Returns
    -------
    str
        The folder; empty if nobody answers.
    """
    title = "Add a folder of images, a DICOM series or an OME-Zarr"
    return str(QFileDialog.getExistingDirectory(parent, title, folder))


class AddButton(QPushButton):
    """A button with a menu. It says what was chosen, and opens nothing by itself.

    Parameters
    ----------
    memory : Memory
        Remembers the folder that images came from last.
    """

    chosen = Signal(object)  # list of Path: files, or one folder

    def __init__(self, memory: Memory) -> None:
        super().__init__("Add…")
        self.ask_files, self.ask_folder = ask_files, ask_folder  # others in tests, which need no dialog
        self._memory = memory
        self.setAccessibleName("Add images")
        self.setMinimumWidth(self.fontMetrics().horizontalAdvance(self.text()) + 3 * ARROW)
        self.setToolTip("Open images from your disk, to look at them and then use them. You can also drop them here")
        menu = QMenu(self)
        menu.setToolTipsVisible(True)
        self.files = self._action(menu, "Files…", "Choose one image file, or several at once")
        self.folder = self._action(
            menu, "Folder…", "All images of a folder. A DICOM series or an OME-Zarr is a folder, and one image"
        )
        self.setMenu(menu)
        self.files.triggered.connect(lambda: self.add_files())
        self.folder.triggered.connect(lambda: self.add_folder())

    def _action(self, menu: QMenu, text: str, tooltip: str) -> Any:
        action = menu.addAction(text)
        action.setToolTip(tooltip)
        return action

    def add_files(self) -> None:
        """Ask for image files."""
        self._choose([Path(p) for p in self.ask_files(self, self._last())])

    def add_folder(self) -> None:
        """Ask for a folder of images, or for one that is an image."""
        path = self.ask_folder(self, self._last())
        self._choose([Path(path)] if path else [])

    def _last(self) -> str:
        folder = str(self._memory.user.get(FOLDER, ""))
        return folder if folder and Path(folder).is_dir() else ""

    def _choose(self, paths: Sequence[Path]) -> None:
        if paths:
            self._memory.keep_of_user(FOLDER, str(paths[0].parent))
            self.chosen.emit(list(paths))
