"""Counting: a number and what it is a number of, in the singular or the plural."""


def count(number: int, what: str, many: str = "") -> str:
    """Write how many there are.

    Parameters
    ----------
    number : int
        How many.
    what : str
        Of what, in the singular.
    many : str, optional
        The plural, unless it is made with an s.

    Returns
    -------
    str
        Such as ``2 files``.
    """
    return f"{number} {what}" if number == 1 else f"{number} {many or what + 's'}"
