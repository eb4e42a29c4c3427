"""The themes of napari: in the dark one and in the light one, texts can be read, and lights and lines be seen."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.settings import get_settings
from qtpy.QtCore import QPoint, QRect
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QAbstractButton, QAbstractSpinBox, QApplication, QComboBox, QLabel, QLineEdit, QWidget

from napari_sslseg.gui import bubble, class_rows, curve, light, score_plot, style
from napari_sslseg.gui.desk import Desk
from napari_sslseg.gui.dock import Dock
from napari_sslseg.stages import Stage

READ, SEEN = 4.5, 3.0  # least contrast of texts, and of all else, by the Web Content Accessibility Guidelines
TEXTS = (QAbstractButton, QLabel, QComboBox, QLineEdit, QAbstractSpinBox)


@pytest.fixture(params=["light", "dark"])
def themed(request: Any, make_napari_viewer: Any, nothing_left: None, jobs: Any, answers: Any, tmp_path: Path) -> Dock:
    """The dock in a theme, with an image to paint on and all that can be set unfolded."""
    viewer = make_napari_viewer(show=True)
    viewer.theme = request.param
    dock = Dock(viewer, Desk(viewer, jobs, answering=answers))
    dock.desk.home = tmp_path
    viewer.window.add_dock_widget(dock, name="SSL Segmentation")
    viewer.add_image(np.random.default_rng(0).random((64, 64)), name="field")
    dock.paint.panel.button.click()
    dock.learn.advanced.click()
    QApplication.processEvents()
    return dock


def drawn(widget: QWidget, on: QWidget) -> np.ndarray:
    """Pixels of a widget, (height, width, 3), as it is drawn on one that it lies in."""
    image = on.grab(QRect(widget.mapTo(on, QPoint()), widget.size())).toImage()
    found = [[image.pixelColor(x, y).getRgb()[:3] for x in range(image.width())] for y in range(image.height())]
    return np.array(found, np.uint8)


def background(pixels: np.ndarray) -> tuple[int, ...]:
    """The most frequent colour."""
    return Counter(map(tuple, pixels.reshape(-1, 3).tolist())).most_common(1)[0][0]


def luminance(colours: Any) -> Any:
    """How light colours are, 0 to 1."""
    share = np.asarray(colours) / 255
    return np.where(share <= 0.03928, share / 12.92, ((share + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]


def contrast(colours: Any, other: Any) -> float:
    """The greatest contrast of some colours to another one, 1 to 21."""
    a, b = luminance(colours), luminance(other)
    return float(np.max((np.maximum(a, b) + 0.05) / (np.minimum(a, b) + 0.05)))


def test_contrast_is_that_of_the_guidelines() -> None:
    assert contrast([[0, 0, 0]], (255, 255, 255)) == pytest.approx(21)
    assert contrast([[119, 119, 119]], (255, 255, 255)) == pytest.approx(4.48, abs=0.01)


def test_every_text_of_the_dock_can_be_read(themed: Dock) -> None:
    said = 0
    for name, panel in themed.panels.items():
        for widget in (w for w in panel.findChildren(QWidget) if isinstance(w, TEXTS)):
            text = widget.currentText() if isinstance(widget, QComboBox) else widget.text()
            if widget.isVisible() and widget.isEnabled() and text:
                said += 1
                pixels = drawn(widget, panel)
                assert contrast(pixels, background(pixels)) >= READ, (name, text)
    assert said > 40


def test_lights_are_seen_in_every_stage(themed: Dock) -> None:
    panel = themed.learn.panel
    behind = background(drawn(panel.title, panel))
    for stage in Stage:
        panel.light.set_stage(stage, "")
        assert contrast(drawn(panel.light, panel), behind) >= SEEN, stage


def test_lines_of_plots_and_the_frame_of_the_keyboard_are_seen(themed: Dock) -> None:
    panel = themed.learn.panel
    behind = background(drawn(panel.title, panel))
    for colour in (curve.LINE, score_plot.LINE, score_plot.WORSE, style.COLOUR, *light.COLOURS.values()):
        assert contrast([QColor(colour).getRgb()[:3]], behind) >= SEEN, colour


def test_texts_of_the_tour_can_be_read(themed: Dock) -> None:
    assert contrast([QColor("white").getRgb()[:3]], QColor(bubble.COLOUR).getRgb()[:3]) >= READ
    themed.header.help.click()
    for widget in (themed.bubble.text, themed.bubble.where, themed.bubble.next):
        pixels = drawn(widget, themed.bubble)
        assert contrast(pixels, background(pixels)) >= READ, widget.text()


def test_all_texts_of_the_dock_follow_the_size_that_is_set(themed: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    themed.train.advanced.click()
    appearance = get_settings().appearance
    monkeypatch.setattr(appearance, "font_size", 2 * appearance.font_size)
    QApplication.processEvents()
    fields = [f[name].native for f in (themed.learn.form, themed.train.form) for name in ("start", "rate")]
    plots = (themed.learn.curve, themed.learn.probe, themed.train.plot)
    wanted = themed.learn.panel.message.font().pointSize()
    for widget in (*fields, *plots):
        widget.show()
        assert widget.font().pointSize() == wanted, widget.accessibleName()


def test_a_key_and_the_pixels_of_a_class_are_not_read_as_one_number(themed: Dock) -> None:
    table = themed.paint.table
    letter = table.fontMetrics().horizontalAdvance("M")
    assert table.columnWidth(class_rows.PIXELS) >= letter + table.fontMetrics().horizontalAdvance(
        table.item(0, 3).text()
    )
