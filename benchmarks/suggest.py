"""Where to paint next: what suggested parts of images are worth, on the training images alone.

    python benchmarks/suggest.py --bench ../shared/bench --tasks em_vnc_sstem,cyto_wbc --seeds 5 --size 128

A user paints a stroke of each class that is there in each of four parts, learns (live mode's classifier over the frozen
encoder), and paints in four more, three times. The first four parts (``start``) are drawn at random, or typical; the
further ones (``way``) are those of which each class is unsure (``classes``), the most unsure ones (``entropy``), or
drawn at random among those in which most is found that is not background (``foreground``), or among all (``random``).
Prints one line of JSON a task, seed and way: mean IoU after 4, 8, 12 and 16 parts.
"""

import argparse
import itertools
import json
import sys
from pathlib import Path

import numpy as np
from ablation import split_training

from napari_sslseg import linear, model, suggesting
from napari_sslseg.image import Image
from napari_sslseg.job import Stop, run
from napari_sslseg.live import Live, Where, _around, _tiles
from napari_sslseg.magnify import magnification, magnify
from napari_sslseg.overlay import Box
from napari_sslseg.runtime import Runtime
from napari_sslseg.settings import FinetuneConfig, RuntimeConfig
from napari_sslseg.uncertainty import Uncertainty

PLANES, SIDE, PARTS, ROUNDS = 8, 768, 4, 3  # planes to paint on and to score on, and the greatest side of them
STARTS, WAYS = ("random", "typical"), ("classes", "entropy", "foreground", "random")


