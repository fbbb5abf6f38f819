"""What must hold of PaliGemma for any parameters."""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from parity import jit

from vlmcog.errors import UserError
from vlmcog.models.config import ModelConfig
from vlmcog.models.processor import Processor
from vlmcog.models.registry import build
from vlmcog.models.tokenizer import EOS, PAD, SentencePieceTokenizer

CONFIG = ModelConfig(size="nano", image_size=16, prefix_length=12, suffix_length=4, scan=True)
QUESTIONS = ("Will this block tower fall?", "Would it?", "any")
ANSWERS = ("yes", "no", "14")
N_IMAGE = 4


@pytest.fixture(scope="module")
def model():
    return build(CONFIG)


@pytest.fixture(scope="module")
def fresh(model):
    return jit(model.init)(jax.random.key(0))


@pytest.fixture(scope="module")
def params(fresh):
    """Parameters away from where they start, so that biases and norms count."""
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: leaf + 0.3 * rng.standard_normal(leaf.shape, np.float32), fresh)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def batch(model, images):
    return _train_batch(model.processor, images)


@pytest.fixture(scope="module")
def loss(model):
    return jit(model.loss)


@pytest.fixture(scope="module")
def score(model):
    return jit(model.score)


@pytest.fixture(scope="module")
def forward(model):
    """Logits at every text token, by the plain forward pass."""

    @jit
    def logits(params, batch):
        hidden = model.module.apply({"params": params}, batch, method="read").hidden
        return model.module.apply({"params": params}, hidden, method="logits")

    return lambda params, batch: logits(params, {key: jnp.asarray(value) for key, value in batch.items()})


def _stack(examples):
    return {key: np.stack([example[key] for example in examples]) for key in examples[0]}


def _train_batch(processor: Processor, images):
    return _stack([processor.train_example(*trial) for trial in zip(images, QUESTIONS, ANSWERS, strict=True)])


def _score_batch(processor: Processor, images, options=ANSWERS):
    return _stack([processor.score_example(i, q, options) for i, q in zip(images, QUESTIONS, strict=True)])


def _with_padding(processor: Processor, extra: int) -> Processor:
    lengths = {"prefix_length": processor.prefix_length + extra, "suffix_length": processor.suffix_length + extra}
    return dataclasses.replace(processor, **lengths)


def _other_token(batch, row: int, column: int):
    text = batch["text"].copy()
    text[row, column] = 7
    return batch | {"text": text}


def test_a_later_answer_token_never_changes_an_earlier_logit(params, batch, forward):
    before = forward(params, batch)
    for column in np.flatnonzero(batch["mask_loss"][0]):
        after = forward(params, _other_token(batch, 0, column))
        changed = np.abs(after - before)[0].max(axis=-1) > 1e-6
        assert not changed[:column].any()
        assert changed[column]


def test_the_prefix_sees_itself_both_ways(params, batch, forward):
    last = np.flatnonzero(batch["mask_ar"][0] == 0)[-1]
    last = min(last, int(batch["mask_input"][0].sum()) - int(batch["mask_loss"][0].sum()) - 1)
    change = np.abs(forward(params, _other_token(batch, 0, last)) - forward(params, batch))
    assert change[0, 0].max() > 1e-3
    assert change[1:].max() == 0


def test_padding_holds_nothing_that_counts(loss, params, batch):
    text = np.where(batch["mask_input"], batch["text"], 9)
    mask_ar = np.where(batch["mask_input"], batch["mask_ar"], 1)
    junk = batch | {"text": text, "mask_ar": mask_ar}
    np.testing.assert_allclose(loss(params, junk)[0], loss(params, batch)[0], rtol=1e-6)


