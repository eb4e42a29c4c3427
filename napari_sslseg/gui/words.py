"""Words: what the library says of errors and of a job, in the words of the window and no words of the trade."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from napari_sslseg.errors import UserError
from napari_sslseg.job import Event, Notice, Progress

ADVANCED = "under “Advanced”"
SENTENCES = {  # what is done otherwise in the window, by how the sentence begins
    "Name the axes": "Choose below the list of images what its axes are",
    "Image.from_array takes other orders": "Choose below the list of images what its axes are",
    "Open one position along": "Open one position at a time, or choose below the list of images what its axes are",
    "Pretrain or train with --project": "Press “Use these images” to make one",
    "Name the folder in which": "Choose the folder in which the images lie",
    "Name the folder of one image": "Choose the folder of one image inside it",
    "Name image files": "Press “Add…” in step 1, or drop images onto the dock",
    "Add the image with --images": "Use the image first, or name both files alike",
    "If each value is one object": "If each value is one object, choose “Objects” in the step Train",
    "Learn with the method denoise": f"Choose “method” denoise {ADVANCED} in the step Learn, and press ▶ Learn",
    "Pretrain it first": "Press ▶ Learn first",
}
WRONG = f"Stop, and choose another method or a lower rate {ADVANCED}"
NOTICES = (  # what jobs say of their work, and how the window says it
    (r"^The features are collapsing.*?[:.] [Ss]top, and .*? rate\.", f"It no longer tells things apart. {WRONG}."),
    (r"^The probe has been .+ for (\S+ \S+): you can stop now", r"It has learnt nothing new for \1: you can stop now"),
    (
        r"^The weights after step (\S+) are kept, from before the features collapsed",
        r"What was learnt until step \1 is kept: after it, things were no longer told apart",
    ),
    (
        r"^The weights after step (\S+) are kept: they were the best on your strokes \(mean IoU",
        r"What was learnt until step \1 is kept: it was the best for your strokes (score",
    ),
    (
        r"^Pretraining made it worse on your strokes \(mean IoU (.*)\); the starting weights are kept",
        r"Learning from your images made it worse for your strokes (score \1): what was learnt is left out",
    ),
    (
        r"^On your strokes (?:the pretrained encoder|what was learnt) scores (\S+) and where it started (\S+) "
        r"\(mean IoU, 1 is best\), which is ([\w ]+); training .*",
        r"For your strokes, what was learnt from your images scores \1 and what was there before \2 (1 is best), "
        r"which is \3: training does without it",
    ),
    (
        r"^Too few strokes tell whether what was learnt is better than where it started; training .*",
        "There are too few strokes to tell whether what was learnt from your images helps: training does without it",
    ),
    (
        r"^For objects what was learnt is left out: .* knows their outlines",
        "For objects, what was learnt from your images is left out: training begins with what knows outlines already",
    ),
    (
        r"^The pretrained encoder looks at volumes; .* one of planes is used\.",
        "What was learnt looks at whole stacks; while you paint, one that looks at planes is used.",
    ),
    (r"^comparing (?:the pretrained encoder|what was learnt) with its start$", "looking whether what was learnt helps"),
    (r"^loading the (network|encoder)$", "getting ready"),
    (
        r"\bNaN or infinite pixels; they are treated as its mean value",
        "pixels without a value; its mean stands for them",
    ),
    (r"\bof NaN or infinite pixels only", "in which no pixel has a value"),
    (r"\bvalidation box", "check box"),
)
ERRORS = (  # whole phrases only: a word alone may be a part of the name of a file, which stays as it is
    (r"\bThere is no checkpoint (?=\S)", "There is no model "),
    (r"\bcannot be read as a checkpoint\b", "cannot be read as a model"),
    (r"\bis not a napari-sslseg checkpoint\b", "is not a model of napari-sslseg"),
    (r"\(checkpoint format (\w+)\)", r"(format \1)"),
    (r"\bor a checkpoint file\b", "or a file with a model"),
    (r"\bThe checkpoint was pretrained by '?([\w-]+)'?", r"This was learnt by the method \1"),
    (r"\bDenoising needs one pretrained by 'denoise'", "Denoising needs what the method denoise learns"),
    (
        r"\bThe checkpoint was pretrained but not trained on labels",
        "The computer has learnt from images, and was not trained on what is painted yet",
    ),
    (r"\bThe checkpoint was (trained on labels|written by)\b", r"The model was \1"),
    (r"\bThe checkpoint (.+?) was trained on images\b", r"The model \1 was trained on images"),
    (r", or start from imagenet\b", f", or choose “start” imagenet {ADVANCED}"),
    (r"\bhas not been pretrained\b", "has not learnt from its images yet"),
    (r"\bneeds a trained network\b", "needs a trained model"),
    (r"\bThe network (looks at|learnt from|was trained on)\b", r"The model \1"),
    (r"\bat which the network looks\b", "at which the model looks"),
    (
        r"\bThe ImageNet weights of (.+?) could not be downloaded (\([\s\S]*\))\. They are needed once",
        r"What \1 has learnt from other images could not be downloaded \2. It is needed once",
    ),
    (r", whose weights are installed with it\b", ", which needs no download"),
    (r"\bUnknown encoder (?=\S)", "There is no “encoder” "),
    (r"\b([Tt]he) encoder (?=')", r"\1 “encoder” "),
    (r"\bdoes not give its feature maps\b", "does not give all that it sees"),
    (r"\bAn encoder needs them\b", "All of it is needed"),
    (r"\bAn encoder needs maps whose sides are .+? strides\b", "It has to suit images of any size"),
    (
        r"\ban encoder that looks at planes, such as --encoder (\S+\w)",
        rf"an “encoder” that looks at planes, such as \1, {ADVANCED}",
    ),
    (r"\ban encoder that looks at (\w+)", rf"an “encoder” that looks at \1, {ADVANCED}"),
    (r"\btimm\.list_models\(\) lists them", "Choose another one"),
    (r"\bThe task is 'semantic' or 'instance'", "“Classes” or “Objects” can be found"),
    (r"\bIt is for validation, complete, or both\b", "It is a check box, or complete, or both"),
)
OPTIONS = (
    (r"--set (\w+)=([\w./-]*\w)", rf"“\1” \2 {ADVANCED}"),
    (r"--encoder (\S+) --start (\w+)", rf"“encoder” \1 and “start” \2 {ADVANCED}"),
    (r"--device (\w+)", rf"“device” \1 {ADVANCED}, in the step Learn"),
    (r"--compile\b", f"“compile” {ADVANCED}, in the step Learn"),
    (r"--probabilities\b", "“probabilities”"),
    (r" with --out\b", ""),  # there, a folder is chosen in a dialog
    (r"--([a-z]+) ([\w/]+)", rf"“\1” \2 {ADVANCED}"),
    (r"--([a-z]+)", rf"“\1” {ADVANCED}"),
)


def in_words(text: str) -> str:
    """Say an error, or what a job tells, as the window would.

    Parameters
    ----------
    text : str
        The message of a UserError, or a part of it; or the text of a notice or of progress.

    Returns
    -------
    str
        The same, without options of the command line, names of the library and words of the trade.
    """
    for technical, plain in (*NOTICES, *ERRORS):
        text = re.sub(technical, plain, text)
    sentences = re.split(r"(?<=[.?!])\s+(?=[A-Z])", text)
    text = " ".join(_otherwise(sentence) for sentence in sentences)
    for option, words in OPTIONS:
        text = re.sub(option, words, text)
    text = re.sub(r"in the step '(\w+)'", lambda found: f"in the step {found[1].capitalize()}", text)
    return re.sub(r"^[a-z]+(_[a-z]+)+(?= is )", lambda found: found[0].replace("_", " "), text)


def explained(error: UserError) -> str:
    """Say an error that the user can mend as the window would; every part of the window that shows one asks here.

    Parameters
    ----------
    error : UserError
        The error.

    Returns
    -------
    str
        Its message, in the words of the window.
    """
    return in_words(str(error))


@contextmanager
def explaining() -> Iterator[None]:
    """Let errors of a block say themselves as the window would: of one that napari calls, and whose errors it shows.

    Yields
    ------
    None
        Nothing.
    """
    try:
        yield
    except UserError as error:
        raise type(error)(*(in_words(part) for part in (error.given, error.needed, error.how))) from error


def worded(event: Event) -> Event:
    """Let an event say its text as the window would.

    Parameters
    ----------
    event : Event
        What a job says.

    Returns
    -------
    Event
        The same, with the text of a notice or of progress in the words of the window.
    """
    return replace(event, text=in_words(event.text)) if isinstance(event, Notice | Progress) else event


def _otherwise(sentence: str) -> str:
    for begin, words in SENTENCES.items():
        if sentence.startswith(begin):
            return words + ("." if sentence.endswith(".") else "")
    return sentence
