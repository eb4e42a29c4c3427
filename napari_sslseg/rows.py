"""Rows: what is found of planes from the top down, handed on as soon as a plane is whole, of a vast one in bands."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_sslseg import vast
from napari_sslseg.overlay import Box

BAND = 512  # rows of a vast plane that are handed on together, or a multiple: those of whole chunks on the disk

Give = Callable[[int, Box, npt.NDArray[Any]], None]


class Rows:
    """Collects rows of several planes at a time, and keeps none that it handed on.

    Parameters
    ----------
    plane : tuple of int
        Shape (Y, X) of a plane.
    give : callable
        Is given a plane, a part of it as wide as the plane, and what was found there.
    whole : bool, optional
        Whether to hand on whole planes only, however large.
    """

    def __init__(self, plane: tuple[int, ...], give: Give, *, whole: bool = False) -> None:
        self._give, self._height, self._width = give, int(plane[0]), int(plane[1])
        self._step = BAND if vast.large(plane) and not whole else self._height
        self._held: dict[int, tuple[int, list[npt.NDArray[Any]]]] = {}  # by plane: the first row, and what follows

    def add(self, z: int, top: int, found: npt.NDArray[Any]) -> bool:
        """Add rows of a plane, which come in order and each once.

        Parameters
        ----------
        z : int
            The plane.
        top : int
            The first of the rows.
        found : numpy.ndarray
            (..., rows, X).

        Returns
        -------
        bool
            Whether the plane is complete.
        """
        first, parts = self._held.pop(z, (top, []))
        parts.append(found)
        end = top + int(found.shape[-2])
        cut = end if end == self._height else end // self._step * self._step
        if cut > first:
            rows = np.concatenate(parts, -2) if len(parts) > 1 else found
            self._give(z, Box(first, 0, cut, self._width), rows[..., : cut - first, :])
            first, parts = cut, [rows[..., cut - first :, :].copy()]
        if end < self._height:
            self._held[z] = first, parts
        return end == self._height


__all__ = ["Rows"]
