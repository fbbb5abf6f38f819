"""The tasks, by name: a new task is one file and one line here."""

from vlmcog.errors import UserError, did_you_mean
from vlmcog.tasks.agents import AGENTS_COUNTERFACTUAL, AGENTS_INTENTION
from vlmcog.tasks.boards import BOARD_TIPS
from vlmcog.tasks.counterweights import BEAM_FALLS
from vlmcog.tasks.gates import GATE_PASSED, GATE_PASSED_ALONE
from vlmcog.tasks.heaps import RED_BRICK_ANY, RED_BRICK_COUNT, RED_BRICK_RESPONSIBLE
from vlmcog.tasks.jenga import JENGA_COUNT, JENGA_RESPONSIBILITY
from vlmcog.tasks.michotte import MICHOTTE_COUNTERFACTUAL, MICHOTTE_OUTCOME
from vlmcog.tasks.mixed import MIXED_TOWER_FALLS
from vlmcog.tasks.perception import PERCEPTION
from vlmcog.tasks.physion import PHYSION_CONTACT
from vlmcog.tasks.pyramids import RED_BLOCK_ANY, RED_BLOCK_COUNT
from vlmcog.tasks.sides import SIDE_FALLS
from vlmcog.tasks.task import Task
from vlmcog.tasks.tops import TOP_FALLS
from vlmcog.tasks.towers import TOWER_FALLS

TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        TOWER_FALLS,
        RED_BLOCK_ANY,
        RED_BLOCK_COUNT,
        RED_BRICK_ANY,
        RED_BRICK_COUNT,
        RED_BRICK_RESPONSIBLE,
        TOP_FALLS,
        SIDE_FALLS,
        BEAM_FALLS,
        BOARD_TIPS,
        MIXED_TOWER_FALLS,
        GATE_PASSED,
        GATE_PASSED_ALONE,
        JENGA_COUNT,
        JENGA_RESPONSIBILITY,
        MICHOTTE_OUTCOME,
        MICHOTTE_COUNTERFACTUAL,
        AGENTS_INTENTION,
        AGENTS_COUNTERFACTUAL,
        PHYSION_CONTACT,
        *PERCEPTION,
    )
}


def get_task(name: str) -> Task:
    """Returns the registered task of that name; raises UserError with the nearest name where there is none."""
    if name not in TASKS:
        raise UserError(f"no task {name!r}{did_you_mean(name, TASKS)}; the tasks are {', '.join(TASKS)}")
    return TASKS[name]
