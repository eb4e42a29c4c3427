"""Matched views: two looks at the same crops, and spots that both show."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_sslseg import augment

TEMPERATURE = 0.2
NEAR = 16.0  # px: spots of one crop closer than this are not told apart


SHIFT, SMALL_SHIFT = 0.25, 0.5  # how far from its middle a view of a crop may look, in half crops


def matched(
    crops: Tensor,
    side: int,
    points: int,
    orientation: augment.Orientation = augment.Orientation(),
    small: tuple[int, int] = (0, 0),
) -> dict[str, Tensor]:
    """Make two views of each crop and choose spots; random numbers come from torch's global state.

    Parameters
    ----------
    crops : torch.Tensor
        (B, C, [Z,] n, n), n = 1.5 times the side. The planes of a volume are moved alike, and stay in their order.
    side : int
        Side of a view in pixels.
    points : int
        Spots a crop.
    orientation : Orientation, optional
        Whether views may be mirrored and turned.
    small : tuple of int, optional
        How many small views of each crop there are beside, and their side in pixels.

    Returns
    -------
    dict of str to torch.Tensor
        ``views``: (2 B, C, [Z,] side, side), all first views, then all second ones. ``places``: (2 B, points, 2 or 3),
        where the spots are in each view, (x, y[, z]) from -1 to 1. ``inside``: (B points,) bool, whether both views
        show a spot. ``apart``: (B points, B points) bool, which spots may serve as counter-examples of which. With
        small views also ``small``: (S B, C, [Z,] s, s), and ``small_places``: (S B, points, 2 or 3), where the same
        spots are in them; beyond -1 to 1 where a small view does not show a spot.
    """
    count, size = len(crops), crops.shape[-1]
    spots = 0.6 * (2 * torch.rand(count, points, crops.ndim - 2) - 1)
    views, places = zip(*(_look(crops, spots, side, SHIFT, orientation) for _ in range(2)), strict=True)
    inside = (torch.stack(places).abs().amax((0, -1)) < 1).flatten()
    image = torch.arange(count).repeat_interleave(points)
    flat = spots.flatten(0, 1)
    if crops.ndim == 5:
        flat = flat * torch.tensor([1.0, 1.0, crops.shape[2] / size])
    distance = torch.cdist(flat, flat) * size / 2
    apart = (image[:, None] != image) | (distance > NEAR)
    found = {"views": torch.cat(views), "places": torch.cat(places), "inside": inside, "apart": apart & inside}
    if small[0]:
        looks = (_look(crops, spots, small[1], SMALL_SHIFT, orientation) for _ in range(small[0]))
        views, places = zip(*looks, strict=True)
        found |= {"small": torch.cat(views), "small_places": torch.cat(places)}
    return found


def _look(
    crops: Tensor, spots: Tensor, side: int, shift: float, orientation: augment.Orientation
) -> tuple[Tensor, Tensor]:
    """One view (B, C, [Z,] side, side) of each crop, and where the spots (B, points, 2 or 3) are in it, -1 to 1."""
    count, size = len(crops), crops.shape[-1]
    matrix = _affine(count, side / size, shift, orientation)
    grid = F.affine_grid(matrix, [count, 1, side, side], align_corners=False)
    view = augment.sampled(crops, grid, "reflection")
    inverse = torch.linalg.inv(matrix[:, :, :2])
    places = (spots[..., :2] - matrix[:, None, :, 2]) @ inverse.transpose(1, 2)
    return augment.intensity(view), torch.cat([places, spots[..., 2:]], -1)


def at(maps: list[Tensor], places: Tensor) -> Tensor:
    """Read maps at spots, interpolating linearly.

    Parameters
    ----------
    maps : list of torch.Tensor
        (B, C_i, [Z_i,] Y_i, X_i).
    places : torch.Tensor
        (B, N, 2), (x, y) from -1 to 1; (B, N, 3), (x, y, z), of volumes.

    Returns
    -------
    torch.Tensor
        (B N, sum of C_i).
    """
    grid = places[:, :, None] if places.shape[-1] == 2 else places[:, :, None, None]
    read = [F.grid_sample(m, grid, padding_mode="border", align_corners=False).flatten(2) for m in maps]
    return torch.cat(read, 1).transpose(1, 2).flatten(0, 1)


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


def _affine(count: int, share: float, reach: float, orientation: augment.Orientation) -> Tensor:
    """Random (count, 2, 3) maps from view to crop coordinates: turn, zoom, mirroring and shift."""
    angle = (torch.rand(count) - 0.5) * (math.pi * orientation.turn)
    zoom = share * torch.exp(0.3 * torch.randn(count).clamp(-1, 1))
    mirror = torch.where((torch.rand(count) < 0.5) & orientation.flips, -1.0, 1.0)
    cos, sin = zoom * angle.cos(), zoom * angle.sin()
    shift = reach * (2 * torch.rand(count, 2) - 1)
    rows = [torch.stack([cos * mirror, -sin, shift[:, 0]], 1), torch.stack([sin * mirror, cos, shift[:, 1]], 1)]
    return torch.stack(rows, 1)
