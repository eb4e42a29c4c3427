"""Halting: a stop breaks off the step that is under way, which then counts as never begun; other work gives way."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self, TypeVar

import torch
from torch import Tensor, nn

from napari_sslseg.job import Stop

R = TypeVar("R")


class _HaltedError(Exception):
    """A stop was asked for in the middle of a step."""


class Halting:
    """Lets steps be broken off at any layer, forwards and backwards; used as a context.

    A step of a large network takes seconds on a slow machine, and a stop shall take one at most.

    Parameters
    ----------
    module : torch.nn.Module
        What is trained.
    stop : Stop
        The request, looked at in every layer.
    active : bool, optional
        Whether to do so at all.
    """

    def __init__(self, module: nn.Module, stop: Stop, *, active: bool = True) -> None:
        self._stop = stop
        self._layers = [m for m in module.modules() if any(True for _ in m.parameters(recurse=False))] if active else []
        self._buffers = list(module.buffers()) if active else []
        self._before = [torch.empty_like(b) for b in self._buffers]
        self._hooks: list[Any] = []

    def __enter__(self) -> Self:
        for layer in self._layers:
            self._hooks.append(layer.register_forward_pre_hook(self._forwards))
            self._hooks.append(layer.register_forward_hook(self._backwards))
        return self

    def __exit__(self, *_: object) -> None:
        while self._hooks:
            self._hooks.pop().remove()

    def attempt(self, step: Callable[[], R]) -> R | None:
        """Do a step, whole or not at all.

        Parameters
        ----------
        step : callable
            Computes losses and gradients and moves the weights after that.

        Returns
        -------
        object, optional
            What the step returns; None if it was broken off, the buffers being what they were before.
        """
        self._copy(self._buffers, self._before)
        try:
            return step()
        except _HaltedError:
            self._copy(self._before, self._buffers)
            return None

    @torch.no_grad()
    def _copy(self, these: list[Tensor], there: list[Tensor]) -> None:
        if these:
            torch._foreach_copy_(there, these)

    def _look(self) -> None:
        if self._stop.requested:
            raise _HaltedError

    def _forwards(self, layer: nn.Module, given: Any) -> None:
        self._look()

    def _backwards(self, layer: nn.Module, given: Any, found: Any) -> None:
        if isinstance(found, Tensor) and found.requires_grad:
            found.register_hook(self._gradient)

    def _gradient(self, gradient: Tensor) -> None:
        self._look()


@contextmanager
def giving_way(module: nn.Module, stop: Stop) -> Iterator[None]:
    """Let whoever may stop a computation hold it up at any layer, too.

    Parameters
    ----------
    module : torch.nn.Module
        What computes.
    stop : Stop
        Asked in every layer whether to wait.

    Yields
    ------
    None
        Nothing.
    """
    layers = [m for m in module.modules() if any(True for _ in m.parameters(recurse=False))]
    hooks = [layer.register_forward_pre_hook(lambda *_: stop.give_way()) for layer in layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
