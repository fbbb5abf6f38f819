"""The arithmetic of a step: multiplications and additions of the model's matrix products, counted as it was traced.

These are model FLOPs in the sense of Chowdhery et al. (2022, appendix B, https://arxiv.org/abs/2204.02311): what the
loss and its gradient need, each product once. The optimizer's, and what is computed again to save memory, don't count.
"""

import math
from collections.abc import Iterator
from typing import Any

from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn

OPTIMIZER = "optimizer"
"""The scope that a step puts its optimizer in."""
_NOT_THE_MODELS = {OPTIMIZER, "rematted_computation"}


def model_flops(program: ClosedJaxpr | Jaxpr) -> float:
    """Returns the model FLOPs of a traced step, of all devices together."""
    jaxpr = program.jaxpr if isinstance(program, ClosedJaxpr) else program
    return sum(_flops(equation) for equation in jaxpr.eqns if not _is_left_out(equation))


def _is_left_out(equation: JaxprEqn) -> bool:
    return any(scope.name in _NOT_THE_MODELS for scope in equation.source_info.name_stack.stack)


def _flops(equation: JaxprEqn) -> float:
    name = equation.primitive.name
    if name == "dot_general":
        (summed, _), _ = equation.params["dimension_numbers"]
        shape = _shape(equation.invars[0])
        return 2.0 * _outputs(equation) * math.prod(shape[axis] for axis in summed)
    if name == "conv_general_dilated":
        features = equation.params["dimension_numbers"].rhs_spec[0]
        kernel = _shape(equation.invars[1])
        return 2.0 * _outputs(equation) * math.prod(kernel) / kernel[features]
    inner = [model_flops(program) for program in _programs(equation)]
    if name == "cond":
        return max(inner)
    return equation.params.get("length", 1) * sum(inner) if name == "scan" else sum(inner)


def _outputs(equation: JaxprEqn) -> int:
    return math.prod(_shape(equation.outvars[0]))


def _shape(variable: Any) -> tuple[int, ...]:
    return variable.aval.shape


def _programs(equation: JaxprEqn) -> Iterator[Any]:
    for value in equation.params.values():
        for one in value if isinstance(value, tuple) else (value,):
            if isinstance(one, ClosedJaxpr | Jaxpr):
                yield one
