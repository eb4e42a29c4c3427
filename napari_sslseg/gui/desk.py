"""Desk: what belongs to one viewer and outlives the dock: session, canvas, live masks and the running job."""

import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from napari.components import ViewerModel
from napari.layers import Image as ImageLayer
from napari.utils.notifications import show_info
from qtpy.QtCore import QCoreApplication, QObject, Signal

from napari_sslseg.errors import ProjectError, UserError
from napari_sslseg.gui import denoised, layers, marks, preferences
from napari_sslseg.gui.boxes import Boxes
from napari_sslseg.gui.canvas import Canvas
from napari_sslseg.gui.courtesy import Courtesy
from napari_sslseg.gui.guide import Guide
from napari_sslseg.gui.jobs import Jobs, RemoteJobs
from napari_sslseg.gui.live import MOST, Answering, Live
from napari_sslseg.gui.memory import Memory
from napari_sslseg.gui.runner import Runner
from napari_sslseg.gui.telling import tell, telling
from napari_sslseg.gui.using import let_go, use, use_active
from napari_sslseg.gui.whereabouts import Whereabouts
from napari_sslseg.job import Job, Stop
from napari_sslseg.prediction import Denoised, Prediction
from napari_sslseg.project import Project
from napari_sslseg.session import Session
from napari_sslseg.settings import FinetuneConfig, PredictConfig, PretrainConfig
from napari_sslseg.suggesting import Suggestion

_desks: "weakref.WeakKeyDictionary[ViewerModel, Desk]" = weakref.WeakKeyDictionary()


def desk_of(viewer: ViewerModel) -> "Desk":
    """Return the desk of a viewer; there is one for each, however often its dock is closed and opened.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The viewer, or the proxy that napari hands to plugins.

    Returns
    -------
    Desk
        Its desk.
    """
    viewer = getattr(viewer, "__wrapped__", viewer)  # a proxied layer cannot become the active one (napari #5767)
    if viewer not in _desks:
        _desks[viewer] = Desk(viewer)
    return _desks[viewer]


COPIED_FIRST = "The image is copied into the project first. Step 1 shows how far that is"
GOES_ON = "It goes on. Open SSL Segmentation again to see it or to stop it"


