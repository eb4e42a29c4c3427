"""Merging in the window: asked before, a job meanwhile, and then the class is gone from the table."""

from collections.abc import Callable, Mapping

from napari_sslseg.annotation import LabelClass
from napari_sslseg.errors import LabelError
from napari_sslseg.gui.desk import Desk
from napari_sslseg.gui.telling import telling
from napari_sslseg.merging import merge_classes
from napari_sslseg.session import FEWEST, Session


def can_lose(session: Session) -> bool:
    """Tell whether a class can be removed, or merged into another one.

    Parameters
    ----------
    session : Session
        What the user is doing.

    Returns
    -------
    bool
        Whether there are more classes than are needed, and no objects are painted.
    """
    project = session.project
    return project is not None and project.task == "semantic" and len(project.classes) > FEWEST


def merge(desk: Desk, value: int, into: int, agreed: Callable[[str], bool]) -> None:
    """Merge a class into another one, after asking.

    Parameters
    ----------
    desk : Desk
        The desk.
    value : int
        The class that goes.
    into : int
        The class that gets its pixels.
    agreed : callable
        Is given what will happen, in a sentence, and says whether the user agrees.
    """
    session = desk.session
    with telling():
        desk.canvas.painting.flush()  # so that all is counted that is painted
        desk.refresh()
        known = {c.value: c for c in session.needed_project.classes}
        if not can_lose(session) or value == into or value not in known or into not in known:
            raise LabelError("These classes cannot be merged", "Two classes are needed, and one that is left over")
        if agreed(question(session, known[value], known[into])):
            project = session.needed_project
            desk.canvas.painting.choose(into)
            desk.run(
                "merge",
                lambda stop: merge_classes(project, value, into, stop=stop),
                lambda changed: _merged(session, value, changed),
            )


def question(session: Session, gone: LabelClass, into: LabelClass) -> str:
    """Say what merging will do.

    Parameters
    ----------
    session : Session
        What the user is doing.
    gone : LabelClass
        The class that goes.
    into : LabelClass
        The class that gets its pixels.

    Returns
    -------
    str
        How many pixels in how many images.
    """
    pixels = session.tally.painted(gone.value)
    images = sum(bool(counts.get(gone.value)) for counts in session.tally.counts.values())
    where = f"in {images} images" if images > 1 else "in one image"
    painted = f"{pixels:,} px {where} become “{into.name}”" if pixels else "Nothing is painted of it"
    return f"{painted}, and “{gone.name}” is gone from the table. This cannot be undone."


def _merged(session: Session, value: int, changed: Mapping[str, dict[int, int]]) -> None:
    session.rewritten(changed)
    if not session.tally.painted(value):  # else it was stopped, and can go on
        session.remove_class(value)
