"""Sight: which pixels of a layer are in the view."""

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image as ImageLayer

from napari_sslseg.overlay import Box


def box(viewer: ViewerModel, layer: ImageLayer, size: tuple[int, ...]) -> Box:
    """Find the pixels of an image that are in the view.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The viewer.
    layer : napari.layers.Image
        A layer of the image; its last two axes are Y and X.
    size : tuple of int
        Rows and columns of the image.

    Returns
    -------
    Box
        All of them where planes are looked at from the side, in three dimensions, or not at all.
    """
    height, width = size
    dims = viewer.dims
    if dims.ndisplay != 2 or tuple(dims.displayed) != (dims.ndim - 2, dims.ndim - 1):
        return Box(0, 0, height, width)
    corners = np.asarray(layer.corner_pixels)[:, -2:]
    if layer.multiscale:  # they are those of the level that is drawn
        corners = np.round(corners * layer.downsample_factors[layer.data_level][-2:]).astype(int)
    if not (corners[1] > corners[0]).all():
        return Box(0, 0, height, width)
    (top, left), (bottom, right) = np.maximum(corners[0], 0), np.minimum(corners[1] + 1, (height, width))
    return Box(int(top), int(left), int(bottom), int(right))
