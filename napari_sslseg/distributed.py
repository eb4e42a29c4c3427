"""Distributed: several processes compute what one would, a share of each batch each; alone, all of it does nothing.

Every process holds the same weights and the same whole batch. `together` lets each run the network on its own share and
gives the results of all to all, so that a loss is written as for one process and may compare anything in the batch.
Gradients flow back through the exchange, and `average_gradients` makes them those of one process.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from napari_sslseg import ranks
from napari_sslseg.errors import ConfigError
from napari_sslseg.job import Stop

R = TypeVar("R", Tensor, tuple[Tensor, ...])


def size() -> int:
    """Say how many processes work together.

    Returns
    -------
    int
        1 where no process group was joined.
    """
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def first() -> bool:
    """Say whether this process writes for all.

    Returns
    -------
    bool
        True for rank 0, and for a process of its own.
    """
    return size() == 1 or dist.get_rank() == 0


@contextmanager
def joined() -> Iterator[None]:
    """Work with the processes that were started together with this one, if any, inside this context.

    Yields
    ------
    None
        Nothing.
    """
    if ranks.count() == 1:
        yield
        return
    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield
        greatest(0.0)  # so that none ends while the first one writes: torchrun would break that off
    finally:
        dist.destroy_process_group()


@contextmanager
def in_turn() -> Iterator[None]:
    """Let the first process go through this context before all others; if it fails, they do.

    Yields
    ------
    None
        Nothing.
    """
    if not first():
        if greatest(0.0):
            raise ConfigError("The first process failed", "It says why")
        yield
        return
    try:
        yield
    except BaseException:
        greatest(1.0)
        raise
    greatest(0.0)


def check_batch(batch: int) -> None:
    """Raise ConfigError unless every process gets a share of a batch.

    Parameters
    ----------
    batch : int
        Crops a step.
    """
    if batch < size():
        raise ConfigError(
            f"{size()} processes are to share batches of {batch}",
            "Each needs a crop at least",
            f"Use --set batch={size()} or more, or fewer processes",
        )


def own(stop: Stop) -> Stop | None:
    """Choose what to look at in the midst of something that all processes do together.

    Parameters
    ----------
    stop : Stop
        The request to this process.

    Returns
    -------
    Stop, optional
        It, where there is one process; None among several, which end together, after a step (`stopped`).
    """
    return stop if size() == 1 else None


def stopped(stop: Stop) -> bool:
    """Say whether any process was asked to stop; then all are.

    Parameters
    ----------
    stop : Stop
        The request to this process.

    Returns
    -------
    bool
        The same in all processes.
    """
    if size() == 1:
        return stop.requested
    if greatest(float(stop.requested)):
        stop.request()
        return True
    return False


def greatest(value: float) -> float:
    """Agree on the greatest value of all processes.

    Parameters
    ----------
    value : float
        That of this process, such as the seconds it took.

    Returns
    -------
    float
        The same in all processes.
    """
    if size() == 1:
        return value
    shared = torch.tensor(value, dtype=torch.float64)
    dist.all_reduce(shared, dist.ReduceOp.MAX)
    return float(shared)


def average_gradients(weights: Iterable[nn.Parameter]) -> None:
    """Give all processes the mean of their gradients.

    Parameters
    ----------
    weights : iterable of torch.nn.Parameter
        What is learnt; the same in all processes.
    """
    if size() == 1:
        return
    found = [w.grad for w in weights if w.grad is not None]
    flat = torch.cat([g.flatten() for g in found])
    dist.all_reduce(flat)
    for gradient, mean in zip(found, (flat / size()).split([g.numel() for g in found]), strict=True):
        gradient.copy_(mean.view_as(gradient))


def together(compute: Callable[..., R], *inputs: Tensor) -> R:
    """Compute something of every sample of a batch, a share in each process.

    Batch normalisation uses the statistics of the whole batch, as in one process.

    Parameters
    ----------
    compute : callable
        From the inputs to a tensor, or a tuple of them, with the same number of rows for each sample.
    *inputs : torch.Tensor
        (B, ...) each, the whole batch, the same in all processes; B at least the number of processes.

    Returns
    -------
    torch.Tensor or tuple of torch.Tensor
        What `compute` gives for the whole batch, in its order, differentiable.
    """
    if size() == 1:
        return compute(*inputs)
    count, rank = len(inputs[0]), dist.get_rank()
    start, end = (count * r // size() for r in (rank, rank + 1))
    with _WholeBatchNorm():
        found = compute(*(i[start:end] for i in inputs))
    if isinstance(found, Tensor):
        return _gathered(found, start, end, count)
    return tuple(_gathered(f, start, end, count) for f in found)


def _gathered(share: Tensor, start: int, end: int, count: int) -> Tensor:
    """Put the rows of this process to those of the others, which are summed with zeros here."""
    each = len(share) // (end - start)
    before, after = (share.new_zeros(n * each, *share.shape[1:]) for n in (start, count - end))
    whole: Tensor = _Sum.apply(torch.cat([before, share, after]))
    return whole


class _Sum(torch.autograd.Function):
    """The sum over all processes; its gradient is the sum of their gradients."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.detach().clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total


class _WholeBatchNorm(TorchFunctionMode):
    """Inside this context every batch normalisation that learns its statistics takes them from all processes."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is F.batch_norm:
            return _batch_norm(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    if not training:
        return F.batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    axes, shape = [0, *range(2, input.ndim)], [1, -1, *[1] * (input.ndim - 2)]
    here = input.new_tensor([input.numel() / input.shape[1]])
    sums: Tensor = _Sum.apply(torch.cat([input.sum(axes), here]))
    mean, count = sums[:-1] / sums[-1], sums[-1].detach()
    centred = input - mean.view(shape)
    variance: Tensor = _Sum.apply(centred.square().sum(axes)) / count
    if running_mean is not None and running_var is not None:
        running_mean.lerp_(mean.detach(), momentum)
        running_var.lerp_(variance.detach() * count / (count - 1), momentum)
    result = centred * (variance + eps).rsqrt().view(shape)
    if weight is not None and bias is not None:
        result = result * weight.view(shape) + bias.view(shape)
    return result
