"""How honest a score is: on strokes kept apart, as expected in whole images, and as it is there; training images alone.

    python benchmarks/honesty.py --bench ../shared/bench --tasks cyto_wbc,em_vnc_sstem --seeds 2 --out honesty.jsonl
    python benchmarks/honesty.py ... --tasks bf_dsb2018 --foreground      # objects as one class

One line of JSON a task and seed. ``kept_apart`` is the mean IoU on strokes kept apart, ``expected`` what training says
of whole images, ``true`` the mean IoU on images that were not painted on. ``intervals`` tells how often the interval of
a score holds the IoU of all strokes there are, where only some of each class are kept apart: strokes are painted on
those images, and a few of them drawn a hundred times.
"""

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import ablation
import numpy as np

from napari_sslseg import segmenter as segmenters
from napari_sslseg import starter
from napari_sslseg.annotation import Annotation
from napari_sslseg.evidence import Evidence
from napari_sslseg.finetuning import finetune
from napari_sslseg.job import run
from napari_sslseg.runtime import Runtime
from napari_sslseg.settings import FinetuneConfig, PredictConfig, RuntimeConfig

IMAGES, STROKES = 4, 48  # that are scored at most, and strokes of a class painted on them in all
KEPT, DRAWS = (2, 4, 8), 100  # strokes of each class that are kept apart, and how often they are drawn


def as_classes(task):
    """A task of objects whose truth is background and foreground."""

    class Foreground(type(task)):
        def truth(self, id):
            return np.minimum(super().truth(id), 2)

    task.__class__, task.kind = Foreground, "semantic"
    return task


def honesty(fewlabel, task, budget: str, seed: int, steps: int) -> dict:
    """Paint, train, predict images that were not painted on, and compare."""
    images, labels, score_on = ablation.paint(fewlabel, task, budget, seed)
    pairs = [(images[str(i)], Annotation(drawn, task.kind)) for i, drawn in labels.items()]
    others = [image for id, image in images.items() if id not in {str(i) for i in labels}]
    config = FinetuneConfig(start="starter", steps=steps)
    trained = run(finetune(pairs, config, unlabelled=others, runtime=RuntimeConfig(seed=seed)))
    segmenter = segmenters.load(trained, Runtime.make(RuntimeConfig()))
    values, found = np.asarray(trained.config["values"]), []
    for id, z in score_on[:IMAGES]:
        image, truth = images[str(id)], task.truth(id) if z is None else task.truth(id)[z]
        zs = tuple(range(image.planes)) if z is None else (z,)
        wanted = {"score": trained.config["pixel_share"]}
        said = ablation.probabilities(segmenter, trained, image, zs, replace(PredictConfig(), flips=False), wanted)[0]
        found.append((values[said.argmax(0)].reshape(truth.shape), truth))
    classes = max(int(truth.max()) for _, truth in found)
    expected = trained.history["measures"].get("expected_iou") or {}
    return {
        "kept_apart": trained.history["score"],
        "interval": trained.history["interval"],
        "expected": float(np.mean(list(expected.values()))) if expected else None,
        "expected_each": expected,
        "true": fewlabel.mean_iou(found, classes)["score"],
        "intervals": intervals(painted(fewlabel, found)),
    }


def painted(fewlabel, found) -> dict[int, list[dict[int, int]]]:
    """Strokes on the truth, by class: how many pixels of each are found as what."""
    rng, strokes = np.random.default_rng(0), {}
    planes = [pair for prediction, truth in found for pair in _planes(prediction, truth, rng)]
    for prediction, truth in planes:
        length = int(np.clip(min(truth.shape) / 12, 8, 40))
        for value in np.unique(truth):
            for _ in range(max(3, STROKES // len(planes))):
                inside = np.zeros(truth.shape, bool)
                inside[fewlabel.stroke(truth == value, length, rng)] = True
                kinds, counts = np.unique(prediction[inside & (truth == value)], return_counts=True)
                if len(kinds):
                    strokes.setdefault(int(value), []).append(dict(zip(kinds.tolist(), counts.tolist(), strict=True)))
    return strokes


def _planes(prediction, truth, rng):
    """The image, or four planes of a stack."""
    if truth.ndim == 2:
        return [(prediction, truth)]
    return [(prediction[z], truth[z]) for z in rng.choice(len(truth), min(4, len(truth)), replace=False)]


def intervals(strokes: dict[int, list[dict[int, int]]]) -> dict[str, dict[str, float]]:
    """By how many strokes of a class are kept apart: how often the interval holds what all have, and its width."""
    rng, result = np.random.default_rng(0), {}
    every = evidence([(v, s) for v, all_of in strokes.items() for s in all_of])
    target = every.scores(np.ones((1, len(every))))[0]
    for count in KEPT:
        ends = []
        for _ in range(DRAWS):
            drawn = [(v, s) for v, all_of in strokes.items() for s in rng.permutation(all_of)[:count]]
            ends.append(evidence(drawn).interval())
        low, high = np.array(ends).T
        holds = float(np.mean((low <= target) & (target <= high)))
        result[str(count)] = {"holds": holds, "width": float(np.mean(high - low))}
    return result


def evidence(strokes: list[tuple[int, dict[int, int]]]) -> Evidence:
    """What a score on strokes rests on."""
    return Evidence(np.array([(k, value, f, n) for k, (value, said) in enumerate(strokes) for f, n in said.items()]))


def main() -> None:
    """Run what is missing in the output file."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--bench", type=Path, required=True, help="folder of fewlabel.py")
    p.add_argument("--tasks", required=True)
    p.add_argument("--seeds", type=int, default=2)
    p.add_argument("--steps", type=int, default=60)
    p.add_argument("--budget", default="few")
    p.add_argument("--foreground", action="store_true", help="objects as one class")
    p.add_argument("--starter", type=Path, help="another starter than the one that ships")
    p.add_argument("--out", type=Path, required=True)
    options = p.parse_args()
    sys.path.insert(0, str(options.bench))
    import fewlabel

    starter.FILE = options.starter or starter.FILE
    done = [json.loads(line) for line in options.out.read_text().splitlines()] if options.out.exists() else []
    for seed in range(options.seeds):
        for name in options.tasks.split(","):
            row = {"task": name, "seed": seed, "steps": options.steps, "budget": options.budget}
            row["foreground"] = options.foreground
            if any(row.items() <= d.items() for d in done):
                continue
            task = ablation.split_training(fewlabel, options.bench.parent / "data" / name)
            task = as_classes(task) if options.foreground else task
            began = time.process_time()
            row |= honesty(fewlabel, task, options.budget, seed, options.steps)
            with options.out.open("a") as file:
                file.write(json.dumps({**row, "seconds": round(time.process_time() - began, 1)}) + "\n")


if __name__ == "__main__":
    main()
