"""Words: what the library says of errors and of a job, in the words of the window and no words of the trade."""

import re
from dataclasses import replace

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
        r"^The weights after step (\S+) are kept: they were the best on your strokes",
        r"What was learnt until step \1 is kept: it was the best for your strokes",
    ),
    (
        r"^Pretraining made the encoder worse on your strokes (\(.*\)); the starting weights are kept",
        r"Learning from your images made it worse for your strokes \1: what was learnt is left out",
    ),
    (
        r"^On your strokes the pretrained encoder is worse \((\S+)\) than where it started \((\S+)\); training .*",
        r"For your strokes, what was learnt from your images is worse (\1) than what was there before (\2): "
        "training does without it",
    ),
    (
        r"^The pretrained encoder looks at volumes; .* one of planes is used\.",
        "What was learnt looks at whole stacks; while you paint, one that looks at planes is used.",
    ),
    (r"^comparing the pretrained encoder with its start$", "looking whether what was learnt helps"),
    (r"^loading the (network|encoder)$", "getting ready"),
    (
        r"\bNaN or infinite pixels; they are treated as its mean value",
        "pixels without a value; its mean stands for them",
    ),
    (r"\bof NaN or infinite pixels only", "in which no pixel has a value"),
    (r"\bvalidation box", "check box"),
)
OPTIONS = (
    (r"--set (\w+)=([\w./-]*\w)", rf"\1 \2 {ADVANCED}"),
    (r"--encoder (\S+) --start (\w+)", rf"encoder \1 and start \2 {ADVANCED}"),
    (r"--device (\w+)", rf"device \1 {ADVANCED}, in the step Learn"),
    (r"--out\b", "another folder"),
    (r"--([a-z]+) ([\w/]+)", rf"\1 \2 {ADVANCED}"),
    (r"--([a-z]+)", rf"\1 {ADVANCED}"),
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
    for technical, plain in NOTICES:
        text = re.sub(technical, plain, text)
    sentences = re.split(r"(?<=[.?!])\s+(?=[A-Z])", text)
    text = " ".join(_otherwise(sentence) for sentence in sentences)
    for option, words in OPTIONS:
        text = re.sub(option, words, text)
    text = re.sub(r"in the step '(\w+)'", lambda found: f"in the step {found[1].capitalize()}", text)
    return re.sub(r"^[a-z]+(_[a-z]+)+(?= is )", lambda found: found[0].replace("_", " "), text)


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
