"""What each verb is asked to do: parameters of pretraining, fine-tuning, prediction, refining and of the machine."""

from dataclasses import dataclass

from napari_sslseg.config import Config, param

NECK = 0.82  # a place this much narrower than the narrower of the two parts that it joins is a border between objects


@dataclass(frozen=True)
class PretrainConfig(Config):
    """Parameters of self-supervised pretraining.

    Parameters
    ----------
    method : str
        Name of the SSL method, a file of ``methods/``.
    encoder : str
        Name of the encoder, a file of ``encoders/``, or ``timm/NAME``.
    start : str
        ``auto``, the best that the encoder comes with; ``starter``, ``imagenet``, ``random`` or a checkpoint file.
    minutes : float
        Length of the run; not used where `steps` is given.
    steps : int, optional
        Length of the run in steps.
    crop : int
        Side of a crop in pixels; a network that looks at volumes sees boxes of twice as many voxels as such a square.
    batch : int
        Crops a step.
    rate : float
        Learning rate of new layers.
    encoder_rate : float, optional
        Learning rate of an encoder that starts from trained weights, as a share of `rate`; 0 keeps it as it is. None
        for what suits the method: 0 of ``recall``, 0.1 of the others.
    early_stop : bool
        Whether to end when the probe of what was learnt no longer rises.
    flips, turn : bool
        Whether mirrored and turned pieces are as good as the images; in radiology left and right differ.
    """

    method: str = param("recall", "How the computer learns from images without labels")
    encoder: str = param("efficientnet_lite0", "The network that looks at the image")
    start: str = param("auto", "Starting weights: starter, imagenet, random or a checkpoint file; auto: the best")
    minutes: float = param(3.0, "How long to learn", ge=0.01, le=100000, unit="min")
    steps: int | None = param(None, "How many steps to learn, instead of a time", ge=1)
    crop: int = param(128, "Side of the square pieces that are looked at", ge=32, le=1024, unit="px")
    batch: int = param(8, "Pieces looked at in one step", ge=2, le=512)
    rate: float = param(1e-3, "Learning rate of new layers", ge=1e-7, le=1.0)
    encoder_rate: float | None = param(
        None, "Learning rate of a trained encoder, as a share of the rate, if not what suits", ge=0.0, le=1.0
    )
    early_stop: bool = param(False, "End when the probe of what was learnt no longer rises")
    flips: bool = param(True, "Look at mirrored pieces too; not where left and right differ")
    turn: bool = param(True, "Look at turned pieces too; not where up and down differ")


@dataclass(frozen=True)
class FinetuneConfig(Config):
    """Parameters of training on labels.

    Parameters
    ----------
    encoder : str
        Encoder to use where nothing was pretrained.
    start : str
        Starting weights where nothing was pretrained: ``auto``, the best that the encoder comes with; ``starter``,
        ``imagenet``, ``random`` or a checkpoint.
    minutes : float
        Length of the run; not used where `steps` is given.
    steps : int, optional
        Length of the run in steps.
    crop : int
        Side of a crop in pixels; a network that looks at volumes sees boxes of twice as many voxels as such a square.
    batch : int
        Crops a step; with a teacher half of them are unlabelled.
    rate : float
        Learning rate.
    encoder_rate : float
        Learning rate of the encoder as a share of `rate`.
    norm : str
        ``batch``: normalisation layers of the encoder use each batch's statistics; ``frozen``: those it came with.
    teacher : float
        Weight of the agreement with the averaged network on unlabelled crops; 0 leaves them out.
    pixels : float
        Share of the pixel classifier in the result, unless held-out strokes are found worse with it by more than 0.08;
        for objects six tenths of it, always. Encoders that start from random weights do without.
    self_training : bool
        Whether the pixel classifier also learns from what it is sure of in pixels without a label. Never
        for objects, nor in images that are magnified since they are small.
    trees : bool
        Whether trees over a filter bank are averaged with the pixel classifier where some class has fewer than ten
        strokes. Never for objects.
    frequencies : float
        How far class frequencies, as they are found in the images, count: 0 as if all classes were equally frequent,
        1 in full, after which classes are favoured so that masks overlap with what is there as well as can be
        expected. Never for objects, nor with an encoder that starts from random weights.
    atlas : bool
        Whether to learn where in the images each class lies, if on each labelled image the others foretell it; needs
        three of them. Never for objects.
    dice : float
        Weight of the Dice loss beside cross-entropy.
    keep_head : bool
        Whether training also starts from the head that was pretrained, and not from its encoder alone.
    hold_out : float
        Share of the strokes of each class that is kept apart for the score.
    flips, turn : bool
        Whether mirrored and turned pieces are as good as the images; never where pretraining was told that they are
        not.
    """

    encoder: str = param("efficientnet_lite0", "The network, where nothing was pretrained")
    start: str = param("auto", "Starting weights, where nothing was pretrained; auto: the best there are")
    minutes: float = param(1.0, "How long to train", ge=0.01, le=100000, unit="min")
    steps: int | None = param(None, "How many steps to train, instead of a time", ge=1)
    crop: int = param(128, "Side of the square pieces that are looked at", ge=32, le=1024, unit="px")
    batch: int = param(8, "Pieces looked at in one step", ge=2, le=512)
    rate: float = param(1e-3, "Learning rate", ge=1e-7, le=1.0)
    encoder_rate: float = param(1.0, "Learning rate of the encoder, as a share of the rate", ge=0.0, le=1.0)
    norm: str = param("batch", "Statistics of a trained encoder: of each batch, or frozen", choices=("batch", "frozen"))
    teacher: float = param(0.0, "Weight of agreeing with the averaged network on unlabelled pieces", ge=0.0, le=10.0)
    pixels: float = param(0.5, "Share of the single-pixel classifier in the result", ge=0.0, le=1.0)
    self_training: bool = param(True, "Learn single pixels also from what one is sure of where nothing is painted")
    trees: bool = param(True, "Let random trees help where very few strokes are painted")
    frequencies: float = param(1.0, "How far the frequencies of classes in the images count", ge=0.0, le=1.0)
    atlas: bool = param(True, "Learn where classes lie, if it is alike in all labelled images")
    dice: float = param(0.5, "Weight of the Dice loss beside cross-entropy", ge=0.0, le=10.0)
    keep_head: bool = param(False, "Start from the whole pretrained network, not only from the part that sees")
    hold_out: float = param(0.2, "Share of the strokes kept apart for the score", ge=0.0, le=0.5)
    flips: bool = param(True, "Look at mirrored pieces too; not where left and right differ")
    turn: bool = param(True, "Look at turned pieces too; not where up and down differ")


