"""Makes the chunks of a set; finished ones are kept and never made again.

Of a large set, other processes generate and label the scenes, which is most of the work, and this one renders them.
So they never load XLA, and start in seconds.
"""

import concurrent.futures
import contextlib
import itertools
import multiprocessing
import os
import pathlib
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING

from vlmcog.datasets import chunks
from vlmcog.datasets.chunks import Chunk
from vlmcog.datasets.specs import DatasetSpec
from vlmcog.errors import UserError
from vlmcog.progress import Progress

if TYPE_CHECKING:
    from vlmcog.scenes.generate import Made

PROCESSES_FROM = 500  # scenes; below, starting processes costs more than it saves
_AHEAD = 2
"""Chunks that are simulated at a time, a worker; it bounds what waits in memory to be rendered."""


def make_all(spec: DatasetSpec, folder: pathlib.Path, workers: int | None) -> None:
    """Makes every chunk that `folder` lacks, showing how far it is and how fast.

    Args:
      spec: the set.
      folder: where chunks are kept.
      workers: processes that generate scenes; 1 is this one, with a thread a core. None is 1, or a process a core for
        a large set.

    Raises:
      UserError: fewer than one worker, a folder that can't be written, or a worker that died.
    """
    if workers is not None and workers < 1:
        raise UserError(f"--workers is {workers}; it must be at least 1")
    wanted = chunks.all_chunks(spec)
    missing = [chunk for chunk in wanted if not (folder / chunk.file_name).exists()]
    total, left = sum(map(len, wanted)), sum(map(len, missing))
    if left < total:
        print(f"going on with {spec}: {total - left} of {total} scenes are made", file=sys.stderr)
    processes = min(workers or _default_workers(total), len(missing))
    with Progress(total, f"making {spec}", unit="scene", initial=total - left) as bar, _say_how_to_go_on(spec):
        for chunk in _make_each(spec, folder, missing, processes):
            bar.advance(len(chunk))


def _default_workers(scenes: int) -> int:
    return 1 if scenes < PROCESSES_FROM else os.cpu_count() or 1


def _make_each(spec: DatasetSpec, folder: pathlib.Path, missing: Sequence[Chunk], processes: int) -> Iterator[Chunk]:
    many = processes > 1
    simulated = _in_processes(spec, missing, processes) if many else ((c, chunks.simulate(spec, c)) for c in missing)
    for chunk, made in simulated:
        chunks.write(folder / chunk.file_name, chunks.rendered(spec, made))
        yield chunk


def _in_processes(spec: DatasetSpec, missing: Sequence[Chunk], count: int) -> Iterator[tuple[Chunk, list["Made"]]]:
    context = multiprocessing.get_context("spawn")  # a fork of a process that runs XLA's threads may hang
    pool = concurrent.futures.ProcessPoolExecutor(count, mp_context=context, initializer=_start_worker)
    left = iter(missing)
    running: dict[concurrent.futures.Future[list[Made]], Chunk] = {}
    try:
        while True:
            for chunk in itertools.islice(left, _AHEAD * count - len(running)):
                running[pool.submit(chunks.simulate, spec, chunk, threads=1)] = chunk
            if not running:
                return
            for done in concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED).done:
                yield running.pop(done), done.result()
    except BrokenProcessPool:
        raise UserError(
            f"a worker making {spec} died, perhaps for want of memory; finished scenes are kept: "
            f"give the same command with fewer --workers than {count}"
        ) from None
    finally:
        _end(pool)


def _start_worker() -> None:
    """Leaves the keyboard to the parent, and doesn't outlive it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _end(pool: concurrent.futures.ProcessPoolExecutor) -> None:
    """Drops what is not begun and ends the workers: what they are at is not kept."""
    processes = list((pool._processes or {}).values())  # no public way before Python 3.14
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()
    for process in processes:
        process.join()


@contextlib.contextmanager
def _say_how_to_go_on(spec: DatasetSpec) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        print(f"cut off {spec}: finished scenes are kept; the same command goes on from there", file=sys.stderr)
        raise
