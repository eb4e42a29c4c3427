"""Comparison: train with and without pretraining on the same labels, and say which is better and how surely."""

from dataclasses import asdict, dataclass, replace
from typing import Any

from napari_sslseg.errors import LabelError, ProjectError, StoppedError
from napari_sslseg.evidence import Difference, Evidence, difference, stored
from napari_sslseg.job import Job, Progress, Stop, share
from napari_sslseg.project import Project
from napari_sslseg.settings import FinetuneConfig, RuntimeConfig
from napari_sslseg.workflow import began_with, material

SURE = 0.95


@dataclass(frozen=True)
class Comparison:
    """What came of it.

    Parameters
    ----------
    with_ssl, without_ssl : tuple of float
        The score of each trial.
    held_out : int
        How many strokes, or pieces of validation boxes, they rest on.
    difference : Difference, optional
        Of the scores with pretraining less those without; None if it cannot be told how sure it is.
    used : bool
        Whether training began with what was pretrained at all; it does not where strokes do not speak for it, and then
        there is nothing to compare.
    """

    with_ssl: tuple[float, ...]
    without_ssl: tuple[float, ...]
    held_out: int
    difference: Difference | None
    used: bool = True

    def text(self) -> str:
        """Say it in a sentence or two.

        Returns
        -------
        str
            Which is better, by how much, how sure.
        """
        if not self.used:
            return "On your strokes, pretraining helps by no more than chance, if at all: training does without it."
        ours, other = (sum(s) / len(s) for s in (self.with_ssl, self.without_ssl))
        scores = f"score with pretraining {ours:.3f}, without {other:.3f} (1 is best; {self.held_out} kept apart"
        scores += f", {len(self.with_ssl)} trainings each)" if len(self.with_ssl) > 1 else ")"
        if self.difference is None:
            return f"{scores}: too little is kept apart to say how sure that is. Paint more strokes of each class."
        low, high = self.difference.interval
        known = f"{scores}; difference {self.difference.mean:+.3f}, {low:+.3f} to {high:+.3f}"
        if self.difference.sure < SURE:
            return f"No difference beyond chance: {known}."
        better = "better" if self.difference.mean > 0 else "worse"
        return f"Pretraining makes it {better} ({self.difference.sure:.0%} sure): {known}."

    def plain(self) -> str:
        """Say it in one short sentence without words of the field.

        Returns
        -------
        str
            Such as ``Learning from your images first helped: score +0.04 (+0.01 to +0.07)``.
        """
        if not self.used:
            return "For your strokes, learning helped by no more than chance, if at all: training does without it"
        if self.difference is None:
            return "Too few strokes are kept apart to tell whether learning helped: paint more of each class"
        (low, high), digits = self.difference.interval, 2 if abs(self.difference.mean) >= 0.01 else 3
        known = f"score {self.difference.mean:+.{digits}f} ({low:+.{digits}f} to {high:+.{digits}f})"
        if self.difference.sure < SURE:
            return f"Learning from your images made no difference that can be told: {known}"
        helped = "helped" if self.difference.mean > 0 else "made it worse"
        return f"Learning from your images first {helped}: {known}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON.

        Returns
        -------
        dict
            All of it, and ``text``.
        """
        return {**asdict(self), "text": self.text()}


def compare_project(
    project: Project,
    config: FinetuneConfig,
    *,
    trials: int = 2,
    runtime: RuntimeConfig | None = None,
    stop: Stop | None = None,
) -> Job[Comparison]:
    """Train on all labels of a project so far, with and without its pretrained encoder; the project is not changed.

    Strokes kept apart are the same in all trainings, and each pair of them has a seed of its own.

    Parameters
    ----------
    project : Project
        A pretrained project with labels.
    config : FinetuneConfig
        Length, rates, losses.
    trials : int, optional
        Trainings each way; their spread is part of how sure the result is.
    runtime : RuntimeConfig, optional
        Device and seed.
    stop : Stop, optional
        To end early; pairs of trainings that are done count.

    Yields
    ------
    Event
        Progress.

    Returns
    -------
    Comparison
        What came of it.

    Raises
    ------
    ProjectError
        If the project is not pretrained.
    StoppedError
        If it was stopped before the first pair.
    LabelError
        If nothing can be kept apart to compare on.
    """
    runtime, stop = runtime or RuntimeConfig(), stop or Stop()
    if project.pretrained is None:
        raise ProjectError(
            f"{project.name} has not been pretrained", "There is nothing to compare", "Pretrain it first"
        )
    from napari_sslseg.finetuning import finetune

    start, (pairs, others) = str(project.pretrained), material(project)
    found: dict[bool, list[Evidence]] = {True: [], False: []}
    scores: dict[bool, list[float]] = {True: [], False: []}
    held_out, used, total = 0, True, 2 * trials
    for k in range(total):
        ssl, own = k % 2 == 0, replace(runtime, seed=runtime.seed + k // 2)
        job = finetune(pairs, config, start=start if ssl else None, unlabelled=others, runtime=own, stop=stop)
        text = f"training {k + 1} of {total}, {'with' if ssl else 'without'} learning from the images"
        try:
            trained = yield from share(job, k / total, (k + 1) / total, text)
        except StoppedError:
            break
        evidence = stored(trained.history)
        if stop.requested and not trained.history["finished"]:
            break
        if evidence is None:
            raise LabelError(
                "Too few strokes are painted to keep some of them apart",
                "At least four separate strokes of a class are needed, or a validation box",
                "Paint more strokes of each class",
            )
        held_out = len(evidence)
        if ssl and not began_with(trained, start):
            used = False
            break
        found[ssl].append(evidence)
        scores[ssl].append(trained.history["score"])
    done = min(map(len, found.values()))
    if used and not done:
        raise StoppedError("Comparing was stopped before the first pair of trainings", "There is nothing to compare")
    told = difference(found[True][:done], found[False][:done]) if used else None
    yield Progress(1.0, "done", 0.0)
    return Comparison(tuple(scores[True][:done]), tuple(scores[False][:done]), held_out, told, used)
