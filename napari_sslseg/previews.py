"""Previews: images of a project as what it learnt without labels shows them, denoised or restored."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from napari_sslseg.errors import ProjectError
from napari_sslseg.job import Job, Stop
from napari_sslseg.prediction import Denoised
from napari_sslseg.project import Project
from napari_sslseg.settings import PredictConfig, RuntimeConfig

if TYPE_CHECKING:
    from napari_sslseg.checkpoint import Checkpoint


def denoise_project(
    project: Project,
    config: PredictConfig,
    *,
    ids: Iterable[str] | None = None,
    planes: dict[str, tuple[int, ...]] | None = None,
    runtime: RuntimeConfig | None = None,
    stop: Stop | None = None,
) -> Job[list[Denoised]]:
    """Denoise images of a project that was pretrained by ``denoise``; nothing is kept in it.

    Parameters
    ----------
    project : Project
        The project.
    config : PredictConfig
        Tiles, and whether to average over mirrored copies.
    ids : iterable of str, optional
        Images to denoise; all if not given.
    planes : dict of str to tuple of int, optional
        Planes to denoise, by image id; all planes of an image that is not named.
    runtime : RuntimeConfig, optional
        Device and seed.
    stop : Stop, optional
        To end early; the images that are done are returned.

    Yields
    ------
    Event
        Progress with time left.

    Returns
    -------
    list of Denoised
        One an image.
    """
    from napari_sslseg.denoising import denoise

    checkpoint, images = needed_denoiser(project), project.named(ids)
    return (yield from denoise(images, checkpoint, config, planes=planes, runtime=runtime, stop=stop))


def restore_project(
    project: Project,
    *,
    ids: Iterable[str] | None = None,
    planes: dict[str, tuple[int, ...]] | None = None,
    runtime: RuntimeConfig | None = None,
    stop: Stop | None = None,
) -> Job[list[Denoised]]:
    """Draw images of a project as it learnt to restore them; nothing is kept in it.

    Parameters
    ----------
    project : Project
        The project.
    ids : iterable of str, optional
        Images to draw; all if not given.
    planes : dict of str to tuple of int, optional
        Planes to draw, by image id; all planes of an image that is not named.
    runtime : RuntimeConfig, optional
        Device and seed.
    stop : Stop, optional
        To end early; the images that are done are returned.

    Yields
    ------
    Event
        Progress with time left.

    Returns
    -------
    list of Denoised
        One an image.

    Raises
    ------
    ProjectError
        If nothing was pretrained yet.
    CheckpointError
        If it was pretrained by a method that restores nothing.
    """
    from napari_sslseg.restoring import restore

    checkpoint = _learnt(project, "Restoring needs what is learnt without labels", "Learn first")
    images = project.named(ids)
    return (yield from restore(images, checkpoint, PredictConfig(), planes=planes, runtime=runtime, stop=stop))


def needed_denoiser(project: Project) -> "Checkpoint":
    """Load what a project was pretrained to, if it can denoise.

    Parameters
    ----------
    project : Project
        The project.

    Returns
    -------
    Checkpoint
        Pretrained by ``denoise``.

    Raises
    ------
    ProjectError
        If nothing was pretrained yet.
    CheckpointError
        If it was pretrained by another method.
    """
    from napari_sslseg.denoising import LEARN, check

    checkpoint = _learnt(project, "Denoising needs what the method denoise learns", LEARN)
    check(checkpoint)
    return checkpoint


def _learnt(project: Project, needed: str, way: str) -> "Checkpoint":
    """Load what a project was pretrained to."""
    from napari_sslseg.checkpoint import Checkpoint

    if project.pretrained is None:
        raise ProjectError(f"{project.name} has not learnt from its images yet", needed, way)
    return Checkpoint.load(project.pretrained)
