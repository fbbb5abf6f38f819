"""Matrix products of activations and weights as two-dimensional ones, whatever stands in a weight's place.

XLA's CPU backend differentiates a product [b, t, d] x [d, f] about 2.5 times slower than [b*t, d] x [d, f].

A weight may be an array, an array that qwix has quantised, or a `LowRank` of either. Layers fetch it by `self.param`,
cast it by `astype`, index its leading axis, and multiply by `product`; Flax's dense layers do so given `**DENSE`.
"""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class LowRank:
    """A weight with a low-rank change of it (LoRA, https://arxiv.org/abs/2106.09685): x w + scale * drop(x) a b.

    Attributes:
      base: the weight, an array or quantised, its axes in the parameter's own order.
      a: [*summed, r], or stacks of it.
      b: [r, *left], or stacks of it.
      key: for dropout, one a stacked layer; None for none.
      scale: alpha / r.
      dropout: share of the inputs of `a` that are dropped.
    """

    base: Any
    a: Array
    b: Array
    key: Array | None = None
    scale: float = dataclasses.field(default=1.0, metadata={"static": True})
    dropout: float = dataclasses.field(default=0.0, metadata={"static": True})

    def astype(self, dtype: Any) -> "LowRank":
        """Casts all parts."""
        base, a, b = (part.astype(dtype) for part in (self.base, self.a, self.b))
        return dataclasses.replace(self, base=base, a=a, b=b)

    def __getitem__(self, index: int) -> "LowRank":
        """One of a stack."""
        key = None if self.key is None else jax.random.fold_in(self.key, index)
        return dataclasses.replace(self, base=self.base[index], a=self.a[index], b=self.b[index], key=key)


def product(x: Float[Array, "..."], w: Any, *, over: tuple[int, ...] = (0,)) -> Float[Array, "..."]:
    """Contracts the last axes of `x` with the axes `over` of `w`, in that order: [*b, *c] x {*c, *f} -> [*b, *f]."""
    if isinstance(w, LowRank):
        low = _dense_product(_drop(x, w), w.a, tuple(range(len(over))))
        return product(x, w.base, over=over) + w.scale * _dense_product(low, w.b, (0,))
    if isinstance(w, jax.Array):
        return _dense_product(x, w, over)
    # Dequantised anew in the backward pass: kept, it would take the memory that quantising saved.
    return jax.checkpoint(lambda x, w: _dense_product(x, dequantise(w), over))(x, w)


def dequantise(w: Any) -> Array:
    """The array that a quantised one stands for, in the dtype of its scales."""
    import qwix  # an extra

    with jax.numpy_dtype_promotion("standard"):
        return qwix.dequantize(w)


def dot_general(lhs: Array, rhs: Any, dimension_numbers, precision=None, preferred_element_type=None) -> Array:
    """`product` behind the signature that Flax's dense layers take as `dot_general`."""
    del precision, preferred_element_type
    (lhs_axes, rhs_axes), batch_axes = dimension_numbers
    n = len(rhs_axes)
    last, first = tuple(range(lhs.ndim - n, lhs.ndim)), tuple(range(n))
    if (tuple(lhs_axes), tuple(rhs_axes)) != (last, first) or any(batch_axes):
        return jax.lax.dot_general(lhs, rhs, dimension_numbers)
    return product(lhs, rhs, over=first)


def promote_dtype(*arrays: Any, dtype: Any) -> list[Any]:
    """Casts activations and weights as Flax's own does, but leaves them what they are."""
    return [array if array is None else array.astype(dtype) for array in arrays]


DENSE: dict[str, Any] = {"dot_general": dot_general, "promote_dtype": promote_dtype}


def _dense_product(x: Array, w: Array, over: tuple[int, ...]) -> Array:
    w = jnp.moveaxis(w, over, tuple(range(len(over))))
    kept, summed, features = x.shape[: x.ndim - len(over)], w.shape[: len(over)], w.shape[len(over) :]
    inner = math.prod(summed)
    y = x.reshape(-1, inner) @ w.reshape(inner, -1)
    return y.reshape(*kept, *features)


def _drop(x: Array, w: LowRank) -> Array:
    if w.key is None or not w.dropout:
        return x
    kept = jax.random.bernoulli(w.key, 1 - w.dropout, x.shape)
    return jnp.where(kept, x / (1 - w.dropout), jnp.zeros_like(x))
