"""The only training loop: steps, learning rate, averaged weights, stop and resume."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from napari_sslseg import distributed, precision
from napari_sslseg.ahead import Ahead
from napari_sslseg.halting import Halting
from napari_sslseg.job import Job, Metric, Progress, Rhythm, Stop
from napari_sslseg.objective import Batch, Objective
from napari_sslseg.runtime import Runtime

WARM_UP = 0.05  # share of the run in which the learning rate rises
LEAST_RATE = 0.02  # share of the learning rate at the end
AUTOSAVE = 30.0  # seconds between two calls of `keep`
STEP = 8  # key of the random numbers that a step itself draws, such as for dropout


@dataclass(frozen=True)
class Schedule:
    """How long to train, by steps or by time, and how fast.

    Parameters
    ----------
    rate : float
        Learning rate of new layers.
    minutes : float
        Length by time; not used where `steps` is given.
    steps : int, optional
        Length by steps.
    decay : float, optional
        Weight decay.
    """

    rate: float
    minutes: float
    steps: int | None = None
    decay: float = 1e-4

    def fraction(self, step: int, seconds: float) -> float:
        """Say how much of the run is over.

        Parameters
        ----------
        step : int
            Steps done.
        seconds : float
            Seconds trained.

        Returns
        -------
        float
            0 at the start, 1 or more at the end.
        """
        return step / self.steps if self.steps is not None else seconds / (60 * self.minutes)

    def factor(self, fraction: float) -> float:
        """Give the learning rate as a share of its greatest: a short rise, then half a cosine.

        Parameters
        ----------
        fraction : float
            How much of the run is over.

        Returns
        -------
        float
            Above 0, at most 1.
        """
        if fraction < WARM_UP:
            return max(LEAST_RATE, fraction / WARM_UP)
        fall = min(1.0, (fraction - WARM_UP) / (1 - WARM_UP))
        return float(LEAST_RATE + (1 - LEAST_RATE) * 0.5 * (1 + np.cos(np.pi * fall)))


@dataclass
class Training:
    """What changes while an objective is trained; all of it is needed to go on later as if nothing had happened.

    Parameters
    ----------
    objective : Objective
        What is minimised, with its weights.
    optimizer : torch.optim.Optimizer
        Its optimiser.
    average : dict of str to torch.Tensor
        Exponential average of the objective's state, the weights to use.
    step : int
        Steps done.
    seconds : float
        Seconds trained.
    losses : list of float
        Every loss so far.
    """

    objective: Objective
    optimizer: torch.optim.Optimizer
    average: dict[str, Tensor] = field(default_factory=dict)
    step: int = 0
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)

    @classmethod
    def start(cls, objective: Objective, schedule: Schedule) -> "Training":
        """Begin.

        Parameters
        ----------
        objective : Objective
            What is minimised.
        schedule : Schedule
            How.

        Returns
        -------
        Training
            At step 0.
        """
        groups = [g for g in objective.groups(schedule.rate) if g["lr"] > 0]
        for group in groups:
            group["peak"] = group["lr"]
        fused = all(p.device.type in ("cpu", "cuda") for g in groups for p in g["params"])  # one pass over the weights
        optimizer = torch.optim.AdamW(groups, weight_decay=schedule.decay, fused=fused)
        average = {k: v.detach().clone() for k, v in objective.state_dict().items()}
        return cls(objective, optimizer, average)

    def tensors(self) -> dict[str, Tensor]:
        """Return everything as tensors by name, to be stored.

        Returns
        -------
        dict of str to torch.Tensor
            Weights, averages and the optimiser's state.
        """
        found = {f"raw.{k}": v for k, v in self.objective.state_dict().items()}
        found |= {f"average.{k}": v for k, v in self.average.items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            found |= {f"optimizer.{index}.{k}": torch.as_tensor(v) for k, v in state.items()}
        return {k: v.detach().cpu().clone() for k, v in found.items()}

    def restore(self, tensors: dict[str, Tensor], step: int, seconds: float, losses: list[float]) -> None:
        """Go back to a stored state.

        Parameters
        ----------
        tensors : dict of str to torch.Tensor
            What `tensors` returned.
        step : int
            Steps done.
        seconds : float
            Seconds trained.
        losses : list of float
            Losses so far.
        """
        self.objective.load_state_dict(_part(tensors, "raw"))
        own = self.objective.state_dict()
        self.average = {k: v.to(own[k].device) for k, v in _part(tensors, "average").items()}
        weights = [p for g in self.optimizer.param_groups for p in g["params"]]
        state: dict[int, dict[str, Any]] = {}
        for name, value in _part(tensors, "optimizer").items():
            index, key = name.split(".", 1)
            like = weights[int(index)]  # a file forgets the layout, and the fused step needs that of the weight
            value = torch.empty_like(like).copy_(value) if value.shape == like.shape else value
            state.setdefault(int(index), {})[key] = value
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})
        self.step, self.seconds, self.losses = step, seconds, list(losses)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Use the averaged weights inside this context.

        Yields
        ------
        None
            Nothing.
        """
        present = {k: v.clone() for k, v in self.objective.state_dict().items()}
        self.use_average()
        try:
            yield
        finally:
            self.objective.load_state_dict(present)

    def use_average(self) -> None:
        """Put the averaged weights into the objective."""
        self.objective.load_state_dict(self.average)


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix + "."): v for k, v in tensors.items() if k.startswith(prefix + ".")}


