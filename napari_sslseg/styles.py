"""Styles: how images differ in what is known of their pixels, which is not what classes differ in."""

from dataclasses import dataclass

import torch
from torch import Tensor

MOVED = 2.0  # greatest part of the way from how its image looks to how another one does that a pixel is moved by


@dataclass(frozen=True, eq=False)
class Others:
    """Pixels without a label, and which image each pixel is of.

    Parameters
    ----------
    columns : torch.Tensor
        (M, F) columns of pixels without a label, some of every labelled image among them.
    images : torch.Tensor
        (M,) index of the image of each of them.
    labelled : torch.Tensor
        (N,) index of the image of each labelled pixel.
    guessed : bool
        Whether to learn from those of whose class it is sure.
    """

    columns: Tensor
    images: Tensor
    labelled: Tensor
    guessed: bool = True


@dataclass(frozen=True, eq=False)
class Styles:
    """How each image looks on average, and which image each pixel is of.

    Parameters
    ----------
    means : torch.Tensor
        (I, F) mean columns of images, NaN of an image that nothing is known of.
    images : torch.Tensor
        (N,) index of the image of each pixel.
    """

    means: Tensor
    images: Tensor

    @classmethod
    def of(cls, columns: Tensor, others: Others) -> "Styles | None":
        """Average what is known of the pixels without a label, image by image.

        Parameters
        ----------
        columns : torch.Tensor
            (M, F) columns of these pixels, standardised.
        others : Others
            Which image each of them is of, and each labelled pixel.

        Returns
        -------
        Styles
            Of the labelled pixels; None if all the others are of one image.
        """
        if len(torch.unique(others.images)) < 2:
            return None
        count = 1 + max(int(others.images.max()), int(others.labelled.max()))
        total = columns.new_zeros(count, columns.shape[1]).index_add_(0, others.images, columns)
        means = total / torch.bincount(others.images, minlength=count)[:, None]
        return cls(means, others.labelled)

    def joined(self, images: Tensor) -> "Styles":
        """Add pixels.

        Parameters
        ----------
        images : torch.Tensor
            (M,) index of the image of each.

        Returns
        -------
        Styles
            Of those there are and these.
        """
        return Styles(self.means, torch.cat([self.images, images]))

    def moves(self, chosen: Tensor) -> Tensor:
        """Draw how pixels are moved from the look of their image towards that of any.

        Parameters
        ----------
        chosen : torch.Tensor
            (B,) indices of pixels.

        Returns
        -------
        torch.Tensor
            (B, F) random parts of the ways between the means.
        """
        known = torch.isfinite(self.means[:, 0]).nonzero()[:, 0]
        drawn = torch.randint(len(known), (len(chosen),)).to(known.device)
        part = MOVED * torch.rand(len(chosen), 1).to(known.device)
        return part * (self.means[known[drawn]] - self.means[self.images[chosen]])
