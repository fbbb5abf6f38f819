"""Scenes with certain truths: sampled, simulated, and kept only where every check agrees.

Item `i` of a set depends on (seed, split, i) alone, so any process can make any item, and the size of the set changes
none. Sizes and, within each size, truths go round in turn, so that they balance in every split.

What runs when: where its sampler can't aim at a truth, a proposal is first screened by one or two simulations; what is
left is labelled by `truth.label` (two exact and eight perturbed simulations, ended at the first fall or at rest);
the counterfactuals of other blocks are simulated for kept scenes alone.
"""

import concurrent.futures
import dataclasses
import os
from collections.abc import Callable, Sequence

import numpy as np

from vlmcog.errors import UserError, did_you_mean
from vlmcog.progress import Progress
from vlmcog.scenes.boards import BOARDS
from vlmcog.scenes.controls import MINIMAL, PAIRS
from vlmcog.scenes.counterweights import COUNTERWEIGHTS
from vlmcog.scenes.framing import back_off
from vlmcog.scenes.gates import GATES
from vlmcog.scenes.geometry import corners
from vlmcog.scenes.heaps import HEAPS
from vlmcog.scenes.kind import Kind, Proposal
from vlmcog.scenes.labelled import LabelledScene, Outcome
from vlmcog.scenes.looks import Look, dress, get_look
from vlmcog.scenes.mixed import MIXED
from vlmcog.scenes.pyramids import PYRAMIDS
from vlmcog.scenes.scene import Scene
from vlmcog.scenes.sides import SIDES
from vlmcog.scenes.tops import TOPS
from vlmcog.scenes.towers import TOWERS
from vlmcog.scenes.truth import counterfactuals, label, motion_without, stands
from vlmcog.scenes.walls import WALLS

SPLITS = ("train", "validation", "test")
KINDS: dict[str, Kind] = {  # a new kind is a file with its sampler and one line here
    "towers": TOWERS,
    "mixed": MIXED,
    "pyramids": PYRAMIDS,
    "walls": WALLS,
    "heaps": HEAPS,
    "tops": TOPS,
    "sides": SIDES,
    "counterweights": COUNTERWEIGHTS,
    "boards": BOARDS,
    "pairs": PAIRS,
    "minimal": MINIMAL,
    "gates": GATES,
}

_MOST_PROPOSALS = 20_000


@dataclasses.dataclass(frozen=True)
class Made:
    """A labelled scene, with how many passed screening for it and how many of those were rejected as ambiguous."""

    labelled: LabelledScene
    simulated: int
    rejected: int


def maker(
    kind: str, *, seed: int, split: str, split_size: str, look: str, sizes: Sequence[int] = ()
) -> Callable[[int], Made]:
    """Returns the function that makes item `i`.

    Args:
      kind: the scenes' kind, one of `KINDS`.
      seed: drives everything random.
      split: one of `SPLITS`.
      split_size: `small` or `large`.
      look: the name of a look.
      sizes: sizes (numbers of blocks or rows, say) other than those of the split size.

    Raises:
      UserError: an unknown kind or look, or a size that no scene can have; the function raises it where proposal after
        proposal is ambiguous.
    """
    if kind not in KINDS:
        raise UserError(f"no kind of scenes {kind!r}{did_you_mean(kind, KINDS)}; the kinds are {', '.join(KINDS)}")
    chosen = KINDS[kind]
    sizes = tuple(sizes) or chosen.sizes[split_size]
    _check_possible(kind, chosen, sizes)
    dressed_in = get_look(look)

    def make(index: int) -> Made:
        group, member = divmod(index, chosen.members)
        rng = np.random.default_rng([seed, SPLITS.index(split), group])
        size = sizes[group % len(sizes)]
        truths = chosen.truths(size)
        return _make(chosen, size, truths[group // len(sizes) % len(truths)], dressed_in, rng)[member]

    return make


def generate(
    kind: str, count: int, *, seed: int, split: str, look: str, split_size: str = "small", sizes: Sequence[int] = ()
) -> tuple[Made, ...]:
    """Makes the first `count` items in threads: MuJoCo lets go of the interpreter while it steps."""
    make = maker(kind, seed=seed, split=split, split_size=split_size, look=look, sizes=sizes)
    made = []
    with (
        concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool,
        Progress(count, f"{split} {kind}", unit="scene") as bar,
    ):
        for item in pool.map(make, range(count)):
            made.append(item)
            bar.advance()
    return tuple(made)


def _check_possible(name: str, kind: Kind, sizes: Sequence[int]) -> None:
    for size in sizes:
        for truth in kind.truths(size):
            if obstacle := kind.obstacle(size, truth):
                raise UserError(f"{name} of size {size} cannot be made: {obstacle}")


def _make(kind: Kind, size: int, truth: int, look: Look, rng: np.random.Generator) -> list[Made]:
    simulated = rejected = 0
    for _ in range(_MOST_PROPOSALS):
        proposals = kind.propose(rng, size, truth)
        wanted = [truth, 1 - truth][: len(proposals)] if kind.members > 1 else [truth]
        if kind.screened and not all(
            _promises(kind, proposal, size, one) for proposal, one in zip(proposals, wanted, strict=True)
        ):
            continue
        simulated += 1
        outcomes = _label_all(kind, proposals, rng)
        if outcomes is not None and [kind.truth(outcome, size) for outcome in outcomes] == wanted:
            scenes = _dress_all(kind, proposals, look, rng)
            return [Made(LabelledScene(*both), simulated, rejected) for both in zip(scenes, outcomes, strict=True)]
        rejected += 1
    raise UserError(f"no {kind.scene_kind} of size {size} and truth {truth} in {_MOST_PROPOSALS} proposals")


def _promises(kind: Kind, proposal: Proposal, size: int, truth: int) -> bool:
    """Whether a proposal looks as wanted at first sight: one that takes a block away has to stand until then."""
    if proposal.removed is not None and not stands(proposal.blocks):
        return False
    fell = motion_without(proposal.blocks, proposal.removed).fell
    return kind.truth(Outcome(fell, proposal.removed), size) == truth


def _label_all(kind: Kind, proposals: Sequence[Proposal], rng: np.random.Generator) -> list[Outcome] | None:
    outcomes = []
    for proposal in proposals:
        outcome = proposal.outcome or label(proposal.blocks, rng, removed=proposal.removed)
        if outcome is None:
            return None
        outcomes.append(outcome)
    if not kind.counterfactuals:
        return outcomes
    return [
        dataclasses.replace(outcome, without=counterfactuals(proposal.blocks))
        for outcome, proposal in zip(outcomes, proposals, strict=True)
    ]


def _dress_all(kind: Kind, proposals: Sequence[Proposal], look: Look, rng: np.random.Generator) -> list[Scene]:
    """Dresses the first of a group; the others have its colours, light and camera."""
    first = proposals[0]
    scene = dress(kind.scene_kind, first.blocks, look, rng, named=first.named, drawn=first.drawn)
    if kind.finish is not None:
        scene = kind.finish(scene)
    if kind.members > 1:
        points = np.concatenate([corners(block) for proposal in proposals for block in proposal.blocks])
        scene = dataclasses.replace(scene, camera=back_off(scene.camera, points))
    return [scene, *(_rearranged(scene, other) for other in proposals[1:])]


def _rearranged(scene: Scene, proposal: Proposal) -> Scene:
    blocks = tuple(
        dataclasses.replace(dressed, position=bare.position, orientation=bare.orientation, size=bare.size)
        for dressed, bare in zip(scene.blocks, proposal.blocks, strict=True)
    )
    return dataclasses.replace(scene, blocks=blocks)
