"""Runtime: on which device and cores a job computes, and random numbers that depend only on the seed and the step."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from napari_sslseg import cores, ranks
from napari_sslseg.errors import ConfigError
from napari_sslseg.settings import RuntimeConfig

MOST_WORKERS = 4


@dataclass(frozen=True)
class Runtime:
    """A device and a seed.

    Parameters
    ----------
    device : torch.device
        Where tensors live.
    seed : int
        Seed of everything random.
    compile : bool
        Whether networks that learn are compiled first.
    """

    device: torch.device
    seed: int
    compile: bool = False

    @classmethod
    def make(cls, config: RuntimeConfig) -> "Runtime":
        """Choose the device, and let torch compute on one thread a core unless the environment says how many.

        Parameters
        ----------
        config : RuntimeConfig
            What was asked for; ``auto`` takes CUDA, then MPS, then the CPU.

        Returns
        -------
        Runtime
            The runtime.
        """
        available = ["cpu"]
        if torch.backends.mps.is_available():
            available.insert(0, "mps")
        if torch.cuda.is_available():
            available.insert(0, "cuda")
        name = available[0] if config.device == "auto" else config.device
        if name not in available:
            raise ConfigError(
                f"The device {name!r} was asked for", f"This machine has: {', '.join(available)}", "Use --device auto"
            )
        if not os.environ.get("OMP_NUM_THREADS"):
            least = min(torch.get_num_threads(), cores.physical(cores.usable()))
            torch.set_num_threads(least)
        device = torch.device("cuda", _own_gpu()) if name == "cuda" and ranks.count() > 1 else torch.device(name)
        return cls(device, config.seed, config.compile)

    @property
    def words(self) -> str:
        """On what it computes, such as ``on 2 processor cores`` or ``on the graphics card (NVIDIA H100)``."""
        if self.device.type == "mps":
            return "on the graphics card of this Mac"
        if self.device.type == "cuda":
            cards = f"{ranks.count()} graphics cards" if ranks.count() > 1 else "the graphics card"
            return f"on {cards} ({torch.cuda.get_device_name(self.device)})"
        count = torch.get_num_threads()
        return f"on {count} processor core{'s' * (count != 1)}"

    @property
    def workers(self) -> int:
        """How many threads prepare batches while a step computes; none where the step itself needs every core."""
        free = len(cores.usable()) - 1
        if self.device.type == "cpu":
            return min(1, max(0, free + 1 - torch.get_num_threads()))
        return min(MOST_WORKERS, max(1, free))

    def place(self, tensor: Tensor) -> Tensor:
        """Move a tensor to the device, images in the layout that convolutions like.

        Parameters
        ----------
        tensor : torch.Tensor
            On the CPU.

        Returns
        -------
        torch.Tensor
            On the device; on CUDA the copy may still be under way, and what is computed from it waits.
        """
        if tensor.dtype.is_floating_point:
            tensor = laid_out(tensor)
        if self.device.type == "cuda":
            return tensor.pin_memory().to(self.device, non_blocking=True)
        return tensor.to(self.device)

    def compiled(self, *modules: nn.Module) -> None:
        """Compile modules in place, if that was asked for.

        Parameters
        ----------
        *modules : torch.nn.Module
            The modules; what they are called and what they store stays.

        Raises
        ------
        ConfigError
            If this machine cannot compile.
        """
        if not self.compile:
            return
        try:
            torch.compile(lambda x: torch.sin(x) + 1)(torch.zeros(8, device=self.device))
        except (RuntimeError, OSError, ImportError, subprocess.SubprocessError) as error:
            raise ConfigError(
                f"Compiling was asked for, and this machine cannot ({_first_line(error)})",
                "It takes a C++ compiler, and on a GPU Triton",
                "Install them, or leave out --compile: it only saves time",
            ) from error
        for module in modules:
            module.compile()

    def numbers(self, *key: int) -> np.random.Generator:
        """Make NumPy random numbers for one purpose.

        Parameters
        ----------
        *key : int
            What they are for, such as the step.

        Returns
        -------
        numpy.random.Generator
            Always the same for the same seed and key.
        """
        return np.random.default_rng((self.seed, *key))

    @contextmanager
    def torch_numbers(self, *key: int) -> Iterator[None]:
        """Draw torch's random numbers on the CPU from seed and key inside this context; its global state is kept.

        Parameters
        ----------
        *key : int
            What they are for, such as the step.

        Yields
        ------
        None
            Nothing.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(self.numbers(*key).integers(2**62)))
            yield

    def thread_numbers(self, *key: int) -> TorchDispatchMode:
        """Draw torch's random numbers from seed and key in this context and this thread alone.

        They are those of `torch_numbers`, but the global state, which other threads may be drawing from, is not used.
        Each call of torch takes some microseconds longer.

        Parameters
        ----------
        *key : int
            What they are for, such as the step.

        Returns
        -------
        context manager
            Within it every draw of this thread is steered.
        """
        return _Steered(int(self.numbers(*key).integers(2**62)))


def laid_out(tensor: Tensor) -> Tensor:
    """Put images into the layout that convolutions like.

    Parameters
    ----------
    tensor : torch.Tensor
        (B, C, [Z,] Y, X), or anything else.

    Returns
    -------
    torch.Tensor
        Images of planes with their channels last; volumes, of which that does not hold, and the rest as they are.
    """
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor


class _Steered(TorchDispatchMode):
    """Hands a generator of its own to every operation that draws random numbers."""

    def __init__(self, seed: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._seed, self._generators = seed, dict[str, torch.Generator]()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if torch.Tag.nondeterministic_seeded not in func.tags:
            return func(*args, **kwargs)
        tensors = [a for a in args if isinstance(a, torch.Tensor)]
        device = torch.device(kwargs.get("device") or (tensors[0].device if tensors else "cpu"))
        if func in LIKE:
            return LIKE[func](torch.empty_like(*args, **kwargs), generator=self._generator(device))
        return _taking_generator(func)(*args, **{**kwargs, "generator": self._generator(device)})

    def _generator(self, device: torch.device) -> torch.Generator:
        if str(device) not in self._generators:
            self._generators[str(device)] = torch.Generator(device).manual_seed(self._seed)
        return self._generators[str(device)]


# Older versions of torch have no `rand_like` that takes a generator; this is what it does.
LIKE = {
    torch.ops.aten.rand_like.default: torch.Tensor.uniform_,
    torch.ops.aten.randn_like.default: torch.Tensor.normal_,
}


def _taking_generator(func: Any) -> Any:
    """Find the form of an operation that takes a generator."""
    wanted = {a.name for a in func._schema.arguments} | {"generator"}
    for form in (func, *(getattr(func.overloadpacket, name) for name in func.overloadpacket.overloads())):
        if {a.name for a in form._schema.arguments} == wanted:
            return form
    raise RuntimeError(f"{func} draws random numbers and takes no generator: draw them in `forward`, not in `prepare`")


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200].rstrip(". ")


def _own_gpu() -> int:
    """Choose the GPU of this process, of several that were started together on this machine."""
    index, there = ranks.local(), torch.cuda.device_count()
    if index >= there:
        raise ConfigError(
            f"More processes were started on this machine than it has GPUs ({there})",
            "Each needs a GPU of its own",
            f"Start {there}, or use --device cpu",
        )
    return index
