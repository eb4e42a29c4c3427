"""A row of step 5: the button that accepts masks into the labels, with a menu of how much; and what came of it."""

from typing import Any

from qtpy.QtWidgets import QHBoxLayout, QLabel, QMenu, QPushButton, QVBoxLayout, QWidget

from napari_sslseg.gui.accept import accept_of
from napari_sslseg.gui.desk import Desk
from napari_sslseg.gui.listen import listen


class AcceptRow(QWidget):
    """Accepts masks; `buttons` has room for more.

    Parameters
    ----------
    desk : Desk
        The desk.
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk, self.accept = desk, accept_of(desk)
        self.button = QPushButton("✓ Accept")
        self.button.setToolTip(
            "Turn masks that are right into labels. What you painted stays as it is;\n"
            "classes that you accepted before become what the masks say now"
        )
        self.menu = QMenu(self.button)
        self.menu.setToolTipsVisible(True)
        self.seen = self._action("What I see", "The masks in the part of this plane that is in view (Ctrl+Enter)")
        self.plane = self._action("This plane", "The masks of the whole plane you are looking at")
        self.one = self._action(
            "One object (click it)", "The object you click next. Key A takes the one under the mouse"
        )
        self.all = self._action("All of this image", "The masks of every plane of this image")
        self.button.setMenu(self.menu)
        self.stop = QPushButton("■ Stop")
        self.said = QLabel()
        self.said.setWordWrap(True)
        self.buttons = QHBoxLayout()
        self.buttons.addWidget(self.button, 1)
        self.buttons.addWidget(self.stop, 1)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addLayout(self.buttons)
        whole.addWidget(self.said)
        self._connect()
        self.refresh()

    def _action(self, text: str, tooltip: str) -> Any:
        action = self.menu.addAction(text)
        action.setToolTip(tooltip)
        return action

    def _connect(self) -> None:
        accept, session = self.accept, self._desk.session
        self.seen.triggered.connect(lambda: accept.view())
        self.plane.triggered.connect(lambda: accept.plane())
        self.one.triggered.connect(lambda: accept.pick.wait(True))
        self.all.triggered.connect(lambda: accept.image())
        self.stop.clicked.connect(lambda: accept.stop())
        accept.changed.connect(self.refresh)
        for signal in (session.project_changed, session.current_changed, session.rounds_changed):
            listen(self, signal, self.refresh)

    def refresh(self) -> None:
        """Show the row as it is now."""
        accept, session = self.accept, self._desk.session
        busy, waiting = accept.turns.busy, accept.pick.waiting
        stack = session.project and session.current and len(session.project.entry(session.current).shape) == 3
        self.plane.setVisible(bool(stack))
        self.button.setVisible(not busy and not waiting)
        self.stop.setVisible(busy or waiting)
        self.stop.setText("✕ Leave it" if waiting else "■ Stop")
        self.stop.setToolTip("Accept no object" if waiting else "Stop now; what is accepted so far stays")
        text = "Click an object" if waiting else f"At work: {accept.turns.share:.0%}" if busy else accept.said
        self.said.setText(text)
        self.said.setVisible(bool(text))
