"""The one error that a user can cause and repair."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A user's mistake: one line that names the thing, says what is wrong with it and the way out.

    Commands print it without a traceback and exit with status 2; anything else is a bug and keeps its traceback.
    """


class Stopped(Exception):  # noqa: N818  (what was asked for is no error)
    """A command was asked to end (SIGTERM) and has saved what it did; the same command goes on from there."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Returns ` (did you mean 'x'?)` for the known name nearest to `name`, or an empty string."""
    matches = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {matches[0]!r}?)" if matches else ""
