"""Atlas: where in an image each class is to be expected, if the images at hand show their objects in like places."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import log_softmax

from napari_sslseg.image import Image
from napari_sslseg.intensity import Floats
from napari_sslseg.patches import Place, mirrored
from napari_sslseg.strokes import Stroke

Doubles = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp] | Sequence[int]

RIDGE = 0.03  # penalty on the squared weights, beside the log-likelihood of one observation a stroke
POWER = 0.7  # how far it counts: looks and places tell partly the same
MOST_PIXELS, ALL_PIXELS = 1000, 20000  # of one stroke and of all: of images labelled all over no more has to be fitted
IMAGES = 3  # labelled images at least that show how far places tell
STROKES = 4  # at least on such an image, of all classes; the first few where masks were wrong lie anywhere
GAIN = 0.1  # nats a stroke, mean less standard deviation over images left out, from which on it is used


@dataclass(frozen=True)
class Atlas:
    """What a place says of the class there: a logistic model of second degree in the relative place.

    Parameters
    ----------
    weights : tuple of tuple of float
        For each class those of 1, z, y, x and their six products.
    """

    weights: tuple[tuple[float, ...], ...]

    def at(self, places: Floats | Doubles) -> Floats:
        """Say how far each class is to be expected at places.

        Parameters
        ----------
        places : numpy.ndarray
            (..., 3) relative (z, y, x), -1 to 1 from one edge of the image to the other.

        Returns
        -------
        numpy.ndarray
            (..., K) float32 above 0; what probabilities that know nothing of places are multiplied by.
        """
        logs = POWER * log_softmax(_powers(places) @ np.array(self.weights).T, -1)
        result: Floats = np.exp(logs).astype(np.float32)
        return result

    def over(self, shape: Sequence[int], zs: Indices, ys: Indices, xs: Indices, *, timed: bool = False) -> Floats:
        """Say how far each class is to be expected at a grid of voxels.

        Parameters
        ----------
        shape : sequence of int
            ([Z,] Y, X) of the image.
        zs, ys, xs : array of int
            Planes, rows and columns.
        timed : bool, optional
            Whether it is a time series, whose frames are no places.

        Returns
        -------
        numpy.ndarray
            (K, Z, Y, X) float32.
        """
        grid = np.stack(np.meshgrid(zs, ys, xs, indexing="ij"), -1)
        return np.ascontiguousarray(np.moveaxis(self.at(relative(grid, shape, timed)), -1, 0))

    def around(self, image: Image, place: Place) -> Floats:
        """Say how far each class is to be expected in a square or box, mirrored where it leaves the image.

        Parameters
        ----------
        image : Image
            The image.
        place : Place
            The square, or the box.

        Returns
        -------
        numpy.ndarray
            (K, [depth,] side, side) float32.
        """
        ys, xs = (mirrored(s, place.side, n) for s, n in zip((place.y, place.x), image.shape[-2:], strict=True))
        zs = mirrored(place.z, max(1, place.depth), image.planes)
        found = self.over(image.shape, zs, ys, xs, timed=image.timed)
        return found if place.depth else found[:, 0]

    def weigh(self, probabilities: Floats, expected: Floats) -> Floats:
        """Weigh probabilities that know nothing of places with what is to be expected at theirs.

        Parameters
        ----------
        probabilities : numpy.ndarray
            (K, ...), summing to 1 over K.
        expected : numpy.ndarray
            (K, ...) as `over` or `around` says.

        Returns
        -------
        numpy.ndarray
            (K, ...), summing to 1 over K.
        """
        found = probabilities * expected
        found /= found.sum(0)
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON.

        Returns
        -------
        dict
            ``weights``.
        """
        return {"weights": [list(w) for w in self.weights]}

    @classmethod
    def from_dict(cls, said: Mapping[str, Any] | None) -> Self | None:
        """Take it from stored values.

        Parameters
        ----------
        said : mapping, optional
            What `to_dict` returned.

        Returns
        -------
        Atlas, optional
            The same again; None for None.
        """
        return cls(tuple(tuple(float(v) for v in w) for w in said["weights"])) if said else None


def relative(points: npt.NDArray[np.intp], shape: Sequence[int], timed: bool = False) -> Doubles:
    """Place of voxels between the edges of their image.

    Parameters
    ----------
    points : numpy.ndarray
        (..., 3) voxels (z, y, x).
    shape : sequence of int
        ([Z,] Y, X) of the image.
    timed : bool, optional
        Whether it is a time series, whose frames are no places.

    Returns
    -------
    numpy.ndarray
        (..., 3), -1 to 1; 0 along an axis of one voxel, and along time.
    """
    result: Doubles = (2 * points + 1) / np.array([1, *shape][-3:], float) - 1
    if timed:
        result[..., 0] = 0
    return result


