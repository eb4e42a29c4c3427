"""Refining: predicted masks changed after the fact, smoother, surer or parted; needs no network."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.measure import label

from napari_sslseg.absorbing import absorb, fill_holes
from napari_sslseg.image import PIXEL
from napari_sslseg.instances import ObjectSize, separate
from napari_sslseg.settings import AS_PREDICTED, Refinement
from napari_sslseg.splitting import split

Masks = npt.NDArray[Any]
Shares = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Known:
    """What is known of masks beside themselves.

    Parameters
    ----------
    task : str
        ``semantic`` or ``instance``.
    spacing : tuple of float
        Pixel size ([Z,] Y, X).
    unit : str, optional
        Its unit.
    shares : numpy.ndarray, optional
        (K, [Z,] Y, X) uint8: how probable each class is, 255 for certain; None where that was not kept.
    values : sequence of int, optional
        Value of each of these classes.
    size : ObjectSize, optional
        Sizes of the painted objects.
    """

    task: str
    spacing: tuple[float, ...]
    unit: str = "pixel"
    shares: Shares | None = None
    values: Sequence[int] = ()
    size: ObjectSize | None = None

    @property
    def sure(self) -> bool:
        """Whether masks can be made anew from how probable background is."""
        if self.shares is None:
            return False
        return self.size is not None if self.task == "instance" else tuple(self.values[:1]) == (1,)


def refine(masks: Masks, settings: Refinement, known: Known) -> Masks:
    """Change masks; where 0 is, nothing was predicted, and nothing is changed.

    Classes are taken anew from how probable they are, smoothed, cleaned of specks and holes, and parted, in this order.
    Of objects likewise: separated anew, smoothed, filled, and the small ones removed.

    Parameters
    ----------
    masks : numpy.ndarray
        ([Z,] Y, X) as predicted: 1 background, 2.. classes or objects.
    settings : Refinement
        What to change.
    known : Known
        What is known of them. Without `shares`, `sure` and `apart` change nothing.

    Returns
    -------
    numpy.ndarray
        ([Z,] Y, X) of the same type; the masks themselves if nothing is to be changed.
    """
    if settings == AS_PREDICTED:
        return masks
    least = settings.least / (1.0 if known.unit in PIXEL else float(np.prod(known.spacing[-masks.ndim :])))
    radii = [settings.smooth * known.spacing[-1] / s for s in known.spacing[-masks.ndim :]]
    change = _objects if known.task == "instance" else _classes
    found = change(masks, settings, known, least, [round(r) for r in radii])
    if found.dtype != masks.dtype:
        found = found.astype(np.promote_types(masks.dtype, np.uint32) if found.max() > 65535 else masks.dtype)
    return found if masks.all() else np.where(masks == 0, masks, found)


def weighed(shares: Shares, sure: float) -> npt.NDArray[np.float32]:
    """Make background more or less probable, so that it wins unless another class is so sure against it.

    Parameters
    ----------
    shares : numpy.ndarray
        (K, [Z,] Y, X) uint8, the first class being background.
    sure : float
        0 to 1; 0.5 changes nothing.

    Returns
    -------
    numpy.ndarray
        (K, [Z,] Y, X) float32, summing to 1 over K.
    """
    found = shares.astype(np.float32)
    found[0] *= sure / (1 - sure)
    found /= np.maximum(found.sum(0), 1e-6)
    return found


# -------------------------------------------------------------------- classes
def _classes(masks: Masks, settings: Refinement, known: Known, least: float, radii: list[int]) -> Masks:
    found = masks
    if settings.sure != Refinement.sure and known.sure:
        assert known.shares is not None, "that is what is sure"
        found = np.asarray(known.values, masks.dtype)[weighed(known.shares, settings.sure).argmax(0)]
    if settings.smooth:
        found = _majority(found, radii)
    if least > 1:
        found = absorb(found, label(found, background=0, connectivity=1), least)
    if settings.split > 1:
        found = _part(found, settings.split, settings.neck, known.spacing[-masks.ndim :])
    return found


def _majority(masks: Masks, radii: list[int]) -> Masks:
    """The value that most pixels around have."""
    values = np.flatnonzero(np.bincount(masks.reshape(-1)))
    most, found = np.zeros(masks.shape, np.float32), masks.copy()
    left = np.ones(masks.shape, np.float32)
    for value in values:
        last = value == values[-1]  # it has what is left
        share = left if last else _around(masks == value, radii)
        left = left if last else left - share
        at = share > most if value > 0 else np.zeros_like(masks, bool)
        most[at], found[at] = share[at], value
    return found


def _around(mask: npt.NDArray[np.bool_], radii: list[int]) -> npt.NDArray[np.float32]:
    """Share of a mask in the box around each pixel."""
    size = [2 * r + 1 for r in radii]
    share: npt.NDArray[np.float32] = ndimage.uniform_filter(mask.astype(np.float32), size, mode="nearest")
    return share


def _part(masks: Masks, value: int, neck: float, spacing: tuple[float, ...]) -> Masks:
    """Draw a line of background between touching objects of a class, which then are apart at corners too."""
    numbers = split(masks == value, spacing, neck)
    numbers[numbers == 1] = np.iinfo(np.int32).max
    first = ndimage.minimum_filter(numbers, 3, mode="nearest")
    return np.where((masks == value) & (first < numbers), masks.dtype.type(1), masks)


# -------------------------------------------------------------------- objects
def _objects(masks: Masks, settings: Refinement, known: Known, least: float, radii: list[int]) -> Masks:
    found = masks
    anew = (settings.sure, settings.apart) != (Refinement.sure, Refinement.apart)
    if anew and known.sure:
        assert known.shares is not None and known.size is not None, "that is what is sure"
        shares = weighed(known.shares, settings.sure)
        found = separate(shares, known.size, known.spacing[-masks.ndim :], settings.apart)
    if settings.smooth:
        found = _smoothed(found, radii)
    if settings.holes:
        found = fill_holes(found)
    if least > 1:
        small = np.bincount(found.reshape(-1)) < least
        found = np.where(small[found], found.dtype.type(1), found)
    return found


def _smoothed(masks: Masks, radii: list[int]) -> Masks:
    """Outlines of objects smoothed one by one; where several claim a pixel, the one with most of its surroundings."""
    most, found = _around(masks <= 1, radii), np.where(masks > 1, masks.dtype.type(1), masks)
    for value, box in enumerate(ndimage.find_objects(masks.astype(np.int32, copy=False)), start=1):
        if box is None or value == 1:
            continue
        grown = tuple(slice(max(0, s.start - r), s.stop + r) for s, r in zip(box, radii, strict=True))
        share = _around(masks[grown] == value, radii)
        at = share > most[grown]
        most[grown][at], found[grown][at] = share[at], value
    return found


__all__ = ["Known", "refine", "weighed"]
