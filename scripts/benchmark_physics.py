"""Times tower verdicts: this package's simulator as it is, with its savings taken away, and PyBullet where installed.

    python scripts/benchmark_physics.py --towers 200

Towers have 2-7 blocks and static margins uniform in +-0.15 sides. Every row judges the same towers in as many threads
(PyBullet: processes, since it holds the interpreter). Rates are of wall-clock time; the CPU time of a verdict is
disturbed less by other work on the machine. "Wrong" counts verdicts against the sign of the static margin, of towers at
least `UNAMBIGUOUS` from the edge.
"""

import argparse
import concurrent.futures
import functools
import importlib
import importlib.util
import multiprocessing
import os
import time
from collections.abc import Callable, Sequence

import numpy as np
from check_truths import near_edge_tower

from vlmcog import command_line
from vlmcog.scenes.physics import FALL_DISTANCE, FRICTION, GRAVITY, fallen, mass
from vlmcog.scenes.scene import Block
from vlmcog.scenes.statics import tower_margin
from vlmcog.scenes.truth import UNAMBIGUOUS, label

Tower = tuple[Block, ...]


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--towers", type=int, default=200, help="default: %(default)s")
    parser.add_argument("--repeats", type=int, default=3, help="the median of these is shown (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="threads or processes")
    args = parser.parse_args(argv)
    rng = np.random.default_rng(0)
    towers = [near_edge_tower(rng).blocks for _ in range(args.towers)]
    threads = concurrent.futures.ThreadPoolExecutor(args.workers)
    rows = {
        "verdict": (falls, threads),
        "verdict, never stopped early (2 s)": (falls_in_full, threads),
        "label (truth, noise, statics)": (is_labelled_falling, threads),
    }
    if importlib.util.find_spec("pybullet"):
        processes = concurrent.futures.ProcessPoolExecutor(args.workers, multiprocessing.get_context("spawn"))
        rows["PyBullet, 2 s at 240 Hz, stopped at the first fall"] = (falls_in_pybullet, processes)
    print(f"{args.towers} towers, {args.workers} workers, load {os.getloadavg()[0]:.1f}\n")
    print("| | towers/s | CPU ms each | wrong |\n|---|---|---|---|")
    for name, (judge, pool) in rows.items():
        print(f"| {name} | {row(judge, towers, pool, args.repeats)} |", flush=True)


def row(
    judge: Callable[[Tower], bool | None], towers: list[Tower], pool: concurrent.futures.Executor, repeats: int
) -> str:
    """Returns rate, CPU time (medians of the repeats after one to warm up) and wrong verdicts of one simulator."""
    rates, costs, answers = [], [], []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        answers, seconds = zip(*pool.map(functools.partial(_timed, judge), towers), strict=True)
        rates.append(len(towers) / (time.perf_counter() - start))
        costs.append(1e3 * np.mean(seconds))
    return f"{np.median(rates[1:]):.0f} | {np.median(costs[1:]):.1f} | {_wrong(towers, answers)}"


def _timed(judge: Callable[[Tower], bool | None], tower: Tower) -> tuple[bool | None, float]:
    start = time.thread_time()
    return judge(tower), time.thread_time() - start


def _wrong(towers: Sequence[Tower], answers: Sequence[bool | None]) -> int:
    """Counts the unambiguous towers judged against statics; a refusal to judge is not wrong."""
    margins = [tower_margin(tower) for tower in towers]
    return sum(
        abs(margin) >= UNAMBIGUOUS and answer is not None and answer != (margin < 0)
        for margin, answer in zip(margins, answers, strict=True)
    )


def falls(tower: Tower) -> bool:
    return any(fallen(tower, stop_at_first=True))


def falls_in_full(tower: Tower) -> bool:
    return any(fallen(tower, rest_speed=0.0))


def is_labelled_falling(tower: Tower) -> bool | None:
    outcome = label(tower, np.random.default_rng(0))
    return outcome and any(outcome.fell)


def falls_in_pybullet(tower: Tower) -> bool:
    bullet = importlib.import_module("pybullet")
    client = bullet.connect(bullet.DIRECT)
    try:
        bullet.setGravity(0, 0, -GRAVITY)
        ground = bullet.createMultiBody(0, bullet.createCollisionShape(bullet.GEOM_PLANE))
        bodies = [_pybullet_body(bullet, block) for block in tower]
        for body in (ground, *bodies):
            bullet.changeDynamics(body, -1, lateralFriction=FRICTION**0.5)  # of two bodies Bullet takes the product
        start = np.array([block.position for block in tower])
        limits = FALL_DISTANCE * np.array([min(block.size) for block in tower])
        for _ in range(480):
            bullet.stepSimulation()
            now = np.array([bullet.getBasePositionAndOrientation(body)[0] for body in bodies])
            if (np.linalg.norm(now - start, axis=-1) > limits).any():
                return True
        return False
    finally:
        bullet.disconnect(client)


def _pybullet_body(bullet, block: Block) -> int:
    shape = bullet.createCollisionShape(bullet.GEOM_BOX, halfExtents=[extent / 2 for extent in block.size])
    w, x, y, z = block.orientation
    return bullet.createMultiBody(mass(block), shape, basePosition=block.position, baseOrientation=(x, y, z, w))


if __name__ == "__main__":
    command_line.run(main)
