"""Gates: two balls collide on a table, and one of them, the red one, goes through a gate or misses it.

The events are those of Gerstenberg et al. 2017 (Psychological Science, "Eye-tracking causality"), and their paths are
drawn: both balls where they start and where they collide, and the red one where it ends. The picture shows what
happened; what would have happened without the other ball has to be imagined.

Stated ranges, in ball diameters of 0.08-0.12 m: the table is `size` long and three quarters as deep; the gate is 4-5
wide, its middle within 0.12 table depths of the middle of its wall; the collision is 0.40-0.60 of the table's length
from the gate and within 0.2 depths of the middle; the red ball starts at 0.85-0.95 of the length, and the other one
wherever it comes from to collide, beyond the collision as seen from the gate, and at least 2 from it and from the
start of the red one. The collision changes the red ball's speed by a factor of 0.7-1.4; what the other ball has across
the line of centres is up to 0.8 of the speed before.
Where the red ball arrives, and would have arrived, at the wall is uniform over what goes through the gate, or misses
it, with `CLEAR` to spare, and the path nowhere touches the two other walls. Events have one collision.

All four combinations of what happened and what would have happened are equally frequent, so that neither tells the
other, and how many pass tells nothing. An event is kept if both answers hold in `_RUNS` runs with both starts out of
place by up to `REJECTING_NOISE` diameters; the confidence is the share of as many with `CONFIDENCE_NOISE` that agree.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from vlmcog.scenes.collisions import Disc, Table, roll
from vlmcog.scenes.framing import back_off, towards
from vlmcog.scenes.geometry import corners
from vlmcog.scenes.kind import Kind, Proposal
from vlmcog.scenes.labelled import Outcome
from vlmcog.scenes.look_file import RED
from vlmcog.scenes.paths import PATH, arrow
from vlmcog.scenes.scene import SPHERE, Block, Camera, Scene, Vector
from vlmcog.scenes.truth import CONFIDENCE_NOISE, REJECTING_NOISE

CLEAR = 0.5
"""The least clearance of an answer in ball diameters: a ball that misses the gate by it meets the wall's face."""

_DIAMETER = (0.08, 0.12)
_DEPTH = 0.75
_GATE_WIDTH = (4.0, 5.0)
_GATE_SHIFT = 0.12
_COLLISION = (0.40, 0.60)
_COLLISION_SHIFT = 0.2
_START = (0.85, 0.95)
_APART = 2.0
_SPEED_CHANGE = (0.7, 1.4)
_ACROSS = 0.8
_WALL = 0.5  # thickness and height, in diameters
_RUNS = 10
_SHORTEST = 9
_WALL_COLOUR: Vector = (0.22, 0.22, 0.25)
_BALL_OF = ("red ball", "other ball")  # colour names of drawn balls until those of their looks are known
_ELEVATION = 1.15
_CLOSEST = 0.6  # of the distance from which all is seen whatever its shape; the camera backs off from there
_NARROWEST = 0.6  # field of view, lest so large a scene be seen from far away
_TAIL, _TIP, _LINE = 0.62, 0.72, 0.09  # where arrows begin and end from the balls' middles, and their width
_AZIMUTH_SHARE = 0.4


@dataclasses.dataclass(frozen=True, eq=False)
class Event:
    """The red ball and the other one as they start, on their table."""

    ball: Disc
    other: Disc
    table: Table

    def clearances(self) -> tuple[float, float]:
        """Those of the red ball with the other ball and without it (see `Table.clearance`); 0 where it never comes."""
        return self._clearance(self.other), self._clearance(None)

    def _clearance(self, other: Disc | None) -> float:
        arrival = roll(self.ball, other, self.table).arrival
        return 0.0 if arrival is None else self.table.clearance(arrival)

    def moved(self, rng: np.random.Generator, noise: float) -> "Event":
        """The event with each start moved by up to `noise` diameters in x and in y."""
        ball, other = (
            Disc(disc.position + rng.uniform(-1, 1, 2) * noise * self.table.diameter, disc.velocity)
            for disc in (self.ball, self.other)
        )
        return Event(ball, other, self.table)


