"""Export: masks to files, of images of the project and of others, by jobs beside the window."""

from collections.abc import Sequence
from pathlib import Path

from qtpy.QtCore import QObject

from napari_sslseg.errors import ProjectError
from napari_sslseg.exporting import export_masks, targets
from napari_sslseg.gui.desk import Desk
from napari_sslseg.refinement_file import check_applied


def export_of(desk: Desk) -> "Export":
    """Return what exports masks at a desk; there is one for each.

    Parameters
    ----------
    desk : Desk
        The desk.

    Returns
    -------
    Export
        The one.
    """
    found: Export | None = desk.findChild(Export)
    return found or Export(desk)


class Export(QObject):
    """Writes masks to files; the progress is that of step 5.

    Parameters
    ----------
    desk : Desk
        The desk, its owner.
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._desk, self._session = desk, desk.session
        self.folder: Path | None = None  # where files were written last

    def can(self, ids: Sequence[str] | None) -> bool:
        """Tell whether there are masks of some images, or of any."""
        project = self._session.project
        return project is not None and any(project.predicted(id) for id in ids or [e.id for e in project.images])

    # ---------------------------------------------------------------- masks that are there
    def taken(self, ids: Sequence[str] | None, out: Path) -> list[Path]:
        """List the files that would be written over."""
        return [file for file in targets(self._session.needed_project, out, ids).values() if file.exists()]

    def write(self, ids: Sequence[str] | None, out: Path, *, replace: bool) -> None:
        """Write the masks of some images, or of all that have any."""
        project = self._session.needed_project
        check_applied(project)
        self._desk.run(
            "result",
            lambda stop: export_masks(project, out, ids, replace=replace, stop=stop),
            lambda files: self._written(files, out),
        )

    # ---------------------------------------------------------------- masks of other images
    def check(self) -> None:
        """Raise ProjectError unless there is a model."""
        if self._session.needed_project.trained is None:
            raise ProjectError("There is no model yet", "Masks of other images need one", "Paint and train first")

    def taken_by(self, folder: Path, out: Path) -> list[Path]:
        """List the files that would be written over by the masks of a folder of images."""
        from napari_sslseg.exchange import predicted_files

        return [file for file in predicted_files(self._session.needed_project, [folder], out) if file.exists()]

    def predict(self, folder: Path, out: Path) -> None:
        """Predict all images of a folder and write their masks."""
        project, runtime, config = self._session.needed_project, self._session.runtime, self._desk.prediction
        self._desk.run(
            "result",
            lambda stop: self._desk.jobs.predict_files(
                project, config, paths=[folder], out=out, runtime=runtime, stop=stop
            ),
            lambda files: self._written(files, out),
        )

    def _written(self, files: Sequence[Path], out: Path) -> str:
        if not files:
            return "Stopped before the first file"
        self.folder = out
        return f"{len(files):,} file{'s' * (len(files) != 1)} in {out}"
