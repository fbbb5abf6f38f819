import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vlmcog.scenes.geometry import turned
from vlmcog.scenes.scene import Block
from vlmcog.scenes.statics import tower_margin


def _column(*offsets: tuple[float, float], side: float = 0.2, yaw: float = 0.0) -> list[Block]:
    return [
        Block(size=(side,) * 3, position=(x * side, y * side, (level + 0.5) * side), orientation=turned(yaw))
        for level, (x, y) in enumerate(offsets)
    ]


def test_two_cubes_stand_until_half_a_side():
    np.testing.assert_allclose(tower_margin(_column((0, 0), (0.4, 0))), 0.1)
    np.testing.assert_allclose(tower_margin(_column((0, 0), (0.6, 0))), -0.1)
    np.testing.assert_allclose(tower_margin(_column((0, 0), (0.1, 0.45))), 0.05)


def test_the_harmonic_stack_is_on_the_edge():
    """The longest overhang of n blocks is half a harmonic sum: every joint is then exactly at its limit."""
    overhangs = [0.5 / k for k in (4, 3, 2, 1)]
    xs = np.concatenate([[0], np.cumsum(overhangs)])
    np.testing.assert_allclose(tower_margin(_column(*((x, 0) for x in xs))), 0, atol=1e-12)


def test_a_counterweight_can_hold_an_overhang():
    leaning = [(0, 0), (0.4, 0), (0.8, 0)]
    assert tower_margin(_column(*leaning)) < 0
    assert tower_margin(_column(*leaning[:2], (0.1, 0))) > 0


@given(
    offsets=st.lists(st.tuples(st.floats(-0.6, 0.6), st.floats(-0.6, 0.6)), min_size=2, max_size=6),
    turn=st.floats(-3, 3),
    scale=st.floats(0.5, 2),
)
def test_margin_depends_on_neither_heading_nor_scale(offsets, turn, scale):
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    rotated = [tuple(rotation @ offset) for offset in offsets]
    np.testing.assert_allclose(
        tower_margin(_column(*rotated, side=0.2 * scale, yaw=turn)), tower_margin(_column(*offsets)), atol=1e-9
    )
