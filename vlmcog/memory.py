"""Memory that a process keeps for its next step instead of giving it back to the system after each."""

import ctypes
import sys

# Names and numbers from glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8


def keep_freed_memory() -> None:
    """Makes glibc reuse freed blocks of any size; does nothing on other systems.

    Each XLA step on CPU allocates its temporaries anew (hundreds of megabytes). By default glibc maps and unmaps them
    every time: page faults took a sixth of the `tiny` model's step. Call it before jax starts its threads.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for option, value in ((_M_ARENA_MAX, 1), (_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2**31 - 1)):
            mallopt(option, value)
