"""Progress of long work: a bar with rate and time left on a terminal, a plain line now and then elsewhere."""

import sys
import time
from collections.abc import Iterator

import tqdm

SECONDS_BETWEEN_LINES = 10.0


class Progress:
    """Counts units of work done, in silence where `description` is empty; use as a context manager."""

    def __init__(self, total: int, description: str, *, unit: str = "item", initial: int = 0):
        self._total, self._description, self._unit = total, description, unit
        self._done = initial
        self._initial = initial
        self._start = self._last_line = time.monotonic()
        self._note = ""
        self._bar = None
        self._silent = not description
        if sys.stderr.isatty() and not self._silent:
            self._bar = tqdm.tqdm(total=total, desc=description, unit=unit, initial=initial, dynamic_ncols=True)

    def advance(self, count: int = 1, *, note: str = "") -> None:
        """Counts `count` more units as done; `note` is shown beside them, such as the current loss."""
        self._done += count
        self._note = note or self._note
        if self._bar is not None:
            self._bar.set_postfix_str(self._note, refresh=False)
            self._bar.update(count)
        elif time.monotonic() - self._last_line > SECONDS_BETWEEN_LINES:
            self._print_line()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()
        else:
            self._print_line()

    def _print_line(self) -> None:
        if self._silent:
            return
        self._last_line = time.monotonic()
        rate = (self._done - self._initial) / max(self._last_line - self._start, 1e-9)
        note = f", {self._note}" if self._note else ""
        line = f"{self._description}: {self._done}/{self._total} {self._unit}s, {rate:.1f}/s{note}"
        print(line, file=sys.stderr, flush=True)


def progress(items: list, description: str, *, unit: str = "item") -> Iterator:
    """Yields the items of a list, counting each as done after its turn."""
    with Progress(len(items), description, unit=unit) as bar:
        for item in items:
            yield item
            bar.advance()
