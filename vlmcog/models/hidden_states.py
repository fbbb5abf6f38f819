"""What a model holds before, between and after its layers, for probes to read.

The networks know nothing of it: where states are asked for, Flax lets `keep` see each `Layer` run, and what is pooled
there is stacked as the layers are. Where they aren't, nothing is traced.

Letters: l layers and the input before them, b batch, i images, n tokens, t text tokens, d width.
"""

from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from flax import traverse_util
from jaxtyping import Array, Bool, Float

from vlmcog.models.boundary import Params
from vlmcog.models.layers import STATES, Layer

VISION, LANGUAGE = "vision", "language"
Pool = Callable[[Float[Array, "i n d"]], Float[Array, "b ..."]]


def keep(
    module: nn.Module, params: Params, *args: Any, method: str, pools: Mapping[str, Pool]
) -> dict[str, Float[Array, "l b ..."]]:
    """Runs a method of a model's module; returns the pooled states of each of its networks, float32.

    Row 0 is the input of the first layer, row k what leaves the k-th: the stream that layers add to, before any norm.

    Args:
      module: the model's.
      params: its parameters.
      *args: of the method.
      method: one that runs the networks, such as `read`.
      pools: what becomes of a network's tokens, by its name.
    """

    def watch(call: Callable[..., Any], args: tuple, kwargs: dict, context: nn.module.InterceptorContext) -> Any:
        out = call(*args, **kwargs)
        if isinstance(context.module, Layer) and context.method_name == "__call__":
            pool = pools[_network_of(context.module.path)]
            _store(context.module, "before", pool(args[0].astype(jnp.float32)))
            _store(context.module, "after", pool(out[0].astype(jnp.float32)))
        return out

    with nn.intercept_methods(watch):
        _, kept = module.apply({"params": params}, *args, method=method, mutable=[STATES])
    layers: dict[str, list[Any]] = {}
    for path, own in sorted(traverse_util.flatten_dict(kept[STATES], is_leaf=_is_layer).items(), key=_natural):
        layers.setdefault(_network_of(path), []).append(own)
    return {network: _in_order(of) for network, of in layers.items()}


def at_last(x: Float[Array, "b n d"], mask_input: Bool[Array, "b t"]) -> Float[Array, "b d"]:
    """The state at the last real token of the text, which is what comes last among the tokens."""
    n_text = mask_input.shape[1]
    last = mask_input.sum(axis=-1)[:, None, None] - 1
    return jnp.take_along_axis(x[:, -n_text:], last, axis=1, mode="clip")[:, 0]


def mean_of_images(
    x: Float[Array, "i n d"], n_batch: int, real: Bool[Array, "b n"] | None = None
) -> Float[Array, "b d"]:
    """The mean over all tokens of an example's images, those that `real` says where some are padding."""
    x = x.reshape(n_batch, -1, x.shape[-1])
    return jnp.mean(x, axis=1, where=None if real is None else real[..., None])


def _network_of(path: tuple[str, ...]) -> str:
    """Every family calls its tower `img`."""
    return VISION if path[0] == "img" else LANGUAGE


def _store(layer: nn.Module, name: str, state: Array) -> None:
    layer.sow(STATES, name, state, init_fn=lambda: state, reduce_fn=lambda _, new: new)


def _is_layer(path: tuple[str, ...], node: Any) -> bool:
    del path
    return "after" in node


def _natural(named: tuple[tuple[str, ...], Any]) -> tuple[int, tuple[str, ...]]:
    """`block_10` after `block_9`."""
    path, _ = named
    return len(path[-1]), path


def _in_order(layers: list[Mapping[str, Float[Array, "g b ..."]]]) -> Float[Array, "l b ..."]:
    """From the layers of a stack of groups, each stacked over the groups, to a row a layer."""
    after = jnp.stack([layer["after"] for layer in layers], axis=1)
    return jnp.concatenate([layers[0]["before"][:1], after.reshape(-1, *after.shape[2:])])
