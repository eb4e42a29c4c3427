"""Regions: boxes of images that a user marks, to check masks on or as labelled completely; knows no labels."""

from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from napari_sslseg.errors import LabelError


@dataclass(frozen=True)
class Region:
    """A marked box of an image.

    Parameters
    ----------
    z, y, x : (int, int)
        First plane, row or column, and the one after the last.
    validation : bool, optional
        What is painted in it is never learnt from; masks are scored on it.
    complete : bool, optional
        All of it is labelled: what nobody painted is background.
    """

    z: tuple[int, int]
    y: tuple[int, int]
    x: tuple[int, int]
    validation: bool = False
    complete: bool = False

    def slices(self, ndim: int) -> tuple[slice, ...]:
        """Return where it is in an array.

        Parameters
        ----------
        ndim : int
            2 for (Y, X), 3 for (Z, Y, X).

        Returns
        -------
        tuple of slice
            One an axis.
        """
        return tuple(slice(*side) for side in (self.z, self.y, self.x)[3 - ndim :])

    def check(self, shape: tuple[int, ...], name: str) -> None:
        """Raise LabelError unless it lies in an image and is marked as something.

        Parameters
        ----------
        shape : tuple of int
            Spatial shape ([Z,] Y, X) of the image.
        name : str
            Name of the image for the message.
        """
        whole = (1, *shape)[-3:]
        if not all(0 <= a < b <= n for (a, b), n in zip((self.z, self.y, self.x), whole, strict=True)):
            raise LabelError(
                f"The box {self} does not lie in {name}",
                "It goes from a first to a later plane, row and column, of " + " x ".join(map(str, whole)),
            )
        if not (self.validation or self.complete):
            raise LabelError(f"The box {self} is marked as nothing", "It is for validation, complete, or both")

    def magnified(self, times: int) -> Self:
        """Return the same box of an enlarged image.

        Parameters
        ----------
        times : int
            Magnification of Y and X.

        Returns
        -------
        Region
            With larger numbers.
        """
        y, x = ((times * a, times * b) for a, b in (self.y, self.x))
        return replace(self, y=y, x=x)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON.

        Returns
        -------
        dict
            z, y, x, validation and complete.
        """
        return asdict(self)

    @classmethod
    def from_dict(cls, said: dict[str, Any]) -> Self:
        """Take it from stored values.

        Parameters
        ----------
        said : dict
            What `to_dict` returned.

        Returns
        -------
        Region
            The same again.
        """
        sides = {axis: (int(said[axis][0]), int(said[axis][1])) for axis in "zyx"}
        return cls(**{**said, **sides})

    def __str__(self) -> str:
        return ",".join(f"{a}:{b}" for a, b in (self.z, self.y, self.x))


def parse(text: str, planes: int) -> Region:
    """Read a box as ``z0:z1,y0:y1,x0:x1``; of a single plane the first part may be left out.

    Parameters
    ----------
    text : str
        What was typed.
    planes : int
        Planes of the image.

    Returns
    -------
    Region
        Marked as nothing yet.

    Raises
    ------
    LabelError
        If it cannot be read.
    """
    try:
        parts = [tuple(int(n) for n in part.split(":")) for part in text.split(",")]
    except ValueError:
        parts = []
    if len(parts) == 2 and planes == 1:
        parts = [(0, 1), *parts]
    if len(parts) != 3 or any(len(part) != 2 for part in parts):
        wanted = "y0:y1,x0:x1" if planes == 1 else "z0:z1,y0:y1,x0:x1"
        raise LabelError(f"The box {text!r} cannot be read", f"It is written as {wanted}, in pixels, ends not included")
    (z0, z1), (y0, y1), (x0, x1) = parts
    return Region((z0, z1), (y0, y1), (x0, x1))
