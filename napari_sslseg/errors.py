"""The errors a user can cause and mend: each says what was given, what was needed and how to get there."""


class UserError(Exception):
    """Bad input, with one clear message; command line and window show the message and no traceback.

    Parameters
    ----------
    given : str
        What was given, with names and numbers.
    needed : str
        What is needed instead.
    how : str, optional
        One sentence on how to get there.
    """

    def __init__(self, given: str, needed: str, how: str = "") -> None:
        self.given, self.needed, self.how = given, needed, how
        parts = [part.rstrip(".") for part in (given, needed, how) if part]
        super().__init__(" ".join(part if part.endswith(("?", "!")) else part + "." for part in parts))


class ImageError(UserError):
    """An image that cannot be read or learnt from."""


class LabelError(UserError):
    """Labels that do not fit their image or say too little."""


class ConfigError(UserError):
    """A parameter or component name that does not exist or is out of range."""


class ProjectError(UserError):
    """A project folder that cannot be opened or written."""


class StoppedError(ProjectError):
    """A job that was asked to stop before there was anything to keep."""


class CheckpointError(UserError):
    """A checkpoint that cannot be read or does not fit."""


class OutputError(UserError):
    """What a command says cannot be written where it goes: to a full disk, or to a program that has ended."""


class StorageError(UserError):
    """The disk is full, or the place may not be written to; what was there before is untouched."""