def test_more_padding_gives_the_same_loss_and_scores(model, params, images, loss, score):
    extra = 9
    config = dataclasses.replace(CONFIG, suffix_length=CONFIG.suffix_length + extra)
    padded = dataclasses.replace(model, config=config, processor=_with_padding(model.processor, extra))
    short, long = (_train_batch(m.processor, images) for m in (model, padded))
    np.testing.assert_allclose(jit(padded.loss)(params, long)[0], loss(params, short)[0], rtol=1e-6)
    short, long = (_score_batch(m.processor, images) for m in (model, padded))
    np.testing.assert_allclose(jit(padded.score)(params, long), score(params, short), rtol=1e-6)


def test_loss_and_accuracy_equal_a_naive_reference(params, batch, forward, loss):
    logits = np.asarray(forward(params, batch), np.float64)
    log_probability = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    rows, columns = np.nonzero(batch["mask_loss"])
    targets = batch["text"][rows, columns]
    wanted = -log_probability[rows, columns - 1, targets].mean()
    got, metrics = loss(params, batch)
    np.testing.assert_allclose(got, wanted, rtol=1e-6)
    right = logits[rows, columns - 1].argmax(axis=-1) == targets
    np.testing.assert_allclose(metrics["accuracy"], right.mean(), rtol=1e-6)
    assert metrics["n_tokens"] == len(rows)


def test_scores_from_the_cache_equal_those_of_full_forward_passes(model, params, images, forward, score):
    scores = score(params, _score_batch(model.processor, images))
    for index, option in enumerate(ANSWERS):
        trials = zip(images, QUESTIONS, strict=True)
        full = _stack([model.processor.train_example(image, question, option) for image, question in trials])
        log_probability = jax.nn.log_softmax(forward(params, full), axis=-1)
        tokens = jnp.take_along_axis(log_probability[:, :-1], full["text"][:, 1:, None], axis=-1)[..., 0]
        wanted = np.where(full["mask_loss"][:, 1:], tokens, 0).sum(axis=-1)
        np.testing.assert_allclose(scores[:, index], wanted, rtol=1e-5)


def test_scores_do_not_depend_on_the_other_options(model, params, images, score):
    forth = score(params, _score_batch(model.processor, images))
    back = score(params, _score_batch(model.processor, images, ANSWERS[::-1]))
    np.testing.assert_allclose(forth, back[:, ::-1], rtol=1e-6)


def test_an_option_without_tokens_is_impossible(model, params, images, score):
    batch = _score_batch(model.processor, images)
    batch["options_mask"][:, 1] = False
    scores = score(params, batch)
    assert np.isneginf(scores[:, 1]).all()
    assert np.isfinite(scores[:, [0, 2]]).all()


def _reply_by_full_forward_passes(model, params, images, forward, n_tokens):
    """Greedy replies as the argmax of repeated full forward passes."""
    prefixes = [model.processor.prefix_example(*trial) for trial in zip(images, QUESTIONS, strict=True)]
    batch = _train_batch(model.processor, images)
    replies = np.zeros((len(images), n_tokens), np.int32)
    for column in range(n_tokens):
        for row, prefix in enumerate(prefixes):
            start = int(prefix["mask_input"].sum())
            batch["text"][row, start : start + column] = replies[row, :column]
            batch["mask_ar"][row] = (np.arange(batch["text"].shape[1]) >= start).astype(np.int32)
            batch["mask_input"][row] = np.arange(batch["text"].shape[1]) < start + column
        logits = forward(params, batch)
        last = batch["mask_input"].sum(axis=-1) - 1
        replies[:, column] = np.argmax(np.asarray(logits)[np.arange(len(images)), last], axis=-1)
    return replies


@pytest.fixture(scope="module")
def prefix_batch(model, images):
    return _stack([model.processor.prefix_example(*trial) for trial in zip(images, QUESTIONS, strict=True)])


@pytest.fixture(scope="module")
def replies(model, params, prefix_batch):
    return np.asarray(jit(functools.partial(model.generate, max_tokens=3))(params, prefix_batch))


