"""Beside: what lies next to its image; the view takes it in with the image, and lets go of it again."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Layer

ROLES = ("restored",)


class Beside:
    """Fits the view to an image and what lies beside it; where the user did not move it since, it goes back."""

    def __init__(self) -> None:
        self._before: dict[str, Any] = {}  # the view that is gone back to
        self._after: dict[str, Any] | None = None  # the view with both; None where it was not taken in

    @property
    def taken_in(self) -> bool:
        """Whether the view was fitted to both, and nothing has gone since."""
        return self._after is not None

    def look(self, viewer: ViewerModel, image: Sequence[Layer], beside: Sequence[Layer]) -> None:
        """Fit the view to an image, and to what lies beside it.

        Parameters
        ----------
        viewer : napari.components.ViewerModel
            The viewer.
        image : sequence of napari.layers.Layer
            The layers of the image.
        beside : sequence of napari.layers.Layer
            What lies beside it; may be empty.
        """
        self._after = None
        _fit(viewer, image)
        if beside:
            self.take_in(viewer, image, beside)

    def take_in(self, viewer: ViewerModel, image: Sequence[Layer], beside: Sequence[Layer]) -> None:
        """Widen the view to what lies beside the image.

        Parameters
        ----------
        viewer : napari.components.ViewerModel
            The viewer.
        image : sequence of napari.layers.Layer
            The layers of the image.
        beside : sequence of napari.layers.Layer
            What lies beside it.
        """
        if not self._unmoved(viewer):
            self._before = _view(viewer)
        _fit(viewer, [*image, *beside])
        self._after = _view(viewer)

    def let_go(self, viewer: ViewerModel) -> None:
        """Go back to the view before, unless the user moved it: nothing lies beside the image any more.

        Parameters
        ----------
        viewer : napari.components.ViewerModel
            The viewer.
        """
        if self._unmoved(viewer):
            for name, value in self._before.items():
                setattr(viewer.scene.camera, name, value)
        self._after = None

    def _unmoved(self, viewer: ViewerModel) -> bool:
        now = _view(viewer)
        return self._after is not None and all(np.allclose(now[name], value) for name, value in self._after.items())


def _view(viewer: ViewerModel) -> dict[str, Any]:
    camera = viewer.scene.camera
    return {"center": camera.center, "zoom": camera.zoom, "angles": camera.angles}


def _fit(viewer: ViewerModel, layers: Sequence[Layer]) -> None:
    whole = all(layer.ndim == viewer.dims.ndim for layer in layers)  # else napari cannot fit to them
    viewer.reset_view(layers=layers if whole else None)
