"""ClassMenu: what can be done with one class of the table: rename, colour, merge, remove."""

from collections.abc import Sequence

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QMenu, QWidget

from napari_sslseg.annotation import LabelClass
from napari_sslseg.gui.swatch import swatch


class ClassMenu(QMenu):
    """The menu of a class; it deletes itself once it is closed.

    Parameters
    ----------
    known : LabelClass
        The class.
    others : sequence of LabelClass
        Those that it can be merged into.
    losable : bool
        Whether it can be removed or merged.
    parent : QWidget
        The table.
    """

    chosen = Signal(int)  # the class that gets the pixels

    def __init__(self, known: LabelClass, others: Sequence[LabelClass], losable: bool, parent: QWidget) -> None:
        super().__init__(parent)
        self.setToolTipsVisible(True)
        self.rename = self.addAction("Rename\tF2")
        self.recolour = self.addAction("Colour…")
        self.merge = self.addMenu("Merge into")
        self.merge.setToolTipsVisible(True)
        for other in others:
            action = self.merge.addAction(swatch(other.colour), other.name.replace("&", "&&"))
            action.setToolTip(f"All that is painted as {known.name}, in all images, becomes {other.name}")
            action.triggered.connect(lambda _=False, into=other.value: self.chosen.emit(into))
        self.addSeparator()
        self.remove = self.addAction("Remove…\tDel")
        self.remove.setToolTip(f"What is painted as {known.name} is erased in all images")
        self.merge.setEnabled(losable)
        self.remove.setEnabled(losable)
        self.aboutToHide.connect(self.deleteLater)
