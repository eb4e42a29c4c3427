"""Resuming: a pretraining that was paused goes on with one click, also after the window was closed."""

from qtpy.QtCore import QObject, Signal

from napari_sslseg.gui.desk import Desk
from napari_sslseg.settings import PretrainConfig, RuntimeConfig
from napari_sslseg.unfinished import PRETRAIN, LeftOff, left_off

LEARN = ("▶ Learn", "Let the computer look at your images; no labels are needed")
PAUSE = ("❚❚ Pause", "Free the computer now. What was learnt so far is used, and it goes on whenever you like")
STOP = ("■ Stop", "Stop now and keep what was done so far")


class Resuming(QObject):
    """Knows where the pretraining of the project was left off.

    Parameters
    ----------
    desk : Desk
        The desk.
    parent : QObject
        Owner.
    """

    found = Signal()  # it was read anew where a pretraining was left off, if anywhere

    def __init__(self, desk: Desk, parent: QObject) -> None:
        super().__init__(parent)
        self._desk = desk
        self.left: LeftOff | None = None

    def read(self) -> None:
        """Read where it was left off."""
        project = self._desk.session.project
        self.left = left_off(project) if project is not None else None
        self.found.emit()

    def fits(self, config: PretrainConfig | None, runtime: RuntimeConfig | None) -> bool:
        """Tell whether what would be started now goes on from where it was left off.

        Parameters
        ----------
        config : PretrainConfig, optional
            What would be started; None if that is nothing sensible.
        runtime : RuntimeConfig, optional
            Device and seed.

        Returns
        -------
        bool
            Whether it does.
        """
        left = self.left
        return left is not None and runtime is not None and (config, runtime.seed) == (left.config, left.seed)

    def verb(self, fits: bool) -> tuple[str, str]:
        """Say what the main button does.

        Parameters
        ----------
        fits : bool
            Whether it goes on.

        Returns
        -------
        str
            Its text.
        str
            Its tooltip.
        """
        if not fits or self.left is None:
            return LEARN
        return "▶ Go on", f"Go on from step {self.left.steps}, as if there had been no pause"

    @property
    def said(self) -> str:
        """How far it was, such as ``paused at 40 %``."""
        return f"paused at {100 * self.left.share:.0f} %" if self.left is not None else ""

    def forget(self) -> None:
        """Begin anew next time; what was learnt so far stays in use until then."""
        project = self._desk.session.project
        if project is not None:
            (project.path / PRETRAIN).unlink(missing_ok=True)
        self.read()
