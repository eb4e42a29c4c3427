"""Restoration: predict what was masked out, shuffled, bent in its intensities or left out of the channels."""

from torch import Tensor

from napari_sslseg.corruption import restoration
from napari_sslseg.distributed import together
from napari_sslseg.methods import Restoring
from napari_sslseg.objective import Batch


class Restore(Restoring):
    """Models Genesis (Zhou et al., Medical Image Analysis 2021) with block masks as in MAE (He et al., CVPR 2022).

    Parameters
    ----------
    network : Network
        Encoder and head that learn.
    side : int
        Side of the crops.
    """

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Compute the restoration error, masked and visible pixels weighing the same."""
        return {"loss": restoration(together(self.restored, batch["seen"]), batch["clean"], batch["mask"])}


component = Restore
