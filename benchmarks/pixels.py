"""Ablation of the pixel classifier on the training images alone, in five studies.

    python benchmarks/pixels.py --bench ../shared/bench --tasks em_vnc_sstem,cyto_wbc --seeds 2 --study strides
    python benchmarks/pixels.py --bench ../shared/bench --tasks em_vnc_sstem,cyto_wbc --seeds 2 --study frequencies
    python benchmarks/pixels.py --bench ../shared/bench --tasks mri_hippocampus,cyto_wbc --seeds 3 --study places
    python benchmarks/pixels.py --bench ../shared/bench --tasks em_vnc_sstem,cyto_wbc --seeds 2 --study live
    python benchmarks/pixels.py --bench ../shared/bench --tasks em_axon_sem,cyto_wbc --seeds 2 --study moves

``strides``: mean IoU by coarsest stride and by how it is learnt, of images as they are. ``frequencies``: mean IoU with
and without halved images, and by what is made of class frequencies, which are found on the pixels to score on without
their labels; the temperature comes from the strokes that training would keep apart. ``live``: mean IoU and seconds of
learning by the kind of classifier and by how long it learns, for feedback while painting. ``moves``: mean IoU by how
far pixels are moved from the look of one image towards that of another, with all strokes, and with those that one has
after a correction or two: three of each class in one image, one or two of some classes in one or two others.

Needs no training of a network: what is known of labelled pixels and of some thousand others is read once a task and
seed, and each variant is learnt from it in seconds. Objects are scored as foreground. Prints one line of JSON a cell.
"""

import argparse
import itertools
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from ablation import paint, split_training

from napari_sslseg import atlas, calibration, linear, model, pixel_classifier, styles
from napari_sslseg import hidden as hidden_layer
from napari_sslseg.annotation import Annotation
from napari_sslseg.image import Image
from napari_sslseg.job import Stop
from napari_sslseg.labelled import collect
from napari_sslseg.magnify import magnification, magnify, magnify_labels
from napari_sslseg.patches import Place, cut
from napari_sslseg.pixel_classifier import PixelClassifier
from napari_sslseg.runtime import Runtime
from napari_sslseg.settings import FinetuneConfig, RuntimeConfig
from napari_sslseg.strokes import hold_out

PIXELS = 20000  # read of all scored planes of an image
POOL, LOOKED = 12, 1500  # images of which pixels without a label are read, and how many of each
MOVES = (0.0, 1.0, 1.5, 2.0, 3.0)
CORRECTIONS = 6  # draws of strokes
LIVE = [(150, 512, 1e-3, 0.5), (60, 512, 1e-3, 0.5), (60, 512, 3e-3, 0.5), (60, 256, 3e-3, 0.5), (30, 512, 3e-3, 0.5)]
PENALTIES = (3e-2, 1e-2, 3e-3, 1e-3, 3e-4)
LEARNT = {"long": (400, 3e-3, 0.2), "short": (100, 1e-3, 0.2), "dropped": (150, 1e-3, 0.5)}  # steps, rate, dropout


