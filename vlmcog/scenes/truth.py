"""What a scene's truth is, and whether it is certain.

A scene is ambiguous, and has no label, where any of these does not hold:

- no two blocks start inside each other;
- a scene that asks what taking a block away would do stands while the block is there;
- where a block falls in the simulation, no contact forces could keep the scene at rest, even with contacts larger by
  `UNAMBIGUOUS`; where the simulation rests, forces exist that do, even with contacts smaller by as much
  (`equilibrium.py`). A scene may also lean: some block moves, settles against another, and does not fall;
- the static margin of a column of boxes (`statics.py`) is at least `UNAMBIGUOUS` from zero, and its sign is the
  simulation's verdict;
- four simulations perturbed by up to `REJECTING_NOISE`, and one with the other friction cone, show the same.

"The same" is: the same blocks fell, where a block is taken away; else the same answer to whether any falls, since how
a tower breaks up is chaos that nobody asks about. No rule looks at how far a block moved: that would remove the
scenes in which many fall. `scripts/check_truths.py` finds that beyond `UNAMBIGUOUS` the simulator alone still errs now
and then, and to one side: about one tall, nearly falling tower in a thousand creeps and is called fallen, at margins of
up to 0.065 sides. Since both must agree, it has no label. A column that far from the edge is simulated once: what it
does with another cone (friction plays no part in statics) and perturbed is then judged by statics.
"""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np

from vlmcog.scenes.equilibrium import in_equilibrium
from vlmcog.scenes.labelled import Outcome
from vlmcog.scenes.physics import FRICTION, STIFF_ELLIPTIC, Motion, overlapping, simulate
from vlmcog.scenes.scene import Block
from vlmcog.scenes.statics import is_column, tower_margin, tower_margins

UNAMBIGUOUS = 0.03
"""The smallest static margin of a scene with a label, in block sides."""
RESTING = 0.003
"""A scene rests in the simulation if no block moves further than this, in its smallest sides."""
REJECTING_NOISE = 0.03
"""A scene is rejected where its truth changes under this noise; see `perturbed`."""
CONFIDENCE_NOISE = 0.1
"""The confidence of a label is the share of simulations under this noise that agree with it."""
_RUNS = 4
_REMEMBERED = 64  # motions of the scenes that this process's threads are at


def label(blocks: Sequence[Block], rng: np.random.Generator, *, removed: int | None = None) -> Outcome | None:
    """Returns what happens, or None where the scene is ambiguous by the rules above.

    Args:
      blocks: the scene's blocks.
      rng: the source of the perturbations.
      removed: the index of the block to be taken away, where the question is what that would do.
    """
    blocks = tuple(blocks)
    margin = tower_margin(blocks) if removed is None and is_column(blocks) else None
    if overlapping(blocks) or (margin is not None and abs(margin) < UNAMBIGUOUS):
        return None
    if removed is not None and not stands(blocks):
        return None
    truth = motion_without(blocks, removed)
    if margin is not None and any(truth.fell) != (margin < 0):
        return None
    equilibrium = _equilibrium(truth, [block for index, block in enumerate(blocks) if index != removed])
    if equilibrium is None:
        return None
    question = _Question(blocks, removed, truth, margin)
    if not question.agrees(blocks, margin, contacts=STIFF_ELLIPTIC) or question.agreement(rng, REJECTING_NOISE) < 1:
        return None
    return Outcome(
        fell=truth.fell,
        removed=removed,
        margin=margin,
        confidence=question.agreement(rng, CONFIDENCE_NOISE),
        first=truth.first,
        fall_time=truth.fall_time,
        equilibrium=equilibrium,
    )


def counterfactuals(blocks: Sequence[Block]) -> tuple[tuple[bool, ...], ...]:
    """Returns the matrix whose entry [i][j] says whether block j would fall if block i were taken away."""
    return tuple(motion_without(tuple(blocks), index).fell for index in range(len(blocks)))


@functools.lru_cache(_REMEMBERED)
def motion_without(blocks: tuple[Block, ...], removed: int | None) -> Motion:
    """Returns what the exact simulation shows with one block taken away, which did not fall itself.

    Screening, `label` and `counterfactuals` ask for the same motion in turn, so that it is remembered.
    """
    return _without(blocks, removed)


