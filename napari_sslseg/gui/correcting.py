"""Correcting: an image of the project gets other axes or another pixel size, and is shown so."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from napari_sslseg.gui import axes, layers, marks, origin
from napari_sslseg.gui.telling import telling
from napari_sslseg.gui.using import Work, check_idle, check_written, is_large, work_off
from napari_sslseg.image import Image

if TYPE_CHECKING:
    from napari_sslseg.gui.desk import Desk

SCALED = ("image", "labels", "result", "live", "unsure", "probability", "doubt", "objects", "validation")


def set_axes(desk: "Desk", ids: Sequence[str], said: str) -> None:
    """Give images of the project other axes; they keep their ids. Of a large one a copy is made beside the window.

    What is wrong with one of them is told, and the others get theirs: if something lies on it that has its shape, or
    something runs.

    Parameters
    ----------
    desk : Desk
        The desk.
    ids : sequence of str
        The images.
    said : str
        One letter an axis of the array of each, as `axes.array_of` gives it; an image that it cannot be stays as it is.
    """
    copies = list[Work]()
    for id in ids:
        with telling():
            copies += _set_axes(desk, id, said)
    work_off(desk, copies)


def _set_axes(desk: "Desk", id: str, said: str) -> list[Work]:
    """Give an image other axes; or say what is to be done for that."""
    session, project = desk.session, desk.session.needed_project
    image = project.image(id)
    array, now = axes.array_of(image)
    if said == now or said not in axes.choices(array.shape):
        return []
    _check_still(desk, id)
    project.check_bare(id)
    was = dict(zip(image.axes[1:], image.spacing, strict=True))
    order = axes.gives(said, array.shape)[0][1:]
    new = Image.from_array(array, said, spacing=tuple(was.get(a, 1.0) for a in order), unit=image.unit, name=id)
    place = project.path / project.entry(id).source
    own = place.resolve().is_relative_to(project.path.resolve())
    found = None if own else origin.read_as(place.resolve(), said, new)
    if found is None and is_large(new):
        return [(lambda stop: project.change_axes(id, new, stop=stop), lambda _: _show_anew(desk, id, session.refresh))]
    _show_anew(desk, id, lambda: session.set_axes(id, new, *(found or ())))
    return []


def _show_anew(desk: "Desk", id: str, change: Callable[[], None]) -> None:
    """Take away what shows an image, have it changed, and show it as it is then."""
    if not desk.alive:
        change()
        return
    painting = bool(marks.marked(desk.canvas.viewer, desk.session.needed_project, id, "labels"))
    _remove(desk, id)
    try:
        change()
    finally:
        if desk.session.current == id:
            desk.canvas.look_at(id)
            if painting:
                desk.canvas.painting.annotate()


def set_spacing(desk: "Desk", id: str, spacing: Mapping[str, float], unit: str) -> None:
    """Give an image of the project another pixel size; what lies on it stays, and is shown in that size.

    Parameters
    ----------
    desk : Desk
        The desk.
    id : str
        The image.
    spacing : mapping of str to float
        Pixel size by axis; axes that are not named keep theirs.
    unit : str
        Its unit.

    Raises
    ------
    UserError
        If something runs.
    """
    project, viewer = desk.session.needed_project, desk.canvas.viewer
    entry = project.entry(id)
    new = tuple(spacing.get(a, was) for a, was in zip(entry.axes[1:], entry.spacing, strict=True))
    if (new, unit) == (entry.spacing, entry.unit):
        return
    _check_still(desk, id)
    desk.session.set_spacing(id, new, unit)
    plane = (desk.canvas.current_plane() or {}).get(id)
    _remove(desk, id, keep=SCALED)
    for layer in [x for role in SCALED for x in marks.marked(viewer, project, id, role)]:
        layer.units = layers.units_of(entry.axes[1:], unit)
        layer.scale = new
    if desk.session.current == id:
        desk.canvas.look_at(id)
        if plane is not None:
            first = layers.show_image(viewer, project, id)[0]
            viewer.dims.set_point(viewer.dims.ndim - 3, first.data_to_world((plane[0], 0, 0))[0])


def _check_still(desk: "Desk", id: str) -> None:
    check_idle(desk, "An image is changed")
    check_written(desk, id)


def _remove(desk: "Desk", id: str, keep: tuple[str, ...] = ()) -> None:
    viewer, project = desk.canvas.viewer, desk.session.needed_project
    kept = [x for role in keep for x in marks.marked(viewer, project, id, role)]
    for layer in marks.marked(viewer, project, id, None):
        if layer not in kept:
            viewer.layers.remove(layer)
