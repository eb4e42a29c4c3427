"""napari-sslseg: learn from unlabelled images, paint a few strokes, get masks, correct and retrain."""

from importlib import import_module
from typing import Any

_HOME = {
    "Image": "image",
    "Annotation": "annotation",
    "LabelClass": "annotation",
    "Project": "project",
    "Stop": "job",
    "run": "job",
    "Checkpoint": "checkpoint",
    "PretrainConfig": "settings",
    "pretrain": "pretraining",
    "FinetuneConfig": "settings",
    "finetune": "finetuning",
    "PredictConfig": "settings",
    "predict": "predicting",
    "denoise": "denoising",
}

__all__ = list(_HOME)
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, so that the package itself loads no torch."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{__name__}.{_HOME[name]}")
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
