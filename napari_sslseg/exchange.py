"""Files in and out of a project: images and labels are added from files, predictions are written to files."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_sslseg.annotation import LabelClass
from napari_sslseg.errors import ImageError, LabelError, StorageError
from napari_sslseg.image import Image, flattened
from napari_sslseg.io import find_files, read_image, read_labels, stem, write_channels, write_image, write_labels
from napari_sslseg.io.files import is_medical, suffix
from napari_sslseg.io.receipts import Receipts, fingerprint
from napari_sslseg.job import Job, Stop, share
from napari_sslseg.masking import needed_model
from napari_sslseg.previews import needed_denoiser
from napari_sslseg.project import Project
from napari_sslseg.settings import PredictConfig, RuntimeConfig

LOSSY = (".jpg", ".jpeg")  # label files are never written in these
WHOLE = (*LOSSY, ".png")  # denoised images are not, which are real numbers
MOST_CLASSES = 255


def add_images(project: Project, paths: Iterable[str | Path], axes: str | None = None) -> list[str]:
    """Refer to image files in a project; none is added if one of them does not fit.

    Parameters
    ----------
    project : Project
        The project.
    paths : iterable of str or Path
        Files and folders.
    axes : str, optional
        One letter an axis of their arrays, instead of what the files say; those already there keep theirs.

    Returns
    -------
    list of str
        Ids of the images, those already there included.

    Raises
    ------
    ImageError
        If a file cannot be read, or the images do not all have the same channels.
    """
    files = find_files(paths)
    channels = {e.id: e.channels for e in project.images}
    for path in files:
        known = project.placed(path)  # perhaps with other axes than the file says
        channels[path.name] = known.channels if known else read_image(path, axes).channels
    (first, least), (last, most) = (f(channels.items(), key=lambda c: c[1], default=("", 0)) for f in (min, max))
    if least != most:
        raise ImageError(
            f"{first} has {least} channel(s) and {last} has {most}",
            "All images of a project have the same channels",
            "Use one project for each kind of image",
        )
    return [entry.id for entry in project.add_files(files, axes)]


def add_labels(project: Project, paths: Iterable[str | Path]) -> list[str]:
    """Copy label files into a project; each belongs to the image of the same file name and replaces its labels.

    Parameters
    ----------
    project : Project
        The project; its images come first.
    paths : iterable of str or Path
        Files and folders.

    Returns
    -------
    list of str
        Ids of the images that were given labels.

    Raises
    ------
    LabelError
        If a file belongs to no image or does not fit it; then nothing is written.
    """
    known = {stem(Path(e.source)): e.id for e in reversed(project.images)} | {e.id: e.id for e in project.images}
    read: dict[str, npt.NDArray[Any]] = {}
    for path in find_files(paths):
        if stem(path) not in known:
            raise LabelError(
                f"The labels {path.name} belong to an image called {stem(path)!r}, which the project does not have",
                f"Its images: {', '.join(sorted(known)[:8]) or 'none'}",
                "Add the image with --images, or name both files alike",
            )
        id = known[stem(path)]
        if id in read:
            raise LabelError(
                f"Two label files are called {stem(path)!r}", "Each image has one", "Leave one of them out"
            )
        read[id] = _fitting(read_labels(path), path, project.entry(id).shape)
    painted = {int(v) for labels in read.values() for v in np.unique(labels)} - {0}
    if project.task == "semantic" and len(painted) > MOST_CLASSES:
        raise LabelError(
            f"The labels hold {len(painted)} values",
            f"At most {MOST_CLASSES} classes can be told apart",
            "If each value is one object, use --task instance",
        )
    for id, labels in read.items():
        project.write_labels(id, labels)
    if project.task == "semantic" and painted:
        before = project.classes
        named = {c.value: c for c in before}
        project.set_classes([named.get(v, LabelClass.default(v)) for v in sorted(painted | named.keys())], before)
    return list(read)


def _fitting(labels: npt.NDArray[Any], path: Path, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    labels = flattened(labels, shape)
    if labels.shape != shape:
        raise LabelError(
            f"The labels {path.name} have shape {labels.shape}",
            f"Their image has shape {shape}",
            "Both must be the same",
        )
    if labels.max(initial=0) > np.iinfo(np.uint16).max:
        raise LabelError(f"The labels {path.name} go up to {labels.max()}", "Values up to 65535 can be stored")
    return labels


def predict_files(
    project: Project,
    paths: Iterable[str | Path],
    out: Path,
    config: PredictConfig,
    *,
    ids: Iterable[str] = (),
    axes: str | None = None,
    runtime: RuntimeConfig | None = None,
    stop: Stop | None = None,
) -> Job[list[Path]]:
    """Predict image files, in the project or not, and write one label file each, as soon as it is done.

    Those in the project have the axes and the pixel size that were given to them there.

    Masks of a large zarr image are written piece by piece and need no more memory than a piece; stopped, the same call
    goes on with the next one.

    Parameters
    ----------
    project : Project
        A trained project.
    paths : iterable of str or Path
        Files and folders.
    out : Path
        Folder to write to; label files have the names of the images, probabilities go to a folder inside it.
    config : PredictConfig
        Tiles, and whether to write probabilities.
    ids : iterable of str, optional
        Names, without suffix, of the files to predict; all if not given.
    axes : str, optional
        One letter an axis of files that are not in the project, instead of what they say.
    runtime : RuntimeConfig, optional
        Device and seed.
    stop : Stop, optional
        To end early; the files that are done stay.

    Yields
    ------
    Event
        Progress with time left.

    Returns
    -------
    list of Path
        The label files written.

    Raises
    ------
    StorageError
        If a file would be replaced that is not an unchanged prediction; then nothing is written.
    """
    model = needed_model(project)
    chosen, sure = _chosen(find_files(paths), list(ids)), out / "probabilities"
    work = _planned({path: _named(path) for path in chosen}, out, project)
    wanted = chosen if config.probabilities else []
    names = {path: _named(path) if is_medical(path) else f"{stem(path)}.tif" for path in wanted}
    places = _planned(names, sure, project)
    receipts, sure_receipts = Receipts(out), Receipts(sure)
    for target in work.values():
        receipts.check(target)
    for place in places.values():
        sure_receipts.check(place)
    from napari_sslseg.checkpoint import Checkpoint
    from napari_sslseg.piecewise import in_pieces, predict_into
    from napari_sslseg.predicting import predict

    stop, checkpoint, written = stop or Stop(), Checkpoint.load(model), []
    for k, (path, target) in enumerate(work.items()):
        image, part = _read(project, path, axes), (k / len(work), (k + 1) / len(work))
        if in_pieces(image, target, checkpoint):
            asked = [fingerprint(model), str(path.resolve()), image.axes]
            growing = predict_into(target, image, checkpoint, config, asked=asked, runtime=runtime, stop=stop)
            if not (yield from share(growing, *part)):
                break
            receipts.note(target)
            written.append(target)
            continue
        job = predict([image], checkpoint, config, runtime=runtime, stop=stop)
        for prediction in (yield from share(job, *part)):
            if prediction.planes is not None:  # stopped in the middle of a stack: a file is whole, or not written
                break
            lying: dict[str, Any] = {"spacing": image.spacing, "unit": image.unit, "axes": image.axes[1:], "like": path}
            write_labels(target, prediction.labels, **lying)
            receipts.note(target)
            written.append(target)
            if prediction.probabilities is not None:
                place, found = places[path], prediction.probabilities
                write_channels(place, found, **lying)
                sure_receipts.note(place)
        if stop.requested:
            break
    return written


def predicted_files(project: Project, paths: Iterable[str | Path], out: Path) -> list[Path]:
    """Say which label files `predict_files` would write.

    Parameters
    ----------
    project : Project
        The project.
    paths : iterable of str or Path
        Files and folders.
    out : Path
        Folder to write to.

    Returns
    -------
    list of Path
        One an image; they may be there already.
    """
    return list(_planned({path: _named(path) for path in find_files(paths)}, out, project).values())


def denoise_files(
    project: Project,
    paths: Iterable[str | Path],
    out: Path,
    config: PredictConfig,
    *,
    ids: Iterable[str] = (),
    axes: str | None = None,
    runtime: RuntimeConfig | None = None,
    stop: Stop | None = None,
) -> Job[list[Path]]:
    """Denoise image files, in the project or not, and write one image file each, as soon as it is done.

    Parameters
    ----------
    project : Project
        A project that was pretrained by ``denoise``.
    paths : iterable of str or Path
        Files and folders.
    out : Path
        Folder to write to; the files have the names of the images.
    config : PredictConfig
        Tiles, and whether to average over mirrored copies.
    ids : iterable of str, optional
        Names, without suffix, of the files to denoise; all if not given.
    axes : str, optional
        One letter an axis of files that are not in the project, instead of what they say.
    runtime : RuntimeConfig, optional
        Device and seed.
    stop : Stop, optional
        To end early; the files that are done stay.

    Yields
    ------
    Event
        Progress with time left.

    Returns
    -------
    list of Path
        The files written, of real numbers in the units of the images.

    Raises
    ------
    StorageError
        If a file would be replaced that is not an unchanged denoised image; then nothing is written.
    """
    checkpoint = needed_denoiser(project)
    chosen = _chosen(find_files(paths), list(ids))
    work = _planned({path: _named(path, WHOLE) for path in chosen}, out, project)
    receipts = Receipts(out, "denoised")
    for target in work.values():
        receipts.check(target)
    from napari_sslseg.denoising import denoise

    stop, written = stop or Stop(), []
    for k, (path, target) in enumerate(work.items()):
        image = _read(project, path, axes)
        job = denoise([image], checkpoint, config, runtime=runtime, stop=stop)
        for found in (yield from share(job, k / len(work), (k + 1) / len(work))):
            write_image(target, Image(found.pixels, image.spacing, image.unit, image.name, image.axes), like=path)
            receipts.note(target)
            written.append(target)
        if stop.requested:
            break
    return written


def _read(project: Project, path: Path, axes: str | None) -> Image:
    known = project.placed(path)
    return project.image(known.id) if known else read_image(path, axes)


def _chosen(files: list[Path], ids: list[str]) -> list[Path]:
    names = [stem(p) for p in files]
    for id in ids:
        if id not in names:
            raise ImageError(f"There is no image {id!r}", f"The images given are: {', '.join(names[:8])}")
    return [path for path, name in zip(files, names, strict=True) if not ids or name in ids]


def _named(path: Path, unfit: tuple[str, ...] = LOSSY) -> str:
    """Name of what is made of a file: that of the file, unless its format cannot hold it."""
    known = suffix(path)
    if is_medical(path):
        return stem(path) + ".nii.gz"
    return path.name if known and known not in unfit else stem(path) + (".tif" if known else ".zarr")


def _planned(names: dict[Path, str], out: Path, project: Project) -> dict[Path, Path]:
    """Where what is made of each file goes: to a file of its own that is none of the images."""
    images = {path.resolve() for path in [*names, *(project.path / e.source for e in project.images)]}
    targets, taken = dict[Path, Path](), set[Path]()
    for path, name in names.items():
        target = out / name
        if target.resolve() in images:
            raise StorageError(
                f"What is made of {path} would replace an image", "It needs another folder", "Choose one with --out"
            )
        if target in taken:
            raise StorageError(f"Two images would be written to {target}", "Each needs a name of its own", "Rename one")
        targets[path] = target
        taken.add(target)
    return targets
