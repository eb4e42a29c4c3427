"""Sights: what the network sees of the plane that is looked at, as colours, and all that looks like what is clicked."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from napari.layers import Image as ImageLayer
from napari.utils.colormaps import Colormap
from napari.utils.transforms import Affine
from qtpy.QtCore import QObject, Signal

from napari_sslseg.gui import denoised, layers, marks
from napari_sslseg.gui.aside import Aside
from napari_sslseg.gui.desk import Desk
from napari_sslseg.gui.telling import telling
from napari_sslseg.overlay import Box
from napari_sslseg.project import Project
from napari_sslseg.sight import Sight
from napari_sslseg.unfinished import PRETRAIN

MOST = 2048  # px: of planes with a longer side only what is in view is looked at
BESIDE = ("learn", "train", "compare", "result")  # jobs beside which one can look
STILL = 4  # px of the screen: a hand that clicks moves no further
LIGHT = Colormap(["#00000090", "#00000070", "#00000020", "#ffe40060", "#ffe400b0"], name="alike")
LIKE = (0.0, 0.9)  # how alike is wholly dark, and wholly lit


def sights_of(desk: Desk) -> "Sights":
    """Return the sights of a desk; there is one for each, however often its dock is closed and opened.

    Parameters
    ----------
    desk : Desk
        The desk.

    Returns
    -------
    Sights
        Its sights.
    """
    return desk.findChild(Sights) or Sights(desk)


class Sights(QObject):
    """Shows what is seen; features are kept, so that each click is answered at once.

    Parameters
    ----------
    desk : Desk
        The desk, and the owner.
    """

    changed = Signal()

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._desk, self._canvas = desk, desk.canvas
        self._sight: Sight | None = None
        self._learnt: Any = None  # the network and the image that the sight comes from
        self._state = 0  # of the pretraining that went on
        self._found: Any = None  # how alike everything is to what was clicked
        self._before: Any = None  # the layer that was active before
        self.aside = Aside(desk, self)
        self.aside.changed.connect(self.changed)
        desk.session.project_changed.connect(self._forget)

    def _forget(self) -> None:
        self.aside.quit()
        self._sight = self._found = self._before = None

    # ---------------------------------------------------------------- what is looked at
    def _asked(self) -> tuple[Project, str, int, Box] | None:
        project, id, view = self._desk.session.project, self._desk.session.current, self._canvas.view(MOST)
        if project is None or id is None or view is None:
            return None
        height, width = project.entry(id).shape[-2:]
        return project, id, view[0], Box(0, 0, height, width) if max(height, width) <= MOST else view[1]

    def _known(self, project: Project, id: str, z: int) -> Sight | None:
        sight = self._sight
        same = sight is not None and self._learnt == _learnt(project, id)
        return sight if same and sight is not None and (sight.image, sight.z) == (id, z) else None

    @property
    def free(self) -> bool:
        """Whether one can look now: nothing runs, or a job beside which it is done."""
        running = self._desk.session.running
        return not self.aside.busy and (running is None or running in BESIDE)

    def _look(self, role: str, then: Callable[[Sight], None], *, anew: bool = False) -> None:
        """Have the plane looked at for a role, unless that was done; beside the job that runs, where one does."""
        asked = self._asked()
        if asked is None:
            return
        project, id, z, box = asked
        known = self._known(project, id, z)
        state = _state(project)
        if known is not None and not anew and self._state == state:
            then(known)
            return
        learnt, running = _learnt(project, id), self._desk.session.running

        def done(found: Sight | None) -> None:
            if found is not None and self._desk.alive and project is self._desk.session.project and project.holds(id):
                self._sight, self._learnt, self._state, self._found = found, learnt, state, None
                then(found)

        jobs, learning = self._desk.jobs, self._desk.learning if running == "learn" else None
        wanted: dict[str, Any] = {"id": id, "z": z, "box": box, "learning": learning}
        wanted["runtime"] = self._desk.session.runtime
        if running not in BESIDE:
            self._desk.run("see", lambda stop: jobs.see(project, stop=stop, **wanted), done)
        elif not self.aside.busy:
            wanted["runtime"] = replace(wanted["runtime"], device="cpu")  # the job has the memory of a GPU to itself
            self.aside.run(role, lambda stop: jobs.glance(project, stop=stop, **wanted), done)

    @property
    def after(self) -> int | None:
        """After how many steps of learning it saw what is shown; None where that is no state on the way."""
        shown = self._sight is not None and (self.shows("colours") or self.shows("alike"))
        return self._sight.steps if shown and self._sight is not None else None

    # ---------------------------------------------------------------- colours
    def shows(self, role: str) -> bool:
        """Tell whether something is shown of the plane that is looked at.

        Parameters
        ----------
        role : str
            ``colours``, ``alike`` or ``restored``.

        Returns
        -------
        bool
            Whether it is.
        """
        project, id = self._desk.session.project, self._desk.session.current
        if project is None or id is None or not (found := marks.marked(self._canvas.viewer, project, id, role)):
            return False
        return bool(found[0].metadata["z"] == (self._canvas.current_plane() or {id: (0,)})[id][0])

    def show_colours(self, on: bool) -> None:
        """Show what is seen as colours, or no longer.

        Parameters
        ----------
        on : bool
            Whether to.
        """
        self._remove("colours")
        if on and self._desk.ready():
            self._look("colours", self._show_colours)
        elif not on:
            self.aside.quit("colours")
        self.changed.emit()

    def _show_colours(self, sight: Sight) -> None:
        active = self._canvas.viewer.layers.selection.active
        self._lay(sight, sight.colours, "colours", {"rgb": True, "opacity": 0.85})
        if active is not None:
            self._canvas.viewer.layers.selection.active = active
        self.changed.emit()

    # ---------------------------------------------------------------- find alike
    def find_alike(self, on: bool) -> None:
        """Light up what looks like what is clicked from now on, or end it.

        Parameters
        ----------
        on : bool
            Whether to.
        """
        layers_now = self._canvas.viewer.layers
        if on and self._desk.ready():
            self._before = layers_now.selection.active
            self._look("alike", self._wait_for_click)
        elif not on:
            self.aside.quit("alike")
            self._remove("alike")
            if self._before is not None and self._before in layers_now:
                layers_now.selection.active = self._before
            self._before = self._found = None
        self.changed.emit()

    def _wait_for_click(self, sight: Sight) -> None:
        size = sight.features.shape[:2]
        self._found = None
        said = {"colormap": LIGHT, "contrast_limits": LIKE, "blending": "translucent", "interpolation2d": "linear"}
        layer = self._lay(sight, np.full(size, LIKE[1] / 2, np.float32), "alike", said)
        layer.mouse_drag_callbacks.append(self._pressed)
        layer.bind_key("Escape", lambda _: self.find_alike(False), overwrite=True)
        self._canvas.viewer.layers.selection.active = layer
        self.changed.emit()

    def _pressed(self, layer: ImageLayer, event: Any) -> Iterator[None]:
        """Tell a click from a drag, which moves the view."""
        start, left, moved = np.array(event.pos), event.button == 1, False
        yield
        while event.type == "mouse_move":
            moved = moved or bool(np.abs(np.array(event.pos) - start).max() > STILL)
            yield
        if left and not moved:
            with telling():
                self.click(event.position, also="Shift" in event.modifiers)

    def click(self, position: Any, *, also: bool = False) -> None:
        """Light up all that looks like a place.

        Parameters
        ----------
        position : sequence of float
            The place, in the coordinates of the viewer.
        also : bool, optional
            Whether what looks like the places clicked before stays lit.
        """
        asked = self._asked()
        if asked is None:
            return
        project, id, z, _ = asked
        image = layers.show_image(self._canvas.viewer, project, id)[0]
        y, x = image.world_to_data(position)[-2:]
        height, width = project.entry(id).shape[-2:]
        if not (-0.5 <= y < height - 0.5 and -0.5 <= x < width - 0.5):
            return
        known = self._known(project, id, z)
        if known is not None and known.covers(id, z, y, x) and self.shows("alike"):
            self._light(known, y, x, also)
            return

        def then(sight: Sight) -> None:
            self._wait_for_click(sight)
            if sight.covers(id, z, y, x):
                self._light(sight, y, x, also=False)

        self._look("alike", then, anew=known is not None and not known.covers(id, z, y, x))

    def _light(self, sight: Sight, y: float, x: float, also: bool) -> None:
        found = sight.alike(y, x)
        self._found = np.maximum(self._found, found) if also and self._found is not None else found
        project = self._desk.session.needed_project
        (layer,) = marks.marked(self._canvas.viewer, project, sight.image, "alike")
        layer.data[...] = self._found
        layer.refresh()
        self.changed.emit()

    @property
    def lit(self) -> bool:
        """Whether something was clicked already."""
        return self._found is not None

    # ---------------------------------------------------------------- restored
    def show_restored(self, on: bool) -> None:
        """Show beside the image the plane as the network draws it, each part from what lies around it, or no longer.

        Parameters
        ----------
        on : bool
            Whether to.
        """
        self._remove("restored")
        project, id = self._desk.session.project, self._desk.session.current
        if on and project is not None and id is not None:
            planes, runtime = self._canvas.current_plane(), self._desk.session.runtime

            def done(found: Any) -> None:
                for one in found if self._desk.alive else ():
                    denoised.show(self._canvas.viewer, project, one, "restored")
                if self._desk.alive:
                    self._canvas.take_in()

            jobs = self._desk.jobs
            asked: dict[str, Any] = {"ids": (id,), "planes": planes, "runtime": runtime}
            self._desk.run("restore", lambda stop: jobs.restore(project, stop=stop, **asked), done)
        self.changed.emit()

    # ---------------------------------------------------------------- the layers
    def _remove(self, role: str) -> None:
        project = self._desk.session.project
        for layer in marks.marked(self._canvas.viewer, project, None, role) if project is not None else ():
            self._canvas.viewer.layers.remove(layer)

    def _lay(self, sight: Sight, data: Any, role: str, look: dict[str, Any]) -> ImageLayer:
        """Lay squares over the pixels that they stand for; what had that role before goes."""
        viewer, project = self._canvas.viewer, self._desk.session.needed_project
        self._remove(role)
        below = layers.show_image(viewer, project, sight.image)
        place = layers.geometry(below[0])
        shape = {name: place[name] for name in ("scale", "translate", "rotate", "shear")}
        middle = (sight.step - 1) / 2
        corner = np.array([sight.z, sight.box.top + middle, sight.box.left + middle])[-below[0].ndim :]
        place["translate"] = Affine(**shape)(corner)
        place["scale"] = [*place["scale"][:-2], *(sight.step * s for s in place["scale"][-2:])]
        metadata = {**marks.mark(project, sight.image, role), "z": sight.z}
        layer = ImageLayer(
            data[None] if below[0].ndim == 3 else data,
            name=f"{sight.image} {role}",
            metadata=metadata,
            **look,
            **place,
        )
        drawn = [marks.marked(viewer, project, sight.image, role) for role in ("colours", "restored", "denoised")]
        under = [*below, *itertools.chain(*drawn)]
        viewer.layers.insert(max(viewer.layers.index(u) for u in under) + 1, layer)
        return layer


def _learnt(project: Project, id: str) -> tuple[Any, ...]:
    """What tells one network of a project from another, and an image from what it was with other axes."""
    learnt = project.pretrained
    when = learnt.stat().st_mtime_ns if learnt is not None and learnt.is_file() else 0
    return project.path, learnt, when, project.entry(id)


def _state(project: Project) -> int:
    """What tells one state of a pretraining that goes on from the next; only who turns something on looks anew."""
    state = project.path / PRETRAIN
    return state.stat().st_mtime_ns if state.is_file() else 0