def sample_event(rng: np.random.Generator, *, length: int, passes: bool, would_pass: bool) -> tuple[Event, Outcome]:
    """Returns an event on a table of `length` ball diameters, and its outcome.

    Args:
      rng: the source of every draw.
      length: 9 or more.
      passes: whether the red ball goes through the gate.
      would_pass: whether it would without the other ball.
    """
    while True:
        event = _draw(rng, length, passes, would_pass)
        if event is not None and _is_clear(event) and _agreement(event, rng, REJECTING_NOISE) == 1:
            confidence = _agreement(event, rng, CONFIDENCE_NOISE)
            return event, Outcome(fell=(), clearances=event.clearances(), confidence=confidence)


def _draw(rng: np.random.Generator, length: int, passes: bool, would_pass: bool) -> Event | None:
    """An event that ends as asked, built from its collision; None where a ball would start off the table."""
    table = _table(rng, length)
    d, depth = table.diameter, table.high - table.low
    meeting = np.array([rng.uniform(*_COLLISION) * length * d, rng.uniform(-1, 1) * _COLLISION_SHIFT * depth])
    before = np.array([d / 2, _arrival(rng, table, would_pass)]) - meeting
    after = np.array([d / 2, _arrival(rng, table, passes)]) - meeting
    before, after = before / np.linalg.norm(before), rng.uniform(*_SPEED_CHANGE) * after / np.linalg.norm(after)
    push = after - before
    size = np.linalg.norm(push)
    normal = push / size
    across = rng.uniform(-1, 1) * _ACROSS * np.array([-normal[1], normal[0]])
    at_collision = Disc(meeting, before), Disc(meeting - d * normal, (before @ normal + size) * normal + across)
    since = (rng.uniform(*_START) * length * d - meeting[0]) / -before[0]
    ball, other = (disc.after(-since) for disc in at_collision)
    room = np.array([length * d, table.high]) - d
    on_table = all(
        meeting[0] < disc.position[0] < room[0] and abs(disc.position[1]) < room[1] for disc in (ball, other)
    )
    places = (ball.position, meeting, at_collision[1].position)
    is_apart = all(np.linalg.norm(other.position - place) > _APART * d for place in places)
    return Event(ball, other, table) if on_table and is_apart else None


def _table(rng: np.random.Generator, length: int) -> Table:
    diameter = rng.uniform(*_DIAMETER)
    depth = _DEPTH * length * diameter
    return Table(
        low=-depth / 2,
        high=depth / 2,
        gate=rng.uniform(-1, 1) * _GATE_SHIFT * depth,
        gate_width=rng.uniform(*_GATE_WIDTH) * diameter,
        thickness=_WALL * diameter,
        diameter=diameter,
    )


def _arrival(rng: np.random.Generator, table: Table, passes: bool) -> float:
    """Where the ball comes to the wall, uniform over where it passes, or doesn't, with CLEAR to spare."""
    room, spare = (table.gate_width - table.diameter) / 2, CLEAR * table.diameter
    if passes:
        return table.gate + rng.uniform(-1, 1) * (room - spare)
    below = (table.low + table.diameter / 2, table.gate - room - spare)
    above = (table.gate + room + spare, table.high - table.diameter / 2)
    place = rng.uniform(0, below[1] - below[0] + above[1] - above[0])
    return below[0] + place if place < below[1] - below[0] else above[0] + place - (below[1] - below[0])


def _is_clear(event: Event) -> bool:
    """Whether both answers are clear and the red ball's way has the one bend of one collision."""
    shown, alone = roll(event.ball, event.other, event.table), roll(event.ball, None, event.table)
    plain = (len(shown.bends), len(shown.contacts), len(alone.bends)) == (3, 1, 2)
    return plain and min(map(abs, event.clearances())) >= CLEAR


def _agreement(event: Event, rng: np.random.Generator, noise: float) -> float:
    answers = np.greater(event.clearances(), 0)
    moved = [np.greater(event.moved(rng, noise).clearances(), 0) for _ in range(_RUNS)]
    return float(np.mean([np.array_equal(answers, others) for others in moved]))


def _propose(rng: np.random.Generator, size: int, truth: int) -> tuple[Proposal]:
    event, outcome = sample_event(rng, length=size, passes=truth >= 2, would_pass=bool(truth % 2))
    balls = tuple(_ball(disc.position, event.table.diameter) for disc in (event.ball, event.other))
    blocks = (*balls, *_walls(event.table, size))
    outcome = dataclasses.replace(outcome, fell=(False,) * len(blocks))
    return (Proposal(blocks, named={0: RED}, drawn=_drawn(event), outcome=outcome),)


