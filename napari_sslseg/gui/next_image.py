"""Next image: one goes through the images of a project, and sees the masks of each at once."""

from napari_sslseg.gui.desk import Desk


def go(desk: Desk, by: int) -> None:
    """Look at another image of the project; after a training, its masks are made where there are none of it yet.

    Parameters
    ----------
    desk : Desk
        The desk.
    by : int
        1 for the next image, -1 for the one before; after the last comes the first.
    """
    session, project = desk.session, desk.session.project
    if project is None or len(project.images) < 2:
        return
    ids = [entry.id for entry in project.images]
    id = ids[(ids.index(session.current or ids[0]) + by) % len(ids)]
    desk.canvas.look_at(id)
    trained = project.current_round
    if trained is not None and session.predicted.get(id) != trained.number and session.running is None:
        desk.predict(desk.prediction)
