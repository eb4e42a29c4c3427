"""Swatch: a little square of a colour."""

from qtpy.QtGui import QColor, QIcon, QPixmap


def swatch(colour: str) -> QIcon:
    """Draw a colour as an icon.

    Parameters
    ----------
    colour : str
        As ``#rrggbb``.

    Returns
    -------
    QIcon
        A square.
    """
    pixmap = QPixmap(14, 14)
    pixmap.fill(QColor(colour))
    icon = QIcon(pixmap)
    icon.addPixmap(pixmap, QIcon.Mode.Selected)  # else the selection tints it
    return icon
