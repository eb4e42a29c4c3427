"""Agreement of matched pixels, kept from collapse by making all features together a round Gaussian cloud."""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_sslseg import views
from napari_sslseg.distributed import together
from napari_sslseg.methods import WIDTH, Method, projector
from napari_sslseg.model import Network
from napari_sslseg.objective import Batch

POINTS = 64  # matched points a crop
DIRECTIONS = 256  # random directions along which the cloud is looked at, new ones at each step
KNOTS, REACH = 17, 5.0  # where the characteristic function is compared, from -REACH to REACH
WEIGHT = 0.05  # of the regularisation; agreement has the rest: the one hyper-parameter


class SigReg(Method):
    """Sketched isotropic Gaussian regularisation (LeJEPA, Balestriero and LeCun 2025), of single pixels.

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
        self.project = projector(network.head.width + sum(network.encoder.channels))

    def prepare(self, crops: Tensor) -> Batch:
        """Make two views of each crop, choose points seen in both and directions to look along."""
        directions = F.normalize(torch.randn(WIDTH, DIRECTIONS), dim=0)
        return {**views.matched(crops, self.side, POINTS, self.orientation), "directions": directions}

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Compute how far matched points disagree and how far all points are from a Gaussian."""
        projected = together(self._features, batch["views"], batch["places"])
        a, b = projected.chunk(2)
        inside = batch["inside"]
        apart = (a - b).square().mean(1)
        agreement = (apart * inside).sum() / inside.sum().clamp_min(1)
        shape = epps_pulley(projected @ batch["directions"])
        return {"loss": (1 - WEIGHT) * agreement + WEIGHT * shape, "agreement": agreement, "shape": shape}

    def _features(self, seen: Tensor, places: Tensor) -> Tensor:
        """Projections of all points of all views."""
        maps = self.network.encoder(seen)
        return cast(Tensor, self.project(views.at([*maps, self.network.head(seen, maps)], places)))


def epps_pulley(values: Tensor) -> Tensor:
    """Test whether values are standard normal (Epps and Pulley, Biometrika 1983), along many directions at once.

    Parameters
    ----------
    values : torch.Tensor
        (N, M), N values along each of M directions.

    Returns
    -------
    torch.Tensor
        Scalar, the mean statistic: N times the squared distance of the characteristic functions, weighed by a
        Gaussian and integrated by the trapezoidal rule; about 1.06 for normal values and of order N for others.
    """
    knots = torch.linspace(-REACH, REACH, KNOTS, device=values.device)
    normal = torch.exp(-0.5 * knots**2)
    turned = values[..., None] * knots
    distance = (turned.cos().mean(0) - normal) ** 2 + turned.sin().mean(0) ** 2
    statistic = torch.trapezoid(distance * normal, knots)
    return len(values) * statistic.mean()


component = SigReg
