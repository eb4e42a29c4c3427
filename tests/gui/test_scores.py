"""Scores round by round and how long a comparison takes, without a viewer."""

import inspect
from dataclasses import replace

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from napari_sslseg.comparing import compare_project
from napari_sslseg.contents import Round
from napari_sslseg.gui.compare_row import TRAININGS, takes
from napari_sslseg.gui.score_plot import LINE, WORSE, ScorePlot

GOOD = Round(1, "1", 0.8, {}, 9, False, 9, steps=100, seconds=30.0, finished=True, interval=(0.7, 0.9))
BAD = replace(GOOD, number=2, score=0.5, interval=(0.4, 0.6))


def test_rounds_are_drawn_with_their_intervals_and_a_worse_one_in_red(qapp: QApplication) -> None:
    plot = ScorePlot()
    plot.resize(200, 72)
    plot.set_rounds([GOOD])
    assert plot.isHidden()
    plot.set_rounds([GOOD, BAD])
    (good, top, bottom), (bad, below, lowest) = plot.places()
    assert 0 < top < good.y() < bottom < below < bad.y() < lowest < 72
    assert plot.accessibleDescription() == "round 1: 0.80, 0.70 to 0.90; round 2: 0.50, 0.40 to 0.60"
    picture = plot.grab().toImage()
    drawn = [picture.pixelColor(round(dot.x()), round(dot.y())).name() for dot in (good, bad)]
    assert drawn == [LINE, WORSE]
    plot.set_rounds([GOOD, replace(BAD, kept_apart="boxes")])  # hollow: it cannot be compared
    picture = plot.grab().toImage()
    drawn = [picture.pixelColor(round(dot.x()), round(dot.y())).name() for dot, *_ in plot.places()]
    assert drawn[0] not in (LINE, WORSE)
    assert drawn[1] == LINE
    plot.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    plot.close()


def test_it_is_said_how_long_a_comparison_takes() -> None:
    assert 2 * inspect.signature(compare_project).parameters["trials"].default == TRAININGS
    assert takes(1.0, None, ()) == "about 4 min"
    assert takes(60.0, None, ()) == "about 4.0 h"
    assert takes(1.0, 50, ()) == "4 trainings"
    assert takes(1.0, 1000, (GOOD,)) == "about 20 min"
