"""Pace: how many steps of pretraining a machine does in a minute, from a few of them on noise."""

import time
from dataclasses import replace

import numpy as np

from napari_sslseg import model
from napari_sslseg.image import Image
from napari_sslseg.job import Job, Metric, Stop
from napari_sslseg.pretraining import pretrain
from napari_sslseg.settings import PretrainConfig, RuntimeConfig

SECONDS, STEPS = 4.0, 20  # after the first step, which is slower: the sooner of both, and one step at least
PLANES = 32  # most of a volume of noise


def measure(
    image: Image, config: PretrainConfig, *, runtime: RuntimeConfig | None = None, stop: Stop | None = None
) -> Job[float]:
    """Measure how fast a machine learns; what is learnt is thrown away.

    Parameters
    ----------
    image : Image
        One of the images: noise of as many channels and, for a network that looks at volumes, planes is learnt from.
    config : PretrainConfig
        Method, encoder and size of the pieces; its length is not used.
    runtime : RuntimeConfig, optional
        Device and seed.
    stop : Stop, optional
        To end early.

    Yields
    ------
    Event
        Those of pretraining.

    Returns
    -------
    float
        Steps a minute; 0 if it was stopped before that was known.
    """
    deep = model.dimensions(model.resolve(config.start, config.encoder), config.encoder) == 3
    depth = (min(image.planes, PLANES),) if deep else ()
    side = max(2 * config.crop, 192)  # no smaller: small images are magnified
    pixels = np.random.default_rng(0).random((image.channels, *depth, side, side), np.float32)
    job = pretrain([Image(pixels)], replace(config, steps=10 * STEPS), runtime=runtime, stop=stop)
    began, first, found = 0.0, 0, 0.0
    try:
        for event in job:
            yield event
            if not (isinstance(event, Metric) and event.name == "loss"):
                continue
            now = time.perf_counter()
            if not first:
                began, first = now, event.step
            elif event.step > first:
                found = 60 * (event.step - first) / (now - began)
                if now - began > SECONDS or event.step - first >= STEPS:
                    break
    finally:
        job.close()
    return found
