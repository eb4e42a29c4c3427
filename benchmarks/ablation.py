"""Ablation of training settings on the training images alone: one line of JSON a cell, resumable.

    python benchmarks/ablation.py --bench ../shared/bench --tasks em_vnc_sstem,cyto_wbc --seeds 2 --out runs.jsonl \
        --variant base --variant slow:train.rate=3e-4 --variant ssl:pretrain.encoder_rate=0.1

The training split of each task is cut in two: strokes are painted on one part, scores are taken on the other. The test
split is never opened. A variant is a name and settings; one that sets anything of ``pretrain`` pretrains first.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from napari_sslseg.annotation import Annotation
from napari_sslseg.checkpoint import Checkpoint
from napari_sslseg.finetuning import finetune
from napari_sslseg.image import Image
from napari_sslseg.job import run
from napari_sslseg.predicting import predict
from napari_sslseg.pretraining import pretrain
from napari_sslseg.settings import FinetuneConfig, PredictConfig, PretrainConfig, RuntimeConfig


def split_training(fewlabel, folder):
    """A task of the benchmark whose test images are some of its training images."""

    class TrainingOnly(fewlabel.Task):
        def __init__(self) -> None:
            super().__init__(folder)
            train = self.split("train")
            self.planes = None
            if not self.split("test"):  # one stack: its training planes are cut in two
                count = len(fewlabel.Task.truth(self, train[0]))
                last = self.meta["train_planes"][1] + 1 if "train_planes" in self.meta else int(count * 0.7)
                self.planes = last
                self.meta = {**self.meta, "train_planes": [0, int(last * 0.7) - 1]}
            elif len(train) > 1:
                held = max(1, min(6, len(train) // 3))
                self.items = [
                    {"id": i, "split": "test" if k >= len(train) - held else "train"} for k, i in enumerate(train)
                ]
            else:
                raise SystemExit(f"{folder.name}: one training image only, nothing to score on")

        def image(self, id):
            return super().image(id)[: self.planes]

        def truth(self, id):
            return super().truth(id)[: self.planes]

    return TrainingOnly()


def paint(fewlabel, task, budget: str, seed: int):
    """Images, sparse labels and what to score, as the benchmark prepares them."""
    pool, annotate, score_on = task.plan(budget, seed)
    rng, b = np.random.default_rng(seed + 1), fewlabel.BUDGETS[budget]
    labels = {}
    for id, z in annotate:
        truth, at = task.truth(id), slice(None) if z is None else z
        painted = labels.setdefault(id, np.zeros(truth.shape, np.uint16))
        painted[at] = fewlabel.annotate_plane(
            truth[at], task.kind, b["strokes"], -(-b["objects"] // len(annotate)), rng
        )
    images = {str(i): Image.from_array(task.image(i), name=str(i)) for i in pool}
    return images, labels, score_on


def cell(fewlabel, task, variant: dict, budget: str, seed: int, strokes: int) -> dict:
    """Pretrain if asked, train, predict, score."""
    images, labels, score_on = paint(fewlabel, task, budget, strokes)
    runtime, start, began = RuntimeConfig(seed=seed), None, time.perf_counter()
    if variant["pretrain"]:
        config = PretrainConfig.from_dict(variant["pretrain"])
        learned = run(pretrain(list(images.values()), config, runtime=runtime))
        start = Path(f"/tmp/ablation-{task.name}-{seed}.safetensors")
        learned.save(start)
    result = tested(fewlabel, task, (images, labels, score_on), variant, start, runtime)
    return {**result, "seconds": round(time.perf_counter() - began, 1)}


def tested(fewlabel, task, painted: tuple, variant: dict, start: Path | None, runtime: RuntimeConfig) -> dict:
    """Train from a checkpoint, predict, score."""
    images, labels, score_on = painted
    pairs = [(images[str(i)], Annotation(drawn, task.kind)) for i, drawn in labels.items()]
    trained: Checkpoint = run(
        finetune(pairs, FinetuneConfig.from_dict(variant["train"]), start=start and str(start), runtime=runtime)
    )
    wanted: dict[str, list] = {}
    for id, z in score_on:
        wanted.setdefault(str(id), []).append(z)
    planes = {i: tuple(zs) for i, zs in wanted.items() if None not in zs}
    config = replace(PredictConfig(), **variant["predict"])
    found = {p.image: p.labels for p in run(predict([images[i] for i in wanted], trained, config, planes=planes))}
    pairs = [(found[str(i)].astype(int), task.truth(i)) for i, _ in score_on]
    pairs = [pair if z is None else (pair[0][z], pair[1][z]) for pair, (_, z) in zip(pairs, score_on, strict=True)]
    classes = max(int(t.max()) for _, t in pairs)
    result = fewlabel.mean_iou(pairs, classes) if task.kind == "semantic" else fewlabel.average_precision(pairs)
    history = trained.history
    return {**result, "own_score": history["score"], "steps": history["steps"]}


def parse(text: str) -> dict:
    """Read ``name:verb.parameter=value,..``."""
    name, _, settings = text.partition(":")
    variant: dict = {"name": name, "pretrain": {}, "train": {}, "predict": {}}
    for setting in filter(None, settings.split(",")):
        key, value = setting.split("=")
        verb, parameter = key.split(".")
        try:
            variant[verb][parameter] = json.loads(value)
        except ValueError:
            variant[verb][parameter] = value
    return variant


def cells(options) -> Iterator[tuple]:
    """All cells in an order that fills the table evenly."""
    for seed in range(options.seeds):
        for task in options.tasks.split(","):
            for variant in map(parse, options.variant):
                yield seed, task, variant


def main() -> None:
    """Run what is missing in the output file."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--bench", type=Path, required=True, help="folder of fewlabel.py")
    p.add_argument("--tasks", required=True)
    p.add_argument("--variant", action="append", required=True)
    p.add_argument("--budget", default="few")
    p.add_argument("--seeds", type=int, default=2)
    p.add_argument("--out", type=Path, required=True)
    options = p.parse_args()
    sys.path.insert(0, str(options.bench))
    import fewlabel

    done = [json.loads(line) for line in options.out.read_text().splitlines()] if options.out.exists() else []
    keys = {(d["seed"], d["task"], d["variant"]["name"], d["budget"]) for d in done}
    for seed, name, variant in cells(options):
        if (seed, name, variant["name"], options.budget) in keys:
            continue
        task = split_training(fewlabel, options.bench.parent / "data" / name)
        row = {"task": name, "variant": variant, "budget": options.budget, "seed": seed}
        row |= cell(fewlabel, task, variant, options.budget, seed, strokes=seed)
        with options.out.open("a") as file:
            file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