class Bench:
    """Labelled pixels of one task and seed, and those to score on.

    Parameters
    ----------
    fewlabel : module
        The benchmark.
    folder : Path
        Task.
    seed : int
        Seed of the strokes.
    """

    def __init__(self, fewlabel, folder: Path, seed: int) -> None:
        task = split_training(fewlabel, folder)
        self.kind = task.kind
        images, labels, score_on = paint(fewlabel, task, "few", seed)
        times = magnification([images[str(i)] for i in labels])
        pairs = [
            (magnify(images[str(i)], times), Annotation(magnify_labels(v, times), task.kind)) for i, v in labels.items()
        ]
        self.labelled = collect(pairs, 0.0)
        rest = [magnify(v, times) for k, v in images.items() if k not in {str(i) for i in labels}]
        self.pool = [*self.labelled.images, *rest][:POOL]
        first = self.labelled.images[0]
        network = model.build("imagenet", "efficientnet_lite0", first.channels, Runtime.make(RuntimeConfig()))
        self.encoder = network.encoder
        numbers = np.random.default_rng(seed)
        self.scored = []
        for name, z in score_on:
            truth, image = task.truth(name), magnify(images[str(name)], times)
            planes = [z] if z is not None else list(range(0, image.planes, 3))
            for plane in planes:
                flat = truth[plane] if truth.ndim == 3 else truth
                size = min(flat.size, PIXELS // len(planes))
                at = np.stack(np.unravel_index(numbers.choice(flat.size, size, replace=False), flat.shape), 1)
                self.scored.append((image, plane, at * times + times // 2, flat[tuple(at.T)]))

    def columns(self, pixels: PixelClassifier) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, np.ndarray]:
        """Read what is known of the labelled pixels and of those to score on, each plane once.

        The labelled pixels are in the order of `strokes`.
        """
        known, targets = [], []
        for (number, z), group in itertools.groupby(self.strokes, key=lambda s: (s.image, s.z)):
            points = np.concatenate([s.points for s in group])
            known.append(read(pixels, self.labelled.images[number], z, points))
            targets.append(self.labelled.targets[number][z][tuple(points.T)].astype(np.int64) - 1)
        looked = torch.cat([read(pixels, image, z, at) for image, z, at, _ in self.scored])
        truth = np.concatenate([t for *_, t in self.scored])
        return torch.cat(known), torch.from_numpy(np.concatenate(targets)), looked, truth

    @property
    def strokes(self) -> list:
        """All strokes, those of a plane together."""
        return sorted(self.labelled.train, key=lambda s: (s.image, s.z))


def read(pixels: PixelClassifier, image: Image, z: int, points: np.ndarray) -> torch.Tensor:
    """Columns of pixels of one plane, read from the whole plane at once."""
    side = -(-max(image.shape[-2:]) // 64) * 64
    crop = torch.from_numpy(cut(image, Place(0, z, 0, 0, side)))[None]
    return pixels.columns(crop, points)


def chances(pixels, looked: torch.Tensor) -> torch.Tensor:
    """(N, K) probabilities."""
    with torch.no_grad():
        hidden = torch.relu(pixels.hidden((looked - pixels.mean) / pixels.std))
        return pixels.output(hidden).softmax(1)


def score(chance: np.ndarray, truth: np.ndarray, values: tuple[int, ...], kind: str) -> float:
    """Mean IoU over the classes, or of background and foreground."""
    if kind == "instance":
        found, truth = np.where(chance[:, 0] < 0.5, 2, 1), np.minimum(truth, 2)
    else:
        found = np.asarray(values)[chance.argmax(1)]
    ious = [((found == c) & (truth == c)).sum() / ((found == c) | (truth == c)).sum() for c in np.unique(truth)]
    return float(np.mean(ious))


def strides(bench: Bench, seed: int):
    """Rows of the first study."""
    everything = bench.columns(make(bench, 32))
    for coarsest in (8, 16, 32):
        pixels = make(bench, coarsest)
        known, targets, looked, truth = everything
        maps = sum(pixels.sizes[:-1])  # the coarser maps lie between them and the filter bank
        known, looked = (torch.cat([v[:, :maps], v[:, -pixels.sizes[-1] :]], 1) for v in (known, looked))
        for name, settings in LEARNT.items():
            pixel_classifier.STEPS, pixel_classifier.RATE, pixel_classifier.DROP = settings
            torch.manual_seed(seed)
            pixels.fit(known, targets, Stop())
            found = score(chances(pixels, looked).numpy(), truth, bench.labelled.values, bench.kind)
            yield {"coarsest": coarsest, "learnt": name, "mean_iou": round(found, 4)}


def frequencies(bench: Bench, seed: int):
    """Rows of the second study."""
    _, apart = hold_out(bench.labelled.train, FinetuneConfig.hold_out)
    hidden = {id(s) for s in apart}
    left_out = torch.from_numpy(np.concatenate([np.full(len(s.points), id(s) in hidden) for s in bench.strokes]))
    for reductions in ((1,), (1, 2)):
        pixels = make(bench, pixel_classifier.COARSEST, reductions)
        known, targets, looked, truth = bench.columns(pixels)
        torch.manual_seed(seed)
        pixels.fit(known[~left_out], targets[~left_out], Stop())
        even, seen = chances(pixels, looked), chances(pixels, known[left_out])
        fitted = calibration.temperature(seen.numpy(), targets[left_out].numpy(), len(apart)) if apart else 1.0
        for temperature, weight in itertools.product((1.0, fitted), (0.0, 0.5, 1.0)):
            frequent = calibration.Calibration(temperature)(even).mean(0)
            used = calibration.Calibration(temperature, tuple((frequent**weight).tolist()))
            found = score(used(even).numpy(), truth, bench.labelled.values, bench.kind)
            row = {"reductions": reductions, "fitted": temperature == fitted, "temperature": round(temperature, 3)}
            yield {**row, "frequencies": weight, "mean_iou": round(found, 4)}


def places(bench: Bench, seed: int):
    """Rows of the third study."""
    pixels = make(bench, pixel_classifier.COARSEST, pixel_classifier.REDUCTIONS)
    known, targets, looked, truth = bench.columns(pixels)
    torch.manual_seed(seed)
    pixels.fit(known, targets, Stop())
    even, labelled = chances(pixels, looked).numpy(), bench.labelled
    where = [atlas.relative(np.insert(at, 0, z, 1), image.shape) for image, z, at, _ in bench.scored]
    strokes, values = bench.strokes, sorted({s.value for s in bench.strokes})

    def found(chance: np.ndarray) -> float:
        frequent = chance.mean(0) if bench.kind == "semantic" else 1.0
        chance = chance * frequent
        return round(score(chance / chance.sum(1, keepdims=True), truth, labelled.values, bench.kind), 4)

    yield {"ridge": None, "mean_iou": found(even)}
    for ridge, power in itertools.product((0.01, 0.03, 0.1), (0.7, 1.0)):
        atlas.RIDGE, atlas.POWER = ridge, power
        gains = [round(g, 3) for g in atlas.gains(strokes, labelled.images, values)]
        row = {"ridge": ridge, "power": power, "gains": gains}
        if bench.kind == "semantic":
            placed = even * atlas.fit(strokes, labelled.images, values).at(np.concatenate(where))
            row["mean_iou"] = found(placed / placed.sum(1, keepdims=True))
        yield row


def live(bench: Bench, seed: int):
    """Rows of the fourth study."""
    pixels = make(bench, pixel_classifier.COARSEST, pixel_classifier.REDUCTIONS)
    known, targets, looked, truth = bench.columns(pixels)
    values, kind = bench.labelled.values, bench.kind
    for width, (steps, batch, rate, drop) in itertools.product((64, 32), LIVE):
        hidden_layer.WIDTH, pixel_classifier.STEPS, pixel_classifier.BATCH = width, steps, batch
        pixel_classifier.RATE, pixel_classifier.DROP = rate, drop
        classifier = make(bench, pixel_classifier.COARSEST, pixel_classifier.REDUCTIONS)
        torch.manual_seed(seed)
        began = time.perf_counter()
        classifier.fit(known, targets, Stop())
        took = time.perf_counter() - began
        found = score(chances(classifier, looked).numpy(), truth, values, kind)
        row = {"head": f"{width} units", "steps": steps, "batch": batch, "rate": rate, "drop": drop}
        yield {**row, "pixels": len(known), "seconds": round(took, 3), "mean_iou": round(found, 4)}
    for penalty in PENALTIES:
        began = time.perf_counter()
        head = linear.fit(known.numpy(), targets.numpy(), len(values), penalty=penalty)
        took = time.perf_counter() - began
        even = torch.from_numpy(head(looked.numpy())).softmax(1)
        prior = calibration.Calibration(prior=tuple(even.mean(0).tolist()))
        found = [score(c.numpy(), truth, values, kind) for c in (even, prior(even))]
        row = {"head": "linear", "penalty": penalty, "pixels": len(known), "seconds": round(took, 3)}
        yield {**row, "mean_iou": round(found[0], 4), "with_frequencies": round(found[1], 4)}
    for name, other in others(seed).items():
        began = time.perf_counter()
        other.fit(known.numpy(), targets.numpy())
        took = time.perf_counter() - began
        found = score(other.predict_proba(looked.numpy()), truth, values, kind)
        yield {"head": name, "pixels": len(known), "seconds": round(took, 3), "mean_iou": round(found, 4)}


def others(seed: int) -> dict:
    """Classifiers of scikit-learn by name."""
    from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier

    return {
        "boosted trees": HistGradientBoostingClassifier(max_iter=50, class_weight="balanced", random_state=seed),
        "extra trees": ExtraTreesClassifier(100, min_samples_leaf=5, class_weight="balanced", random_state=seed),
    }


def moves(bench: Bench, seed: int):
    """Rows of the fifth study."""
    pixels = make(bench, pixel_classifier.COARSEST, pixel_classifier.REDUCTIONS)
    known, targets, looked, truth = bench.columns(pixels)
    numbers = np.random.default_rng(seed + 99)
    further, of = anywhere(bench, pixels, numbers)
    image = torch.cat([torch.full((len(s.points),), s.image) for s in bench.strokes])
    for name, used in {"all": torch.ones(len(known), dtype=torch.bool), **corrections(bench, numbers)}.items():
        row = {"strokes": name}
        for far in MOVES:
            styles.MOVED = far
            torch.manual_seed(seed)
            pixels.fit(known[used], targets[used], Stop(), styles.Others(further, of, image[used]))
            chance = chances(pixels, looked).numpy()
            chance = chance * (chance.mean(0) if bench.kind == "semantic" else 1.0)
            chance /= chance.sum(1, keepdims=True)
            row[f"moved {far}"] = round(score(chance, truth, bench.labelled.values, bench.kind), 4)
        yield row


def anywhere(bench: Bench, pixels: PixelClassifier, numbers: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Columns of pixels without a label, and which image each is of."""
    found = []
    for image in bench.pool:
        planes = numbers.permutation(image.planes)[:3]
        points = [[numbers.integers(0, n, LOOKED // len(planes)) for n in image.shape[-2:]] for _ in planes]
        found.append(
            torch.cat([read(pixels, image, int(z), np.stack(p, 1)) for z, p in zip(planes, points, strict=True)])
        )
    return torch.cat(found), torch.arange(len(found)).repeat_interleave(torch.tensor([len(f) for f in found]))


def corrections(bench: Bench, numbers: np.random.Generator) -> dict[str, torch.Tensor]:
    """Which labelled pixels there are after a correction or two."""
    strokes, found = bench.strokes, {}
    owner = np.repeat(np.arange(len(strokes)), [len(s.points) for s in strokes])
    values, images = bench.labelled.values, sorted({s.image for s in strokes})
    for draw in range(CORRECTIONS if len(images) > 1 else 0):
        chosen: list[int] = []
        for k, image in enumerate(numbers.permutation(images)[: 3 - draw % 2]):
            some = numbers.permutation(values)[: max(1, numbers.integers(1, len(values)))] if k else values
            for value in some:
                here = [n for n, s in enumerate(strokes) if (s.image, s.value) == (image, value)]
                chosen += numbers.permutation(here)[: numbers.integers(1, 3) if k else 3].tolist()
        if {strokes[n].value for n in chosen} == set(values):
            found[f"corrected {draw}"] = torch.from_numpy(np.isin(owner, chosen))
    return found


def make(bench: Bench, coarsest: int, reductions: tuple[int, ...] = (1,)) -> PixelClassifier:
    """Build a classifier of maps up to a stride, in pixels of the network."""
    pixel_classifier.COARSEST = coarsest
    return PixelClassifier(bench.encoder, len(bench.labelled.values), reductions=reductions)


STUDIES = {"strides": strides, "frequencies": frequencies, "places": places, "live": live, "moves": moves}


def main() -> None:
    """Run all cells."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--bench", type=Path, required=True, help="folder of fewlabel.py")
    p.add_argument("--tasks", required=True)
    p.add_argument("--seeds", type=int, default=2)
    p.add_argument("--study", choices=tuple(STUDIES), default="frequencies")
    options = p.parse_args()
    sys.path.insert(0, str(options.bench))
    import fewlabel

    study = STUDIES[options.study]
    for seed, task in itertools.product(range(options.seeds), options.tasks.split(",")):
        bench = Bench(fewlabel, options.bench.parent / "data" / task, seed)
        for row in study(bench, seed):
            print(json.dumps({"task": task, "seed": seed, **row}), flush=True)


if __name__ == "__main__":
    main()
