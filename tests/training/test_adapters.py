import dataclasses
import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import qwix

from vlmcog.errors import UserError
from vlmcog.models.products import dequantise, product
from vlmcog.training import adapters, optimizer, sharding, step
from vlmcog.training.config import LoraConfig, PartLora, from_config_dict
from vlmcog.training.matrices import matrix_of

EVERYWHERE = {part: {"rank": 2, "alpha": 6.0} for part in ("vision", "connector", "language")}
QUICKLY = {"xla_backend_optimization_level": 0}
RNG = np.random.default_rng(0)
BATCH = {"x": RNG.normal(size=(8, 16)).astype(np.float32), "y": RNG.normal(size=(8, 16)).astype(np.float32)}


class Small:
    """Four matrices, one of each kind that a model stores, in the names of the real ones; compiles in a blink."""

    def init(self, rng):
        keys = iter(jax.random.split(rng, 4))

        def weight(*shape):
            return jax.random.normal(next(keys), shape) / 4

        return {
            "img": {"head": {"kernel": weight(16, 16), "bias": jnp.zeros(16)}},
            "llm": {
                "layers": {
                    "mlp": {"gating_einsum": weight(2, 2, 16, 16), "linear": weight(2, 16, 16)},
                    "attn": {"q_einsum": {"w": weight(2, 4, 16, 4)}},
                }
            },
        }

    def loss(self, params, batch, rng=None):
        del rng
        x, layers = batch["x"], params["llm"]["layers"]
        x = product(x, params["img"]["head"]["kernel"]) + params["img"]["head"]["bias"][None]
        for i in range(2):
            x = x + product(x, layers["attn"]["q_einsum"]["w"][i], over=(1,)).reshape(-1, 16)
            gate, up = (product(x, layers["mlp"]["gating_einsum"][i][j]) for j in range(2))
            x = x + product(jnp.tanh(gate) * up, layers["mlp"]["linear"][i])
        mean = jnp.mean((x - batch["y"]) ** 2)
        return mean, {"loss": mean, "accuracy": mean, "n_tokens": jnp.float32(8)}


MODEL, BASE = Small(), Small().init(jax.random.key(0))


def _config(mesh=None, **lora):
    return from_config_dict(
        {
            "lora": {"connector": EVERYWHERE["connector"], "language": EVERYWHERE["language"], **lora},
            "optimizer": {"method": "adamw", "learning_rate": 0.05, "decayed": ((".*", True),)},
            "schedule": {"warmup_steps": 0},
            "data": {"batch_size": 8},
            "mesh": {"fsdp": 1} if mesh is None else mesh,
        }
    )


def _trained(config, steps=5):
    """What a run starts from and ends with, and its losses."""
    mesh, built = sharding.make_mesh(config.mesh, 8), optimizer.build(config, BASE)
    abstract = step.abstract_state(MODEL, built, config.mesh, mesh)
    state = step.first_state(MODEL, built, abstract, seed=0, base=BASE)
    start = jax.device_get(state.params)
    batch, losses = sharding.put_share(BATCH, mesh), []
    with jax.set_mesh(mesh):
        train_step = jax.jit(functools.partial(step.train_step, MODEL, built), compiler_options=QUICKLY)
        for _ in range(steps):
            state, metrics = train_step(state, batch)
            losses.append(float(metrics["loss"]))
    return built, jax.tree.map(jnp.asarray, start), state, losses


@functools.cache
def _quantised(kind):
    return _trained(_config(base=kind))


def _loss(params, model=MODEL, batch=BATCH):
    return float(jax.jit(model.loss)(params, batch)[0])


@pytest.fixture(scope="module")
def trained():
    return _trained(_config())


@pytest.fixture(scope="module")
def real(make_real_batch):
    """The parameters of the real architecture, and its loss on a batch as a function of them."""
    model, base, batch, _ = make_real_batch([1.0, 0.0])
    loss = jax.jit(lambda params: model.loss(params, batch)[0], compiler_options=QUICKLY)
    return base, lambda params: float(loss(params))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["float", "nf4"])
def test_merged_weights_do_what_adapters_do_on_the_real_architecture(real, kind):
    base, loss = real
    config = LoraConfig(**{part: PartLora(**values) for part, values in EVERYWHERE.items()}, base=kind)
    leaves = adapters.flatten(adapters.start(config, base, jax.random.key(1)))
    matrices = {name for name in leaves if matrix_of(name)}
    assert {name.removesuffix(adapters.A) for name in leaves if name.endswith(adapters.A)} == matrices
    assert len(matrices) == 12
    for name in matrices:
        shape = leaves[name + adapters.B].shape
        leaves[name + adapters.B] = jnp.asarray(RNG.normal(size=shape), jnp.float32) * 0.1
    params = adapters.unflatten(leaves)
    adapted = loss(adapters.attach(config, params))
    assert adapted == pytest.approx(loss(adapters.merge(config, params)), rel=1e-5)
    assert abs(adapted - loss(base)) > 1e-3


