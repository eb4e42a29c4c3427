"""What strokes tell that correct accepted masks, beside the mass of labels that the masks have become.

    OMP_NUM_THREADS=1 python benchmarks/accepted.py --bench ../shared/bench --tasks cyto_wbc,em_vnc_sstem --seeds 2
    OMP_NUM_THREADS=1 python benchmarks/accepted.py ... --images 1 --train 60

Training images alone, strokes as `ablation.py` paints them on some of them. The masks of another image are accepted as
labels; then there are four rounds of three strokes in the three largest errors of what is shown. One line of JSON a
task, seed, image and way: mean IoU of that image before and after each round, without the painted pixels, and the share
of these that is shown as it was painted. Ways: ``together``, all labels of an image count as one stroke (as it was);
``turns``, strokes take turns with the accepted labels; ``alone``, the masks are not accepted. ``--starter`` takes
another starter, which saw none of the labels.

That is live mode. With ``--train`` masks are those of a training of so many steps, all strokes are painted in its
errors, and then it trains anew in each way (``turns``: as much is drawn from accepted masks as is painted by hand), and
in two more: ``right`` and ``right together``, with all labels of that image right, accepted where the masks were.
``other`` is the mean IoU of another image.
"""

import argparse
import json
import sys
from pathlib import Path

import ablation
import numpy as np
from ablation import paint, split_training
from guesses import mean_iou
from skimage.measure import label

from napari_sslseg import model, starter
from napari_sslseg import segmenter as segmenters
from napari_sslseg.annotation import Annotation
from napari_sslseg.finetuning import finetune
from napari_sslseg.job import Stop, run
from napari_sslseg.live import Live, Where
from napari_sslseg.overlay import Box
from napari_sslseg.runtime import Runtime
from napari_sslseg.settings import FinetuneConfig, PredictConfig, RuntimeConfig
from napari_sslseg.tile_cache import TileCache

ROUNDS, ERRORS = 4, 3
WAYS = ("alone", "together", "turns")


def tell(engine: Live, where: Where, labels: np.ndarray, strokes: np.ndarray | None) -> None:
    """Say what is painted on a plane."""
    at = np.nonzero(labels)
    engine.paint(where, np.stack(at, 1), labels[at].astype(int) - 1, None if strokes is None else strokes[at])


def errors(shown: np.ndarray, truth: np.ndarray, corrected: np.ndarray) -> list[tuple[np.ndarray, int]]:
    """The largest connected errors, and what they should be."""
    found = []
    for c in np.unique(truth):
        pieces, count = label((shown != truth) & (truth == c) & ~corrected, connectivity=1, return_num=True)
        sizes = np.bincount(pieces.ravel(), minlength=count + 1)
        found += [(sizes[k], pieces == k, int(c)) for k in np.argsort(sizes[1:])[::-1][:ERRORS] + 1]
    return [(mask, c) for _, mask, c in sorted(found, key=lambda e: -e[0])[:ERRORS]]


def correct(fewlabel, engine, images, where, truth, way, rng) -> dict[str, list[float]]:
    """Accept masks and correct them."""
    classes, box = int(truth.max()), Box(0, 0, *truth.shape)

    def look() -> np.ndarray:
        run(engine.learn(images.__getitem__, classes, Stop(), (where, box)))
        return engine.probabilities(images[where.image], where, box).argmax(0) + 1

    shown = look()
    labels = np.zeros_like(shown) if way == "alone" else shown.copy()
    strokes, corrected = np.zeros(truth.shape, int), np.zeros(truth.shape, bool)
    found = {"iou": [mean_iou(shown, truth)], "heard": []}
    length = int(np.clip(min(truth.shape) / 12, 8, 40))
    for _ in range(ROUNDS):
        for mask, c in errors(shown, truth, corrected):
            at = fewlabel.stroke(mask, length, rng)
            labels[at], strokes[at], corrected[at] = c, strokes.max() + 1, True
        tell(engine, where, labels, strokes if way == "turns" else None)
        shown = look()
        found["iou"].append(mean_iou(shown[~corrected], truth[~corrected]))
        found["heard"].append(float((shown == truth)[corrected].mean()))
    return {name: [round(v, 3) for v in values] for name, values in found.items()}


