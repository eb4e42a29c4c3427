"""Memory: what the window remembers: of a project in its folder, of the user in the folder for settings."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psygnal
from napari.utils.notifications import show_info
from qtpy.QtCore import QObject, QStandardPaths, QTimer

from napari_sslseg.gui import preferences
from napari_sslseg.gui.canvas import Canvas
from napari_sslseg.gui.kept import Kept
from napari_sslseg.session import Session

FILE = "window.json"
LATER = 400  # ms: a slider that is drawn is written once


def user_file(name: str = FILE) -> Path:
    """Tell where is kept what belongs to no project.

    Parameters
    ----------
    name : str, optional
        Name of the file.

    Returns
    -------
    Path
        A file in the user's folder for settings.
    """
    place = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.GenericConfigLocation)
    return Path(place or Path.home()) / "napari-sslseg" / name


class Memory(QObject):
    """Remembers how masks look and other things of a project, and of the user which steps are folded and the like.

    Parameters
    ----------
    session : Session
        What the user is doing.
    canvas : Canvas
        The layers, which are told how masks of a project look.
    parent : QObject
        Owner.
    """

    restored = psygnal.Signal()  # another project is open, and what it remembers is there

    def __init__(self, session: Session, canvas: Canvas, parent: QObject) -> None:
        super().__init__(parent)
        self._session, self._canvas = session, canvas
        self.user, self.project = Kept(user_file()), Kept(None)
        self.another = False  # there was a project before this one
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(LATER)
        self._later.timeout.connect(self.flush)
        session.project_changed.connect(self._project_changed)
        self._told(self.user)
        if session.project is not None:
            self._project_changed()

    def _told(self, kept: Kept) -> None:
        if kept.damaged:
            show_info(f"{kept.path} is damaged. The window begins with its usual settings; nothing else is touched.")

    def _project_changed(self) -> None:
        self.flush()
        project = self._session.project
        self.another = self.project.path is not None
        self.project = Kept(project.path / FILE if project else None)
        self._told(self.project)
        self._restore_look()
        self.restored.emit()

    def _restore_look(self) -> None:
        said: dict[str, Any] = self.project.get("look", {})
        if not said and not self.another:
            self.keep_look()  # of before there was a project
            return
        look = replace(preferences.look(), visible=self._canvas.look.visible)
        with suppress(TypeError, ValueError):
            opacity = min(max(float(said.get("opacity", look.opacity)), 0.0), 1.0)
            look = replace(look, opacity=opacity, outline=bool(said.get("outline", look.outline)))
        self._canvas.set_look(look)

    def keep_look(self) -> None:
        """Remember how masks look now."""
        look, usual = self._canvas.look, preferences.look()
        if self.project.get("look", {}) or (look.opacity, look.outline) != (usual.opacity, usual.outline):
            self.keep("look", {"opacity": look.opacity, "outline": look.outline})

    def keep(self, name: str, value: Any) -> None:
        """Remember something of the project.

        Parameters
        ----------
        name : str
            What.
        value : object
            Anything that JSON can hold.
        """
        if self.project.put(name, value):
            self._later.start()

    def keep_of_user(self, name: str, value: Any) -> None:
        """Remember something of the user.

        Parameters
        ----------
        name : str
            What.
        value : object
            Anything that JSON can hold.
        """
        if self.user.put(name, value):
            self._later.start()

    def flush(self) -> None:
        """Write now what is to be written."""
        self._later.stop()
        self.user.write()
        self.project.write()
