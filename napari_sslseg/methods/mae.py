"""Masked autoencoding: the transformer sees a quarter of the pieces, the head draws the rest."""

from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from napari_sslseg.distributed import together
from napari_sslseg.encoders import TokenEncoder
from napari_sslseg.methods import Method, painter, side_by_side
from napari_sslseg.model import Network
from napari_sslseg.objective import Batch

VISIBLE = 0.25  # share of the pieces that is seen


class MAE(Method):
    """Masked autoencoder (He et al., CVPR 2022) of tokens of 8 x 8 pixels.

    Parameters
    ----------
    network : Network
        A vision transformer and a head.
    side : int
        Side of the crops.
    """

    encoders = ("vit",)

    def __init__(self, network: Network, side: int) -> None:
        super().__init__(network, side)
        self.hidden = nn.Parameter(0.02 * torch.randn(network.encoder.channels[-1]))
        self.output = painter(network)

    def prepare(self, crops: Tensor) -> Batch:
        """Turn and mirror the crops and choose the pieces that are seen."""
        clean = self.moved(crops)
        cells = (self.side // self.network.multiple) ** 2
        order = torch.rand(len(clean), cells).argsort(1)
        return {"clean": clean, "shown": order[:, : max(1, round(VISIBLE * cells))].sort(1).values}

    def _drawn(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Predict all pixels from the pieces seen; also return which pixels were seen, (B, 1, Y, X)."""
        encoder, clean, shown = cast(TokenEncoder, self.network.encoder), batch["clean"], batch["shown"]
        step = self.network.multiple
        high, wide = clean.shape[-2] // step, clean.shape[-1] // step
        seen = torch.zeros(len(clean), high * wide, dtype=torch.bool, device=clean.device).scatter(1, shown, True)
        pixels = seen.view(-1, 1, high, wide).repeat_interleave(step, 2).repeat_interleave(step, 3)
        fine, middle, tokens = encoder.stems(clean * pixels)
        index = shown[..., None].expand(-1, -1, tokens.shape[1])
        known = encoder.blocks(tokens.flatten(2).transpose(1, 2).gather(1, index))
        filled = self.hidden.expand(len(clean), high * wide, -1).scatter(1, index, known)
        deep = filled.transpose(1, 2).unflatten(2, (high, wide))
        return self.output(self.network.head(clean * pixels, [fine, middle, deep])), pixels

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Compute the mean squared error of what was hidden."""
        drawn, pixels = together(
            lambda clean, shown: self._drawn({"clean": clean, "shown": shown}), batch["clean"], batch["shown"]
        )
        error = (drawn - batch["clean"]) ** 2
        return {"loss": error[~pixels.expand_as(error)].mean()}

    @torch.no_grad()
    def picture(self, batch: Batch) -> npt.NDArray[np.float32]:
        """Show clean, visible and drawn side by side, of the first crop's first channel."""
        drawn, pixels = self._drawn({k: v[:1] for k, v in batch.items()})
        clean = batch["clean"][:1]
        return side_by_side([m[0, 0] for m in (clean, clean * pixels, drawn)])


component = MAE
