"""Ablation of training settings on the training images alone: one line of JSON a cell, resumable.

    python benchmarks/ablation.py --bench ../shared/bench --tasks em_vnc_sstem,cyto_wbc --seeds 2 --out runs.jsonl \
        --variant base --variant slow:train.rate=3e-4 --variant ssl:pretrain.encoder_rate=0.1

The training split of each task is cut in two: strokes are painted on one part, scores are taken on the other. The test
split is never opened. A variant is a name and settings; one that sets anything of ``pretrain`` pretrains first.

``--starts`` and ``--methods`` add a variant for each pair of them, named start/method; a method that does not fit the
images or the encoder is left out:

    python benchmarks/ablation.py --bench ../shared/bench --tasks em_vnc_sstem,cyto_wbc,phase_usiigaci --seeds 2 \
        --starts imagenet,random --methods none,restore,dense --seconds 120 --common train.steps=100 --out stage1.jsonl
    python benchmarks/ablation.py --table stage1.jsonl

``--seconds`` gives every variant the same processor time for pretraining, turned into steps by timing some in the same
process: with OMP_NUM_THREADS=1, other work on the machine does not change the result. ``--common pretrain.steps=200``
gives every variant the same steps instead. ``--jobs`` works on so many cells at once, each in its own process. Each
line holds three scores: ``score`` of the result as a user gets it, ``probe`` of the pixel classifier over the frozen
encoder alone, ``network`` of the fine-tuned network alone. Training always begins with the pretrained encoder, although
a user's would leave it out where strokes speak against it; ``begin`` says what they say.
"""

import argparse
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from napari_sslseg import segmenter as segmenters
from napari_sslseg import starter, starting
from napari_sslseg.annotation import Annotation
from napari_sslseg.checkpoint import Checkpoint
from napari_sslseg.finetuning import finetune
from napari_sslseg.image import Image
from napari_sslseg.instances import ObjectSize, separate
from napari_sslseg.job import Stop, run
from napari_sslseg.magnify import magnify, reduce
from napari_sslseg.methods import METHODS
from napari_sslseg.pretraining import pretrain
from napari_sslseg.runtime import Runtime
from napari_sslseg.settings import FinetuneConfig, PredictConfig, PretrainConfig, RuntimeConfig
from napari_sslseg.whole import bands


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


def steps_in(seconds: float, images, config: PretrainConfig) -> int:
    """How many steps of pretraining fit into this many seconds of processor time."""
    spent = []
    for steps in (3, 13):
        began = time.process_time()
        run(pretrain(images, replace(config, steps=steps)))
        spent.append(time.process_time() - began)
    return max(1, round(10 * seconds / (spent[1] - spent[0])))


def shares(trained: Checkpoint) -> dict[str, float]:
    """The shares of the pixel classifier to score, by name."""
    share = trained.config.get("pixel_share", 0.0)
    return {"score": share, **({"probe": 1.0, "network": 0.0} if trained.part("pixels") else {})}


def cell(fewlabel, task, variant: dict, budget: str, seed: int, strokes: int, seconds: float | None) -> dict:
    """Pretrain if asked, train, predict, score."""
    images, labels, score_on = paint(fewlabel, task, budget, strokes)
    runtime, start, began, learned = RuntimeConfig(seed=seed), None, time.process_time(), None
    if variant["pretrain"]:
        config = PretrainConfig.from_dict(variant["pretrain"])
        if seconds:
            config = replace(config, steps=steps_in(seconds, list(images.values()), config))
        learned = run(pretrain(list(images.values()), config, runtime=runtime))
    with tempfile.TemporaryDirectory() as folder:
        if learned:
            start = Path(folder) / "learned.safetensors"
            learned.save(start)
        result = tested(fewlabel, task, (images, labels, score_on), variant, start, runtime)
    learnt = learned.history["steps"] if learned else 0
    return {**result, "pretraining_steps": learnt, "seconds": round(time.process_time() - began, 1)}


