"""Holds the simulator's verdicts against the linear program's, scene by scene, and tells how often labels are refused.

    python scripts/check_truths.py --kinds near_edge pyramids --count 10000

For each kind of static scene (`whole_`: with the block that the question takes away) it prints, by equilibrium margin
in block sides, how many scenes rest (no block moves by more than `RESTING` sides), lean (some do, and none falls: they
settle against a neighbour) and fall in the simulation. The two disagree where a scene rests that no forces could hold,
or falls that forces could hold without friction. Where forces could hold it by friction alone, they exist, and whether
they arise depends on how the scene was built: such falls "slip". Scenes are as samplers propose
them, redrawn only where blocks are inside each other; `near_edge` are towers evenly in +-0.15 sides.
Of each kind `--labels` scenes are labelled, too, to see the share that is refused, and so is every scene of a margin of
`UNAMBIGUOUS` or more from zero where the two disagree: ends with status 1 if such a scene has a label.
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
from vlmcog.scenes.generate import KINDS
from vlmcog.scenes.geometry import turned
from vlmcog.scenes.kind import Kind, Proposal
from vlmcog.scenes.physics import Motion, overlapping, simulate
from vlmcog.scenes.scene import Block
from vlmcog.scenes.statics import column_margin
from vlmcog.scenes.truth import RESTING, UNAMBIGUOUS, label

EDGES = (-0.1, -0.05, -UNAMBIGUOUS, -0.01, 0.0, 0.01, UNAMBIGUOUS, 0.05, 0.1)
EXAMPLES = 8
MOVING = ("gates",)

_EDGE = EDGES.index(0.0)


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What both say about one scene.

    Attributes:
      index: the scene's number.
      redrawn: how many scenes before it had blocks inside each other.
      held: how many of EDGES its margin reaches, by the linear program.
      held_smooth: the same without friction, where the scene falls and friction could hold it.
      motion: what moves in the simulation, until the first falls.
      refused: whether it has no label; None where it was not asked.
    """

    index: int
    redrawn: int
    held: int
    held_smooth: int | None
    motion: Motion
    refused: bool | None = None

    @property
    def shows(self) -> str:
        """What the simulation shows: `falls`, `leans` or `rests`."""
        if any(self.motion.fell):
            return "falls"
        return "leans" if self.motion.furthest > RESTING else "rests"

    @property
    def disagrees(self) -> bool:
        """Whether the scene falls and could rest without friction, or rests and could not with it."""
        if self.held_smooth is not None:
            return self.held_smooth > _EDGE
        return self.shows == "rests" and self.held <= _EDGE

    @property
    def slips(self) -> bool:
        """Whether the scene falls, and friction alone could hold it."""
        return self.held_smooth is not None and self.held_smooth <= _EDGE

    @property
    def is_wrong(self) -> bool:
        """Whether the two disagree although the margin leaves no doubt."""
        return self.disagrees and not self.is_ambiguous

    @property
    def is_ambiguous(self) -> bool:
        """Whether the margin is less than UNAMBIGUOUS from zero."""
        held = self.held if self.held_smooth is None else self.held_smooth
        return EDGES.index(-UNAMBIGUOUS) < held <= EDGES.index(UNAMBIGUOUS)


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="+", choices=sorted(PROPOSERS), default=sorted(PROPOSERS), help="default: all")
    parser.add_argument("--count", type=int, default=10_000, help="scenes of each kind (default: %(default)s)")
    parser.add_argument("--labels", type=int, default=500, help="of these, how many to label (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes (default: the number of cores)")
    args = parser.parse_args(argv)
    mislabelled = 0
    for kind in args.kinds:
        verdicts = examine(kind, count=args.count, labels=args.labels, seed=args.seed, workers=args.workers)
        print(table(kind, verdicts, args.labels), flush=True)
        mislabelled += sum(verdict.is_wrong and not verdict.refused for verdict in verdicts)
    sys.exit(int(mislabelled > 0))


def examine(kind: str, *, count: int, labels: int, seed: int, workers: int) -> list[Verdict]:
    """Returns the verdicts on scenes 0, 1, ... of a kind, each a function of kind, seed and index alone."""
    judge = functools.partial(_judge, kind, seed, labels)
    verdicts = []
    with multiprocessing.get_context("spawn").Pool(workers) as pool, Progress(count, kind, unit="scene") as bar:
        for verdict in pool.imap(judge, range(count), chunksize=4):
            verdicts.append(verdict)
            bar.advance(note=f"{sum(v.disagrees for v in verdicts)} disagree")
    return verdicts


