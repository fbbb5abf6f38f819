"""Makes the chunks of a set in this process or in many; finished ones are kept and never made again."""

import concurrent.futures
import contextlib
import functools
import multiprocessing
import os
import pathlib
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool

from vlmcog.datasets import chunks
from vlmcog.datasets.chunks import Chunk
from vlmcog.datasets.specs import DatasetSpec
from vlmcog.errors import UserError
from vlmcog.progress import Progress

PROCESSES_FROM = 4_000  # scenes; below, starting processes costs more than it saves
_ONE_THREAD = "--xla_cpu_multi_thread_eigen=false"


def make_all(spec: DatasetSpec, folder: pathlib.Path, workers: int | None) -> None:
    """Makes every chunk that `folder` lacks, showing how far it is and how fast.

    Args:
      spec: the set.
      folder: where chunks are kept.
      workers: processes; 1 is this one, with a thread a core. None is 1, or a process a core for a large set.

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
    if processes > 1:
        yield from _in_processes(spec, folder, missing, processes)
    else:
        for chunk in missing:
            yield _make_one(chunk, spec=spec, folder=folder, threads=None)


def _in_processes(spec: DatasetSpec, folder: pathlib.Path, missing: Sequence[Chunk], count: int) -> Iterator[Chunk]:
    work = functools.partial(_make_one, spec=spec, folder=folder, threads=1)
    context = multiprocessing.get_context("spawn")  # a fork of a process that runs XLA's threads may hang
    with _single_threaded_xla():
        pool = concurrent.futures.ProcessPoolExecutor(count, mp_context=context, initializer=_start_worker)
        try:
            for done in concurrent.futures.as_completed([pool.submit(work, chunk) for chunk in missing]):
                yield done.result()
        except BrokenProcessPool:
            raise UserError(
                f"a worker making {spec} died, perhaps for want of memory; finished scenes are kept: "
                f"give the same command with fewer --workers than {count}"
            ) from None
        finally:
            _end(pool)


def _make_one(chunk: Chunk, *, spec: DatasetSpec, folder: pathlib.Path, threads: int | None) -> Chunk:
    chunks.write(folder / chunk.file_name, chunks.make(spec, chunk, threads=threads))
    return chunk


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
def _single_threaded_xla() -> Iterator[None]:
    """The processes started in the block share the cores, rather than each taking all of them."""
    before = os.environ.get("XLA_FLAGS")
    os.environ["XLA_FLAGS"] = f"{before or ''} {_ONE_THREAD}"
    try:
        yield
    finally:
        if before is None:
            del os.environ["XLA_FLAGS"]
        else:
            os.environ["XLA_FLAGS"] = before


@contextlib.contextmanager
def _say_how_to_go_on(spec: DatasetSpec) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        print(f"cut off {spec}: finished scenes are kept; the same command goes on from there", file=sys.stderr)
        raise
