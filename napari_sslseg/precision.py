"""Precision: bfloat16 for the operations that bear it, where a short measurement finds it faster on this device."""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from napari_sslseg import distributed
from napari_sslseg.objective import Batch, Objective

GAIN = 1.1  # bfloat16 must be this much faster
NEAR = 0.1  # and its loss may differ by this share
WARM_UP, MEASURED = 3, 5  # passes


def choose(objective: Objective, batch: Batch, device: torch.device) -> torch.dtype:
    """Choose in what to compute: always float32 but on a GPU that is found to be faster with bfloat16.

    Parameters
    ----------
    objective : Objective
        What will be minimised; its state is as before afterwards.
    batch : mapping of str to torch.Tensor
        A batch, on the device.
    device : torch.device
        The device.

    Returns
    -------
    torch.dtype
        ``torch.float32`` or ``torch.bfloat16``.
    """
    if device.type != "cuda" or not torch.cuda.is_bf16_supported():
        return torch.float32

    def clock() -> float:
        torch.cuda.synchronize(device)
        return time.perf_counter()

    kind = faster(objective, batch, device, clock)
    agreed = distributed.greatest(float(kind is torch.float32)) == 0  # or else every process would compute otherwise
    return kind if agreed else torch.float32


def faster(objective: Objective, batch: Batch, device: torch.device, clock: Callable[[], float]) -> torch.dtype:
    """Measure forward and backward passes in float32 and bfloat16.

    Parameters
    ----------
    objective : Objective
        What will be minimised; its state is as before afterwards.
    batch : mapping of str to torch.Tensor
        A batch, on the device.
    device : torch.device
        The device.
    clock : callable
        Gives the time in seconds once all that was asked of the device is done.

    Returns
    -------
    torch.dtype
        ``torch.bfloat16`` if it is faster by `GAIN` and gives the loss within `NEAR`.
    """
    with _as_before(objective):
        whole, loss = _measure(objective, batch, device, torch.float32, clock)
    with _as_before(objective):
        try:
            half, other = _measure(objective, batch, device, torch.bfloat16, clock)
        except RuntimeError:  # an operation of this method takes no mixture of types
            return torch.float32
    near = abs(other - loss) <= NEAR * abs(loss)
    return torch.bfloat16 if near and whole > GAIN * half else torch.float32


def _measure(
    objective: Objective, batch: Batch, device: torch.device, kind: torch.dtype, clock: Callable[[], float]
) -> tuple[float, float]:
    """Return seconds of a pass, and the first loss."""
    times, losses = [], list[Tensor]()
    for _ in range(WARM_UP + MEASURED):
        began = clock()
        with computing(device, kind):
            losses.append(objective(batch)["loss"])
        losses[-1].backward()
        times.append(clock() - began)
    return statistics.median(times[WARM_UP:]), float(losses[0].detach())


@contextmanager
def _as_before(objective: Objective) -> Iterator[None]:
    """Put weights, statistics and gradients back afterwards."""
    state = {k: v.detach().clone() for k, v in objective.state_dict().items()}
    try:
        yield
    finally:
        objective.load_state_dict(state)
        objective.zero_grad(set_to_none=True)


def computing(device: torch.device, kind: torch.dtype) -> torch.autocast:
    """Compute in this type inside this context, as far as operations bear it.

    Parameters
    ----------
    device : torch.device
        The device.
    kind : torch.dtype
        ``torch.float32`` changes nothing.

    Returns
    -------
    context manager
        For the forward pass.
    """
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=kind is torch.bfloat16)
