"""Holds the simulator's verdicts against the linear program's, scene by scene, and tells how often labels are refused.

    python scripts/check_truths.py --kinds towers pyramids --count 10000

For each kind of static scene it prints, by equilibrium margin in block sides, how many scenes rest (no block moves by
more than `RESTING` sides), lean (some do, and none falls: they settle against a neighbour) and fall in the simulation.
The two disagree where a scene falls that forces could hold, or rests that none could hold. Scenes are as samplers
propose them, redrawn only where blocks are inside each other; towers are drawn evenly in +-0.15 sides around the edge.
Ends with status 1 if they disagree anywhere in scenes whose margin is `UNAMBIGUOUS` or more from zero. Of each kind
`--labels` scenes are labelled, too, to see the share that is refused.
"""

import argparse
import collections
import dataclasses
import functools
import multiprocessing
import os
import sys
from collections.abc import Callable, Sequence

import numpy as np

from vlmcog import command_line
from vlmcog.progress import Progress
from vlmcog.scenes.equilibrium import levels_held
from vlmcog.scenes.geometry import turned
from vlmcog.scenes.physics import Motion, overlapping, simulate
from vlmcog.scenes.pyramids import sample_pyramid
from vlmcog.scenes.scene import Block
from vlmcog.scenes.statics import column_margin
from vlmcog.scenes.truth import RESTING, UNAMBIGUOUS, label

EDGES = (-0.1, -UNAMBIGUOUS, -0.01, 0.0, 0.01, UNAMBIGUOUS, 0.1)
EXAMPLES = 8


