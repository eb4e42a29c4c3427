"""Do the probes of a pretraining agree with the score? One line of JSON a checkpoint, and one that sums a run up.

    python benchmarks/probe.py --bench ../shared/bench --tasks em_vnc_sstem,cyto_wbc --steps 240 --checks 5

Pretrains on the training images of a task with its strokes, stores the weights at each look of the probe, and scores
each of them twice on images that no stroke lies in: a pixel classifier over the frozen encoder, and a short training.
Where only the head learns, as in `recall` from the starter, the probe looks at the head, and only training can tell.
The test split is never opened. Says the rank correlation of each probe with each score over the run, and what would
have been lost against the best checkpoint by keeping the last one, by the probe's choice and by stopping on its advice.
"""

import argparse
import itertools
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

import numpy as np
import torch
from ablation import paint, parse, split_training, tested
from pixels import Bench, chances
from pixels import score as score_pixels
from scipy.stats import spearmanr

from napari_sslseg import looks, model, pretraining, starter, watch
from napari_sslseg.annotation import Annotation
from napari_sslseg.checkpoint import Checkpoint
from napari_sslseg.job import Stop, run
from napari_sslseg.pixel_classifier import PixelClassifier
from napari_sslseg.pretraining import pretrain
from napari_sslseg.runtime import Runtime
from napari_sslseg.settings import PretrainConfig, RuntimeConfig

SCORES = ("pixels", "trained")


class Storing(watch.Watch):
    """A watch that stores the weights of every look."""

    stored: ClassVar[list] = []

    def _look(self, training, **how):
        yield from super()._look(training, **how)
        weights = {k: v.detach().cpu().clone() for k, v in self.network.state_dict().items()}
        self.stored.append((self.looks[-1], weights))


def pretrained(images: dict, labels: dict, kind: str, config: PretrainConfig, seed: int) -> tuple[list, Checkpoint]:
    """Every look of a pretraining with its weights, and the result."""
    Storing.stored = []
    pretraining.Watch = Storing
    pairs = [(images[str(i)], Annotation(drawn, kind)) for i, drawn in labels.items()]
    result = run(pretrain(list(images.values()), config, labels=pairs, runtime=RuntimeConfig(seed=seed)))
    return Storing.stored, result


def frozen(bench: Bench, checkpoint: Checkpoint, seed: int) -> float:
    """Mean IoU of a pixel classifier over the frozen encoder."""
    network = model.load(checkpoint, Runtime.make(RuntimeConfig(seed=seed)))
    pixels = PixelClassifier(network.encoder, len(bench.labelled.values))
    known, targets, looked, truth = bench.columns(pixels)
    found = []
    for repeat in range(3):  # what it learns depends on chance
        torch.manual_seed(repeat)
        pixels.fit(known, targets, Stop())
        found.append(score_pixels(chances(pixels, looked).numpy(), truth, bench.labelled.values, bench.kind))
    return float(np.mean(found))


def summary(rows: list[dict], kept: int) -> dict:
    """How far the probes agree with the scores, and what each way of choosing loses."""
    found: dict = {"kept": kept}
    seen = [looks.Look(r["step"], 0.0, r["strokes"], r["rank"], 0.0, 0.0, 0.0) for r in rows]
    stop = next((k for k in range(len(seen)) if looks.flat(seen[: k + 1], "strokes", True) is not None), len(seen) - 1)
    best = max(range(stop + 1), key=lambda k: (rows[k]["strokes"], k))
    found["advised"] = rows[stop]["step"]
    for name in SCORES:
        values = [r[name] for r in rows if name in r]
        if len(values) < len(rows):
            continue
        for probe in ("strokes", "dse", "rank"):
            found[f"{probe}~{name}"] = round(float(spearmanr([r[probe] for r in rows], values).statistic), 3)
        chosen = next(k for k, r in enumerate(rows) if r["step"] == kept)
        ways = {"start": 0, "last": len(rows) - 1, "kept": chosen, "advice": best}
        found |= {f"{way} loses {name}": round(max(values) - values[k], 4) for way, k in ways.items()}
    return found


def main() -> None:
    """Run all tasks."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--bench", type=Path, required=True, help="folder of fewlabel.py")
    p.add_argument("--tasks", required=True)
    p.add_argument("--seeds", type=int, default=1)
    p.add_argument("--steps", type=int, default=240, help="of pretraining")
    p.add_argument("--checks", type=int, default=5)
    p.add_argument("--train", type=int, default=0, help="steps of training from each checkpoint; 0 for none")
    p.add_argument("--pretrain", default="base", help="settings as of ablation.py, such as x:pretrain.method=dense")
    p.add_argument("--starter", type=Path, default=starter.FILE, help="another starter than the one that ships")
    options = p.parse_args()
    starter.FILE = options.starter
    sys.path.insert(0, str(options.bench))
    import fewlabel

    gap = options.steps // options.checks
    watch.LEAST_STEPS, watch.MOST_STEPS, looks.FLAT_STEPS = gap, gap, 2 * gap
    for seed, name in itertools.product(range(options.seeds), options.tasks.split(",")):
        folder = options.bench.parent / "data" / name
        task = split_training(fewlabel, folder)
        painted = paint(fewlabel, task, "few", seed)
        settings = {**parse(options.pretrain)["pretrain"], "steps": options.steps}
        stored, result = pretrained(*painted[:2], task.kind, PretrainConfig.from_dict(settings), seed)
        bench, rows = Bench(fewlabel, folder, seed), []
        for look, weights in stored:
            config = {k: v for k, v in result.config.items() if k != "pretrain"}  # so that training takes it as it is
            checkpoint = Checkpoint(weights, config)
            row = {"task": name, "seed": seed, "step": look.step, "strokes": look.value if look.folds else None}
            row |= {"dse": look.inter - look.intra + look.dimension, "rank": look.rank}
            still = bool(rows) and result.config["pretrain"]["encoder_rate"] == 0  # the encoder is what it was
            row["pixels"] = rows[0]["pixels"] if still else frozen(bench, checkpoint, seed)
            if options.train:
                row["trained"] = trained(fewlabel, task, painted, checkpoint, options.train, seed)
            rows.append(row)
            print(json.dumps({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}), flush=True)
        print(json.dumps({"task": name, "seed": seed, **summary(rows, result.history["probe"]["kept"])}), flush=True)


def trained(fewlabel, task, painted: tuple, checkpoint: Checkpoint, steps: int, seed: int) -> float:
    """Score after a short training that starts from a checkpoint."""
    with TemporaryDirectory() as folder:
        start = Path(folder) / "start.safetensors"
        checkpoint.save(start)
        variant = {"train": {"steps": steps}, "predict": {"flips": False}}
        result = tested(fewlabel, task, painted, variant, start, RuntimeConfig(seed=seed))
    return float(result["score"])


if __name__ == "__main__":
    main()
