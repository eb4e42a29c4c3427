"""Self-distillation: learn to say of a spot, from one view, what the averaged network says of it from another."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from napari_sslseg import views
from napari_sslseg.distributed import together
from napari_sslseg.methods import WIDTH, Method, projector
from napari_sslseg.model import Network
from napari_sslseg.objective import Batch

POINTS = 64  # matched points a crop
SMALL = 4  # views of half the side beside the two whole ones, together as dear as one of these
PROTOTYPES = 128  # what a pixel can be
STUDENT, TEACHER = 0.1, 0.05  # temperatures: the teacher is surer
COLLAPSED = 2 / PROTOTYPES  # share of the prototypes in use at which nothing is told apart any more
CENTRE = 0.9  # how much of the old centre is kept at each step


class Distil(Method):
    """DINO (Caron et al., ICCV 2021) of single pixels: an averaged network teaches, centred and sharpened.

    The teacher sees two whole views, the network that learns a few small ones besides: from a little of its
    surroundings it learns to say of a pixel what is seen from more of them.

    Parameters
    ----------
    network : Network
        Encoder and head that learn.
    side : int
        Side of the crops.
    """

    dimensions = (2, 3)
    centre: Tensor

    def __init__(self, network: Network, side: int) -> None:
        super().__init__(network, side)
        self.project = projector(network.head.width + sum(network.encoder.channels))
        self.prototypes = nn.Linear(WIDTH, PROTOTYPES, bias=False)
        self.register_buffer("centre", torch.zeros(PROTOTYPES))
        self._average: dict[str, Tensor] = {}

    def begin(self, fraction: float, average: Mapping[str, Tensor]) -> None:
        """Let the averaged network teach; before the first step the network teaches itself."""
        self._average = dict(average)

    def prepare(self, crops: Tensor) -> Batch:
        """Make two views of each crop and some small ones, and choose points to compare."""
        step = self.network.multiple
        half = max(step, self.side // 2 // step * step)
        return views.matched(crops, self.side, POINTS, self.orientation, small=(SMALL, half))

    def scores(self, seen: Tensor, places: Tensor) -> Tensor:
        """Compute how like each prototype every point is.

        Parameters
        ----------
        seen : torch.Tensor
            (V, C, [Z,] Y, X) views.
        places : torch.Tensor
            (V, points, 2 or 3), where the points are in them.

        Returns
        -------
        torch.Tensor
            (V points, PROTOTYPES), from -1 to 1.
        """
        return together(self._scores, seen, places)

    def _scores(self, seen: Tensor, places: Tensor) -> Tensor:
        maps = self.network.encoder(seen)
        projected = self.project(views.at([*maps, self.network.head(seen, maps)], places))
        weight = F.normalize(self.prototypes.weight, dim=1)
        return F.normalize(projected, dim=1) @ weight.T

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Compute the divergence from the teacher, across views; ``used``: share of the prototypes in use."""
        if "taught" in batch:  # the teacher runs through this very function, to have its weights
            return {"scores": self.scores(batch["views"], batch["places"])}
        whole = self.scores(batch["views"], batch["places"]).chunk(2)
        small = self.scores(batch["small"], batch["small_places"]).chunk(SMALL)
        with torch.no_grad():
            taught = self._teach(batch)
            aims = ((taught - self.centre) / TEACHER).softmax(1).chunk(2)
            if self.training:
                self.centre.lerp_(taught.mean(0), 1 - CENTRE)
            spread = torch.cat(aims).mean(0)
            used = torch.exp(-(spread * spread.clamp_min(1e-9).log()).sum()) / PROTOTYPES
        shown = [(p.abs().amax(-1) < 1).flatten() for p in batch["places"].chunk(2)]
        shown_small = [(p.abs().amax(-1) < 1).flatten() for p in batch["small_places"].chunk(SMALL)]
        losses = []
        for k, aim in enumerate(aims):
            others = [(whole[1 - k], shown[1 - k]), *zip(small, shown_small, strict=True)]
            losses += [disagreement(aim, said, shown[k] & also) for said, also in others]
        return {"loss": torch.stack(losses).mean(), "used": used}

    def alarm(self, name: str, value: float) -> str | None:
        """Tell a collapse: the teacher says the same of every pixel."""
        if name != "used" or value > COLLAPSED:
            return None
        return "The features are collapsing: all pixels look alike. Stop, and choose another method or a lower rate."

    def _teach(self, batch: Batch) -> Tensor:
        training, weights = self.training, self._average or dict(self.state_dict())
        self.eval()  # or the average's own statistics would be moved
        found: dict[str, Tensor] = functional_call(self, weights, ({**batch, "taught": batch["inside"]},))
        self.train(training)
        return found["scores"]


def disagreement(aim: Tensor, said: Tensor, both: Tensor) -> Tensor:
    """Kullback-Leibler divergence from the teacher: its cross-entropy less what the teacher itself leaves open.

    Parameters
    ----------
    aim : torch.Tensor
        (N, PROTOTYPES) probabilities.
    said : torch.Tensor
        (N, PROTOTYPES) scores of the network that learns.
    both : torch.Tensor
        (N,) bool, which points teacher and learner both saw; only they count.

    Returns
    -------
    torch.Tensor
        Scalar; 0 where there is no such point.
    """
    each = F.kl_div((said / STUDENT).log_softmax(1), aim, reduction="none").sum(1)
    return (each * both).sum() / both.sum().clamp_min(1)


component = Distil
