"""The picture as `render` defines it, by numpy and many random rays a pixel: slow, with none of its short cuts."""

import jax
import numpy as np

from vlmcog.scenes import materials
from vlmcog.scenes.render import arrays
from vlmcog.scenes.scene import SHAPES, Scene

_FAR = 1e9
_shade = jax.jit(materials.shade)


def picture(scene: Scene, size: int, samples: int) -> np.ndarray:
    """Mean linear colours [size, size, 3] of `samples` random places in each pixel, each with a ray to the light."""
    known, rng = arrays(scene), np.random.default_rng(0)
    position, right, up, forward = known["camera"].astype(float)
    total = np.zeros((size, size, 3))
    for _ in range(samples):
        row, column = np.mgrid[:size, :size] + rng.uniform(size=(2, size, size))
        ray = (2 * column / size - 1)[..., None] * right + (1 - 2 * row / size)[..., None] * up + forward
        ray /= np.linalg.norm(ray, axis=-1, keepdims=True)
        total += _colour(known, position, ray.reshape(-1, 3), rng).reshape(size, size, 3)
    return total / samples


def srgb(linear: np.ndarray) -> np.ndarray:
    """Levels from 0 to 255, not rounded."""
    return np.clip(linear, 0, 1) ** (1 / 2.2) * 255


def _colour(known: dict, origin: np.ndarray, ray: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    distance, body, normal, local = _nearest(known, np.broadcast_to(origin, ray.shape), ray)
    with np.errstate(divide="ignore"):
        ground = np.where(ray[:, 2] < -1e-4, -origin[2] / ray[:, 2], _FAR)
        wall = np.where(ray[:, 1] > 1e-4, (known["wall"] - origin[1]) / ray[:, 1], _FAR)
    plane = np.minimum(ground, wall)
    on_body, on_wall = distance < plane, (wall < ground).astype(int)
    nearest = np.minimum(distance, plane)
    place = origin + ray * np.minimum(nearest, 1e6)[:, None]
    normal = np.where(on_body[:, None], normal, np.array([[0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])[on_wall])
    colour = np.where(on_body[:, None], known["bodies"]["colour"][body], known["surface_colour"][on_wall])
    material = np.where(on_body, known["bodies"]["material"][body], known["surface_material"][on_wall])
    grain = known["seed"] + np.where(on_body, 7 * body, 1000 + on_wall)
    point = np.where(on_body[:, None], local, place).astype(np.float32)
    factor = np.asarray(_shade(material.astype(np.int32), tuple(point.T), known["side"], grain.astype(np.int32)))
    facing = np.maximum(normal @ known["light"], 0)
    lit = facing * _light_seen(known, place, np.where(on_body, body, -1), rng)
    brightness = known["ambient"] * (0.75 + 0.25 * normal[:, 2]) + (1 - known["ambient"]) * lit
    shaded = colour * (factor * brightness)[:, None] * (1 - (1 - known["light_colour"]) * lit[:, None])
    bodies = known["bodies"]["centre"][: int(known["n_bodies"])]
    clear = max(4, np.linalg.norm(bodies - origin, axis=-1).min())
    haze = 1 - np.exp(-np.maximum(nearest - clear, 0) / 12)[:, None]
    sky = np.array([0.72, 0.78, 0.85]) - np.array([0.37, 0.28, 0.15]) * np.clip(2 * ray[:, 2:], 0, 1)
    return np.where(nearest[:, None] < _FAR / 2, shaded + (sky - shaded) * haze, sky)


def _nearest(known: dict, origin: np.ndarray, ray: np.ndarray) -> tuple[np.ndarray, ...]:
    """Distance, body, normal and place in the body's coordinates of the first hit of each ray."""
    distance, body = np.full(len(ray), _FAR), np.zeros(len(ray), int)
    normal, local = np.zeros_like(ray), np.zeros_like(ray)
    for index in range(int(known["n_bodies"])):
        axes, centre = known["bodies"]["axes"][index], known["bodies"]["centre"][index]
        start, step = (origin - centre) @ axes, ray @ axes
        enter, leave, outward = _span(known["bodies"], index, start, step)
        hit = (enter < leave) & (enter > 1e-4) & (enter < distance)
        distance[hit], body[hit] = enter[hit], index
        normal[hit] = (outward @ axes.T)[hit]
        local[hit] = (start + step * np.where(hit, enter, 0)[:, None])[hit]
    return distance, body, normal, local


def _light_seen(known: dict, place: np.ndarray, own: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    light = known["light"].astype(float)
    across = np.cross(light, np.eye(3)[np.abs(light).argmin()])
    across /= np.linalg.norm(across)
    radius, angle = np.sqrt(rng.uniform(size=len(place))), rng.uniform(0, 2 * np.pi, len(place))
    on_disc = (radius * np.cos(angle))[:, None] * across + (radius * np.sin(angle))[:, None] * np.cross(light, across)
    ray = light + known["light_spread"] * on_disc
    seen = np.ones(len(place))
    for index in range(int(known["n_bodies"])):
        axes, centre = known["bodies"]["axes"][index], known["bodies"]["centre"][index]
        enter, leave, _ = _span(known["bodies"], index, (place - centre) @ axes, ray @ axes)
        seen[(enter < leave) & (leave > 1e-4) & (own != index)] = 0
    return seen


def _span(bodies: dict, index: int, start: np.ndarray, step: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where rays enter and leave a body in its own coordinates, and the normal where they enter."""
    shape, half = SHAPES[bodies["shape"][index]], bodies["half"][index].astype(float)
    if shape == "box":
        return _slabs(half, start, step)
    part = slice(0, 3) if shape == "sphere" else slice(0, 2)
    enter, leave = _round(half[0], start[:, part], step[:, part])
    outward = np.zeros_like(start)
    outward[:, part] = ((start + step * enter[:, None]) / half[0])[:, part]
    if shape == "cylinder":
        caps = _slabs(half[2:], start[:, 2:], step[:, 2:])
        first = caps[0] > enter
        outward[first] = np.pad(caps[2], ((0, 0), (2, 0)))[first]
        enter, leave = np.maximum(enter, caps[0]), np.minimum(leave, caps[1])
    return enter, leave, outward


def _slabs(half: np.ndarray, start: np.ndarray, step: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    step = np.where(np.abs(step) < 1e-12, 1e-12, step)
    ends = np.sort(np.stack([(-half - start) / step, (half - start) / step]), 0)
    axis = ends[0].argmax(-1)
    outward = -np.sign(step) * (np.arange(start.shape[1]) == axis[:, None])
    return ends[0].max(-1), ends[1].min(-1), outward


def _round(radius: float, start: np.ndarray, step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    a, b, c = (step**2).sum(-1), (start * step).sum(-1), (start**2).sum(-1) - radius**2
    root = b**2 - a * c
    reach = np.sqrt(np.maximum(root, 0))
    return np.where(root > 0, (-b - reach) / a, _FAR), np.where(root > 0, (-b + reach) / a, -_FAR)