@dataclass(frozen=True)
class PredictConfig(Config):
    """Parameters of prediction.

    Parameters
    ----------
    tile : int
        Side of a tile in pixels; a network that looks at volumes sees boxes of twice as many voxels as such a square.
    overlap : int
        Pixels by which tiles overlap.
    flips : bool
        Whether to average over mirrored copies, which is steadier and takes longer; never done where training was told
        that mirrored or turned images are not as good.
    probabilities : bool
        Whether to keep the probability of every class.
    """

    tile: int = param(512, "Side of the square pieces that are predicted at once", ge=64, le=8192, unit="px")
    overlap: int = param(64, "How far neighbouring pieces overlap", ge=0, le=1024, unit="px")
    flips: bool = param(True, "Average over mirrored copies: steadier, and takes longer")
    probabilities: bool = param(False, "Keep the probability of every class")


@dataclass(frozen=True)
class RuntimeConfig(Config):
    """Where and how reproducibly a job runs.

    Parameters
    ----------
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``mps``.
    seed : int
        Seed of everything random.
    compile : bool
        Whether a network that learns is compiled first.
    """

    device: str = param("auto", "Where to compute", choices=("auto", "cpu", "cuda", "mps"))
    seed: int = param(0, "Seed of everything random", ge=0, le=2**31 - 1)
    compile: bool = param(False, "Compile the network before it learns: pays in long runs, and needs a C++ compiler")


@dataclass(frozen=True)
class Refinement(Config):
    """How predicted masks are changed without predicting again; the defaults leave them as they are.

    Parameters
    ----------
    sure : float
        How sure it has to be that a pixel is not background, against background alone; 0.5 as predicted.
    apart : float
        How readily objects are taken apart: 0 hardly, 0.5 as predicted, 1 very.
    smooth : int
        Radius over which outlines are smoothed.
    least : float
        Smaller specks, holes and objects are removed: area, or volume of objects of a stack, in the unit of the image.
    holes : bool
        Whether holes of objects are filled.
    split : int
        The class whose touching objects are parted by a line of background; 0 for none.
    neck : float
        How narrow it is where they are parted: 0 cuts nowhere, nearly 1 everywhere.
    """

    sure: float = param(0.5, "How sure it has to be that something is not background", ge=0.02, le=0.98)
    apart: float = param(0.5, "How readily objects are taken apart", ge=0.0, le=1.0)
    smooth: int = param(0, "Radius over which outlines are smoothed", ge=0, le=50, unit="px")
    least: float = param(0.0, "Specks, holes and objects smaller than this are removed", ge=0.0)
    holes: bool = param(False, "Fill holes of objects")
    split: int = param(0, "The class whose touching objects are parted", ge=0, le=65535)
    neck: float = param(NECK, "How narrow it is where objects are parted", ge=0.0, le=1.0)


AS_PREDICTED = Refinement()
