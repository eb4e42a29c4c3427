"""File that says how the masks of a project are refined."""

import json
from dataclasses import dataclass

from napari_sslseg.errors import ProjectError, UserError
from napari_sslseg.io.atomic import write_text
from napari_sslseg.project import Project
from napari_sslseg.settings import AS_PREDICTED, Refinement

FILE = "refinement.json"


@dataclass(frozen=True)
class Settings:
    """How masks of a project are refined.

    Parameters
    ----------
    shown : Refinement
        How those that one looks at are.
    kept : Refinement, optional
        How those on the disk are; None if not all in the same way.
    """

    shown: Refinement = AS_PREDICTED
    kept: Refinement | None = AS_PREDICTED

    @property
    def pending(self) -> bool:
        """Whether masks are refined where one looked, and those on the disk are not."""
        return self.shown != self.kept and self.shown != AS_PREDICTED


def check_applied(project: Project) -> None:
    """Raise ProjectError where masks are refined only where one looked: all of them cannot be used yet.

    Parameters
    ----------
    project : Project
        The project.
    """
    if read(project).pending:
        raise ProjectError(
            "Masks are adjusted only where you looked",
            "All of them have to be before they are used",
            "Press “Apply to everything” or “Reset” under Adjust first",
        )


def read(project: Project) -> Settings:
    """Read how masks are refined.

    Parameters
    ----------
    project : Project
        The project.

    Returns
    -------
    Settings
        The defaults where nothing was set, or what was set cannot be read.
    """
    place = project.path / FILE
    if not place.exists():
        return Settings()
    try:
        said = json.loads(place.read_text())
        kept = said["kept"]
        return Settings(Refinement.from_dict(said["shown"]), None if kept is None else Refinement.from_dict(kept))
    except (KeyError, OSError, TypeError, ValueError, UserError):
        return Settings(AS_PREDICTED, None)


def write(project: Project, settings: Settings) -> None:
    """Remember how masks are refined.

    Parameters
    ----------
    project : Project
        The project.
    settings : Settings
        What is set.
    """
    kept = settings.kept.to_dict() if settings.kept else None
    write_text(project.path / FILE, json.dumps({"shown": settings.shown.to_dict(), "kept": kept}))
