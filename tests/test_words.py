"""What the library says of errors and of jobs, in the words of the window."""

import ast
import itertools
import re
from pathlib import Path

import pytest

import napari_sslseg
from napari_sslseg import looks
from napari_sslseg.errors import CheckpointError, UserError
from napari_sslseg.gui.words import explained, explaining, in_words, worded
from napari_sslseg.job import Metric, Notice, Progress

CORE = Path(napari_sslseg.__file__).parent
TERMINAL = {"cli.py", "options.py", "launch.py", "inquiries.py", "distributed.py", "listen.py"}  # not of the window
TERMINAL_JOBS = TERMINAL | {"demo.py"}
SENTENCES = {"advice", "alarm", "check_usable", "choice", "unsaid", "unusable", "verdict"}  # they make those of notices
TOLD = {  # where these are told
    ("pretraining.py", "sentence"),
    ("pretraining.py", "wrong"),
    ("watch.py", "choice(self.looks, self.kind, self.kept)"),
    ("watch.py", "sentence"),
    ("workflow.py", "sentence"),
}
TRADE = re.compile(
    r"\b(back ?bones?|batch\w*|checkpoints?|collaps\w+|embeddings?|encoders?|entropy|epochs?|features?|instance|logits?"
    r"|loss|NaN|networks?|pretrain\w*|probes?|rank|regulari[sz]\w+|semantic|tensors?|validation|weights?)\b",
    re.IGNORECASE,
)


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
    assert not [text for text in found if "validation box" in in_words(text)]  # whose button says Check box


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Both sides must be divisible by 32. Use --set crop=128.", "“crop” 128 under “Advanced”"),
        (
            "Choose --encoder vit --start random, or another method.",
            "“encoder” vit and “start” random under “Advanced”",
        ),
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


def whole_errors():
    """All errors that the window may show, whole: x where a value is put in, and one for each branch of a text."""
    kinds = {"UserError", *(kind.__name__ for kind in UserError.__subclasses__()), "StoppedError"}
    for file in CORE.rglob("*.py"):
        if file.name in TERMINAL:
            continue
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for place in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
            for call in (node for node in ast.walk(place) if isinstance(node, ast.Call)):
                if ast.unparse(call.func) in kinds:
                    parts = [readings(part, place, tree) for part in call.args]
                    yield from (str(UserError(*said)) for said in itertools.product(*parts) if len(said) > 1)


