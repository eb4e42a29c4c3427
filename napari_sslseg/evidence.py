"""Evidence: what a score rests on, stroke by stroke or object by object, and how sure it therefore is (bootstrap)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

REPEATS = 1000
IMAGINED = 0.25  # how much one more stroke of each class counts beside each that was seen; docs/benchmarks.md
MIDDLE = (2.5, 97.5)  # per cent


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a score rests on; it tells what the score had been, had other strokes or objects been kept apart.

    Strokes are drawn anew within their class, with replacement (Efron 1979); the pixels of one are too alike to count
    for themselves. An interval is wider than what drawing those that are there gives, which few make too narrow.

    Parameters
    ----------
    cells : numpy.ndarray
        (N, 4) of strokes: stroke, true class, class found, and how many pixels. Of objects, (N, 1): overlap of each.
    """

    cells: npt.NDArray[Any]

    @classmethod
    def of_strokes(
        cls, prediction: npt.NDArray[Any], truth: npt.NDArray[Any], owners: npt.NDArray[np.integer[Any]]
    ) -> Self:
        """Count the pixels of each stroke.

        Parameters
        ----------
        prediction, truth : numpy.ndarray
            (N,) classes from 1 of single pixels.
        owners : numpy.ndarray
            (N,) number of each pixel's stroke.

        Returns
        -------
        Evidence
            For a mean of IoU over the classes.
        """
        classes = int(max(truth.max(initial=0), prediction.max(initial=0))) + 1
        each = (owners.astype(np.int64) * classes + truth) * classes + prediction  # one number sorts faster than three
        found, count = np.unique(each, return_counts=True)
        return cls(np.column_stack([found // classes**2, found // classes % classes, found % classes, count]))

    @classmethod
    def of_objects(cls, overlap: Sequence[float]) -> Self:
        """Take the overlap of each object.

        Parameters
        ----------
        overlap : sequence of float
            0 to 1.

        Returns
        -------
        Evidence
            For their mean.
        """
        return cls(np.array(overlap, float).reshape(-1, 1))

    def __len__(self) -> int:
        return len(np.unique(self.cells[:, 0])) if self.cells.shape[1] > 1 else len(self.cells)

    @property
    def alone(self) -> bool:
        """Whether there is a single object, or a class with a single stroke, which says nothing about others."""
        return min((len(g) for g in self._groups()), default=0) < 2

    def draw(self, rng: np.random.Generator, repeats: int = REPEATS) -> npt.NDArray[np.float64]:
        """Draw strokes or objects with replacement.

        Parameters
        ----------
        rng : numpy.random.Generator
            Random numbers.
        repeats : int, optional
            How often.

        Returns
        -------
        numpy.ndarray
            (repeats, strokes) how many times each was drawn.
        """
        groups = self._groups()
        times = np.zeros((repeats, sum(map(len, groups))))
        for group in groups:
            times[:, group] = rng.multinomial(len(group), np.full(len(group), 1 / len(group)), repeats)
        return times

    def scores(self, times: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Score what was drawn.

        Parameters
        ----------
        times : numpy.ndarray
            As `draw` returns it, of this evidence or of another about the same strokes.

        Returns
        -------
        numpy.ndarray
            (repeats,) mean IoU over the classes, or mean overlap.
        """
        if self.cells.shape[1] == 1:
            overlap: npt.NDArray[np.float64] = times @ self.cells[:, 0] / times.sum(1)
            return overlap
        both, true, found = (times @ part for part in self._parts())
        union = true + found - both
        iou = np.divide(both, union, out=np.full_like(both, np.nan), where=union > 0)
        mean: npt.NDArray[np.float64] = np.nanmean(iou, 1)
        return mean

    def interval(self) -> tuple[float, float] | None:
        """Say between which values the score lies.

        One more stroke of each class, or object, is among those that are drawn, a quarter as often as the others: a
        missed one for the lower end and one that is right for the upper, as in a rule of succession. So a few that are
        all right do not make it sure that others are.

        Returns
        -------
        tuple of float, optional
            The middle 95 %, 0 to 1; None if that cannot be told.
        """
        if self.alone:
            return None
        low, high = (self._end(right, at) for right, at in zip((False, True), MIDDLE, strict=True))
        return low, high

    def _end(self, right: bool, at: float) -> float:
        """A percentile of the scores where one more stroke of each class, right or missed, may be among the drawn."""
        more = self._with_one_more(right)
        groups, rng = more._groups(), np.random.default_rng(0)
        times = np.zeros((REPEATS, sum(map(len, groups))))
        for group in groups:  # the imagined one is the last
            chances = np.append(np.ones(len(group) - 1), IMAGINED)
            times[:, group] = rng.multinomial(len(group) - 1, chances / chances.sum(), REPEATS)
        return float(np.percentile(more.scores(times), at))

    def _with_one_more(self, right: bool) -> Self:
        """These and one more stroke of each class, as long as the others, or one more object; right or missed."""
        if self.cells.shape[1] == 1:
            return type(self)(np.append(self.cells, [[float(right)]], 0))
        true = self._parts()[1]
        values = np.union1d(*self.cells[:, 1:3].T)
        rows = []
        for number, group in enumerate(self._groups(), int(self.cells[:, 0].max()) + 1):
            value = values[true[group[0]].argmax()]
            others = values[values != value] if len(values) > 1 else values + 1  # there is another one, only not here
            found = [value] if right else others
            rows += [(number, value, v, true[group].sum(1).mean() / len(found)) for v in found]
        return type(self)(np.append(self.cells, rows, 0))

    def _parts(self) -> npt.NDArray[np.float64]:
        """(3, strokes, classes) pixels that are rightly of a class, truly, and as found."""
        (strokes, truth, found), count = self.cells[:, :3].T, self.cells[:, 3]
        number = np.unique(strokes, return_inverse=True)[1].reshape(-1)
        values = np.union1d(truth, found)
        parts = np.zeros((3, int(number.max(initial=-1)) + 1, len(values)))
        for part, classes, pixels in (
            (parts[0], truth, count * (truth == found)),
            (parts[1], truth, count),
            (parts[2], found, count),
        ):
            np.add.at(part, (number, np.searchsorted(values, classes)), pixels)
        return parts

    def _groups(self) -> list[npt.NDArray[np.intp]]:
        """Which are drawn from together: all objects, or the strokes of a class."""
        if self.cells.shape[1] == 1:
            return [np.arange(len(self.cells))]
        kinds = self._parts()[1].argmax(1) if len(self.cells) else np.zeros(0, np.intp)
        return [np.flatnonzero(kinds == kind) for kind in np.unique(kinds)]

    def to_list(self) -> list[list[float]]:
        """Return plain values for JSON.

        Returns
        -------
        list of list of float
            The rows of `cells`.
        """
        found: list[list[float]] = self.cells.tolist()
        return found

    @classmethod
    def from_list(cls, said: Sequence[Sequence[float]]) -> Self:
        """Take it from stored values.

        Parameters
        ----------
        said : sequence of sequence of float
            What `to_list` returned.

        Returns
        -------
        Evidence
            The same again.
        """
        cells = np.array(said)
        return cls(cells if cells.shape[1] == 1 else cells.astype(np.int64))


@dataclass(frozen=True)
class Difference:
    """How much better one way of training is than another.

    Parameters
    ----------
    mean : float
        Difference of the scores.
    interval : tuple of float
        Between which values it lies (95 %).
    sure : float
        How probable it is that the difference has the sign of its mean, 0.5 to 1.
    """

    mean: float
    interval: tuple[float, float]
    sure: float


def difference(these: Sequence[Evidence], those: Sequence[Evidence], repeats: int = REPEATS) -> Difference | None:
    """Compare two ways of training, each tried a few times, on the same strokes kept apart.

    The same strokes are drawn for both, and any of the trials of each, so that both what was painted and the chance in
    training count.

    Parameters
    ----------
    these, those : sequence of Evidence
        One a trial, all about the same strokes.
    repeats : int, optional
        How often strokes and trials are drawn.

    Returns
    -------
    Difference, optional
        Of `these` less `those`; None if it cannot be told how sure it is.
    """
    if any(e.alone for e in (*these, *those)):
        return None
    rng = np.random.default_rng(0)
    drawn = these[0].draw(rng, repeats)
    rows = np.arange(repeats)

    def mean(trials: Sequence[Evidence]) -> npt.NDArray[np.float64]:
        scores = np.stack([e.scores(drawn) for e in trials])
        chosen = rng.integers(len(trials), size=(len(trials), repeats))
        found: npt.NDArray[np.float64] = scores[chosen, rows].mean(0)
        return found

    each = mean(these) - mean(those)
    everything = np.ones((1, drawn.shape[1]))
    plain = np.mean([e.scores(everything)[0] for e in these]) - np.mean([e.scores(everything)[0] for e in those])
    low, high = np.percentile(each, MIDDLE)
    above = float(np.mean(each > 0) + np.mean(each == 0) / 2)
    return Difference(float(plain), (float(low), float(high)), above if plain >= 0 else 1 - above)


def stored(history: Mapping[str, Any]) -> Evidence | None:
    """Read what the score of a training rests on.

    Parameters
    ----------
    history : mapping
        History of a trained checkpoint.

    Returns
    -------
    Evidence, optional
        None if there was no score.
    """
    said = history.get("evidence")
    return Evidence.from_list(said) if said else None
