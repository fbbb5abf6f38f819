"""Scenes with certain truths: sampled, simulated, and kept only where every check agrees.

Item `i` of a set depends on (seed, split, i) alone, so neither the number of threads nor the size of the set changes
it.
"""

import concurrent.futures
import dataclasses
import os
from collections.abc import Callable, Sequence

import numpy as np

from vlmcog.progress import Progress
from vlmcog.scenes.labelled import LabelledScene, Outcome
from vlmcog.scenes.looks import RED, Look, dress, get_look
from vlmcog.scenes.physics import DENSITY, FRICTION, STIFF, STIFF_ELLIPTIC, fallen
from vlmcog.scenes.pyramids import Pyramid, sample_pyramid
from vlmcog.scenes.scene import Block
from vlmcog.scenes.statics import tower_margin
from vlmcog.scenes.towers import sample_tower

SPLITS = ("train", "validation", "test")

_PERTURBED_RUNS = 4
_PERTURBATION = 0.03


@dataclasses.dataclass(frozen=True)
class GeneratedSet:
    """Labelled scenes, with how many were simulated for them and how many of those were rejected as ambiguous."""

    scenes: tuple[LabelledScene, ...]
    simulated: int
    rejected: int


@dataclasses.dataclass(frozen=True)
class _Item:
    labelled: LabelledScene
    simulated: int
    rejected: int


def labelled_towers(count: int, *, seed: int, split: str, heights: Sequence[int], look: str) -> GeneratedSet:
    """Returns `count` towers, their heights (numbers of blocks) and truths balanced.

    A tower is kept where the simulation agrees with the sign of its static margin.
    """
    chosen = get_look(look)

    def make(index: int) -> _Item:
        height = heights[index % len(heights)]
        falls = bool(index // len(heights) % 2)
        return _make_tower(_rng(seed, split, index), height, falls, chosen)

    return _generate(make, count, f"{split} towers")


def labelled_pyramids(count: int, *, seed: int, split: str, rows: Sequence[int], look: str) -> GeneratedSet:
    """Returns `count` pyramids with one red block; in half of them, at each number of rows, other blocks would fall.

    Few falls dominate by nature, so those with falls are stratified: one or more up to three rows, then one, or two
    and more (four rows), or three and more (five). A pyramid is kept where it stands by itself and four runs with
    masses, frictions and positions perturbed by up to 3 %, and one with the other friction cone, count the same
    blocks as fallen.
    """
    chosen = get_look(look)

    def make(index: int) -> _Item:
        n_rows = rows[index % len(rows)]
        cycle = index // len(rows)
        most = max(1, n_rows - 2)
        wanted = 1 + cycle // 2 % most if cycle % 2 else 0
        return _make_pyramid(_rng(seed, split, index), n_rows, wanted, most, chosen)

    return _generate(make, count, f"{split} pyramids")


def _rng(seed: int, split: str, index: int) -> np.random.Generator:
    return np.random.default_rng([seed, SPLITS.index(split), index])


def _generate(make: Callable[[int], _Item], count: int, description: str) -> GeneratedSet:
    """Makes the items in threads: MuJoCo lets go of the interpreter while it steps."""
    items = []
    with (
        concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool,
        Progress(count, description, unit="scene") as bar,
    ):
        for item in pool.map(make, range(count)):
            items.append(item)
            bar.advance()
    return GeneratedSet(
        scenes=tuple(item.labelled for item in items),
        simulated=sum(item.simulated for item in items),
        rejected=sum(item.rejected for item in items),
    )


def _make_tower(rng: np.random.Generator, height: int, falls: bool, look: Look) -> _Item:
    rejected = 0
    while True:
        blocks = sample_tower(rng, n_blocks=height, falls=falls)
        fell = fallen(blocks, stop_at_first=True)
        if any(fell) == falls:
            outcome = Outcome(fell=fell, margin=tower_margin(blocks))
            return _Item(LabelledScene(dress("tower", blocks, look, rng), outcome), rejected + 1, rejected)
        rejected += 1


def _make_pyramid(rng: np.random.Generator, n_rows: int, wanted: int, most: int, look: Look) -> _Item:
    simulated = rejected = 0
    while True:
        pyramid = sample_pyramid(rng, n_rows=n_rows)
        fell = _falls_without_red(pyramid.blocks, pyramid.red)
        if min(sum(fell), most) != wanted:
            continue
        simulated += 1
        if not any(fallen(pyramid.blocks, stop_at_first=True)) and _is_certain(rng, pyramid, fell):
            scene = dress("pyramid", pyramid.blocks, look, rng, named={pyramid.red: RED})
            return _Item(LabelledScene(scene, Outcome(fell=fell, removed=pyramid.red)), simulated, rejected)
        rejected += 1


def _falls_without_red(blocks: Sequence[Block], red: int, **settings) -> tuple[bool, ...]:
    fell = list(fallen([*blocks[:red], *blocks[red + 1 :]], **settings))
    fell.insert(red, False)
    return tuple(fell)


def _is_certain(rng: np.random.Generator, pyramid: Pyramid, fell: tuple[bool, ...]) -> bool:
    if _falls_without_red(pyramid.blocks, pyramid.red, contacts=STIFF_ELLIPTIC) != fell:
        return False
    return all(_perturbed_run(rng, pyramid) == fell for _ in range(_PERTURBED_RUNS))


def _perturbed_run(rng: np.random.Generator, pyramid: Pyramid) -> tuple[bool, ...]:
    count = len(pyramid.blocks)
    moved = [_nudged(block, rng) for block in pyramid.blocks]
    return _falls_without_red(
        moved,
        pyramid.red,
        contacts=STIFF,
        densities=_scaled(DENSITY, count - 1, rng),
        frictions=_scaled(FRICTION, count - 1, rng),
    )


def _nudged(block: Block, rng: np.random.Generator) -> Block:
    x, y = np.add(block.position[:2], rng.uniform(-1, 1, 2) * _PERTURBATION * min(block.size)).tolist()
    return dataclasses.replace(block, position=(x, y, block.position[2]))


def _scaled(value: float, count: int, rng: np.random.Generator) -> list[float]:
    return (value * (1 + rng.uniform(-1, 1, count) * _PERTURBATION)).tolist()