class Desk(QObject):
    """Starts, stops and ends the jobs of one viewer.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The viewer.
    jobs : Jobs, optional
        The verbs; the real ones if not given.
    session : Session, optional
        What the user is doing; a new one if not given.
    answering : Answering, optional
        What answers in live mode; the real one if not given.
    """

    closed = Signal()  # the window is gone: nobody will look any more

    def __init__(
        self,
        viewer: ViewerModel,
        jobs: Jobs | None = None,
        session: Session | None = None,
        answering: Answering | None = None,
    ) -> None:
        super().__init__()
        self.jobs: Jobs = jobs or RemoteJobs()
        self.session = session or Session()
        self._home: Path | None = None
        self.canvas = Canvas(viewer, self.session, self)
        self.memory = Memory(self.session, self.canvas, self)
        self._whereabouts = Whereabouts(self.canvas, self.memory, self)
        self.canvas.painting.failed.connect(tell)
        self.canvas.met.connect(self._met)
        self.guide = Guide(self.canvas, self)
        self.boxes = Boxes(self.canvas, self)
        self.boxes.failed.connect(tell)
        self.canvas.painting.boxed.connect(self.draw_box)
        self.live = Live(self.canvas, self, answering)
        self.prediction = PredictConfig()  # how to predict after training
        self.learning: PretrainConfig | None = None  # what learning was asked for last
        self._runner = Runner(self.session, self)
        self._runner.failed.connect(tell)
        self._runner.ended.connect(self._rest)
        self._courtesy = Courtesy(self.canvas.painting, self.session, self.jobs, self)
        self._docks = 0
        self._outlives = False  # whether the window stays when its dock goes
        self.alive = True  # whether there is a window; without one, what a job made is kept and not shown
        for layer in viewer.layers:
            self.canvas.meet(layer)
        application = QCoreApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(self.close)
            application.focusWindowChanged.connect(self._looked_at)
        self.session.images_changed.connect(self._let_go)

    # ---------------------------------------------------------------- projects and images
    @property
    def home(self) -> Path:
        """Where projects are kept that nobody chose a place for: by the user's preferences, unless set here."""
        return self._home or preferences.home()

    @home.setter
    def home(self, folder: Path) -> None:
        self._home = folder

    def new_project(self, path: Path) -> None:
        """Make a project in an empty folder and work on it."""
        with telling():
            self.canvas.painting.needed_flush()
            self.session.open(Project.create(path))

    def open_project(self, path: Path) -> None:
        """Work on an existing project."""
        with telling():
            self._open(path)
            if self.session.tally.counts.get(self.session.current or ""):
                self.canvas.painting.annotate()

    def _met(self, path: Path) -> None:
        with telling():
            self._open(path)

    def _open(self, path: Path) -> None:
        self.canvas.painting.needed_flush()
        self.session.open(Project.open(path))
        self._whereabouts.come_back()
        self.jobs.start()

    def use(self, chosen: Sequence[Sequence[ImageLayer]], then: Callable[[], None] | None = None) -> bool:
        """Use image layers as images of the project; tell whether large ones are copied first, before `then`."""
        with telling():
            return use(self, chosen, then)
        return False

    def ready(self, again: Callable[[], None] | None = None) -> bool:
        """Make sure that there is an image to work on: without any chosen, all open ones are used.

        Parameters
        ----------
        again : callable, optional
            Asks for the same once more: done once large images, which are no part of the project before, are copied.

        Returns
        -------
        bool
            Whether there is one now.
        """
        if self._has_images:
            return True
        if self.use(layers.groups(layers.image_layers(self.canvas.viewer)), again):
            show_info(COPIED_FIRST)
            return False
        if not self._has_images and self.session.running is None:
            how = "Press “Add…” in step 1, or drop an image file onto the viewer or the dock"
            tell(UserError("There is no image yet", "Open one first", how))
        return self._has_images

    @property
    def _has_images(self) -> bool:
        return self.session.project is not None and bool(self.session.project.images)

    def paint(self) -> None:
        """Give the image whose layer is the active one a layer to paint on; where it is not used yet, it is now."""
        with telling():
            if not self.ready(self.paint):
                return
            if use_active(self, self._annotate):
                show_info(COPIED_FIRST)
            else:
                self._annotate()

    def _annotate(self) -> None:
        self.canvas.painting.annotate()
        self.live.prepare()

    # ---------------------------------------------------------------- what others do
    def _looked_at(self, window: Any) -> None:
        if window is not None and self.shown:
            self.refresh()

    def refresh(self) -> None:
        """Look whether others changed the project while one was in another window or in the command line."""
        painting, project = self.canvas.painting, self.session.project
        if project is None or painting.drawing or self.session.running == "merge":
            return
        if project.relabelled() and not painting.flush():
            return  # what is painted here comes first
        with suppress(ProjectError):  # who changes something is told what is wrong with the folder
            self.session.refresh()

    def _let_go(self) -> None:
        """Let go of images that were taken out elsewhere."""
        project = self.session.needed_project
        gone = [e for e in project.left if marks.marked(self.canvas.viewer, project, e.id, "image")]
        for entry in gone:
            let_go(self, entry)
        if gone:
            self.canvas.show_current()

    # ---------------------------------------------------------------- the three verbs
    def learn(self, config: PretrainConfig) -> None:
        """Learn from the images without labels."""
        if self.ready(lambda: self.learn(config)):
            project, runtime, self.learning = self.session.needed_project, self.session.runtime, config
            self.run("learn", lambda stop: self.jobs.pretrain(project, config, runtime=runtime, stop=stop))

    def train(self, config: FinetuneConfig) -> None:
        """Train on all labels so far, then predict the plane that is looked at."""
        if self.ready(lambda: self.train(config)):
            project, runtime = self.session.needed_project, self.session.runtime
            self.run(
                "train",
                lambda stop: self.jobs.train(project, config, runtime=runtime, stop=stop),
                then=self._trained,
            )

    def _trained(self) -> None:
        if self.alive:
            self.predict(self.prediction)

    def use_round(self, number: int) -> None:
        """Predict with an earlier round from now on, at first the plane that is looked at."""
        with telling():
            self.session.use_round(number)
            if self.session.running is None:
                self.predict(self.prediction)

    def predict(self, config: PredictConfig, *, everything: bool = False, ids: Sequence[str] | None = None) -> None:
        """Predict the plane that is looked at, or what is in the view of a vast one; or all of some images, or of all.

        Parameters
        ----------
        config : PredictConfig
            How.
        everything : bool, optional
            Whether to predict all images.
        ids : sequence of str, optional
            Images all of whose planes are predicted.
        """
        if not self.ready(lambda: self.predict(config, everything=everything, ids=ids)):
            return
        project, runtime = self.session.needed_project, self.session.runtime
        here = None if everything or ids is not None else self.session.current
        with telling():
            if here:
                layers.show_image(self.canvas.viewer, project, here)  # its layer may be closed
            ids, planes = ((here,), self.canvas.current_plane()) if here else (ids, None)
            view = self.canvas.view(MOST) if here and self.canvas.vast else None
            boxes = {here: view[1]} if here and view else None
            self.run(
                "result",
                lambda stop: self.jobs.predict(
                    project, config, ids=ids, planes=planes, boxes=boxes, runtime=runtime, stop=stop
                ),
                self._predicted,
            )

    def _predicted(self, found: Sequence[Prediction]) -> None:
        used = self.session.needed_project.current_round
        self.session.predicted.update({p.image: used.number if used else 0 for p in found})
        if self.alive:
            self.canvas.show(found)

    def denoise(self) -> None:
        """Show the plane that is looked at without its noise."""
        if not self.ready(self.denoise) or self.session.current is None:
            return
        project, runtime, ids = self.session.needed_project, self.session.runtime, (self.session.current,)
        config, planes = PredictConfig(), self.canvas.current_plane()
        self.run(
            "denoise",
            lambda stop: self.jobs.denoise(project, config, ids=ids, planes=planes, runtime=runtime, stop=stop),
            self._denoised,
        )

    def _denoised(self, found: Sequence[Denoised]) -> None:
        if self.alive:
            for one in found:
                denoised.show(self.canvas.viewer, self.session.needed_project, one)

    def draw_box(self) -> None:
        """Let the user draw a validation box on the current image."""
        with telling():
            if self.ready(self.draw_box):
                self.boxes.draw()

    def suggest(self) -> None:
        """Go to the next part to paint on; where there is none left, ask for more."""
        if not self.ready(self.suggest):
            return
        if self.guide.more:
            self.guide.step(1)
        elif self.session.running is None:
            project, runtime = self.session.needed_project, self.session.runtime
            self.run("suggest", lambda stop: self.jobs.suggest(project, runtime=runtime, stop=stop), self._suggested)

    def _suggested(self, found: Sequence[Suggestion]) -> str:
        if self.alive:
            self.guide.set(found)
        return "" if found else "Nothing to suggest: all of it is painted"

    # ---------------------------------------------------------------- the running job
    @property
    def shown(self) -> bool:
        """Whether a dock shows this desk."""
        return self._docks > 0

    def run(
        self,
        step: str,
        make: Callable[[Stop], Job[Any]],
        done: Callable[[Any], str | None] | None = None,
        then: Callable[[], None] | None = None,
    ) -> None:
        """Run a job beside the window.

        Parameters
        ----------
        step : str
            The step it belongs to, or a name of its own.
        make : callable
            Makes the job.
        done : callable, optional
            Is given the result, and may return what to tell the user.
        then : callable, optional
            What comes next, once nothing runs any more; not after a failure.
        """
        with telling():
            self.session.needed_project.check()
            self.canvas.painting.flush()
            self._runner.run(step, make, done, then)

    def stop(self) -> None:
        """Ask the running job to stop; it keeps its best state."""
        self._runner.stop()

    # ---------------------------------------------------------------- the dock comes and goes
    def attach(self) -> None:
        """Note that a dock shows this desk."""
        self._docks += 1
        self.alive, self._outlives = True, False
        self.live.wake()

    def outlive(self, window: QObject) -> None:
        """Note that a dock is about to go without its window: what runs goes on until that is gone too.

        Parameters
        ----------
        window : QObject
            The window.
        """
        self._outlives = True
        window.destroyed.connect(self.close)

    def detach(self) -> None:
        """Note that a dock is gone; nothing is lost. A job goes on as long as the window is there, and live rests."""
        self._docks -= 1
        if self._docks:
            return
        if not self._outlives:
            self.close()
            return
        self.canvas.painting.flush()
        self.live.rest()
        if self._runner.busy:
            show_info(GOES_ON)
        self._rest()

    def _rest(self) -> None:
        """Free what jobs hold once nothing runs and nobody looks."""
        if self._docks == 0 and not self._runner.busy:
            self.jobs.close()

    def close(self) -> None:
        """Stop the running job and write what was painted; what the job made it keeps in the project by itself."""
        self.alive = False
        self.stop()
        self.live.close()
        self.canvas.painting.flush()
        self.memory.flush()
        self.jobs.close()  # waiting for it would keep Python from ending, on a busy machine for a minute or more
        self.closed.emit()
