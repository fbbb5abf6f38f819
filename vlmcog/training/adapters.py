"""LoRA and QLoRA: small matrices that learn in the place of large ones, which stay frozen or are stored in four bits.

LoRA: https://arxiv.org/abs/2106.09685; QLoRA: https://arxiv.org/abs/2305.14314. The adapters of a weight `.../w` are
the parameters `.../w_lora_a` [*stacked, *summed, r] and `.../w_lora_b` [*stacked, r, *left] beside it (see `matrices`),
so rules, shardings and checkpoints treat them as any other. A product becomes x w + (alpha / r) drop(x) a b.

qwix quantises. Its own LoRA is not used: it knows a weight by patching `jax.lax` while a module runs, and would give
one adapter to both halves of a stacked weight such as `gating_einsum`.
"""

import importlib.util
import math
import re
from typing import Any

import jax
import jax.numpy as jnp
from flax import traverse_util
from jaxtyping import Array, PRNGKeyArray

from vlmcog.errors import UserError
from vlmcog.models.boundary import Params
from vlmcog.models.products import LowRank, dequantise
from vlmcog.training.config import LoraConfig, PartLora
from vlmcog.training.matrices import Matrix, matrix_of, part_of

A, B = "_lora_a", "_lora_b"
LARGEST_TILE = 64  # weights that share a scale, as in QLoRA's paper; fewer where 64 doesn't divide the axis


def start(config: LoraConfig, base: Params, rng: PRNGKeyArray) -> Params:
    """Returns parameters with adapters, whose products are those of `base` (`b` starts at 0); jittable.

    `a` starts uniform within 1/sqrt(fan in), as peft's does. With `lora.base`, every matrix of `base` is quantised.
    """
    if not config.active:
        return base
    leaves = {}
    for number, (name, leaf) in enumerate(flatten(base).items()):
        matrix, part = matrix_of(name), _part(config, name)
        leaves[name] = leaf
        if matrix is not None and not any(re.fullmatch(pattern, name) for pattern in config.also):
            leaves[name] = quantise(leaf, matrix, config.base)
        if matrix is not None and part is not None:
            leaves |= _new(name, leaf.shape, matrix, part.rank, jax.random.fold_in(rng, number))
    return unflatten(leaves)


def attach(config: LoraConfig, params: Params, rng: PRNGKeyArray | None = None) -> Params:
    """Returns the parameters as a model takes them: a `LowRank` in the place of each adapted weight.

    Args:
      config: what the adapters were made by.
      params: from `start`.
      rng: switches the adapters' dropout on.
    """
    if not config.active:
        return params
    leaves = flatten(params)
    adapted = {name.removesuffix(A) for name in leaves if name.endswith(A)}
    kept = {name: leaf for name, leaf in leaves.items() if not is_adapter(name)}
    for number, name in enumerate(sorted(adapted)):
        a, b, part, matrix = leaves[name + A], leaves[name + B], _part(config, name), matrix_of(name)
        assert part is not None
        assert matrix is not None
        key = None if rng is None or not part.dropout else jax.random.fold_in(rng, number)
        if key is not None and a.ndim > len(matrix.summed) + 1:  # one for each layer that the model's loop slices out
            key = jax.random.split(key, len(a))
        kept[name] = LowRank(kept[name], a, b, key, scale=part.scale, dropout=part.dropout)
    return unflatten(kept)


def merge(config: LoraConfig, params: Params) -> Params:
    """Returns plain parameters that do without adapters what `params` do with them: w + (alpha / r) a b."""
    if not config.active:
        return params
    leaves = flatten(params)
    return unflatten({name: _merged(config, leaves, name) for name in leaves if not is_adapter(name)})


def is_adapter(name: str) -> bool:
    """Whether a parameter is an adapter, by its name."""
    return name.endswith((A, B))


