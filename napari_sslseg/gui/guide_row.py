"""Row of buttons in step 3: where to paint next, one suggestion after the other."""

from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QWidget

from napari_sslseg.gui.desk import Desk


class GuideRow(QWidget):
    """Asks for suggestions and steps through them.

    Parameters
    ----------
    desk : Desk
        The desk.
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self.where = QPushButton("✧ Where next?")
        self.where.setToolTip(
            "Go where strokes tell most: what is typical of your images or, once trained, what the masks are unsure of"
        )
        self.before, self.after, self.which = QPushButton("◂"), QPushButton("▸"), QLabel()
        self.before.setToolTip("Back to the suggestion before (key P)")
        self.before.setAccessibleName("Suggestion before")
        self.after.setToolTip("On to the next suggestion (key N)")
        self.after.setAccessibleName("Next suggestion")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.where, 1)
        for button in (self.before, self.after):
            button.setMaximumWidth(32)
        for widget in (self.before, self.which, self.after):
            row.addWidget(widget)
        self.where.clicked.connect(desk.suggest)
        self.before.clicked.connect(lambda: desk.guide.step(-1))
        self.after.clicked.connect(lambda: desk.guide.step(1))
        desk.guide.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show the row as it is now."""
        guide = self._desk.guide
        self.where.setEnabled(self._desk.session.running is None or guide.more)
        self.which.setText(guide.said)
        for widget in (self.before, self.which, self.after):
            widget.setVisible(bool(guide.said))
