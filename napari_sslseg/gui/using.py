"""Using: open layers become images of the project, with what was said of their axes and pixel size."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image as ImageLayer
from napari.utils.notifications import show_info

from napari_sslseg.contents import ImageEntry
from napari_sslseg.errors import UserError
from napari_sslseg.gui import axes, layers, marks, origin, sight
from napari_sslseg.gui.axes import axes_of
from napari_sslseg.gui.layers import LEFT
from napari_sslseg.gui.marks import mark
from napari_sslseg.gui.origin import file_of, reference
from napari_sslseg.gui.places import find_or_create
from napari_sslseg.image import LEAST_SIZE, Image
from napari_sslseg.job import Job, Notice, Progress, Stop
from napari_sslseg.overlay import Box
from napari_sslseg.project import Project

if TYPE_CHECKING:
    from napari_sslseg.gui.desk import Desk

REST = "napari-sslseg files"  # more files of the kind of a layer, which are used with it
LARGE = 2**23  # bytes: these are copied in some quarter of a second, and nobody waits longer for an answer to a click

Work = tuple[Callable[[Stop], Job[Any]], Callable[[Any], None]]  # makes a job; is given what it made


def use(desk: "Desk", chosen: Sequence[Sequence[ImageLayer]], then: Callable[[], None] | None = None) -> bool:
    """Use image layers as images of the project; it gets a copy of what is in no file, of large ones beside the window.

    Parameters
    ----------
    desk : Desk
        The desk.
    chosen : sequence of sequence of napari.layers.Image
        The layers of each image.
    then : callable, optional
        What comes next where large images are copied first; not after a stop or a failure.

    Returns
    -------
    bool
        Whether large images are copied first.
    """
    session, copies, more = desk.session, list[Work](), list[Work]()
    try:
        for group in chosen:
            image = layers.image_from(group)
            found = reference(group[0], axes_of(group[0]) if len(group) == 1 else None, image)
            file, said = found if found is not None else (None, {})
            large = file is None and is_large(image)
            if large:
                check_idle(desk, f"{image.name} is large, and is copied")
            ready(desk, image, file)
            if rest := [Path(f) for f in group[0].metadata.get(REST, ())]:
                more.append(_many(desk, rest, said))
            was = group[0].metadata.get(LEFT)
            if large:
                copies.append(_copy(desk, group, image, was))
            else:
                _used(desk, group, image, session.add_file(file, **said) if file else session.add_image(image, was))
    finally:  # of what comes after an image that cannot be used, nothing is; what came before it is
        desk.canvas.follow()
        desk.jobs.start()
        work_off(desk, [*copies, *more], then if copies else None)
    return bool(copies)


def use_active(desk: "Desk", then: Callable[[], None]) -> bool:
    """Use the image of the active layer, where it is an open image that the project has not got yet.

    Parameters
    ----------
    desk : Desk
        The desk.
    then : callable
        What comes next where the image is large and copied first: it is the current one then.

    Returns
    -------
    bool
        Whether it is copied first.
    """
    viewer, project = desk.canvas.viewer, desk.session.project
    unused = [layer for layer in layers.image_layers(viewer) if not marks.belongs(layer, project)]
    active = [group for group in layers.groups(unused) if viewer.layers.selection.active in group]

    def go_on() -> None:
        if active[0][0] in viewer.layers:  # by now another one may be the active one
            viewer.layers.selection.active = active[0][0]
        then()

    return bool(active) and use(desk, active, go_on)


def _used(desk: "Desk", group: Sequence[ImageLayer], image: Image, entry: ImageEntry) -> None:
    session = desk.session
    _adopt(desk, group, image, entry)
    session.images_changed.emit()
    if entry.id in session.tally.counts:  # it was taken out before, and what was painted on it came back
        session.select(entry.id)
        desk.canvas.painting.annotate()


def ready(desk: "Desk", image: Image, file: Path | None) -> None:
    """Make sure that there is a project for an image.

    Parameters
    ----------
    desk : Desk
        The desk.
    image : Image
        The image.
    file : Path, optional
        Its file.
    """
    if desk.session.project is None:
        desk.session.open(find_or_create(image.name, file, desk.home))
        show_info(f"Everything is kept in {desk.session.needed_project.path}")


def _adopt(desk: "Desk", group: Sequence[ImageLayer], image: Image, entry: ImageEntry) -> None:
    """Make layers those of an image; others take their place where they show it another way than it is."""
    viewer, project = desk.canvas.viewer, desk.session.needed_project
    usual = image.axes[1:] + ("S" if image.rgb else "")
    if all(axes_of(layer) == usual for layer in group) and all(layer.rgb == image.rgb for layer in group):
        for layer in group:
            before = {k: v for k, v in layer.metadata.items() if k != LEFT}
            layer.metadata = {**before, **mark(project, entry.id, "image")}
        return
    for layer in group:
        if layer in viewer.layers:  # else it was closed while a copy was made
            viewer.layers.remove(layer)
    viewer.layers.selection.active = layers.show_image(viewer, project, entry.id)[0]


def take_out(desk: "Desk", id: str) -> None:
    """Take an image out of the project: it is an open image again, of which other things can be said.

    Parameters
    ----------
    desk : Desk
        The desk.
    id : str
        The image.

    Raises
    ------
    UserError
        If what was painted on it cannot be written.
    """
    entry = desk.session.needed_project.entry(id)
    check_written(desk, id)
    let_go(desk, entry)
    desk.session.take_out(id)
    desk.canvas.show_current()
    show_info(f"{id} is out of the project. What is painted on it is kept: “Use these images” brings it back")


def let_go(desk: "Desk", entry: ImageEntry) -> None:
    """Make an image that leaves the project an open image again, and remove what lies on it.

    Parameters
    ----------
    desk : Desk
        The desk.
    entry : ImageEntry
        The image.
    """
    viewer, project = desk.canvas.viewer, desk.session.needed_project
    shown = marks.marked(viewer, project, entry.id, "image")
    for layer in marks.marked(viewer, project, entry.id, None):
        if layer not in shown:
            viewer.layers.remove(layer)
    for layer in shown:
        said = {k: v for k, v in layer.metadata.items() if k != marks.KEY}
        said |= {LEFT: entry.id, axes.KEY: axes_of(layer)}
        if Path(entry.source).is_absolute():
            said[origin.KEY] = entry.source
        layer.metadata = said
        layer.visible = all(e.id == entry.id for e in project.images)  # else the next one of the project is looked at


# -------------------------------------------------------------------- what takes its time: large images, many files
def work_off(desk: "Desk", works: Sequence[Work], then: Callable[[], None] | None = None) -> None:
    """Run jobs one after the other, and then what comes next; a stop or a failure ends it all.

    Parameters
    ----------
    desk : Desk
        The desk.
    works : sequence of Work
        What makes each job, and what is given its result.
    then : callable, optional
        What comes next.
    """
    if not works:
        if then is not None and desk.alive:
            then()
        return
    (make, done), *others = works
    stops: list[Stop] = []

    def begin(stop: Stop) -> Job[Any]:
        stops.append(stop)
        return make(stop)

    def go_on() -> None:
        if not stops[0].requested:
            work_off(desk, others, then)

    desk.run("images", begin, done, go_on)


def check_idle(desk: "Desk", what: str) -> None:
    """Check that no job runs.

    Parameters
    ----------
    desk : Desk
        The desk.
    what : str
        What is to be done, as the beginning of a sentence.

    Raises
    ------
    UserError
        If one does.
    """
    if desk.session.running is not None:
        raise UserError("Something is running", f"{what} when nothing else runs", "Stop it first, or wait")


def check_written(desk: "Desk", id: str) -> None:
    """Check that all that is painted is on disk, and write what is not.

    Parameters
    ----------
    desk : Desk
        The desk.
    id : str
        The image that it is asked for.

    Raises
    ------
    UserError
        If it cannot be written.
    """
    if not desk.canvas.painting.flush():
        raise UserError(f"What is painted on {id} is not on disk yet", "It has to be first", "Wait a moment")


def is_large(image: Image) -> bool:
    """Tell whether copying an image takes so long that it is done beside the window.

    Parameters
    ----------
    image : Image
        The image.

    Returns
    -------
    bool
        Whether it does.
    """
    return math.prod(image.data.shape) * int(image.data.dtype.itemsize) > LARGE


def _copy(desk: "Desk", group: Sequence[ImageLayer], image: Image, was: str | None) -> Work:
    project = desk.session.needed_project
    return lambda stop: project.copy_image(image, was, stop=stop), lambda entry: _copied(desk, group, image, entry)


def _copied(desk: "Desk", group: Sequence[ImageLayer], image: Image, entry: ImageEntry) -> None:
    desk.session.refresh()
    if desk.session.current is None:
        desk.session.select(entry.id)
    if desk.alive:
        _used(desk, group, image, entry)
        desk.canvas.follow()


def _many(desk: "Desk", files: Sequence[Path], said: dict[str, Any]) -> Work:
    project = desk.session.needed_project
    return lambda stop: _adding(project, files, said, stop), lambda _: desk.session.refresh()


def _adding(project: Project, files: Sequence[Path], said: dict[str, Any], stop: Stop) -> Job[int]:
    added = 0
    for at, file in enumerate(files):
        if stop.requested:
            break
        yield Progress(at / len(files), f"{file.name}, {at + 1} of {len(files)}")
        try:
            project.add_file(file, **said)
            added += 1
        except UserError as error:
            yield Notice(f"{file.name} is left out. {error}")
    return added


# -------------------------------------------------------------------- a region
def use_region(desk: "Desk", group: Sequence[ImageLayer]) -> None:
    """Make what is in the view an image of its own; of a stack in all planes.

    Parameters
    ----------
    desk : Desk
        The desk.
    group : sequence of napari.layers.Image
        The layers of the image that is not used yet; none for the current image of the project.
    """
    check_idle(desk, "A region is copied")
    if not group and not desk.ready():
        return
    session, viewer = desk.session, desk.canvas.viewer
    if group:
        image, layer = layers.image_from(group), group[0]
    else:
        id = session.current or ""
        image = replace(session.needed_project.image(id), name=id)
        layer = layers.show_image(viewer, session.needed_project, id)[0]
    if group and axes_of(layer) != image.axes[1:] + ("S" if image.rgb else ""):
        raise UserError(
            "A region is cut out of rows and columns, and this layer shows other axes",
            "It has to be shown in its own axes first",
            "Press “Use these images”, then “Only this region”",
        )
    crop = _crop(image, sight.box(viewer, layer, image.shape[-2:]))
    ready(desk, image, file_of(layer))
    project = session.needed_project
    for other in group:
        other.visible = False
    desk.jobs.start()
    desk.run("images", lambda stop: project.copy_image(crop, stop=stop), lambda entry: _show_region(desk, entry))


def _crop(image: Image, box: Box) -> Image:
    height, width = box.bottom - box.top, box.right - box.left
    if (height, width) == image.shape[-2:]:
        raise UserError(
            f"All of {image.name} is in the view", "A region is a part of it", "Zoom in until only that part is seen"
        )
    if min(height, width) < LEAST_SIZE:
        raise UserError(
            f"{height} × {width} pixels are in the view", f"{LEAST_SIZE} × {LEAST_SIZE} are the least", "Zoom out a bit"
        )
    rows, columns = slice(box.top, box.bottom), slice(box.left, box.right)
    pixels = image.data[:, rows, columns] if image.data.ndim == 3 else image.data[:, :, rows, columns]
    return Image(pixels, image.spacing, image.unit, f"{image.name} region", image.axes, image.rgb)


def _show_region(desk: "Desk", entry: ImageEntry) -> None:
    desk.session.refresh()
    desk.session.select(entry.id)
    if desk.alive:
        desk.canvas.show_current(fit=True)
