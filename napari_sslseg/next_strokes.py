"""Where to paint next in a project: what its masks are unsure of, or, before there are any, what is typical."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_sslseg import suggesting, uncertainty_files
from napari_sslseg.errors import ConfigError
from napari_sslseg.job import Job, Progress, Stop
from napari_sslseg.masking import predict_project
from napari_sslseg.overlay import Box
from napari_sslseg.project import Project
from napari_sslseg.settings import FinetuneConfig, PredictConfig, RuntimeConfig
from napari_sslseg.suggesting import Suggestion
from napari_sslseg.uncertainty import Uncertainty

if TYPE_CHECKING:
    from napari_sslseg.encoders import Encoder
    from napari_sslseg.runtime import Runtime

PLANES = 24  # that are predicted for it, where no masks were asked for yet
PARTS = 120  # that are looked at, before there is a model
SIDE = 256  # px: what the encoder is shown of each
LEAST = 8  # px: least side of a part that somebody asks for
SIZES = (64, 256)  # px: least and greatest side of a part that nobody chose
FLAT = 0.2  # share of them, those with the least contrast, that is left out: mostly empty ground


def suggest(
    project: Project,
    *,
    count: int = 8,
    size: int | None = None,
    runtime: RuntimeConfig | None = None,
    stop: Stop | None = None,
) -> Job[list[Suggestion]]:
    """Suggest where to paint next.

    Of a trained project, parts of the masks that the round in use predicted; where there are none, some planes are
    predicted now. Parts of which more than 2 % is painted, or that are marked for validation, are not suggested.

    Parameters
    ----------
    project : Project
        The project.
    count : int, optional
        How many parts.
    size : int, optional
        Side of a part in pixels; if not given, a quarter of the shorter side of a plane, 64 to 256.
    runtime : RuntimeConfig, optional
        Device and seed.
    stop : Stop, optional
        To end early.

    Yields
    ------
    Event
        Progress.

    Returns
    -------
    list of Suggestion
        The best first; none if stopped, or if everything is painted.

    Raises
    ------
    ConfigError
        If no part is asked for, or parts of fewer than 8 pixels along a side.
    """
    if count < 1 or (size is not None and size < LEAST):
        asked = f"{count} parts of images" if count < 1 else f"Parts of {size} px"
        raise ConfigError(f"{asked} were asked for", f"At least one part, of at least {LEAST} px")
    runtime, stop = runtime or RuntimeConfig(), stop or Stop()
    if not project.images:
        return []
    size = size or int(np.clip(np.median([min(e.shape[-2:]) for e in project.images]) / 4, *SIZES))
    if project.current_round is None:
        return (yield from _typical(project, count, size, runtime, stop))
    if not _known(project):
        planes = _some_planes(project, np.random.default_rng(runtime.seed))
        job = predict_project(project, PredictConfig(), ids=planes, planes=planes, runtime=runtime, stop=stop)
        yield from job
    known = _known(project)
    shapes = {id: project.entry(id).shape for id in known}
    labelled = project.labelled()
    painted = {id: _painted(project, id, found.side, id in labelled) for id, found in known.items()}
    yield Progress(1.0, "done", 0.0)
    return suggesting.unsure(known, shapes, painted, count, size, runtime.seed)


def _known(project: Project) -> dict[str, Uncertainty]:
    """What the round in use is unsure of, by image."""
    assert project.trained is not None, "asked of trained projects only"
    found = {e.id: uncertainty_files.read(project, e.id) for e in project.images}
    model = project.trained.parent.name
    return {id: known for id, known in found.items() if known is not None and known.model == model}


def _some_planes(project: Project, rng: np.random.Generator) -> dict[str, tuple[int, ...]]:
    """Some planes of all images, drawn at random."""
    every = [(e.id, z) for e in project.images for z in range(e.shape[0] if len(e.shape) == 3 else 1)]
    drawn = [every[int(i)] for i in sorted(rng.permutation(len(every))[:PLANES])]
    return {id: tuple(z for other, z in drawn if other == id) for id in dict.fromkeys(id for id, _ in drawn)}


def _painted(project: Project, id: str, side: int, labelled: bool) -> npt.NDArray[np.float32]:
    """(Z, rows, columns) how much of each square is painted; 1 in validation boxes."""
    shape = (1, *project.entry(id).shape)[-3:]
    rows, columns = (-(-n // side) for n in shape[1:])
    result = np.zeros((shape[0], rows, columns), np.float32)
    if labelled:
        annotation = project.annotation(id).by_hand()  # what was only accepted may be looked at once more
        for z in annotation.planes():
            y, x = np.nonzero(annotation.plane(z))
            np.add.at(result[z], (y // side, x // side), 1 / side**2)
    for region in project.regions(id):
        if region.validation:
            (y0, y1), (x0, x1) = region.y, region.x
            result[slice(*region.z), y0 // side : -(-y1 // side), x0 // side : -(-x1 // side)] = 1
    return result


def _typical(project: Project, count: int, size: int, runtime: RuntimeConfig, stop: Stop) -> Job[list[Suggestion]]:
    """Describe parts drawn at random with the encoder, and choose typical ones that are not painted yet."""
    from napari_sslseg import model
    from napari_sslseg.runtime import Runtime

    yield Progress(0.0, "loading the encoder")
    machine, config = Runtime.make(runtime), FinetuneConfig()
    start = str(project.pretrained) if project.pretrained else model.resolve(config.start, config.encoder)
    if model.dimensions(start, config.encoder) == 3:  # what looks at volumes cannot describe a part of a plane
        start = model.resolve(config.start, config.encoder)
    encoder = model.build(start, config.encoder, project.images[0].channels, machine).encoder.eval()
    parts = list(_parts(project, size, machine.numbers(30)))
    described: list[npt.NDArray[np.float64]] = []
    for k, (id, z, box) in enumerate(parts):
        if stop.requested:
            return []
        described.append(_describe(project, encoder, machine, id, z, box))
        yield Progress((k + 1) / len(parts), "looking at the images")
    if not described:
        return []
    contrast = np.array([d[-1] for d in described])
    worth = np.flatnonzero(contrast >= np.quantile(contrast, FLAT))
    found = suggesting.typical(np.array(described)[worth], count, runtime.seed)
    yield Progress(1.0, "done", 0.0)
    chosen = [(*parts[worth[k]], share) for k, share in found]
    return [Suggestion(id, z, box, share) for id, z, box, share in chosen]


def _parts(project: Project, size: int, rng: np.random.Generator) -> Iterator[tuple[str, int, Box]]:
    """Parts of all images on a grid, drawn at random, without those that are painted on."""
    every, labelled = [], project.labelled()
    for entry in project.images:
        taken = _painted(project, entry.id, size, entry.id in labelled)
        every += [(entry, int(z), int(r), int(c)) for z, r, c in np.argwhere(taken <= suggesting.PAINTED)]
    for k in rng.permutation(len(every))[:PARTS].tolist():
        entry, z, row, column = every[k]
        height, width = entry.shape[-2:]
        top, left = (max(0, min(n * size, length - size)) for n, length in ((row, height), (column, width)))
        yield entry.id, z, Box(top, left, min(top + size, height), min(left + size, width))


def _describe(
    project: Project, encoder: "Encoder", machine: "Runtime", id: str, z: int, box: Box
) -> npt.NDArray[np.float64]:
    """(F,) means and spreads of the encoder's maps, and, as the last, the contrast."""
    import torch

    from napari_sslseg import patches
    from napari_sslseg.patches import Place
    from napari_sslseg.runtime import laid_out

    multiple = encoder.strides[-1]
    side = -(-max(box.bottom - box.top, box.right - box.left) // multiple) * multiple
    crop = torch.from_numpy(patches.cut(project.image(id), Place(0, z, box.top, box.left, side)))[None]
    shown = min(side, -(-SIDE // multiple) * multiple)
    seen = torch.nn.functional.interpolate(crop, (shown, shown), mode="area") if side > shown else crop
    with torch.inference_mode():
        maps = encoder(laid_out(seen.to(machine.device)))[1:]
    told = [v for m in maps for v in (m.mean((0, 2, 3)), m.std((0, 2, 3)))]
    return np.append(torch.cat(told).cpu().numpy().astype(np.float64), float(crop.std()))
