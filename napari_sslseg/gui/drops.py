"""Drops: image files, folders of them and projects that are dropped onto the dock, or chosen with “Add…”."""

from collections.abc import Sequence
from pathlib import Path

from napari.layers import Image as ImageLayer
from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QWidget

from napari_sslseg.contents import FILE
from napari_sslseg.errors import ImageError, UserError
from napari_sslseg.gui import layers, origin
from napari_sslseg.gui.desk import Desk
from napari_sslseg.gui.telling import tell, telling
from napari_sslseg.gui.using import REST
from napari_sslseg.gui.worker import JobWorker
from napari_sslseg.image import Image
from napari_sslseg.io import find_files, read_image
from napari_sslseg.job import Job, Progress, Stop

MOST = 12  # files that are opened as layers; of more, the first one shows what they are

Opened = list[tuple[Path, Image]]


class Drops(QObject):
    """Takes what is dropped onto a widget. Files are opened and can be looked at before they are used.

    Parameters
    ----------
    desk : Desk
        The desk.
    widget : QWidget
        The widget, which accepts drops from now on.
    """

    def __init__(self, desk: Desk, widget: QWidget) -> None:
        super().__init__(widget)
        self._desk = desk
        self._workers: set[JobWorker] = set()
        widget.setAcceptDrops(True)
        widget.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Take drops of files.

        Parameters
        ----------
        watched : QObject
            The widget.
        event : QEvent
            Any event.

        Returns
        -------
        bool
            Whether it was a drop of files.
        """
        kinds = QEvent.Type
        if event is None or event.type() not in (kinds.DragEnter, kinds.DragMove, kinds.Drop):
            return False
        files = [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
        if not files:
            return False
        event.acceptProposedAction()
        if event.type() == kinds.Drop:
            self.take(files)
        return True

    def take(self, paths: Sequence[Path]) -> None:
        """Open files, folders or a project.

        Parameters
        ----------
        paths : sequence of Path
            What was dropped or chosen.
        """
        if len(paths) == 1 and (paths[0] / FILE).is_file():
            self._desk.open_project(paths[0])
            return
        with telling():
            files = find_files(paths)
            shown, rest = (files, []) if len(files) <= MOST else (files[:1], files[1:])
            worker = JobWorker(lambda stop: _reading(shown, stop))
            worker.returned.connect(lambda found: self._show(found[0], found[1], rest))
            worker.errored.connect(tell)
            worker.finished.connect(lambda: self._workers.discard(worker))
            self._workers.add(worker)
            worker.start()

    def _show(self, opened: Opened, errors: list[str], rest: Sequence[Path]) -> None:
        if not self._desk.shown or not self._desk.canvas.alive:
            return
        for path, image in opened:
            metadata = {origin.KEY: str(path), REST: tuple(map(str, rest))}
            for data, said, _ in layers.layer_data(image, metadata):
                self._desk.canvas.viewer.add_layer(ImageLayer(data, **said))
        if errors:
            left = f"{len(errors)} files cannot be opened" if len(errors) > 1 else "A file cannot be opened"
            tell(ImageError(left, errors[0], "The others are open" if opened else ""))


def _reading(files: Sequence[Path], stop: Stop) -> Job[tuple[Opened, list[str]]]:
    opened, errors = Opened(), list[str]()
    for at, file in enumerate(files):
        if stop.requested:
            break
        yield Progress(at / len(files), file.name)
        try:
            opened.append((file, read_image(file)))
        except UserError as error:
            errors.append(str(error))
    return opened, errors
