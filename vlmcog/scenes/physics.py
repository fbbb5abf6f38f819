"""What happens: rigid-body simulation of blocks on the ground in MuJoCo.

MuJoCo's default contacts are soft, and a soft contact lets a tower lean: they call one stable tower in five unstable.
`STIFF` is hard enough that the verdict follows the analytic test of `statics.py`.

A compiled model is kept for each thread and each sequence of shapes, and the blocks' numbers are written into it: that
saves the compiler's 1 ms a scene. What was simulated before leaves no trace.
"""

import dataclasses
import functools
import threading
from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np

from vlmcog.scenes.scene import BOX, CYLINDER, SPHERE, Block

GRAVITY = 9.81
FRICTION = 0.6
FALL_DISTANCE = 0.25
"""A block fell if its centre moved by more than this share of its smallest side."""

_CHECK_SECONDS = 0.01
_EARLIEST_REST = 0.2
_REST_CHECKS = 5
_MODELS_A_THREAD = 64
_OVERLAP = 1e-3
"""Two blocks overlap where they are deeper than this share of the smaller one's smallest side in each other."""


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


@dataclasses.dataclass(frozen=True)
class Motion:
    """What moved.

    Attributes:
      fell: one flag a block.
      first: the index of the first block to fall, of several at one check the one that had moved furthest in sides;
        None where none fell.
      fall_time: seconds until then, to the next 0.01 s.
      furthest: how far any block's centre was from its start at any check, in the block's smallest sides. Blocks can
        move and not fall, where they lean on others.
    """

    fell: tuple[bool, ...]
    first: int | None = None
    fall_time: float | None = None
    furthest: float = 0.0


def simulate(
    blocks: Sequence[Block],
    *,
    contacts: Contacts = STIFF,
    seconds: float = 2.0,
    densities: Sequence[float] | None = None,
    frictions: Sequence[float] | None = None,
    stop_at_first: bool = False,
    rest_speed: float = 1e-3,
) -> Motion:
    """Simulates the blocks from rest and returns which of them fell.

    The simulation ends at rest (six checks in a row, 0.01 s apart and after the first 0.2 s, see no block faster than
    `rest_speed`), after `seconds`, or, where only "does anything fall?" is asked, at the first fall.

    Args:
      blocks: the blocks where they start, on the ground or on each other.
      contacts: MuJoCo's contact settings.
      seconds: the longest simulated time. Rests creep in long runs, so keep it short.
      densities: kg/m^3 for each block, its own where None.
      frictions: sliding friction for each block. Of two that touch, the larger counts.
      stop_at_first: end at the first block that fell; the others' flags then mean "by that time".
      rest_speed: m/s and rad/s; 0 never ends early.
    """
    model, data = _placed(blocks, contacts, densities, frictions)
    positions, velocities = data.xpos[1:], data.qvel
    start = np.array([block.position for block in blocks])
    sides = np.array([min(block.size) for block in blocks])
    steps = round(_CHECK_SECONDS / contacts.time_step)
    fell = np.zeros(len(blocks), bool)
    first, fall_time, furthest, resting = None, None, 0.0, 0
    while data.time < seconds and resting <= _REST_CHECKS and not (stop_at_first and first is not None):
        _mujoco.mj_step(model, data, nstep=steps)
        moved = _lengths(positions - start) / sides
        at_most = float(np.maximum.reduce(moved))
        furthest = max(furthest, at_most)
        if at_most > FALL_DISTANCE:
            fell |= moved > FALL_DISTANCE
            if first is None:
                first, fall_time = int(moved.argmax()), round(data.time, 9)
        at_rest = data.time > _EARLIEST_REST and _largest(velocities) < rest_speed
        resting = resting + 1 if at_rest else 0
    return Motion(tuple(fell.tolist()), first, fall_time, furthest)


def fallen(blocks: Sequence[Block], **settings: Any) -> tuple[bool, ...]:
    """Returns which blocks fell: `simulate` in short."""
    return simulate(blocks, **settings).fell


def overlapping(blocks: Sequence[Block]) -> tuple[int, ...]:
    """Returns the indices of the blocks that are inside another block or the ground, however they came there."""
    model, data = _placed(blocks, STIFF, None, None)
    _mujoco.mj_forward(model, data)
    sides = np.array([np.inf, *(min(block.size) for block in blocks)])
    pairs = data.contact.geom[data.contact.dist < -_OVERLAP * sides[data.contact.geom].min(-1, initial=np.inf)]
    return tuple(np.unique(pairs[pairs > 0] - 1).tolist())


def mass(block: Block) -> float:
    """The block's mass in kg."""
    x, y, z = block.size
    share = {BOX: 1.0, SPHERE: np.pi / 6, CYLINDER: np.pi / 4}[block.shape]
    return block.density * share * x * y * z