def study(fewlabel, task, seed: int, count: int):
    """One line for each image and way."""
    images, drawn, score_on = paint(fewlabel, task, "few", seed)
    machine = Runtime.make(RuntimeConfig())
    channels, objects = next(iter(images.values())).channels, task.kind == "instance"
    encoder = model.build("starter", "efficientnet_lite0", channels, machine).encoder
    most = 2 if objects else np.iinfo(np.uint16).max
    for n, (id, z) in enumerate(score_on[:count]):
        truth, cache = np.minimum(task.truth(id), most).astype(int), TileCache()
        if truth.ndim == 3:
            z = len(truth) // 2 if z is None else z
            truth = truth[z]
        for way in WAYS:
            engine = Live(encoder, machine, cache=cache)
            for name, labels in drawn.items():
                for k, plane in enumerate(labels if labels.ndim == 3 else labels[None]):
                    tell(engine, Where(str(name), k), np.minimum(plane, most), None)
            rng = np.random.default_rng([seed, n])
            found = correct(fewlabel, engine, images, Where(str(id), z or 0), truth, way, rng)
            yield {"seed": seed, "image": n, "way": way, **found}


def train(images, drawn, task, seed: int, steps: int, wanted: list, accepted: dict) -> list[np.ndarray]:
    """Train, and return masks of planes."""
    pairs = [(images[str(i)], Annotation(d, task.kind, accepted=accepted.get(i))) for i, d in drawn.items()]
    config = FinetuneConfig(start="starter", steps=steps)
    trained = run(finetune(pairs, config, runtime=RuntimeConfig(seed=seed)))
    segmenter, values = segmenters.load(trained, Runtime.make(RuntimeConfig())), np.asarray(trained.config["values"])
    share = {"score": trained.config.get("pixel_share", 0.0)}
    found = []
    for id, z in wanted:
        (maps,) = ablation.probabilities(
            segmenter, trained, images[str(id)], (z or 0,), PredictConfig(flips=False), share
        )
        found.append(values[maps.argmax(0)][0])
    return found


def study_training(fewlabel, task, seed: int, count: int, steps: int):
    """One line for each image and way, of trainings."""
    images, drawn, score_on = paint(fewlabel, task, "few", seed)
    places = [(id, len(task.truth(id)) // 2 if z is None and task.truth(id).ndim == 3 else z) for id, z in score_on]
    truths = [(task.truth(id) if z is None else task.truth(id)[z]).astype(np.uint16) for id, z in places]
    for n in range(count):
        (id, z), truth, other = places[n], truths[n], truths[n + 1]
        (shown,) = train(images, drawn, task, seed, steps, [places[n]], {})
        rng, by_hand = np.random.default_rng([seed, n]), np.zeros(truth.shape, np.uint16)
        length = int(np.clip(min(truth.shape) / 12, 8, 40))
        for _ in range(ROUNDS):
            for mask, c in errors(shown, truth, by_hand > 0):
                by_hand[fewlabel.stroke(mask, length, rng)] = c
        corrected, right = by_hand > 0, np.where(shown == truth, shown, 0)
        shown = shown.astype(np.uint16)
        over = np.where(corrected, by_hand, shown)
        ways = {"alone": (by_hand, None), "together": (over, None), "turns": (over, shown)}
        ways |= {"right": (truth, right.astype(np.uint16)), "right together": (truth, None)}
        before = round(mean_iou(shown, truth), 3)
        for way, (plane, accepted) in ways.items():
            labels = {k: v.copy() for k, v in drawn.items()}
            taken = np.zeros(task.truth(id).shape, np.uint16)
            labels.setdefault(id, taken.copy())
            labels[id][() if z is None else z] = plane
            taken[() if z is None else z] = 0 if accepted is None else accepted
            known = {} if accepted is None else {id: taken}
            found, beside = train(images, labels, task, seed, steps, places[n : n + 2], known)
            iou, heard = mean_iou(found[~corrected], truth[~corrected]), (found == truth)[corrected].mean()
            line = {"before": before, "iou": iou, "heard": float(heard), "other": mean_iou(beside, other)}
            yield {"seed": seed, "image": n, "way": way, **{k: round(v, 3) for k, v in line.items()}}


def main() -> None:
    """Print one line a task, seed, image and way."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--bench", type=Path, required=True, help="folder of fewlabel.py")
    p.add_argument("--tasks", required=True)
    p.add_argument("--seeds", type=int, default=1)
    p.add_argument("--images", type=int, default=2, help="how many are corrected")
    p.add_argument("--train", type=int, metavar="STEPS")
    p.add_argument("--starter", type=Path)
    options = p.parse_args()
    sys.path.insert(0, str(options.bench))
    import fewlabel

    if options.starter:
        starter.FILE = options.starter
    for name in options.tasks.split(","):
        task = split_training(fewlabel, options.bench.parent / "data" / name)
        for seed in range(options.seeds):
            for found in (
                study_training(fewlabel, task, seed, options.images, options.train)
                if options.train
                else study(fewlabel, task, seed, options.images)
            ):
                print(json.dumps({"task": name, **found}), flush=True)


if __name__ == "__main__":
    main()
