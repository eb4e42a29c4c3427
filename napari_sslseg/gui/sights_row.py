"""Row of buttons in step 2: what the network sees, as colours, as likeness, and as the image it draws."""

from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_sslseg.gui.desk import Desk
from napari_sslseg.gui.fold import Fold
from napari_sslseg.gui.listen import listen
from napari_sslseg.gui.sights import Sights, sights_of
from napari_sslseg.io.header import read_config, read_names

CLICK = "Click on something in the image"
AFTER = "As it saw after {} steps of learning; turn it off and on to look anew"
BEFORE = "As it saw before its first step of learning; turn it off and on to look anew"
LATER = "Not while something else runs; it comes once that has ended"
MORE = "Click elsewhere for something else, Shift-click to add to it, Esc to end"
RESTORED = (
    "The plane once more beside the image, each part drawn from what lies around it, unseen:\n"
    "what looks right was understood"
)
DENOISED = "What you are looking at without its noise, as a layer over the image"


class SightsRow(QWidget):
    """Turns on and off what is shown of what the network sees.

    Parameters
    ----------
    desk : Desk
        The desk.
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self.sights: Sights = sights_of(desk)
        self.fold = Fold(
            "What it sees", "See your image through the eyes of the computer, before it has learnt and after"
        )
        self.colours = QPushButton("Colours")
        self.colours.setToolTip("What the computer takes for alike gets the same colour, in the plane you look at")
        self.alike = QPushButton("Find alike")
        self.alike.setToolTip("Click on something, and all that looks like it to the computer lights up")
        self.restored = QPushButton("Restored")
        self.denoised = QPushButton("Show denoised")
        self.said = QLabel()
        self.said.setWordWrap(True)
        self._compose()
        session, sights = desk.session, self.sights
        self.colours.clicked.connect(sights.show_colours)
        self.alike.clicked.connect(sights.find_alike)
        self.restored.clicked.connect(sights.show_restored)
        self.denoised.clicked.connect(desk.denoise)
        for signal in (session.project_changed, session.images_changed, session.activity_changed):
            listen(self, signal, self.refresh)
        listen(self, session.current_changed, self.refresh)
        for signal in (session.project_changed, session.rounds_changed):
            listen(self, signal, self.offer)
        sights.changed.connect(self.refresh)
        desk.canvas.layers_changed.connect(self.refresh)
        dims = desk.canvas.viewer.dims.events.current_step
        dims.connect(self._moved)
        self.destroyed.connect(lambda: dims.disconnect(self._moved))
        self.offer()

    def _compose(self) -> None:
        self.inside = QWidget()
        row = QHBoxLayout()
        for button in (self.colours, self.alike, self.restored):
            button.setCheckable(True)
        for button in (self.colours, self.alike, self.restored, self.denoised):
            row.addWidget(button, 1)
        whole, rest = QVBoxLayout(self), QVBoxLayout(self.inside)
        for layout in (whole, rest):
            layout.setContentsMargins(0, 0, 0, 0)
            layout.setSpacing(2)
        rest.addLayout(row)
        rest.addWidget(self.said)
        self.top = QHBoxLayout()  # has room for more
        self.top.addWidget(self.fold)
        self.top.addStretch(1)
        whole.addLayout(self.top)
        whole.addWidget(self.inside)
        self.inside.hide()
        self.fold.toggled.connect(self.inside.setVisible)

    def _moved(self) -> None:
        if self.fold.isChecked():
            self.refresh()

    def offer(self) -> None:
        """Offer to denoise or to restore where that is what was learnt."""
        project = self._desk.session.project
        learnt = project.pretrained if project else None
        method = read_config(learnt).get("pretrain", {}).get("method") if learnt else None
        draws = learnt is not None and any(name.startswith("output.") for name in read_names(learnt))
        self.denoised.setVisible(method == "denoise")
        self.restored.setVisible(draws and method != "denoise")
        self.refresh()

    def refresh(self) -> None:
        """Show the row as it is now."""
        sights, idle = self.sights, self._desk.session.running is None
        for button, role in ((self.colours, "colours"), (self.alike, "alike")):
            button.setChecked(sights.shows(role) or sights.aside.role == role)
            button.setEnabled(sights.free or button.isChecked())
        self.restored.setChecked(sights.shows("restored"))
        self.restored.setEnabled(idle or self.restored.isChecked())
        self.denoised.setEnabled(idle)
        for button, tooltip in ((self.restored, RESTORED), (self.denoised, DENOISED)):
            button.setToolTip(tooltip if button.isEnabled() else f"{tooltip}\n{LATER}")
        self._say()

    def _say(self) -> None:
        """Say what goes on, what to do next, and how old what is shown is."""
        sights = self.sights
        parts = [sights.aside.said] if sights.aside.role else []
        if sights.shows("alike"):
            parts.append(MORE if sights.lit else CLICK)
        if sights.after is not None:
            parts.append(AFTER.format(sights.after) if sights.after else BEFORE)
        self.said.setText("\n".join(parts))
        self.said.setVisible(bool(parts))
