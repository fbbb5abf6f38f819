"""Names of datasets: name and options determine each other, and a wrong name says what is right."""

import contextlib
import dataclasses
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlmcog.datasets.specs import DEFAULT_CONFIG, LEAST, SPLIT_SIZES, SUFFIXES, DatasetSpec, parse
from vlmcog.errors import UserError
from vlmcog.scenes.looks import LOOKS

NAMES = ("cubeworld_towers", "cubeworld_pyramids")

_number = st.integers(16, 10**6)
_specs = st.builds(
    DatasetSpec,
    st.sampled_from(NAMES),
    st.sampled_from(sorted(LOOKS)),
    st.sampled_from(SPLIT_SIZES),
    image_size=_number | st.just(224),
    train=_number | st.just(8000),
    validation=_number | st.just(500),
    test=_number | st.just(1000),
    seed=st.integers(0, 2**31),
)
_suffix = st.tuples(st.sampled_from(sorted(SUFFIXES)), st.sampled_from(["0", "1", "064", "64", "224", "-5", "8000"]))
_texts = st.builds(
    "{}/{}_{}{}".format,
    st.sampled_from(NAMES),
    st.sampled_from([*LOOKS, "", "lego"]),
    st.sampled_from([*SPLIT_SIZES, "tiny"]),
    st.lists(_suffix, max_size=3).map(lambda suffixes: "".join(f"-{name}{value}" for name, value in suffixes)),
)


@given(_specs | st.just(DatasetSpec("lerer_towers")))
def test_spec_to_name_to_spec(spec):
    assert parse(str(spec)) == spec


@given(_specs, _specs)
def test_different_specs_have_different_names(one, other):
    assert (str(one) == str(other)) == (one == other)


@given(_texts)
def test_name_to_spec_to_name_or_an_error(text):
    with contextlib.suppress(UserError):
        assert str(parse(text)) == text


@given(st.text() | st.text("cubeworld_towers/small-sizetrain0123456789", max_size=60))
def test_any_text_is_a_name_or_an_error(text):
    with contextlib.suppress(UserError):
        assert str(parse(text)) in (text, f"{text}/{DEFAULT_CONFIG}")


@pytest.mark.parametrize("name", NAMES)
def test_bare_name_is_the_default_config(name):
    assert parse(name) == DatasetSpec(name, "cubeworld", "small")
    assert str(parse(name)) == f"{name}/{DEFAULT_CONFIG}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cubeworld_tower", "did you mean 'cubeworld_towers'"),
        ("cubeworld_towers/woden_small", "did you mean 'wooden'"),
        ("cubeworld_towers/wooden_smal", "did you mean 'small'"),
        ("cubeworld_towers/wooden_small-sise64", "did you mean 'size'"),
        ("cubeworld_towers/wooden", "LOOK_SIZE"),
        ("cubeworld_towers/", "LOOK_SIZE"),
        ("cubeworld_towers/wooden_small-seed1-size64", "spelled 'cubeworld_towers/wooden_small-size64-seed1'"),
        ("cubeworld_towers/wooden_small-size224", "spelled 'cubeworld_towers/wooden_small'"),
        ("cubeworld_towers/wooden_small-size0", "image_size is 0; it must be at least 16"),
        ("cubeworld_towers/wooden_small-train-5", "train is -5; it must be at least 1"),
        ("lerer_towers/wooden_small", "single configuration"),
    ],
)
def test_wrong_name_says_what_is_right(text, message):
    with pytest.raises(UserError, match=message):
        parse(text)


def test_error_is_one_line_even_where_the_name_is_not():
    with pytest.raises(UserError) as raised:
        parse("cubeworld_towers/wooden\nsmall")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("field", LEAST)
def test_option_below_its_least_value(field):
    with pytest.raises(UserError, match=f"{field} is {LEAST[field] - 1}"):
        dataclasses.replace(parse("cubeworld_towers"), **{field: LEAST[field] - 1})


def test_public_set_takes_no_options():
    with pytest.raises(UserError, match="size64"):
        DatasetSpec("lerer_towers", image_size=64)


def test_names_need_neither_jax_nor_tfds():
    code = "import sys, vlmcog.datasets.specs; sys.exit(bool({'jax', 'tensorflow_datasets'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], check=True)
