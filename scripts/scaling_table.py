"""What PaliGemma takes on more and more devices, by compiling its step for devices that need not be there.

    PYTHONPATH=. python scripts/scaling_table.py [--sizes 3b 2-10b 2-28b] [--devices 1 8 64 256]

Full fine-tuning with AdamW at 224 px: float32 parameters, bfloat16 activations, recomputed layers, 8 images a device,
everything divided by FSDP. On each device and for one step: the memory of parameters, of the optimizer's moments and of
temporaries (an estimate: the compiler is that of the CPU), the model's arithmetic, and the bytes that a device sends in
collectives if they go round a ring of n devices: (n - 1) / n of an all-gather's result, (n - 1) times a
reduce-scatter's, twice (n - 1) / n of an all-reduce's. It is an upper bound: the CPU's compiler gathers in float32 what
others gather in bfloat16, and reduces gradients whole where others scatter them.
"""

import argparse
import json
import math
import re
import subprocess
import sys
from collections.abc import Callable, Iterator

IMAGES_A_DEVICE = 8
ROW = "| {size} | {devices} | {parameters:.2f} | {optimizer:.2f} | {temporary:.2f} | {tflop:.1f} | {sent:.2f} |"
BITS = {"pred": 8, "s8": 8, "u8": 8, "s32": 32, "u32": 32, "s64": 64, "u64": 64, "bf16": 16, "f16": 16, "f32": 32}
SENT: dict[str, Callable[[int], float]] = {  # of the result's bytes, by the number of devices in a group
    "all-gather": lambda n: (n - 1) / n,
    "all-reduce": lambda n: 2 * (n - 1) / n,
    "reduce-scatter": lambda n: n - 1,
    "all-to-all": lambda n: (n - 1) / n,
    "collective-permute": lambda n: 1,
}
INSTRUCTION = re.compile(r"^\s*(?:ROOT )?%?[\w.-]+ = (?P<type>\(.*?\)|\S+) (?P<name>[\w-]+)\(")
CALLED = re.compile(r"(?:body|calls|to_apply)=%?([\w.-]+)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=["3b", "2-10b", "2-28b"])
    parser.add_argument("--devices", nargs="+", type=int, default=[1, 8, 64, 256])
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(row(args.sizes[0], args.devices[0])))
        return
    print("| size | devices | parameters, GiB | optimizer, GiB | temporary, GiB | TFLOP | sent, GiB |")
    print("|---|---|---|---|---|---|---|")
    for size in args.sizes:
        for devices in args.devices:  # each in a process of its own, since devices are counted once
            command = [sys.executable, __file__, "--one", "--sizes", size, "--devices", str(devices)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            print(ROW.format(size=size, devices=devices, **json.loads(done.stdout)), flush=True)


def row(size: str, devices: int) -> dict[str, float]:
    """Compiles the step of a size for so many devices."""
    import jax

    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", devices)
    from vlmcog.training import dry_run, flops
    from vlmcog.training.config import from_config_dict

    config = from_config_dict(
        {
            "model": {"size": size, "image_size": 224, "compute_dtype": "bfloat16", "remat": True, "scan": True},
            "data": {"batch_size": IMAGES_A_DEVICE * devices},
            "optimizer": {"method": "adamw"},
            "mesh": {"fsdp": -1},
        }
    )
    program = dry_run.trace(config)
    compiled = program.traced.lower().compile(dry_run.UNOPTIMISED)
    return {
        "parameters": dry_run.bytes_on_a_device(program.abstract.params) / dry_run.GIB,
        "optimizer": dry_run.bytes_on_a_device(program.abstract.opt_state) / dry_run.GIB,
        "temporary": compiled.memory_analysis().temp_size_in_bytes / dry_run.GIB,
        "tflop": flops.model_flops(program.traced.jaxpr) / devices / 1e12,
        "sent": bytes_sent(compiled.as_text()) / dry_run.GIB,
    }


def bytes_sent(program: str) -> float:
    """Returns the bytes that a device sends in the collectives of a compiled program, loops counted as they run."""
    bodies = dict(_computations(program))
    seen: dict[str, float] = {}

    def of(name: str) -> float:
        if name not in seen:
            seen[name] = sum(_sent(line) + _runs(line) * sum(map(of, CALLED.findall(line))) for line in bodies[name])
        return seen[name]

    return of("ENTRY")


def _computations(program: str) -> Iterator[tuple[str, list[str]]]:
    """The name of each computation, `ENTRY` for the first to run, with its lines."""
    for block in re.split(r"\n(?=(?:ENTRY )?%?[\w.-]+ \(.*\{\n)", program)[1:]:
        head, *lines = block.split("\n")
        yield head.split()[0].lstrip("%"), lines


def _runs(line: str) -> int:
    trips = re.search(r'"known_trip_count":\{"n":"(\d+)"\}', line)
    return int(trips[1]) if trips else 1


def _sent(line: str) -> float:
    found = INSTRUCTION.match(line)
    name = found["name"].removesuffix("-start") if found else ""
    if not found or name not in SENT:
        return 0.0
    return _bytes(found["type"]) * SENT[name](_group(line))


def _bytes(shapes: str) -> float:
    found = re.findall(r"(\w+)\[([\d,]*)\]", shapes)
    return sum(BITS[dtype] / 8 * math.prod(int(size) for size in sizes.split(",") if size) for dtype, sizes in found)


def _group(line: str) -> int:
    """How many devices talk with each other: `mesh['a'=2,'b'=4] {'b'}`, `[groups,size]<=...` or `{{0,1,...},...}`."""
    named = re.search(r"replica_groups=mesh\[(.*?)\] \{(.*?)\}", line)
    if named:
        sizes = dict(axis.split("=") for axis in named[1].split(","))
        return math.prod(int(sizes[axis]) for axis in named[2].replace(" ", "").split(","))
    counted = re.search(r"replica_groups=\[\d+,(\d+)\]", line)
    listed = re.search(r"replica_groups=\{\{([\d,]+)\}", line)
    return int(counted[1]) if counted else len(listed[1].split(",")) if listed else 1


if __name__ == "__main__":
    main()
