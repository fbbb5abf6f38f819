import dataclasses
import math

import jax
import numpy as np
import pytest

from vlmcog.evaluation.probes import COLUMNS, probes
from vlmcog.models import registry
from vlmcog.models.config import ModelConfig


@pytest.fixture(scope="module")
def nano():
    model = registry.build(ModelConfig(size="nano", image_size=16, prefix_length=32))
    return model, jax.jit(model.init)(jax.random.key(0))


@pytest.fixture(scope="module")
def lit(trials):
    """Trials whose margin is how bright the picture is, whose offset is chance, and whose count is all the same."""
    rng = np.random.default_rng(0)
    source = trials(90)
    for index, trial in enumerate(source):
        brightness, offset = rng.uniform(60, 190), rng.normal()
        image = np.clip(brightness + rng.normal(0, 20, size=trial.image.shape), 0, 255).astype(np.uint8)
        of = {"margin": brightness / 255, "top_offset": offset, "n_blocks": 3}
        source[index] = dataclasses.replace(trial, image=image, **of)
    return source


@pytest.fixture(scope="module")
def table(nano, lit):
    return probes(*nano, lit, batch_size=16)


def of(table, network, quantity):
    return table[(table.network == network) & (table.quantity == quantity)].set_index("layer")


def test_there_is_a_row_for_each_layer_and_quantity(table):
    assert list(table.columns) == list(COLUMNS)
    rows = {"pixels": 1, "vision": 3, "language": 3}
    assert table.groupby("network").size().to_dict() == {network: 3 * n for network, n in rows.items()}
    assert not table.duplicated(["network", "layer", "quantity"]).any()
    assert set(table.n) == {90}


def test_what_the_picture_shows_is_found_where_the_model_saw_it(table):
    assert (of(table, "pixels", "margin").value > 0.9).all()
    assert (of(table, "vision", "margin").value > 0.9).all()
    language = of(table, "language", "margin").value
    assert language[0] < 0.01  # a word's embedding
    assert (language[1:] > 0.5).all()
    found = table[table.quantity == "margin"]
    assert ((found.ci_low <= found.value) & (found.value <= found.ci_high))[found.layer > 0].all()


def test_chance_is_not_found(table):
    assert (table[table.quantity == "top_offset"].value < 0.05).all()
    assert (table[table.quantity != "n_blocks"].control < 0.05).all()


def test_a_quantity_that_is_the_same_for_all_has_no_value(table):
    same = table[table.quantity == "n_blocks"]
    assert same.value.isna().all()
    assert set(same.reason) == {"no variance"}
    assert set(table[table.quantity != "n_blocks"].reason) == {""}


def test_a_set_may_have_no_quantities(nano, lit):
    blank = type(lit)(dataclasses.replace(trial, margin=math.nan, top_offset=math.nan, n_blocks=0) for trial in lit[:3])
    found = probes(*nano, blank, batch_size=16)
    assert found.value.isna().all()
    assert set(found.n) == {0}
    assert set(found.reason) == {"too few items"}


def test_the_batch_size_changes_nothing(nano, lit, table):
    other = probes(*nano, lit, batch_size=45)
    np.testing.assert_allclose(other.value, table.value, atol=1e-3)


@pytest.mark.slow
def test_a_model_without_a_decoder_has_what_it_has(lit):
    model = registry.build(ModelConfig(family="siglip", size="nano", image_size=16))
    found = probes(model, jax.jit(model.init)(jax.random.key(0)), lit, batch_size=16)
    assert set(found.network) == {"pixels", "vision"}
    assert (of(found, "vision", "margin").value > 0.9).all()
