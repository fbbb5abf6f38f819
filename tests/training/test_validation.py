import dataclasses
import math

import jax
import numpy as np
import pytest

from vlmcog.errors import UserError
from vlmcog.training import sharding, validation


@pytest.mark.parametrize("mesh", [{"fsdp": 1}, {"fsdp": 8}])
def test_loss_and_accuracy_are_those_of_the_trials_one_by_one(make_config, bright_model, make_trials, mesh):
    """21 items in batches of 8: the padding of the last batch doesn't count."""
    config, trials = make_config(mesh=mesh, eval_items=21), make_trials(30)
    where = sharding.make_mesh(config.mesh, config.data.batch_size)
    params = jax.tree.map(lambda leaf: 3 * leaf, bright_model.init(jax.random.key(3)))
    row = validation.make_validate(bright_model, trials, where, config)(params)

    losses, correct = [], []
    for trial in trials[:21]:
        example = bright_model.processor.score_example(trial.image, trial.question, trial.options)
        scores = np.asarray(bright_model.score(params, {key: value[None] for key, value in example.items()}))[0]
        losses.append(-scores[trial.answer])
        correct.append(scores.argmax() == trial.answer)
    assert row["validation_loss"] == pytest.approx(np.mean(losses), rel=1e-5)
    assert row["validation_accuracy"] == pytest.approx(np.mean(correct))
    assert 0 < row["validation_accuracy"] < 1
    assert row["validation_items"] == 21


def test_trials_with_fewer_options_are_padded_and_those_without_truth_left_out(make_config, bright_model, make_trials):
    config = make_config(mesh={"fsdp": 1})
    where = sharding.make_mesh(config.mesh, config.data.batch_size)
    trials = make_trials(10)
    trials[1] = dataclasses.replace(trials[1], options=("yes",), answer=0)
    trials[2] = dataclasses.replace(trials[2], answer=-1)
    params = jax.tree.map(lambda leaf: 3 * leaf, bright_model.init(jax.random.key(3)))
    row = validation.make_validate(bright_model, trials, where, config)(params)
    assert row["validation_items"] == 9
    assert math.isfinite(row["validation_loss"])
    with pytest.raises(UserError, match="no validation trial has a ground truth"):
        validation.make_validate(bright_model, [trials[2]], where, config)