class Bench:
    """Planes to paint on and planes to score on, each described once."""

    def __init__(self, fewlabel, folder: Path, size: int) -> None:
        task, self.fewlabel, self.size = split_training(fewlabel, folder), fewlabel, size
        pool, _, score_on = task.plan("few", 0)
        ids = [i for i in pool if i not in {s for s, _ in score_on}] or pool
        count = len(task.truth(ids[0])) if task.truth(ids[0]).ndim == 3 else 1
        held = {(i, z) for i, z in score_on}
        last = min((z for i, z in score_on if i in ids and z is not None), default=count)
        every = [(i, z) for i in ids for z in (range(min(count, last)) if count > 1 else [None]) if (i, z) not in held]
        chosen = [every[k] for k in np.linspace(0, len(every) - 1, min(PLANES, len(every))).astype(int)]
        self.times = magnification([Image.from_array(task.image(i)) for i, _ in chosen[:1]])
        self.planes = [self.plane(task, i, z) for i, z in chosen]
        scored = [(i, z) for i, z in score_on for z in ([z] if z is not None or count == 1 else range(0, count, 4))]
        self.scored = [self.plane(task, i, z) for i, z in scored[:PLANES]]
        machine = Runtime.make(RuntimeConfig())
        start = model.resolve(FinetuneConfig.start, FinetuneConfig.encoder)
        encoder = model.build(start, FinetuneConfig.encoder, self.planes[0][0].channels, machine).encoder
        self.live = Live(encoder, machine, self.times)
        self.values = np.unique(np.concatenate([np.unique(t) for _, t in self.planes]))

    def plane(self, task, id, z):
        """An image of one plane and its truth, cut to size."""
        whole = Image.from_array(task.image(id), name=f"{id}-{z}")
        pixels, truth = np.asarray(whole.data), task.truth(id)
        if z is not None and truth.ndim == 3:
            pixels, truth = pixels[:, z], truth[z]
        cut = np.s_[..., :SIDE, :SIDE]
        return magnify(Image(pixels[cut], name=f"{id}-{z}"), self.times), truth[cut]

    def parts(self):
        """All parts on a grid: plane and box."""
        for k, (_, truth) in enumerate(self.planes):
            size = (min(self.size, truth.shape[0]), min(self.size, truth.shape[1]))
            for y, x in itertools.product(*(range(0, n - s + 1, s) for n, s in zip(truth.shape, size, strict=True))):
                yield k, Box(y, x, y + size[0], x + size[1])

    def maps(self, number: int, planes) -> np.ndarray:
        """(K, Y, X) probabilities of a plane."""
        image = planes[number][0]
        box = Box(0, 0, *image.shape[-2:])
        run(self.live.look(image, Where(image.name, 0), box, Stop()))
        found = self.live.probabilities(image, Where(image.name, 0), box)
        t = self.times
        return found.reshape(len(found), found.shape[1] // t, t, found.shape[2] // t, t).mean((2, 4))

    def described(self, parts) -> np.ndarray:
        """Means and spreads of what is known of some pixels of each part."""
        rows = []
        for k, box in parts:
            image = self.planes[k][0]
            y, x = np.mgrid[box.top : box.bottom : 8, box.left : box.right : 8].reshape(2, -1)
            known = self.columns(image, np.stack([y, x], 1))
            rows.append(np.concatenate([known.mean(0), known.std(0)]))
        return np.array(rows)

    def columns(self, image: Image, points: np.ndarray) -> np.ndarray:
        """What is known of pixels of a plane."""
        live, where = self.live, Where(image.name, 0)
        points = points * self.times + self.times // 2
        known = np.zeros((len(points), 0), np.float32)
        for tile in _tiles(image.shape[-2:], Box(0, 0, *image.shape[-2:])):
            y, x = points.T
            here = (y >= tile.top) & (y < tile.bottom) & (x >= tile.left) & (x < tile.right)
            if here.any():
                corner = np.array(_around(tile, image.shape[-2:])[:2])
                found = live._columns(live._maps(image, where, tile), points[here] - corner)
                if not known.shape[1]:
                    known = np.zeros((len(points), found.shape[1]), np.float32)
                known[here] = found
        return known

    def paint(self, painted: dict, part, rng) -> None:
        """A stroke of each class that is there."""
        k, box = part
        at = np.s_[box.top : box.bottom, box.left : box.right]
        truth = self.planes[k][1][at]
        drawn = self.fewlabel.annotate_plane(truth, "semantic", 1, 0, rng)
        labels = painted.setdefault(k, np.zeros(self.planes[k][1].shape, np.uint16))
        labels[at] = np.where(drawn > 0, drawn, labels[at])

    def learn(self, painted: dict) -> float:
        """Learn from what is painted; mean IoU on the planes to score on."""
        known, targets = [], []
        for k, labels in painted.items():
            points = np.argwhere(labels)
            known.append(self.columns(self.planes[k][0], points))
            targets.append(np.searchsorted(self.values, labels[tuple(points.T)]))
        self.live.classes = len(self.values)
        self.live.head = linear.fit(np.concatenate(known), np.concatenate(targets), len(self.values))
        found = [self.values[self.maps(k, self.scored).argmax(0)] for k in range(len(self.scored))]
        truths = [t for _, t in self.scored]
        return self.fewlabel.mean_iou(list(zip(found, truths, strict=True)), int(self.values.max()))["score"]

    def next(self, way: str, painted: dict, rng, seed: int):
        """The next parts."""
        free = [(k, b) for k, b in self.parts() if not _share(painted, k, b) > suggesting.PAINTED]
        if way == "random":
            return [free[int(i)] for i in rng.permutation(len(free))[:PARTS]]
        probabilities = [self.maps(k, self.planes) for k in range(len(self.planes))]
        if way == "foreground":
            share = [np.mean(probabilities[k][0, b.top : b.bottom, b.left : b.right] < 0.5) for k, b in free]
            most = [free[i] for i in np.argsort(share)[len(free) // 2 :]]
            return [most[int(i)] for i in rng.permutation(len(most))[:PARTS]]
        if way == "entropy":
            logs = [-(p * np.log(np.maximum(p, 1e-6))).sum(0) for p in probabilities]
            unsure = [logs[k][b.top : b.bottom, b.left : b.right].mean() for k, b in free]
            return [free[i] for i in np.argsort(unsure)[::-1][:PARTS]]
        known, marked, shapes = {}, {}, {}
        for k, p in enumerate(probabilities):
            shapes[str(k)] = p.shape[1:]
            known[str(k)] = Uncertainty.empty(len(p), p.shape[1:])
            known[str(k)].add(0, 0, p)
            marked[str(k)] = np.zeros(known[str(k)].pixels.shape[1:], np.float32)
            y, x = np.nonzero(painted.get(k, np.zeros((1, 1))))
            np.add.at(marked[str(k)][0], (y // 32, x // 32), 1 / 32**2)
        found = suggesting.unsure(known, shapes, marked, PARTS, self.size, seed)
        return [(int(s.image), s.box) for s in found]


def _share(painted: dict, k: int, box: Box) -> float:
    return float((painted[k][box.top : box.bottom, box.left : box.right] > 0).mean()) if k in painted else 0.0


def rows(bench: Bench, seed: int):
    """One a start and way."""
    every = list(bench.parts())
    for start in STARTS:
        rng = np.random.default_rng(seed)
        if start == "typical":
            drawn = [every[int(i)] for i in rng.permutation(len(every))[:120]]
            first = [drawn[k] for k, _ in suggesting.typical(bench.described(drawn).astype(float), PARTS, seed)]
        else:
            first = [every[int(i)] for i in rng.permutation(len(every))[:PARTS]]
        for way in WAYS:
            rng, painted = np.random.default_rng(seed + 100), {}
            for part in first:
                bench.paint(painted, part, rng)
            found = [bench.learn(painted)]
            for turn in range(ROUNDS):
                for part in bench.next(way, painted, rng, seed + turn):
                    bench.paint(painted, part, rng)
                found.append(bench.learn(painted))
            yield {"start": start, "way": way, "mean_iou": [round(v, 4) for v in found]}


def main() -> None:
    """Run all cells."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--bench", type=Path, required=True, help="folder of fewlabel.py")
    p.add_argument("--tasks", required=True, help="semantic tasks")
    p.add_argument("--seeds", type=int, default=3)
    p.add_argument("--size", type=int, default=128, help="side of a part in pixels")
    options = p.parse_args()
    sys.path.insert(0, str(options.bench))
    import fewlabel

    for task in options.tasks.split(","):
        bench = Bench(fewlabel, options.bench.parent / "data" / task, options.size)
        for seed in range(options.seeds):
            for row in rows(bench, seed):
                print(json.dumps({"task": task, "seed": seed, **row}), flush=True)


if __name__ == "__main__":
    main()
