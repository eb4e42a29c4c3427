"""Lengths: how long to learn, in minutes, and how many steps that is on this machine once it is known."""

from qtpy.QtCore import Signal
from qtpy.QtGui import QPaintEvent
from qtpy.QtWidgets import QComboBox, QStyle, QStyleOptionComboBox, QStylePainter

LENGTHS = (("Quick", 1 / 3), ("Standard", 1.0), ("Thorough", 5.0))  # shares of the default length
SAID = "How long the computer may look at your images. Paint meanwhile, or leave this step out"


class Lengths(QComboBox):
    """A choice of three lengths; how many steps they are is said in the list, which has more room than the button.

    Parameters
    ----------
    default : float
        Minutes of the middle one.
    """

    chosen = Signal(float)  # minutes

    def __init__(self, default: float) -> None:
        super().__init__()
        self.setAccessibleName("How long to learn")
        self.setToolTip(SAID)
        for name, share in LENGTHS:
            self.addItem(f"{name} · {default * share:g} min", default * share)
        self._minutes = default
        self._plain = [self.itemText(k) for k in range(self.count())]
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(12)
        self.setCurrentIndex(1)
        self.currentIndexChanged.connect(self._choose)

    def _choose(self, at: int) -> None:
        self._minutes = float(self.itemData(at))
        self.chosen.emit(self._minutes)

    def show_pace(self, pace: float | None, batch: int) -> None:
        """Say how many steps each length is.

        Parameters
        ----------
        pace : float, optional
            Steps a minute; None while it is not known.
        batch : int
            Pieces looked at in a step.
        """
        steps = [round_number((pace or 0) * float(self.itemData(k))) for k in range(self.count())]
        for k, plain in enumerate(self._plain):
            self.setItemText(k, f"{plain} · about {steps[k]} steps" if pace else plain)
        self.view().setMinimumWidth(self.view().sizeHintForColumn(0) + 16)
        about = round_number((pace or 0) * self._minutes)
        here = f"About {about} steps on this computer: in each it looks at {batch} pieces"
        self.setToolTip(f"{SAID}\n{here}" if pace else SAID)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the button, with the time alone.

        Parameters
        ----------
        event : QPaintEvent
            The event.
        """
        option, painter = QStyleOptionComboBox(), QStylePainter(self)
        self.initStyleOption(option)
        at = self.currentIndex()
        option.currentText = self._plain[at] if at >= 0 else f"Own · {self._minutes:g} min"
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)
        painter.end()

    def show_minutes(self, minutes: float) -> None:
        """Show a length, which may be none of the three, without choosing it anew.

        Parameters
        ----------
        minutes : float
            The length.
        """
        at = next((k for k in range(self.count()) if abs(float(self.itemData(k)) - minutes) < 1e-6), -1)
        self._minutes = minutes
        self.blockSignals(True)
        self.setCurrentIndex(at)
        self.blockSignals(False)
        self.update()


def round_number(value: float) -> str:
    """Write a number that is only about right.

    Parameters
    ----------
    value : float
        The number, 0 or more.

    Returns
    -------
    str
        Of two digits and noughts, such as ``1 300``.
    """
    return f"{int(float(f'{value:.1e}')):,}".replace(",", "\u202f") if value >= 1 else "<1"
