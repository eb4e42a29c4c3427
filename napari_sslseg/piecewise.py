"""Predicting piece by piece: masks of an image that is too large for memory, written to a zarr folder as they come."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_sslseg import vast
from napari_sslseg.checkpoint import Checkpoint
from napari_sslseg.errors import ImageError
from napari_sslseg.image import Image
from napari_sslseg.io.files import suffix
from napari_sslseg.io.growing import Growing
from napari_sslseg.job import Job, Notice, Stop, share
from napari_sslseg.overlay import Box
from napari_sslseg.predicting import predict
from napari_sslseg.settings import PredictConfig, RuntimeConfig


def in_pieces(image: Image, target: Path, checkpoint: Checkpoint) -> bool:
    """Tell whether an image is predicted piece by piece: a large one whose masks go to a zarr folder.

    Parameters
    ----------
    image : Image
        The image.
    target : Path
        Where its masks go.
    checkpoint : Checkpoint
        A trained network; never one of objects, which reach from piece to piece.

    Returns
    -------
    bool
        True if it is.
    """
    return vast.large(image.shape) and suffix(target).endswith(".zarr") and checkpoint.config["object_size"] is None


def predict_into(
    target: Path,
    image: Image,
    checkpoint: Checkpoint,
    config: PredictConfig,
    *,
    asked: Sequence[Any] = (),
    runtime: RuntimeConfig | None = None,
    stop: Stop | None = None,
) -> Job[bool]:
    """Predict an image into a zarr folder; stopped, or killed, the same call goes on with the next piece.

    Parameters
    ----------
    target : Path
        The folder; it is there once all pieces are.
    image : Image
        The image.
    checkpoint : Checkpoint
        A network that was trained on classes.
    config : PredictConfig
        Tiles.
    asked : sequence, optional
        What else must be the same for pieces to be the same, such as which network and which file.
    runtime : RuntimeConfig, optional
        Device and seed.
    stop : Stop, optional
        To end early; the pieces that are done are kept.

    Yields
    ------
    Event
        Progress with time left.

    Returns
    -------
    bool
        Whether all of it is done.

    Raises
    ------
    ImageError
        If probabilities are asked for too.
    StorageError
        If the disk is full or the place may not be written to; the pieces that are done stay.
    """
    if config.probabilities:
        raise ImageError(
            f"{image.name} is so large that its masks are written piece by piece, and probabilities were asked for",
            "Those are only written of images that fit into memory",
            "Leave --probabilities out, or predict a smaller part of the image",
        )
    stop, values = stop or Stop(), checkpoint.config["values"]
    growing = Growing.open(
        target,
        tuple(int(n) for n in image.data.shape[1:]),
        np.uint8 if max(values) < 2**8 else np.uint16,
        spacing=image.spacing,
        unit=image.unit,
        axes=image.axes[1:],
        asked=[config.to_dict(), *asked],
    )
    count = len(growing.pieces)
    if growing.done:
        yield Notice(f"{image.name}: going on from piece {growing.done + 1} of {count}.")
    while growing.done < count:
        number, (*depth, rows, columns) = growing.done, growing.pieces[growing.done]
        box = Box(rows.start, columns.start, rows.stop, columns.stop)
        planes = {image.name: tuple(range(depth[0].start, depth[0].stop))} if depth else {}
        job = predict([image], checkpoint, config, planes=planes, boxes={image.name: box}, runtime=runtime, stop=stop)
        text = f"{image.name}, piece {number + 1} of {count}"
        found = yield from share(job, number / count, (number + 1) / count, text)
        shape = tuple(s.stop - s.start for s in growing.pieces[number])
        if not found or found[0].labels.shape != shape:
            yield Notice(f"{image.name}: {number} of {count} pieces are done; the same again goes on from there.")
            return False
        growing.write(found[0].labels)
    growing.finish()
    return True


__all__ = ["in_pieces", "predict_into"]
