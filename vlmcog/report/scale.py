"""Positions in a figure as percentages of its width and height, so that figures flow and their text keeps its size."""

import dataclasses
import math
from collections.abc import Iterable, Sequence


@dataclasses.dataclass(frozen=True)
class Scale:
    """A linear axis from `low` to `high` with labelled `ticks`."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def at(self, value: float) -> str:
        """Returns the position of a value from the left, such as `12.50%`."""
        return f"{self._percent(value):.2f}%"

    def up(self, value: float) -> str:
        """Returns the position of a value from the top of a vertical axis."""
        return f"{100 - self._percent(value):.2f}%"

    def between(self, low: float, high: float) -> str:
        """Returns the distance of two values."""
        return f"{self._percent(high) - self._percent(low):.2f}%"

    def _percent(self, value: float) -> float:
        return 100 * min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)


UNIT = Scale(0.0, 1.0, (0.0, 0.25, 0.5, 0.75, 1.0))


def accuracy_scale(values: Iterable[float]) -> Scale:
    """Returns an axis that ends at 1 and starts at a tenth below every value, so that nothing lies on its edge."""
    lowest = min(value for value in values if not math.isnan(value))
    first = max(math.floor(round(10 * lowest, 6)) - 1, 0)
    return Scale(
        first / 10, 1.0, tuple(tick / 10 for tick in range(first, 11) if (10 - tick) % (1 if first > 4 else 2) == 0)
    )


def step_scale(steps: Sequence[float]) -> Scale:
    """Returns an axis from 0 to the last step."""
    last = max(steps)
    return Scale(0.0, last, (0.0, last / 2, last))


def value_scale(values: Sequence[float]) -> Scale:
    """Returns an axis from 0 to a round number that no value exceeds; to 1 where all values are 0."""
    most = max(values) or 1.0
    unit = 10.0 ** math.floor(math.log10(most))
    high = next(unit * factor for factor in (1, 1.5, 2, 3, 4, 5, 8, 10) if unit * factor >= most)
    return Scale(0.0, high, (0.0, high / 2, high))


def polyline(points: Iterable[tuple[float, float]], x: Scale, y: Scale) -> str:
    """Returns an SVG polyline's points in a box of 100 x 100."""
    return " ".join(f"{x.at(a)[:-1]},{y.up(b)[:-1]}" for a, b in points)
