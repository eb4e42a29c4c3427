"""What each of two processes does in `test_distributed.py`: learn alone, then learn together with the other one."""

from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors.torch import save_file
from torch import nn

from napari_sslseg import distributed, model, patches
from napari_sslseg.image import Image
from napari_sslseg.job import Metric, Stop, run
from napari_sslseg.methods import METHODS
from napari_sslseg.pretraining import pretrain
from napari_sslseg.settings import PretrainConfig

STEPS = 2


class Exact:
    """Double precision inside this context, so that an optimiser does not blow up what rounding leaves of zero."""

    def __enter__(self):
        self.cut = patches.cut
        torch.set_default_dtype(torch.float64)
        patches.cut = lambda *where: self.cut(*where).astype("float64")

    def __exit__(self, *error):
        torch.set_default_dtype(torch.float32)
        patches.cut = self.cut


def cases():
    """Every method from random weights, and those that treat a trained encoder in another way, by name."""
    for name in METHODS.names():
        encoder = (*METHODS.load(name).encoders, "unet")[0]
        yield name, PretrainConfig(name, encoder, "random", steps=STEPS, crop=32, batch=5)
    for name in ("restore", "adapt", "recall"):
        yield f"{name}-trained", PretrainConfig(name, "unet", "checkpoint.safetensors", steps=STEPS, crop=32, batch=5)


def learn(config, image, stop=None, listen=lambda event: None):
    """All tensors that a run ends with: weights, their average, buffers and the optimiser's state; and its losses."""
    kept = []
    run(pretrain([image], config, stop=stop, keep=kept.append), listen)
    weights = {k: v.contiguous() for k, v in kept[-1].weights.items()}
    return {**weights, "losses": torch.tensor(kept[-1].history["losses"])}


def work(rank: int, folder: Path, pixels) -> None:
    """Write the results of half of the methods alone, then of all of them together, then of a run that rank 1 stops."""
    torch.set_num_threads(1)
    image = Image(pixels, name="image")
    with Exact():
        for i, (name, config) in enumerate(cases()):
            if i % 2 == rank:
                save_file(learn(config, image), folder / f"{name}-alone.safetensors")
        meet = f"file://{folder / 'meet'}"
        dist.init_process_group("gloo", init_method=meet, rank=rank, world_size=2, timeout=timedelta(seconds=240))
        for name, config in cases():
            save_file(learn(config, image), folder / f"{name}-{rank}.safetensors")
        save_file({"steps": torch.tensor(stopped_by_the_other(rank, image))}, folder / f"stopped-{rank}.safetensors")
        save_file(normalised(), folder / f"norm-{rank}.safetensors")
        dist.destroy_process_group()


def stopped_by_the_other(rank, image):
    """How many steps a long run did in this process when the other one was asked to stop."""
    stop = Stop()

    def listen(event):
        if rank == 1 and isinstance(event, Metric) and event.step >= 2:
            stop.request()

    found = learn(PretrainConfig("restore", "unet", "random", steps=1000, crop=32, batch=2), image, stop, listen)
    assert stop.requested
    return len(found["losses"])


def normalised():
    """What batch normalisation of five samples gives in the share of each process: result, gradient, statistics."""
    torch.manual_seed(0)
    layer, batch = nn.BatchNorm2d(3), torch.randn(5, 3, 4, 4, requires_grad=True)
    weight = torch.randn(5, 3, 4, 4)
    result = distributed.together(layer, batch)
    (result * weight).sum().backward()
    dist.all_reduce(batch.grad)
    return {"result": result.detach(), "gradient": batch.grad / 2, **layer.state_dict()}


def write_checkpoint(folder: Path) -> None:
    """A trained encoder for the methods to start from."""
    from napari_sslseg.checkpoint import Checkpoint
    from napari_sslseg.runtime import Runtime

    with Exact():
        network = model.build("random", "unet", 2, Runtime(torch.device("cpu"), 5))
    Checkpoint(network.state_dict(), {"network": network.describe()}).save(folder / "checkpoint.safetensors")
