"""Folding: steps that are done fold to one line by themselves where the window is too low for all of them."""

from collections.abc import Mapping

from qtpy.QtWidgets import QAbstractButton, QScrollArea

from napari_sslseg.gui.listen import listen
from napari_sslseg.session import Session
from napari_sslseg.stages import Stage, stage

STEPS = ("images", "learn")  # what one is done with as soon as one paints


class Folding:
    """Folds what is done once one paints, and unfolds it where it is needed again; what a hand did stays.

    It happens after a stroke, with the pointer off the steps, so that nothing moves away under it. The list of several
    images stays: with it one goes from one to the next.

    Parameters
    ----------
    session : Session
        What the user is doing.
    titles : mapping of str to QAbstractButton
        What folds the steps, by name; unfolded where it is checked.
    area : QScrollArea
        Where they lie.
    """

    def __init__(self, session: Session, titles: Mapping[str, QAbstractButton], area: QScrollArea) -> None:
        self._session, self._titles, self._area = session, {name: titles[name] for name in STEPS}, area
        self._by_hand: set[str] = set()
        self.folded: set[str] = set()  # by themselves, and still so
        for name, title in self._titles.items():
            title.clicked.connect(lambda _=False, name=name: self._clicked(name))
        listen(area, session.labels_changed, self.fold)
        listen(area, session.project_changed, self.unfold)
        listen(area, session.activity_changed, self.unfold)

    def _clicked(self, name: str) -> None:
        self._by_hand.add(name)
        self.folded.discard(name)

    def _set(self, name: str, shown: bool) -> None:
        (self.folded.discard if shown else self.folded.add)(name)
        self._titles[name].setChecked(shown)

    def fold(self, *_: str) -> None:
        """Fold what is done, if not all steps can be seen at once."""
        low = self._area.isVisible() and self._area.verticalScrollBar().maximum() > 0
        if not low or self._area.underMouse():
            return
        for name, title in self._titles.items():
            done = stage(self._session, name)[0] is Stage.DONE and not (name == "images" and self._several())
            if done and title.isChecked() and name not in self._by_hand:
                self._set(name, False)

    def _several(self) -> bool:
        project = self._session.project
        return project is not None and len(project.images) > 1

    def unfold(self, step: str | None = None) -> None:
        """Unfold what folded by itself.

        Parameters
        ----------
        step : str, optional
            This step alone; all of them if not given.
        """
        for name in list(self.folded):
            if step in (None, name):
                self._set(name, True)
