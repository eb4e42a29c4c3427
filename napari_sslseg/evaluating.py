"""Evaluation: score files of predictions against files of true labels."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_sslseg import metrics
from napari_sslseg.errors import LabelError
from napari_sslseg.image import flattened
from napari_sslseg.io import find_files, read_image, read_labels, stem
from napari_sslseg.io.files import by_stem
from napari_sslseg.job import Job, Progress, Stop


@dataclass(frozen=True)
class Report:
    """Scores over all files.

    Parameters
    ----------
    files : int
        How many pairs of files were compared.
    iou, dice : dict of int to float
        By class value, where the truth is not 0.
    mean_iou, mean_dice : float
        Over the classes.
    precision : Precision, optional
        Of objects; only where asked for.
    hausdorff : dict of int to float
        By class value, the mean over the files, of a time series over its frames, of how far outlines lie apart
        (`metrics.hausdorff95`), in the unit of each file of true labels; empty unless asked for.
    unit : str
        That unit; empty where nothing was measured, or where files have several.
    """

    files: int
    iou: dict[int, float]
    dice: dict[int, float]
    mean_iou: float
    mean_dice: float
    precision: metrics.Precision | None
    hausdorff: dict[int, float]
    unit: str = ""


def evaluate(
    predictions: Path, truth: Path, task: str = "semantic", stop: Stop | None = None, *, distances: bool = False
) -> Job[Report]:
    """Compare predictions with true labels of the same file name; where the truth is 0 nothing is counted.

    Objects of a time series are compared in each frame by themselves; it is one if either file says so.

    Parameters
    ----------
    predictions : Path
        A file, or a folder of files.
    truth : Path
        A file, or a folder; every predicted file must be in it.
    task : str, optional
        ``semantic``, or ``instance`` to score objects as well.
    stop : Stop, optional
        To end early with the files compared so far.
    distances : bool, optional
        Whether to measure how far outlines lie apart, which takes longer.

    Yields
    ------
    Event
        Progress.

    Returns
    -------
    Report
        The scores.

    Raises
    ------
    LabelError
        If a prediction has no truth or another shape, or the truth says nothing.
    ImageError
        If two predictions, or two files of true labels, have one name.
    """
    found, true = find_files([predictions]), by_stem(find_files([truth]))
    by_stem(found)  # two predictions of one image cannot both be what is scored
    if len(found) == len(true) == 1 and predictions.is_file() and truth.is_file():
        true = {stem(found[0]): next(iter(true.values()))}
    pairs: list[tuple[Any, Any]] = []
    single: list[tuple[Any, Any]] = []  # frames of time series one by one
    outlined: list[tuple[Any, Any, tuple[float, ...]]] = []
    units: set[str] = set()
    for k, path in enumerate(found):
        if stop is not None and stop.requested:
            break
        if stem(path) not in true:
            names = ", ".join(sorted(true)[:5])
            raise LabelError(
                f"There are no true labels for {path.name}", f"{truth} holds: {names}", "Name both files alike"
            )
        p, t = read_labels(path).astype(np.int64), read_labels(true[stem(path)]).astype(np.int64)
        p = flattened(p, t.shape)
        if p.shape != t.shape:
            raise LabelError(
                f"{path.name} has shape {p.shape} and its truth {t.shape}", "Both must have the same shape"
            )
        pairs.append((np.where(t > 0, p, 0), t))
        if distances or task == "instance":
            about = read_image(true[stem(path)])
            timed = t.ndim == 3 and (about.timed or read_image(path).timed)
            frames = list(zip(*pairs[-1], strict=True)) if timed else pairs[-1:]
            single += frames
        if distances:
            masks = frames if task == "semantic" else [_foreground(*frame) for frame in frames]
            outlined += [(*pair, about.spacing[-pair[1].ndim :]) for pair in masks]
            units.add(about.unit)
        yield Progress((k + 1) / len(found), path.name)
    if pairs and not any(t.any() for _, t in pairs):
        raise LabelError(f"{truth} holds no label but 0, which means unlabelled", "True labels go from 1 on")
    counts = metrics.count([_foreground(*pair) for pair in pairs] if task == "instance" else pairs)
    iou, dice = counts.iou(), counts.dice()
    precision = metrics.average_precision(single) if task == "instance" else None
    hausdorff = metrics.mean_hausdorff95(outlined)
    unit = units.pop() if len(units) == 1 else ""
    return Report(len(pairs), iou, dice, _mean(iou), _mean(dice), precision, hausdorff, unit)


def _foreground(prediction: metrics.Labels, truth: metrics.Labels) -> tuple[metrics.Labels, metrics.Labels]:
    """Objects as one class, 2, beside the background, 1."""
    return np.minimum(prediction, 2).clip(1), np.minimum(truth, 2)


def _mean(scores: dict[int, float]) -> float:
    return float(np.mean(list(scores.values()))) if scores else float("nan")
