"""ToolRow: what one paints with in step 3: brush, eraser, fill, polygon."""

from qtpy.QtWidgets import QHBoxLayout, QPushButton, QWidget

from napari_sslseg.gui.desk import Desk
from napari_sslseg.gui.filling import Filling, layer_to_paint

FILL = "fill"
TOOLS = (  # name, mode of the layer, what it does
    ("brush", "paint", "Paint with the chosen class (its key: 1 to 9)"),
    ("eraser", "erase", "Take back what was painted: these pixels say nothing again (key 0)"),
    (
        FILL,
        "",
        "Draw an outline with the brush, press this (key G), then click inside: what is unpainted there becomes the "
        "class.\nThe border of the image closes an outline too. An outline with a gap, or an area of more than a "
        "quarter of the image, fills nothing.\nCtrl-Z takes it back",
    ),
    ("polygon", "polygon", "Click around an object; Enter or a double click fills it with the class, Esc gives up"),
)


class ToolRow(QWidget):
    """One button a tool; the one in use is pressed.

    Parameters
    ----------
    desk : Desk
        The desk.
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self.filling: Filling = desk.findChild(Filling) or Filling(desk)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        self.buttons: dict[str, QPushButton] = {}
        for name, _, tooltip in TOOLS:
            button = QPushButton(name)
            button.setCheckable(True)
            button.setToolTip(tooltip)
            button.setAccessibleName("Fill an outline" if name == FILL else name.capitalize())
            button.clicked.connect(lambda _=False, name=name: self.use(name))
            row.addWidget(button)
            self.buttons[name] = button
        painting = desk.canvas.painting
        painting.tool_changed.connect(self.refresh)
        painting.filling.connect(self.filling.begin)
        self.filling.changed.connect(self.refresh)
        self.refresh()

    def use(self, name: str) -> None:
        """Paint with a tool from now on.

        Parameters
        ----------
        name : str
            One of `TOOLS`.
        """
        painting = self._desk.canvas.painting
        if name == FILL:
            self.filling.end() if self.filling.waiting else self.filling.begin()
        elif (layer := layer_to_paint(self._desk)) is not None:
            layer.mode = {known: mode for known, mode, _ in TOOLS}[name]
            if name == "eraser":
                painting.choose(0)
        self.refresh()

    def refresh(self) -> None:
        """Show which tool is in use."""
        layer = self._desk.canvas.painting.layer
        for name, mode, _ in TOOLS:
            on = self.filling.waiting if name == FILL else layer is not None and layer.mode == mode
            self.buttons[name].setChecked(bool(on))
        self.buttons[FILL].setText("click inside" if self.filling.waiting else FILL)
