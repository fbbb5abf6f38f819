"""Being asked to end: schedulers send SIGTERM some time before they take a machine away."""

import contextlib
import signal
import threading
from collections.abc import Iterator

import jax

from vlmcog import distributed


@contextlib.contextmanager
def terminations() -> Iterator[threading.Event]:
    """Yields an event that SIGTERM sets, instead of ending the process there and then."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked  # signals reach the main thread alone
        return
    usual = signal.signal(signal.SIGTERM, lambda *_: asked.set())
    try:
        yield asked
    finally:
        signal.signal(signal.SIGTERM, usual)


def is_agreed(asked: threading.Event, *, meeting: bool) -> bool:
    """Whether every process ends after this step: several ask each other at steps that are a `meeting` alone."""
    if jax.process_count() == 1:
        return asked.is_set()
    return meeting and distributed.anywhere(asked.is_set())
