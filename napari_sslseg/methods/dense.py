"""Contrast of matched pixels: the same spot in two views has the same features, other spots have others."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_sslseg import augment
from napari_sslseg.methods import Method
from napari_sslseg.model import Network
from napari_sslseg.objective import Batch

POINTS = 64  # matched points a crop
TEMPERATURE = 0.2
WIDTH = 64  # length of a projected feature
NEAR = 16.0  # px: points of one image closer than this are not told apart


class Dense(Method):
    """Dense contrastive learning (DenseCL, Wang et al., CVPR 2021) with the matches known from the geometry.

    The loss is written here and not taken from lightly, which would bring in hydra and pytorch-lightning.

    Parameters
    ----------
    network : Network
        Encoder and head that learn.
    side : int
        Side of the crops.
    """

    def __init__(self, network: Network, side: int) -> None:
        super().__init__(network, side)
        inputs = network.head.width + sum(network.encoder.channels)
        self.project = nn.Sequential(nn.Linear(inputs, 256), nn.LayerNorm(256), nn.ReLU(), nn.Linear(256, WIDTH))

    def prepare(self, crops: Tensor) -> Batch:
        """Make two views of each crop and choose points seen in both."""
        count, _, size, _ = crops.shape
        points = 0.6 * (2 * torch.rand(count, POINTS, 2) - 1)
        views, places = [], []
        for _ in range(2):
            matrix = _affine(count, self.side / size)
            grid = F.affine_grid(matrix, [count, 1, self.side, self.side], align_corners=False)
            view = F.grid_sample(crops, grid, padding_mode="reflection", align_corners=False)
            views.append(augment.intensity(view))
            inverse = torch.linalg.inv(matrix[:, :, :2])
            places.append((points - matrix[:, None, :, 2]) @ inverse.transpose(1, 2))
        inside = (torch.stack(places).abs().amax((0, -1)) < 1).flatten()
        image = torch.arange(count).repeat_interleave(POINTS)
        distance = torch.cdist(points.flatten(0, 1), points.flatten(0, 1)) * size / 2
        apart = (image[:, None] != image) | (distance > NEAR)
        return {"views": torch.cat(views), "places": torch.cat(places), "inside": inside, "apart": apart & inside}

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Contrast the points of one view with those of the other, both ways."""
        views = batch["views"]
        maps = self.network.encoder(views)
        maps = [*maps, self.network.head(views, maps)]
        places = batch["places"][:, :, None]
        at = [F.grid_sample(m, places, padding_mode="border", align_corners=False)[..., 0] for m in maps]
        projected = self.project(torch.cat(at, 1).transpose(1, 2).flatten(0, 1))
        a, b = F.normalize(projected, dim=-1).chunk(2)
        inside, apart = batch["inside"], batch["apart"]
        return {"loss": 0.5 * (contrast(a, b, inside, apart) + contrast(b, a, inside, apart))}


def contrast(a: Tensor, b: Tensor, inside: Tensor, apart: Tensor) -> Tensor:
    """InfoNCE (van den Oord et al. 2018) over matched points.

    Parameters
    ----------
    a, b : torch.Tensor
        (N, D) features of unit length; row i of both is the same spot.
    inside : torch.Tensor
        (N,) bool, spots that both views hold; only they count.
    apart : torch.Tensor
        (N, N) bool, which spot may serve as another one's counter-example.

    Returns
    -------
    torch.Tensor
        Scalar; 0 where no spot is inside.
    """
    similar = a @ b.T / TEMPERATURE
    own = torch.eye(len(a), dtype=torch.bool, device=a.device)
    logits = similar.masked_fill(~(apart | own), -math.inf)
    each = torch.logsumexp(logits, 1) - similar.diagonal()
    return (each * inside).sum() / inside.sum().clamp_min(1)


def _affine(count: int, share: float) -> Tensor:
    """Random (count, 2, 3) maps from view to crop coordinates: turn, zoom, mirroring and shift."""
    angle = (torch.rand(count) - 0.5) * math.pi
    zoom = share * torch.exp(0.3 * torch.randn(count).clamp(-1, 1))
    mirror = torch.where(torch.rand(count) < 0.5, -1.0, 1.0)
    cos, sin = zoom * angle.cos(), zoom * angle.sin()
    shift = 0.25 * (2 * torch.rand(count, 2) - 1)
    rows = [torch.stack([cos * mirror, -sin, shift[:, 0]], 1), torch.stack([sin * mirror, cos, shift[:, 1]], 1)]
    return torch.stack(rows, 1)


component = Dense
