"""Pictures of the window for README and docs: a session in the real window with the real training, by mouse and keys.

    QT_API=pyqt6 python docs/screenshots.py [--learn 20] [--train 20] [--only 4-train window] [--shortest]

Where there is no display, put ``xvfb-run -a -s "-screen 0 1600x1200x24"`` before it.

Writes the pictures of `PICTURES` into ``docs/images``: scikit-image's `ihc` with the strokes that ship with the
package. Run again, it gives the window as it is now. ``--learn`` and ``--train``: seconds after which Stop is pressed;
without them all runs its minute. Prints one line of JSON: after how many actions (a click, a key or a typed word, a
stroke) and how many seconds from the opened image the first overlay and the first masks were there. With ``--shortest``
it takes no pictures, and goes the shortest way: no class is named, nothing is learnt first, training may take its own
time.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from importlib.resources import files
from pathlib import Path
from typing import Any

from PIL import Image
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from hand import Hand

IMAGES = Path(__file__).parent / "images"
STEPS = ("1-images", "2-learn", "3-paint", "live", "4-train", "5-result", "where-next", "window")
MORE = ("tour", "colours", "alike", "adjust", "objects", "light", "small")
PICTURES = (*STEPS, *MORE)
SIZE, SMALL = (1280, 1130), (1280, 720)
GLAND = (400, 290)  # px, a place in it
ALIKE = 8  # of 255: colours that are so near to each other count as one
HALF = 25  # s after which a picture is taken of what runs for a minute
CONTROL = Qt.KeyboardModifier.ControlModifier
SAMPLE = ("File", "Open Sample", "SSL Segmentation", "Tissue, brown stain (RGB)")
WIDGET = ("Plugins", "SSL Segmentation (SSL Segmentation)")


class Story:
    """A session on `ihc`, from the opened sample to corrected masks.

    Parameters
    ----------
    pictures : sequence of str
        The pictures to take.
    """

    def __init__(self, pictures: tuple[str, ...] = ()) -> None:
        import napari

        self.pictures = pictures
        self.viewer = napari.Viewer()
        self.viewer.window.resize(*SIZE)
        self.hand = Hand(self.viewer)
        self.reached: dict[str, Any] = {}
        said = json.loads(files("napari_sslseg").joinpath("demo_strokes.json").read_text(encoding="utf-8"))
        self.classes: list[dict[str, Any]] = said["classes"]

    # ---------------------------------------------------------------- steps
    def open(self) -> None:
        """Open the sample and the dock; what is done from here on is counted."""
        self.hand.menu(*SAMPLE)
        self.hand.until(lambda: self.viewer.layers, 20, "the sample is open")
        self.hand.menu(*WIDGET)
        self.hand.find("▶ Learn")
        self.hand.rest(1)
        self.hand.fit()  # into what the dock leaves
        self.hand.done.clear()
        self.began = time.perf_counter()

    def learn(self, seconds: float | None) -> None:
        """Learn, and wait for the end; Stop is pressed after some time."""
        self.hand.choose("How long to learn", "Quick")
        self.hand.click("▶ Learn")
        self.hand.until(lambda: self.hand.shows("Learning curve"), 300, "there is a curve")
        self.hand.rest(HALF if seconds is None else seconds)
        self.picture("2-learn")
        if seconds is not None:
            self.hand.click("❚❚ Pause")
        self.hand.until(self.hand.idle, 300, "learning has ended")

    def greet(self) -> None:
        """Look at the first text of the tour, or decline it."""
        if "tour" in self.pictures:
            self.hand.click(self.hand.named("Show me how")[0])
            self.hand.until(lambda: self.hand.sees("1 of 5"), 20, "the tour has begun")
            self.picture("tour")
            self.hand.click("End")
        else:
            self.hand.click("No, thanks")

    def look(self) -> None:
        """Look at the image through the eyes of the network."""
        if not {"colours", "alike"} & set(self.pictures):
            return
        self.hand.click("What it sees ▸")
        self.hand.click("Colours")
        self.hand.until(lambda: any(x.name == "ihc colours" for x in self.viewer.layers), 100, "there are colours")
        self.picture("colours")
        self.hand.click("Colours")
        self.hand.click("Find alike")
        self.hand.until(lambda: any(x.name == "ihc alike" for x in self.viewer.layers), 100, "one can click")
        self.hand.point(self.viewer.layers["ihc"], GLAND)
        self.picture("alike")
        self.hand.key(Qt.Key.Key_Escape)
        self.hand.click("What it sees ▾")

    def adjust(self) -> None:
        """Look at masks while they are smoothed."""
        if "adjust" in self.pictures:
            self.hand.click("Adjust ▸")
            self.hand.click("Smooth")
            self.hand.rest(2)
            self.picture("adjust")
            self.hand.click("Reset")
            self.hand.click("Adjust ▾")

    def more(self) -> None:
        """The light theme, a small window, and the table of objects."""
        if "light" in self.pictures:
            self.viewer.theme = "light"
            self.hand.fit()
            self.picture("light")
            self.viewer.theme = "dark"
        if "small" in self.pictures:
            self.viewer.window.resize(*SMALL)
            self.hand.fit()
            self.hand.key("3")
            self.hand.stroke(self.layer("labels"), [(300, 180), (330, 200)])
            self.hand.rest(2)
            self.picture("small")
            self.viewer.window.resize(*SIZE)
        if "objects" in self.pictures:
            self.hand.click("Objects…")
            self.hand.until(lambda: self.hand.sees("Save"), 100, "there is a table")
            self.hand.fit()
            self.hand.rest(2)
            self.picture("objects")

    def name_classes(self) -> None:
        """Give the two classes that there are their names, and add a third."""
        for row, said in enumerate(self.classes):
            if row >= 2:
                self.hand.click("Add a class")
            self.hand.cell("Classes", row, 1, twice=True)
            self.hand.write(said["name"])

    def paint(self, part: slice) -> None:
        """Paint some of the strokes of each class, with its key."""
        for said in self.classes:
            self.hand.key(str(said["value"]))
            for stroke in said["strokes"][part]:
                self.hand.stroke(self.layer("labels"), [(y, x) for x, y in stroke])

    def follow(self) -> None:
        """Turn live masks on, and wait for the first."""
        self.hand.click("Live")
        self.hand.until(lambda: any(x.name == "ihc live" for x in self.viewer.layers), 300, "there are live masks")
        self.hand.until(lambda: not self.hand.sees("Live:"), 300, "live masks are up to date")
        self.note("overlay")

    def train(self, seconds: float | None = None) -> None:
        """Train, and wait for the masks; Stop is pressed after some time."""
        self.hand.click("▶ Train")
        if "4-train" in self.pictures or seconds is not None:
            self.hand.until(lambda: self.hand.sees("left"), 400, "training is under way")
            self.hand.rest(HALF if seconds is None else seconds)
            self.picture("4-train")
        if seconds is not None:
            self.hand.click("■ Stop")
        self.hand.until(self.hand.idle, 600, "there are masks")
        self.note("masks")

    def correct(self) -> None:
        """Go where masks are unsure, paint a wrong stroke, take it back, and paint what was missing."""
        self.hand.click("✧ Where next?")
        self.hand.until(lambda: self.hand.idle() and self.hand.sees("1 of "), 300, "there are suggestions")
        self.picture("where-next")
        self.hand.key("n")
        self.hand.fit()
        self.hand.key("1")
        self.hand.stroke(self.layer("labels"), [(250, 300), (250, 400)])
        self.hand.key(Qt.Key.Key_Z, CONTROL)
        self.paint(slice(1, None, 2))

    # ---------------------------------------------------------------- what is kept of it
    def layer(self, role: str) -> Any:
        """One of the layers of the image."""
        return self.viewer.layers[f"ihc {role}"]

    def note(self, what: str) -> None:
        """Note the first time that something is reached: seconds, and all that was done."""
        seconds = round(time.perf_counter() - self.began, 1)
        self.reached.setdefault(what, {"seconds": seconds, "actions": self.hand.done.total(), **self.hand.done})

    def picture(self, name: str) -> None:
        """Take a picture of the window, once messages have faded."""
        if name not in self.pictures:
            return
        fading = "NapariQtNotification"
        self.hand.until(
            lambda: not any(type(w).__name__ == fading and w.isVisible() for w in QApplication.allWidgets()),
            60,
            "messages have faded",
        )
        self.hand.rest(1)
        IMAGES.mkdir(exist_ok=True)
        canvas = self.hand.canvas
        file, corner = IMAGES / f"{name}.png", canvas.mapTo(self.hand.window, canvas.rect().topLeft())
        self.hand.window.grab().save(str(file))
        compress(file, (corner.x(), corner.y(), corner.x() + canvas.width(), corner.y() + canvas.height()))
        self.pictures = tuple(p for p in self.pictures if p != name)

    def close(self) -> None:
        """Close the window."""
        self.viewer.close()
        self.hand.rest(3)


def compress(file: Path, canvas: tuple[int, int, int, int]) -> None:
    """Keep 256 colours, which take a third of the room: those of the canvas, and those of all around it.

    Parameters
    ----------
    file : Path
        A picture of the window.
    canvas : tuple of int
        Left, top, right and bottom of the canvas.
    """
    with Image.open(file) as full:
        picture = full.convert("RGB")
    inside = picture.crop(canvas).quantize(160, method=Image.Quantize.MEDIANCUT)
    picture.paste((0, 0, 0), canvas)
    counted = sorted(picture.getcolors(picture.width * picture.height) or [], reverse=True)
    kept: list[tuple[int, Any]] = []
    for one in counted:  # lights are small: shades of grey must not take all of the room
        if all(max(abs(a - b) for a, b in zip(one[1], known, strict=True)) > ALIKE for _, known in kept):
            kept.append(one)
    counted = kept[:96]
    usual = Image.new("P", (1, 1))
    usual.putpalette([part for _, colour in counted for part in colour])
    around = picture.quantize(palette=usual, dither=Image.Dither.NONE)
    colours = [(p.getpalette() or [])[: 3 * n] for p, n in ((usual, len(counted)), (inside, 160))]
    start = len(counted)
    around.paste(inside.point(lambda value: value + start), canvas)
    around.putpalette(colours[0] + colours[1])
    around.save(file, optimize=True)


def shown(pictures: tuple[str, ...], learn: float | None, train: float | None) -> dict[str, Any]:
    """The session of the pictures."""
    story = Story(pictures)
    story.open()
    story.picture("1-images")
    story.greet()
    story.hand.click("Use these images")
    story.learn(learn)
    story.look()
    story.hand.click("✎ Paint on this image")
    story.name_classes()
    story.paint(slice(0, None, 2))
    story.picture("3-paint")
    story.follow()
    story.picture("live")
    story.train(train)
    story.hand.click("Live")
    story.picture("5-result")
    story.adjust()
    story.correct()
    story.train(train)
    story.picture("window")
    story.more()
    story.close()
    return story.reached


def shortest() -> dict[str, Any]:
    """The shortest way to an overlay and to masks: one stroke of each of two classes."""
    story = Story()
    story.open()
    story.hand.click("✎ Paint on this image")
    layer = story.layer("labels")
    story.hand.stroke(layer, [(275, 220), (295, 150)])
    story.hand.key("2")
    story.hand.stroke(layer, [(60, 210), (130, 240)])
    story.follow()
    story.train()
    story.close()
    return story.reached


def main() -> None:
    """Make the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--learn", type=float)
    parser.add_argument("--train", type=float)
    parser.add_argument("--only", nargs="*", default=PICTURES, choices=PICTURES)
    parser.add_argument("--shortest", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.environ["HOME"] = os.environ["XDG_CONFIG_HOME"] = folder  # settings of one's own would show
        said = shortest() if asked.shortest else shown(tuple(asked.only), asked.learn, asked.train)
    print(json.dumps(said))


if __name__ == "__main__":
    main()
