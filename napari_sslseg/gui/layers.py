"""Layers: napari layers to nouns and back."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pint
from napari.components import ViewerModel
from napari.layers import Image as ImageLayer
from napari.layers import Layer
from napari.utils.colormaps import DirectLabelColormap, label_colormap

from napari_sslseg.errors import ImageError, UserError
from napari_sslseg.gui import axes
from napari_sslseg.gui.marks import mark, mark_of, marked
from napari_sslseg.gui.origin import KEY
from napari_sslseg.image import Image
from napari_sslseg.io.channels import joined
from napari_sslseg.project import Project

CHOOSE = "Choose below the list of images what its axes are"
COLOURS = ("cyan", "magenta", "yellow", "green", "red", "blue")
LEFT = "napari-sslseg left"  # the id that an image had before it was taken out of the project
CLASSES = "napari-sslseg classes"  # of layers to paint on: value, name and colour of each class
LayerData = tuple[Any, dict[str, Any], str]


# -------------------------------------------------------------------- layers to images
def image_layers(viewer: ViewerModel) -> list[ImageLayer]:
    """List the image layers that a user opened: all but our own probabilities and denoised planes.

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
        origin = layer.source.path or layer.source.sample or layer.metadata.get(KEY) or layer.metadata.get(LEFT)
        alone = layer.rgb or layer.source.parent is not None  # as a duplicate is, which is no further channel
        key = (origin, tuple(layer.data.shape)) if origin and not alone else id(layer)
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
        raise UserError(
            f"The layers have the shapes {sorted(shapes)}",
            "The channels of one image have one shape, and no RGB",
            "Close what does not belong to it",
        )
    parts = [layer.data[0] if layer.multiscale else layer.data for layer in layers]
    said = axes.axes_of(first)
    data, letters = parts[0], said
    if len(parts) > 1:  # put together plane by plane by who reads it: all at once would hold up the window
        data, letters = joined(parts, first.name), "C" + said
    spacing, unit = axes.place_of(first, said)
    try:
        return Image.from_array(data, letters, spacing=spacing, unit=unit, name=first.name)
    except ImageError as error:
        raise ImageError(error.given, error.needed, CHOOSE) from error


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
    place: dict[str, Any] = {"scale": image.spacing, "units": units_of(image.axes[1:], image.unit)}
    place |= {"metadata": metadata or {}, "axis_labels": tuple(a.lower() for a in image.axes[1:])}
    if image.rgb:
        return [(axes.array_of(image)[0], {"name": image.name, "rgb": True, **place}, "image")]
    if image.channels == 1:
        return [(image.data[0], {"name": image.name, "rgb": False, **place}, "image")]
    channels = [image.data[c] for c in range(image.channels)]
    said = [
        {"name": f"{image.name} {c + 1}", "colormap": COLOURS[c % len(COLOURS)], "blending": "additive", "rgb": False}
        for c in range(image.channels)
    ]
    return [(data, {**more, **place}, "image") for data, more in zip(channels, said, strict=True)]


def show_image(viewer: ViewerModel, project: Project, id: str) -> list[ImageLayer]:
    """Show an image of a project, below all that lies on it; one layer, or one a channel.

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
    over = marked(viewer, project, id, None)  # what lies on it, if its layer was closed and that was not
    at = viewer.layers.index(over[0]) if over else len(viewer.layers)
    new = [ImageLayer(data, **said) for data, said, _ in image_data(project, id)]
    for layer in reversed(new):
        viewer.layers.insert(at, layer)
    return new


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
    metadata = mark(project, id, "labels") | class_table(project)
    said = {"name": f"{id} labels", "opacity": 0.8, "metadata": metadata, **place}
    return [(project.labels(id), said | look(project), "labels")]


def units_of(letters: str, unit: str) -> list[str]:
    """Return the units of the axes of a layer: along time there are none.

    Parameters
    ----------
    letters : str
        One letter an axis.
    unit : str
        Unit of the pixel size.

    Returns
    -------
    list of str
        One an axis.
    """
    return ["pixel" if a == "T" else known_unit(unit) for a in letters]


def known_unit(unit: str) -> str:
    """Return a unit as a layer can have it.

    Parameters
    ----------
    unit : str
        Any unit.

    Returns
    -------
    str
        The same, or ``pixel`` where napari does not know it.
    """
    try:
        pint.get_application_registry().Unit(unit)  # type: ignore[no-untyped-call]
    except (pint.UndefinedUnitError, ValueError):
        return "pixel"
    return unit


def corners(y: tuple[int, int], x: tuple[int, int], z: int | None = None) -> npt.NDArray[np.float64]:
    """Return the corners of a box of pixels, at their edges, as a Shapes layer takes them.

    Parameters
    ----------
    y, x : (int, int)
        First row or column, and the one after the last.
    z : int, optional
        The plane, in a stack.

    Returns
    -------
    numpy.ndarray
        (4, 2), or (4, 3) with a plane, in data coordinates.
    """
    (y0, y1), (x0, x1) = y, x
    flat = np.array([[y0, x0], [y0, x1], [y1, x1], [y1, x0]]) - 0.5
    return flat if z is None else np.insert(flat, 0, z, 1)


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


def look(project: Project, *, hide_background: bool = False) -> dict[str, Any]:
    """Return the colours and names of the classes, or colours of objects, as arguments of a Labels layer.

    Parameters
    ----------
    project : Project
        The project.
    hide_background : bool, optional
        Whether class 1 is left transparent.

    Returns
    -------
    dict
        ``colormap`` and ``features``.
    """
    if project.task == "instance":
        return {"colormap": label_colormap(49, background_value=int(hide_background)), "features": {}}
    colours: dict[int | None, str] = {None: "#888888", 0: "#00000000"}
    colours.update({c.value: c.colour for c in project.classes})
    if hide_background:
        colours[1] = "#00000000"
    names = {"index": [0, *(c.value for c in project.classes)], "class": ["–", *(c.name for c in project.classes)]}
    return {"colormap": DirectLabelColormap(color_dict=colours), "features": names}


def class_table(project: Project) -> dict[str, Any]:
    """Return the classes as metadata of a layer to paint on, in what JSON can say.

    Parameters
    ----------
    project : Project
        The project.

    Returns
    -------
    dict
        To be merged into the metadata: of each class ``value``, ``name`` and ``colour``; none of objects.
    """
    classes = project.classes if project.task == "semantic" else ()
    return {CLASSES: [{"value": c.value, "name": c.name, "colour": c.colour} for c in classes]}
