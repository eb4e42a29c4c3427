"""From class probabilities to masks: how sure they may be, how far frequencies count, which classes are favoured.

    OMP_NUM_THREADS=1 python benchmarks/decisions.py --bench ../shared/bench --tasks cyto_wbc,em_vnc_sstem --seeds 3 \
        --kinds few,tiny,dense,correct --out decisions.jsonl

Training images alone, strokes as `ablation.py` paints them on some of them; ``dense``: the images with strokes of
budget few are labelled completely; ``correct``: from budget tiny, and then rounds of three strokes in the largest
errors of masks, as `fewlabel.py` simulates them. One line of JSON a training: the temperature, the calibration error of
probabilities on scored images with it and with 1 where it is higher, and the mean IoU by every rule, all from the same
probabilities:

``even``      all classes are expected equally
``before``    as often as they are found, in full, or to the power of 0.5 where no strokes were kept apart
``cool``      the same, with a temperature of at most 1
``root``      to the power of 0.5, with a temperature of at most 1
``best``      favoured by what is expected to be best (Nowozin, CVPR 2014)
``best cool`` the same with a temperature of at most 1
``now``       half of that: what a training does
``truth``     as often as they are in the scored images, and ``truth best`` favoured too: not known to anybody
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import ablation
import numpy as np
import torch
from ablation import paint, split_training
from honesty import as_classes
from skimage.measure import label

from napari_sslseg import calibration, decision, metrics, outlook, seen, validation
from napari_sslseg import segmenter as segmenters
from napari_sslseg.annotation import Annotation
from napari_sslseg.calibration import Calibration
from napari_sslseg.finetuning import finetune
from napari_sslseg.image import Image
from napari_sslseg.job import Stop, run
from napari_sslseg.magnify import magnify
from napari_sslseg.runtime import Runtime
from napari_sslseg.settings import FinetuneConfig, PredictConfig, RuntimeConfig

PIXELS, PLANES, ERRORS = 30000, 9, 3  # that are scored of a plane or stack, planes or stacks, errors in a round


def trained_plainly(images, labels, config: FinetuneConfig, seed: int):
    """A segmenter with the temperature that strokes tell, and nothing favoured; what it says of pixels anywhere."""
    pairs = [(images[k], Annotation(drawn)) for k, drawn in labels.items()]
    pool = [i for k, i in images.items() if k not in labels]
    kept = seen.temperature, validation.favour
    seen.temperature = lambda *said, most: calibration.temperature(*said)
    validation.favour = lambda believed: (1.0,) * believed.shape[1]
    try:
        trained = run(finetune(pairs, config, unlabelled=pool, runtime=RuntimeConfig(seed=seed)))
    finally:
        seen.temperature, validation.favour = kept
    segmenter = segmenters.load(trained, Runtime.make(RuntimeConfig()))
    times = int(trained.config["magnification"])
    every = [magnify(i, times) for i in [*(images[k] for k in labels), *pool]]
    return trained, segmenter, run(outlook.look(segmenter, every, np.random.default_rng(9), Stop()))


def rules(anywhere: outlook.Outlook, share: float, told: float, apart: bool, truth: np.ndarray):
    """The calibration of each rule."""
    count = anywhere.alone.shape[1]
    found = {"even": Calibration(told)}
    for name, heat in (("", told), (" cool", min(told, 1.0))):
        often = anywhere.believed(Calibration(heat), share).mean(0)
        in_full = Calibration(heat, tuple(often))
        logs = decision.best(anywhere.believed(in_full, share))
        found["cool" if name else "before"] = replace(in_full, prior=tuple(often ** (1.0 if apart else 0.5)))
        found["best" + name] = replace(in_full, prior=tuple(often * np.exp(logs)))
    found["root"] = replace(in_full, prior=tuple(often**0.5))
    found["now"] = replace(in_full, prior=tuple(often * decision.favour(anywhere.believed(in_full, share))))
    real = np.maximum(np.bincount(truth, minlength=count + 1)[1:] / len(truth), 1e-3)
    known = Calibration(in_full.temperature, tuple(real))
    logs = decision.best(anywhere.believed(known, share))
    return {**found, "truth": known, "truth best": replace(known, prior=tuple(real * np.exp(logs)))}


def said_of(segmenter, trained, image: Image, zs: tuple[int, ...], share: float):
    """(K, Z, Y, X) even probabilities, and what they are multiplied by for their places."""
    plain, atlas = segmenter.calibration, segmenter.atlas
    segmenter.calibration, segmenter.atlas = Calibration(), None
    (even,) = ablation.probabilities(segmenter, trained, image, zs, PredictConfig(flips=False), {"score": share})
    segmenter.calibration, segmenter.atlas = plain, atlas
    rows, columns = (range(n) for n in image.shape[-2:])
    return even, np.ones_like(even) if atlas is None else atlas.over(image.shape, zs, rows, columns)


def row(
    task, images, labels, score_on, config: FinetuneConfig, seed: int, look_at=None
) -> tuple[dict, np.ndarray | None]:
    """Train, and score all rules; the mask of one more plane by the rule that a training follows."""
    trained, segmenter, anywhere = trained_plainly(images, labels, config, seed)
    share, values = float(trained.config.get("pixel_share", 0.0)), np.asarray(trained.config["values"])
    even, places, truth = [], [], []
    for id, z in score_on[:PLANES]:
        true = (task.truth(id) if z is None else task.truth(id)[z]).ravel()
        zs = tuple(range(images[str(id)].planes)) if z is None else (z,)
        step = max(1, len(true) // PIXELS)
        for known, maps in zip((even, places), said_of(segmenter, trained, images[str(id)], zs, share), strict=True):
            known.append(maps.reshape(len(maps), -1)[:, ::step].T)
        truth.append(np.searchsorted(values, true[::step]) + 1)
    said, where, true = torch.from_numpy(np.concatenate(even)), np.concatenate(places), np.concatenate(truth)
    told, apart = segmenter.calibration.temperature, trained.history["held_out"] > 0
    ways = rules(anywhere, share, told, apart, true)
    found: dict = {"temperature": round(told, 3), "own": trained.history["score"], "iou": {}, "calibration_error": {}}
    for name, way in ways.items():
        weighed = way(said).numpy() * where
        ious = metrics.count([((weighed.argmax(1) + 1).astype(np.uint8), true.astype(np.uint8))]).iou()
        found["iou"][name] = round(float(np.mean(list(ious.values()))), 4)
        if name in ("before", "cool"):
            error = metrics.calibration_error(weighed / weighed.sum(1, keepdims=True), true - 1)
            found["calibration_error"][name] = round(error, 4)
    if look_at is None:
        return found, None
    id, z = look_at
    even_there, where_there = said_of(segmenter, trained, images[str(id)], (z or 0,), share)
    weighed = ways["now"](torch.from_numpy(even_there[None])).numpy()[0] * where_there
    return found, values[weighed.argmax(0)][0]


def completely(task, drawn):
    """The whole truth of planes with strokes."""
    found = {}
    for id, labels in drawn.items():
        truth = task.truth(id).astype(np.uint16)
        found[id] = truth * labels.any((-2, -1), keepdims=True) if labels.ndim == 3 else truth
    return found


def study(fewlabel, task, kind: str, seed: int, rounds: int, config: FinetuneConfig) -> Iterator[dict]:
    """One line a training."""
    images, drawn, score_on = paint(fewlabel, task, "few" if kind in ("few", "dense") else "tiny", seed)
    if kind != "correct":
        labels = completely(task, drawn) if kind == "dense" else drawn
        yield row(task, images, {str(k): v for k, v in labels.items()}, score_on, config, seed)[0]
        return
    looked_at, rng = task.plan("few", seed)[1], np.random.default_rng(seed + 7)
    images |= {str(i): Image.from_array(task.image(i), name=str(i)) for i, _ in looked_at if str(i) not in images}
    for number in range(rounds + 1):
        id, z = looked_at[number % len(looked_at)]
        named = {str(k): v for k, v in drawn.items()}
        found, mask = row(task, images, named, score_on, config, seed, (id, z))
        yield {"round": number, **found}
        truth, at = task.truth(id), slice(None) if z is None else z
        plane = drawn.setdefault(id, np.zeros(truth.shape, np.uint16))[at]
        wrong = label((mask != truth[at]) * truth[at].astype(int), background=0)
        for k in np.argsort(np.bincount(wrong.ravel())[1:])[::-1][:ERRORS] + 1:
            on = fewlabel.stroke(wrong == k, int(np.clip(min(wrong.shape) / 12, 8, 40)), rng)
            plane[on] = truth[at][on]


def main() -> None:
    """Write the lines that are not in the file yet."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--bench", type=Path, required=True, help="folder of fewlabel.py")
    p.add_argument("--tasks", required=True)
    p.add_argument("--kinds", default="few")
    p.add_argument("--seeds", type=int, default=2)
    p.add_argument("--first", type=int, default=0, help="the first of them")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--steps", type=int, default=60)
    p.add_argument("--start", default="starter")
    p.add_argument("--foreground", action="store_true", help="objects as one class")
    p.add_argument("--out", type=Path, required=True)
    options = p.parse_args()
    sys.path.insert(0, str(options.bench))
    import fewlabel

    lines = [json.loads(line) for line in options.out.read_text().splitlines()] if options.out.exists() else []
    done = {(d["task"], d["kind"], d["seed"]) for d in lines}
    config = FinetuneConfig(start=options.start, steps=options.steps)
    for seed in range(options.first, options.first + options.seeds):
        for name in options.tasks.split(","):
            for kind in options.kinds.split(","):
                if (name, kind, seed) not in done:
                    task = split_training(fewlabel, options.bench.parent / "data" / name)
                    task = as_classes(task) if options.foreground else task
                    for found in study(fewlabel, task, kind, seed, options.rounds, config):
                        with options.out.open("a") as file:
                            file.write(json.dumps({"task": name, "kind": kind, "seed": seed, **found}) + "\n")


if __name__ == "__main__":
    main()
