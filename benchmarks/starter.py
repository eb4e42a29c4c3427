"""Train the starter network that comes with the package: ImageNet weights, continued on images of many modalities.

    python benchmarks/starter.py --data ../shared/data --corpus ../shared/corpus --steps 3000 --out starter.safetensors
    python benchmarks/starter.py ... --without bf_dsb2018,phase_usiigaci,em_axon_sem --out fold-a.safetensors
    python benchmarks/starter.py ... --minutes 7.6 --times 4 --scenes 24 --workers 4 --out long.safetensors  # on a GPU
    python benchmarks/starter.py --average starter.safetensors,long.safetensors --out mean.safetensors

Three things are learnt at once, from the training images alone of the data sets whose licences permit weights trained
on them, and from the unlabelled corpus: to tell background, core and contour of objects (and axon and myelin) where
they are labelled; to restore corrupted crops of the corpus; and to predict, from those corrupted crops, the maps that
the ImageNet encoder makes of the clean ones, so that what it knew is not forgotten. Objects are shown at many sizes.
``--scenes`` adds so many drawn ones to the labelled crops of each step (``shapes.py``).
``--average`` trains nothing, and gives the mean of such weights (model soups, Wortsman et al. 2022).
``--without`` leaves data sets out, to measure what the starter is worth on data that it never saw. ``--times`` takes so
many times as many crops a step; ``--workers`` processes cut them out.
"""

import argparse
import csv
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import torch
import torch.nn.functional as F
from PIL import Image as Picture
from shapes import Scenes
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from napari_sslseg import augment, instances, model
from napari_sslseg.checkpoint import Checkpoint
from napari_sslseg.corruption import corrupted, restoration
from napari_sslseg.image import Image
from napari_sslseg.job import Progress, Stop
from napari_sslseg.loop import Schedule, Training, fit
from napari_sslseg.methods import painter
from napari_sslseg.objective import Batch, Objective, freeze_norm, partial_cross_entropy, partial_dice
from napari_sslseg.runtime import Runtime
from napari_sslseg.settings import RuntimeConfig

OBJECTS = ("fluo_dsb2018", "hist_dsb2018", "bf_dsb2018", "phase_usiigaci", "fluo_ovule_nuclei3d")
CLASSES = ("em_axon_sem",)
SIDE = 128
LABELLED, UNLABELLED = 6, 3  # crops a step
DIAMETERS = (7.0, 45.0)  # px: objects are shown with these
ZOOMS = (0.2, 2.5)
RECALL, RESTORE = 1.0, 0.5  # weights of the losses
RATE, ENCODER_RATE = 1e-3, 0.3


