"""How fast pictures are made, beside the renderers that others use: one table.

  python scripts/benchmark_rendering.py [--quick]

Towers of cubes with soft shadows and anti-aliasing, on all cores. Peers draw the same boxes from the same camera:
MuJoCo's own renderer (MUJOCO_GL=osmesa or egl) and PyBullet's TinyRenderer one scene in memory again and again, and
Mitsuba through our own `path_tracer`, where they are installed. Rounds take turns, so that other work on the machine
touches all alike; figures are medians over rounds.
"""

import argparse
import dataclasses
import functools
import importlib.util
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence

import mujoco
import numpy as np

from vlmcog import command_line
from vlmcog.datasets.build import build
from vlmcog.datasets.specs import DatasetSpec
from vlmcog.scenes import path_tracer
from vlmcog.scenes.looks import LOOKS, dress
from vlmcog.scenes.render import render
from vlmcog.scenes.scene import Block, Scene
from vlmcog.scenes.towers import sample_tower

_OURS = [(5, 224), (5, 448), (2, 224), (10, 224), (20, 224), (5, 112)]
_PEER_SIZES = (224, 448)
_EXAMPLES = 96
_HIGHEST, _APART = 5, 0.6

Draw = Callable[[], int]
"""Renders some pictures and says how many."""


class MissingError(Exception):
    """Why a peer can't take part."""


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="default: 5")
    parser.add_argument("--look", default="cubeworld", choices=LOOKS, help="default: cubeworld")
    parser.add_argument("--quick", action="store_true", help="only our renderer and MuJoCo's, at 224 pixels")
    args = parser.parse_args(argv)
    works, missing = _works(args.look, quick=args.quick)
    rates = _measure(works, args.rounds)
    for name, rate in rates.items():
        print(f"{name:44} {rate:8.1f} images/s")
    for name, why in missing.items():
        print(f"{name:44} {why}")
    _ratios(rates)
    if not args.quick:
        print(f"{'built into array_record, 224 px':44} {_examples_a_second(args.look):8.1f} examples/s")


def _ratios(rates: dict[str, float]) -> None:
    for size in _PEER_SIZES:
        ours, mujocos = rates.get(_ours_name(5, size)), rates.get(f"MuJoCo, 5 blocks, {size} px")
        if ours and mujocos:
            print(f"ours is {ours / mujocos:.1f} times MuJoCo's at {size} px")


def _ours_name(blocks: int, size: int) -> str:
    return f"ours, {blocks} blocks, {size} px"


def _works(look: str, *, quick: bool) -> tuple[dict[str, Draw], dict[str, str]]:
    cases, sizes = (_OURS[:1], _PEER_SIZES[:1]) if quick else (_OURS, _PEER_SIZES)
    works: dict[str, Draw] = {}
    missing: dict[str, str] = {}
    for blocks, size in cases:
        works[_ours_name(blocks, size)] = functools.partial(_draw_ours, _towers(blocks, look), size)
    scene = _towers(5, look)[0]
    peers = {"MuJoCo": _mujoco} if quick else {"MuJoCo": _mujoco, "PyBullet": _pybullet, "Mitsuba": _mitsuba}
    for peer, prepare in peers.items():
        for size in sizes:
            name = f"{peer}, 5 blocks, {size} px"
            try:
                works[name] = prepare(scene, size)
            except MissingError as error:
                missing[name] = str(error)
    return works, missing


def _towers(blocks: int, look: str) -> list[Scene]:
    rng = np.random.default_rng(0)
    return [dress("tower", _stand(blocks, rng), LOOKS[look], rng) for _ in range(8 * (os.cpu_count() or 1))]


def _stand(blocks: int, rng: np.random.Generator) -> list[Block]:
    """Towers of at most 5 blocks side by side: a higher one seldom stands, and would be looked for for ever."""
    standing: list[Block] = []
    for start in range(0, blocks, _HIGHEST):
        for block in sample_tower(rng, n_blocks=min(_HIGHEST, blocks - start), falls=False):
            x, y, z = block.position
            standing.append(dataclasses.replace(block, position=(x + _APART * start / _HIGHEST, y, z)))
    return standing


def _draw_ours(scenes: list[Scene], size: int) -> int:
    return len(render(scenes, size))


