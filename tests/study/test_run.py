"""Cells are done once, whoever does them, and none is lost when a process is killed."""

import multiprocessing
import os
import pathlib
import random
import signal
import time

import pytest

from vlmcog.errors import UserError
from vlmcog.study import run
from vlmcog.study.cells import Plan, is_done

N_CELLS = 12


def _plan(folder: pathlib.Path, seconds: float = 0.0) -> Plan:
    """Cells that each leave a line when they begin and when they end; every third needs the two before it."""
    cells = Plan()
    for index in range(N_CELLS):
        needs = [f"cell {index - 2}", f"cell {index - 1}"] if index % 3 == 2 else []

        def work(stem: str) -> None:
            with (folder / "begun.txt").open("a") as file:
                file.write(f"{stem}\n")
            time.sleep(seconds)
            with (folder / "ended.txt").open("a") as file:
                file.write(f"{stem}\n")

        cells.add(f"cell {index}", {"index": index}, needs, work)
    return cells


def _lines(path: pathlib.Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def _work(folder: pathlib.Path, seconds: float) -> None:
    run.work_off(_plan(folder, seconds), folder)


def _start(folder: pathlib.Path, seconds: float) -> multiprocessing.Process:
    process = multiprocessing.get_context("spawn").Process(target=_work, args=(folder, seconds))
    process.start()
    return process


def test_each_cell_is_done_once_and_after_what_it_needs(tmp_path, capsys):
    cells = _plan(tmp_path)
    run.work_off(cells, tmp_path)
    assert _lines(tmp_path / "ended.txt") == [cell.stem for cell in cells.values()]
    run.work_off(cells, tmp_path)
    assert len(_lines(tmp_path / "begun.txt")) == N_CELLS
    assert "[12/12] cell 11" in capsys.readouterr().err
    assert run.status(cells, tmp_path).endswith("12 of 12 cells done")


def test_a_cell_that_fails_is_not_done(tmp_path):
    cells = Plan()

    def fail(_: str) -> None:
        raise UserError("no")

    cells.add("fails", {}, (), fail)
    with pytest.raises(UserError, match="no"):
        run.work_off(cells, tmp_path)
    assert not is_done(tmp_path, cells["fails"])
    assert "to do" in run.status(cells, tmp_path)


def test_two_processes_share_the_work(tmp_path):
    processes = [_start(tmp_path, 0.05) for _ in range(2)]
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert sorted(_lines(tmp_path / "begun.txt")) == sorted(cell.stem for cell in _plan(tmp_path).values())


def test_killed_again_and_again_the_work_is_done_once_each(tmp_path):
    """What was under way at a kill begins again; what had ended does not."""
    kills = 0
    while True:
        process = _start(tmp_path, 0.2)
        process.join(random.Random(kills).uniform(0.5, 2.5))
        if process.exitcode is not None:
            break
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        kills += 1
    assert process.exitcode == 0
    assert all(is_done(tmp_path, cell) for cell in _plan(tmp_path).values())
    ended = _lines(tmp_path / "ended.txt")
    assert set(ended) == {cell.stem for cell in _plan(tmp_path).values()}
    assert len(ended) - N_CELLS <= kills  # a kill between the work and its record