@dataclasses.dataclass(frozen=True)
class Proposal:
    """A raw scene, and the block to be taken away where that is the question."""

    blocks: tuple[Block, ...]
    removed: int | None = None

    def standing(self) -> tuple[Block, ...]:
        """The blocks that are there to fall."""
        return tuple(block for index, block in enumerate(self.blocks) if index != self.removed)


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What both say about one scene.

    Attributes:
      index: the scene's number.
      redrawn: how many scenes before it had blocks inside each other.
      held: how many of EDGES its margin reaches, by the linear program.
      motion: what moves in the simulation, until the first falls.
      refused: whether it has no label; None where it was not asked.
    """

    index: int
    redrawn: int
    held: int
    motion: Motion
    refused: bool | None

    @property
    def shows(self) -> str:
        """What the simulation shows: `falls`, `leans` or `rests`."""
        if any(self.motion.fell):
            return "falls"
        return "leans" if self.motion.furthest > RESTING else "rests"

    @property
    def disagrees(self) -> bool:
        """Whether the scene falls and could rest, or rests and could not."""
        return self.shows == ("falls" if self.held > EDGES.index(0.0) else "rests")

    @property
    def is_ambiguous(self) -> bool:
        """Whether the margin is less than UNAMBIGUOUS from zero."""
        return EDGES.index(-UNAMBIGUOUS) < self.held <= EDGES.index(UNAMBIGUOUS)


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="+", choices=sorted(KINDS), default=sorted(KINDS), help="default: all")
    parser.add_argument("--count", type=int, default=10_000, help="scenes of each kind (default: %(default)s)")
    parser.add_argument("--labels", type=int, default=500, help="of these, how many to label (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes (default: the number of cores)")
    args = parser.parse_args(argv)
    unambiguous = 0
    for kind in args.kinds:
        verdicts = examine(kind, count=args.count, labels=args.labels, seed=args.seed, workers=args.workers)
        print(table(kind, verdicts), flush=True)
        unambiguous += sum(verdict.disagrees and not verdict.is_ambiguous for verdict in verdicts)
    sys.exit(int(unambiguous > 0))


def examine(kind: str, *, count: int, labels: int, seed: int, workers: int) -> list[Verdict]:
    """Returns the verdicts on scenes 0, 1, ... of a kind, each a function of kind, seed and index alone."""
    judge = functools.partial(_judge, kind, seed, labels)
    verdicts = []
    with multiprocessing.get_context("spawn").Pool(workers) as pool, Progress(count, kind, unit="scene") as bar:
        for verdict in pool.imap(judge, range(count), chunksize=4):
            verdicts.append(verdict)
            bar.advance(note=f"{sum(v.disagrees for v in verdicts)} disagree")
    return verdicts


def table(kind: str, verdicts: Sequence[Verdict]) -> str:
    """Returns the agreement table in Markdown, with the scenes that disagree where they should not."""
    bins = collections.defaultdict(list)
    for verdict in verdicts:
        bins[verdict.held].append(verdict)
    lines = [f"\n{kind}, {len(verdicts)} scenes", "", "| margin | scenes | rest | lean | fall | disagree | ambiguous |"]
    lines += ["|---|---|---|---|---|---|---|"]
    lines += [_row(held, bins[held]) for held in range(len(EDGES) + 1)]
    wrong = [verdict.index for verdict in verdicts if verdict.disagrees and not verdict.is_ambiguous]
    lines += ["", f"disagree at {UNAMBIGUOUS} or more from zero: {len(wrong)} {wrong[:EXAMPLES] or ''}"]
    redrawn = sum(verdict.redrawn for verdict in verdicts)
    lines.append(f"redrawn, blocks inside each other: {redrawn}, {redrawn / (redrawn + len(verdicts)):.1%}")
    labelled = [verdict.refused for verdict in verdicts if verdict.refused is not None]
    if labelled:
        lines.append(f"refused a label: {sum(labelled)} of {len(labelled)}, {np.mean(labelled):.1%}")
    return "\n".join(lines)


def _row(held: int, verdicts: Sequence[Verdict]) -> str:
    bounds = ("below", *map(str, EDGES), "above")
    shown = collections.Counter(verdict.shows for verdict in verdicts)
    counts = [len(verdicts), shown["rests"], shown["leans"], shown["falls"], sum(v.disagrees for v in verdicts)]
    ambiguous = "yes" if EDGES.index(-UNAMBIGUOUS) < held <= EDGES.index(UNAMBIGUOUS) else ""
    return f"| {bounds[held]} to {bounds[held + 1]} | {' | '.join(map(str, counts))} | {ambiguous} |"


def _judge(kind: str, seed: int, labels: int, index: int) -> Verdict:
    rng = np.random.default_rng([seed, *kind.encode(), index])
    redrawn, proposal = 0, KINDS[kind](rng)
    while overlapping(proposal.blocks):
        redrawn, proposal = redrawn + 1, KINDS[kind](rng)
    standing = proposal.standing()
    motion = simulate(standing, stop_at_first=True)
    refused = label(proposal.blocks, rng, removed=proposal.removed) is None if index < labels else None
    return Verdict(index, redrawn, levels_held(standing, EDGES), motion, refused)


def near_edge_tower(rng: np.random.Generator) -> Proposal:
    """A tower of 2-7 cubes or cuboids of side 0.16-0.24 m, its static margin uniform in +-0.15 sides."""
    n_blocks, proposals = int(rng.integers(2, 8)), 256
    shape = (proposals, n_blocks)
    edges = rng.uniform(0.75, 1.25, (*shape, 3)) if rng.random() < 0.5 else np.ones((*shape, 3))
    sizes = rng.uniform(0.16, 0.24) * edges
    steps = rng.uniform(-1, 1, (*shape, 2)) * rng.uniform(0.2, 1.0, (proposals, 1, 1)) * sizes[..., :2].min()
    centres, yaws = np.cumsum(steps, 1), rng.uniform(-0.26, 0.26, shape)
    off_target = np.abs(column_margin(sizes=sizes, centres=centres, yaws=yaws) - rng.uniform(-0.15, 0.15))
    chosen = off_target.argmin()
    heights = np.cumsum(sizes[chosen, :, 2]) - sizes[chosen, :, 2] / 2
    rows = zip(sizes[chosen].tolist(), centres[chosen].tolist(), heights.tolist(), yaws[chosen].tolist(), strict=True)
    return Proposal(tuple(Block(tuple(size), (x, y, z), turned(yaw)) for size, (x, y), z, yaw in rows))


def pyramid(rng: np.random.Generator) -> Proposal:
    """A pyramid of 2-5 rows, whole."""
    return Proposal(sample_pyramid(rng, n_rows=int(rng.integers(2, 6))).blocks)


def pyramid_without_red(rng: np.random.Generator) -> Proposal:
    """A pyramid of 2-5 rows, its red block taken away."""
    sampled = sample_pyramid(rng, n_rows=int(rng.integers(2, 6)))
    return Proposal(sampled.blocks, sampled.red)


KINDS: dict[str, Callable[[np.random.Generator], Proposal]] = {
    "towers": near_edge_tower,
    "pyramids": pyramid,
    "pyramids_without_red": pyramid_without_red,
}


if __name__ == "__main__":
    command_line.run(main)
