import jax.numpy as jnp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlmcog.errors import UserError
from vlmcog.training.rules import apply_rules

TREE = {"img": {"kernel": jnp.zeros(2), "bias": jnp.zeros(2)}, "llm": {"kernel": jnp.zeros(2)}}
NAMES = ["img/kernel", "img/bias", "llm/kernel"]


@given(st.permutations(NAMES), st.integers(0, 3))
def test_the_first_match_decides_and_every_parameter_is_covered_or_named(names, count):
    rules = [(name, index) for index, name in enumerate(names[:count])]
    if count == len(names):
        values = apply_rules("key", rules, TREE)
        assert {"img/kernel": values["img"]["kernel"], "img/bias": values["img"]["bias"]} == {
            name: index for name, index in ((n, i) for n, i in rules if n.startswith("img"))
        }
    else:
        with pytest.raises(UserError, match="key: no rule matches the parameter (" + "|".join(names[count:]) + ")"):
            apply_rules("key", rules, TREE)
        assert apply_rules("key", [*rules, (".*", -1)], TREE)["llm"]["kernel"] == dict(rules).get("llm/kernel", -1)


def test_a_pattern_matches_the_whole_name():
    with pytest.raises(UserError, match="no rule matches"):
        apply_rules("key", [("img", 0), ("llm/.*", 1)], TREE)


@pytest.mark.parametrize("rules", [[("imgg/.*", 0), (".*", 1)], [(".*", 1), ("img/.*", 0)]])
def test_a_rule_that_decides_nothing_is_refused(rules):
    with pytest.raises(UserError, match="decides on no parameter"):
        apply_rules("key", rules, TREE)
