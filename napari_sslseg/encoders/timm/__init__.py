"""Encoders of timm, chosen as ``timm/NAME``: every network there that makes feature maps of images of any size."""

import difflib
import math
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from napari_sslseg.encoders import Encoder, downloading
from napari_sslseg.errors import ConfigError

NOT_MADE = (AssertionError, AttributeError, IndexError, NotImplementedError, RuntimeError, TypeError, ValueError)
OTHERS = "Choose another one, such as timm/convnext_atto"


class TimmEncoder(Encoder):
    """A network of timm (Wightman 2019) and all the feature maps that it offers.

    ``imagenet`` are the weights that timm names for the network, whatever they were trained on.

    Parameters
    ----------
    in_channels : int
        Channels of the image; trained weights of the first layer are repeated over them and scaled.

    Attributes
    ----------
    name : str
        Name of the network in timm.
    """

    name: str
    downloads = True

    def __init__(self, in_channels: int) -> None:
        super().__init__(in_channels)
        try:
            self.net = _network(self.name, in_channels)
            info: Any = self.net.feature_info
            self.channels, self.strides = tuple(info.channels()), tuple(info.reduction())
        except NOT_MADE as error:
            raise ConfigError(
                f"The encoder 'timm/{self.name}' does not give its feature maps ({_first_line(error)})",
                "An encoder needs them",
                OTHERS,
            ) from error
        self._check_maps()

    def _check_maps(self) -> None:
        """See that maps have the shapes that timm says, for an image of an unusual size."""
        step = self.strides[-1]
        self.net.eval()
        try:
            with torch.no_grad():
                found = [tuple(m.shape) for m in self(torch.zeros(1, self.in_channels, 2 * step, 3 * step))]
            why = f"{found[-1][2]} x {found[-1][3]} places for 2 x 3 steps"
        except NOT_MADE as error:
            found, why = [], _first_line(error)
        self.net.train()
        expected = [(1, c, 2 * step // s, 3 * step // s) for c, s in zip(self.channels, self.strides, strict=True)]
        if found != expected or list(self.strides) != sorted(self.strides):
            raise ConfigError(
                f"The encoder 'timm/{self.name}' cannot look at images of any size ({why})",
                "An encoder needs maps whose sides are those of the image divided by its strides",
                OTHERS,
            )

    def forward(self, image: Tensor) -> list[Tensor]:
        """Compute all maps that the network offers."""
        step, sides = self.strides[-1], tuple(image.shape[-2:])
        if any(side % step for side in sides):
            fits = math.lcm(step, 4)
            raise ConfigError(
                f"The encoder 'timm/{self.name}' looks in steps of {step} pixels and got {sides[0]} x {sides[1]}",
                f"Both sides must be divisible by {step}",
                f"Use --set crop={max(1, round(sides[0] / fits)) * fits}",
            )
        maps = self.net(image)
        last = getattr(self.net, "output_fmt", "NCHW") == "NHWC"
        return [m.movedim(-1, 1) if last else m for m in maps]

    def load_trained(self, start: str) -> None:
        """Load the weights that timm names, from the network the first time."""
        import timm
        from huggingface_hub import hf_hub_download

        said = timm.get_pretrained_cfg(self.name)
        with downloading(f"timm/{self.name}"):
            path = hf_hub_download(said.hf_hub_id, _safetensors(said.hf_hub_filename))
            given = {"file": path, "custom_load": False}
            trained = _network(self.name, self.in_channels, pretrained=True, pretrained_cfg_overlay=given)
        self.net.load_state_dict(trained.state_dict())


def component(name: str) -> type[Encoder]:
    """Make an encoder of a network.

    Parameters
    ----------
    name : str
        Name in timm, with or without the tag of its weights, such as ``resnet10t`` or ``resnet10t.c3_in1k``.

    Returns
    -------
    type
        The encoder.

    Raises
    ------
    ConfigError
        If timm is not installed or has no such network.
    """
    if find_spec("timm") is None:
        raise ConfigError(
            f"The encoder 'timm/{name}' was asked for and timm is not installed",
            "It is an optional package",
            'Install it with: pip install "napari-sslseg[timm]"',
        )
    import timm

    known = [*timm.list_models(), *timm.list_pretrained()]
    if name not in known:
        near = [f"timm/{n}" for n in difflib.get_close_matches(name, known, 5, 0.5)]
        raise ConfigError(
            f"Unknown encoder 'timm/{name}'",
            f"timm {timm.__version__} has {len(known)} names",
            f"Did you mean one of: {', '.join(near)}?" if near else "timm.list_models() lists them",
        )
    said = timm.get_pretrained_cfg(name)
    starts = ("imagenet", "random") if said is not None and said.hf_hub_id else ("random",)
    return type("TimmEncoder", (TimmEncoder,), {"name": name, "starts": starts})


def _network(name: str, in_channels: int, **how: Any) -> nn.Module:
    import timm

    how = {"features_only": True, "in_chans": in_channels, **how}
    try:
        made: nn.Module = timm.create_model(name, dynamic_img_size=True, **how)
    except TypeError:  # it does not know of sizes, and so looks at any
        made = timm.create_model(name, **how)
    module: Any
    for module in made.modules():  # what is left out at random, no seed would decide
        if isinstance(module, nn.Dropout | nn.Dropout2d | nn.Dropout3d):
            module.p = 0.0
        elif hasattr(module, "drop_prob"):
            module.drop_prob = 0.0
    return made


def _safetensors(file: str | None) -> str:
    """Name the file that holds the same weights as tensors and nothing else."""
    return f"{(file or 'model').rsplit('.', 1)[0].replace('pytorch_', '')}.safetensors"


def _first_line(error: Exception) -> str:
    return str(error).split("\n")[0] or type(error).__name__