class Planes:
    """Labelled planes of one data set, with smaller copies to show them at any size.

    Parameters
    ----------
    folder : Path
        The data set.
    """

    def __init__(self, folder: Path) -> None:
        said = json.loads((folder / "manifest.json").read_text())
        self.objects = said["kind"] == "instance"
        self.images: list[list[Tensor]] = []
        self.labels: list[Tensor] = []
        for item in said["items"]:
            if item.get("split", "train") == "train":
                self._read(folder, item["id"])
        self.inside = [torch.nonzero(v > 1).short() for v in self.labels]
        sizes = [instances.measure([v.numpy()]).median for v in self.labels if self.objects and (v > 1).any()]
        self.diameter = float(2 * np.sqrt(np.median(sizes) / np.pi)) if sizes else 22.0

    def _read(self, folder: Path, name: str) -> None:
        truth = tifffile.imread(folder / "labels" / f"{name}.tif").astype(np.int32) + 1
        image = Image.from_array(tifffile.imread(folder / "images" / f"{name}.tif"), name=name)
        for z in range(0, image.planes, 2):
            plane = torch.from_numpy(image.normalised(z))[None]
            plane = plane.expand(-1, 3, -1, -1) if image.channels == 1 else plane
            self.images.append([plane, F.avg_pool2d(plane, 2), F.avg_pool2d(plane, 4)])
            self.labels.append(torch.from_numpy(truth if truth.ndim == 2 else truth[z]))

    def crop(self, numbers: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Draw a crop: (3, n, n) and its (n, n) classes from 1."""
        chosen = int(numbers.integers(len(self.images)))
        pyramid, labels = self.images[chosen], self.labels[chosen]
        height, width = labels.shape
        wanted = float(np.exp(numbers.uniform(*np.log(DIAMETERS))))
        zoom = float(np.clip(wanted / self.diameter, *ZOOMS))
        found = self.inside[chosen] if numbers.random() < 0.8 else torch.zeros(0, 2)
        middle = found[int(numbers.integers(len(found)))] if len(found) else torch.tensor([height, width]) / 2
        reach = SIDE / zoom / 3
        y, x = (float(m) + numbers.uniform(-reach, reach) for m in middle)
        grid = _grid(y, x, zoom, numbers.uniform(0, 2 * np.pi), (height, width))
        level = 0 if zoom > 0.7 else 1 if zoom > 0.35 else 2
        image = augment.sampled(pyramid[level], grid, "reflection")[0]
        label = F.grid_sample(labels[None, None].float(), grid, "nearest", "zeros", align_corners=False)[0, 0].int()
        if numbers.random() < 0.5:
            image, label = image.flip(-1), label.flip(-1)
        if not self.objects:
            return image, label.long()
        drawn = label.numpy().copy()
        shown = instances.ObjectSize(1.0, np.pi / 4 * (self.diameter * zoom) ** 2)
        return image, torch.from_numpy(instances.to_targets(drawn, instances.contour_width(shown))).long()


def _grid(y: float, x: float, zoom: float, angle: float, size: tuple[int, int]) -> Tensor:
    line = (torch.arange(SIDE) - (SIDE - 1) / 2) / zoom
    down, across = torch.meshgrid(line, line, indexing="ij")
    cos, sin = np.cos(angle), np.sin(angle)
    rows, columns = y + down * cos - across * sin, x + across * cos + down * sin
    return torch.stack([(2 * columns + 1) / size[1] - 1, (2 * rows + 1) / size[0] - 1], -1)[None].float()


def recoloured(image: Tensor, numbers: np.random.Generator) -> Tensor:
    """Show it in other colours, as grey, or as a negative."""
    if numbers.random() < 0.3:
        image = image[numbers.permutation(3).tolist()]
    if numbers.random() < 0.3:
        image = image.mean(0, keepdim=True).expand(3, -1, -1)
    return -image if numbers.random() < 0.3 else image


class Corpus:
    """Unlabelled crops, every modality as often as any other.

    Parameters
    ----------
    folder : Path
        Holds ``MANIFEST.csv``.
    """

    def __init__(self, folder: Path) -> None:
        self.pictures: dict[str, list[np.ndarray]] = {}
        with (folder / "MANIFEST.csv").open() as file:
            for row in csv.DictReader(file):
                pixels = np.asarray(Picture.open(folder / row["file"]))
                self.pictures.setdefault(row["modality"], []).append(pixels)
        self.modalities = sorted(self.pictures)

    def crop(self, numbers: np.random.Generator) -> Tensor:
        """Draw a (3, n, n) crop, 1.5 times as large as those that are seen."""
        pictures = self.pictures[self.modalities[int(numbers.integers(len(self.modalities)))]]
        pixels = pictures[int(numbers.integers(len(pictures)))]
        side = int(SIDE * augment.MARGIN)
        y, x = (int(numbers.integers(n - side + 1)) for n in pixels.shape[:2])
        part = pixels[y : y + side, x : x + side].astype(np.float32)
        part = np.stack([part] * 3, -1) if part.ndim == 2 else part
        part = (part - part.mean((0, 1))) / (part.std((0, 1)) + 1.0)
        return torch.from_numpy(part).permute(2, 0, 1)


class Starter(Objective):
    """Objects, restoration, and what the ImageNet encoder sees.

    Parameters
    ----------
    network : model.Network
        With three classes: background, core, contour.
    before : model.Network
        With the ImageNet encoder, which does not learn.
    """

    def __init__(self, network: model.Network, before: model.Network) -> None:
        super().__init__()
        self.network, self.before = network, [before.encoder.requires_grad_(False).eval()]
        self.axons, self.output = network.pointwise(3), painter(network)
        self.recall = nn.ModuleList(nn.Conv2d(c, c, 1) for c in network.encoder.channels)
        for layer in self.recall:
            nn.init.dirac_(layer.weight)
            nn.init.zeros_(layer.bias)

    def train(self, mode: bool = True) -> "Starter":
        """Keep the statistics of normalisation, so that one network serves all modalities."""
        super().train(mode)
        freeze_norm(self.network.encoder)
        return self

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Compute the losses."""
        images = torch.cat([batch["image"], batch["seen"]])
        maps = self.network.encoder(images)
        features, count = self.network.head(images, maps), len(batch["image"])
        losses = {}
        for name, layer, chosen in (
            ("objects", self.network.classifier, batch["objects"]),
            ("axons", self.axons, ~batch["objects"]),
        ):
            if chosen.any():
                logits, target = layer(features[:count][chosen]), batch["target"][chosen]
                losses[name] = partial_cross_entropy(logits, target) + 0.5 * partial_dice(logits, target)
        losses["restore"] = restoration(self.output(features[count:]), batch["clean"], batch["mask"])
        with torch.no_grad():
            known = self.before[0](batch["clean"])
        each = [
            1 - F.cosine_similarity(layer(now[count:]), then, 1).mean()
            for layer, now, then in zip(self.recall, maps, known, strict=True)
        ]
        losses["recall"] = torch.stack(each[1:]).mean()
        total = losses.get("objects", 0) + 0.5 * losses.get("axons", 0)
        return {"loss": total + RESTORE * losses["restore"] + RECALL * losses["recall"], **losses}

    def groups(self, rate: float) -> list[dict[str, Any]]:
        """Split the weights: the encoder learns more slowly."""
        encoder = list(self.network.encoder.parameters())
        known = {id(p) for p in encoder}
        rest = [p for p in self.parameters() if id(p) not in known]
        return [{"params": rest, "lr": rate}, {"params": encoder, "lr": rate * ENCODER_RATE}]


class Drawn(Dataset):
    """What is shown at each step, a function of the step alone.

    Parameters
    ----------
    sets : list of Planes
        Labelled data sets.
    corpus : Corpus
        Unlabelled crops.
    machine : Runtime
        Gives the random numbers.
    times : int
        As many times the usual crops a step.
    """

    def __init__(self, sets: list[Planes], corpus: Corpus, machine: Runtime, times: int) -> None:
        self.sets, self.corpus, self.machine, self.times = sets, corpus, machine, times

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        """Draw the crops of a step, on the CPU."""
        numbers = self.machine.numbers(1, step)
        drawn = [self.sets[int(numbers.integers(len(self.sets)))] for _ in range(LABELLED * self.times)]
        made = [s.crop(numbers) for s in drawn]
        with self.machine.thread_numbers(2, step):
            images = augment.intensity(torch.stack([recoloured(m[0], numbers) for m in made]), 1.3)
            crops = torch.stack([self.corpus.crop(numbers) for _ in range(UNLABELLED * self.times)])
            clean = augment.Geometry(SIDE).images(crops)
            seen, mask = corrupted(clean)
        found = {"image": images, "target": torch.stack([m[1] for m in made]), "seen": seen, "clean": clean}
        return found | {"mask": mask, "objects": torch.tensor([s.objects for s in drawn])}


def batches(drawn: Drawn, workers: int, scenes: int) -> Callable[[int], Batch]:
    """Batches by step; of several workers they come in the order in which they are asked for."""
    drawing = Scenes(SIDE, drawn.machine.device)
    coming: Iterator[Batch] | None = None
    if workers:
        coming = iter(DataLoader(drawn, None, sampler=range(10**7), num_workers=workers, prefetch_factor=4))
    lock = threading.Lock()

    def batch(step: int) -> Batch:
        if coming is None:
            found = drawn[step]
        else:
            with lock:
                found = dict(next(coming))
        found = {k: drawn.machine.place(v) for k, v in found.items()}
        if scenes:
            with lock:
                more = drawing.draw(scenes, drawn.machine.seed * 10**7 + step)
            found |= {k: torch.cat([found[k], v]) for k, v in more.items()}
        return found

    return batch


def average(paths: list[Path]) -> Checkpoint:
    """The mean of networks that began with the same weights."""
    each = [Checkpoint.load(path) for path in paths]
    sums = {k: sum(c.weights[k].float() for c in each) for k in each[0].weights}
    weights = {k: (v / len(each)).half() for k, v in sums.items()}
    said = {**each[0].config, "starter": {"average": [c.config.get("starter") for c in each]}}
    return Checkpoint(weights, said, {"steps": sum(c.history["steps"] for c in each)})


def main() -> None:
    """Train and write."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", type=Path)
    p.add_argument("--corpus", type=Path)
    p.add_argument("--without", default="", help="data sets to leave out")
    p.add_argument("--steps", type=int)
    p.add_argument("--minutes", type=float, default=40.0, help="length, where no steps are given")
    p.add_argument("--times", type=int, default=1, help="as many times the usual crops a step")
    p.add_argument("--scenes", type=int, default=0, help="drawn crops a step")
    p.add_argument("--workers", type=int, default=0, help="processes that cut out crops")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--average", type=lambda text: [Path(t) for t in text.split(",")], help="files, instead of training")
    p.add_argument("--out", type=Path, required=True)
    options = p.parse_args()
    if options.average:
        average(options.average).save(options.out)
        return
    if not (options.data and options.corpus):
        p.error("--data and --corpus are needed")
    left_out = options.without.split(",")
    sets = [Planes(options.data / name) for name in (*OBJECTS, *CLASSES) if name not in left_out]
    machine = Runtime.make(RuntimeConfig(seed=options.seed))
    batch = batches(Drawn(sets, Corpus(options.corpus), machine, options.times), options.workers, options.scenes)
    network = model.build("imagenet", "efficientnet_lite0", 3, machine, 3)
    objective = Starter(network, model.build("imagenet", "efficientnet_lite0", 3, machine)).to(machine.device)
    schedule = Schedule(RATE, options.minutes, options.steps)
    training = Training.start(objective, schedule)
    seen: dict[str, list[float]] = {}
    began = time.time()
    for event in fit(training, batch, schedule, runtime=machine, stop=Stop(), keep=None):
        if isinstance(event, Progress):
            if training.step % 100 < 3:
                row = {k: round(float(np.mean(v[-50:])), 3) for k, v in seen.items()}
                print(training.step, round(time.time() - began), row, flush=True)
        elif hasattr(event, "name"):
            seen.setdefault(event.name, []).append(event.value)
    training.use_average()
    weights = {k: v.half().cpu() for k, v in network.state_dict().items() if v.dtype.is_floating_point}
    said = {"kind": "pretrained", "network": network.describe(), "pretrain": {"start": "imagenet"}}
    said["starter"] = {
        "without": left_out,
        "steps": training.step,
        "times": options.times,
        "scenes": options.scenes,
        "seed": options.seed,
    }
    Checkpoint(weights, said, {"steps": training.step, "seconds": training.seconds}).save(options.out)


if __name__ == "__main__":
    main()
