"""Layers: napari layers to nouns and back. Which image a layer shows is noted in its metadata."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pint
from napari.components import ViewerModel
from napari.layers import Image as ImageLayer
from napari.layers import Labels as LabelsLayer
from napari.layers import Layer
from napari.utils.colormaps import DirectLabelColormap

from napari_sslseg.annotation import LabelClass
from napari_sslseg.errors import UserError
from napari_sslseg.image import Image
from napari_sslseg.io import read_image
from napari_sslseg.project import ImageEntry, Project
from napari_sslseg.session import Session

KEY = "napari-sslseg"
LayerData = tuple[Any, dict[str, Any], str]


@dataclass(frozen=True)
class Mark:
    """What a layer is to a project.

    Parameters
    ----------
    project : str
        Path of the project folder.
    image : str
        Id of the image.
    role : str
        ``image``, ``labels``, ``result`` or ``probability``.
    """

    project: str
    image: str
    role: str


def mark_of(layer: Layer) -> Mark | None:
    """Read what a layer is to a project; None if it is nothing.

    Parameters
    ----------
    layer : napari.layers.Layer
        Any layer.

    Returns
    -------
    Mark or None
        Its mark.
    """
    said = layer.metadata.get(KEY)
    return Mark(**said) if said else None


def mark(project: Project, id: str, role: str) -> dict[str, Any]:
    """Return the metadata of a layer that belongs to a project.

    Parameters
    ----------
    project : Project
        The project.
    id : str
        Id of the image.
    role : str
        ``image``, ``labels``, ``result`` or ``probability``.

    Returns
    -------
    dict
        To be merged into the metadata of the layer.
    """
    return {KEY: {"project": str(project.path.resolve()), "image": id, "role": role}}


def marked(viewer: ViewerModel, project: Project, id: str | None, role: str) -> list[Any]:
    """Find the layers that have a role for an image.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The viewer.
    project : Project
        The project.
    id : str, optional
        The image; None for all.
    role : str
        The role.

    Returns
    -------
    list of napari.layers.Layer
        In the order of the viewer.
    """
    path = str(project.path.resolve())
    found = ((layer, mark_of(layer)) for layer in viewer.layers)
    return [x for x, m in found if m and m.project == path and m.role == role and (id is None or m.image == id)]


# -------------------------------------------------------------------- layers to images
def image_layers(viewer: ViewerModel) -> list[ImageLayer]:
    """List the image layers that a user opened: all but our own probabilities.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The viewer.

    Returns
    -------
    list of napari.layers.Image
        In the order of the viewer.
    """
    shown = [layer for layer in viewer.layers if isinstance(layer, ImageLayer)]
    return [layer for layer in shown if (m := mark_of(layer)) is None or m.role == "image"]


def belongs(layer: Layer, project: Project | None) -> bool:
    """Tell whether a layer is part of a project.

    Parameters
    ----------
    layer : napari.layers.Layer
        The layer.
    project : Project, optional
        The project.

    Returns
    -------
    bool
        Whether it is.
    """
    m = mark_of(layer)
    return m is not None and project is not None and m.project == str(project.path.resolve())


def groups(layers: Sequence[ImageLayer]) -> list[list[ImageLayer]]:
    """Put layers that are the channels of one image together: same file or sample, same shape.

    Parameters
    ----------
    layers : sequence of napari.layers.Image
        Image layers.

    Returns
    -------
    list of list of napari.layers.Image
        One list an image.
    """
    found: dict[Any, list[ImageLayer]] = {}
    for layer in layers:
        origin = layer.source.path or layer.source.sample
        key = (origin, tuple(layer.data.shape)) if origin and not layer.rgb else id(layer)
        found.setdefault(key, []).append(layer)
    return list(found.values())


def image_from(layers: Sequence[ImageLayer]) -> Image:
    """Make an image of one layer, or of several that are its channels; nothing is copied.

    Parameters
    ----------
    layers : sequence of napari.layers.Image
        One layer, or layers of one shape.

    Returns
    -------
    Image
        The image.
    """
    first = layers[0]
    shapes = {tuple(layer.data.shape) for layer in layers}
    if len(shapes) > 1 or (first.rgb and len(layers) > 1):
        raise UserError(f"The layers have the shapes {sorted(shapes)}", "The channels of one image have one shape, and no RGB")
    parts = [layer.data[0] if layer.multiscale else layer.data for layer in layers]
    axes = _axes(first) + ("S" if first.rgb else "")
    data = parts[0]
    if len(parts) > 1:
        import dask.array

        lazy = any(not isinstance(p, np.ndarray) for p in parts)
        data, axes = (dask.array.stack(parts) if lazy else np.stack(parts)), "C" + axes
    spatial = sum(a in "ZTYX" for a in axes)
    unit = _short(first.units[-1])
    return Image.from_array(data, axes, spacing=tuple(float(s) for s in first.scale[-spatial:]), unit=unit, name=first.name)


def _axes(layer: ImageLayer) -> str:
    if layer.ndim > 3:
        return "TZYX"[-layer.ndim :]
    first = layer.axis_labels[0].lower()
    return ("T" if first in ("t", "time", "frame") else "Z") + "YX" if layer.ndim == 3 else "YX"[-layer.ndim :]


def _short(unit: pint.Unit) -> str:
    return {"micrometer": "µm", "millimeter": "mm", "nanometer": "nm"}.get(str(unit), str(unit))


def add_to_project(session: Session, layers: Sequence[ImageLayer]) -> ImageEntry:
    """Use one layer, or several that are channels, as an image of the project; a readable file is not copied.

    Parameters
    ----------
    session : Session
        What the user is doing.
    layers : sequence of napari.layers.Image
        One layer, or layers of one shape.

    Returns
    -------
    ImageEntry
        Its entry.
    """
    image = image_from(layers)
    file = _file_of(layers[0], image)
    project = session.ensure_project(image.name, file)
    entry = session.add_file(file) if file else session.add_image(image)
    for layer in layers:
        layer.metadata = {**layer.metadata, **mark(project, entry.id, "image")}
    return entry


def _file_of(layer: ImageLayer, image: Image) -> Path | None:
    """Return the file of a layer if reading it gives the same image."""
    if not layer.source.path or not Path(layer.source.path).is_file():
        return None
    file = Path(layer.source.path)
    try:
        read = read_image(file)
    except UserError:
        return None
    same = read.shape == image.shape and read.channels == image.channels and read.data.dtype == image.data.dtype
    return file if same else None


# -------------------------------------------------------------------- nouns to layers
def layer_data(image: Image, metadata: dict[str, Any] | None = None) -> list[LayerData]:
    """Describe an image as layers: one, or one a channel.

    Parameters
    ----------
    image : Image
        The image; nothing of it is read.
    metadata : dict, optional
        Metadata of the layers.

    Returns
    -------
    list of tuple
        Data, keyword arguments and ``image`` for each layer.
    """
    place = {"scale": image.spacing, "units": [_known(image.unit)] * len(image.spacing)}
    place |= {"metadata": metadata or {}, "axis_labels": tuple(a.lower() for a in image.axes[1:])}
    if image.rgb:
        order = (*range(1, image.data.ndim), 0)
        return [(image.data.transpose(order), {"name": image.name, "rgb": True, **place}, "image")]
    if image.channels == 1:
        return [(image.data[0], {"name": image.name, "rgb": False, **place}, "image")]
    colours = ("cyan", "magenta", "yellow", "green", "red", "blue")
    return [
        (
            image.data[c],
            {"name": f"{image.name} {c + 1}", "colormap": colours[c % 6], "blending": "additive", "rgb": False, **place},
            "image",
        )
        for c in range(image.channels)
    ]


def show_image(viewer: ViewerModel, project: Project, id: str) -> list[ImageLayer]:
    """Show an image of a project; one layer, or one a channel.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The viewer.
    project : Project
        The project.
    id : str
        The image.

    Returns
    -------
    list of napari.layers.Image
        The layers that were there already, or the new ones.
    """
    found = marked(viewer, project, id, "image")
    if found:
        return found
    return [viewer.add_layer(ImageLayer(data, **said)) for data, said, _ in image_data(project, id)]


def image_data(project: Project, id: str) -> list[LayerData]:
    """Describe an image of a project as layers.

    Parameters
    ----------
    project : Project
        The project.
    id : str
        The image.

    Returns
    -------
    list of tuple
        Data, keyword arguments and ``image`` for each layer.
    """
    return layer_data(replace(project.image(id), name=id), mark(project, id, "image"))


def labels_data(project: Project, id: str) -> list[LayerData]:
    """Describe what is painted on an image as a layer.

    Parameters
    ----------
    project : Project
        The project.
    id : str
        The image.

    Returns
    -------
    list of tuple
        Data, keyword arguments and ``labels``; none where nothing was painted.
    """
    if id not in project.labelled():
        return []
    place = {name: image_data(project, id)[0][1][name] for name in ("scale", "units", "axis_labels")}
    said = {"name": f"{id} labels", "opacity": 0.8, "metadata": mark(project, id, "labels"), **place}
    return [(project.labels(id), said | look(project.classes), "labels")]


def _known(unit: str) -> str:
    try:
        pint.get_application_registry().Unit(unit)
    except (pint.UndefinedUnitError, ValueError):
        return "pixel"
    return unit


def geometry(layer: Layer) -> dict[str, Any]:
    """Return where a layer lies, so that another one of its shape can lie on it.

    Parameters
    ----------
    layer : napari.layers.Layer
        A layer.

    Returns
    -------
    dict
        Keyword arguments of a new layer.
    """
    names = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
    return {name: getattr(layer, name) for name in names}


def look(classes: Sequence[LabelClass], *, hide_background: bool = False) -> dict[str, Any]:
    """Return the colours and names of the classes as arguments of a Labels layer.

    Parameters
    ----------
    classes : sequence of LabelClass
        The classes.
    hide_background : bool, optional
        Whether class 1 is left transparent.

    Returns
    -------
    dict
        ``colormap`` and ``features``.
    """
    colours: dict[int | None, str] = {None: "#888888", 0: "#00000000"}
    colours.update({c.value: c.colour for c in classes})
    if hide_background:
        colours[1] = "#00000000"
    names = {"index": [c.value for c in classes], "class": [c.name for c in classes]}
    return {"colormap": DirectLabelColormap(color_dict=colours), "features": names}
