"""Two balls that roll on a table and collide: discs of equal mass in two dimensions, elastic and without friction.

Every motion between events is straight and uniform, so events are found in closed form and nothing is integrated.
Units are metres and seconds; a position is that of a disc's centre.
"""

import dataclasses
import math

import numpy as np
from jaxtyping import Float

Point = Float[np.ndarray, "2"]

_MOST_EVENTS = 100


@dataclasses.dataclass(frozen=True, eq=False)
class Disc:
    """Where a disc is and how fast it moves, in metres and metres a second."""

    position: Point
    velocity: Point

    def after(self, seconds: float) -> "Disc":
        """The disc when it has rolled on for a while."""
        return Disc(self.position + seconds * self.velocity, self.velocity)


@dataclasses.dataclass(frozen=True)
class Table:
    """A table with walls at y = `low` and y = `high`, and one whose face is at x = 0, with a gate in it.

    Attributes:
      low: the inner face of the near wall.
      high: the inner face of the far wall.
      gate: y of the gate's middle.
      gate_width: between its posts.
      thickness: of the wall that the gate is in, which lies at x < 0.
      diameter: of the balls.
    """

    low: float
    high: float
    gate: float
    gate_width: float
    thickness: float
    diameter: float

    def clearance(self, ball: Disc) -> float:
        """How far a ball that arrives at the wall is from touching a post, in diameters.

        Positive where it goes through, and negative by as much as it is beyond touching where it is stopped: at -0.5
        and below it meets the wall's face, and not the edge of a post. Of the wall's two faces the one where it is
        nearer to the edge counts; 0 where they contradict each other.
        """
        x, y = ball.position
        slope = ball.velocity[1] / ball.velocity[0]
        room = (self.gate_width - self.diameter) / 2
        front, back = (
            (room - abs(y + slope * (face - x) - self.gate)) / self.diameter
            for face in (self.diameter / 2, -self.thickness)
        )
        return 0.0 if front * back <= 0 else math.copysign(min(abs(front), abs(back)), front)


@dataclasses.dataclass(frozen=True, eq=False)
class Roll:
    """How a ball rolled up to the wall at x = 0.

    Attributes:
      bends: where it was at the start, at each bounce and on arrival.
      contacts: where the other ball was at each of their collisions.
      arrival: the ball as it touches the plane of the wall; None where it doesn't in the
        first `_MOST_EVENTS` bounces of both.
    """

    bends: tuple[Point, ...]
    contacts: tuple[Point, ...]
    arrival: Disc | None


def roll(ball: Disc, other: Disc | None, table: Table) -> Roll:
    """Rolls a ball, with another one or alone, until it arrives at the wall with the gate.

    The other ball bounces off the same walls; where it goes through the gate it is gone.
    """
    bends, contacts = [ball.position], []
    for _ in range(_MOST_EVENTS):
        arrives, side, hit = _time_to_face(ball, table), _time_to_sides(ball, table), _time_to_hit(ball, other, table)
        others = math.inf if other is None else min(_time_to_sides(other, table), _time_to_face(other, table))
        soonest = min(arrives, side, hit, others)
        if soonest == math.inf:
            break
        ball, other = ball.after(soonest), other and other.after(soonest)
        if soonest == arrives:
            return Roll((*bends, ball.position), tuple(contacts), ball)
        if other is not None and soonest == hit:
            bends.append(ball.position)
            contacts.append(other.position)
            ball, other = collided(ball, other)
        elif soonest == side:
            bends.append(ball.position)
            ball = _off_side(ball)
        elif other is not None:
            other = _off_wall(other, table)
    return Roll(tuple(bends), tuple(contacts), None)


def collided(one: Disc, other: Disc) -> tuple[Disc, Disc]:
    """Two touching discs after an elastic collision: they exchange their velocities along the line of centres."""
    normal = one.position - other.position
    normal = normal / np.linalg.norm(normal)
    exchanged = ((other.velocity - one.velocity) @ normal) * normal
    return Disc(one.position, one.velocity + exchanged), Disc(other.position, other.velocity - exchanged)


def _off_wall(ball: Disc, table: Table) -> Disc | None:
    """The other ball after it touched a wall; None where it went through the gate."""
    if ball.position[0] > table.diameter / 2 + 1e-9:
        return _off_side(ball)
    if table.clearance(ball) > 0:
        return None
    return Disc(ball.position, ball.velocity * np.array([-1.0, 1.0]))


def _off_side(ball: Disc) -> Disc:
    return Disc(ball.position, ball.velocity * np.array([1.0, -1.0]))


def _time_to_face(ball: Disc, table: Table) -> float:
    """Seconds until it touches the wall with the gate."""
    speed = -ball.velocity[0]
    return max((ball.position[0] - table.diameter / 2) / speed, 0.0) if speed > 0 else math.inf


def _time_to_sides(ball: Disc, table: Table) -> float:
    """Seconds until it touches the near or the far wall."""
    y, speed = ball.position[1], ball.velocity[1]
    if speed == 0:
        return math.inf
    end = table.high - table.diameter / 2 if speed > 0 else table.low + table.diameter / 2
    return max((end - y) / speed, 0.0)


def _time_to_hit(ball: Disc, other: Disc | None, table: Table) -> float:
    """Seconds until the two touch: the smaller root of |apart + t towards| = diameter."""
    if other is None:
        return math.inf
    apart, towards = ball.position - other.position, ball.velocity - other.velocity
    closing = apart @ towards
    squared = closing**2 - (towards @ towards) * (apart @ apart - table.diameter**2)
    return float((-closing - math.sqrt(squared)) / (towards @ towards)) if closing < 0 <= squared else math.inf
