"""Telling: errors that the user can mend are shown in the window, each as one message."""

from collections.abc import Iterator
from contextlib import contextmanager

from napari.utils.notifications import ErrorNotification, notification_manager, show_error

from napari_sslseg.errors import UserError
from napari_sslseg.gui.words import explained


def tell(error: Exception) -> None:
    """Show an error: one that the user can mend as its message, any other with what is needed to report it.

    Parameters
    ----------
    error : Exception
        The error.
    """
    if isinstance(error, UserError):
        show_error(explained(error))
    else:
        notification_manager.dispatch(ErrorNotification(error))


@contextmanager
def telling() -> Iterator[None]:
    """Show the errors of a block that the user can mend, instead of raising them.

    Yields
    ------
    None
        Nothing.
    """
    try:
        yield
    except UserError as error:
        tell(error)
