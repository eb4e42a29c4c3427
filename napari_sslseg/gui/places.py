"""Places: where a project goes that nobody chose a place for."""

from pathlib import Path

from napari_sslseg.contents import FILE
from napari_sslseg.errors import UserError
from napari_sslseg.io import stem
from napari_sslseg.project import Project

SUFFIX = ".sslseg"


def find_or_create(name: str, source: Path | None, home: Path) -> Project:
    """Open the project that lies next to an image file and refers to it, or make a new one; nothing is overwritten.

    Parameters
    ----------
    name : str
        Name of the image.
    source : Path, optional
        File of the image; the project is put next to it where one may write there.
    home : Path
        Folder for the other projects.

    Returns
    -------
    Project
        The project.
    """
    if source is not None:
        beside = source.with_name(stem(source) + SUFFIX)
        if (beside / FILE).is_file():
            project = Project.open(beside)
            if any((project.path / e.source).resolve() == source.resolve() for e in project.images):
                return project
        try:
            return Project.create(_free(beside))
        except (UserError, OSError):
            name = stem(source)  # one may not write there
    return Project.create(_free(home / (name + SUFFIX)))


def _free(wanted: Path) -> Path:
    path, n = wanted, 2
    while path.exists():
        path, n = wanted.with_name(f"{wanted.name.removesuffix(SUFFIX)}-{n}{SUFFIX}"), n + 1
    return path
