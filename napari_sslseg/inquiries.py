"""Commands about projects: info, use, remove, mark, suggest, compare; and about files: score, split, measure."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from napari_sslseg.counting import count
from napari_sslseg.job import run
from napari_sslseg.listen import emit, measured, say, scored, show, show_files
from napari_sslseg.options import Common, Learning, Machine
from napari_sslseg.regions import Region
from napari_sslseg.settings import FinetuneConfig

DONE, STOPPED = 0, 130


def score(
    predictions: Path,
    /,
    *,
    truth: Path,
    task: Literal["semantic", "instance"] = "semantic",
    distances: bool = False,
    json: bool = False,
) -> int:
    """Compare predictions with true labels; where the truth is 0 nothing is counted.

    Parameters
    ----------
    predictions : Path
        A label file, or a folder of them.
    truth : Path
        True labels of the same names.
    task : str
        Whether values are classes or, from 2 on, objects.
    distances : bool
        Measure how far outlines lie apart as well (Hausdorff distance, 95 %), in the unit of the true labels' files.
    json : bool
        Write one JSON object.
    """
    from napari_sslseg.evaluating import evaluate

    report = run(evaluate(predictions, truth, task, distances=distances))
    if json:
        emit(asdict(report))
        return DONE
    for value, iou in report.iou.items():
        far = ""
        if value in report.hausdorff:
            far = f", outlines {f'{report.hausdorff[value]:.3g} {report.unit}'.rstrip()} apart (95 %)"
        say(f"class {value}: IoU {iou:.3f}, Dice {report.dice[value]:.3f}{far}")
    say(f"mean of {count(report.files, 'file')}: IoU {report.mean_iou:.3f}, Dice {report.mean_dice:.3f}")
    if p := report.precision:
        said = f"objects: AP {p.mean:.3f}, AP50 {p.at_50:.3f}, panoptic quality {p.quality:.3f}"
        say(f"{said} ({p.predicted} predicted, {p.true} true)")
    return DONE


def info(project: Path, /, *, json: bool = False) -> int:
    """Say what a project holds.

    Parameters
    ----------
    project : Path
        Project folder.
    json : bool
        Write one JSON object.
    """
    from napari_sslseg import looks, workflow
    from napari_sslseg.project import Project

    opened = Project.open(project)
    labelled, probe = opened.labelled(), workflow.probe_history(opened)
    if json:
        images = [asdict(e) for e in opened.images]
        classes, rounds = [c.to_dict() for c in opened.classes], [asdict(r) for r in opened.rounds]
        pretrained = str(opened.pretrained) if opened.pretrained else None
        said: dict[str, Any] = {"task": opened.task, "classes": classes, "images": images, "labelled": labelled}
        number = opened.current_round.number if opened.current_round else None
        regions = {e.id: [r.to_dict() for r in opened.regions(e.id)] for e in opened.images}
        marked = {id: found for id, found in regions.items() if found}
        said |= {"taken_out": [e.id for e in opened.left], "regions": marked, "pretrained": pretrained}
        emit({**said, "probe": probe, "rounds": rounds, "used": number})
        return DONE
    say(f"{opened.name}: {opened.task}, {count(len(opened.images), 'image')}, {len(labelled)} labelled")
    for e in opened.images:
        size = " x ".join(map(str, e.shape))
        say(f"  {e.id}: {size}, {count(e.channels, 'channel')}, {e.source}" + (", labelled" * (e.id in labelled)))
        for region in opened.regions(e.id):
            say(f"    box {_marked(region)}")
    for e in opened.left:
        say(f"  {e.id}: taken out; its labels are kept")
    say("  classes: " + ", ".join(f"{c.value} {c.name}" for c in opened.classes))
    say(f"  pretrained: {opened.pretrained or 'no'}")
    if probe:
        say(f"    {looks.told(probe)}")
    for r in opened.rounds:
        early = "" if r.finished else ", stopped early"
        known = scored(r)
        used = ", in use" if r is opened.current_round and r is not opened.rounds[-1] else ""
        say(f"  round {r.number}: {known}, {r.pixels} labelled pixels, {r.steps} steps{early}{used}")
        if more := measured(r.measures, opened.images[0].unit):
            say(f"    {more}")
    return DONE


def remove(project: Path, /, *images: str) -> int:
    """Take images out of a project; their files and labels stay, and come back when the same file is added again.

    Parameters
    ----------
    project : Path
        Project folder.
    images : str
        Ids of the images, as `info` lists them.
    """
    from napari_sslseg.errors import ProjectError
    from napari_sslseg.project import Project

    opened = Project.open(project)
    if not images:
        raise ProjectError("No image was named", "Name those to take out", f"napari-sslseg info {project} lists them")
    for id in dict.fromkeys([opened.entry(id).id for id in images]):  # none is taken out if one is unknown
        opened.take_out(id)
        say(f"{id} is out of {opened.name}; its labels are kept")
    return DONE


def use(project: Path, /, *, round: int) -> int:
    """Predict with an earlier round of training from now on, until there is a newer one.

    Parameters
    ----------
    project : Path
        Project folder.
    round : int
        Its number; `info` lists them.
    """
    from napari_sslseg.project import Project

    opened = Project.open(project)
    opened.use_round(round)
    say(f"{opened.name} predicts with round {round} now")
    return DONE


def mark(
    project: Path,
    /,
    *,
    image: str,
    box: str | None = None,
    validation: bool = False,
    complete: bool = False,
    clear: bool = False,
) -> int:
    """Mark a box of an image: to check masks on, or as labelled completely.

    Parameters
    ----------
    project : Path
        Project folder.
    image : str
        Id of the image; `info` lists them.
    box : str
        The box in pixels, ends not included: y0:y1,x0:x1, or z0:z1,y0:y1,x0:x1 in a stack. Of the same box marked
        before, the new mark counts.
    validation : bool
        What is painted in it is never learnt from; the score is taken there.
    complete : bool
        All of it is labelled: what nobody painted is background.
    clear : bool
        Forget the boxes marked before.
    """
    from napari_sslseg.project import Project
    from napari_sslseg.regions import parse

    opened = Project.open(project)
    entry, kept = opened.entry(image), () if clear else opened.regions(image)
    if box is not None:
        planes = entry.shape[0] if len(entry.shape) == 3 else 1
        new = replace(parse(box, planes), validation=validation, complete=complete)
        kept = (*(r for r in kept if str(r) != str(new)), new)
    opened.set_regions(image, kept)
    say(f"{image}: {count(len(kept), 'box', 'boxes')}" + "".join(f"\n  {_marked(r)}" for r in kept))
    return DONE


def suggest(
    project: Path,
    /,
    *,
    number: int = 8,
    size: int | None = None,
    machine: Machine = Machine(),
) -> int:
    """Say where to paint next: what the masks are unsure of, or, before training, what is typical of the images.

    Parameters
    ----------
    project : Path
        Project folder.
    number : int
        How many parts of images.
    size : int
        Their side in pixels; if not given, a quarter of the shorter side of a plane, 64 to 256.
    """
    from napari_sslseg import next_strokes
    from napari_sslseg.project import Project

    opened = Project.open(project)
    found, stopped = show(
        "Suggesting",
        lambda stop: next_strokes.suggest(opened, count=number, size=size, runtime=machine.runtime(), stop=stop),
        machine.events,
    )
    for rank, s in enumerate(found, 1):
        if machine.events == "json":
            emit({"event": "suggestion", "rank": rank, **asdict(s), "box": s.box._asdict()})
        else:
            what = f"unsure ({s.score:.2f}; 0 is sure, 1 a guess)"
            if s.kind is None:
                what = f"stands for {s.score:.0%} of the images"
            rows, columns = f"{s.box.top}:{s.box.bottom}", f"{s.box.left}:{s.box.right}"
            say(f"{rank}. {s.image}, plane {s.z}, rows {rows}, columns {columns}: {what}")
    if not found and machine.events != "json":
        say("Nothing to suggest: stopped, or everything is painted.")
    return STOPPED if stopped else DONE


def split(
    masks: list[Path], /, *, value: int, out: Path, neck: float | None = None, machine: Machine = Machine()
) -> int:
    """Make objects of one class of masks, by cutting it where it is narrow; needs no network.

    Parameters
    ----------
    masks : list of Path
        Label files and folders.
    value : int
        The class.
    out : Path
        Folder to write to: 1 background, 2.. objects.
    neck : float
        How narrow: 0 cuts nowhere, nearly 1 everywhere; if not given, what suits round objects.
    """
    from napari_sslseg.splitting import NECK, split_files

    stopped = show_files(
        "Splitting",
        lambda stop: split_files(masks, value, out, NECK if neck is None else neck, stop=stop),
        out,
        machine.events,
        network=False,
    )
    return STOPPED if stopped else DONE


def measure(
    masks: list[Path],
    /,
    *,
    out: Path,
    images: Annotated[list[Path] | None, Parameter(consume_multiple=True)] = None,
    task: Literal["semantic", "instance"] = "semantic",
    machine: Machine = Machine(),
) -> int:
    """Write a table of the objects in masks: sizes, places, and with --images how bright they are.

    Parameters
    ----------
    masks : list of Path
        Label files and folders: 1 background, 2.. classes, whose connected parts are objects, or objects.
    out : Path
        The CSV file to write.
    images : list of Path
        Image files and folders, of the same names as the masks.
    task : str
        Whether values are classes or objects.
    """
    from napari_sslseg.measuring import measure_files

    found, stopped = show(
        "Measuring",
        lambda stop: measure_files(masks, out, images or (), task, stop=stop),
        machine.events,
        network=False,
    )
    if machine.events == "json":
        emit({"event": "result", "objects": found, "table": str(out), "stopped": stopped})
    elif not stopped:
        say(f"{count(found, 'object')}: {out}")
    return STOPPED if stopped else DONE


def compare(
    project: Path,
    /,
    *,
    trials: int = 2,
    learning: Learning = Learning(),
    common: Common = Common(),
) -> int:
    """Train with and without what was pretrained, on the same labels, and say which is better and how surely.

    Parameters
    ----------
    project : Path
        A pretrained project with labels; it is not changed.
    trials : int
        Trainings each way, each as long as --minutes or --steps say.
    """
    from napari_sslseg import comparing
    from napari_sslseg.project import Project

    config, opened = common.config(FinetuneConfig, **asdict(learning)), Project.open(project)
    result, stopped = show(
        "Comparing",
        lambda stop: comparing.compare_project(opened, config, trials=trials, runtime=common.runtime(), stop=stop),
        common.events,
    )
    if common.events == "json":
        emit({"event": "result", **result.to_dict(), "stopped": stopped})
    else:
        say(result.text())
    return STOPPED if stopped else DONE


def _marked(region: Region) -> str:
    what = [name for name, said in (("validation", region.validation), ("complete", region.complete)) if said]
    return f"{region} {', '.join(what)}"
