"""Glimpse: a small picture of what the computer makes of a piece of an image, while it learns."""

import numpy as np
from qtpy.QtCore import QRect, QSize, Qt
from qtpy.QtGui import QImage, QPainter, QPaintEvent
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_sslseg.job import Picture

TALLEST = 110  # px


class Glimpse(QWidget):
    """One picture, as wide as there is room."""

    def __init__(self) -> None:
        super().__init__()
        self._picture: Picture | None = None
        self._image = QImage()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("What it makes of a piece")
        self.setToolTip("A piece of your image: as it is, what the computer is given, and what it makes of it")
        self.hide()

    def sizeHint(self) -> QSize:
        """Return the size it wants.

        Returns
        -------
        QSize
            The size.
        """
        return QSize(160, TALLEST)

    @property
    def picture(self) -> Picture | None:
        """What is shown."""
        return self._picture

    def show_picture(self, picture: Picture | None) -> None:
        """Show a picture; without one there is nothing to be seen.

        Parameters
        ----------
        picture : Picture, optional
            The picture.
        """
        if picture is not self._picture:
            self._picture = picture
            self._image = QImage() if picture is None else _image(picture.pixels)
            self.update()
        self.setVisible(picture is not None)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the picture as large as it fits, in the middle.

        Parameters
        ----------
        event : QPaintEvent
            The event.
        """
        if self._image.isNull():
            return
        size = self._image.size().scaled(self.size(), Qt.AspectRatioMode.KeepAspectRatio)
        place = QRect(0, 0, size.width(), size.height())
        place.moveCenter(self.rect().center())
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(place, self._image)
        painter.end()


def _image(pixels: "np.ndarray[tuple[int, ...], np.dtype[np.float32]]") -> QImage:
    grey = (255 * np.clip(np.nan_to_num(pixels), 0, 1)).astype(np.uint8)
    rgb = np.ascontiguousarray(np.broadcast_to(grey[..., None], (*grey.shape, 3)) if grey.ndim == 2 else grey)
    height, width = rgb.shape[:2]
    return QImage(rgb.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888).copy()
