"""The Gemma decoder, with big_vision's parameter names.

`GemmaConfig` says which: the first (https://arxiv.org/abs/2403.08295), the second (https://arxiv.org/abs/2408.00118:
soft caps, local layers, norms on both sides of a block) or the third (https://arxiv.org/abs/2503.19786: norms of
queries and keys, five local layers to a global one, whose rotation is slower).

Letters: l layer, b batch, t queries, s keys, n query heads, k key-value heads, h head size, d width, f MLP width,
v vocabulary.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from vlmcog.models.activations import gated_gelu_tanh
from vlmcog.models.attention import KeysValues, attend, soft_cap, window_mask
from vlmcog.models.config import DecoderConfig
from vlmcog.models.hugging_face import DECODER_KEYS, Rule, expect_config, sizes_to, within
from vlmcog.models.layers import STATES, Layer, Network, dropout, dtypes_of, split_batch, stack_layers, whole_rows
from vlmcog.models.norms import RMSNorm
from vlmcog.models.products import product
from vlmcog.models.rope import frequencies, rotate

_EPSILON = 1e-6
_KEYS = {**DECODER_KEYS, "head_dim": "head_dim"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class GemmaConfig(DecoderConfig):
    """A Gemma decoder.

    Attributes:
      query_scalar: queries are divided by its square root; 0 stands for `head_dim`.
      attention_cap: attention scores are squashed into ± this, by tanh; 0 leaves them.
      logit_cap: the same for the logits.
      post_norms: norms after attention and MLP too, as in Gemma 2 and 3.
      qk_norms: norms of queries and keys, as in Gemma 3.
      window: tokens that a token of a local layer sees, itself included; 0 where all layers are global.
      pattern: every so-manieth layer is global, the others local.
      local_wavelength: the `wavelength` of local layers.
      stretch: positions of global layers are divided by it.
    """

    query_scalar: float = 0.0
    attention_cap: float = 0.0
    logit_cap: float = 0.0
    post_norms: bool = False
    qk_norms: bool = False
    window: int = 0
    pattern: int = 1
    local_wavelength: float = 10_000.0
    stretch: float = 1.0

    def is_local(self, layer: int) -> bool:
        """Whether a layer sees its window alone."""
        return self.window > 0 and (layer + 1) % self.pattern != 0


def _sized(width: int, depth: int, mlp_dim: int, num_heads: int, num_kv_heads: int, head_dim: int, **more: Any):
    sizes = dict(zip(_KEYS, (width, depth, mlp_dim, num_heads, num_kv_heads, head_dim), strict=True))
    return GemmaConfig(**sizes, **more)


_SECOND: dict[str, Any] = {"attention_cap": 50.0, "logit_cap": 30.0, "post_norms": True, "window": 4096, "pattern": 2}
_THIRD: dict[str, Any] = {
    "post_norms": True,
    "qk_norms": True,
    "window": 1024,
    "pattern": 6,
    "wavelength": 1_000_000.0,
    "stretch": 8.0,
}
SIZES = {
    "nano": _sized(32, 2, 64, 2, 1, 16),
    "tiny": _sized(128, 2, 256, 4, 1, 32),
    "2b": _sized(2048, 18, 16_384, 8, 1, 256),
    "2-nano": _sized(32, 2, 64, 4, 2, 16, **(_SECOND | {"window": 8})),
    "2-2b": _sized(2304, 26, 9216, 8, 4, 256, **_SECOND),
    "2-9b": _sized(3584, 42, 14_336, 16, 8, 256, **_SECOND),
    "2-27b": _sized(4608, 46, 36_864, 32, 16, 128, **_SECOND, query_scalar=4608 / 32),
    "3-nano": _sized(32, 3, 64, 4, 2, 16, **(_THIRD | {"window": 8, "pattern": 3})),
    "3-4b": _sized(2560, 34, 10_240, 8, 4, 256, **_THIRD),
    "3-12b": _sized(3840, 48, 15_360, 16, 8, 256, **_THIRD),
    "3-27b": _sized(5376, 62, 21_504, 32, 16, 128, **_THIRD, query_scalar=5376 / 32),
}


class Past(NamedTuple):
    """What the decoder remembers: keys and values, and the position of each slot."""

    keys_values: KeysValues
    positions: Int[Array, "b s"]

    def grow(self, slots: int) -> "Past":
        """Adds empty slots at the end."""
        return Past(self.keys_values.grow(slots), jnp.pad(self.positions, ((0, 0), (0, slots))))


class Masks(NamedTuple):
    """What a token sees: in global layers, and in local ones where there are any."""

    everywhere: Bool[Array, "b t s"]
    nearby: Bool[Array, "b t s"] | None = None


class _Kind(NamedTuple):
    """What tells local layers from global ones, a row a layer."""

    is_local: Bool[Array, "*l"]
    frequencies: Float[Array, "*l half"]


class Gemma(Network):
    """Embeddings in, hidden states out; `logits` reads them where they are needed."""

    config: GemmaConfig
    vocabulary_size: int

    def setup(self) -> None:
        """Names the parts as big_vision does."""
        dtypes = dtypes_of(self)
        self.embedder = _Embedder(self.vocabulary_size, self.config.width, **dtypes)
        self.layers = self._stack(self.config.depth)
        self.final_norm = RMSNorm(**dtypes)
        if not self.config.tied:
            self.head = _Embedder(self.vocabulary_size, self.config.width, **dtypes)

    def embed(self, tokens: Int[Array, "b t"]) -> Float[Array, "b t d"]:
        """Embeddings of tokens, times sqrt(d)."""
        return self.embedder.encode(tokens)

    def __call__(
        self,
        x: Float[Array, "b t d"],
        positions: Int[Array, "b t"],
        masks: Masks,
        past: KeysValues | None = None,
        slot: Int[Array, ""] | int = 0,
        *,
        tail: int = 0,
    ) -> tuple[Float[Array, "b tail d"], KeysValues]:
        """Runs the layers on `x` and returns the states at its last `tail` tokens, at all where that is 0.

        Without `past` the keys are those of `x` itself (s = t); with it, those of `x` are written into its slots from
        `slot` on and the masks run over all its slots.
        """
        own = (_kinds(self.config), past)
        if tail and self._may_cut():
            return self._cut(tail, x, own, positions, masks, slot)
        x, keys_values = self.layers(x, own, positions, masks, slot)
        return x[:, -tail:], keys_values

    def _may_cut(self) -> bool:
        """A rolled loop has one shape for all layers; parameters are made, and states kept, of the whole stack."""
        whole = self.scan or self.is_initializing() or self.is_mutable_collection(STATES)
        return self.config.depth > 1 and not whole

    def _cut(self, tail: int, x: Array, own: Any, *shared: Any) -> tuple[Array, KeysValues]:
        """Runs the last layer on the last tokens alone, since nobody reads what it makes of the others."""
        leaves, tree = jax.tree.flatten(({"params": self.layers.variables["params"]}, own))
        # By one split: the gradients of two slices would be two whole stacks.
        halves = [jax.lax.split(leaf, (len(leaf) - 1, 1)) for leaf in leaves]
        first, last = (tree.unflatten(half) for half in zip(*halves, strict=True))
        params, own = first
        x, earlier = self._stack(self.config.depth - 1, parent=None).apply(params, x, own, *shared, rngs=self._rngs())
        params, own = jax.tree.map(lambda leaf: leaf[0], last)
        block = nn.remat(_Block) if self.remat else _Block
        layer = block(self.config, self.dropout, **dtypes_of(self), tail=tail, parent=None)
        x, latest = layer.apply(params, x, own, *shared, rngs=self._rngs())
        return x, jax.tree.map(lambda layers, layer: jnp.concatenate([layers, layer[None]]), earlier, latest)

    def _rngs(self) -> dict[str, PRNGKeyArray]:
        return {"dropout": self.make_rng("dropout")} if self.has_rng("dropout") else {}

    def _stack(self, depth: int, **where: Any) -> Any:
        layers = stack_layers(_Block, depth=depth, scan=self.scan, remat=self.remat, n_broadcast=3)
        return layers(self.config, self.dropout, **dtypes_of(self), **where)

    def extend(
        self,
        text: Int[Array, "b t"],
        positions: Int[Array, "b t"],
        mask: Bool[Array, "b t s"],
        past: "Past",
        slot: Int[Array, ""] | int,
    ) -> tuple[Float[Array, "b t d"], "Past"]:
        """Hidden states at more text after what `past` remembers, which is written into its slots from `slot` on."""
        places = jax.lax.dynamic_update_slice_in_dim(past.positions, positions, slot, axis=1)
        nearby = mask & window_mask(positions, places, self.config.window) if self.config.window else None
        hidden, keys_values = self(self.embed(text), positions, Masks(mask, nearby), past.keys_values, slot)
        return hidden, Past(keys_values, places)

    def logits(self, hidden: Float[Array, "*b d"]) -> Float[Array, "*b v"]:
        """Float32 logits of the next token, by the final norm and the embedding or, if untied, the head."""
        logits = (self.embedder if self.config.tied else self.head).decode(self.final_norm(hidden))
        return soft_cap(logits, self.config.logit_cap) if self.config.logit_cap else logits


class _Embedder(nn.Module):
    vocabulary_size: int
    width: int
    dtype: DTypeLike
    param_dtype: DTypeLike

    def setup(self) -> None:
        init = nn.initializers.normal(self.width**-0.5)
        shape = (self.vocabulary_size, self.width)
        self.table = whole_rows(self.param("input_embedding", init, shape, self.param_dtype))

    def encode(self, tokens):
        # sqrt(d) is rounded to the compute dtype, as it was when the public weights were trained.
        scale = jnp.sqrt(jnp.float32(self.width)).astype(self.dtype)
        return self.table[tokens].astype(self.dtype) * scale

    def decode(self, x):
        return jnp.einsum("...d,vd->...v", x, self.table.astype(self.dtype), preferred_element_type=jnp.float32)


class _Block(Layer):
    config: GemmaConfig
    dropout: float
    dtype: DTypeLike
    param_dtype: DTypeLike
    tail: int = 0  # tokens that it returns, the last ones; 0 for all

    @nn.compact
    def __call__(self, x, own, positions, masks, slot):
        kind, past = own
        dtypes = dtypes_of(self)
        drop, x = dropout(self), split_batch(x)
        y = RMSNorm(**dtypes, name="pre_attention_norm")(x)
        attention = _Attention(self.config, **dtypes, tail=self.tail, name="attn")
        y, keys_values = attention(y, kind, past, positions, masks, slot)
        if self.config.post_norms:
            y = RMSNorm(**dtypes, name="post_attention_norm")(y)
        x = x[:, -self.tail :] + drop(y)
        y = RMSNorm(**dtypes, name="pre_ffw_norm")(x)
        y = _FeedForward(self.config.mlp_dim, **dtypes, name="mlp")(y)
        if self.config.post_norms:
            y = RMSNorm(**dtypes, name="post_ffw_norm")(y)
        return x + drop(y), keys_values


class _Attention(nn.Module):
    config: GemmaConfig
    dtype: DTypeLike
    param_dtype: DTypeLike
    tail: int = 0

    @nn.compact
    def __call__(self, x, kind, past, positions, masks, slot):
        config, dtypes = self.config, dtypes_of(self)
        d, h = config.width, config.head_dim
        query = _Weight((config.num_heads, d, h), (1,), **dtypes, name="q_einsum")()
        key_value = _Weight((2, config.num_kv_heads, d, h), (2,), **dtypes, name="kv_einsum")()
        out = _Weight((config.num_heads, h, d), (0, 1), **dtypes, name="attn_vec_einsum")()

        query = product(x[:, -self.tail :], query, over=(1,))
        key, value = (product(x, key_value[i], over=(1,)) for i in range(2))
        if config.qk_norms:
            query, key = RMSNorm(**dtypes, name="query_norm")(query), RMSNorm(**dtypes, name="key_norm")(key)
        angles = positions[..., None].astype(jnp.float32) * kind.frequencies[None, None]
        query, key = rotate(query, angles[:, -self.tail :]), rotate(key, angles)
        seen = KeysValues(key, value) if past is None else past.write(key, value, slot)
        scale = (config.query_scalar or h) ** -0.5
        mask = masks.everywhere
        if masks.nearby is not None:
            mask = jnp.where(kind.is_local, masks.nearby, mask)
        y = attend(query, *seen, mask[:, -self.tail :], scale=scale, cap=config.attention_cap)
        return product(y, out, over=(0, 1)), seen


class _FeedForward(nn.Module):
    mlp_dim: int
    dtype: DTypeLike
    param_dtype: DTypeLike

    @nn.compact
    def __call__(self, x):
        d, f = x.shape[-1], self.mlp_dim
        gating = self.param("gating_einsum", _fan_in((1,), 3), (2, d, f), self.param_dtype).astype(self.dtype)
        linear = self.param("linear", _fan_in((0,), 2), (f, d), self.param_dtype).astype(self.dtype)
        gate, up = product(x, gating[0]), product(x, gating[1])
        return product(gated_gelu_tanh(gate, up), linear)


class _Weight(nn.Module):
    shape: tuple[int, ...]
    in_axes: tuple[int, ...]
    dtype: DTypeLike
    param_dtype: DTypeLike

    @nn.compact
    def __call__(self):
        init = _fan_in(self.in_axes, len(self.shape))
        return self.param("w", init, self.shape, self.param_dtype).astype(self.dtype)


def _fan_in(in_axes: tuple[int, ...], n_axes: int) -> nn.initializers.Initializer:
    out_axes = tuple(axis for axis in range(n_axes) if axis not in in_axes)
    return nn.initializers.variance_scaling(1.0, "fan_in", "truncated_normal", in_axes, out_axes)


def _kinds(config: GemmaConfig) -> _Kind:
    half = config.head_dim // 2
    near, far = frequencies(half, config.local_wavelength), frequencies(half, config.wavelength) / config.stretch
    local = [config.is_local(layer) for layer in range(config.depth)]
    return _Kind(jnp.array(local), jnp.stack([near if is_local else far for is_local in local]))


def hugging_face(config: GemmaConfig, path: str, name: str, *, head: str, padded: int | None = None) -> list[Rule]:
    """The rules of a decoder's parameters.

    Args:
      config: of the decoder.
      path: before our paths, such as `llm/`.
      name: before their names, such as `language_model.model.`.
      head: their name of the matrix that reads off the logits, where it isn't tied.
      padded: rows of their embedding in files that pad it.
    """
    rules = [
        Rule("layers/pre_attention_norm/scale", "input_layernorm.weight"),
        Rule("layers/attn/q_einsum/w", "self_attn.q_proj.weight", "(n h) d -> n d h"),
        Rule("layers/attn/kv_einsum/w", "self_attn.k_proj.weight", "(k h) d -> k d h", index=0),
        Rule("layers/attn/kv_einsum/w", "self_attn.v_proj.weight", "(k h) d -> k d h", index=1),
        Rule("layers/attn/attn_vec_einsum/w", "self_attn.o_proj.weight", "d (n h) -> n h d"),
        Rule("layers/mlp/gating_einsum", "mlp.gate_proj.weight", "f d -> d f", index=0),
        Rule("layers/mlp/gating_einsum", "mlp.up_proj.weight", "f d -> d f", index=1),
        Rule("layers/mlp/linear", "mlp.down_proj.weight", "d f -> f d"),
    ]
    if config.post_norms:
        rules += [
            Rule("layers/post_attention_norm/scale", "post_attention_layernorm.weight"),
            Rule("layers/pre_ffw_norm/scale", "pre_feedforward_layernorm.weight"),
            Rule("layers/post_ffw_norm/scale", "post_feedforward_layernorm.weight"),
        ]
    else:  # the first Gemma calls the norm before the MLP by the place where it stands
        rules += [Rule("layers/pre_ffw_norm/scale", "post_attention_layernorm.weight")]
    if config.qk_norms:
        rules += [
            Rule("layers/attn/query_norm/scale", "self_attn.q_norm.weight"),
            Rule("layers/attn/key_norm/scale", "self_attn.k_norm.weight"),
        ]
    outer = [
        Rule("embedder/input_embedding", "embed_tokens.weight", padded=padded),
        Rule("final_norm/scale", "norm.weight"),
    ]
    heads = [] if config.tied else [Rule(f"{path}head/input_embedding", head, padded=padded)]
    return within([*outer, *within(rules, "", "layers.{layer}.")], path, name) + heads


# What a `config.json` means by leaving a key out.
_OF_FIRST = {
    "hidden_size": 3072,
    "intermediate_size": 24_576,
    "num_hidden_layers": 28,
    "num_attention_heads": 16,
    "num_key_value_heads": 16,
    "head_dim": 256,
    "rope_theta": 10_000.0,
    "tie_word_embeddings": True,
}
_OF_SECOND = {
    "hidden_size": 2304,
    "intermediate_size": 9216,
    "num_hidden_layers": 26,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "query_pre_attn_scalar": 256,
    "sliding_window": 4096,
    "rope_theta": 10_000.0,
    "tie_word_embeddings": True,
}
_DEFAULTS = {
    "gemma": _OF_FIRST,
    "gemma2": _OF_SECOND | {"attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0},
    "gemma3_text": _OF_SECOND | {"rope_theta": 1_000_000.0, "rope_local_base_freq": 10_000.0},
}
_PATTERNS = {"gemma": 1, "gemma2": 2, "gemma3_text": 6}


def config_from(config: Mapping[str, Any]) -> GemmaConfig:
    """Returns the decoder that the `text_config` of a `config.json` describes.

    Raises:
      UserError: it is no Gemma's or asks for what isn't built here.
    """
    kind = config.get("model_type", "gemma")
    expect_config({"model_type": kind in _DEFAULTS and kind}, {"model_type": kind})
    activation = {"hidden_act": "gelu_pytorch_tanh", "hidden_activation": "gelu_pytorch_tanh"}
    if kind == "gemma":  # old files say `gelu` of the first, which was trained, and is run, with the tanh
        activation = {}
    expect_config(config, {"rms_norm_eps": _EPSILON, "attention_bias": False, **activation})
    values = _DEFAULTS[kind] | {key: value for key, value in config.items() if value is not None} | _ropes(config)
    pattern = values.get("sliding_window_pattern", values.get("_sliding_window_pattern", _PATTERNS[kind]))
    made = GemmaConfig(
        **{ours: values[theirs] for ours, theirs in _KEYS.items()},
        query_scalar=values.get("query_pre_attn_scalar", 0.0),
        attention_cap=values.get("attn_logit_softcapping", 0.0),
        logit_cap=values.get("final_logit_softcapping", 0.0),
        post_norms=kind != "gemma",
        qk_norms=kind == "gemma3_text",
        window=values.get("sliding_window", 0),
        pattern=pattern,
        wavelength=values["rope_theta"],
        local_wavelength=values.get("rope_local_base_freq", values["rope_theta"]),
        stretch=values.get("stretch", 1.0),
        tied=values["tie_word_embeddings"],
    )
    expect_config(config, {"layer_types": _layer_types(made)})
    return made


def to_config(config: GemmaConfig) -> dict[str, Any]:
    """Undoes `config_from`."""
    kind = "gemma3_text" if config.qk_norms else "gemma2" if config.post_norms else "gemma"
    values = {
        "model_type": kind,
        **sizes_to(config, _KEYS),
        "hidden_act": "gelu_pytorch_tanh",
        "hidden_activation": "gelu_pytorch_tanh",
        "rms_norm_eps": _EPSILON,
        "rope_theta": config.wavelength,
        "tie_word_embeddings": config.tied,
    }
    if kind != "gemma":
        values |= {
            "query_pre_attn_scalar": config.query_scalar or config.head_dim,
            "attn_logit_softcapping": config.attention_cap or None,
            "final_logit_softcapping": config.logit_cap or None,
            "sliding_window": config.window,
            "layer_types": _layer_types(config),
        }
    if kind == "gemma3_text":
        scaling = {"rope_type": "linear", "factor": config.stretch} if config.stretch != 1 else None
        values |= {
            "rope_local_base_freq": config.local_wavelength,
            "rope_scaling": scaling,
            "sliding_window_pattern": config.pattern,
        }
    return values


def _layer_types(config: GemmaConfig) -> list[str]:
    kinds = {True: "sliding_attention", False: "full_attention"}
    return [kinds[config.is_local(layer)] for layer in range(config.depth)]


def _ropes(config: Mapping[str, Any]) -> dict[str, float]:
    """Wavelengths and stretch, from the old keys or transformers 5's `rope_parameters`."""
    ropes = config.get("rope_parameters") or {}
    far = ropes.get("full_attention", ropes) or config.get("rope_scaling") or {}
    near = ropes.get("sliding_attention", {})
    expect_config(far, {"rope_type": "linear" if far.get("factor") else "default"})
    found = {"rope_theta": far.get("rope_theta"), "rope_local_base_freq": near.get("rope_theta")}
    return {"stretch": far.get("factor", 1.0)} | {key: value for key, value in found.items() if value}
