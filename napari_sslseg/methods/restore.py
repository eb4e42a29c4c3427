"""Restoration: predict what was masked out, shuffled, bent in its intensities or left out of the channels."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_sslseg.corruption import corrupted, restoration
from napari_sslseg.distributed import together
from napari_sslseg.methods import Method, painter, side_by_side
from napari_sslseg.model import Network
from napari_sslseg.objective import Batch


class Restore(Method):
    """Models Genesis (Zhou et al., Medical Image Analysis 2021) with block masks as in MAE (He et al., CVPR 2022).

    Parameters
    ----------
    network : Network
        Encoder and head that learn.
    side : int
        Side of the crops.
    """

    dimensions = (2, 3)

    def __init__(self, network: Network, side: int) -> None:
        super().__init__(network, side)
        self.output = painter(network)

    def prepare(self, crops: Tensor) -> Batch:
        """Turn and mirror the crops, then corrupt copies of them."""
        clean = self.moved(crops)
        seen, mask = corrupted(clean)
        return {"seen": seen, "clean": clean, "mask": mask}

    def restored(self, seen: Tensor) -> Tensor:
        """Predict the clean crops from the corrupted ones.

        Parameters
        ----------
        seen : torch.Tensor
            (B, C, Y, X), corrupted.

        Returns
        -------
        torch.Tensor
            (B, C, Y, X), restored.
        """
        result: Tensor = self.output(self.network.features(seen))
        return result

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Compute the restoration error, masked and visible pixels weighing the same."""
        return {"loss": restoration(together(self.restored, batch["seen"]), batch["clean"], batch["mask"])}

    @torch.no_grad()
    def picture(self, batch: Batch) -> npt.NDArray[np.float32]:
        """Show clean, corrupted and restored side by side, of the first crop's first channel."""
        shown = [batch["clean"][0, 0], batch["seen"][0, 0], self.restored(batch["seen"][:1])[0, 0]]
        return side_by_side(shown)


component = Restore
