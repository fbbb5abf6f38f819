import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ml_collections import ConfigDict

from vlmcog.errors import UserError
from vlmcog.training import config as config_lib
from vlmcog.training import tree
from vlmcog.training.config import MeshConfig, OptimizerConfig, ScheduleConfig, TrainConfig

configs = st.builds(
    TrainConfig,
    seed=st.integers(0, 2**31),
    total_steps=st.integers(1000, 10**6),
    optimizer=st.builds(
        OptimizerConfig,
        learning_rate=st.floats(0, 1),
        trainable=st.lists(st.tuples(st.text(), st.booleans())).map(tuple),
    ),
    schedule=st.builds(ScheduleConfig, decay=st.sampled_from(["cosine", "linear", "constant"])),
    mesh=st.builds(MeshConfig, fsdp=st.integers(1, 8)),
)


@given(configs)
def test_config_dict_and_json_give_the_config_back(config):
    assert config_lib.from_config_dict(config_lib.to_config_dict(config)) == config
    assert config_lib.from_config_dict(json.loads(config_lib.to_json(config))) == config


@given(st.data())
def test_a_key_that_is_cut_short_is_refused_with_a_suggestion(data):
    key = data.draw(
        st.sampled_from([key for key in tree.flatten(config_lib.default().to_dict()) if len(key.split(".")[-1]) > 4])
    )
    config = config_lib.default()
    owner = config
    *groups, name = key.split(".")
    for group in groups:
        owner = owner[group]
    owner[name[:-1]] = owner[name]
    with pytest.raises(UserError, match=f"'{key[:-1]}' is unknown.*did you mean '{key[:-1]}"):
        config_lib.from_config_dict(config)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("total_steps", "many", "total_steps must be a whole number, not 'many'"),
        ("total_steps", True, "total_steps must be a whole number, not True"),
        ("total_steps", 1.5, "total_steps must be a whole number, not 1.5"),
        ("total_steps", None, "total_steps must be a whole number, not None"),
        ("optimizer.learning_rate", "1e-3", "optimizer.learning_rate must be a number"),
        ("data.tasks", "tower_falls", "data.tasks must be a tuple"),
        ("data.augment", ("miror",), "data.augment 'miror' is unknown .did you mean 'mirror'"),
        ("optimizer.trainable", (("img/.*", 0),), "optimizer.trainable must be True or False, not 0"),
        ("optimizer.trainable", (("img/.*",),), "optimizer.trainable must be a tuple"),
        ("schedule.decay", "cosin", "schedule.decay 'cosin' is unknown .did you mean 'cosine'"),
        ("model.size", "tinny", "tiny"),
        ("model", "tiny", "model must be a group of keys"),
    ],
)
def test_a_value_of_another_type_is_refused_by_its_key(key, value, message):
    config = config_lib.default()
    config.update_from_flattened_dict({key: value}) if key != "model" else config.__setitem__(key, value)
    with pytest.raises(UserError, match=message) as caught:
        config_lib.from_config_dict(config)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"total_steps": 0},
        {"total_steps": 50},  # all of it warm-up
        {"log_every": 0},
        {"seed": -1},
        {"seed": 2**32},
        {"data": {"batch_size": 0}},
        {"optimizer": {"learning_rate": float("nan")}},
        {"mesh": {"data": -1, "fsdp": -1}},
        {"mesh": {"data": 0}},
    ],
)
def test_values_that_make_no_sense_are_refused(changes):
    with pytest.raises(UserError):
        config_lib.from_config_dict(changes)


def test_a_whole_number_stands_for_a_real_and_a_list_for_a_tuple():
    config = config_lib.from_config_dict(ConfigDict({"optimizer": {"learning_rate": 1}, "data": {"tasks": ["a"]}}))
    assert repr(config.optimizer.learning_rate) == "1.0"
    assert config.data.tasks == ("a",)


def _config(**changes):
    return config_lib.from_config_dict(changes)


def test_judgments_go_with_targets_that_people_gave():
    with pytest.raises(UserError, match=r"data.judgments holds what people said; learn from it by data.targets="):
        _config(data={"judgments": "people.csv"})
    assert _config(data={"judgments": "people.csv", "targets": "distribution"}).data.judgments == "people.csv"


@pytest.mark.parametrize("changes", [{"items": 5}, {"judgments": "people.csv"}])
def test_trials_made_without_end_are_all_learnt_from_their_truth(changes):
    with pytest.raises(UserError, match=r"leave data.items=0 and data.judgments=''"):
        _config(data={"online": "grain", **changes})