def test_greedy_replies_equal_repeated_full_forward_passes(model, params, images, replies, forward):
    wanted = _reply_by_full_forward_passes(model, params, images, forward, 3)
    assert EOS not in wanted
    np.testing.assert_array_equal(replies, wanted)


def test_replies_end_at_eos(model, params, prefix_batch, replies, monkeypatch):
    monkeypatch.setattr(model.processor.tokenizer, "eos", int(replies[0, 1]))
    ended = np.asarray(jit(functools.partial(model.generate, max_tokens=3))(params, prefix_batch))
    assert ended[0].tolist() == [replies[0, 0], replies[0, 1], PAD]


def test_sampling_needs_and_follows_its_rng(model, params, prefix_batch):
    with pytest.raises(ValueError, match="rng"):
        model.generate(params, prefix_batch, max_tokens=2, temperature=1.0)
    sample = jit(functools.partial(model.generate, max_tokens=6, temperature=5.0))
    first, again, other = (np.asarray(sample(params, prefix_batch, rng=jax.random.key(seed))) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_one_compilation_serves_every_batch_of_a_shape(model, params, images):
    traces = 0

    @jit
    def score(params, batch):
        nonlocal traces
        traces += 1
        return model.score(params, batch)

    score(params, _score_batch(model.processor, images))
    score(params, _score_batch(model.processor, images[::-1], ("no", "0", "any")))
    assert traces == 1


@pytest.mark.parametrize("change", [{"scan": False}, {"remat": True}])
def test_how_the_layers_run_changes_neither_parameters_nor_gradients(model, params, batch, change):
    other = build(dataclasses.replace(CONFIG, **change))
    init = [jax.eval_shape(m.init, jax.random.key(0)) for m in (model, other)]
    assert init[0] == init[1]
    plain, changed = (jit(jax.grad(lambda p, m=m: m.loss(p, batch)[0]))(params) for m in (model, other))
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5), plain, changed)


@pytest.mark.parametrize("size", ["nano", "2-nano"])
def test_a_last_layer_run_on_the_text_alone_changes_neither_states_nor_memory(size, batch):
    whole, cut = (build(dataclasses.replace(CONFIG, size=size, scan=scan)) for scan in (True, False))
    params = jit(whole.init)(jax.random.key(1))
    want, got = (jit(functools.partial(m.module.apply, method="read"))({"params": params}, batch) for m in (whole, cut))
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5), got, want)


def test_dropout_only_with_an_rng(params, batch, loss):
    dropped = build(dataclasses.replace(CONFIG, dropout=0.5))
    noisy = jit(lambda rng: dropped.loss(params, batch, rng)[0])
    assert noisy(jax.random.key(0)) == noisy(jax.random.key(0)) != noisy(jax.random.key(1))
    np.testing.assert_allclose(jit(dropped.loss)(params, batch)[0], loss(params, batch)[0], rtol=1e-6)


@pytest.mark.slow
def test_bfloat16_compute_stays_near_float32(model, params, batch, loss):
    low = build(dataclasses.replace(CONFIG, compute_dtype="bfloat16"))
    (got, _), gradients = jit(jax.value_and_grad(low.loss, has_aux=True))(params, batch)
    np.testing.assert_allclose(got, loss(params, batch)[0], rtol=0.05)
    assert {leaf.dtype for leaf in jax.tree.leaves(gradients)} == {jnp.dtype("float32")}
    batch = _score_batch(model.processor, np.zeros((3, 16, 16, 3), np.uint8))
    assert jit(low.score)(params, batch).dtype == jnp.float32


def test_fresh_image_tokens_have_the_size_of_text_embeddings(model, fresh, batch):
    variables = {"params": fresh}
    image = model.module.apply(variables, jnp.asarray(batch["image"]), method=lambda m, x: m.img(x))
    text = model.module.apply(variables, jnp.asarray(batch["text"]), method=lambda m, x: m.llm.embed(x))
    rms = [float(jnp.sqrt(jnp.mean(jnp.square(x)))) for x in (image, text)]
    assert image.shape == (3, N_IMAGE, 32)
    np.testing.assert_allclose(rms, 1.0, atol=0.25)


