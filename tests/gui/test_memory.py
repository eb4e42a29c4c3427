"""The window remembers: settings and the look of masks with the project, folds and the tour with the user."""

from typing import Any

from napari_sslseg.gui.desk import Desk
from napari_sslseg.gui.dock import Dock
from napari_sslseg.gui.memory import memory_of


def test_what_was_left_in_the_window_is_there_again(
    dock: Dock, image: Any, viewer: Any, jobs: Any, answers: Any
) -> None:
    dock.learn.form["crop"].value = 96  # before there is a project
    dock.images.panel.button.click()
    dock.result.opacity.setValue(30)
    dock.train.form["minutes"].value = 7.0
    dock.learn.panel.title.click()
    project = dock.desk.session.needed_project.path
    memory_of(dock.desk).flush()

    tomorrow = Dock(viewer, Desk(viewer, jobs, answering=answers))
    viewer.window.add_dock_widget(tomorrow, name="tomorrow")
    assert tomorrow.learn.panel.content.isHidden()
    tomorrow.desk.open_project(project)
    assert tomorrow.learn.form.changes() == {"crop": 96}
    assert tomorrow.train.form.changes() == {"minutes": 7.0}
    assert (tomorrow.desk.canvas.look.opacity, tomorrow.result.opacity.value()) == (0.3, 30)
    tomorrow.desk.new_project(project.with_name("another.sslseg"))
    assert tomorrow.train.form.changes() == {}
    assert tomorrow.result.opacity.value() == 50
