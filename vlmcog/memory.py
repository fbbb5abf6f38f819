"""The memory of a process: how much it took, and what it keeps for its next step."""

import ctypes
import resource
import sys

# Names and numbers from glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8
_NEVER = -1  # the largest size there is; the largest `int` would return temporaries of more than 2 GiB


def keep_freed_memory() -> None:
    """Makes glibc reuse freed blocks of any size; does nothing on other systems.

    Each XLA step on CPU allocates its temporaries anew (hundreds of megabytes). By default glibc maps and unmaps them
    every time: page faults took a sixth of the `tiny` model's step, a fifth of one with 3 GB of temporaries. Call it
    before jax starts its threads.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for option, value in ((_M_ARENA_MAX, 1), (_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, _NEVER)):
            mallopt(option, value)


def peak_bytes() -> int:
    """Returns the most memory that has been in use on one of this process's devices; on a CPU, the process's own."""
    import jax  # here, since processes that make scenes import this file and never need it

    stats = [device.memory_stats() or {} for device in jax.local_devices()]
    if all("peak_bytes_in_use" in one for one in stats):
        return max(one["peak_bytes_in_use"] for one in stats)
    unit = 1 if sys.platform == "darwin" else 1024  # the BSDs' and Linux's ways to count
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
