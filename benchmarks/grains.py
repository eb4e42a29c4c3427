"""Grains: objects with and without resizing images that are coarser or finer than the painted ones.

    OMP_NUM_THREADS=1 python benchmarks/grains.py --bench ../shared/bench --tasks fluo_dsb2018,hist_dsb2018 --seeds 4

Trains on some training images and scores on others (`ablation.split_training`); the test images are not looked at.
Prints one line of JSON a set and seed: by how much each scored image is resized (``by``), and AP and AP50 without and
with it, of the same network; ``same`` where no image is resized. ``--start`` names a starter that saw none of the sets.
"""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from ablation import paint, split_training

from napari_sslseg import grain
from napari_sslseg.annotation import Annotation
from napari_sslseg.finetuning import finetune
from napari_sslseg.job import run
from napari_sslseg.predicting import predict
from napari_sslseg.settings import FinetuneConfig, PredictConfig, RuntimeConfig


def measure(fewlabel, folder: Path, seed: int, config: FinetuneConfig) -> dict:
    """One set of strokes of one data set."""
    task, runtime = split_training(fewlabel, folder), RuntimeConfig(seed=seed)
    images, labels, score_on = paint(fewlabel, task, "few", seed)
    pairs = [(images[str(i)], Annotation(painted, "instance")) for i, painted in labels.items()]
    others = [image for name, image in images.items() if name not in {str(i) for i in labels}]
    trained = run(finetune(pairs, config, unlabelled=others, runtime=runtime))
    scored = [images[str(i)] for i, _ in score_on]
    by = [round(grain.factor(grain.grain(image), trained.config["grains"]), 2) for image in scored]
    said: dict = {"task": folder.name, "seed": seed, "by": by}
    for name, grains in (("without", []), ("with", trained.config["grains"])):
        if grains and set(by) == {1.0}:
            said[name] = "same"
            continue
        network = replace(trained, config={**trained.config, "grains": grains})
        found = run(predict(scored, network, PredictConfig(), runtime=runtime))
        truths = [task.truth(i).astype(np.int32) for i, _ in score_on]
        score = fewlabel.average_precision([(p.labels, truth) for p, truth in zip(found, truths, strict=True)])
        said[name] = [round(score["score"], 3), round(score["ap50"], 3)]
    return said


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", type=Path, required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--tasks", default="fluo_dsb2018,hist_dsb2018,bf_dsb2018,phase_usiigaci")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--start")
    asked = parser.parse_args()
    sys.path.insert(0, str(asked.bench))
    import fewlabel

    config = FinetuneConfig(steps=asked.steps, **({"start": asked.start} if asked.start else {}))
    for task in asked.tasks.split(","):
        for seed in range(asked.seeds):
            folder = (asked.data or asked.bench.parent / "data") / task
            print(json.dumps(measure(fewlabel, folder, seed, config)), flush=True)


if __name__ == "__main__":
    main()
