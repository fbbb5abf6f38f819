"""The memory of a process: in which pages it comes, how much it took, and what goes back."""

import ctypes
import os
import resource
import sys
from collections.abc import Sequence

_TUNABLES, _HUGE_PAGES = "GLIBC_TUNABLES", "glibc.malloc.hugetlb=1"


def use_huge_pages(argv: Sequence[str]) -> None:
    """Starts the command anew with glibc told to ask for huge pages, which it must know from the start.

    Each XLA step on CPU allocates its temporaries anew and touches them all. In pages of 4 KiB the faults took a tenth
    to a fifth of the `tiny` model's step on two cores. Does nothing on systems other than Linux, where the variable is
    set already, or where `argv` is not the command line's: another program called, which is not ours to start anew.
    """
    if sys.platform != "linux" or _TUNABLES in os.environ or list(argv) != sys.argv[1:]:
        return
    os.environ[_TUNABLES] = _HUGE_PAGES
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def give_back_freed() -> None:
    """Returns to the system what is free now, such as the scattered pieces that compiling leaves; on Linux alone."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def peak_bytes() -> int:
    """Returns the most memory that has been in use on one of this process's devices; on a CPU, the process's own."""
    import jax  # here, since processes that make scenes import this file and never need it

    stats = [device.memory_stats() or {} for device in jax.local_devices()]
    if all("peak_bytes_in_use" in one for one in stats):
        return max(one["peak_bytes_in_use"] for one in stats)
    unit = 1 if sys.platform == "darwin" else 1024  # the BSDs' and Linux's ways to count
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
