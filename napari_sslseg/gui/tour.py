"""Tour: five short texts, one a step, for those who see the window for the first time; on a sample if need be."""

from qtpy.QtCore import QObject, Signal

from napari_sslseg.gui import layers
from napari_sslseg.gui.desk import Desk
from napari_sslseg.gui.telling import tell
from napari_sslseg.gui.worker import JobWorker
from napari_sslseg.image import Image
from napari_sslseg.job import Job, Progress, Stop

SAMPLE = "ihc"
TEXTS = {
    "images": "Your images. See whether what is said of them is right, then press “Use these images”.",
    "learn": "Press “Learn”, and the computer gets to know your images by itself. You can leave this out.",
    "paint": "Press “Paint on this image”, and paint a few strokes of each class. Keys 1 to 9 choose the class.",
    "train": "Press “Train”, and the computer learns from your strokes. With “Live”, masks follow the brush.",
    "result": "The masks. Where they are wrong, paint, and train again. “Everything” is for all images.",
}


class Tour(QObject):
    """Which of the texts is shown. It is offered until it was taken or declined once.

    Parameters
    ----------
    desk : Desk
        The desk.
    parent : QObject
        Owner.
    """

    changed = Signal()

    def __init__(self, desk: Desk, parent: QObject) -> None:
        super().__init__(parent)
        self._desk, self._memory = desk, desk.memory
        self._at: int | None = None
        self._worker: JobWorker | None = None

    @property
    def step(self) -> str | None:
        """The step that is pointed at; None while there is no tour."""
        return list(TEXTS)[self._at] if self._at is not None else None

    @property
    def text(self) -> str:
        """What is said of it."""
        return TEXTS[self.step] if self.step else ""

    @property
    def place(self) -> tuple[int, int]:
        """Which of the texts it is, from 1 on, and how many there are."""
        return (self._at or 0) + 1, len(TEXTS)

    @property
    def offered(self) -> bool:
        """Whether the tour is to be offered."""
        return not self._memory.user.get("toured", False)

    def begin(self) -> None:
        """Show the first text; a sample is opened where there is no image."""
        if not layers.image_layers(self._desk.canvas.viewer) and self._worker is None:
            self._worker = JobWorker(_sample)
            self._worker.returned.connect(self._open)
            self._worker.errored.connect(tell)
            self._worker.start()
        self._at = 0
        self.decline()

    def decline(self) -> None:
        """Offer it no more."""
        self._memory.keep_of_user("toured", True)
        self.changed.emit()

    def go(self, by: int) -> None:
        """Go to another text.

        Parameters
        ----------
        by : int
            1 for the next, -1 for the one before; behind the last one the tour ends.
        """
        if self._at is not None:
            at = max(0, self._at + by)
            self._at = at if at < len(TEXTS) else None
            self.changed.emit()

    def end(self) -> None:
        """End it."""
        self._at = None
        self.changed.emit()

    def _open(self, image: Image) -> None:
        self._worker = None
        if self._desk.shown and self._desk.canvas.alive:
            for data, said, _ in layers.layer_data(image):
                self._desk.canvas.viewer.add_image(data, **said)


def _sample(_: Stop) -> Job[Image]:
    yield Progress(0.0, "opening a sample")
    from napari_sslseg import samples

    return samples.load(SAMPLE)