def tested(fewlabel, task, painted: tuple, variant: dict, start: Path | None, runtime: RuntimeConfig) -> dict:
    """Train from a checkpoint, predict, score."""
    images, labels, score_on = painted
    pairs = [(images[str(i)], Annotation(drawn, task.kind)) for i, drawn in labels.items()]
    trained: Checkpoint = run(
        finetune(pairs, FinetuneConfig.from_dict(variant["train"]), start=start and str(start), runtime=runtime)
    )
    found = scores(fewlabel, task, images, trained, variant, score_on)
    return {
        **found.pop("score"),
        **{name: result["score"] for name, result in found.items()},
        "own_score": trained.history["score"],
        "expected_iou": trained.history["measures"].get("expected_iou"),
        "begin": trained.history["begin"],
        "steps": trained.history["steps"],
    }


def scores(fewlabel, task, images, trained: Checkpoint, variant: dict, score_on) -> dict[str, dict]:
    """Predict once, and score each share of the pixel classifier."""
    wanted, config = shares(trained), replace(PredictConfig(), **variant["predict"])
    segmenter = segmenters.load(trained, Runtime.make(RuntimeConfig()))
    values, pairs = np.asarray(trained.config["values"]), {name: [] for name in wanted}
    for id, z in score_on:
        image, truth = images[str(id)], task.truth(id) if z is None else task.truth(id)[z]
        zs = tuple(range(image.planes)) if z is None else (z,)
        for name, found in zip(wanted, probabilities(segmenter, trained, image, zs, config, wanted), strict=True):
            if trained.config["object_size"]:
                size = ObjectSize(**trained.config["object_size"])
                found = found[:, 0] if len(zs) == 1 else found
                labels = separate(found, size, image.spacing[1 - found.ndim :])
            else:
                labels = values[found.argmax(0)]
            pairs[name].append((labels.reshape(truth.shape), truth))
    classes = max(int(t.max()) for _, t in pairs["score"])
    measure = fewlabel.average_precision if task.kind == "instance" else lambda p: fewlabel.mean_iou(p, classes)
    return {name: measure(found) for name, found in pairs.items()}


def probabilities(
    segmenter, trained: Checkpoint, image: Image, zs: tuple[int, ...], config: PredictConfig, wanted: dict
):
    """(K, Z, Y, X) for each share."""
    times = int(trained.config["magnification"])

    def compute(crop):
        return torch.cat([segmenter.calibration(p) for p in segmenter.mixed(crop, config.flips, *wanted.values())], 1)

    whole_image = None
    for _, k, top, band in bands(segmenter.network, magnify(image, times), zs, config, compute, Stop()):
        if band is not None:
            band = reduce(band, times)
            if segmenter.atlas is not None:
                rows, columns = range(top, top + band.shape[1]), range(band.shape[2])
                band *= np.concatenate([segmenter.atlas.over(image.shape, [zs[k]], rows, columns)[:, 0]] * len(wanted))
            if whole_image is None:
                whole_image = np.zeros((len(band), len(zs), *image.shape[-2:]), np.float32)
            whole_image[:, k, top : top + band.shape[1]] = band
    return np.split(whole_image, len(wanted))


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


def variants(options) -> list[dict]:
    """What is compared."""
    found = list(options.variant)
    for start in options.starts:
        for method in options.methods:
            setting = f"train.start={start}" if method == "none" else f"pretrain.start={start},pretrain.method={method}"
            found.append(f"{start}/{method}:{setting}")
    return [_with(text, options.common) for text in found]


def _with(text: str, common: list[str]) -> dict:
    """Read a variant, and add what is common to all; what is said of pretraining, only if it pretrains."""
    if not parse(text)["pretrain"]:
        common = [c for c in common if not c.startswith("pretrain.")]
    return parse(",".join([text, *common]).replace(":,", ":"))


def suits(variant: dict, channels: int) -> bool:
    """Whether a method can learn from images of so many channels, with the encoder it is given."""
    asked = variant["pretrain"]
    if "method" not in asked:
        return True
    method, config = METHODS.load(asked["method"]), PretrainConfig.from_dict(asked)
    return channels >= method.least_channels and (not method.encoders or config.encoder in method.encoders)


def cells(options) -> Iterator[tuple]:
    """All cells in an order that fills the table evenly."""
    for seed in range(options.seeds):
        for task in options.tasks.split(","):
            for variant in variants(options):
                yield seed, task, variant


