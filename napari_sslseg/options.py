"""Options that several verbs of the command line share: where to compute, how to show it, and any other parameter."""

import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from cyclopts import Parameter

from napari_sslseg.config import Config, Registry
from napari_sslseg.errors import ConfigError
from napari_sslseg.settings import RuntimeConfig

C = TypeVar("C", bound=Config)


@Parameter(name="*")
@dataclass(frozen=True)
class Machine:
    """Options of every long job.

    Parameters
    ----------
    seed : int
        Seed of everything random.
    device : str
        Where to compute.
    events : str
        How to show what happens: a progress bar, or one JSON object a line.
    compile : bool
        Compile the network before it learns: pays in long runs, and needs a C++ compiler.
    """

    seed: int = RuntimeConfig.seed
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    events: Literal["bar", "json"] = "bar"
    compile: bool = RuntimeConfig.compile

    def runtime(self) -> RuntimeConfig:
        """Return where and how reproducibly to run.

        Returns
        -------
        RuntimeConfig
            Device and seed.
        """
        return RuntimeConfig(device=self.device, seed=self.seed, compile=self.compile)


@Parameter(name="*")
@dataclass(frozen=True)
class Learning:
    """What to start from and how long to learn; None is the default of the verb.

    Parameters
    ----------
    encoder : str
        The network, where nothing was pretrained: efficientnet_lite0, unet, unet3d and others, or timm/NAME.
    start : str
        Its first weights: auto (the best there are), starter, imagenet, random, or a checkpoint file.
    minutes : float
        How long to learn.
    steps : int
        How many steps to learn, instead of a time.
    """

    encoder: str | None = None
    start: str | None = None
    minutes: float | None = None
    steps: int | None = None


@Parameter(name="*")
@dataclass(frozen=True)
class Common(Machine):
    """Options of every job that has parameters of its own.

    Parameters
    ----------
    set : tuple of str
        Any other parameter, as name=value, such as batch=16; an unknown name lists them all.
    """

    set: Annotated[tuple[str, ...], Parameter(show_default=False)] = ()

    def config(self, kind: type[C], **values: Any) -> C:
        """Make a config of the options given, `--set` included, and check that its components exist.

        Parameters
        ----------
        kind : type
            Which config.
        **values : object
            Options by name; None leaves the default.

        Returns
        -------
        Config
            The config.

        Raises
        ------
        ConfigError
            If a parameter or component does not exist, or a value is out of range.
        """
        given = {k: v for k, v in values.items() if v is not None}
        for item in self.set:
            name, equals, text = item.partition("=")
            if not equals:
                raise ConfigError(f"--set {item}", "It must be name=value", "For example --set batch=16")
            given[name] = _value(text)
        if given.get("encoder") in ("unet", "unet3d"):  # which no package ships trained weights of
            given.setdefault("start", "random")
        config = kind.from_dict(given)
        for component in ("method", "encoder"):
            if hasattr(config, component):
                Registry[Any](component, f"napari_sslseg.{component}s").check(getattr(config, component))
        return config


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def names(ids: str | None) -> list[str]:
    """Take apart names that are separated by commas.

    Parameters
    ----------
    ids : str, optional
        The names.

    Returns
    -------
    list of str
        Without spaces around them; empty if none were given.
    """
    return [i.strip() for i in (ids or "").split(",") if i.strip()]
