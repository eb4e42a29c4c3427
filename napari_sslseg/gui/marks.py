"""Marks: what a layer is to a project, noted in the metadata of the layer."""

from dataclasses import dataclass
from typing import Any

from napari.components import ViewerModel
from napari.layers import Labels as LabelsLayer
from napari.layers import Layer

from napari_sslseg.gui.axes import shape_of
from napari_sslseg.project import Project

KEY = "napari-sslseg"
NUMBERS = ("labels", "result", "live", "objects")  # roles of Labels layers
BY_CHANNEL = ("image", "denoised", "restored")  # roles that one layer a channel may have


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
        ``image``, ``labels``, ``result``, ``live``, ``unsure``, ``probability``, ``doubt``, ``objects``,
        ``denoised``, ``restored``, ``colours``, ``alike``, ``suggestion``, ``validation`` or ``object``.
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
        ``image``, ``labels``, ``result``, ``live``, ``unsure``, ``probability``, ``doubt``, ``objects``,
        ``denoised``, ``restored``, ``colours``, ``alike``, ``suggestion``, ``validation`` or ``object``.

    Returns
    -------
    dict
        To be merged into the metadata of the layer.
    """
    return {KEY: {"project": str(project.path.resolve()), "image": id, "role": role}}


def marked(viewer: ViewerModel, project: Project, id: str | None, role: str | None) -> list[Any]:
    """Find the layers that have a role for an image.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The viewer.
    project : Project
        The project.
    id : str, optional
        The image; None for all.
    role : str, optional
        The role; None for all.

    Returns
    -------
    list of napari.layers.Layer
        In the order of the viewer.
    """
    path = str(project.path.resolve())
    found = ((layer, mark_of(layer)) for layer in viewer.layers)
    ours = ((x, m) for x, m in found if m and m.project == path)
    return [x for x, m in ours if role in (None, m.role) and id in (None, m.image)]


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


def foreign(viewer: ViewerModel, project: Project | None) -> list[Layer]:
    """Find labels and masks of other projects, which are safe on disk and cannot be painted on now.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The viewer.
    project : Project, optional
        The open project.

    Returns
    -------
    list of napari.layers.Layer
        In the order of the viewer.
    """
    others = [layer for layer in viewer.layers if mark_of(layer) is not None and not belongs(layer, project)]
    return [layer for layer in others if (m := mark_of(layer)) is not None and m.role != "image"]


def is_twin(viewer: ViewerModel, project: Project, layer: Any) -> bool:
    """Tell whether a layer has the mark of another one, of which napari made it, and does not stand for the same.

    napari hands metadata on to a duplicate, a projection, the planes of a stack and a layer that gets another type.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The viewer, which has the layer already.
    project : Project
        The project.
    layer : napari.layers.Layer
        The layer.

    Returns
    -------
    bool
        Whether it has; False for a layer of another project, or of none.
    """
    m = mark_of(layer)
    if m is None or not belongs(layer, project) or not project.holds(m.image):
        return False
    entry, others = project.entry(m.image), [x for x in marked(viewer, project, m.image, m.role) if x is not layer]
    if (m.role in NUMBERS) != isinstance(layer, LabelsLayer):
        return True
    if m.role == "image" and shape_of(layer)[: len(entry.shape)] != entry.shape:
        return True
    if m.role == "probability":
        return any(x.metadata.get("class") == layer.metadata.get("class") for x in others)
    return len(others) >= (entry.channels if m.role in BY_CHANNEL and not layer.rgb else 1)


def unmark(layer: Layer) -> None:
    """Let a layer be nothing to a project.

    Parameters
    ----------
    layer : napari.layers.Layer
        The layer.
    """
    layer.metadata = {k: v for k, v in layer.metadata.items() if k != KEY}