def test_before_the_first_step_the_adapted_model_is_the_base_model(trained):
    built, start, _, _ = trained
    # Two programs, whose sums XLA may order differently: on one kind of CPU they are 1e-7 apart, on others equal.
    assert _loss(built.attach(start)) == pytest.approx(_loss(BASE), rel=3e-7)
    jax.tree.map(np.testing.assert_array_equal, adapters.merge(built.lora, start), BASE)


def test_merged_weights_do_what_trained_adapters_do(trained):
    built, start, state, _ = trained
    merged = _loss(adapters.merge(built.lora, state.params))
    assert _loss(built.attach(state.params)) == pytest.approx(merged, rel=1e-5)
    assert merged < 0.9 * _loss(built.attach(start))


def test_only_adapters_learn_and_only_they_are_saved(trained):
    built, start, state, _ = trained
    before, after = adapters.flatten(start), adapters.flatten(state.params)
    changed = {name for name in after if not np.array_equal(before[name], after[name])}
    assert changed == {name for name in after if adapters.is_adapter(name)} == built.learning
    kept = adapters.flatten(step.saved(built, state).params)
    assert set(kept) == built.learning
    moments = sum(leaf.size for leaf in jax.tree.leaves(state.opt_state) if leaf.ndim)
    assert moments == 2 * sum(leaf.size for leaf in kept.values())
    first = dataclasses.replace(state, params=start)
    resumed = step.resumed(built, first, step.saved(built, state))
    jax.tree.map(np.testing.assert_array_equal, resumed.params, state.params)


def test_stacked_matrices_have_adapters_of_their_own(trained):
    """As gate_proj and up_proj have in peft, which starts them alike: a within 1/sqrt(fan in), b at 0."""
    leaves = adapters.flatten(trained[1])
    a, b = (leaves[f"llm/layers/mlp/gating_einsum{end}"] for end in (adapters.A, adapters.B))
    assert (a.shape, b.shape) == ((2, 2, 16, 2), (2, 2, 2, 16))
    assert (a.dtype, b.dtype) == (jnp.float32, jnp.float32)
    assert not b.any()
    assert 0.2 < jnp.abs(a).max() <= 0.25


@pytest.mark.parametrize(
    ("lora", "wanted"),
    [
        ({"language": {"rank": 2, "mlp": False}}, r"llm/layers/attn/.*"),
        ({"vision": {"rank": 2, "attention": False}}, r"img/Transformer/encoderblock/MlpBlock_0/.*"),
        ({"connector": {"rank": 2}}, r"img/head/kernel.*"),
    ],
)
def test_parts_and_kinds_are_chosen(real, lora, wanted):
    base, _ = real
    config = LoraConfig(**{part: PartLora(**values) for part, values in lora.items()})
    params = jax.eval_shape(lambda: adapters.start(config, base, jax.random.key(0)))
    adapted = {name for name in adapters.flatten(params) if adapters.is_adapter(name)}
    matrices = {name for name in adapters.flatten(base) if matrix_of(name) and re.fullmatch(wanted, name)}
    assert adapted == {name + end for name in matrices for end in (adapters.A, adapters.B)}


@pytest.mark.parametrize(("rank", "alpha"), [(1, 1.0), (4, 1.0), (4, 32.0)])
def test_the_change_is_scaled_by_alpha_over_r(rank, alpha):
    name, config = "llm/layers/mlp/linear", LoraConfig(language=PartLora(rank=rank, alpha=alpha))
    leaves = adapters.flatten(adapters.start(config, BASE, jax.random.key(0)))
    b = leaves[name + adapters.B] = jnp.asarray(RNG.normal(size=(2, rank, 16)), jnp.float32)
    change = adapters.flatten(adapters.merge(config, adapters.unflatten(leaves)))[name] - leaves[name]
    wanted = alpha / rank * np.einsum("lfr,lrd->lfd", leaves[name + adapters.A], b)
    np.testing.assert_allclose(change, wanted, atol=1e-4)


