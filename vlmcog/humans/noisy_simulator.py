"""The noisy simulator: intuitive physics as simulation of what is seen badly.

After Battaglia, Hamrick & Tenenbaum (2013, PNAS 110, 18327-18332): a scene's blocks are seen a little off, perhaps
pushed a little, and simulated many times; P(fall) is the share of simulations in which something falls. It answers
from the scene's state, never from its picture, and is an observer, not people.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from vlmcog.scenes.geometry import rotation_matrix
from vlmcog.scenes.physics import fallen, overlapping
from vlmcog.scenes.scene import Block, Quaternion
from vlmcog.scenes.statics import column_margin, is_column

SIMULATIONS = 200
LAPSE = 0.02


@dataclasses.dataclass(frozen=True)
class Noise:
    """How badly the simulator sees.

    Attributes:
      position: standard deviation of each block's horizontal place, in sides (its smallest horizontal edge).
      force: standard deviation of a horizontal force on all blocks, from any direction, in units of their weight.
    """

    position: float
    force: float = 0.0


@dataclasses.dataclass(frozen=True, eq=False)
class NoiseFit:
    """The noise of greatest likelihood, and the log-likelihood of every noise that was tried."""

    noise: Noise
    log_likelihoods: Float[np.ndarray, " tried"]


def p_fall(
    blocks: Sequence[Block], noise: Noise, *, removed: int | None = None, n: int = SIMULATIONS, seed: int = 0
) -> float:
    """Returns the share of noisy simulations in which a block falls; see `falling`."""
    return float(falling(blocks, noise, removed=removed, n=n, seed=seed, is_any=True).any(-1).mean())


def n_falling(
    blocks: Sequence[Block], noise: Noise, *, removed: int | None = None, n: int = SIMULATIONS, seed: int = 0
) -> Int[np.ndarray, " n"]:
    """Returns how many blocks fall in each of `n` noisy simulations, the removed block taken away before them."""
    return falling(blocks, noise, removed=removed, n=n, seed=seed).sum(-1)


def falling(
    blocks: Sequence[Block],
    noise: Noise,
    *,
    removed: int | None = None,
    n: int = SIMULATIONS,
    seed: int = 0,
    is_any: bool = False,
) -> Bool[np.ndarray, "n blocks"]:
    """Returns which blocks fall in each of `n` noisy simulations.

    Equal seeds give equal draws, scaled by the noise, so that P(fall) changes smoothly with it. A block that would be
    seen inside another one is seen where it is. Where only `is_any` is asked, and the noise moves only the boxes of a
    column, the analytic support-polygon test gives each verdict, a thousand times as fast.

    Args:
      blocks: the scene's blocks.
      noise: how badly they are seen.
      removed: the block that is taken away before the simulation, and doesn't fall.
      n: simulations.
      seed: of the noise.
      is_any: only whether any falls is asked: flags of the others may then be wrong.
    """
    if is_any and is_analytic(blocks, noise, removed=removed):
        return np.repeat(_column_margins(blocks, noise, n, seed)[:, None] < 0, len(blocks), axis=1)
    rng = np.random.default_rng(seed)
    left = [index for index in range(len(blocks)) if index != removed]
    fell = np.zeros((n, len(blocks)), bool)
    for k in range(n):
        shifts = rng.standard_normal((len(blocks), 2)) * noise.position
        strength, direction = abs(rng.standard_normal()) * noise.force, rng.uniform(0, 2 * math.pi)
        moved = _seen(blocks, shifts)
        seen = [moved[index] for index in left]
        if seen and strength:
            fell[k, left] = fallen(_pushed(seen, strength, direction), stop_at_first=is_any)[1:]
        elif seen:
            fell[k, left] = fallen(seen, stop_at_first=is_any)
    return fell


def is_analytic(blocks: Sequence[Block], noise: Noise, *, removed: int | None = None) -> bool:
    """Whether statics answer, at once, whether any block of a noisy scene falls."""
    return noise.force == 0 and removed is None and len(blocks) > 1 and is_column(blocks)


def fit(
    scenes: Sequence[Sequence[Block]],
    n_yes: Int[np.ndarray, " scenes"],
    n_people: Int[np.ndarray, " scenes"],
    *,
    tried: Sequence[Noise],
    lapse: float = LAPSE,
    n: int = SIMULATIONS,
    seed: int = 0,
) -> NoiseFit:
    """Fits the noise to people's yes and no to "will it fall?" by likelihood.

    Answers to a scene are binomial with P(yes) = (1 - lapse) P(fall) + lapse / 2.

    Args:
      scenes: the blocks of each scene.
      n_yes: how many people said yes to each.
      n_people: how many answered.
      tried: the noises to choose from.
      lapse: the share of answers given at random.
      n: simulations a scene.
      seed: the same for every noise: common random numbers.
    """
    falls = np.array([[p_fall(blocks, noise, n=n, seed=seed) for blocks in scenes] for noise in tried])
    found = log_likelihoods(falls, n_yes, n_people, lapse=lapse)
    return NoiseFit(tried[int(np.argmax(found))], found)


def log_likelihoods(
    falls: Float[np.ndarray, "tried scenes"],
    n_yes: Num[np.ndarray, "*r scenes"],
    n_people: Num[np.ndarray, "*r scenes"],
    *,
    lapse: float = LAPSE,
) -> Float[np.ndarray, "*r tried"]:
    """The log-likelihood of each noise, up to a constant, from its P(fall) of each scene; see `fit`."""
    p_yes = (1 - lapse) * falls + lapse / 2
    return n_yes @ np.log(p_yes).T + (n_people - n_yes) @ np.log1p(-p_yes).T


def _column_margins(blocks: Sequence[Block], noise: Noise, n: int, seed: int) -> Float[np.ndarray, " n"]:
    sizes = np.array([block.size for block in blocks])
    shifts = np.random.default_rng(seed).standard_normal((n, len(blocks), 2)) * noise.position
    centres = np.array([block.position[:2] for block in blocks]) + shifts * sizes[:, :2].min(-1)[:, None]
    yaws = [2 * math.atan2(block.orientation[3], block.orientation[0]) for block in blocks]
    return column_margin(
        sizes=np.broadcast_to(sizes, (n, *sizes.shape)),
        centres=centres,
        yaws=np.broadcast_to(yaws, (n, len(blocks))),
        densities=np.broadcast_to([block.density for block in blocks], (n, len(blocks))),
    )


def _seen(blocks: Sequence[Block], shifts: Float[np.ndarray, "blocks 2"]) -> list[Block]:
    """The blocks out of place; those that would be inside another one are put back until none is."""
    seen = [_moved(block, shift) for block, shift in zip(blocks, shifts, strict=True)]
    if is_column(blocks):
        return seen  # no block beside another
    while jammed := [index for index in overlapping(seen) if seen[index] is not blocks[index]]:
        for index in jammed:
            seen[index] = blocks[index]
    return seen


def _moved(block: Block, shift: Float[np.ndarray, "2"]) -> Block:
    if block.fixed:
        return block
    x, y = (np.asarray(block.position[:2]) + shift * min(block.size[:2])).tolist()
    return dataclasses.replace(block, position=(x, y, block.position[2]))


def _pushed(blocks: Sequence[Block], strength: float, direction: float) -> list[Block]:
    """The blocks on a slope: gravity then has a horizontal part of `strength` weights, as a steady push would have."""
    angle = math.atan(strength)
    axis = (-math.sin(direction), math.cos(direction), 0.0)
    s = math.sin(angle / 2)
    turn = (math.cos(angle / 2), s * axis[0], s * axis[1], s * axis[2])
    reach = max(max(map(abs, block.position)) + max(block.size) for block in blocks)
    slab = Block(size=(8 * reach, 8 * reach, reach), position=(0.0, 0.0, -reach / 2), fixed=True)
    lift = 8 * reach
    return [_turned(block, turn, lift) for block in (slab, *blocks)]


def _turned(block: Block, turn: Quaternion, lift: float) -> Block:
    x, y, z = (rotation_matrix(turn) @ block.position).tolist()
    return dataclasses.replace(block, position=(x, y, z + lift), orientation=_multiply(turn, block.orientation))


def _multiply(a: Quaternion, b: Quaternion) -> Quaternion:
    aw, ax, ay, az = a
    bw, bx, by, bz = b
    return (
        aw * bw - ax * bx - ay * by - az * bz,
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
    )
