"""Matrix products of activations and weights as two-dimensional ones, whatever stands in a weight's place.

XLA's CPU backend differentiates a product [b, t, d] x [d, f] about 2.5 times slower than [b*t, d] x [d, f].

A weight may be an array, an array that qwix has quantised, a `Reread` array, or a `LowRank` of one. Layers fetch it
by `self.param`, cast it by `astype`, index its leading axis, and multiply by `product`; Flax's dense layers do so given
`**DENSE`.
"""

import dataclasses
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

NARROW = 128  # columns of a weight that costs little to write out transposed


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class LowRank:
    """A weight with a low-rank change of it (LoRA, https://arxiv.org/abs/2106.09685): x w + scale * drop(x) a b.

    Attributes:
      base: the weight, an array, quantised or `Reread`, its axes in the parameter's own order.
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


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Reread:
    """A weight that the backward pass reads from where it is stored, and not from what the forward pass made of it.

    Unrolled layers each multiply by a copy of their slice of a stack, and otherwise that copy, or what it was cast to,
    is kept for the backward pass: a second set of the weights in a step's memory.

    Attributes:
      forward: the weight, or what it was cast to.
      backward: the weight.
    """

    forward: Array
    backward: Array

    @classmethod
    def of(cls, weight: Array) -> "Reread":
        """Behind a barrier, or the compiler would make one slice of the two."""
        return cls(jax.lax.stop_gradient(weight), jax.lax.optimization_barrier(weight))

    def astype(self, dtype: Any) -> "Reread":
        """Casts what the forward pass multiplies by."""
        return dataclasses.replace(self, forward=self.forward.astype(dtype))

    def __getitem__(self, index: int) -> "Reread":
        """One of a stack."""
        return Reread(self.forward[index], self.backward[index])


def product(x: Float[Array, "..."], w: Any, *, over: tuple[int, ...] = (0,)) -> Float[Array, "..."]:
    """Contracts the last axes of `x` with the axes `over` of `w`, in that order: [*b, *c] x {*c, *f} -> [*b, *f]."""
    if isinstance(w, LowRank):
        low = w.scale * _dense_product(_drop(x, w), w.a, tuple(range(len(over))))  # the smallest that can be scaled
        return product(x, w.base, over=over) + _dense_product(low, w.b, (0,))
    if isinstance(w, Reread):
        return _reread_product(x, w.forward, w.backward, over)
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
    y = _matrix_product(x.reshape(-1, inner), w.reshape(inner, -1))
    return y.reshape(*kept, *features)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def _reread_product(x: Array, forward: Array, backward: Array, over: tuple[int, ...]) -> Array:
    del backward
    return _dense_product(x, forward, over)


def _keep(x: Any, forward: Any, backward: Any, over: tuple[int, ...]) -> tuple[Array, tuple[Array | None, Array]]:
    kept = x.value if backward.perturbed else None  # only the gradient of a weight that learns needs it
    return _dense_product(x.value, forward.value, over), (kept, backward.value)


def _pull_back(over: tuple[int, ...], kept: tuple[Array | None, Array], dy: Array) -> tuple[Array, None, Array | None]:
    x, w = kept
    rows = dy.shape[: dy.ndim - (w.ndim - len(over))]
    x_like = jax.ShapeDtypeStruct((*rows, *(w.shape[axis] for axis in over)), dy.dtype)
    (dx,) = jax.linear_transpose(lambda x: _dense_product(x, w.astype(dy.dtype), over), x_like)(dy)
    if x is None:
        return dx, None, None
    (dw,) = jax.linear_transpose(lambda w: _dense_product(x, w.astype(dy.dtype), over), w)(dy)
    return dx, None, dw


_reread_product.defvjp(_keep, _pull_back, symbolic_zeros=True)


def _matrix_product(x: Float[Array, "n d"], w: Float[Array, "d f"]) -> Float[Array, "n f"]:
    """Multiplies by way of the transposed `w` where it is narrow, such as an adapter's.

    The gradient of `w` is then dy^T x in place of x^T dy, which XLA's CPU backend takes up to nine times as long for.
    """
    if w.shape[1] > NARROW:
        return x @ w
    transposed = jax.lax.optimization_barrier(w.T)  # or the compiler would undo it
    return jax.lax.dot_general(x, transposed, (((1,), (1,)), ((), ())))


def _drop(x: Array, w: LowRank) -> Array:
    if w.key is None or not w.dropout:
        return x
    kept = jax.random.bernoulli(w.key, 1 - w.dropout, x.shape)
    return jnp.where(kept, x / (1 - w.dropout), jnp.zeros_like(x))
