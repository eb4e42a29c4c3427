"""Fold: the button that shows what is not always needed, and hides it again."""

from qtpy.QtWidgets import QPushButton


class Fold(QPushButton):
    """A button that stays down; its arrow says whether what belongs to it is shown.

    Parameters
    ----------
    title : str
        What is unfolded.
    tooltip : str
        What that is good for.
    """

    def __init__(self, title: str, tooltip: str) -> None:
        super().__init__(f"{title} ▸")
        self._title = title
        self.setCheckable(True)
        self.setToolTip(tooltip)
        self.toggled.connect(self._turn)

    def _turn(self, shown: bool) -> None:
        self.setText(f"{self._title} {'▾' if shown else '▸'}")
