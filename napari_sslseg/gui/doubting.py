"""Doubting: where the masks of the image that is looked at are unsure, as a layer over them."""

from pathlib import Path

from napari.layers import Image as ImageLayer

from napari_sslseg import doubts
from napari_sslseg.gui import layers, masks
from napari_sslseg.gui.desk import Desk
from napari_sslseg.gui.laid import Laid
from napari_sslseg.gui.telling import telling

UNKNOWN = "It was not kept how sure these masks are. Predict once more (▶ This plane), then this can be shown"
VAST = "It is not kept how sure the masks of a part of a plane are. ▶ Everything keeps it, where it is not too much"
PLANE = "It was not kept how sure the masks of this plane are. Predict it once more"


class Doubting(Laid):
    """Lights up where the next best class is nearly as likely; what is kept of a prediction is read as one looks.

    Parameters
    ----------
    desk : Desk
        The desk, which owns it.
    """

    role = "doubt"

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._known: tuple[Path, str, tuple[int, ...]] | None = None  # of which planes of which image it was kept
        self._stale = False  # what is on the disk has changed
        self._session.activity_changed.connect(self._activity_changed)
        self._canvas.viewer.dims.events.current_step.connect(self._moved)

    @property
    def planes(self) -> tuple[int, ...]:
        """The planes of the current image of which it was kept how sure their masks are."""
        project, id = self._session.project, self._session.current
        if project is None or id is None:
            return ()
        if self._known is None or self._known[:2] != (project.path, id):
            self._known = project.path, id, doubts.planes(project, id)
        return self._known[2]

    @property
    def why(self) -> str:
        """Why it cannot be turned on now; nothing if it can."""
        return super().why or ("" if self.planes else VAST if self._canvas.vast else UNKNOWN)

    def _activity_changed(self, step: str) -> None:
        if step == "result" and self._session.running is None:
            self._stale, self._known = True, None
            self._soon()

    def _moved(self) -> None:
        if self.on:
            self._say()
            self.changed.emit()

    def _say(self) -> None:
        kept = not self.planes or self._adjusting.plane() in self.planes
        self.said = "" if kept else PLANE

    def lay(self) -> None:
        """Show where the masks of the current image are unsure."""
        with telling():
            self._lay()
        self._say()

    def _lay(self) -> None:
        project, id = self._session.needed_project, self._session.current
        for known in list(self._laid) if self._stale else ():
            if known == id and self.planes:
                self._laid[known].data = doubts.doubts(project, known)
            else:
                self.take_off(known)  # it comes back when its image is looked at
        self._stale = False
        if id is not None and self.planes and id not in self._laid:
            below = layers.show_image(self._canvas.viewer, project, id)[0]
            look = {**masks.UNSURE, "name": f"{id} where unsure", "rgb": False}
            self._put(id, ImageLayer(doubts.doubts(project, id), **look, **layers.geometry(below)))
