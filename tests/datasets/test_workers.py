"""Bulk making: the same records whatever the number of workers; one that dies is said."""

import multiprocessing
import os
import subprocess
import sys
import threading
import time

import pytest

from vlmcog.datasets import chunks, workers
from vlmcog.datasets.build import build
from vlmcog.datasets.read import fingerprint, load
from vlmcog.datasets.specs import SPLITS, parse
from vlmcog.errors import UserError

SPEC = "cubeworld_towers/cubeworld_small-size16-train8-validation2-test2"


def _fingerprints(data_dir) -> list[str]:
    return [fingerprint(load(SPEC, split, data_dir)) for split in SPLITS]


@pytest.mark.parametrize("count", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_records_are_the_same_for_one_worker_and_many(count, tmp_path, monkeypatch):
    build(SPEC, tmp_path / "one", workers=1)
    monkeypatch.setattr(chunks, "SCENES_IN_CHUNK", 3)
    build(SPEC, tmp_path / "many", workers=count)
    assert _fingerprints(tmp_path / "one") == _fingerprints(tmp_path / "many")


def test_worker_that_dies_is_said_and_what_is_made_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(chunks, "SCENES_IN_CHUNK", 1)
    spec = parse(SPEC.replace("train8", "train30"))  # not done before the worker is found

    def kill_one():
        while not list(tmp_path.glob("train*")):
            time.sleep(0.01)
        multiprocessing.active_children()[0].kill()

    thread = threading.Thread(target=kill_one)
    thread.start()
    with pytest.raises(UserError, match=r"a worker making .* died.*same command with fewer --workers than 2"):
        workers.make_all(spec, tmp_path, 2)
    thread.join()
    kept = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("[!.]*")}
    assert kept
    workers.make_all(spec, tmp_path, 1)
    assert kept.items() <= {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("[!.]*")}.items()


def test_processes_are_for_large_sets_only(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert workers._default_workers(workers.PROCESSES_FROM - 1) == 1
    assert workers._default_workers(workers.PROCESSES_FROM) == 7


@pytest.mark.slow
def test_killed_parent_takes_its_workers_along(tmp_path):
    code = f"""
if __name__ == "__main__":
    from vlmcog.datasets import chunks
    chunks.SCENES_IN_CHUNK = 1
    from vlmcog.datasets.build import build
    build({SPEC.replace("train8", "train2000")!r}, {str(tmp_path)!r}, workers=2)
"""
    script = tmp_path / "script.py"
    script.write_text(code)
    process = subprocess.Popen([sys.executable, str(script)], stderr=subprocess.DEVNULL)
    while not list(tmp_path.glob("*/*/chunks.*/train*")):
        assert process.poll() is None
        time.sleep(0.05)
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True)
    children = [int(pid) for pid in listed.stdout.split()]
    process.kill()
    process.wait()
    deadline = time.monotonic() + 60
    while any(_runs(pid) for pid in children):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
