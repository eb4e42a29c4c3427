"""Rows of buttons in step 3: where to paint next, one suggestion after the other; and boxes to check masks in."""

from qtpy.QtWidgets import QCheckBox, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_sslseg.gui.desk import Desk
from napari_sslseg.gui.wrap import Wrap


class GuideRow(QWidget):
    """Asks for suggestions and steps through them; has validation boxes drawn.

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
        self.box = QPushButton("▭ Check box")
        self.box.setToolTip(
            "Draw a box (key V): what you paint in it is never learnt from, and the score is taken there.\n"
            "Choose a box and press Delete to take it away"
        )
        self.complete = QCheckBox("all labelled")
        self.complete.setToolTip("What you did not paint in these boxes is background")
        whole, row, boxes = QVBoxLayout(self), Wrap(), Wrap()
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addLayout(row)
        whole.addLayout(boxes)
        boxes.addWidget(self.box, 1)
        boxes.addWidget(self.complete)
        row.addWidget(self.where, 1)
        for button in (self.before, self.after):
            button.setMaximumWidth(32)
        for widget in (self.before, self.which, self.after):
            row.addWidget(widget)
        self.where.clicked.connect(desk.suggest)
        self.before.clicked.connect(lambda: desk.guide.step(-1))
        self.after.clicked.connect(lambda: desk.guide.step(1))
        self.box.clicked.connect(desk.draw_box)
        desk.canvas.painting.stepped.connect(self.step)
        self.complete.toggled.connect(desk.boxes.set_complete)
        desk.guide.changed.connect(self.refresh)
        self.refresh()

    def step(self, by: int) -> None:
        """Go to another suggestion; where there is no further one, ask for more.

        Parameters
        ----------
        by : int
            1 for the next, -1 for the one before.
        """
        if by > 0:
            self._desk.suggest()
        else:
            self._desk.guide.step(by)

    def refresh(self) -> None:
        """Show the row as it is now."""
        guide = self._desk.guide
        self.where.setEnabled(self._desk.session.running is None or guide.more)
        self.which.setText(guide.said)
        for widget in (self.before, self.which, self.after):
            widget.setVisible(bool(guide.said))
        project, id = self._desk.session.project, self._desk.session.current
        boxes = [r for r in project.regions(id) if r.validation] if project and id else []
        self.complete.setVisible(bool(boxes))
        self.complete.blockSignals(True)
        self.complete.setChecked(bool(boxes) and all(r.complete for r in boxes))
        self.complete.blockSignals(False)
