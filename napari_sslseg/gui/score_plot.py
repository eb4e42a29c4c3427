"""ScorePlot: the score of each round as a dot, with the interval in which it lies."""

from collections.abc import Sequence

from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_sslseg.contents import Round
from napari_sslseg.gui.area import LabelFont
from napari_sslseg.verdict import better

SPAN = 0.1  # of scores, at least: smaller differences do not look large
BESIDE = 8  # px from a dot to its number
LINE, WORSE = "#2385d6", "#d94a4c"  # are seen on dark and on light


class ScorePlot(QWidget):
    """Dots and intervals, a round each; hollow where the score cannot be compared with the latest one."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rounds: tuple[Round, ...] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Scores of the rounds")
        LabelFont(self)
        self.hide()

    def sizeHint(self) -> QSize:
        """Return the size it wants.

        Returns
        -------
        QSize
            The size.
        """
        return QSize(160, self._line + 56)

    @property
    def _line(self) -> int:
        return self.fontMetrics().height()

    def set_rounds(self, rounds: Sequence[Round]) -> None:
        """Draw rounds; those without a score are left out, and of a single one nothing is drawn.

        Parameters
        ----------
        rounds : sequence of Round
            Oldest first.
        """
        self._rounds = tuple(r for r in rounds if r.score is not None)
        self.setToolTip(
            "Score of each round, and between which values it lies (95 %): where lines overlap much, rounds may be "
            "equally good.\nHollow: another part was kept apart, so it cannot be compared. Red: worse than one before"
        )
        self.setAccessibleDescription("; ".join(map(say, self._rounds)))
        self.setVisible(len(self._rounds) > 1)
        self.update()

    def places(self) -> list[tuple[QPointF, float, float]]:
        """Say where things are drawn.

        Returns
        -------
        list of (QPointF, float, float)
            Of each round the dot, and top and bottom of its line.
        """
        box = QRectF(self.rect()).adjusted(10, max(8, self._line / 2), -10, -self._line - 4)
        values = [(r.score or 0.0, *(r.interval or (r.score or 0.0,))) for r in self._rounds]
        low, high = min(map(min, values)), max(map(max, values))
        pad = max(0.0, SPAN - (high - low)) / 2
        low, high = low - pad, high + pad

        def y(score: float) -> float:
            return float(box.bottom() - (score - low) / (high - low) * box.height())

        wide = box.width() / len(self._rounds)
        return [
            (QPointF(box.left() + (k + 0.5) * wide, y(score)), y(max((score, *line))), y(min((score, *line))))
            for k, (score, *line) in enumerate(values)
        ]

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the rounds.

        Parameters
        ----------
        event : QPaintEvent
            The event.
        """
        if not self._rounds:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        text = self.palette().color(self.foregroundRole())
        faint = QColor(text)
        faint.setAlpha(28)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(faint)
        painter.drawRoundedRect(QRectF(self.rect()), 3, 3)
        text.setAlpha(190)
        worse, line, centre = better(self._rounds) is not None, self._line, Qt.AlignmentFlag.AlignCenter
        room = self.width() / len(self._rounds)
        wide, narrow = (self.fontMetrics().horizontalAdvance(t) for t in (f"  {_named(self._rounds[-1])}", "0.00"))
        for round, (dot, top, bottom) in zip(self._rounds, self.places(), strict=True):
            colour = QColor(WORSE if worse and round is self._rounds[-1] else LINE)
            painter.setPen(QPen(colour, 1.6))
            for a, b in (((0, top), (0, bottom)), ((-4, top), (4, top)), ((-4, bottom), (4, bottom))):
                painter.drawLine(QPointF(dot.x() + a[0], a[1]), QPointF(dot.x() + b[0], b[1]))
            same = round.kept_apart == self._rounds[-1].kept_apart
            painter.setBrush(colour if same else self.palette().color(self.backgroundRole()))
            painter.drawEllipse(dot, 3.5, 3.5)
            painter.setPen(text)
            if room > narrow + BESIDE:  # else one would lie on the next: what is written beneath the plot says them too
                left = min(dot.x() + BESIDE, self.width() - narrow - 1)
                painter.drawText(QRectF(left, dot.y() - line / 2, narrow, line), centre, f"{round.score:.2f}")
            below = QRectF(dot.x() - wide / 2, self.height() - line - 2, wide, line)
            painter.drawText(below, centre, _named(round) if room > wide else str(round.number))
        painter.end()


def _named(round: Round) -> str:
    return f"round {round.number}"


def say(round: Round) -> str:
    """Say the score of a round.

    Parameters
    ----------
    round : Round
        The round.

    Returns
    -------
    str
        Such as ``round 2: 0.72, 0.65 to 0.79``.
    """
    between = ", {:.2f} to {:.2f}".format(*round.interval) if round.interval else ""
    return f"round {round.number}: {round.score:.2f}{between}"
