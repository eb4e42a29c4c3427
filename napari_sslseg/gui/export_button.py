"""The button of step 5 that writes masks to files: it asks what, where to, and before anything is written over."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QFileDialog, QMenu, QMessageBox, QPushButton

from napari_sslseg.errors import UserError
from napari_sslseg.gui.desk import Desk
from napari_sslseg.gui.export import export_of
from napari_sslseg.gui.listen import listen
from napari_sslseg.gui.telling import telling

EXPORT = "Press “Export…” in step 5, and choose what to write"


class ExportButton(QPushButton):
    """A button with a menu.

    Parameters
    ----------
    desk : Desk
        The desk.
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__("Export…")
        self._session, self._export = desk.session, export_of(desk)
        self.setToolTip("Write masks to files that other programs open")
        menu = QMenu(self)
        menu.setToolTipsVisible(True)
        self.this = self._action(
            menu,
            "Masks of this image…",
            "One TIFF file, NIfTI of a NIfTI or DICOM image, OME-Zarr of one that is too large for memory;\n"
            "each pixel is the number of its class or object",
        )
        self.all = self._action(menu, "Masks of all images…", "One file for each image that has masks (Ctrl+Shift+E)")
        menu.addSeparator()
        self.folder = self._action(
            menu,
            "Predict a folder…",
            "Make and write masks of all images of a folder, which need not be in the project",
        )
        self.show_folder = self._action(menu, "Open the folder", "Show the files that were written last")
        self.setMenu(menu)
        menu.aboutToShow.connect(self.refresh_menu)
        self.this.triggered.connect(lambda: self.this_image())
        self.all.triggered.connect(lambda: self.all_images())
        self.folder.triggered.connect(lambda: self.predict_folder())
        self.show_folder.triggered.connect(lambda: self.open_folder())
        for signal in (self._session.project_changed, self._session.activity_changed):
            listen(self, signal, self.refresh)
        self.refresh()

    def _action(self, menu: QMenu, text: str, tooltip: str) -> Any:
        action = menu.addAction(text)
        action.setToolTip(tooltip)
        return action

    # ---------------------------------------------------------------- what it does
    def this_image(self) -> None:
        """Ask for a folder, and write the masks of the current image."""
        self._masks([self._session.current] if self._session.current is not None else None)

    def all_images(self) -> None:
        """Ask for a folder, and write the masks of all images."""
        self._masks(None)

    def _masks(self, ids: Sequence[str] | None) -> None:
        with telling():
            self._session.needed_project  # noqa: B018 # says what is missing
            out = self._asked("Where to put the masks")
            if out is not None:
                taken = self._export.taken(ids, out)
                if not taken or self._agreed(taken):
                    self._export.write(ids, out, replace=bool(taken))

    def predict_folder(self) -> None:
        """Ask for a folder of images and one for their masks, and make these."""
        with telling():
            self._export.check()
            folder = self._asked("A folder of images")
            out = self._asked("Where to put their masks") if folder is not None else None
            if folder is not None and out is not None:
                taken = self._export.taken_by(folder, out)
                if not taken or self._agreed(taken):
                    self._export.predict(folder, out)

    def _asked(self, title: str) -> Path | None:
        path = QFileDialog.getExistingDirectory(self, title)
        return Path(path) if path else None

    def _agreed(self, taken: Sequence[Path]) -> bool:
        names = ", ".join(file.name for file in taken[:3]) + (" …" if len(taken) > 3 else "")
        text = f"{len(taken):,} file{'s are' if len(taken) != 1 else ' is'} there already: {names}"
        buttons = QMessageBox.StandardButton
        answer = QMessageBox.question(self, "Write over these files?", text, buttons.Yes | buttons.No, buttons.No)
        return bool(answer == buttons.Yes)

    def open_folder(self) -> None:
        """Show the files that were written last."""
        with telling():
            if self._export.folder is None:
                raise UserError("Nothing was exported yet", "There is a folder to open once there are files", EXPORT)
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._export.folder)))

    # ---------------------------------------------------------------- what it shows
    def refresh_menu(self) -> None:
        """Offer what there is."""
        project, id = self._session.project, self._session.current
        self.this.setEnabled(id is not None and self._export.can([id]))
        self.all.setEnabled(self._export.can(None))
        self.folder.setEnabled(project is not None and project.trained is not None)
        self.show_folder.setEnabled(self._export.folder is not None)

    def refresh(self) -> None:
        """Show the button as it is now."""
        self.setEnabled(self._session.project is not None and self._session.running is None)
