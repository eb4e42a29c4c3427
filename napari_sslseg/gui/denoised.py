"""Denoised: planes without their noise over their image, or restored beside it, as image layers that look like it."""

from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image as ImageLayer
from napari.utils.transforms import Affine

from napari_sslseg.gui import beside, layers, marks
from napari_sslseg.prediction import Denoised
from napari_sslseg.project import Project

GAP = 0.03  # between an image and what lies beside it, of the width of the image


def show(viewer: ViewerModel, project: Project, found: Denoised, role: str = "denoised") -> None:
    """Show a plane drawn anew; the one shown before is replaced.

    What differs little from its image, without noise, lies over it, so that hiding it compares the two in place. What
    was drawn from its surroundings alone lies beside it, on the right, so that both are seen at once.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The viewer.
    project : Project
        The project.
    found : Denoised
        One plane, or a whole image.
    role : str, optional
        ``denoised`` or ``restored``.
    """
    below, active = layers.show_image(viewer, project, found.image), viewer.layers.selection.active
    for layer in marks.marked(viewer, project, found.image, role):
        viewer.layers.remove(layer)
    metadata = {**marks.mark(project, found.image, role), "z": found.planes[0] if found.planes else 0}
    for layer, pixels in zip(below, _by_layer(found.pixels, below), strict=True):
        said = {"name": f"{layer.name} {role}", "rgb": layer.rgb, "metadata": metadata}
        new = ImageLayer(pixels, **said, **_look(layer), **_place(layer, found, role))
        viewer.layers.insert(viewer.layers.index(below[-1]) + 1, new)
    if active is not None and active in viewer.layers:
        viewer.layers.selection.active = active


def _by_layer(pixels: Any, below: list[ImageLayer]) -> list[Any]:
    """The pixels of each layer: all three colours of one, in the type that napari draws, or one channel of each."""
    if not below[0].rgb:
        return list(pixels)
    kind = below[0].dtype
    full = float(np.iinfo(kind).max) if np.issubdtype(kind, np.integer) else 1.0
    return [np.clip(np.moveaxis(pixels, 0, -1) / full, 0, 1)]


def _look(layer: ImageLayer) -> dict[str, Any]:
    if layer.rgb:
        return {}
    return {"colormap": layer.colormap, "contrast_limits": layer.contrast_limits, "blending": layer.blending}


def _place(layer: ImageLayer, found: Denoised, role: str) -> dict[str, Any]:
    """Where the layer below lies, moved along Z to the plane that was drawn, and along X where it lies beside it."""
    place, corner, width = layers.geometry(layer), np.zeros(layer.ndim), found.pixels.shape[-1]
    if found.planes is not None and layer.ndim == 3:
        corner[0] = found.planes[0]
    if role in beside.ROLES:
        corner[-1] = width + max(1, round(width * GAP))
    shape = {name: place[name] for name in ("scale", "translate", "rotate", "shear")}
    return place | {"translate": Affine(**shape)(corner)}
