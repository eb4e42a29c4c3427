"""Ablation of what makes objects of probabilities, on the training images alone: AP by share and thresholds.

    python benchmarks/objects.py --bench ../shared/bench --tasks fluo_dsb2018,phase_usiigaci --study shares
    python benchmarks/objects.py --bench ../shared/bench --tasks fluo_dsb2018,bf_dsb2018 --study doubts

Trains once a task and seed, keeps the probabilities of the network and of the pixel classifier apart, and tries every
mix of them with every pair of thresholds of ``instances`` (``shares``), or in how much doubt an object may be
(``doubts``; 1 leaves none out). Prints one line of JSON a cell.
"""

import argparse
import itertools
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from ablation import paint, split_training

from napari_sslseg import instances
from napari_sslseg.annotation import Annotation
from napari_sslseg.finetuning import finetune
from napari_sslseg.job import run
from napari_sslseg.predicting import predict
from napari_sslseg.settings import FinetuneConfig, PredictConfig, RuntimeConfig

SHARES = (0.0, 0.2, 0.3, 0.5)
THRESHOLDS = tuple(itertools.product((1 / 3, 0.4, 0.45, 0.5), (0.4, 0.5, 0.6, 0.7)))  # GROUND, RISE
KEPT = {"share": 0.3, "ground": instances.GROUND, "rise": instances.RISE, "doubt": instances.DOUBT}  # the defaults
DOUBTS = (1.0, 0.3, 0.2, 0.15, 0.1, 0.08, 0.05)


def parts(fewlabel, folder: Path, seed: int, steps: int):
    """Train; probabilities of the network and of the pixel classifier alone, truths, and the size of objects."""
    task = split_training(fewlabel, folder)
    images, labels, score_on = paint(fewlabel, task, "few", seed)
    runtime = RuntimeConfig(seed=seed)
    pairs = [(images[str(i)], Annotation(painted, "instance")) for i, painted in labels.items()]
    trained = run(finetune(pairs, FinetuneConfig(steps=steps), runtime=runtime))
    scored, found = [images[str(i)] for i, _ in score_on], {}
    for name, share in {"network": 0.0, "pixels": 1.0}.items():
        alone = replace(trained, config={**trained.config, "pixel_share": share})
        config = PredictConfig(probabilities=True, flips=share == 0)
        found[name] = [p.probabilities for p in run(predict(scored, alone, config, runtime=runtime))]
    size = instances.ObjectSize(**trained.config["object_size"])
    return found["network"], found["pixels"], [task.truth(i) for i, _ in score_on], size


def settings(study: str) -> Iterator[dict[str, float]]:
    """What is compared: the share of the pixel classifier, and thresholds."""
    if study == "doubts":
        yield from ({**KEPT, "doubt": doubt} for doubt in DOUBTS)
    else:
        for share, (ground, rise) in itertools.product(SHARES, THRESHOLDS):
            yield {**KEPT, "share": share, "ground": ground, "rise": rise}


def main() -> None:
    """Run all cells."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--bench", type=Path, required=True, help="folder of fewlabel.py")
    p.add_argument("--tasks", required=True, help="instance tasks of 2-D images")
    p.add_argument("--seeds", type=int, default=1)
    p.add_argument("--steps", type=int, default=200)
    p.add_argument("--study", choices=("shares", "doubts"), default="doubts")
    options = p.parse_args()
    sys.path.insert(0, str(options.bench))
    import fewlabel

    for seed, task in itertools.product(range(options.seeds), options.tasks.split(",")):
        network, pixels, truths, size = parts(fewlabel, options.bench.parent / "data" / task, seed, options.steps)
        for row in settings(options.study):
            share, instances.GROUND, instances.RISE, instances.DOUBT = row.values()
            mixed = [(1 - share) * a.astype(np.float32) + share * b for a, b in zip(network, pixels, strict=True)]
            masks = [instances.separate(m, size, (1.0, 1.0)) for m in mixed]
            found = fewlabel.average_precision(list(zip(masks, truths, strict=True)))
            print(json.dumps({"task": task, "seed": seed, **row, **found}), flush=True)


if __name__ == "__main__":
    main()
