"""Speed of a step: how many a second, how much of one is computing, and how near that is to what the machine can do.

    OMP_NUM_THREADS=1 taskset -c 0 python benchmarks/speed.py [--steps 20] [--only restore] [--device cpu]

Prints one line of JSON for each kind of step: pretraining by `restore`, `dense` and `adapt`, and training on strokes,
with the default encoder and sizes. All of it is measured in turns, step by step, so that what else the machine does
falls on all alike; times are the process's own on a CPU, and those of the clock on a GPU.

- ``steps_per_second`` of the real loop: batch, forward and backward pass, optimiser, average.
- ``busy``: share of the step in which the device computes, which is all but waiting for the batch. On a CPU with no
  free core the batch is prepared in between, and its time counts as waiting.
- ``passes_per_second``: forward and backward passes of the same objective alone, on one fixed batch.
- ``convolutions_per_second``: the convolutions of that pass alone, forward and backward, on maps of the same sizes.
- ``of_passes``, ``of_convolutions``: the first as a share of these two.

The last line is about an OME-Zarr of 105 GB of compressed noise, which takes 2 MB of disk (its chunks are hard links):
``first_step_s`` by the clock and ``first_step_cpu_s`` by the process, from the start of Python to the end of the first
step of `restore`, and ``peak_mb``, the most memory of the whole process after 20 steps.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import zarr
from torch import Tensor, nn

from napari_sslseg import loop, model, pretraining
from napari_sslseg.ahead import Ahead
from napari_sslseg.annotation import Annotation
from napari_sslseg.batches import Batches
from napari_sslseg.image import Image
from napari_sslseg.io import read_image
from napari_sslseg.job import Metric, Stop, run
from napari_sslseg.labelled import collect
from napari_sslseg.objective import Batch, Objective
from napari_sslseg.precision import choose, computing
from napari_sslseg.pretraining import pretrain
from napari_sslseg.runtime import Runtime
from napari_sslseg.segment import Segment
from napari_sslseg.settings import FinetuneConfig, PretrainConfig, RuntimeConfig

WARM = 3  # steps that are not timed
SHAPE, CHUNK = (1, 1024, 7168, 7168), (1, 16, 256, 256)


def scene(seed: int, side: int = 512) -> tuple[Image, np.ndarray]:
    """Bright blobs on a dark noisy ground, and strokes: 1 ground, 2 blob."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    truth = np.ones((side, side), np.uint16)
    for cy, cx in rng.integers(0, side, (side // 6, 2)):
        truth[(y - cy) ** 2 + (x - cx) ** 2 < rng.integers(5, 15) ** 2] = 2
    pixels = (1000 + 3000 * (truth == 2) + rng.normal(0, 300, truth.shape)).clip(0).astype(np.uint16)
    strokes = np.zeros_like(truth)
    for cy, cx in rng.integers(20, side - 20, (40, 2)):
        strokes[cy, cx : cx + 12] = truth[cy, cx : cx + 12]
    return Image(pixels[None], name=f"scene{seed}"), strokes


def kinds(machine: Runtime) -> Iterator[tuple[str, Objective, Callable[[int], Batch], float]]:
    """Everything that is measured: name, objective, its batches, learning rate."""
    images = [scene(seed)[0] for seed in range(4)]
    for method in ("restore", "dense", "adapt"):
        config = PretrainConfig(method=method, start=model.resolve("auto", PretrainConfig().encoder))
        learner = pretraining._method(images, config, machine)
        yield method, learner, lambda s, m=learner, c=config: pretraining._batch(m, images, c, machine, s), config.rate
    pairs = [(image, Annotation(strokes)) for image, strokes in map(scene, range(3))]
    config, labelled = FinetuneConfig(), collect(pairs, 0.2)
    network = model.build("imagenet", config.encoder, 1, machine, len(labelled.values))
    machine.compiled(network.encoder, network.head)
    batches = Batches(labelled, labelled.images, config, machine).around(labelled.train, labelled.apart)
    yield "train", Segment(network, config), batches, config.rate


class Convolutions:
    """The convolutions of one pass of an objective, to be computed again without all that lies between them."""

    def __init__(self, objective: Objective, batch: Batch) -> None:
        self.calls: list[tuple[nn.Module, Tensor, Tensor | None]] = []
        hooks = [m.register_forward_hook(self._note) for m in self._modules(objective)]
        objective(batch)
        for hook in hooks:
            hook.remove()

    def _modules(self, objective: Objective) -> list[nn.Module]:
        inside = [*objective.modules(), *(m for e in getattr(objective, "_start", []) for m in e.modules())]
        return [m for m in inside if isinstance(m, nn.Conv2d)]

    def _note(self, module: nn.Module, given: tuple[Tensor, ...], found: Tensor) -> None:
        learns = torch.is_grad_enabled()
        start = torch.randn_like(given[0]).requires_grad_(learns and given[0].requires_grad)
        self.calls.append((module, start, torch.randn_like(found) if learns else None))

    def __call__(self) -> None:
        """Compute them all, forward and backward."""
        for module, start, back in self.calls:
            with torch.set_grad_enabled(back is not None):
                found = module(start)
            if back is not None:
                found.backward(back)


def measure(
    name: str, objective: Objective, batches: Callable[[int], Batch], rate: float, steps: int, machine: Runtime
) -> dict[str, Any]:
    """Time whole steps, waiting for batches, passes and convolutions, in turns."""
    training = loop.Training.start(objective, loop.Schedule(rate, 1.0, 10 * steps))
    objective.train()
    fixed = batches(0)
    kind = choose(objective, fixed, machine.device)
    with torch.compiler.set_stance("force_eager"):
        alone = Convolutions(objective, fixed)
    times = {k: list[float]() for k in ("wait", "step", "pass", "convolutions")}

    def clock() -> float:  # other work on the machine does not count, where all work is this thread's
        if machine.device.type == "cuda":
            torch.cuda.synchronize()
        return time.process_time() if machine.device.type == "cpu" and not machine.workers else time.perf_counter()

    def timed(what: str, work: Callable[[], Any]) -> Any:
        began = clock()
        made = work()
        times[what].append(clock() - began)
        return made

    def one_pass() -> None:
        with computing(machine.device, kind):
            loss = objective(fixed)["loss"]
        loss.backward()

    def one_step(batch: Batch) -> None:
        with machine.torch_numbers(loop.STEP, training.step):
            loop._step(training, batch, 0.5, computing(machine.device, kind))

    with Ahead(batches, machine.workers) as prepared:
        for step in range(WARM + steps):
            training.step = step
            batch = timed("wait", lambda at=step: prepared(at))
            timed("step", lambda given=batch: one_step(given))
            objective.zero_grad()
            timed("pass", one_pass)
            objective.zero_grad()
            with computing(machine.device, kind):
                timed("convolutions", alone)
    wait, step, once, convolutions = (np.array(v[WARM:]) for v in times.values())
    whole = wait + step
    return {
        "step": name,
        "steps_per_second": round(1 / np.median(whole), 3),
        "busy": round(np.median(step / whole), 3),
        "passes_per_second": round(1 / np.median(once), 3),
        "of_passes": round(np.median(once / whole), 3),
        "convolutions_per_second": round(1 / np.median(convolutions), 3),
        "of_convolutions": round(np.median(convolutions / whole), 3),
        "type": str(kind).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "workers": machine.workers,
        "compiled": machine.compile,
    }


def write_volume(path: Path) -> None:
    """Write an OME-Zarr of 105 GB: one compressed chunk of noise with blobs, and a hard link to it for every other."""
    group = zarr.create_group(path)
    array = group.create_array("0", shape=SHAPE, dtype=np.uint16, chunks=CHUNK)
    pixels = np.stack([scene(seed, CHUNK[-1])[0].data[0] for seed in range(CHUNK[1])])
    array[:, : CHUNK[1], : CHUNK[2], : CHUNK[3]] = pixels[None]
    first = path / "0" / "c" / "0" / "0" / "0" / "0"
    counts = [n // c for n, c in zip(SHAPE, CHUNK, strict=True)]
    for z in range(counts[1]):
        for y in range(counts[2]):
            row = path / "0" / "c" / "0" / str(z) / str(y)
            row.mkdir(parents=True, exist_ok=True)
            for x in range(counts[3]):
                if not (row / str(x)).exists():
                    os.link(first, row / str(x))
    axes = [{"name": axis} for axis in "czyx"]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": [{"path": "0"}]}]}


def learn(path: Path, device: str) -> None:
    """Pretrain on a volume for 20 steps; print what it took from the start of Python."""
    stop, said = Stop(), dict[str, Any]()

    def hear(event: Any) -> None:
        if isinstance(event, Metric) and event.name == "loss" and "first_step_cpu_s" not in said:
            said.update(first_step_cpu_s=round(time.process_time(), 2))
            print("first", flush=True)

    config = PretrainConfig(method="restore", steps=20)
    run(pretrain([read_image(path)], config, runtime=RuntimeConfig(device=device), stop=stop), hear)
    print(json.dumps({**said, "peak_mb": peak()}))


def peak() -> int:
    """Most memory of this process so far, in MB; on Linux `getrusage` would count what its parent had."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) // 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 2**20


def volume(path: Path, device: str) -> dict[str, Any]:
    """Measure the first step on a volume in a Python of its own."""
    began = time.perf_counter()
    command = [sys.executable, __file__, "--learn", str(path), "--device", device]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        first = time.perf_counter() - began
        said = json.loads(process.stdout.read())
    return {"volume_gb": round(np.prod(SHAPE) * 2 / 1e9, 1), "first_step_s": round(first, 2), **said}


def main() -> None:
    """Print one line for each kind of step, and one for the volume."""
    parser = argparse.ArgumentParser(description="Speed of a step.")
    parser.add_argument("--steps", type=int, default=20, help="steps that are timed")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument("--only", default="", help="one of restore, dense, adapt, train, volume")
    parser.add_argument("--compile", action="store_true", help="compile the networks")
    parser.add_argument("--learn", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.learn:
        learn(given.learn, given.device)
        return
    machine = Runtime.make(RuntimeConfig(device=given.device, compile=given.compile))
    for name, objective, batches, rate in kinds(machine):
        if given.only in ("", name):
            print(json.dumps(measure(name, objective, batches, rate, given.steps, machine)), flush=True)
    if given.only in ("", "volume"):
        with tempfile.TemporaryDirectory() as folder:
            write_volume(Path(folder) / "volume.ome.zarr")
            print(json.dumps(volume(Path(folder) / "volume.ome.zarr", given.device)))


if __name__ == "__main__":
    main()
