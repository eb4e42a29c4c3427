"""listen: whom a widget hears, and how long."""

import gc
from typing import Any

import psygnal
from qtpy.QtWidgets import QLabel, QWidget

from napari_sslseg.gui.listen import listen

from .conftest import delete_later


class Speaker:
    """Something that says what happens."""

    said = psygnal.Signal(str)


class Listener(QWidget):
    """A widget in a circle of references, as every one that keeps its children, whose child shows what is said."""

    def __init__(self, speaker: Speaker) -> None:
        super().__init__()
        self.own, label = self, QLabel(self)
        listen(self, speaker.said, lambda text: label.setText(text))
        listen(self, speaker.said, self.hear)

    def hear(self, text: str) -> None:
        """Show what is said in the tooltip too."""
        self.setToolTip(text)


def test_what_is_said_is_heard(qapp: Any) -> None:
    speaker = Speaker()
    listener = Listener(speaker)
    speaker.said.emit("a")
    assert listener.toolTip() == listener.findChild(QLabel).text() == "a"


def test_a_widget_that_python_collects_hears_no_more(qapp: Any) -> None:
    speaker = Speaker()
    Listener(speaker)
    gc.collect()
    assert len(speaker.said) == 0
    speaker.said.emit("a")


def test_a_widget_that_qt_deletes_hears_no_more(qapp: Any) -> None:
    speaker = Speaker()
    listener = Listener(speaker)
    listener.deleteLater()
    delete_later()
    assert len(speaker.said) == 0
