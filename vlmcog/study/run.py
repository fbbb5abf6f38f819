"""Does the cells of a study, one after the other, as one of any number of processes that share its folder.

A process claims a cell by locking its file, which the system unlocks when the process ends, however it ends; what it
was doing then is gone on with by whoever comes next.
"""

import contextlib
import json
import pathlib
import platform
import sys
import time
from collections.abc import Iterator

from vlmcog import files
from vlmcog.errors import UserError
from vlmcog.study.cells import Cell, Plan, done_path, is_done

SECONDS_BETWEEN_LOOKS = 2.0


def work_off(plan: Plan, workdir: pathlib.Path) -> None:
    """Returns when every cell of the plan is done, here or by others.

    Raises:
      UserError: what a cell raises; the cells that are done stay so.
    """
    waited = False
    while left := [cell for cell in plan.values() if not is_done(workdir, cell)]:
        ready = [cell for cell in left if all(is_done(workdir, plan[need]) for need in cell.needs)]
        if any(_claimed_and_done(cell, plan, workdir) for cell in ready):
            waited = False
            continue
        if not waited:
            _say(f"waiting for {len(ready)} cells that other processes are at")
            waited = True
        time.sleep(SECONDS_BETWEEN_LOOKS)


def status(plan: Plan, workdir: pathlib.Path) -> str:
    """Returns one line for each cell: done, and in how many minutes; under way; or to be done."""
    lines = []
    for cell in plan.values():
        if is_done(workdir, cell):
            record = json.loads(done_path(workdir, cell).read_text(encoding="utf-8"))
            state = f"done in {record['seconds'] / 60:.1f} min on {record['host']}"
        else:
            state = "under way" if _is_claimed(workdir, cell) else "to do"
        lines.append(f"{cell.name:60} {state}")
    done = sum(is_done(workdir, cell) for cell in plan.values())
    return "\n".join([*lines, f"{done} of {len(plan)} cells done"])


def _claimed_and_done(cell: Cell, plan: Plan, workdir: pathlib.Path) -> bool:
    """Does a cell unless it is done or another process is at it."""
    with _claim(workdir, cell) as mine:
        if not mine or is_done(workdir, cell):
            return False
        done = sum(is_done(workdir, other) for other in plan.values())
        _say(f"[{done + 1}/{len(plan)}] {cell.name}")
        start = time.monotonic()
        cell.work(cell.stem)
        record = {
            "name": cell.name,
            "fingerprint": cell.fingerprint,
            "seconds": round(time.monotonic() - start, 1),
            "host": platform.node(),
        }
        files.write_text(done_path(workdir, cell), json.dumps(record, indent=2) + "\n")
        return True


@contextlib.contextmanager
def _claim(workdir: pathlib.Path, cell: Cell) -> Iterator[bool]:
    """Yields whether the cell is this process's until the block ends."""
    path = _lock_path(workdir, cell)
    with contextlib.ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            mine = stack.enter_context(files.lock(path))
        except OSError as error:
            raise UserError(f"cannot lock {path}: {error.strerror}; name another --workdir") from error
        yield mine


def _is_claimed(workdir: pathlib.Path, cell: Cell) -> bool:
    if not _lock_path(workdir, cell).exists():
        return False
    with _claim(workdir, cell) as free:
        return not free


def _lock_path(workdir: pathlib.Path, cell: Cell) -> pathlib.Path:
    return done_path(workdir, cell).with_suffix(".lock")


def _say(line: str) -> None:
    print(f"study: {line}", file=sys.stderr, flush=True)