def readings(node, place, tree):
    """What an expression in a function may say; texts that have a name or are returned are looked up in its file."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.JoinedStr):
        return ["".join(said) for said in itertools.product(*(readings(v, place, tree) for v in node.values))]
    if isinstance(node, ast.FormattedValue):
        return readings(node.value, place, tree) if node.conversion != ord("r") else ["'x'"]
    if isinstance(node, ast.IfExp):
        return readings(node.body, place, tree) + readings(node.orelse, place, tree)
    if isinstance(node, ast.Name):
        made = {ast.unparse(n.targets[0]): n.value for n in (*tree.body, *ast.walk(place)) if isinstance(n, ast.Assign)}
        value = made.get(node.id)
        return readings(value, place, tree) if isinstance(value, ast.Constant | ast.JoinedStr | ast.IfExp) else ["x"]
    if isinstance(node, ast.Call):
        named = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == ast.unparse(node.func)]
        ends = [(f, n.value) for f in named for n in ast.walk(f) if isinstance(n, ast.Return) and n.value]
        return [said for f, value in ends for said in readings(value, f, tree)] or ["x"]
    return ["x"]


def plain(text):
    """A text without what it quotes from the window, such as the name of a field."""
    return re.sub("“[^”]*”", "", text)


def test_no_error_of_the_window_has_a_word_of_the_trade():
    found = set(whole_errors())
    assert len(found) > 150
    assert sum(bool(TRADE.search(text)) for text in found) > 25  # the command line still has them
    assert not [in_words(text) for text in found if TRADE.search(plain(in_words(text)))]
    assert not [in_words(text) for text in found if re.search(r"--|axes=|list_models", in_words(text))]


def test_the_window_says_errors_in_one_place():
    """But for errors that become a part of another one, which is then told there."""
    by_itself = [file.name for file in (CORE / "gui").glob("*.py") if "str(error)" in file.read_text(encoding="utf-8")]
    assert sorted(by_itself) == ["drops.py", "words.py"]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            ("There is no checkpoint /a/checkpoint 1/b.safetensors", "A .safetensors file of this program is needed"),
            "There is no model /a/checkpoint 1/b.safetensors. A .safetensors file of this program is needed.",
        ),
        (
            ("a is not a napari-sslseg checkpoint", "It must be a file this program wrote"),
            "a is not a model of napari-sslseg. It must be a file this program wrote.",
        ),
        (
            (
                "The ImageNet weights of 'resnet18' could not be downloaded (<urlopen error>)",
                "They are needed once, and kept",
                "Go online and try again, or use --encoder efficientnet_lite0, whose weights are installed with it",
            ),
            "What 'resnet18' has learnt from other images could not be downloaded (<urlopen error>). It is needed "
            "once, and kept. Go online and try again, or use “encoder” efficientnet_lite0 under “Advanced”, which "
            "needs no download.",
        ),
        (
            (
                "The checkpoint was pretrained by 'recall'",
                "Denoising needs one pretrained by 'denoise'",
                "Learn with the method denoise: napari-sslseg pretrain IMAGES --project FOLDER --method denoise",
            ),
            "This was learnt by the method recall. Denoising needs what the method denoise learns. Choose “method” "
            "denoise under “Advanced” in the step Learn, and press ▶ Learn.",
        ),
        (
            (
                "The checkpoint learnt.safetensors was trained on images of 1 channel(s)",
                "These images have 3",
                "Use images of the same kind, or start from imagenet",
            ),
            "The model learnt.safetensors was trained on images of 1 channel(s). These images have 3. Use images of "
            "the same kind, or choose “start” imagenet under “Advanced”.",
        ),
        (
            (
                "The network looks at volumes, and a has no depth (8 x 8 pixels along Y, X)",
                "It needs at least two planes along Z",
                "Use images with a depth, or an encoder that looks at planes, such as --encoder efficientnet_lite0",
            ),
            "The model looks at volumes, and a has no depth (8 x 8 pixels along Y, X). It needs at least two planes "
            "along Z. Use images with a depth, or an “encoder” that looks at planes, such as efficientnet_lite0, under "
            "“Advanced”.",
        ),
        (
            (
                "out/a.tif is there already and was not predicted",
                "Only files that were predicted and that nobody has changed are replaced",
                "Choose another folder with --out, or move that file away",
            ),
            "out/a.tif is there already and was not predicted. Only files that were predicted and that nobody has "
            "changed are replaced. Choose another folder, or move that file away.",
        ),
    ],
)
def test_an_error_is_said_in_plain_words(error, words):
    assert explained(UserError(*error)) == words


def test_names_of_files_stay_as_they_are():
    text = "/data/network/encoder/pretrained checkpoint.tif does not exist. An existing file or folder is needed."
    assert in_words(text) == text


def test_an_error_that_napari_shows_keeps_its_kind_and_is_said_in_plain_words():
    with pytest.raises(CheckpointError, match=r"^There is no model a\. It is needed\.$"), explaining():
        raise CheckpointError("There is no checkpoint a", "It is needed")


def said_by_jobs():
    """All texts that a job says beside its work, and what is put into a notice that is no text."""
    found, made = set(), set()
    for file in CORE.rglob("*.py"):
        if file.name in TERMINAL_JOBS:
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("Notice", "Progress"):
                parts = [*node.args, *(k.value for k in node.keywords)]
                here = [text for part in parts for text in texts(part)]
                if not here and ast.unparse(node.func) == "Notice":
                    made.update((file.name, ast.unparse(part)) for part in parts)
                found.update(here)
            elif isinstance(node, ast.FunctionDef) and node.name in SENTENCES:
                said = [text for statement in node.body[1:] for text in texts(statement)]  # but for its docstring
                found.update(text for text in said if " " in text)
    return found, made


def test_no_notice_and_no_progress_of_the_window_has_a_word_of_the_trade():
    found, made = said_by_jobs()
    assert made == TOLD, "a sentence that another function makes: name that function in SENTENCES"
    assert len(found) > 20
    assert sum(bool(TRADE.search(text)) for text in found) > 5  # the command line still has them
    assert not [in_words(text) for text in found if TRADE.search(in_words(text))]


def look(step, value, rank=9.0):
    return looks.Look(step, float(step), value, rank, 1.0, 1.0, 3, (value,) * 5)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "The features are collapsing (effective rank 1.2, 9.1 at the start): stop, and choose another method or a "
            "lower rate. What was learnt before is kept.",
            "It no longer tells things apart. Stop, and choose another method or a lower rate under “Advanced”. "
            "What was learnt before is kept.",
        ),
        (
            "The features are collapsing: all pixels look alike. Stop, and choose another method or a lower rate.",
            "It no longer tells things apart. Stop, and choose another method or a lower rate under “Advanced”.",
        ),
        (
            "On your strokes the pretrained encoder scores 0.512 and where it started 0.633 (mean IoU, 1 is best), "
            "which is worse by more than chance; training starts from starter instead",
            "For your strokes, what was learnt from your images scores 0.512 and what was there before 0.633 (1 is "
            "best), which is worse by more than chance: training does without it",
        ),
        (
            "On your strokes what was learnt scores 0.658 and where it started 0.540 (mean IoU, 1 is best), which is "
            "better by no more than chance; training starts from starter instead",
            "For your strokes, what was learnt from your images scores 0.658 and what was there before 0.540 (1 is "
            "best), which is better by no more than chance: training does without it",
        ),
        (
            "Too few strokes tell whether what was learnt is better than where it started; training starts from "
            "starter",
            "There are too few strokes to tell whether what was learnt from your images helps: "
            "training does without it",
        ),
        (
            "For objects what was learnt is left out: starter, from which training starts, knows their outlines",
            "For objects, what was learnt from your images is left out: training begins with what knows outlines "
            "already",
        ),
        ("The probe has been flat for 40 s: you can stop now", "It has learnt nothing new for 40 s: you can stop now"),
        (
            looks.choice([look(0, 0.5), look(100, 0.7), look(200, 0.6)], "strokes", 100),
            "What was learnt until step 100 is kept: it was the best for your strokes (score 0.700, and 0.600 at "
            "the end; 1 is best)",
        ),
        (
            looks.choice([look(0, 0.7), look(100, 0.6)], "strokes", 0),
            "Learning from your images made it worse for your strokes (score 0.600 at most, 0.700 before; 1 is best): "
            "what was learnt is left out",
        ),
        (
            looks.choice([look(0, 0.7), look(100, 0.6)], "structure", 0),
            "What was learnt until step 0 is kept: after it, things were no longer told apart",
        ),
    ],
)
def test_a_notice_of_a_job_is_said_in_plain_words(text, words):
    assert in_words(text) == words


def test_events_get_the_words_of_the_window_and_keep_their_numbers():
    assert worded(Progress(0.5, "loading the network", 3.0)) == Progress(0.5, "getting ready", 3.0)
    assert worded(Notice("Class 2 is painted in validation boxes only")) == Notice(
        "Class 2 is painted in check boxes only"
    )
    assert worded(Metric("probe", 0.5, 1)) == Metric("probe", 0.5, 1)