def _ball(place: Float[np.ndarray, "2"], diameter: float, colour_name: str = "grey") -> Block:
    x, y = place.tolist()
    return Block((diameter, diameter, diameter), (x, y, diameter / 2), colour_name=colour_name, shape=SPHERE)


def _walls(table: Table, length: int) -> tuple[Block, ...]:
    """The near and the far wall, and the two parts of that with the gate."""
    thick, reach, half = table.thickness, length * table.diameter, table.gate_width / 2
    parts = [
        *((-thick, reach, edge, edge + thick, thick, _WALL_COLOUR) for edge in (table.low - thick, table.high)),
        *(
            (-thick, 0.0, *ends, thick, _WALL_COLOUR)
            for ends in ((table.low, table.gate - half), (table.gate + half, table.high))
        ),
    ]
    return tuple(_box(*part) for part in parts)


def _box(left: float, right: float, near: float, far: float, height: float, colour: Vector) -> Block:
    return Block(
        size=(right - left, far - near, height),
        position=((left + right) / 2, (near + far) / 2, height / 2),
        colour=colour,
        colour_name="wall",
        fixed=True,
    )


def _drawn(event: Event) -> tuple[Block, ...]:
    """The balls where they collide, the red one where it ends, and the arrows between."""
    shown, d = roll(event.ball, event.other, event.table), event.table.diameter
    assert shown.arrival is not None
    start, meeting, _ = shown.bends
    end = shown.arrival.after(_beyond(event) / -shown.arrival.velocity[0]).position
    places = ((meeting, 0), (shown.contacts[0], 1), (end, 0))
    balls = tuple(_ball(place, d, _BALL_OF[which]) for place, which in places)
    ways = ((start, meeting), (event.other.position, shown.contacts[0]), (meeting, end))
    return (*balls, *(body for way in ways for body in _arrow(*way, d)))


def _beyond(event: Event) -> float:
    """How far past touching the wall's plane the red ball is drawn: clear of the gate, or at the wall."""
    passes = event.clearances()[0] > 0
    return (_WALL + 1.25) * event.table.diameter if passes else 0.0


def _arrow(start: np.ndarray, end: np.ndarray, diameter: float) -> tuple[Block, ...]:
    """From one ball's edge to the other's, so that no ball lies on it."""
    along = (end - start) / np.linalg.norm(end - start)
    return arrow(start + _TAIL * diameter * along, end - _TIP * diameter * along, width=_LINE * diameter)


def _finish(scene: Scene) -> Scene:
    """Seen from above, without clutter, the balls along the way as those at the start."""
    drawn = tuple(_as_ball(body, scene) for body in scene.drawn if body.colour_name in (*_BALL_OF, PATH))
    return dataclasses.replace(scene, drawn=drawn, camera=_from_above(scene.camera, (*scene.blocks, *drawn)))


def _as_ball(body: Block, scene: Scene) -> Block:
    if body.colour_name == PATH:
        return body
    ball = scene.blocks[_BALL_OF.index(body.colour_name)]
    return dataclasses.replace(ball, position=body.position)


def _from_above(camera: Camera, bodies: Sequence[Block]) -> Camera:
    x, y, _ = np.subtract(camera.position, camera.target)
    points = np.concatenate([corners(body) for body in bodies])
    target = (points.min(0) + points.max(0)) / 2
    field_of_view = max(camera.field_of_view, _NARROWEST)
    reach = np.linalg.norm(points - target, axis=-1).max() / np.tan(field_of_view / 2)
    away = _CLOSEST * reach * towards(_AZIMUTH_SHARE * np.arctan2(x, -y), _ELEVATION)
    position = tuple((target + away).tolist())
    return back_off(Camera(position, tuple(target.tolist()), field_of_view), points)


def _obstacle(length: int, truth: int) -> str | None:
    del truth
    return f"two balls need a table of {_SHORTEST} diameters or more" if length < _SHORTEST else None


GATES = Kind(
    scene_kind="gate",
    sizes={"small": (10, 11, 12), "large": (15, 16, 17)},
    propose=_propose,
    truths=lambda size: (0, 1, 2, 3),
    truth=lambda outcome, size: 2 * _passes(outcome, 0) + _passes(outcome, 1),
    finish=_finish,
    obstacle=_obstacle,
)


def _passes(outcome: Outcome, which: int) -> bool:
    assert outcome.clearances is not None
    return outcome.clearances[which] > 0