def _placed(
    blocks: Sequence[Block],
    contacts: Contacts,
    densities: Sequence[float] | None,
    frictions: Sequence[float] | None,
) -> tuple[Any, Any]:
    """Returns this thread's model and data for such blocks, set to these ones at rest."""
    shapes = tuple((block.shape, block.fixed) for block in blocks)
    model, data = _thread.compiled(shapes, contacts)
    densities = [block.density for block in blocks] if densities is None else densities
    masses = np.array([mass(dataclasses.replace(b, density=d)) for b, d in zip(blocks, densities, strict=True)])
    sizes = np.array([block.size for block in blocks])
    model.geom_size[1:] = [_geom_size(block) for block in blocks]
    model.geom_rbound[1:] = [_bounding_radius(block) for block in blocks]
    model.geom_aabb[1:, 3:] = sizes / 2
    model.geom_friction[1:, 0] = FRICTION if frictions is None else frictions
    model.body_mass[1:] = masses
    model.body_inertia[1:] = [
        _inertia(block.shape, m, size) for block, m, size in zip(blocks, masses, sizes, strict=True)
    ]
    model.body_pos[1:] = [block.position for block in blocks]
    model.body_quat[1:] = [block.orientation for block in blocks]
    free = [[*block.position, *block.orientation] for block in blocks if not block.fixed]
    model.qpos0[:] = np.ravel(free)
    _mujoco.mj_setConst(model, data)
    _mujoco.mj_resetData(model, data)
    return model, data


def _lengths(vectors: np.ndarray) -> np.ndarray:
    """np.linalg.norm along the last axis, without the overhead that would be a tenth of a simulation's time."""
    return np.sqrt(np.add.reduce(vectors * vectors, -1))


def _largest(numbers: np.ndarray) -> float:
    return max(np.maximum.reduce(numbers, initial=0.0), -np.minimum.reduce(numbers, initial=0.0))


def _geom_size(block: Block) -> tuple[float, float, float]:
    x, y, z = (extent / 2 for extent in block.size)
    return {BOX: (x, y, z), SPHERE: (x, 0.0, 0.0), CYLINDER: (x, z, 0.0)}[block.shape]


def _bounding_radius(block: Block) -> float:
    x, y, z = (extent / 2 for extent in block.size)
    return {BOX: np.sqrt(x * x + y * y + z * z), SPHERE: x, CYLINDER: np.hypot(x, z)}[block.shape]


def _inertia(shape: str, mass: float, size: np.ndarray) -> np.ndarray:
    """Principal moments of inertia; a sphere's and a cylinder's radius is half of their first extent."""
    x, y, z = size
    if shape == SPHERE:
        return np.full(3, mass * x * x / 10)
    if shape == CYLINDER:
        across = mass * (3 * x * x / 4 + z * z) / 12
        return np.array([across, across, mass * x * x / 8])
    return mass / 12 * np.array([y * y + z * z, x * x + z * z, x * x + y * y])


class _Compiled(threading.local):
    """Compiled models with their data, kept for each thread, since a simulation writes into both."""

    def __init__(self):
        self.compiled = functools.lru_cache(_MODELS_A_THREAD)(_compile)


def _compile(shapes: tuple[tuple[str, bool], ...], contacts: Contacts) -> tuple[Any, Any]:
    model = _mujoco.MjModel.from_xml_string(_model_xml(shapes, contacts))
    return model, _mujoco.MjData(model)


def _model_xml(shapes: Sequence[tuple[str, bool]], contacts: Contacts) -> str:
    """Unit bodies of these shapes, their numbers to be written over; the midphase's tree of them is not used.

    A contact touches two bodies of many, so that the solver is faster by a sixth with sparse matrices. By itself MuJoCo
    chooses them from 60 degrees of freedom (10 blocks) on; sums are rounded differently, and no verdict changes.
    """
    bodies = "".join(
        f'<body pos="0 0 {3 * index}">{"" if fixed else "<freejoint/>"}<geom type="{shape}" size="1 1 1"/></body>'
        for index, (shape, fixed) in enumerate(shapes, 1)
    )
    return f"""<mujoco>
      <option timestep="{contacts.time_step}" gravity="0 0 -{GRAVITY}" cone="{contacts.cone}"
        impratio="{contacts.impratio}" jacobian="sparse"><flag midphase="disable"/></option>
      <default><geom solref="{contacts.solref}" solimp="{contacts.solimp}"/></default>
      <worldbody><geom type="plane" size="0 0 1" friction="{FRICTION}"/>{bodies}</worldbody>
    </mujoco>"""


_mujoco: Any = mujoco
_thread = _Compiled()
