"""Masks: predictions as layers over their image, updated in place when predicted again."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Labels as LabelsLayer
from napari.utils.colormaps import Colormap

from napari_sslseg import vast
from napari_sslseg.gui import layers, marks, overlays
from napari_sslseg.io.on_disk import OnDisk
from napari_sslseg.prediction import Prediction
from napari_sslseg.project import Project

UNSURE: dict[str, Any] = {  # how it is drawn where masks are unsure, from 0 to 1
    "colormap": Colormap(["#00000000", "#ffe40000", "#ffe400"], name="unsure"),
    "contrast_limits": (0, 1),
    "blending": "translucent",
}


@dataclass(frozen=True)
class Look:
    """How masks are drawn.

    Parameters
    ----------
    opacity : float
        0 to 1.
    outline : bool
        Whether only their outlines are drawn.
    visible : bool
        Whether they are drawn at all.
    """

    opacity: float = 0.5
    outline: bool = False
    visible: bool = True


def show(viewer: ViewerModel, project: Project, predictions: Sequence[Prediction], look: Look) -> None:
    """Show predictions over their images.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The viewer.
    project : Project
        The project.
    predictions : sequence of Prediction
        What a model says.
    look : Look
        How new masks are drawn.
    """
    active = viewer.layers.selection.active
    for prediction in predictions:
        _show_masks(viewer, project, prediction, look)
        if prediction.probabilities is not None:
            _show_probabilities(viewer, project, prediction)
    if active is not None:
        viewer.layers.selection.active = active


def kept(project: Project, id: str) -> Prediction | None:
    """Return the masks of an image that are on the disk; of a large one without reading any.

    Parameters
    ----------
    project : Project
        The project.
    id : str
        The image.

    Returns
    -------
    Prediction, optional
        None if nothing was predicted.
    """
    if vast.large(project.entry(id).shape):
        return Prediction(id, np.zeros(0, np.uint16), written=True) if project.predicted(id) else None
    found = project.prediction(id)
    return Prediction(id, found) if found is not None else None


def of_classes(project: Project, labels: Any) -> np.dtype[Any]:
    """Return what masks of classes are shown as: numbers of 8 bits, if these are enough.

    For each new table of colours napari goes through all numbers that there can be: 65536 hold the window up.

    Parameters
    ----------
    project : Project
        The project.
    labels : ndarray of int
        What is to be shown; a class in it may not be in the project any more.

    Returns
    -------
    numpy.dtype
        uint8 or uint16.
    """
    most = max([int(labels.max(initial=0)), *(c.value for c in project.classes)])
    return np.dtype(np.uint8 if most < 2**8 else np.uint16)


def read_again(viewer: ViewerModel, project: Project) -> None:
    """Show large masks, which are read where one looks, as they are on the disk now.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The viewer.
    project : Project
        The project.
    """
    for layer in marks.marked(viewer, project, None, "result"):
        mark = marks.mark_of(layer)
        found = project.masks(mark.image) if mark is not None and isinstance(layer.data, OnDisk) else None
        if found is not None:
            layer.data, layer.editable = found, False


def _show_masks(viewer: ViewerModel, project: Project, prediction: Prediction, look: Look) -> None:
    shape, found = project.entry(prediction.image).shape, marks.marked(viewer, project, prediction.image, "result")
    if vast.large(shape):
        masks: Any = project.masks(prediction.image)  # all that is there, and so what was predicted now
        if masks is None:
            return
    else:
        known = kept(project, prediction.image) if prediction.written else prediction
        if known is None:
            return
        kind = np.dtype(np.uint32) if project.task == "instance" else of_classes(project, known.labels)
        masks = found[0].data if found else vast.zeros(shape, kind)
        if masks.dtype.itemsize < kind.itemsize:
            masks = masks.astype(kind)
        masks[known.place(len(shape))] = known.labels
    if found:
        if found[0].data is not masks:
            found[0].data = masks
        found[0].editable = not vast.large(shape)
        found[0].refresh()
        return
    below = layers.show_image(viewer, project, prediction.image)
    metadata = marks.mark(project, prediction.image, "result")
    layer = LabelsLayer(masks, name=f"{prediction.image} masks", metadata=metadata, **layers.geometry(below[0]))
    layer.editable = not vast.large(shape)
    colour(layer, project)
    style(layer, look)
    viewer.layers.insert(viewer.layers.index(below[-1]) + 1, layer)


def _show_probabilities(viewer: ViewerModel, project: Project, prediction: Prediction) -> None:
    below = layers.show_image(viewer, project, prediction.image)
    at = viewer.layers.index(below[-1]) + 1
    known = {layer.metadata["class"]: layer for layer in marks.marked(viewer, project, prediction.image, "probability")}
    colours = {c.name: c.colour for c in project.classes}
    assert prediction.probabilities is not None, "asked for by the caller"
    for name, values in list(zip(prediction.classes, prediction.probabilities, strict=True))[1:]:
        if name in known:
            known[name].data[prediction.place(known[name].data.ndim)] = values
            known[name].refresh()
            continue
        data = vast.zeros(project.entry(prediction.image).shape, np.float32)
        data[prediction.place(data.ndim)] = values
        layer = _probability_layer(data, f"{prediction.image} {name} probability", colours.get(name), below[0])
        layer.metadata = {"class": name, **marks.mark(project, prediction.image, "probability")}
        viewer.layers.insert(at, layer)


def _probability_layer(data: Any, name: str, colour: str | None, below: Any) -> Any:
    from napari.layers import Image as ImageLayer

    colormap = Colormap(["#00000000", colour or "#ffffff"], name=name)
    place = layers.geometry(below)
    return ImageLayer(
        data, name=name, colormap=colormap, contrast_limits=(0, 1), blending="translucent", opacity=0.8, **place
    )


def colour(layer: LabelsLayer, project: Project) -> None:
    """Give masks the colours of the classes; the background is left transparent.

    Parameters
    ----------
    layer : napari.layers.Labels
        The masks.
    project : Project
        The project.
    """
    for name, value in layers.look(project, hide_background=True).items():
        setattr(layer, name, value)


def recolour(viewer: ViewerModel, project: Project) -> None:
    """Give all masks the colours of the classes as they are now.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The viewer.
    project : Project
        The project.
    """
    for role in ("result", "live"):
        for layer in marks.marked(viewer, project, None, role):
            colour(layer, project)


def apply(viewer: ViewerModel, project: Project, look: Look, current: str | None, role: str = "result") -> None:
    """Draw all masks in another way; those of other images, which are hidden, stay hidden.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The viewer.
    project : Project
        The project.
    look : Look
        How.
    current : str, optional
        The image that is worked on.
    role : str, optional
        ``result``, ``live`` for those that follow the brush, or ``objects`` for each object in its own colour.
    """
    images = overlays.seen(viewer, project, current)
    for layer in marks.marked(viewer, project, None, role):
        mark = marks.mark_of(layer)
        here = mark is not None and mark.image in images
        style(layer, replace(look, visible=look.visible and here))


def style(layer: LabelsLayer, look: Look) -> None:
    """Draw masks in a way.

    Parameters
    ----------
    layer : napari.layers.Labels
        The masks.
    look : Look
        How.
    """
    layer.opacity, layer.contour = look.opacity, 2 if look.outline else 0
    layer.visible = look.visible
