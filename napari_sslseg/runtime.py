"""Runtime: on which device a job computes, and random numbers that depend only on the seed and the step."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from napari_sslseg import ranks
from napari_sslseg.errors import ConfigError
from napari_sslseg.settings import RuntimeConfig


@dataclass(frozen=True)
class Runtime:
    """A device and a seed.

    Parameters
    ----------
    device : torch.device
        Where tensors live.
    seed : int
        Seed of everything random.
    """

    device: torch.device
    seed: int

    @classmethod
    def make(cls, config: RuntimeConfig) -> "Runtime":
        """Choose the device.

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
        if name == "cuda" and ranks.count() > 1:
            return cls(torch.device("cuda", _own_gpu()), config.seed)
        return cls(torch.device(name), config.seed)

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
