"""Every shipped config, as it would train; `VLMCOG_WRITE_GOLDEN=1 pytest tests/test_configs.py` rewrites the dumps."""

import os
import pathlib

import jax
import pytest

from vlmcog.datasets import specs
from vlmcog.errors import UserError
from vlmcog.models import registry
from vlmcog.training import config as config_lib
from vlmcog.training import config_file, optimizer, sharding, step

ROOT = pathlib.Path(__file__).parents[1]
GOLDEN = pathlib.Path(__file__).parent / "golden_configs"
SHIPPED = ["towers", "towers:small", "towers:large", "pyramids", "pyramids:small", "pyramids:large"]


def _load(name):
    file, _, argument = name.partition(":")
    return config_file.load(f"{ROOT}/configs/{file}.py" + (f":{argument}" if argument else ""))


def test_all_are_listed():
    runs = {path.stem for path in (ROOT / "configs").glob("*.py")} - {"study"}  # of many runs; see tests/study
    assert {name.partition(":")[0] for name in SHIPPED} == runs


@pytest.mark.parametrize("name", SHIPPED)
def test_every_config_builds_up_to_its_compiled_step(name):
    config = _load(name)
    assert str(specs.parse(config.data.dataset)) == config.data.dataset
    model = registry.build(config.model)
    built = optimizer.build(config, jax.eval_shape(model.init, jax.random.key(0)))
    mesh = sharding.make_mesh(config.mesh, config.data.batch_size)
    state = step.abstract_state(model, built, config.mesh, mesh)
    assert sum(leaf.size for leaf in jax.tree.leaves(state.params)) > 100_000


@pytest.mark.parametrize("name", ["towers:small", "towers:large", "pyramids:small", "pyramids:large"])
def test_every_config_is_as_it_was(name):
    golden, dump = GOLDEN / f"{name.replace(':', '_')}.json", config_lib.to_json(_load(name))
    if os.environ.get("VLMCOG_WRITE_GOLDEN"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(dump)
    assert golden.read_text() == dump


@pytest.mark.parametrize("name", ["towers:smal", "pyramids:smal"])
def test_an_unknown_argument_is_refused(name):
    with pytest.raises(UserError, match=r"config argument 'smal' is unknown \(did you mean 'small'\?\)"):
        _load(name)
