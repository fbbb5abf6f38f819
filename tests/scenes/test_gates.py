"""Gate events: the closed form against a stepped simulation, and pictures that show what it says."""

import dataclasses
import math

import numpy as np
import pytest

from vlmcog.scenes.collisions import Disc, Table, collided, roll
from vlmcog.scenes.gates import CLEAR, GATES, sample_event
from vlmcog.scenes.generate import maker
from vlmcog.scenes.look_file import RED
from vlmcog.scenes.looks import LOOKS
from vlmcog.scenes.paths import PATH
from vlmcog.scenes.scene import SPHERE

TABLE = Table(low=-0.5, high=0.5, gate=0.0, gate_width=0.4, thickness=0.05, diameter=0.1)
ANSWERS = [(passes, alone) for passes in (False, True) for alone in (False, True)]
MADE = {"seed": 0, "split": "test", "split_size": "small"}


def _disc(x, y, vx, vy) -> Disc:
    return Disc(np.array([x, y]), np.array([vx, vy]))


@pytest.mark.parametrize("seed", range(5))
def test_a_collision_keeps_momentum_and_energy(seed):
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * math.pi)
    one = Disc(np.zeros(2), rng.normal(size=2))
    other = Disc(0.1 * np.array([math.cos(angle), math.sin(angle)]), rng.normal(size=2))
    after = collided(one, other)
    assert sum(disc.velocity for disc in after) == pytest.approx(one.velocity + other.velocity)
    energies = [sum(disc.velocity @ disc.velocity for disc in pair) for pair in ((one, other), after)]
    assert energies[0] == pytest.approx(energies[1])


def test_a_ball_that_hits_one_at_rest_head_on_stops():
    ball, other = collided(_disc(1.0, 0.0, -1.0, 0.0), _disc(0.9, 0.0, 0.0, 0.0))
    assert ball.velocity == pytest.approx([0, 0])
    assert other.velocity == pytest.approx([-1, 0])


@pytest.mark.parametrize(("y", "expected"), [(0.0, 1.5), (0.1, 0.5), (-0.1, 0.5), (0.2, -0.5), (-0.4, -2.5)])
def test_clearance_is_counted_in_diameters_from_touching_a_post(y, expected):
    arrival = roll(_disc(1.0, y, -1.0, 0.0), None, TABLE).arrival
    assert arrival is not None
    assert arrival.position == pytest.approx([0.05, y])
    assert TABLE.clearance(arrival) == pytest.approx(expected)


def test_a_ball_bounces_off_the_side_and_may_never_arrive():
    bounced = roll(_disc(0.95, 0.0, -1.0, 1.0), None, TABLE)
    assert np.array(bounced.bends) == pytest.approx(np.array([[0.95, 0.0], [0.5, 0.45], [0.05, 0.0]]))
    assert roll(_disc(1.0, 0.0, 1.0, 1.0), None, TABLE).arrival is None


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(("passes", "alone"), ANSWERS)
def test_events_end_as_asked_and_as_stepped_springs_say(passes, alone, seed):
    event, outcome = sample_event(np.random.default_rng(seed), length=12, passes=passes, would_pass=alone)
    assert outcome.clearances is not None
    assert min(map(abs, outcome.clearances)) >= CLEAR
    assert (outcome.clearances[0] > 0, outcome.clearances[1] > 0) == (passes, alone)
    for other, clearance in zip((event.other, None), outcome.clearances, strict=True):
        arrival = _stepped(event.ball, other, event.table)
        assert event.table.clearance(arrival) == pytest.approx(clearance, abs=0.02)


def _stepped(ball: Disc, other: Disc | None, table: Table, step=5e-5, stiffness=1e7) -> Disc:
    """Small time steps, and a stiff spring between the balls: knows no closed form."""
    position, velocity = ball.position.copy(), ball.velocity.copy()
    others = other and other.position.copy(), other and other.velocity.copy()
    while position[0] > table.diameter / 2:
        if others[0] is not None:
            apart = position - others[0]
            distance = math.hypot(*apart)
            push = step * stiffness * max(table.diameter - distance, 0.0) * apart / distance
            velocity, others = velocity + push, (others[0] + step * (others[1] - push), others[1] - push)
        position = position + step * velocity
    return Disc(position, velocity)


def test_what_happened_tells_nothing_about_what_would_have():
    make = maker("gates", look="cubeworld", **MADE)
    truths = [GATES.truth(make(index).labelled.outcome, 0) for index in range(24)]
    assert sorted(truths) == sorted(6 * [0, 1, 2, 3])


@pytest.mark.parametrize("look", LOOKS)
def test_the_balls_along_the_way_look_like_those_at_the_start(look):
    scene = maker("gates", look=look, **MADE)(3).labelled.scene
    red, other = scene.blocks[:2]
    along = [body for body in scene.drawn if body.colour_name != PATH]
    assert red.colour_name == RED != other.colour_name
    assert [dataclasses.replace(body, position=(0, 0, 0)) for body in along] == [
        dataclasses.replace(body, position=(0, 0, 0)) for body in (red, other, red)
    ]
    assert {body.shape for body in (*along, red, other)} == {SPHERE}
    assert math.dist(along[0].position, along[1].position) == pytest.approx(red.size[0])
