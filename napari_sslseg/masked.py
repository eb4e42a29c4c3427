"""Masked: the masks of the images of a project, which may be larger than memory."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_sslseg.contents import Contents
from napari_sslseg.io.on_disk import OnDisk
from napari_sslseg.label_shelf import LabelShelf
from napari_sslseg.overlay import Box
from napari_sslseg.painted import Painted


class Masked(Painted):
    """Images, what is painted on them, and what was predicted of them.

    Parameters
    ----------
    path : Path
        The folder.
    contents : Contents
        What its ``project.json`` says.
    """

    def __init__(self, path: Path, contents: Contents) -> None:
        super().__init__(path, contents)
        self._predictions = LabelShelf(path / "predictions", np.uint32)

    def predicted(self, id: str) -> bool:
        """Tell whether an image has masks.

        Parameters
        ----------
        id : str
            Image id.

        Returns
        -------
        bool
            Whether at least one of its planes was predicted.
        """
        return self._predictions.place(id).exists()

    def prediction(self, id: str) -> npt.NDArray[Any] | None:
        """Read the latest masks of an image.

        Parameters
        ----------
        id : str
            Image id.

        Returns
        -------
        numpy.ndarray, optional
            ([Z,] Y, X) uint32, 0 in planes never predicted; None if nothing was predicted.
        """
        return self._predictions.read(id)

    def masks(self, id: str) -> OnDisk | None:
        """Open the latest masks of an image, which may be larger than memory; what is asked for is read then.

        Parameters
        ----------
        id : str
            Image id.

        Returns
        -------
        OnDisk, optional
            ([Z,] Y, X) uint32 of objects, uint16 of classes, as they are on the disk; None if nothing was predicted.
        """
        return self._predictions.opened(id, np.uint32 if self.task == "instance" else np.uint16)

    def masked(self, id: str) -> str:
        """Name what the masks of an image are now.

        Parameters
        ----------
        id : str
            Image id.

        Returns
        -------
        str
            Another one after each writing.
        """
        return self._predictions.version(id)

    def masked_boxes(self, id: str) -> list[tuple[slice, ...]]:
        """Say in which parts of an image there may be masks, without reading any.

        Parameters
        ----------
        id : str
            Image id.

        Returns
        -------
        list of tuple of slice
            Boxes ([Z,] Y, X), with start and stop.
        """
        return self._predictions.boxes(id)

    def greatest(self, id: str, planes: tuple[int, ...] | None = None, box: Box | None = None) -> int:
        """Find the greatest number in the masks of an image, piece by piece.

        Parameters
        ----------
        id : str
            Image id.
        planes : tuple of int, optional
            Planes whose part is left out; all if not given.
        box : Box, optional
            The part that is left out; none if not given.

        Returns
        -------
        int
            0 if nothing was predicted.
        """
        masks, most = self.masks(id), 0
        for place in self.masked_boxes(id) if masks is not None else ():
            assert masks is not None, "there are boxes"
            part = masks[place]
            if box is not None and (planes is None or place[0].start in planes):
                rows, columns = (
                    slice(max(0, b.start - p.start), max(0, b.stop - p.start))
                    for b, p in zip(box.slices, place[-2:], strict=True)
                )
                part[..., rows, columns] = 0
            most = max(most, int(part.max()))
        return most

    def write_prediction(
        self, id: str, labels: npt.NDArray[Any], planes: tuple[int, ...] | None = None, box: Box | None = None
    ) -> None:
        """Keep the masks of an image.

        Parameters
        ----------
        id : str
            Image id.
        labels : numpy.ndarray
            ([Z,] Y, X), of these planes and this part alone.
        planes : tuple of int, optional
            The planes to write; all if not given.
        box : Box, optional
            The part of them to write; all of it if not given.
        """
        entry = self.entry(id)
        part = (box or Box(0, 0, *entry.shape[-2:])).slices
        if planes is None:
            self._predictions.write(entry, labels, (*(slice(0, n) for n in entry.shape[:-2]), *part))
        for k, z in enumerate(planes or ()):
            self._predictions.write(entry, labels[k : k + 1], (slice(z, z + 1), *part))