def table(rows: list[dict]) -> str:
    """Mean scores by variant and task in Markdown, with the standard error over seeds."""
    tasks = list(dict.fromkeys(r["task"] for r in rows))
    names = list(dict.fromkeys(r["variant"]["name"] for r in rows))
    lines = ["| variant | measure | " + " | ".join(tasks) + " | mean | cells |", "|---" * (len(tasks) + 4) + "|"]
    for name in names:
        for measure in ("score", "probe", "network"):
            found = [
                [r[measure] for r in rows if (r["variant"]["name"], r["task"]) == (name, t) and measure in r]
                for t in tasks
            ]
            if not any(found):
                continue
            cells = [
                f"{np.mean(f):.3f} ± {np.std(f, ddof=1) / len(f) ** 0.5:.3f}"
                if len(f) > 1
                else f"{f[0]:.3f}"
                if f
                else ""
                for f in found
            ]
            mean = f"{np.mean([np.mean(f) for f in found]):.3f}" if all(found) else ""
            lines.append(f"| {name} | {measure} | " + " | ".join(cells) + f" | {mean} | {sum(map(len, found))} |")
    return "\n".join(lines)


def main() -> None:
    """Run what is missing in the output file."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--table", type=Path, help="show the scores in this file, and end")
    p.add_argument("--bench", type=Path, help="folder of fewlabel.py")
    p.add_argument("--tasks")
    p.add_argument("--variant", action="append", default=[])
    p.add_argument("--starts", type=lambda text: text.split(","), default=[])
    p.add_argument("--methods", type=lambda text: text.split(","), default=[])
    p.add_argument("--common", type=lambda text: text.split(","), default=[], help="settings of all variants")
    p.add_argument("--budget", default="few")
    p.add_argument("--seeds", type=int, default=2)
    p.add_argument("--seconds", type=float, help="processor time of pretraining")
    p.add_argument(
        "--starter", action="append", default=[], metavar="[TASK=]FILE", help="another starter than the one that ships"
    )
    p.add_argument("--jobs", type=int, default=1)
    p.add_argument("--out", type=Path)
    options = p.parse_args()
    if options.table:
        sys.stdout.write(table([json.loads(line) for line in options.table.read_text().splitlines()]) + "\n")
        return
    if not (options.bench and options.tasks and options.out):
        p.error("--bench, --tasks and --out are needed")
    done = [json.loads(line) for line in options.out.read_text().splitlines()] if options.out.exists() else []
    keys = {(d["seed"], d["task"], d["variant"]["name"], d["budget"]) for d in done}
    wanted = [c for c in cells(options) if (c[0], c[1], c[2]["name"], options.budget) not in keys]
    for found in side_by_side(options, wanted) if options.jobs > 1 else one_by_one(options, wanted):
        if found:
            with options.out.open("a") as file:
                file.write(json.dumps(found) + "\n")


def one_by_one(options, wanted: list[tuple]) -> Iterator[dict | None]:
    """Work on all cells in this process."""
    begin(options)
    for cell in wanted:
        yield row(options, *cell)


def side_by_side(options, wanted: list[tuple]) -> Iterator[dict | None]:
    """Work on all cells in processes; one that fails is told of, and left for the next call of this script."""
    with ProcessPoolExecutor(options.jobs, multiprocessing.get_context("spawn"), begin, (options,)) as pool:
        for ended in as_completed([pool.submit(row, options, *cell) for cell in wanted]):
            try:
                yield ended.result()
            except Exception as error:
                sys.stderr.write(f"{type(error).__name__}: {error}\n")


def begin(options) -> None:
    """Get a process ready for cells."""
    sys.path.insert(0, str(options.bench))
    starting.left_out = lambda scores, heads: False  # type: ignore[assignment]


def starter_of(task: str, said: list[str], shipped: Path = starter.FILE) -> Path:
    """The starter of a task: of several, the last one that is meant for it or for all."""
    files = {name or task: Path(file) for name, _, file in (text.rpartition("=") for text in said)}
    return files.get(task, shipped)


def row(options, seed: int, name: str, variant: dict) -> dict | None:
    """Work on one cell; none where the method does not suit the images."""
    import fewlabel

    task = split_training(fewlabel, options.bench.parent / "data" / name)
    if not suits(variant, Image.from_array(task.image(task.split("train")[0])).channels):
        return None
    starter.FILE = starter_of(name, options.starter)
    found = {"task": name, "variant": variant, "budget": options.budget, "seed": seed}
    return found | cell(fewlabel, task, variant, options.budget, seed, strokes=seed, seconds=options.seconds)


if __name__ == "__main__":
    main()
