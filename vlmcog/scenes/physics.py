"""What happens: rigid-body simulation of blocks on the ground in MuJoCo.

MuJoCo's default contacts are soft, and a soft contact lets a tower lean: they call one stable tower in five unstable.
`STIFF` is hard enough that the verdict follows the analytic test of `statics.py`.
"""

import dataclasses
from collections.abc import Sequence

import mujoco
import numpy as np

from vlmcog.scenes.scene import Block

GRAVITY = 9.81
DENSITY = 600.0
FRICTION = 0.6
FALL_DISTANCE = 0.25
"""A block fell if it moved by more than this share of its smallest side."""

_CHUNK_SECONDS = 0.05
_EARLIEST_REST = 0.2


@dataclasses.dataclass(frozen=True)
class Contacts:
    """MuJoCo's contact settings; `time_step` in seconds."""

    solref: str = "0.004 1"
    solimp: str = "0.99 0.999 0.0001 0.5 2"
    time_step: float = 0.002
    cone: str = "pyramidal"
    impratio: float = 1.0


STIFF = Contacts()
STIFF_ELLIPTIC = Contacts(cone="elliptic", impratio=10.0)


def fallen(
    blocks: Sequence[Block],
    *,
    contacts: Contacts = STIFF,
    seconds: float = 2.0,
    densities: Sequence[float] | None = None,
    frictions: Sequence[float] | None = None,
    stop_at_first: bool = False,
    rest_speed: float = 1e-3,
) -> tuple[bool, ...]:
    """Simulates the blocks from rest and returns which of them fell.

    The simulation ends at rest (two checks, 0.05 s apart and after the first 0.2 s, see no block faster than
    `rest_speed`), after `seconds`, or, where only "does anything fall?" is asked, at the first fall.

    Args:
      blocks: the blocks where they start, on the ground or on each other.
      contacts: MuJoCo's contact settings.
      seconds: the longest simulated time. Rests creep in long runs, so keep it short.
      densities: kg/m^3 for each block.
      frictions: sliding friction for each block.
      stop_at_first: end at the first block that fell; the others' flags then mean "by that time".
      rest_speed: m/s and rad/s; 0 never ends early.
    """
    model = mujoco.MjModel.from_xml_string(_model_xml(blocks, contacts, densities, frictions))  # pyright: ignore[reportAttributeAccessIssue]
    data = mujoco.MjData(model)  # pyright: ignore[reportAttributeAccessIssue]
    start = np.array([block.position for block in blocks])
    limits = FALL_DISTANCE * np.array([min(block.size) for block in blocks])
    steps = round(_CHUNK_SECONDS / contacts.time_step)
    fell = np.zeros(len(blocks), bool)
    resting = 0
    while data.time < seconds and resting < 2:
        mujoco.mj_step(model, data, nstep=steps)  # pyright: ignore[reportAttributeAccessIssue]
        fell |= np.linalg.norm(data.xpos[1:] - start, axis=-1) > limits
        if stop_at_first and fell.any():
            break
        at_rest = data.time > _EARLIEST_REST and np.abs(data.qvel).max() < rest_speed
        resting = resting + 1 if at_rest else 0
    return tuple(fell.tolist())


def _model_xml(
    blocks: Sequence[Block],
    contacts: Contacts,
    densities: Sequence[float] | None,
    frictions: Sequence[float] | None,
) -> str:
    densities = densities or [DENSITY] * len(blocks)
    frictions = frictions or [FRICTION] * len(blocks)
    bodies = "".join(map(_body_xml, blocks, densities, frictions))
    return f"""<mujoco>
      <option timestep="{contacts.time_step}" gravity="0 0 -{GRAVITY}" cone="{contacts.cone}"
        impratio="{contacts.impratio}"/>
      <default><geom solref="{contacts.solref}" solimp="{contacts.solimp}"/></default>
      <worldbody><geom type="plane" size="0 0 1" friction="{FRICTION}"/>{bodies}</worldbody>
    </mujoco>"""


def _body_xml(block: Block, density: float, friction: float) -> str:
    return (
        f'<body pos="{_numbers(block.position)}" quat="{_numbers(block.orientation)}"><freejoint/>'
        f'<geom type="box" size="{_numbers(np.asarray(block.size) / 2)}" density="{density}" friction="{friction}"/>'
        "</body>"
    )


def _numbers(values: Sequence[float] | np.ndarray) -> str:
    return " ".join(repr(float(value)) for value in values)
