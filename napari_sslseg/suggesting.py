"""Suggesting where to paint next: parts of planes of which a model is unsure, or, before there is one, typical ones."""

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.cluster.vq import kmeans2

from napari_sslseg.overlay import Box
from napari_sslseg.uncertainty import Uncertainty

NOISE = 0.1  # of the logarithm of a score: like parts are taken in random order (Kirsch et al., TMLR 2023)
LEAST = 0.02  # share of a part that has to be of a class for the part to be suggested for it
PAINTED = 0.02  # share of a part that may be painted already
NEIGHBOURS = 8  # that tell how typical something is

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Suggestion:
    """A part of a plane to paint on.

    Parameters
    ----------
    image : str
        Id of the image.
    z : int
        The plane.
    box : Box
        The part, in pixels.
    score : float
        Mean entropy of the pixels of the class, 0 to 1; of typical parts, how much of the images they stand for.
    kind : int, optional
        Which class is unsure there, from 0; None of typical parts.
    """

    image: str
    z: int
    box: Box
    score: float
    kind: int | None = None


def unsure(
    found: Mapping[str, Uncertainty],
    shapes: Mapping[str, tuple[int, ...]],
    painted: Mapping[str, npt.NDArray[np.float32]],
    count: int,
    size: int,
    seed: int = 0,
) -> list[Suggestion]:
    """Choose parts in which pixels found to be of one class are unsure, each class in its turn, far from each other.

    Taking the classes in turn keeps the borders of large classes, which are always unsure, from being all that is
    suggested.

    Parameters
    ----------
    found : mapping of str to Uncertainty
        By image id.
    shapes : mapping of str to tuple of int
        Spatial shape ([Z,] Y, X) by image id.
    painted : mapping of str to numpy.ndarray
        (Z, rows, columns) by image id: how much of each square of `found` is painted, 0 to 1; may be left out.
    count : int
        How many parts.
    size : int
        Side of a part in pixels; smaller where the image is.
    seed : int, optional
        Seed of the noise.

    Returns
    -------
    list of Suggestion
        The best first; fewer where there are no more.
    """
    rng = np.random.default_rng(seed)
    chosen: list[Suggestion] = []
    candidates = list(_candidates(found, shapes, painted, size, rng))
    classes = sorted({c.kind for c, _ in candidates if c.kind is not None})
    ranked = {k: [c for c, _ in sorted(candidates, key=lambda c: -c[1]) if c.kind == k] for k in classes}
    while len(chosen) < count and any(ranked.values()):
        for kind in classes:
            ranked[kind] = [c for c in ranked[kind] if not any(_near(c, other) for other in chosen)]
            if ranked[kind] and len(chosen) < count:
                chosen.append(ranked[kind].pop(0))
    return chosen


def _candidates(
    found: Mapping[str, Uncertainty],
    shapes: Mapping[str, tuple[int, ...]],
    painted: Mapping[str, npt.NDArray[np.float32]],
    size: int,
    rng: np.random.Generator,
) -> Iterator[tuple[Suggestion, float]]:
    """Parts around the squares that stand out, and their score with noise."""
    for id, known in found.items():
        height, width = shapes[id][-2:]
        across = max(1, round(size / known.side))
        window = (1, 1, min(across, known.pixels.shape[2]), min(across, known.pixels.shape[3]))
        pixels, entropy = (_summed(v, window) for v in (known.pixels, known.entropy))
        taken = painted.get(id)
        free = np.ones(pixels.shape[1:], bool)
        if taken is not None:
            free = _summed(taken[None], window)[0] <= PAINTED * window[2] * window[3]
        enough = pixels >= LEAST * window[2] * window[3] * known.side**2
        mean = np.where(enough & free, entropy / np.maximum(pixels, 1), 0)
        scored = np.log(np.maximum(mean, 1e-9)) + NOISE * rng.gumbel(size=mean.shape)
        scored[mean == 0] = -np.inf
        peaks = (scored == ndimage.maximum_filter(scored, window)) & (mean > 0)
        for kind, z, row, column in np.argwhere(peaks).tolist():
            top, left = row * known.side, column * known.side
            box = Box(top, left, min(top + size, height), min(left + size, width))
            score = float(mean[kind, z, row, column])
            yield Suggestion(id, z, box, score, kind), float(scored[kind, z, row, column])


def _summed(values: npt.NDArray[np.float32], window: tuple[int, ...]) -> Doubles:
    """Sums over windows, at the place of their first square; windows lie inside the array."""
    result: Doubles = values.astype(np.float64)
    for axis, length in enumerate(window):
        total = np.insert(np.cumsum(result, axis), 0, 0, axis)
        last = total.shape[axis]
        result = np.take(total, range(length, last), axis) - np.take(total, range(last - length), axis)
    return result


def _near(one: Suggestion, other: Suggestion) -> bool:
    """Whether two parts overlap, or nearly so in neighbouring planes."""
    if one.image != other.image:
        return False
    a, b = one.box, other.box
    apart = a.bottom <= b.top or b.bottom <= a.top or a.right <= b.left or b.right <= a.left
    return not apart and abs(one.z - other.z) <= max(1, (a.bottom - a.top) // 32)


def typical(described: Doubles, count: int, seed: int = 0) -> list[tuple[int, float]]:
    """Choose typical and different ones: the most typical one of each cluster (Hacohen et al., ICML 2022).

    Parameters
    ----------
    described : numpy.ndarray
        (N, F) description of each.
    count : int
        How many.
    seed : int, optional
        Seed of the clustering.

    Returns
    -------
    list of (int, float)
        Which, and the share of all that its cluster holds; the largest cluster first.
    """
    known = (described - described.mean(0)) / np.maximum(described.std(0), 1e-9)
    count = min(count, len(known))
    far = np.sqrt(np.maximum(_squared(known), 0))
    near = np.sort(far, 1)[:, 1 : 1 + NEIGHBOURS] if len(known) > 1 else np.zeros((1, 1))
    common = 1 / np.maximum(near.mean(1), 1e-9)
    owner = np.zeros(len(known), int)
    if count > 1:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a cluster is empty, which happens where many are alike
            owner = kmeans2(known, count, minit="++", seed=seed)[1]
    sizes = np.bincount(owner, minlength=count)
    chosen = [
        (int(np.flatnonzero(owner == k)[common[owner == k].argmax()]), float(sizes[k] / len(known)))
        for k in np.argsort(-sizes, kind="stable")
        if sizes[k]
    ]
    left = [i for i in np.argsort(-common, kind="stable").tolist() if i not in {i for i, _ in chosen}]
    return chosen + [(i, 0.0) for i in left[: count - len(chosen)]]  # where clusters are empty


def _squared(known: Doubles) -> Doubles:
    """(N, N) squared distances."""
    lengths = (known**2).sum(1)
    result: Doubles = lengths[:, None] + lengths[None] - 2 * known @ known.T
    return result
