"""Several processes that train one model: each runs the same command and drives the devices of its own machine.

They see one mesh, read each its share of every batch, and keep one workdir on a file system that all of them see. The
first one writes what there is one of: rows, messages, `config.json`.
"""

import re

import jax
import numpy as np
from jax.experimental import multihost_utils

from vlmcog.errors import UserError

_NAMED = re.compile(r"(\d+)/(\d+)@(.+:\d+)")


def start(place: str) -> None:
    """Joins the other processes of a run; call it before anything looks for devices.

    Args:
      place: `INDEX/COUNT@HOST:PORT`, with the address of the first process. Empty where jax finds out by itself: under
        SLURM, Open MPI and Kubernetes, and on a TPU pod.

    Raises:
      UserError: `place` is something else, or the others can't be found.
    """
    named = _NAMED.fullmatch(place)
    if (place and not named) or (named and int(named[1]) >= int(named[2])):
        raise UserError(f"--distributed {place!r} is not INDEX/COUNT@HOST:PORT with INDEX below COUNT")
    try:
        if named:
            jax.distributed.initialize(named[3], num_processes=int(named[2]), process_id=int(named[1]))
        else:
            jax.distributed.initialize()
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"--distributed: the processes of the run did not find each other ({reason}); outside SLURM, Open MPI, "
            "Kubernetes and TPU pods give each its --distributed INDEX/COUNT@HOST:PORT"
        ) from error


def is_first() -> bool:
    """Whether this process is the only one or the one that writes."""
    return jax.process_index() == 0


def anywhere(flag: bool) -> bool:
    """Whether any process says so. All must ask, and at the same point of the program."""
    return flag if jax.process_count() == 1 else bool(multihost_utils.process_allgather(np.array(flag)).any())


def wait_for_all(name: str) -> None:
    """Returns when every process has come here."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(name)
