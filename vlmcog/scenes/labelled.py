"""A scene together with what happens in it."""

import dataclasses

from vlmcog.scenes.scene import Scene


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What the simulation of a scene showed.

    Attributes:
      fell: one flag a block of the scene: it moved by more than a quarter of its smallest side. A removed block is
        False.
      removed: the index of the block taken away before the simulation, or None.
      margin: the static margin of a tower in block sides (see `statics.py`), positive where it stands; None where the
        scene has no such margin.
    """

    fell: tuple[bool, ...]
    removed: int | None = None
    margin: float | None = None


@dataclasses.dataclass(frozen=True)
class LabelledScene:
    """A scene and its simulated outcome, on which every perturbed simulation agreed."""

    scene: Scene
    outcome: Outcome
