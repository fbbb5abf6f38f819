import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vlmcog.checkpoints import big_vision
from vlmcog.training import input, optimizer, result, sharding, step


def _start(model, config):
    mesh = sharding.make_mesh(config.mesh, config.data.batch_size)
    built = optimizer.build(config, jax.eval_shape(model.init, jax.random.key(0)))
    abstract = step.abstract_state(model, built, config.mesh, mesh)
    state = step.first_state(model, built, abstract, seed=config.seed)
    return mesh, state, step.compiled_step(model, built, abstract)


def _assert_equal(one, other):
    assert one == other


def _losses(model, config, trials, steps=10):
    mesh, state, train_step = _start(model, config)
    batches = input.train_batches(trials, model.processor, config.data, seed=config.seed)
    losses = []
    with jax.set_mesh(mesh):
        for _ in range(steps):
            state, metrics = train_step(state, sharding.put_share(next(batches), mesh))
            losses.append({name: float(value) for name, value in metrics.items()})
    batches.close()
    return losses, jax.device_get(state.params)


ONE = {"mesh": {"fsdp": 1}}


def test_the_same_seed_gives_the_same_losses_and_another_one_others(
    make_config, bright_model_with_dropout, make_trials
):
    runs = [_losses(bright_model_with_dropout, make_config(seed=seed, **ONE), make_trials(40)) for seed in (0, 0, 1)]
    assert runs[0][0] == runs[1][0]
    jax.tree.map(np.testing.assert_array_equal, runs[0][1], runs[1][1])
    assert runs[0][0][0]["loss"] != runs[2][0][0]["loss"]


def test_many_devices_give_the_losses_of_one(make_config, bright_model_with_dropout, make_trials):
    meshes = {"fsdp": 1}, {"fsdp": 8}, {"data": 8, "fsdp": 1}, {"data": 2, "fsdp": 4}
    one, *others = (_losses(bright_model_with_dropout, make_config(mesh=m), make_trials(40))[0] for m in meshes)
    for many in others:
        for alone, together in zip(one, many, strict=True):
            assert together == pytest.approx(alone, rel=1e-5, abs=1e-5)


def test_a_big_vision_checkpoint_is_where_training_starts(make_config, bright_model, tmp_path):
    params = jax.tree.map(lambda leaf: np.full(leaf.shape, 0.5, leaf.dtype), bright_model.init(jax.random.key(0)))
    big_vision.save(tmp_path / "start.npz", params)
    config = make_config(mesh={"fsdp": 8})
    mesh = sharding.make_mesh(config.mesh, config.data.batch_size)
    built = optimizer.build(config, params)
    abstract = step.abstract_state(bright_model, built, config.mesh, mesh)
    base = result.load_base(bright_model, str(tmp_path / "start.npz"), config.mesh, mesh)
    state = step.first_state(bright_model, built, abstract, seed=0, base=base)
    jax.tree.map(np.testing.assert_array_equal, state.params, params)
    jax.tree.map(lambda leaf, wanted: _assert_equal(leaf.sharding, wanted.sharding), state, abstract)


def test_each_device_keeps_its_part_of_parameters_and_moments(make_config, bright_model):
    _, state, _ = _start(bright_model, make_config(mesh={"fsdp": 8}))
    kernel = state.params["img"]["kernel"]
    assert kernel.addressable_shards[0].data.size == kernel.size // 8
    moments = [leaf for leaf in jax.tree.leaves(state.opt_state) if leaf.shape == kernel.shape]
    assert [leaf.sharding for leaf in moments] == [kernel.sharding] * 2


def test_dropout_differs_between_steps(make_config, bright_model_with_dropout, make_trials):
    config = make_config(optimizer={"learning_rate": 0.0}, data={"batch_size": 40, "augment": ()}, **ONE)
    losses, _ = _losses(bright_model_with_dropout, config, make_trials(40), steps=4)
    assert len({row["loss"] for row in losses}) == 4


def test_the_step_is_traced_once_and_takes_over_its_state(make_config, bright_model, make_trials):
    config = make_config(**ONE)
    mesh, state, train_step = _start(bright_model, config)
    batches = input.train_batches(make_trials(40), bright_model.processor, config.data, seed=0)
    first = state
    for _ in range(5):
        state, _ = train_step(state, sharding.put_share(next(batches), mesh))
    assert bright_model.traced == ["loss"]
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(first.params))
    assert int(state.step) == 5
    batches.close()


def test_it_learns(make_config, bright_model, make_trials):
    losses, _ = _losses(bright_model, make_config(optimizer={"learning_rate": 0.01}), make_trials(40), steps=20)
    assert losses[0]["loss"] > 0.5
    assert losses[-1]["loss"] < 0.1


def test_metrics_say_what_they_say(make_config, bright_model, make_trials):
    """The norm is that of the gradient before clipping; loss and accuracy are those before the step."""
    config = make_config(optimizer={"clip_norm": 1e-3}, **ONE)
    mesh, state, train_step = _start(bright_model, config)
    batches = input.train_batches(make_trials(40), bright_model.processor, config.data, seed=0)
    batch = sharding.put_share(next(batches), mesh)
    (loss, metrics), gradients = jax.value_and_grad(bright_model.loss, has_aux=True)(state.params, batch)
    norm = jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(gradients)))
    _, row = train_step(state, batch)
    wanted = {"loss": loss, "token_accuracy": metrics["accuracy"], "grad_norm": norm, "learning_rate": jnp.float32(0)}
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), row, wanted)
    batches.close()
