import hypothesis
import pytest
from hypothesis import strategies as st

from vlmcog.report import scale

shares = st.floats(0, 1)


@hypothesis.given(st.lists(shares, min_size=1))
def test_the_accuracy_axis_holds_every_value(values):
    axis = scale.accuracy_scale(values)
    assert 0 <= axis.low <= min(values)
    assert (axis.low, axis.high) != (1.0, 1.0)
    assert axis.ticks[-1] == 1.0
    assert all(axis.low <= tick <= axis.high for tick in axis.ticks)
    assert axis.low == 0 or min(values) - axis.low >= 0.1 - 1e-6


def test_nan_does_not_move_the_axis():
    assert scale.accuracy_scale([0.5, float("nan")]) == scale.accuracy_scale([0.5])


@hypothesis.given(st.lists(st.floats(1e-6, 1e6), min_size=1))
def test_the_value_axis_holds_every_value(values):
    axis = scale.value_scale(values)
    assert max(values) <= axis.high <= 2 * max(values) * (1 + 1e-9)


def test_a_flat_zero_curve_has_an_axis():
    assert scale.value_scale([0.0, 0.0]).high > 0


def test_positions_are_percentages_within_the_figure():
    axis = scale.Scale(0.4, 1.0, ())
    assert [axis.at(value) for value in (0.4, 0.7, 1.0, 1.2, 0.0)] == ["0.00%", "50.00%", "100.00%", "100.00%", "0.00%"]
    assert (axis.up(1.0), axis.up(0.4), axis.between(0.4, 0.7)) == ("0.00%", "100.00%", "50.00%")


def test_a_polyline_goes_up_with_its_values():
    unit = scale.UNIT
    assert scale.polyline([(0, 0), (1, 1)], unit, unit) == "0.00,100.00 100.00,0.00"
    with pytest.raises(ValueError, match="empty"):
        scale.accuracy_scale([])