def table(kind: str, verdicts: Sequence[Verdict], labels: int) -> str:
    """Returns the agreement table in Markdown, with the scenes that disagree where they should not.

    Args:
      kind: the scenes' kind.
      verdicts: on scenes 0, 1, ...
      labels: how many of the first were labelled whatever the verdict.
    """
    bins = collections.defaultdict(list)
    for verdict in verdicts:
        bins[verdict.held].append(verdict)
    lines = [
        f"\n{kind}, {len(verdicts)} scenes",
        "",
        "| margin | scenes | rest | lean | fall | slip | disagree | ambiguous |",
    ]
    lines += ["|---|---|---|---|---|---|---|---|"]
    lines += [_row(held, bins[held]) for held in range(len(EDGES) + 1)]
    wrong = [verdict for verdict in verdicts if verdict.is_wrong]
    examples = [verdict.index for verdict in wrong[:EXAMPLES]] or ""
    has_label = sum(not verdict.refused for verdict in wrong)
    lines += ["", f"disagree at {UNAMBIGUOUS} or more from zero: {len(wrong)} {examples}, labelled: {has_label}"]
    redrawn = sum(verdict.redrawn for verdict in verdicts)
    lines.append(f"redrawn, blocks inside each other: {redrawn}, {redrawn / (redrawn + len(verdicts)):.1%}")
    refused = [bool(verdict.refused) for verdict in verdicts[:labels]]
    if refused:
        lines.append(f"refused a label: {sum(refused)} of {len(refused)}, {np.mean(refused):.1%}")
    return "\n".join(lines)


def _row(held: int, verdicts: Sequence[Verdict]) -> str:
    bounds = ("below", *map(str, EDGES), "above")
    shown = collections.Counter(verdict.shows for verdict in verdicts)
    counts = [len(verdicts), shown["rests"], shown["leans"], shown["falls"]]
    counts += [sum(verdict.slips for verdict in verdicts), sum(verdict.disagrees for verdict in verdicts)]
    ambiguous = "yes" if EDGES.index(-UNAMBIGUOUS) < held <= EDGES.index(UNAMBIGUOUS) else ""
    return f"| {bounds[held]} to {bounds[held + 1]} | {' | '.join(map(str, counts))} | {ambiguous} |"


def _judge(kind: str, seed: int, labels: int, index: int) -> Verdict:
    rng = np.random.default_rng([seed, *kind.encode(), index])
    redrawn, proposal = 0, PROPOSERS[kind](rng)
    while overlapping(proposal.blocks):
        redrawn, proposal = redrawn + 1, PROPOSERS[kind](rng)
    standing = [block for place, block in enumerate(proposal.blocks) if place != proposal.removed]
    motion = simulate(standing, stop_at_first=True)
    held = levels_held(standing, EDGES)
    held_smooth = levels_held(standing, EDGES, friction=0.0) if any(motion.fell) and held > _EDGE else None
    verdict = Verdict(index, redrawn, held, held_smooth, motion)
    if index >= labels and not verdict.is_wrong:
        return verdict
    return dataclasses.replace(verdict, refused=label(proposal.blocks, rng, removed=proposal.removed) is None)


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


def _sampled(kind: Kind, rng: np.random.Generator) -> Proposal:
    """A proposal of any size and truth; of scenes that come in groups, any of them."""
    size = int(rng.choice([size for sizes in kind.sizes.values() for size in sizes]))
    proposals = kind.propose(rng, size, int(rng.choice(kind.truths(size))))
    return proposals[int(rng.integers(len(proposals)))]


def _whole(kind: Kind, rng: np.random.Generator) -> Proposal:
    """The scene with the block still there that the question takes away."""
    return dataclasses.replace(_sampled(kind, rng), removed=None)


REMOVALS = ("heaps", "pyramids", "walls")
PROPOSERS: dict[str, Callable[[np.random.Generator], Proposal]] = {
    "near_edge": near_edge_tower,
    **{name: functools.partial(_sampled, kind) for name, kind in KINDS.items() if name not in MOVING},
    **{f"whole_{name}": functools.partial(_whole, KINDS[name]) for name in REMOVALS},
}


if __name__ == "__main__":
    command_line.run(main)
