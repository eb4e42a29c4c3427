"""Whole images: what a network computes for crops, of whole planes or volumes, band by band."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from napari_sslseg import blocks, patches, tiles
from napari_sslseg.image import Image
from napari_sslseg.intensity import Floats
from napari_sslseg.job import Stop
from napari_sslseg.model import Network
from napari_sslseg.patches import Place
from napari_sslseg.runtime import laid_out
from napari_sslseg.settings import PredictConfig

Band = tuple[float, int, int, Floats | None]


def bands(
    network: Network,
    image: Image,
    zs: tuple[int, ...],
    config: PredictConfig,
    compute: Callable[[Tensor], Tensor],
    stop: Stop,
) -> Iterator[Band]:
    """Cover planes with squares, or a volume with boxes, and blend what is computed for them.

    Parameters
    ----------
    network : Network
        Says whether it looks at planes or volumes, and what their sides must be divisible by.
    image : Image
        What it looks at.
    zs : tuple of int
        Planes that are wanted.
    config : PredictConfig
        Greatest side of a square, and how far they overlap.
    compute : callable
        From (1, C, [Z,] Y, X) on the network's device to (1, K, [Z,] Y, X).
    stop : Stop
        To end early.

    Yields
    ------
    float
        Share that is done, 0 to 1.
    int
        Which of the planes, from 0.
    int
        The first row of it that is finished.
    numpy.ndarray, optional
        (K, rows, X); None after a square or box that finishes nothing.
    """
    device = next(network.parameters()).device

    def found(place: Place) -> Floats:
        crop = torch.from_numpy(patches.cut(image, place))[None]
        result: Floats = compute(laid_out(crop.to(device)))[0].cpu().numpy()
        return result

    covered = _boxes if network.dimensions == 3 else _planes
    for band in covered(network, image, zs, config, found):
        if stop.requested:
            return
        yield band


def _boxes(
    network: Network, image: Image, zs: tuple[int, ...], config: PredictConfig, found: Callable[[Place], Floats]
) -> Iterator[Band]:
    blended = blocks.blended(
        zs,
        image.shape,
        network.piece([image], config.tile),
        config.overlap,
        (network.depth_multiple, network.multiple),
        lambda z, y, x, size: found(Place(0, z, y, x, size.side, size.depth)),
    )
    for share, z, top, band in blended:
        yield share, 0 if band is None else zs.index(z), top, band


def _planes(
    network: Network, image: Image, zs: tuple[int, ...], config: PredictConfig, found: Callable[[Place], Floats]
) -> Iterator[Band]:
    (height, width), multiple = image.shape[-2:], network.multiple
    rows, columns = (tiles.layout(n, config.tile, config.overlap, multiple) for n in (height, width))
    for k, z in enumerate(zs):
        blend: tiles.Blend | None = None
        for (y, h), below in zip(rows, [*(y for y, _ in rows[1:]), height], strict=True):
            for x, w in columns:
                side = -(-max(h, w) // multiple) * multiple  # mirrored beyond the image
                tile = found(Place(0, z, y, x, side))[:, :h, :w]
                blend = blend or tiles.Blend(len(tile), height, width, config.overlap)
                blend.add(tile, y, x)
                yield (k + y / height) / len(zs), k, 0, None
            for top, band in blend.finished(below) if blend else ():
                yield (k + below / height) / len(zs), k, top, band
