"""A scene together with what happens in it."""

import dataclasses
import json

from vlmcog.scenes.scene import Scene


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What the simulation of a scene showed; what was not asked of it is None.

    Attributes:
      fell: one flag a block of the scene: it moved by more than a quarter of its smallest side. A removed block is
        False, and so is a fixed one.
      removed: the index of the block taken away before the simulation.
      margin: the static margin of a tower in block sides (see `statics.py`), positive where it stands.
      confidence: the share of simulations with perturbed scenes that showed the same fallen blocks.
      first: the index of the first block to fall; None, too, where none does.
      fall_time: seconds until then.
      without: `without[i][j]` says whether block j would fall if block i were taken away.
      equilibrium: whether contact forces exist that keep the scene at rest, by linear programming.
      clearances: of a ball that rolls to a gate, as it was and without the other ball: how far from a post it goes
        through, in diameters, negative where it is stopped (see `collisions.py`).
    """

    fell: tuple[bool, ...]
    removed: int | None = None
    margin: float | None = None
    confidence: float | None = None
    first: int | None = None
    fall_time: float | None = None
    without: tuple[tuple[bool, ...], ...] | None = None
    equilibrium: bool | None = None
    clearances: tuple[float, float] | None = None

    def to_json(self) -> str:
        """Returns one line of JSON that `from_json` turns into an equal outcome."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Outcome":
        """Reads what `to_json` wrote; raises TypeError where a field is missing or unknown."""
        fields = json.loads(text)
        without = fields["without"] and tuple(tuple(row) for row in fields["without"])
        clearances = fields["clearances"] and tuple(fields["clearances"])
        return cls(**{**fields, "fell": tuple(fields["fell"]), "without": without, "clearances": clearances})


@dataclasses.dataclass(frozen=True)
class LabelledScene:
    """A scene and its simulated outcome."""

    scene: Scene
    outcome: Outcome