@pytest.mark.slow
def test_learns_64_random_images_by_heart(model, fresh):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (64, 16, 16, 3), dtype=np.uint8)
    answers = [("no", "yes")[i] for i in rng.integers(0, 2, 64)]
    batch = _stack([model.processor.train_example(i, "Will it fall?", a) for i, a in zip(images, answers, strict=True)])
    optimizer = optax.adam(3e-3)

    @jit
    def train(params):
        def step(carry, _):
            params, state = carry
            (_, metrics), gradients = jax.value_and_grad(model.loss, has_aux=True)(params, batch)
            updates, state = optimizer.update(gradients, state)
            return (optax.apply_updates(params, updates), state), metrics

        return jax.lax.scan(step, (params, optimizer.init(params)), None, length=200)[1]

    with jax.numpy_dtype_promotion("standard"):  # optax's adam mixes int and float
        metrics = train(fresh)
    assert metrics["accuracy"][-1] == 1.0
    assert metrics["loss"][-1] < 0.05


def test_the_real_3b_has_its_shapes_without_its_memory():
    model = build(ModelConfig(size="3b", image_size=224))
    params = jax.eval_shape(model.init, jax.random.key(0))
    assert sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params)) == 2_923_335_408
    img, llm = params["img"], params["llm"]
    block = img["Transformer"]["encoderblock"]
    shapes = {
        (1, 256, 1152): img["pos_embedding"],
        (14, 14, 3, 1152): img["embedding"]["kernel"],
        (27, 1152, 16, 72): block["MultiHeadDotProductAttention_0"]["query"]["kernel"],
        (27, 16, 72, 1152): block["MultiHeadDotProductAttention_0"]["out"]["kernel"],
        (27, 1152, 4304): block["MlpBlock_0"]["Dense_0"]["kernel"],
        (1152, 2048): img["head"]["kernel"],
        (257_152, 2048): llm["embedder"]["input_embedding"],
        (18, 8, 2048, 256): llm["layers"]["attn"]["q_einsum"]["w"],
        (18, 2, 1, 2048, 256): llm["layers"]["attn"]["kv_einsum"]["w"],
        (18, 8, 256, 2048): llm["layers"]["attn"]["attn_vec_einsum"]["w"],
        (18, 2, 2048, 16_384): llm["layers"]["mlp"]["gating_einsum"],
        (18, 16_384, 2048): llm["layers"]["mlp"]["linear"],
        (18, 2048): llm["layers"]["pre_ffw_norm"]["scale"],
        (2048,): llm["final_norm"]["scale"],
    }
    assert all(leaf.shape == shape for shape, leaf in shapes.items())
    batch = {
        "image": jax.ShapeDtypeStruct((2, 224, 224, 3), jnp.float32),
        "text": jax.ShapeDtypeStruct((2, 24), jnp.int32),
        "mask_ar": jax.ShapeDtypeStruct((2, 24), jnp.int32),
        "mask_input": jax.ShapeDtypeStruct((2, 24), jnp.bool_),
        "mask_loss": jax.ShapeDtypeStruct((2, 24), jnp.bool_),
    }
    assert jax.eval_shape(model.loss, params, batch)[0].shape == ()


def test_tiny_is_small():
    params = jax.eval_shape(build(ModelConfig()).init, jax.random.key(0))
    assert 1e6 < sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params)) < 5e6


def test_a_vocabulary_larger_than_the_model_is_refused(monkeypatch):
    monkeypatch.setattr(SentencePieceTokenizer, "vocab_size", 300_000)
    with pytest.raises(UserError, match="300000 pieces"):
        build(ModelConfig(size="3b", image_size=224))
