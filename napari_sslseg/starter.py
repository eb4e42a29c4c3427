"""Starter: weights that come with the package, learnt from images of many kinds; ``docs/starter.md`` is their card."""

from functools import lru_cache
from pathlib import Path

from torch import Tensor

from napari_sslseg.channels import spread
from napari_sslseg.checkpoint import Checkpoint

NAME = "starter"
FILE = Path(__file__).parent / "weights" / "starter.safetensors"


@lru_cache(1)
def _stored(file: Path) -> Checkpoint:
    return Checkpoint.load(file)


def part(name: str, in_channels: int) -> dict[str, Tensor]:
    """Read the weights of one part of the network, for any number of channels.

    Parameters
    ----------
    name : str
        ``encoder``; ``head``, of the kind ``fpn``; or ``classifier``, of background, core and contour of objects.
    in_channels : int
        Channels of the image; the weights that read it are repeated over them and scaled by 3 / in_channels.

    Returns
    -------
    dict of str to torch.Tensor
        Single precision.
    """
    found = {k: v.float() for k, v in _stored(FILE).part(name).items()}
    for key in {"encoder": ("stem.0.weight",), "head": ("lateral.0.0.weight",)}.get(name, ()):
        found[key] = spread(found[key], in_channels)
    return found
