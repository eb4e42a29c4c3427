"""What live mode gains from its own guesses: masks of planes that are looked at, with strokes on other planes.

    OMP_NUM_THREADS=1 python benchmarks/guesses.py --bench ../shared/bench --tasks cyto_wbc,em_vnc_sstem --seeds 3
    python benchmarks/guesses.py ... --set SURE=0.9 --set GUESSED=0.5

Training images alone, strokes as `ablation.py` paints them; objects count as one class, foreground. One line of JSON a
task and seed: mean IoU over the classes of 6000 random pixels of each scored plane, ``alone`` of labels, and
``guessed`` with what it is sure of in that plane. ``--starter`` takes another starter, which saw none of the labels.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from ablation import paint, split_training

from napari_sslseg import linear, live, model, starter
from napari_sslseg.job import Stop, run
from napari_sslseg.live import Live, Where
from napari_sslseg.overlay import Box
from napari_sslseg.runtime import Runtime
from napari_sslseg.settings import RuntimeConfig

PIXELS = 6000  # of each scored plane
PLANES = 8  # scored at most


def painted(engine: Live, labels: dict, objects: bool) -> int:
    """Tell what is painted; the number of classes is returned."""
    greatest = 0
    for id, drawn in labels.items():
        for z, plane in enumerate(drawn if drawn.ndim == 3 else drawn[None]):
            points = np.argwhere(plane)
            targets = plane[tuple(points.T)].astype(int) - 1
            targets = np.minimum(targets, 1) if objects else targets
            engine.paint(Where(str(id), z), points, targets)
            greatest = max(greatest, targets.max(initial=0))
    return int(greatest) + 1


def mean_iou(found: np.ndarray, truth: np.ndarray) -> float:
    """Mean over the classes but the first."""
    each = [
        ((found == c) & (truth == c)).sum() / max(1, ((found == c) | (truth == c)).sum()) for c in np.unique(truth)[1:]
    ]
    return float(np.mean(each))


def study(fewlabel, task, budget: str, seed: int) -> dict[str, float]:
    """Both scores."""
    images, labels, score_on = paint(fewlabel, task, budget, seed)
    machine = Runtime.make(RuntimeConfig())
    channels, objects = next(iter(images.values())).channels, task.kind == "instance"
    engine = Live(model.build("starter", "efficientnet_lite0", channels, machine).encoder, machine)
    classes, rng = painted(engine, labels, objects), np.random.default_rng(seed)
    chosen = {"alone": [], "guessed": []}
    truths = []
    for id, z in score_on[:PLANES]:
        truth = (task.truth(id) if z is None else task.truth(id)[z]).astype(int) - 1
        truth = np.minimum(truth, 1) if objects else truth
        points = tuple(rng.integers(0, n, PIXELS) for n in truth.shape)
        where, box = Where(str(id), z or 0), Box(0, 0, *truth.shape)
        for name, guess in (("alone", False), ("guessed", True)):
            run(engine.learn(images.__getitem__, classes, Stop(), (where, box), guess=guess))
            found = engine.probabilities(images[str(id)], where, box)
            chosen[name].append(found.argmax(0)[points])
        truths.append(truth[points])
    truth = np.concatenate(truths)
    return {name: round(mean_iou(np.concatenate(found), truth), 4) for name, found in chosen.items()}


def main() -> None:
    """Print one line a task and seed."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--bench", type=Path, required=True, help="folder of fewlabel.py")
    p.add_argument("--tasks", required=True)
    p.add_argument("--budget", default="few")
    p.add_argument("--seeds", type=int, default=1)
    p.add_argument("--starter", type=Path)
    p.add_argument("--set", action="append", default=[], help="SURE, ROUNDS, GUESSED or BESIDE = value")
    options = p.parse_args()
    sys.path.insert(0, str(options.bench))
    import fewlabel

    if options.starter:
        starter.FILE = options.starter
    for setting in options.set:
        name, value = setting.split("=")
        setattr(live if name == "BESIDE" else linear, name, json.loads(value))
    for seed in range(options.seeds):
        for name in options.tasks.split(","):
            task = split_training(fewlabel, options.bench.parent / "data" / name)
            found = study(fewlabel, task, options.budget, seed)
            print(json.dumps({"task": name, "budget": options.budget, "seed": seed, **found}), flush=True)


if __name__ == "__main__":
    main()
