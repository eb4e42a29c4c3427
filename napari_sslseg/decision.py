"""Decision: by how much each class is favoured, so that the masks of all classes are as right as can be expected.

The most probable class of each pixel makes the fewest pixels wrong, and may leave out a rare class altogether. But
masks are judged by how well they overlap with what is there: a class that is hard to tell has to be taken below a
probability of a half (Nowozin, Optimal decisions from probabilistic models: the intersection-over-union case, CVPR
2014).
"""

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]

STEPS = (1.0, 0.5, 0.25, 0.125)  # by which logarithms of factors are changed, one after the other
MOST = 6.0  # that logarithms of two factors may differ by
SWEEPS = 4  # at most, for each step
CAUTION = 0.5  # how far beliefs are trusted
CLASSES = 16  # with more of them all are taken as probable as they are: it would take too long


def favour(believed: Doubles) -> tuple[float, ...]:
    """Choose by how much classes are favoured: half, in logarithms, of what would be best if all beliefs were right.

    Parameters
    ----------
    believed : numpy.ndarray
        (N, K) probabilities of pixels of the images, which sum to 1 over K.

    Returns
    -------
    tuple of float
        What the probabilities of each class are multiplied by before the most probable one is taken; the greatest is 1.
    """
    logs = CAUTION * best(believed)
    factors: list[float] = np.exp(logs - logs.max()).tolist()
    return tuple(factors)


def best(believed: Doubles) -> Doubles:
    """Find the factors by which masks are expected to be the most right.

    Parameters
    ----------
    believed : numpy.ndarray
        (N, K) probabilities, which sum to 1 over K.

    Returns
    -------
    numpy.ndarray
        (K,) their logarithms; 0 where there are too many classes to try.
    """
    count = int(believed.shape[1])
    logs: Doubles = np.zeros(count)
    if count > CLASSES or not len(believed):
        return logs

    def worth(logs: Doubles) -> float:
        return float(expected_iou(believed, (believed * np.exp(logs)).argmax(1)).mean())

    most = worth(logs)
    for step in STEPS:
        for _ in range(SWEEPS):
            before = most
            for changed, by in ((k, way * step) for k in range(count) for way in (1, -1)):
                tried = logs.copy()
                tried[changed] += by
                if tried.max() - tried.min() <= MOST:
                    now = worth(tried)
                    if now > most + 1e-6:
                        most, logs = now, tried
            if most == before:
                break
    return logs


def expected_iou(believed: Doubles, masks: npt.NDArray[np.intp]) -> Doubles:
    """Estimate the IoU of masks, if each pixel is of each class as probably as is believed.

    Parameters
    ----------
    believed : numpy.ndarray
        (N, K) probabilities, which sum to 1 over K.
    masks : numpy.ndarray
        (N,) classes from 0.

    Returns
    -------
    numpy.ndarray
        (K,) expected intersections over expected unions.
    """
    count = believed.shape[1]
    right = np.bincount(masks, believed[np.arange(len(masks)), masks], count)
    union = np.bincount(masks, minlength=count) + believed.sum(0) - right
    result: Doubles = right / np.maximum(union, 1e-9)
    return result
