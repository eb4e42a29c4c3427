"""Self-supervised methods: what to learn from images without labels. One file each; the file name is its name."""

from abc import abstractmethod
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_sslseg import augment
from napari_sslseg.config import Registry
from napari_sslseg.corruption import corrupted
from napari_sslseg.model import Network
from napari_sslseg.objective import Batch, Objective, freeze_norm

WIDTH = 64  # length of a projected feature


class Method(Objective):
    """Contract of a method.

    Parameters
    ----------
    network : Network
        Encoder and head that learn.
    side : int
        Side of the crops that the network sees.

    Attributes
    ----------
    dimensions : tuple of int
        What it serves: 2 for networks that look at planes, 3 for those that look at volumes.
    """

    dimensions: tuple[int, ...] = (2,)
    trained_rate = 0.1  # of a trained encoder as a share of the rate, where the user does not say; 0 keeps it as it is
    least_channels = 1  # an image must have, for the method to make sense
    encoders: tuple[str, ...] = ()  # it works with; empty for any

    def __init__(self, network: Network, side: int) -> None:
        super().__init__()
        self.network, self.side = network, side
        self.depth = 0  # planes of the crops; 0 of a network that looks at planes
        self.encoder_rate = 1.0
        self.frozen_norm = False
        self.orientation = augment.Orientation()

    def train(self, mode: bool = True) -> Self:
        """Switch between training and use; the statistics of a trained encoder are not spoilt by corrupted images."""
        super().train(mode)
        if self.frozen_norm:
            freeze_norm(self.network.encoder)
        return self

    def moved(self, crops: Tensor, turn: float = 20.0, zoom: tuple[float, float] = (0.75, 1.33)) -> Tensor:
        """Turn, zoom and mirror crops, as far as their orientation does not matter, and cut out the middle.

        Parameters
        ----------
        crops : torch.Tensor
            (B, C, [Z,] n, n), n = 1.5 times the side.
        turn : float, optional
            Largest rotation in degrees.
        zoom : tuple of float, optional
            Least and largest magnification.

        Returns
        -------
        torch.Tensor
            (B, C, [Z,] side, side).
        """
        return augment.Geometry(self.side, turn, zoom, self.orientation).images(crops)

    @abstractmethod
    def prepare(self, crops: Tensor) -> Batch:
        """Make the pretext task; random numbers come from torch's global state.

        Parameters
        ----------
        crops : torch.Tensor
            (B, C, [Z,] n, n) clean pieces of images on the CPU, n = 1.5 times the side.

        Returns
        -------
        mapping of str to torch.Tensor
            What `forward` needs.
        """

    def groups(self, rate: float) -> list[dict[str, Any]]:
        """Split the weights: the encoder learns at `encoder_rate` times the rate of the rest."""
        encoder = list(self.network.encoder.parameters())
        known = {id(p) for p in encoder}
        rest = [p for p in self.parameters() if id(p) not in known]
        return [{"params": rest, "lr": rate}, {"params": encoder, "lr": rate * self.encoder_rate}]

    def kept(self) -> dict[str, Tensor]:
        """Return what a checkpoint keeps beside the network; of most methods nothing is of use later.

        Returns
        -------
        dict of str to torch.Tensor
            Weights by name; none begins with a name of the network.
        """
        return {}

    def alarm(self, name: str, value: float) -> str | None:
        """Say what is wrong with a run, from a number that `forward` gave beside the loss.

        Parameters
        ----------
        name : str
            What the number is called.
        value : float
            The number.

        Returns
        -------
        str, optional
            A sentence for the user; None while all is well.
        """
        return None

    def picture(self, batch: Batch) -> npt.NDArray[np.float32] | None:
        """Show what was learned on one piece.

        Parameters
        ----------
        batch : mapping of str to torch.Tensor
            A batch.

        Returns
        -------
        numpy.ndarray, optional
            (Y, X) in 0 to 1; None for a method that has nothing to show.
        """
        return None


class Restoring(Method):
    """A method that draws the clean crops from corrupted ones.

    Parameters
    ----------
    network : Network
        Encoder and head that learn.
    side : int
        Side of the crops.
    """

    dimensions = (2, 3)

    def __init__(self, network: Network, side: int) -> None:
        super().__init__(network, side)
        self.output = painter(network)

    def prepare(self, crops: Tensor) -> Batch:
        """Turn and mirror the crops, then corrupt copies of them."""
        clean = self.moved(crops)
        seen, mask = corrupted(clean)
        return {"seen": seen, "clean": clean, "mask": mask}

    def restored(self, seen: Tensor) -> Tensor:
        """Predict the clean crops from the corrupted ones.

        Parameters
        ----------
        seen : torch.Tensor
            (B, C, [Z,] Y, X), corrupted.

        Returns
        -------
        torch.Tensor
            (B, C, [Z,] Y, X), restored.
        """
        result: Tensor = self.output(self.network.features(seen))
        return result

    def kept(self) -> dict[str, Tensor]:
        """Keep the layer that draws pixels: with it is shown what was learnt."""
        return {f"output.{name}": weight for name, weight in self.output.state_dict().items()}

    @torch.no_grad()
    def picture(self, batch: Batch) -> npt.NDArray[np.float32]:
        """Show clean, corrupted and restored side by side, of the first crop's first channel."""
        found = self.restored(batch["seen"][:1])
        return side_by_side([m[0, 0] for m in (batch["clean"], batch["seen"], found)])


def turned(maps: list[Tensor], known: list[Tensor]) -> Tensor:
    """Compute how far features have turned away from known ones.

    Parameters
    ----------
    maps, known : list of torch.Tensor
        (B, C, [Z,] Y, X) of each stride.

    Returns
    -------
    torch.Tensor
        (B,): 1 less the cosine, averaged over places and maps.
    """
    sides = tuple(range(1, maps[0].ndim - 1))
    each = [1 - F.cosine_similarity(m, k).mean(sides) for m, k in zip(maps, known, strict=True)]
    return torch.stack(each).mean(0)


def painter(network: Network) -> nn.Module:
    """Build the layer that turns features into pixels of the image.

    Parameters
    ----------
    network : Network
        Encoder and head.

    Returns
    -------
    torch.nn.Module
        From (B, width, [Z,] Y, X) to (B, C, [Z,] Y, X).
    """
    return network.pointwise(network.in_channels)


def projector(inputs: int) -> nn.Sequential:
    """Build the layers between features and what is compared, which are thrown away after pretraining.

    Parameters
    ----------
    inputs : int
        Length of a feature.

    Returns
    -------
    torch.nn.Sequential
        From (N, inputs) to (N, WIDTH).
    """
    return nn.Sequential(nn.Linear(inputs, 256), nn.LayerNorm(256), nn.ReLU(), nn.Linear(256, WIDTH))


def side_by_side(pieces: list[Tensor]) -> npt.NDArray[np.float32]:
    """Make a picture of normalised pieces.

    Parameters
    ----------
    pieces : list of torch.Tensor
        ([Z,] Y, X) each, zero mean and unit variance; of volumes the middle plane is shown.

    Returns
    -------
    numpy.ndarray
        (Y, sum of X) in 0 to 1.
    """
    row = torch.cat([p if p.ndim == 2 else p[len(p) // 2] for p in pieces], 1).clamp(-2.5, 2.5)
    return np.asarray(((row + 2.5) / 5).cpu(), np.float32)


METHODS: Registry[type[Method]] = Registry("method", __name__)