def _mujoco(scene: Scene, size: int) -> Draw:
    """With its default shadows and anti-aliasing; one context, since a context belongs to one thread."""
    _check_opengl()
    camera = scene.camera
    away = np.subtract(camera.position, camera.target)
    right = np.cross(-away, (0, 0, 1))
    up = np.cross(right, -away)
    geoms = "".join(
        f'<geom type="box" pos="{_text(b.position)}" quat="{_text(b.orientation)}" size="{_text(np.array(b.size) / 2)}"'
        f' rgba="{_text(b.colour)} 1"/>'
        for b in scene.blocks
    )
    world = f"""<mujoco><visual><global offwidth="{size}" offheight="{size}"/></visual><worldbody>
      <light directional="true" dir="{_text(-np.array(scene.light.direction))}"/>
      <camera name="camera" pos="{_text(camera.position)}" fovy="{np.degrees(camera.field_of_view)}"
        xyaxes="{_text(right)} {_text(up)}"/>
      <geom type="plane" size="10 10 0.1" rgba="{_text(scene.support.colour)} 1"/>{geoms}</worldbody></mujoco>"""
    model = mujoco.MjModel.from_xml_string(world)  # pyright: ignore[reportAttributeAccessIssue]
    data = mujoco.MjData(model)  # pyright: ignore[reportAttributeAccessIssue]
    mujoco.mj_forward(model, data)  # pyright: ignore[reportAttributeAccessIssue]
    renderer = mujoco.Renderer(model, size, size)

    def draw() -> int:
        for _ in range(8):
            renderer.update_scene(data, "camera")
            renderer.render()
        return 8

    return draw


@functools.cache
def _check_opengl() -> None:
    """In another process, since GLFW without a display ends the one that asks for it."""
    renders = "import mujoco; mujoco.Renderer(mujoco.MjModel.from_xml_string('<mujoco/>'), 8, 8).render()"
    if subprocess.run([sys.executable, "-c", renders], capture_output=True, check=False).returncode:
        raise MissingError("no OpenGL; with EGL or OSMesa installed, set MUJOCO_GL to egl or osmesa")


def _text(values: Sequence[float] | np.ndarray) -> str:
    return " ".join(f"{value:.6g}" for value in values)


def _pybullet(scene: Scene, size: int) -> Draw:
    _check_installed("pybullet")
    import pybullet  # pyright: ignore[reportMissingImports]

    client = pybullet.connect(pybullet.DIRECT)
    for block in scene.blocks:
        half = (np.array(block.size) / 2).tolist()
        visual = pybullet.createVisualShape(
            pybullet.GEOM_BOX, halfExtents=half, rgbaColor=[*block.colour, 1.0], physicsClientId=client
        )
        w, x, y, z = block.orientation
        pybullet.createMultiBody(0, -1, visual, block.position, (x, y, z, w), physicsClientId=client)
    view = pybullet.computeViewMatrix(scene.camera.position, scene.camera.target, (0, 0, 1))
    lens = pybullet.computeProjectionMatrixFOV(np.degrees(scene.camera.field_of_view), 1.0, 0.05, 100.0)

    def draw() -> int:
        for _ in range(8):
            pybullet.getCameraImage(
                size, size, view, lens, renderer=pybullet.ER_TINY_RENDERER, shadow=1, physicsClientId=client
            )
        return 8

    return draw


def _mitsuba(scene: Scene, size: int) -> Draw:
    _check_installed("mitsuba")
    return lambda: len(path_tracer.render([scene], size))


def _check_installed(package: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise MissingError("not installed")


def _measure(works: dict[str, Draw], rounds: int) -> dict[str, float]:
    """Images a second by name: the median over rounds, after one that compiles."""
    rates: dict[str, list[float]] = {name: [] for name in works}
    for draw in works.values():
        draw()
    for _ in range(rounds):
        for name, draw in works.items():
            start = time.perf_counter()
            count = draw()
            rates[name].append(count / (time.perf_counter() - start))
    return {name: statistics.median(values) for name, values in rates.items()}


def _examples_a_second(look: str) -> float:
    """Of a whole build: sampling, simulation, rendering, PNG and array_record."""
    spec = DatasetSpec("cubeworld_towers", look, "small", 224, _EXAMPLES, 2, 2)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        build(spec, pathlib.Path(folder))
        return (_EXAMPLES + 4) / (time.perf_counter() - start)


if __name__ == "__main__":
    command_line.run(main)
