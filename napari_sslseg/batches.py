"""Batches: crops around strokes, with their labels, and crops anywhere for the teacher."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from napari_sslseg import augment, patches
from napari_sslseg.image import Image
from napari_sslseg.labelled import Labelled
from napari_sslseg.objective import Batch
from napari_sslseg.patches import Place, Targets
from napari_sslseg.runtime import Runtime
from napari_sslseg.settings import FinetuneConfig
from napari_sslseg.strokes import Stroke
from napari_sslseg.volumes import Piece


@dataclass(frozen=True, eq=False)
class Batches:
    """What batches are made of.

    Parameters
    ----------
    labelled : Labelled
        Images and strokes.
    pool : list of Image
        Images that the teacher's crops come from.
    config : FinetuneConfig
        How many crops, and what may be done to them.
    machine : Runtime
        Device and seed.
    piece : Piece, optional
        Size of a crop; squares of one plane, unless it is given.
    """

    labelled: Labelled
    pool: list[Image]
    config: FinetuneConfig
    machine: Runtime
    piece: Piece | None = None

    def around(self, found: list[Stroke], hidden: list[Stroke]) -> Callable[[int], Batch]:
        """Make batches around some strokes, without the labels of others.

        Parameters
        ----------
        found : list of Stroke
            Crops lie around these, every class as often as any other.
        hidden : list of Stroke
            Their labels are not in the batches.

        Returns
        -------
        callable
            From the number of a step to its batch: ``image``, ``target``, and with a teacher ``clean`` and ``seen``.
        """
        targets = [{z: plane.copy() for z, plane in planes.items()} for planes in self.labelled.targets]
        for stroke in hidden:
            targets[stroke.image][stroke.z][tuple(stroke.points.T)] = 0
        classes, config, machine = sorted({s.value for s in found}), self.config, self.machine
        piece = self.piece or Piece(config.crop)
        side, depth = int(piece.side * augment.MARGIN), piece.depth
        geometry = augment.Geometry(piece.side, orientation=augment.Orientation(config.flips, config.turn))
        count = config.batch if config.teacher == 0 else config.batch // 2

        def batch(step: int) -> Batch:
            numbers = machine.numbers(4, step)
            wanted = [classes[(step * count + k) % len(classes)] for k in range(count)]
            places = [patches.around(found, value, side, numbers, depth) for value in wanted]
            elsewhere = [patches.anywhere(self.pool, side, numbers, depth) for _ in range(config.batch - count)]
            with machine.thread_numbers(5, step):
                made = [geometry(*_read(self.labelled.images[p.image], targets[p.image], p)) for p in places]
                result = {"image": augment.intensity(torch.stack([m[0] for m in made]))}
                if elsewhere:
                    crops = [torch.from_numpy(patches.cut(self.pool[p.image], p)) for p in elsewhere]
                    result["clean"] = torch.stack([geometry(c, c.new_zeros(c.shape[1:]).long())[0] for c in crops])
                    result["seen"] = augment.intensity(result["clean"], 1.5)
            return {k: machine.place(v) for k, v in {**result, "target": torch.stack([m[1] for m in made])}.items()}

        return batch


def _read(image: Image, targets: Mapping[int, Targets], place: Place) -> tuple[Tensor, Tensor]:
    part = patches.cut_sparse(targets, place)
    return torch.from_numpy(patches.cut(image, place)), torch.from_numpy(part.astype(np.int64))
