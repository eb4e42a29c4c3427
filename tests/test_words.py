"""What the library says of errors, in the words of the window."""

import ast
from pathlib import Path

import pytest

import napari_sslseg
from napari_sslseg.gui.words import in_words

CORE = Path(napari_sslseg.__file__).parent
TERMINAL = {"cli.py", "options.py", "launch.py", "inquiries.py", "distributed.py", "listen.py"}  # not of the window


def said_in_errors():
    """All texts in statements that raise an error, with an x where a value is put in."""
    for file in CORE.rglob("*.py"):
        if file.name in TERMINAL:
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                for part in (*node.exc.args, *(k.value for k in node.exc.keywords)):
                    yield from texts(part)


def texts(node):
    if isinstance(node, ast.JoinedStr):
        yield "".join(v.value if isinstance(v, ast.Constant) else "x" for v in node.values)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    else:
        for child in ast.iter_child_nodes(node):
            yield from texts(child)


def test_no_error_of_the_window_speaks_of_the_command_line_or_of_functions():
    found = set(said_in_errors())
    assert len(found) > 200
    assert any("--" in text for text in found)
    left = [text for text in found if "--" in in_words(text) or "axes=" in in_words(text)]
    assert not left


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Both sides must be divisible by 32. Use --set crop=128.", "crop 128 under “Advanced”"),
        ("Choose --encoder vit --start random, or another method.", "encoder vit and start random under “Advanced”"),
        ("a has shape (2, 3). It is not said. Name the axes, for example axes='TCYX'.", "Choose below the list"),
        ("A job runs already in the step 'learn'. One job runs at a time. Stop it first.", "in the step Learn."),
        ("hold_out is 2. It must be from 0 to 1.", "hold out is 2"),
    ],
)
def test_options_become_what_one_finds_in_the_window(text, words):
    assert words in in_words(text)


@pytest.mark.parametrize("text", ["Only one class is painted. Two are needed. Paint some background.", "a-b -- c"])
def test_what_is_plain_stays_as_it_is(text):
    assert in_words(text) == text