def fit(
    training: Training,
    batches: Callable[[int], Batch],
    schedule: Schedule,
    *,
    runtime: Runtime,
    stop: Stop,
    until: float = 1.0,
    keep: Callable[[], None] | None = None,
) -> Job[None]:
    """Train until the schedule ends, a part of it is over, or a stop is requested.

    Parameters
    ----------
    training : Training
        State to go on from; changed.
    batches : callable
        From the step to its batch; a function of the step alone, so that a resumed run sees what an unbroken one does.
        Called from other threads where cores are free.
    schedule : Schedule
        How long and how fast.
    runtime : Runtime
        Device and seed.
    stop : Stop
        Looked at before every step, and within it on a CPU; a step that is broken off counts as never begun.
    until : float, optional
        The part of the schedule to train, 0 to 1.
    keep : callable, optional
        Called about twice a minute, to store the state.

    Yields
    ------
    Event
        Losses, and progress with time left.
    """
    rhythm, saved = Rhythm(), Rhythm(AUTOSAVE)
    saved.due()
    training.objective.train()
    kind: torch.dtype | None = None
    slow = runtime.device.type == "cpu" and not runtime.compile and distributed.size() == 1
    halting = Halting(training.objective, stop, active=slow)
    with Ahead(batches, runtime.workers) as prepared, halting:
        while not distributed.stopped(stop):
            if (fraction := schedule.fraction(training.step, training.seconds)) >= until:
                return
            began, held = time.perf_counter(), stop.held
            training.objective.begin(fraction, training.average)
            batch = prepared(training.step)
            with runtime.torch_numbers(STEP, training.step):
                kind = kind or precision.choose(training.objective, batch, runtime.device)
                computing = precision.computing(runtime.device, kind)
                losses = halting.attempt(partial(_step, training, batch, schedule.factor(fraction), computing))
            if losses is None:
                return
            training.step += 1
            training.losses.append(losses["loss"])
            spent = time.perf_counter() - began - (stop.held - held)
            training.seconds = distributed.greatest(training.seconds + spent)
            if rhythm.due():
                done = schedule.fraction(training.step, training.seconds)
                left = training.seconds * (1 - done) / done if done > 0 else None
                for name, value in losses.items():
                    yield Metric(name, value, training.step)
                yield Progress(min(1.0, done), f"step {training.step}", left)
            if keep is not None and saved.due():
                keep()


def _step(training: Training, batch: Batch, factor: float, computing: torch.autocast) -> dict[str, float]:
    for group in training.optimizer.param_groups:
        group["lr"] = group["peak"] * factor
    with computing:
        losses = training.objective(batch)
    training.optimizer.zero_grad(set_to_none=True)
    losses["loss"].backward()
    weights = [p for g in training.optimizer.param_groups for p in g["params"]]
    distributed.average_gradients(weights)
    norm = nn.utils.clip_grad_norm_(weights, 1.0)
    if torch.isfinite(norm):
        training.optimizer.step()
    _follow(training)
    found = torch.stack([value.detach().float() for value in losses.values()])
    return dict(zip(losses, found.tolist(), strict=True))  # read at once: a GPU is waited for once a step


@torch.no_grad()
def _follow(training: Training) -> None:
    """Move the averaged weights towards the present ones; the average is short at first and then of some 100 steps."""
    decay = min(0.99, (1 + training.step) / (10 + training.step))
    own = training.objective.state_dict()
    floating = [k for k, v in own.items() if v.dtype.is_floating_point]
    torch._foreach_lerp_([training.average[k] for k in floating], [own[k] for k in floating], 1 - decay)
    for k in own.keys() - set(floating):
        training.average[k].copy_(own[k])
