"""A row of step 5: what is laid over the masks: where they are unsure, and each object in a colour of its own."""

from qtpy.QtWidgets import QCheckBox, QLabel, QVBoxLayout, QWidget

from napari_sslseg.gui.desk import Desk
from napari_sslseg.gui.doubting import Doubting
from napari_sslseg.gui.laid import Laid
from napari_sslseg.gui.listen import listen
from napari_sslseg.gui.parts import Parts
from napari_sslseg.gui.wrap import Wrap

UNSURE = "Light up where the next best class was nearly as likely, when these masks were predicted"
OBJECTS = "Each object in a colour of its own; those that touch are one, unless Adjust parts them"


class OverRow(QWidget):
    """Turns on and off what is laid over the masks.

    Parameters
    ----------
    desk : Desk
        The desk.
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk, self.doubting, self.parts = desk, Doubting.of(desk), Parts.of(desk)
        self.objects = QCheckBox("objects")
        self.unsure = QCheckBox("where unsure")
        self.unsure.setAccessibleName("Where the masks are unsure")
        self.said = QLabel()
        self.said.setWordWrap(True)
        whole, row = QVBoxLayout(self), Wrap()
        whole.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.objects)
        row.addWidget(self.unsure)
        whole.addLayout(row)
        whole.addWidget(self.said)
        self.objects.toggled.connect(self.parts.turn)
        self.unsure.toggled.connect(self.doubting.turn)
        for laid in (self.doubting, self.parts):
            laid.changed.connect(self.refresh)
            self.destroyed.connect(laid.leave)
        for signal in (desk.session.project_changed, desk.session.classes_changed, desk.session.current_changed):
            listen(self, signal, self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show the row as it is now."""
        self.objects.setVisible(self.parts.offered)
        _show(self.objects, self.parts, OBJECTS)
        _show(self.unsure, self.doubting, UNSURE)
        said = [laid.said for laid in (self.parts, self.doubting) if laid.on and laid.said]
        self.said.setText("\n".join(said))
        self.said.setVisible(bool(said))


def _show(box: QCheckBox, laid: Laid, tooltip: str) -> None:
    why = laid.why
    box.blockSignals(True)
    box.setChecked(laid.on)
    box.blockSignals(False)
    box.setEnabled(laid.on or not why)
    box.setToolTip(why or tooltip)
