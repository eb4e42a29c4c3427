"""Words: what the library says of an error, in the words of the window: its buttons in place of options."""

import re

ADVANCED = "under “Advanced”"
SENTENCES = {  # what is done otherwise in the window, by how the sentence begins
    "Name the axes": "Choose below the list of images what its axes are",
    "Image.from_array takes other orders": "Choose below the list of images what its axes are",
    "Open one position along": "Open one position at a time, or choose below the list of images what its axes are",
    "Pretrain or train with --project": "Press “Use these images” to make one",
    "Name the folder in which": "Drop the folder in which the images lie",
    "Name the folder of one image": "Drop the folder of one image inside it",
    "Name image files": "Open images, or drop them onto the dock",
    "Add the image with --images": "Use the image first, or name both files alike",
    "If each value is one object": "If each value is one object, choose “Objects” in the step Train",
}
OPTIONS = (
    (r"--set (\w+)=([\w./-]*\w)", rf"\1 \2 {ADVANCED}"),
    (r"--encoder (\S+) --start (\w+)", rf"encoder \1 and start \2 {ADVANCED}"),
    (r"--device (\w+)", rf"device \1 {ADVANCED}, in the step Learn"),
    (r"--out\b", "another folder"),
    (r"--([a-z]+) ([\w/]+)", rf"\1 \2 {ADVANCED}"),
    (r"--([a-z]+)", rf"\1 {ADVANCED}"),
)


def in_words(text: str) -> str:
    """Say an error as the window would.

    Parameters
    ----------
    text : str
        The message of a UserError, or a part of it.

    Returns
    -------
    str
        The same, without options of the command line and names of the library.
    """
    sentences = re.split(r"(?<=[.?!])\s+(?=[A-Z])", text)
    text = " ".join(_otherwise(sentence) for sentence in sentences)
    for option, words in OPTIONS:
        text = re.sub(option, words, text)
    text = re.sub(r"in the step '(\w+)'", lambda found: f"in the step {found[1].capitalize()}", text)
    return re.sub(r"^[a-z]+(_[a-z]+)+(?= is )", lambda found: found[0].replace("_", " "), text)


def _otherwise(sentence: str) -> str:
    for begin, words in SENTENCES.items():
        if sentence.startswith(begin):
            return words + ("." if sentence.endswith(".") else "")
    return sentence
