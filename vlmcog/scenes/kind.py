"""What makes a kind of scenes: strata to balance, proposals to simulate, and the truth that is balanced."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from vlmcog.scenes.labelled import Outcome
from vlmcog.scenes.scene import Block, Scene


@dataclasses.dataclass(frozen=True)
class Proposal:
    """A bare scene before its truth is known.

    Attributes:
      blocks: where they stand.
      removed: the block that the question takes away.
      named: colours by block (see `looks.dress`).
      drawn: bodies that are only seen.
      outcome: what happens, where that is known without simulating.
    """

    blocks: tuple[Block, ...]
    removed: int | None = None
    named: Mapping[int, str] = dataclasses.field(default_factory=dict)
    drawn: tuple[Block, ...] = ()
    outcome: Outcome | None = None


def any_falls(outcome: Outcome) -> int:
    """The truth of most kinds: 1 where any block falls."""
    return int(any(outcome.fell))


def balanced(size: int) -> tuple[int, ...]:
    """As many scenes in which nothing falls as others, at any size."""
    del size
    return (0, 1)


def no_obstacle(size: int, truth: int) -> None:
    """Every truth can be had at every size."""
    del size, truth


@dataclasses.dataclass(frozen=True)
class Kind:
    """One kind of scenes.

    Attributes:
      scene_kind: `Scene.kind` of its scenes.
      sizes: the sizes (numbers of blocks or rows, say) of each split size; items go round them in turn.
      propose: (rng, size, truth) to a proposal, or several where scenes come in groups; `truth` is what is wanted of
        the first, and a second is to have the opposite one.
      truths: the truths of a size, which items go round in turn.
      truth: what a scene counts as when truths are balanced, from its outcome and size.
      screened: a first simulation passes over proposals with another truth than the wanted one; for samplers that
        can't aim.
      counterfactuals: whether outcomes say what would fall without each block.
      finish: what is done to a scene after it is dressed.
      members: scenes in a group; items `members * k` and following are one group.
      obstacle: why scenes of a size and truth are impossible, else None.
    """

    scene_kind: str
    sizes: Mapping[str, tuple[int, ...]]
    propose: Callable[[np.random.Generator, int, int], Sequence[Proposal]]
    truths: Callable[[int], tuple[int, ...]] = balanced
    truth: Callable[[Outcome, int], int] = lambda outcome, size: any_falls(outcome)
    screened: bool = False
    counterfactuals: bool = False
    finish: Callable[[Scene], Scene] | None = None
    members: int = 1
    obstacle: Callable[[int, int], str | None] = no_obstacle