@functools.lru_cache(_REMEMBERED)
def stands(blocks: tuple[Block, ...]) -> bool:
    """Returns whether none of the blocks falls in the exact simulation; remembered as `motion_without` is."""
    return not any(simulate(blocks, stop_at_first=True).fell)


def perturbed(blocks: Sequence[Block], rng: np.random.Generator, noise: float) -> tuple[Block, ...]:
    """Returns the blocks with every density, and both horizontal coordinates, changed at random.

    Changes are uniform up to `noise`, of the density and of the block's smallest side. Fixed blocks stay, and so does
    a block that would be moved into another one (between walls, say): vertical distances, and so contacts, stay too.
    """
    moved = [block if block.fixed else _nudged(block, rng, noise) for block in blocks]
    if is_column(blocks):
        return tuple(moved)  # no block beside another to be moved into
    densities = [block.density for block in moved]
    while jammed := [index for index in overlapping(moved) if moved[index].position != blocks[index].position]:
        for index in jammed:
            moved[index] = dataclasses.replace(blocks[index], density=densities[index])
    return tuple(moved)


def _equilibrium(motion: Motion, blocks: Sequence[Block]) -> bool | None:
    """Whether forces exist that keep the scene at rest; None where statics don't confirm the simulation.

    They confirm it where they say the same with `UNAMBIGUOUS` to spare, which answers for the true contacts as well:
    what can't rest on larger ones can't rest on them, and what rests on smaller ones does.
    """
    if any(motion.fell):
        return None if in_equilibrium(blocks, growth=UNAMBIGUOUS) else False
    if in_equilibrium(blocks, growth=-UNAMBIGUOUS):
        return True
    return in_equilibrium(blocks) if motion.furthest > RESTING else None


def _nudged(block: Block, rng: np.random.Generator, noise: float) -> Block:
    x, y = np.add(block.position[:2], rng.uniform(-1, 1, 2) * noise * min(block.size)).tolist()
    density = float(block.density * (1 + rng.uniform(-1, 1) * noise))
    return dataclasses.replace(block, position=(x, y, block.position[2]), density=density)


@dataclasses.dataclass(frozen=True)
class _Question:
    """A scene, the block to be taken away, and what other simulations are held against: its truth, and its margin."""

    blocks: Sequence[Block]
    removed: int | None
    truth: Motion
    margin: float | None

    def agreement(self, rng: np.random.Generator, noise: float) -> float:
        """The share of perturbed simulations, frictions by `noise` too, that agree with the truth."""
        runs = [self._perturbed(rng, noise) for _ in range(_RUNS)]
        margins = [None] * _RUNS if self.margin is None else tower_margins([blocks for blocks, _ in runs])
        agreed = [
            self.agrees(blocks, margin, frictions=frictions)
            for (blocks, frictions), margin in zip(runs, margins, strict=True)
        ]
        return sum(agreed) / _RUNS

    def agrees(self, blocks: Sequence[Block], margin: float | None, **settings) -> bool:
        """Whether another simulation answers as the truth does, or statics where their margin leaves no doubt."""
        if margin is not None and abs(margin) >= UNAMBIGUOUS:
            return (margin < 0) == any(self.truth.fell)
        is_about_any = self.removed is None
        motion = _without(blocks, self.removed, stop_at_first=is_about_any, **settings)
        return any(motion.fell) == any(self.truth.fell) if is_about_any else motion.fell == self.truth.fell

    def _perturbed(self, rng: np.random.Generator, noise: float) -> tuple[tuple[Block, ...], list[float]]:
        frictions = FRICTION * (1 + rng.uniform(-1, 1, len(self.blocks)) * noise)
        return perturbed(self.blocks, rng, noise), frictions.tolist()


def _without(
    blocks: Sequence[Block], removed: int | None, *, frictions: Sequence[float] | None = None, **settings
) -> Motion:
    """Simulates without one block; indices are still those of all blocks, and the removed one did not fall."""
    left = [index for index in range(len(blocks)) if index != removed]
    if not left:
        return Motion((False,) * len(blocks))
    motion = simulate(
        [blocks[index] for index in left],
        frictions=None if frictions is None else [frictions[index] for index in left],
        **settings,
    )
    fell = np.zeros(len(blocks), bool)
    fell[left] = motion.fell
    first = None if motion.first is None else left[motion.first]
    return Motion(tuple(fell.tolist()), first, motion.fall_time, motion.furthest)