def test_dropout_acts_in_training_alone_and_each_layer_drops_its_own():
    built = optimizer.build(_config(language={"rank": 2, "dropout": 0.5}), BASE)
    leaves = adapters.flatten(built.start(BASE, jax.random.key(0)))
    params = adapters.unflatten(leaves | {n: x + 0.1 for n, x in leaves.items() if n.endswith(adapters.B)})
    assert built.attach(params)["llm"]["layers"]["mlp"]["linear"].key is None
    one, two = (built.attach(params, key) for key in jax.random.split(jax.random.key(1)))
    keys = jax.random.key_data(one["llm"]["layers"]["mlp"]["linear"].key)
    assert len(np.unique(keys, axis=0)) == 2
    weight, x = one["llm"]["layers"]["mlp"]["linear"], jnp.ones((4000, 16))
    weight = jax.tree.map(lambda leaf: leaf[0], weight)
    dropped, kept = product(x, weight), product(x, dataclasses.replace(weight, key=None))
    np.testing.assert_allclose(dropped.mean(axis=0), kept[0], atol=0.05)
    assert dropped.std(axis=0).min() > 0.05
    assert not np.array_equal(
        dropped, product(x, jax.tree.map(lambda leaf: leaf[0], two["llm"]["layers"]["mlp"]["linear"]))
    )


@pytest.mark.parametrize("kind", ["nf4", pytest.param("int4", marks=pytest.mark.slow)])
def test_quantised_weights_never_change_and_adapters_on_them_learn(kind):
    built, start, state, _ = _quantised(kind)
    before, after = adapters.flatten(start), adapters.flatten(state.params)
    quantised = {name for name, leaf in before.items() if isinstance(leaf, qwix.QArray)}
    assert quantised == {name for name in adapters.flatten(BASE) if matrix_of(name)}
    for name in set(before) - built.learning:
        jax.tree.map(np.testing.assert_array_equal, before[name], after[name])
    merged = _loss(adapters.merge(built.lora, state.params))
    assert _loss(built.attach(state.params)) == pytest.approx(merged, rel=1e-5)
    assert merged < 0.9 * _loss(built.attach(start))


@pytest.mark.parametrize(("kind", "worst"), [("nf4", 0.16), ("int4", 0.5 / 7 + 0.01)])
def test_quantising_keeps_weights_within_half_a_step(kind, worst):
    """Of a tile's largest weight: int4's steps are a seventh of it, nf4's widest gap (-1 to -0.696) is 0.304."""
    weight = BASE["llm"]["layers"]["mlp"]["linear"]
    stored = adapters.quantise(weight, matrix_of("llm/layers/mlp/linear"), kind)
    assert (stored.scale.shape, stored.qvalue.dtype.name) == ((2, 1, 16), {"nf4": "uint4", "int4": "int4"}[kind])
    error = jnp.abs(dequantise(stored) - weight) / jnp.abs(weight).max(axis=1, keepdims=True)
    assert worst / 2 < error.max() <= worst


def test_sharded_adapters_and_quantised_weights_train_as_on_one_device():
    _, _, _, losses = _trained(_config({"data": 2, "fsdp": 4}, base="nf4"), steps=2)
    assert losses == pytest.approx(_quantised("nf4")[3][:2], rel=1e-5)


def test_what_cannot_be_adapted_is_refused(make_config):
    with pytest.raises(UserError, match=r"lora.vision.rank=2 adapts nothing"):
        optimizer.build(_config(vision={"rank": 2}), BASE)
    with pytest.raises(UserError, match=r"lora.base goes with adapters"):
        make_config(lora={"base": "nf4"})
    with pytest.raises(UserError, match=r"set lora.also to \('readout/.\*',\)"):
        make_config(lora={"vision": {"rank": 2}}, model={"family": "siglip", "size": "nano", "objective": "linear"})
    with pytest.raises(UserError, match=r"leave optimizer.trainable as it is"):
        make_config(lora={"language": {"rank": 2}}, optimizer={"trainable": (("llm/.*", True), (".*", False))})


def test_other_parameters_learn_beside_adapters():
    built = optimizer.build(_config(also=("img/head/.*",), base="nf4"), BASE)
    assert {"img/head/kernel", "img/head/bias"} < built.learning
    with pytest.raises(UserError, match=r"lora.also: the rule 'head' decides on no parameter"):
        optimizer.build(_config(also=("head",)), BASE)


def test_bfloat16_weights_are_refused_unless_frozen():
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, jnp.bfloat16), BASE)
    adapted = optimizer.build(_config(), shapes)
    optimizer.check_precision(adapted, jax.eval_shape(adapted.start, shapes, jax.random.key(0)))
    whole = optimizer.build(from_config_dict({"optimizer": {"decayed": ((".*", True),)}}), shapes)
    with pytest.raises(UserError, match=r"would learn in bfloat16, .* set model.parameter_dtype='float32'"):
        optimizer.check_precision(whole, shapes)