def check(config: LoraConfig, base: Any) -> None:
    """Checks that every part which asks for adapters has matrices for them.

    Raises:
      UserError: a part has none, or qwix is to quantise but isn't installed.
    """
    if config.base != "float" and importlib.util.find_spec("qwix") is None:
        raise UserError(f"lora.base={config.base!r} needs qwix; install it with: pip install 'vlmcog[quant]'")
    adapted = {part_of(name) for name in flatten(base) if _part(config, name) and matrix_of(name)}
    for name, part in config.parts.items():
        if part.rank and name not in adapted:
            raise UserError(
                f"lora.{name}.rank={part.rank} adapts nothing: this model has no such matrices there; set it to 0"
            )


def quantise(weight: Array, matrix: Matrix, base: str) -> Any:
    """Returns a weight as qwix stores it in four bits: one scale for each tile along the last axis summed over."""
    if base == "float":
        return weight
    import qwix  # an extra

    axis = matrix.summed[-1] % weight.ndim
    tile = math.gcd(weight.shape[axis], LARGEST_TILE)
    others = [other for other in range(weight.ndim) if other != axis]
    qtype = {"nf4": "nf4", "int4": jnp.int4}[base]
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        return qwix.quantize(weight, qtype, channelwise_axes=others, tiled_axes={axis: tile})


def flatten(params: Any) -> dict[str, Any]:
    """Returns parameters by name; a quantised one is a single leaf."""
    return {"/".join(path): leaf for path, leaf in traverse_util.flatten_dict(params).items()}


def unflatten(leaves: dict[str, Any]) -> Params:
    """Returns the tree of parameters by name."""
    return traverse_util.unflatten_dict({tuple(name.split("/")): leaf for name, leaf in leaves.items()})


def _part(config: LoraConfig, name: str) -> PartLora | None:
    """The settings of a matrix's adapter; None where it has none."""
    matrix = matrix_of(name)
    if matrix is None:
        return None
    part = config.parts[part_of(name)]
    return part if part.rank and part.takes(matrix.kind) else None


def _new(name: str, shape: tuple[int, ...], matrix: Matrix, rank: int, rng: PRNGKeyArray) -> dict[str, Array]:
    a, b = _shapes(shape, matrix, rank)
    bound = math.prod(shape[axis] for axis in matrix.summed) ** -0.5
    return {name + A: jax.random.uniform(rng, a, jnp.float32, -bound, bound), name + B: jnp.zeros(b, jnp.float32)}


def _shapes(shape: tuple[int, ...], matrix: Matrix, rank: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    stacked, summed, left = _sizes(shape, matrix)
    return (*stacked, *summed, rank), (*stacked, rank, *left)


def _sizes(shape: tuple[int, ...], matrix: Matrix) -> tuple[tuple[int, ...], ...]:
    """Of the axes that stack matrices, that a product sums over, and that it leaves."""
    return tuple(tuple(shape[axis] for axis in axes) for axes in _axes(shape, matrix))


def _axes(shape: tuple[int, ...], matrix: Matrix) -> tuple[tuple[int, ...], ...]:
    return matrix.stacked(len(shape)), matrix.summed, matrix.left


def _merged(config: LoraConfig, leaves: dict[str, Any], name: str) -> Array:
    weight = leaves[name] if isinstance(leaves[name], jax.Array) else dequantise(leaves[name])
    part, matrix = _part(config, name), matrix_of(name)
    if part is None or matrix is None:
        return weight
    change = part.scale * _multiplied(leaves[name + A], leaves[name + B], weight.shape, matrix)
    return (weight.astype(jnp.float32) + change).astype(weight.dtype)


def _multiplied(a: Array, b: Array, shape: tuple[int, ...], matrix: Matrix) -> Array:
    """The stack of matrices a b, its axes in the order of the weight's."""
    stacked, summed, left = _sizes(shape, matrix)
    n, rank = math.prod(stacked), a.shape[-1]
    change = jnp.matmul(a.reshape(n, -1, rank), b.reshape(n, rank, -1)).reshape(*stacked, *summed, *left)
    order = [axis % len(shape) for axes in _axes(shape, matrix) for axis in axes]
    return jnp.transpose(change, [order.index(axis) for axis in range(len(shape))])
