"""Exporting: masks that a project holds, written as they are to files for other programs; needs no network."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from napari_sslseg import vast
from napari_sslseg.errors import ProjectError, StorageError
from napari_sslseg.io import write_labels
from napari_sslseg.io.files import is_medical
from napari_sslseg.io.growing import Growing
from napari_sslseg.io.receipts import Receipts
from napari_sslseg.job import Job, Notice, Progress, Stop, share
from napari_sslseg.project import Project


def targets(project: Project, out: Path, ids: Iterable[str] | None = None) -> dict[str, Path]:
    """Say where the masks of images go.

    Parameters
    ----------
    project : Project
        The project.
    out : Path
        Folder to write to.
    ids : iterable of str, optional
        The images; all if not given. Those without masks have no file.

    Returns
    -------
    dict of str to Path
        A TIFF file an image, or NIfTI if the image is, or an OME-Zarr folder of masks that are too large for memory;
        it may be there already.

    Raises
    ------
    ProjectError
        If none of the images has masks.
    StorageError
        If a file would replace an image.
    """
    wanted = [e.id for e in project.images] if ids is None else list(ids)
    found = {id: out / f"{id}{_kind(project, id)}" for id in wanted if project.predicted(id)}
    if not found:
        raise ProjectError("There are no masks to export", "They are made by predicting", "Press ▶ Everything first")
    images = {(project.path / e.source).resolve() for e in project.images}
    for file in found.values():
        if file.resolve() in images:
            raise StorageError(f"The masks would replace the image {file}", "Another folder is needed")
    return found


def export_masks(
    project: Project,
    out: Path,
    ids: Iterable[str] | None = None,
    *,
    replace: bool = False,
    stop: Stop | None = None,
) -> Job[list[Path]]:
    """Write the masks of images to TIFF files, with the pixel size of the images; of NIfTI images to NIfTI files.

    Those that are too large for memory are written piece by piece to an OME-Zarr folder each.

    Parameters
    ----------
    project : Project
        The project.
    out : Path
        Folder to write to; made if it does not exist.
    ids : iterable of str, optional
        The images; all if not given. Those without masks are left out, and named.
    replace : bool, optional
        Whether files of the same names may be written over.
    stop : Stop, optional
        To end early; the files that are written stay.

    Yields
    ------
    Event
        Progress, and which images have no masks.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    StorageError
        If a file is there already and may not be replaced; then nothing is written.
    """
    wanted = [e.id for e in project.images] if ids is None else list(ids)
    work = targets(project, out, wanted)
    taken = [file for file in work.values() if file.exists()]
    if taken and not replace:
        raise StorageError(f"{taken[0]} is there already", "Nothing is written over unasked", "Choose another folder")
    receipts, written = Receipts(out), []
    for k, (id, file) in enumerate(work.items()):
        if stop is not None and stop.requested:
            break
        yield Progress(k / len(work), id)
        entry = project.entry(id)
        if vast.large(entry.shape):
            part = k / len(work), (k + 1) / len(work)
            if not (yield from share(_write_large(project, id, file, stop or Stop()), *part)):
                break
            planes = {box[0].start for box in project.masked_boxes(id)}
            lacking = len(entry.shape) == 3 and len(planes) < entry.shape[0]
        else:
            masks, like = project.prediction(id), project.path / entry.source
            if masks is None:
                continue
            lying: dict[str, Any] = {"spacing": entry.spacing, "unit": entry.unit, "axes": entry.axes[1:]}
            write_labels(file, masks, like=like if like.exists() else None, **lying)
            lacking = masks.ndim == 3 and not all(plane.any() for plane in masks)
        receipts.note(file)
        written.append(file)
        if lacking:
            yield Notice(f"{id}: planes without masks are 0")
    without = [id for id in wanted if id not in work]
    if without:
        yield Notice(f"No masks yet: {', '.join(without[:5])}{' …' if len(without) > 5 else ''}")
    return written


def _write_large(project: Project, id: str, file: Path, stop: Stop) -> Job[bool]:
    """Write masks piece by piece; stopped, the same call goes on with the next piece, unless they changed."""
    entry, masks = project.entry(id), project.masks(id)
    if masks is None:
        return False
    asked = [project.masked(id)]
    lying: dict[str, Any] = {"spacing": entry.spacing, "unit": entry.unit, "axes": entry.axes[1:]}
    growing = Growing.open(file, entry.shape, masks.dtype, asked=asked, **lying)
    while growing.done < len(growing.pieces):
        if stop.requested:
            yield Notice(f"{id}: {growing.done} of {len(growing.pieces)} pieces are written; the same again goes on.")
            return False
        yield Progress(growing.done / len(growing.pieces), f"{id}, piece {growing.done + 1} of {len(growing.pieces)}")
        growing.write(masks[growing.pieces[growing.done]])
    growing.finish()
    return True


def _kind(project: Project, id: str) -> str:
    """Suffix of the file for the masks of an image."""
    if vast.large(project.entry(id).shape):
        return ".ome.zarr"
    source = project.entry(id).source
    return ".nii.gz" if source and is_medical(project.path / source) else ".tif"