def agree(strokes: list[Stroke], images: list[Image], values: Sequence[int]) -> bool:
    """Whether the strokes of each image are foretold by where those of the others lie.

    Parameters
    ----------
    strokes : list of Stroke
        Strokes of all classes.
    images : list of Image
        The images they were painted on.
    values : sequence of int
        The classes, in the order of the network.

    Returns
    -------
    bool
        False as well if there are fewer than three images with all classes and at least four strokes.
    """
    found = gains(strokes, images, values)
    return len(found) >= IMAGES and float(np.mean(found) - np.std(found)) >= GAIN


def gains(strokes: list[Stroke], images: list[Image], values: Sequence[int]) -> list[float]:
    """Leave out each image in turn, and measure how far the others foretell its strokes.

    Parameters
    ----------
    strokes : list of Stroke
        Strokes of all classes.
    images : list of Image
        The images they were painted on.
    values : sequence of int
        The classes, in the order of the network.

    Returns
    -------
    list of float
        How much likelier its strokes are than without knowing their places, in nats a stroke, for each image with all
        classes and at least four strokes; empty if a class is labelled on one image only.
    """
    found = []
    for number in sorted({s.image for s in strokes}):
        others, own = ([s for s in strokes if (s.image == number) is same] for same in (False, True))
        if len(own) < STROKES or {s.value for s in own} != set(values):
            continue
        if {s.value for s in others} != set(values):
            return []
        known, truth, weight = _observed(own, images, values)
        logs = log_softmax(known @ np.array(fit(others, images, values).weights).T, -1)
        found.append(float(weight @ logs[np.arange(len(truth)), truth]) + float(np.log(len(values))))
    return found


def fit(strokes: list[Stroke], images: list[Image], values: Sequence[int]) -> Atlas:
    """Fit the model: every class weighs the same, and every stroke of a class; each stroke is one observation.

    Parameters
    ----------
    strokes : list of Stroke
        Strokes, at least one of each class.
    images : list of Image
        The images they were painted on.
    values : sequence of int
        The classes, in the order of the network.

    Returns
    -------
    Atlas
        The most likely one, given that large weights are unlikely.
    """
    known, truth, weight = _observed(strokes, images, values)
    weight = weight * len(strokes)
    wanted = np.eye(len(values))[truth]

    def loss(flat: Doubles) -> tuple[float, Doubles]:
        weights = flat.reshape(len(values), -1)
        logs = log_softmax(known @ weights.T, -1)
        penalised = np.concatenate([np.zeros((len(values), 1)), weights[:, 1:]], 1)
        slope = ((np.exp(logs) - wanted) * weight[:, None]).T @ known + RIDGE * penalised
        return -float(weight @ (logs * wanted).sum(1)) + RIDGE / 2 * float((penalised**2).sum()), slope.ravel()

    found = minimize(loss, np.zeros(len(values) * known.shape[1]), jac=True, method="L-BFGS-B")
    return Atlas(tuple(tuple(float(v) for v in w) for w in found.x.reshape(len(values), -1)))


def _observed(
    strokes: list[Stroke], images: list[Image], values: Sequence[int]
) -> tuple[Doubles, npt.NDArray[Any], Doubles]:
    """Terms of the model, class and weight of each labelled pixel; the weights sum to 1."""
    known, truth, weight = [], [], []
    of_class = {v: sum(s.value == v for s in strokes) for v in values}
    classes = sum(count > 0 for count in of_class.values())
    most = max(1, min(MOST_PIXELS, ALL_PIXELS // len(strokes)))
    for stroke in strokes:
        points = stroke.points[:: -(-len(stroke.points) // most)]
        count = len(points)
        image, voxels = images[stroke.image], np.insert(points, 0, stroke.z, 1)
        known.append(_powers(relative(voxels, image.shape, image.timed)))
        truth.append(np.full(count, values.index(stroke.value)))
        weight.append(np.full(count, 1 / classes / of_class[stroke.value] / count))
    return np.concatenate(known), np.concatenate(truth), np.concatenate(weight)


def _powers(places: Floats | Doubles) -> Doubles:
    """(..., 10): 1, z, y, x and their products."""
    z, y, x = np.moveaxis(places.astype(np.float64), -1, 0)
    return np.stack([np.ones_like(z), z, y, x, z * z, y * y, x * x, z * y, z * x, y * x], -1)
